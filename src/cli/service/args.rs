//! The options of a program that runs for long beside others.

use clap::Args;

use crate::error::Error;

/// Where messages come from and where findings go, beside the report.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Beside the report")]
pub(crate) struct ServiceArgs {
    /// Take messages from capture agents in place of an interface: HEP, over UDP and TCP, at ADDR:PORT or :PORT. With
    /// SIPWHY_HEP_KEY in the environment only packets with that key
    #[arg(long, value_name = "ADDR")]
    pub(crate) hep_listen: Option<String>,
    /// Forward the messages, and our findings as log records with their Call-ID, to a HEP server such as Homer:
    /// HOST:PORT for UDP, tcp:HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) hep_send: Option<String>,
    /// Serve figures for Prometheus at http://ADDR/metrics
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<String>,
    /// Tell incidents to Alertmanager, or to whoever reads its JSON: http://localhost:9093/api/v2/alerts
    #[arg(long, value_name = "URL")]
    pub(crate) alert_webhook: Option<String>,
    /// Become this user when the interface is open (default: who called sudo, else nobody)
    #[arg(long, value_name = "USER", hide = true)]
    pub(crate) user: Option<String>,
    /// Stay root, which is refused else
    #[arg(long, hide = true)]
    pub(crate) allow_root: bool,
}

impl ServiceArgs {
    /// Refuses all of them for commands that neither follow nor tell anybody.
    pub(crate) fn refuse_all(&self, command: &str) -> Result<(), Error> {
        let set = [
            ("--hep-listen", self.hep_listen.is_some()),
            ("--hep-send", self.hep_send.is_some()),
            ("--metrics", self.metrics.is_some()),
            ("--alert-webhook", self.alert_webhook.is_some()),
        ];
        match set.into_iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => Err(Error::Usage(format!("{option} is for reports and live runs, not for {command}"))),
            None => self.refuse_user(),
        }
    }

    /// Files are read as whoever may read them.
    pub(crate) fn refuse_user(&self) -> Result<(), Error> {
        let option = if self.allow_root { "--allow-root" } else { "--user" };
        match self.user.is_some() || self.allow_root {
            true => {
                Err(Error::Usage(format!("{option} is for interfaces and --hep-listen: files are read as who you are")))
            }
            false => Ok(()),
        }
    }
}
