//! The ladder of a call as a value: its messages and the ICMP errors that quote them, in order of place.

use std::collections::BTreeSet;

use crate::call::{Call, Heard, IcmpSeen, Transaction, TransactionId};
use crate::capture::Place;
use crate::diagnosis::Diagnosis;
use crate::net::IcmpCode;
use crate::report::record::Rung;
use crate::report::scene::Scene;
use crate::report::secrets::Secrets;
use crate::sip::sdp::Sdp;
use crate::untrusted::Untrusted;

/// Codecs that one rung names at most.
const MOST_CODECS: usize = 12;

/// Requests that wait for their responses at one time, at most.
const MOST_WAITING: usize = 32;

/// What a rung shows: a message, or an ICMP error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    place: Place,
    /// The message; `None` for an ICMP error.
    pub(crate) heard: Option<&'a Heard>,
    icmp: Option<&'a IcmpSeen>,
}

/// What the rungs of a call show, in their order.
pub(crate) fn steps(call: &Call) -> Vec<Step<'_>> {
    let of_messages = call.messages.iter().map(|heard| Step { place: heard.place, heard: Some(heard), icmp: None });
    let of_icmp = call.icmp.iter().map(|icmp| Step { place: icmp.place, heard: None, icmp: Some(icmp) });
    let mut steps: Vec<Step<'_>> = of_messages.chain(of_icmp).collect();
    steps.sort_by_key(|step| step.place);
    steps
}

/// The rungs of a call.
pub(crate) fn rungs(scene: &Scene, call: &Call, diagnosis: &Diagnosis, secrets: &Secrets) -> Vec<Rung> {
    let overlapping = overlapping(call);
    let of_step = |step: Step<'_>| match (step.heard, step.icmp) {
        (Some(heard), _) => {
            let transaction = call.transaction(heard.transaction);
            let is_plain = heard.message.is_request() || !overlapping.contains(&transaction.id);
            let answers = (!is_plain).then(|| transaction.method.name().into());
            Some(Rung { answers, ..of_message(scene, heard, diagnosis, secrets) })
        }
        (None, icmp) => icmp.map(|icmp| of_icmp(scene, icmp, diagnosis, secrets)),
    };
    steps(call).into_iter().filter_map(of_step).collect()
}

/// Transactions whose responses a reader of the ladder could take for those of another: both waited on the same hop at
/// one time. Those of the method that opened the call are what a response is taken for, and need no word.
fn overlapping(call: &Call) -> BTreeSet<TransactionId> {
    let opening = call.transactions.first().map(|transaction| &transaction.method);
    let mut waiting: Vec<&Transaction> = Vec::new();
    let mut overlapping = BTreeSet::new();
    let mut sent: Vec<&Transaction> = call.transactions.iter().filter(|one| one.request.is_some()).collect();
    sent.sort_by_key(|one| one.request);
    for transaction in sent {
        let Some(request) = call.request_of(transaction) else { continue };
        let waits = |other: &&Transaction| {
            other.finals.first().is_none_or(|response| call.message(*response).place > request.place)
        };
        waiting.retain(waits);
        for other in waiting.iter().filter(|other| other.path == transaction.path) {
            overlapping
                .extend([transaction, other].into_iter().filter(|one| Some(&one.method) != opening).map(|one| one.id));
        }
        waiting.push(transaction);
        // What never gets an answer does not wait for ever.
        if waiting.len() > MOST_WAITING {
            waiting.remove(0);
        }
    }
    overlapping
}

fn of_message(scene: &Scene, heard: &Heard, diagnosis: &Diagnosis, secrets: &Secrets) -> Rung {
    Rung {
        frame: scene.frame(heard.place),
        time: scene.moment(heard.place),
        from_addr: secrets.socket(heard.path.source),
        to_addr: secrets.socket(heard.path.destination),
        label: label(heard, secrets),
        status: heard.message.status().map(|status| status.get()),
        repeats: heard.repeated,
        findings: cited(diagnosis, heard.place),
        repeated_until: (heard.repeated > 0).then(|| scene.moment(heard.last_place())),
        codecs: codecs(heard),
        answers: None,
    }
}

fn of_icmp(scene: &Scene, icmp: &IcmpSeen, diagnosis: &Diagnosis, secrets: &Secrets) -> Rung {
    let IcmpCode { version6, kind, code } = icmp.what;
    let version = if version6 { "ICMPv6" } else { "ICMP" };
    let says = icmp.what.name().map_or_else(|| format!("type {kind} code {code}"), str::to_owned);
    Rung {
        frame: scene.frame(icmp.place),
        time: scene.moment(icmp.place),
        from_addr: secrets.address(icmp.reporter),
        to_addr: secrets.socket(icmp.quoted.source),
        label: format!("{version} {says}").into(),
        status: None,
        repeats: 0,
        findings: cited(diagnosis, icmp.place),
        repeated_until: None,
        codecs: Vec::new(),
        answers: None,
    }
}

fn label(heard: &Heard, secrets: &Secrets) -> Untrusted {
    let message = &heard.message;
    match message.method() {
        Some(method) => method.name().into(),
        None => {
            let code = message.status_text().unwrap_or_default();
            let phrase = message.reason_phrase();
            secrets.hide(format!("{code} {phrase}").trim()).into()
        }
    }
}

fn codecs(heard: &Heard) -> Vec<Untrusted> {
    let Some(sdp) = Sdp::of(&heard.message) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for codec in sdp.media.iter().flat_map(|media| media.main_codecs()) {
        if names.len() < MOST_CODECS && !names.contains(&codec.name) {
            names.push(codec.name);
        }
    }
    names.into_iter().map(Untrusted::from).collect()
}

/// The rules whose findings cite a frame.
fn cited(diagnosis: &Diagnosis, place: Place) -> Vec<String> {
    diagnosis
        .findings
        .iter()
        .filter(|finding| {
            finding.claims.iter().any(|claim| (claim.place.source, claim.place.frame) == (place.source, place.frame))
        })
        .map(|finding| finding.rule.to_string())
        .collect()
}
