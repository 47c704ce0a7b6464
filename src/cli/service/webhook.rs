//! Tells incidents to Alertmanager, or to whoever reads its JSON (version 2 of its interface).
//!
//! A thread of its own sends: the first alert at once, then all that changed at most once in ten seconds, and again
//! each minute what still lasts, because an alert of which nothing is heard is taken for over. What cannot be delivered
//! is tried again with growing pauses; of each incident only the latest word waits, and of incidents only so many.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use ureq::Agent;

use crate::capture::{Digits, Timestamp};
use crate::cli::service::hep_send::Pace;
use crate::error::Error;

/// At least so much time lies between two requests.
const GAP: Duration = Duration::from_secs(10);
/// What lasts is told again after so long.
const AGAIN: Duration = Duration::from_secs(60);
/// An alert of which nothing more is heard is over after so long.
const OVER_AFTER: Duration = Duration::from_secs(300);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of a run without end waits for the last one; with files it may take as long as any.
const LAST_WAIT: Duration = Duration::from_millis(600);
/// How often it is looked whether the last one has been told.
const GLANCE: Duration = Duration::from_millis(5);
/// Incidents that wait to be told.
const MOST_WAITING: usize = 1000;
/// Incidents told in one request.
const MOST_AT_ONCE: usize = 200;

/// What is told of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// Its number: a later word of the same number takes the place of an earlier one.
    pub(crate) number: u64,
    /// What Alertmanager knows it by and routes it by: never a number, a name or a Call-ID.
    pub(crate) labels: BTreeMap<&'static str, String>,
    /// What people read.
    pub(crate) annotations: BTreeMap<&'static str, String>,
    /// When it began.
    pub(crate) began: Timestamp,
    /// When it ended, if it has.
    pub(crate) ended: Option<Timestamp>,
}

/// One alert as it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a BTreeMap<&'static str, String>,
    annotations: &'a BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
}

/// Tells incidents.
pub(crate) struct Alerts {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    last_wait: Duration,
}

/// What both threads know.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<u64, Alert>,
    lasting: BTreeMap<u64, Alert>,
    dropped: u64,
    /// What the last request failed with.
    failure: Option<String>,
    is_closed: bool,
}

impl Alerts {
    /// Begins to tell.
    pub(crate) fn start(url: &str, pace: Pace) -> Result<Alerts, Error> {
        let wrong = |why: &str| Error::Usage(format!("--alert-webhook {url}: {why}"));
        let uri: ureq::http::Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong("it needs the form http://HOST:PORT/PATH or https://…"));
        }
        if cfg!(not(feature = "https")) && uri.scheme_str() == Some("https") {
            return Err(wrong("this program was built without HTTPS; send to a local collector over http"));
        }
        let shared = Arc::new(Shared::default());
        let thread = {
            let (shared, url) = (Arc::clone(&shared), url.to_owned());
            thread::spawn(move || shared.tell_all(&url))
        };
        let last_wait = if pace == Pace::Drops { LAST_WAIT } else { PATIENCE + LAST_WAIT };
        Ok(Alerts { shared, thread: Some(thread), last_wait })
    }

    /// Has something to tell of an incident.
    pub(crate) fn tell(&self, alert: Alert) {
        let mut state = self.shared.lock();
        if state.waiting.len() >= MOST_WAITING && !state.waiting.contains_key(&alert.number) {
            state.dropped += 1;
            return;
        }
        state.waiting.insert(alert.number, alert);
        self.shared.changed.notify_all();
    }

    /// Incidents of which nothing could be told.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Tells what waits, and ends. Gives how many were not told, and why.
    pub(crate) fn finish(&mut self) -> (u64, Option<String>) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let until = Instant::now() + self.last_wait;
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(GLANCE);
            }
        }
        let state = self.shared.lock();
        (state.dropped + state.waiting.len() as u64, state.failure.clone())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_all(&self, url: &str) {
        let agent = agent(url);
        let (mut not_before, mut pause) = (Instant::now(), GAP);
        let mut again_at = Instant::now() + AGAIN;
        while let Some((alerts, is_last)) = self.next(not_before, &mut again_at) {
            let told = post(&agent, url, &alerts);
            pause = if told.is_ok() { GAP } else { LONGEST_PAUSE.min(pause * 2) };
            not_before = Instant::now() + pause;
            self.note(alerts, told);
            if is_last {
                return;
            }
        }
    }

    /// Waits until there is something to tell and it may be told; `None` at the end. The last time nothing is waited
    /// for.
    fn next(&self, not_before: Instant, again_at: &mut Instant) -> Option<(Vec<Alert>, bool)> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if now >= *again_at {
                *again_at = now + AGAIN;
                let State { waiting, lasting, .. } = &mut *state;
                for (number, alert) in lasting.iter() {
                    waiting.entry(*number).or_insert_with(|| alert.clone());
                }
            }
            let is_due = !state.waiting.is_empty() && now >= not_before;
            if is_due || state.is_closed {
                let alerts: Vec<Alert> = state.waiting.values().take(MOST_AT_ONCE).cloned().collect();
                alerts.iter().for_each(|alert| drop(state.waiting.remove(&alert.number)));
                return (!alerts.is_empty()).then_some((alerts, state.is_closed));
            }
            let next = if state.waiting.is_empty() { *again_at } else { not_before.min(*again_at) };
            let wait = next.saturating_duration_since(now).max(Duration::from_millis(1));
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Keeps what lasts, and what was not told unless there is a later word of it.
    fn note(&self, alerts: Vec<Alert>, told: Result<(), String>) {
        let mut state = self.lock();
        let failed = told.is_err();
        state.failure = told.err();
        for alert in alerts {
            if failed {
                state.waiting.entry(alert.number).or_insert(alert);
            } else if alert.ended.is_some() {
                state.lasting.remove(&alert.number);
            } else {
                state.lasting.insert(alert.number, alert);
            }
        }
    }
}

fn agent(url: &str) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .user_agent(concat!("sipwhy/", env!("CARGO_PKG_VERSION")));
    #[cfg(feature = "https")]
    let config = config.tls_config(tls::config(url));
    #[cfg(not(feature = "https"))]
    let _ = url;
    config.build().into()
}

#[cfg(feature = "https")]
mod tls {
    use std::sync::Arc;

    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    /// Whom the system trusts is trusted, so that a collector of one's own needs no option here.
    pub(super) fn config(url: &str) -> TlsConfig {
        let found = if url.starts_with("https") { rustls_native_certs::load_native_certs().certs } else { Vec::new() };
        let trusted: Vec<_> = found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&trusted))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build()
    }
}

fn post(agent: &Agent, url: &str, alerts: &[Alert]) -> Result<(), String> {
    let body = serde_json::to_vec(&posted(alerts)).map_err(|error| error.to_string())?;
    let sent = agent.post(url).header("Content-Type", "application/json").send(&body[..]);
    let response = sent.map_err(|error| error.to_string())?;
    if response.status().is_success() { Ok(()) } else { Err(format!("the answer was {}", response.status())) }
}

fn posted<'a>(alerts: &'a [Alert]) -> Vec<Posted<'a>> {
    let now = Timestamp::default().plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let posted = |alert: &'a Alert| {
        let Alert { labels, annotations, began, ended, .. } = alert;
        let ends = ended.unwrap_or(now.plus(OVER_AFTER));
        let (starts_at, ends_at) = (began.rfc3339(Digits::Micro), ends.rfc3339(Digits::Micro));
        Posted { labels, annotations, starts_at, ends_at }
    };
    alerts.iter().map(posted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(number: u64, ended: Option<Timestamp>) -> Alert {
        let labels = BTreeMap::from([("alertname", "SipwhyIncident".to_owned())]);
        Alert { number, labels, annotations: BTreeMap::new(), began: Timestamp(0), ended }
    }

    #[test]
    fn an_alert_has_the_keys_that_alertmanager_reads() {
        let alerts = [alert(1, Some(Timestamp(60_000_000_000)))];
        let json = serde_json::to_value(posted(&alerts)).unwrap();
        let wanted = serde_json::json!([{
            "labels": {"alertname": "SipwhyIncident"},
            "annotations": {},
            "startsAt": "1970-01-01T00:00:00.000000Z",
            "endsAt": "1970-01-01T00:01:00.000000Z",
        }]);
        assert_eq!(json, wanted);
    }

    #[test]
    fn what_is_not_delivered_waits_within_bounds_and_the_end_does_not_wait() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut alerts = Alerts::start(&format!("http://{nobody}/"), Pace::Drops).unwrap();
        for number in 0..2000 {
            alerts.tell(alert(number, None));
        }
        let begun = Instant::now();
        let (untold, failure) = alerts.finish();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(untold >= 2000 - MOST_AT_ONCE as u64, "{untold}");
        assert!(failure.is_some());
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        for wrong in ["localhost:9093", "ftp://localhost/", "http://", "no url"] {
            assert!(Alerts::start(wrong, Pace::Drops).err().is_some_and(|error| error.exit_status() == 2), "{wrong}");
        }
    }
}
