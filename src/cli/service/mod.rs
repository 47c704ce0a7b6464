//! A program that runs for long beside others: where messages come from and findings go, and as whom it runs.
//!
//! Is told what a run reads and finds; gives it to a HEP server, to Prometheus and to Alertmanager. Everything that
//! goes out waits in a bounded queue of its own thread, so that nobody who is slow or away holds up the capture; what
//! finds no room is counted and told. Deliberately does not know how anything was found.

mod address;
mod agents_clock;
mod args;
mod hep_listen;
mod hep_send;
mod metrics;
mod peers;
pub(crate) mod privilege;
mod queue;
mod webhook;

use std::collections::BTreeMap;
use std::net::TcpListener;

pub(crate) use crate::cli::service::args::ServiceArgs;
pub(crate) use crate::cli::service::hep_listen::{HepListener, HepSockets};
pub(crate) use crate::cli::service::hep_send::Pace;

use crate::analysis::{Analysis, MessageRead};
use crate::call::{Call, GoodCall};
use crate::capture::{Behind, InputFacts};
use crate::cli::args::Run;
use crate::cli::say;
use crate::cli::select::Selection;
use crate::cli::service::hep_send::HepSender;
use crate::cli::service::metrics::{Dropped, Metrics};
use crate::cli::service::webhook::{Alert, Alerts};
use crate::diagnosis::Diagnosis;
use crate::error::Error;
use crate::report::{Gathered, Incident, LiveIncident, Names, Scene, Selected, State};
use crate::untrusted::Untrusted;

/// Where the key stands that agents and servers of HEP want: a command line can be read by everybody.
const HEP_KEY: &str = "SIPWHY_HEP_KEY";

/// The key of HEP, if there is one.
pub(crate) fn hep_key() -> Option<Vec<u8>> {
    std::env::var_os(HEP_KEY).map(|key| key.into_encoded_bytes()).filter(|key| !key.is_empty())
}

/// What must be open before privileges are given up.
#[derive(Default)]
pub(crate) struct Sockets {
    metrics: Option<TcpListener>,
}

impl Sockets {
    /// Opens them.
    pub(crate) fn open(args: &ServiceArgs) -> Result<Sockets, Error> {
        let metrics = args.metrics.as_deref().map(|typed| address::tcp_listener("--metrics", typed)).transpose()?;
        Ok(Sockets { metrics })
    }
}

/// Which messages go to the HEP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// All, when they are read.
    All,
    /// Those of the calls that were chosen, when these end.
    OfChosenCalls,
}

impl Forwarded {
    /// As the user chose.
    pub(crate) fn of(selection: &Selection) -> Forwarded {
        if selection.is_everything() { Forwarded::All } else { Forwarded::OfChosenCalls }
    }
}

/// What became of what was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// All of it.
    Whole,
    /// Something was dropped.
    InPart,
}

/// What a run tells other programs while it goes on.
pub(crate) struct Service {
    hep: Option<HepSender>,
    forwarded: Forwarded,
    metrics: Option<Metrics>,
    alerts: Option<Alerts>,
}

impl Service {
    /// Begins to tell.
    pub(crate) fn start(
        run: &Run,
        sockets: Sockets,
        names: &Names,
        forwarded: Forwarded,
        pace: Pace,
    ) -> Result<Service, Error> {
        let args = &run.service;
        if args.hep_send.is_some() && !run.redact.is_empty() {
            return Err(Error::Usage("--hep-send forwards messages as they are: not with --redact".into()));
        }
        let hep = args.hep_send.as_deref().map(|typed| HepSender::start(typed, hep_key(), pace)).transpose()?;
        if let Some(listener) = sockets.metrics.as_ref().filter(|_| !run.quiet)
            && let Ok(own) = listener.local_addr()
        {
            say(&format!("sipwhy: figures at http://{own}/metrics"));
        }
        let metrics = sockets.metrics.map(|listener| Metrics::start(listener, names)).transpose()?;
        let alerts = args.alert_webhook.as_deref().map(|url| Alerts::start(url, pace)).transpose()?;
        Ok(Service { hep, forwarded, metrics, alerts })
    }

    /// True if every call is wanted whole: a good one that is only counted tells neither its peer nor its delays.
    pub(crate) fn wants_every_call(&self) -> bool {
        self.metrics.is_some() || self.hep.is_some()
    }

    /// True if anybody is told findings in words.
    pub(crate) fn reads_words(&self) -> bool {
        self.hep.is_some()
    }

    /// True if anybody is told anything.
    pub(crate) fn tells_anything(&self) -> bool {
        self.metrics.is_some() || self.hep.is_some() || self.alerts.is_some()
    }

    /// Asks the analysis for what is needed.
    pub(crate) fn ask(&self, analysis: &mut Analysis) {
        if self.hep.is_some() && self.forwarded == Forwarded::All {
            analysis.hand_on_bytes();
        } else if self.metrics.is_some() {
            analysis.hand_on_messages();
        }
    }

    /// A message was read.
    pub(crate) fn message(&self, read: &MessageRead) {
        if let Some(metrics) = &self.metrics {
            metrics.message(read);
        }
        if let Some(hep) = self.hep.as_ref().filter(|_| self.forwarded == Forwarded::All) {
            hep.message(read);
        }
    }

    /// A call was diagnosed.
    pub(crate) fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis, selected: Selected) {
        if let Some(metrics) = &mut self.metrics {
            metrics.call(scene, call, diagnosis);
        }
        if let Some(hep) = self.hep.as_ref().filter(|_| selected == Selected::Yes) {
            if self.forwarded == Forwarded::OfChosenCalls {
                hep.messages_of(call);
            }
            hep.findings(scene, call, diagnosis);
        }
    }

    /// A plain good call has ended.
    pub(crate) fn good(&self, good: GoodCall) {
        if let Some(metrics) = &self.metrics {
            metrics.good(good);
        }
    }

    /// How far the run has come.
    pub(crate) fn so_far(&self, inputs: &[InputFacts], analysis: &Analysis) {
        let Some(metrics) = &self.metrics else { return };
        metrics.so_far(inputs, analysis);
        if let Some(hep) = &self.hep {
            metrics.dropped(Dropped::HepSend, hep.sent().dropped);
        }
        if let Some(alerts) = &self.alerts {
            metrics.dropped(Dropped::Webhook, alerts.dropped());
        }
    }

    /// So much waits to be looked at.
    pub(crate) fn behind(&self, behind: Behind) {
        if let Some(metrics) = &self.metrics {
            metrics.behind(behind);
        }
    }

    /// An incident began, goes on or is over.
    pub(crate) fn incident(&self, incident: &LiveIncident) {
        if let Some(metrics) = &self.metrics {
            match incident.state {
                State::Opened => metrics.incident_began(),
                State::Updated => {}
                State::Closed => metrics.incident_ended(),
            }
        }
        if let Some(alerts) = &self.alerts {
            alerts.tell(alert_while(incident));
        }
    }

    /// The run is over, and was told of its incidents only now.
    pub(crate) fn incidents(&self, gathered: &Gathered) {
        let Some(alerts) = &self.alerts else { return };
        for (number, incident) in (1..).zip(&gathered.incidents) {
            alerts.tell(alert_of(number, incident));
        }
    }

    /// Sends what waits, and says what was not sent.
    pub(crate) fn finish(mut self) -> Told {
        let mut told = Told::Whole;
        if let Some(hep) = &mut self.hep {
            let sent = hep.finish();
            if sent.dropped > 0 {
                told = Told::InPart;
                let target = hep.target();
                say(&format!("sipwhy: --hep-send {target}: {} sent, {} dropped", sent.sent, sent.dropped));
            }
        }
        if let Some(alerts) = &mut self.alerts {
            let (untold, why) = alerts.finish();
            if untold > 0 {
                told = Told::InPart;
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                say(&format!("sipwhy: --alert-webhook: {untold} incidents were not told{why}"));
            }
        }
        told
    }
}

/// An incident of a report as an alert that is over.
fn alert_of(number: u64, incident: &Incident) -> Alert {
    let labels = labels(incident.rule.as_deref(), incident.peer.as_deref(), incident.status);
    let annotations = annotations(&incident.title, &incident.fix, incident.calls.len() as u64);
    Alert { number, labels, annotations, began: incident.first.time, ended: Some(incident.last.time) }
}

/// An incident while it happens.
fn alert_while(incident: &LiveIncident) -> Alert {
    let labels = labels(incident.rule.as_deref(), incident.peer.as_deref(), incident.status);
    let mut annotations = annotations(&incident.title, &incident.fix, incident.count);
    annotations.insert("calls_per_minute", incident.per_minute.to_string());
    let ended = (incident.state == State::Closed).then_some(incident.last.time);
    Alert { number: incident.number.into(), labels, annotations, began: incident.first.time, ended }
}

fn labels(rule: Option<&str>, peer: Option<&str>, status: Option<u16>) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([("alertname", "SipwhyIncident".to_owned())]);
    labels.insert("rule", rule.unwrap_or("unexplained").to_owned());
    labels.extend(peer.map(|peer| ("peer", peer.to_owned())));
    labels.extend(status.map(|status| ("status", status.to_string())));
    labels
}

fn annotations(title: &Untrusted, fix: &[Untrusted], calls: u64) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::from([("summary", title.for_terminal().into_owned())]);
    annotations.insert("calls", calls.to_string());
    if !fix.is_empty() {
        let fix: Vec<_> = fix.iter().map(Untrusted::for_terminal).collect();
        annotations.insert("fix", fix.join("\n"));
    }
    annotations
}
