//! Figures for Prometheus.
//!
//! Is told of messages, calls and of the state of the run; gives a page in the OpenMetrics text format, which a thread
//! of its own serves. Every set of labels is bounded: outcomes, codes, rules and kinds are few, of peers only those
//! with most calls are told apart. A number, a name or a Call-ID is never a label.

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info};
use prometheus_client::registry::Registry;
use tiny_http::{Header, Method as HttpMethod, Request, Response, Server};

use crate::analysis::{Analysis, MessageRead};
use crate::call::{Call, GoodCall, Kind, Outcome};
use crate::capture::{Behind, InputFacts, SourceId};
use crate::cli::service::peers::{Counted, Peers};
use crate::diagnosis::Diagnosis;
use crate::error::Error;
use crate::report::{Names, Scene, Setup};

/// Upper bounds of the histograms, in seconds: around what callers notice, and where timers end.
const SECONDS: [f64; 13] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 32.0, 60.0];
/// The name of all peers that have none.
const OTHER: &str = "other";

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCall {
    outcome: &'static str,
    peer: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfExchange {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfMethod {
    method: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfCode {
    code: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfRule {
    rule: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct At {
    at: &'static str,
}

/// Where something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// On the way to the HEP server.
    HepSend,
    /// On the way to the webhook.
    Webhook,
}

/// What is counted.
#[derive(Debug, Clone, Default)]
struct Counters {
    packets: Counter,
    requests: Family<OfMethod, Counter>,
    responses: Family<OfCode, Counter>,
    calls: Family<OfCall, Counter>,
    exchanges: Family<OfExchange, Counter>,
    findings: Family<OfRule, Counter>,
    unexplained: Counter,
    incidents: Counter,
    open_incidents: Gauge,
    dropped_packets: Counter,
    dropped_records: Family<At, Counter>,
    evictions: Counter,
    oddities: Family<OfKind, Counter>,
    behind_packets: Gauge,
    behind_bytes: Gauge,
    last_packet: Gauge,
    memory: Gauge,
}

/// Counts, and serves what it counted.
pub(crate) struct Metrics {
    counters: Counters,
    alerted: Histogram,
    answered: Histogram,
    peers: Peers,
    names: Names,
}

impl Metrics {
    /// Begins to serve.
    pub(crate) fn start(listener: TcpListener, names: &Names) -> Result<Metrics, Error> {
        let (metrics, registry) = Metrics::new(names);
        let server = Server::from_listener(listener, None)
            .map_err(|error| Error::Unusable { file: "--metrics".into(), why: error.to_string() })?;
        let memory = metrics.counters.memory.clone();
        thread::spawn(move || {
            for request in server.incoming_requests() {
                memory.set(resident_bytes());
                answer(request, &registry);
            }
        });
        Ok(metrics)
    }

    fn new(names: &Names) -> (Metrics, Arc<Registry>) {
        let counters = Counters::default();
        let (alerted, answered) = (Histogram::new(SECONDS), Histogram::new(SECONDS));
        let mut registry = Registry::with_prefix("sipwhy");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        let it = &counters;
        registry.register("packets", "Packets read", it.packets.clone());
        registry.register("requests", "SIP requests on the wire, by method", it.requests.clone());
        registry.register("responses", "SIP responses on the wire, by status code", it.responses.clone());
        registry.register("calls", "Calls that ended, by outcome and peer", it.calls.clone());
        registry.register("exchanges", "Other exchanges that ended, by kind and outcome", it.exchanges.clone());
        registry.register("findings", "Findings, by rule", it.findings.clone());
        registry.register("unexplained", "Failures that no rule explains", it.unexplained.clone());
        registry.register("incidents", "Incidents that began", it.incidents.clone());
        registry.register("incidents_open", "Incidents that last", it.open_incidents.clone());
        let help = "Seconds from INVITE to the first sign of alerting, or to the answer without one";
        registry.register("call_alerted_seconds", help, alerted.clone());
        registry.register("call_answered_seconds", "Seconds from INVITE to its 2xx", answered.clone());
        let help =
            "Packets that the kernel, the interface or the HEP server's queue dropped, or that could not be read back";
        registry.register("dropped_packets", help, it.dropped_packets.clone());
        registry.register("dropped_records", "What found no room on its way out", it.dropped_records.clone());
        registry.register("evictions", "What was dropped because a limit was reached", it.evictions.clone());
        registry.register("oddities", "Imperfections of the input, by kind", it.oddities.clone());
        registry.register("waiting_packets", "Packets that arrived and wait", it.behind_packets.clone());
        registry.register("waiting_bytes", "Memory and disk that packets take which wait", it.behind_bytes.clone());
        registry.register(
            "last_packet_timestamp_seconds",
            "When the latest packet was captured",
            it.last_packet.clone(),
        );
        registry.register("memory_bytes", "Resident memory", it.memory.clone());
        let metrics = Metrics { counters, alerted, answered, peers: Peers::default(), names: names.clone() };
        (metrics, Arc::new(registry))
    }

    /// A message was read.
    pub(crate) fn message(&self, read: &MessageRead) {
        if let Some(method) = &read.method {
            self.counters.requests.get_or_create(&OfMethod { method: method.known_name().unwrap_or(OTHER) }).inc();
        } else if let Some(status) = read.status {
            self.counters.responses.get_or_create(&OfCode { code: status.get() }).inc();
        }
    }

    /// A call has ended.
    pub(crate) fn call(&mut self, scene: &Scene, call: &Call, diagnosis: &Diagnosis) {
        for finding in &diagnosis.findings {
            self.counters.findings.get_or_create(&OfRule { rule: finding.rule.to_string() }).inc();
        }
        if diagnosis.outcome.wants_a_cause() && diagnosis.cause().is_none() {
            self.counters.unexplained.inc();
        }
        let outcome = outcome_name(diagnosis.outcome);
        if call.kind != Kind::Call {
            self.counters.exchanges.get_or_create(&OfExchange { kind: kind_name(call.kind), outcome }).inc();
            return;
        }
        let peer = peer(call, diagnosis).map_or_else(|| OTHER.to_owned(), |peer| self.peer(scene, peer));
        self.counters.calls.get_or_create(&OfCall { outcome, peer }).inc();
        let setup = Setup::of(call);
        for (histogram, time) in [(&self.alerted, setup.alerted), (&self.answered, setup.answered)] {
            if let Some(time) = time {
                histogram.observe(time.as_secs_f64());
            }
        }
    }

    /// A plain good call has ended, of which nothing more is known.
    pub(crate) fn good(&self, good: GoodCall) {
        let outcome = outcome_name(good.outcome);
        match good.kind {
            Kind::Call => self.counters.calls.get_or_create(&OfCall { outcome, peer: OTHER.into() }).inc(),
            kind => self.counters.exchanges.get_or_create(&OfExchange { kind: kind_name(kind), outcome }).inc(),
        };
    }

    /// How far the run has come.
    pub(crate) fn so_far(&self, inputs: &[InputFacts], analysis: &Analysis) {
        let it = &self.counters;
        raise(&it.packets, inputs.iter().map(|input| input.packets).sum());
        raise(&it.dropped_packets, InputFacts::dropped(inputs));
        let mut kinds: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
        for (source, input) in (0..).map(SourceId).zip(inputs) {
            let counts = analysis.counts(source);
            for (kind, noted) in input.oddities.iter().chain(counts.oddities.iter()) {
                *kinds.entry(kind).or_default() += noted.count;
            }
        }
        for (kind, count) in kinds {
            if kind == "limit-hit" {
                raise(&it.evictions, count);
            }
            raise(&it.oddities.get_or_create(&OfKind { kind }), count);
        }
        let latest = inputs.iter().filter_map(|input| Some(input.first_and_last?.1)).max();
        if let Some(latest) = latest {
            it.last_packet.set(latest.0.div_euclid(1_000_000_000));
        }
    }

    /// So much waits to be looked at.
    pub(crate) fn behind(&self, behind: Behind) {
        let it = &self.counters;
        for (gauge, value) in [(&it.behind_packets, behind.packets), (&it.behind_bytes, behind.bytes)] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// So many were dropped on their way out.
    pub(crate) fn dropped(&self, at: Dropped, in_all: u64) {
        let at = match at {
            Dropped::HepSend => "hep-send",
            Dropped::Webhook => "webhook",
        };
        raise(&self.counters.dropped_records.get_or_create(&At { at }), in_all);
    }

    /// An incident began.
    pub(crate) fn incident_began(&self) {
        self.counters.incidents.inc();
        self.counters.open_incidents.inc();
    }

    /// An incident is over.
    pub(crate) fn incident_ended(&self) {
        self.counters.open_incidents.dec();
    }

    /// The label of a peer. A peer that loses its label is counted among the others from now on, with what it had.
    fn peer(&mut self, scene: &Scene, peer: IpAddr) -> String {
        let label = |names: &Names, peer: IpAddr| {
            let address = scene.privacy().of_nobody().address(peer);
            names.of(&address).map_or(address.clone(), str::to_owned)
        };
        if self.names.of(&peer.to_string()).is_some() {
            return label(&self.names, peer);
        }
        match self.peers.count(peer) {
            Counted::Own => label(&self.names, peer),
            Counted::Other => OTHER.to_owned(),
            Counted::InPlaceOf(before) => {
                let before = label(&self.names, before);
                for outcome in OUTCOMES {
                    let of_before = OfCall { outcome, peer: before.clone() };
                    let Some(calls) = self.counters.calls.get(&of_before).map(|calls| calls.get()) else { continue };
                    self.counters.calls.remove(&of_before);
                    self.counters.calls.get_or_create(&OfCall { outcome, peer: OTHER.into() }).inc_by(calls);
                }
                label(&self.names, peer)
            }
        }
    }
}

/// Who is responsible, else who was asked first.
fn peer(call: &Call, diagnosis: &Diagnosis) -> Option<IpAddr> {
    let responsible = diagnosis.cause().and_then(|cause| cause.party.address);
    let asked = || call.attempts().next().map(|attempt| attempt.path.destination);
    responsible.or_else(asked).or_else(|| call.legs.first().map(|leg| leg.path.destination)).map(|peer| peer.ip())
}

/// A counter follows a number that only grows.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// What the system says of our memory, in bytes; 0 where it does not.
fn resident_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

fn answer(request: Request, registry: &Registry) {
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    let path = request.url().split('?').next().unwrap_or_default().to_owned();
    let (status, kind, body) = match (request.method(), path.as_str()) {
        (HttpMethod::Get | HttpMethod::Head, "/metrics") => {
            let mut page = String::new();
            match encode(&mut page, registry) {
                Ok(()) => (200, METRICS, page),
                Err(error) => (500, TEXT, error.to_string()),
            }
        }
        // For those who only ask whether we live.
        (HttpMethod::Get | HttpMethod::Head, "/healthz") => (200, TEXT, "ok\n".into()),
        (HttpMethod::Get | HttpMethod::Head, _) => (404, TEXT, "the figures are at /metrics\n".into()),
        _ => (405, TEXT, "only GET\n".into()),
    };
    let mut response = Response::from_string(body).with_status_code(status);
    if let Ok(header) = Header::from_bytes("Content-Type", kind) {
        response.add_header(header);
    }
    // Who asked may be gone.
    let _ = request.respond(response);
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "call",
        Kind::Registration => "registration",
        Kind::Subscription => "subscription",
        Kind::Message => "message",
        Kind::Options => "options",
        Kind::Other => "other",
    }
}

/// Every name of an outcome.
const OUTCOMES: [&str; 10] = [
    "answered",
    "dropped",
    "failed",
    "busy",
    "cancelled",
    "redirected",
    "unanswered",
    "unfinished",
    "registered",
    "accepted",
];

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Dropped => "dropped",
        Outcome::Failed => "failed",
        Outcome::Busy => "busy",
        Outcome::Cancelled => "cancelled",
        Outcome::Redirected => "redirected",
        Outcome::Unanswered => "unanswered",
        Outcome::Unfinished => "unfinished",
        Outcome::Registered => "registered",
        Outcome::Accepted => "accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::service::peers::MOST_PEERS;

    #[test]
    fn peers_are_few_and_their_calls_are_conserved() {
        let (mut metrics, registry) = Metrics::new(&Names::default());
        let scene = Scene::default();
        for number in 0..10_000_u32 {
            // Every third call is of one of a few carriers that come late.
            let last = if number > 1000 && number % 3 == 0 { number % 7 } else { number + 100 };
            let label = metrics.peer(&scene, std::net::Ipv4Addr::from(0x0A00_0000 + last).into());
            metrics.counters.calls.get_or_create(&OfCall { outcome: "failed", peer: label }).inc();
        }
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        let calls: Vec<&str> = page.lines().filter(|line| line.starts_with("sipwhy_calls_total{")).collect();
        assert!(calls.len() <= MOST_PEERS + 1, "{} labels", calls.len());
        let sum: u64 = calls.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(sum, 10_000);
        for carrier in 0..7 {
            assert!(calls.iter().any(|line| line.contains(&format!("\"10.0.0.{carrier}\""))), "{calls:?}");
        }
    }
}
