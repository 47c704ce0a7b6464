//! From a call and its diagnosis to its record.

use std::borrow::Cow;

use crate::call::{Call, Failure, Heard, Leg, NormalStep};
use crate::catalogue::Catalogue;
use crate::diagnosis::{Comparison, Diagnosis, Difference, Finding, Half, Origin};
use crate::report::ladder;
use crate::report::record::{
    CallRecord, CatalogueRecord, ClaimRecord, DifferenceRecord, FailureRecord, FindingRecord, GoodCallRecord,
    HeaderRecord, LegRecord, OriginRecord, PartyRecord, RefutedRecord, RewrittenRecord,
};
use crate::report::scene::Scene;
use crate::report::secrets::Secrets;
use crate::sip::StatusCode;
use crate::sip::typed::{self, Because, Refusal, Strict, Typed};
use crate::untrusted::Untrusted;

/// Headers of a response that say more than its code.
const TELLING: [&str; 14] = [
    "Reason",
    "Warning",
    "Retry-After",
    "Error-Info",
    "Unsupported",
    "Require",
    "Accept",
    "Allow",
    "Min-Expires",
    "Min-SE",
    "Contact",
    "P-Asserted-Service-Info",
    "X-Asterisk-HangupCause",
    "Server",
];

/// Letters of one header's value that a record holds.
const LONGEST_VALUE: usize = 2000;
/// Lines of one header that a record holds.
const MOST_LINES: usize = 8;

impl Scene {
    /// The record of a call.
    pub fn record(&self, call: &Call, diagnosis: &Diagnosis) -> CallRecord {
        self.record_without(call, diagnosis, &self.privacy().of(call))
    }

    /// The record of a call, of which this is to be hidden.
    pub(crate) fn record_without(&self, call: &Call, diagnosis: &Diagnosis, secrets: &Secrets) -> CallRecord {
        let findings: Vec<FindingRecord> =
            diagnosis.findings.iter().map(|finding| self.finding(finding, secrets)).collect();
        let first = call.messages.first();
        let opening = opening(call);
        let request = call.messages.iter().find(|heard| heard.message.is_request());
        // A request of the other side, later in the dialog, does not say what the call was opened with.
        let is_of_opener = |heard: &&Heard| opening.is_none_or(|opening| is_of_same_caller(heard, opening));
        let request = request.filter(is_of_opener);
        let uri = |uri: Option<String>| uri.map(|uri| secrets.hide(&uri).into());
        let cause = diagnosis.cause().map(|finding| finding.rule.to_string());
        let source = first.map(|heard| heard.place.source).unwrap_or_default();
        CallRecord {
            id: call.number,
            kind: call.kind,
            call_ids: call.legs.iter().map(|leg| secrets.hide_in(&Untrusted::from_bytes(&leg.call_id))).collect(),
            from: uri(opening.and_then(|heard| heard.message.from()).map(|from| from.uri)),
            to: uri(opening.and_then(|heard| heard.message.to()).map(|to| to.uri)),
            request_uri: uri(request.and_then(|heard| heard.message.request_uri()).map(|uri| uri.into_owned())),
            started: self.moment_in(source, call.started()),
            ended: self.moment_in(source, call.ended()),
            outcome: diagnosis.outcome,
            final_status: call.final_status.map(StatusCode::get),
            unexplained: cause.is_none() && diagnosis.outcome.wants_a_cause(),
            cause,
            legs: call.legs.iter().map(|one| leg(call, one, secrets)).collect(),
            failures: call.failures.iter().map(|failure| self.failure(call, diagnosis, failure, secrets)).collect(),
            findings,
            ladder: ladder::rungs(self, call, diagnosis, secrets),
            messages_not_kept: call.not_kept,
            generated_by: diagnosis.origin.as_ref().map(|origin| self.origin(origin, secrets)),
            good_call: diagnosis.good_call.as_ref().map(|good| self.good_call(good, secrets)),
        }
    }

    /// The record of a finding about the capture.
    pub fn note(&self, finding: &Finding) -> FindingRecord {
        self.finding(finding, &self.privacy().of_nobody())
    }

    /// The record of a finding about a call, of which this is to be hidden.
    pub(crate) fn finding(&self, finding: &Finding, secrets: &Secrets) -> FindingRecord {
        let secrets = &*match finding.names.as_slice() {
            [] => Cow::Borrowed(secrets),
            names => Cow::Owned(secrets.naming(names)),
        };
        let claims = finding.claims.iter().map(|claim| ClaimRecord {
            frame: self.frame(claim.place),
            field: claim.field.clone(),
            value: shortened(&secrets.hide(claim.value.raw())),
            says: secrets.hide_in_sentence(&claim.says),
        });
        let refuted = finding
            .refuted
            .iter()
            .map(|refuted| RefutedRecord { rule: refuted.rule.clone(), why: secrets.hide_in_sentence(&refuted.why) });
        FindingRecord {
            rule: finding.rule.to_string(),
            id: finding.id.to_string(),
            title: secrets.hide_in_sentence(&finding.title),
            confidence: finding.confidence,
            severity: finding.severity,
            party: PartyRecord {
                role: finding.party.role,
                addr: finding.party.address.map(|address| secrets.party(address)),
                agent: finding.party.agent.as_ref().map(|agent| secrets.hide_in(agent)),
            },
            status: finding.status.map(StatusCode::get),
            explanation: secrets.hide_in_sentence(&finding.explanation),
            fix: finding.fix.iter().map(|step| secrets.hide_in_sentence(step)).collect(),
            claims: claims.collect(),
            refuted: refuted.collect(),
            next_capture: finding.next_capture.as_ref().map(|command| secrets.hide_in(command)),
            rfc: finding.rfc.to_vec(),
        }
    }

    fn origin(&self, origin: &Origin, secrets: &Secrets) -> OriginRecord {
        OriginRecord {
            frame: self.frame(origin.place),
            status: origin.status.get(),
            addr: secrets.socket(origin.sender),
            agent: origin.agent.as_ref().map(|agent| secrets.hide_in(agent)),
            made_by: origin.made_by,
            confidence: origin.confidence,
            grounds: origin.grounds.iter().map(|ground| secrets.hide_in_sentence(ground)).collect(),
            rewritten: origin.rewritten.as_ref().map(|other| RewrittenRecord {
                frame: self.frame(other.place),
                status: other.status.get(),
                addr: secrets.socket(other.by),
            }),
        }
    }

    fn good_call(&self, good: &Comparison, secrets: &Secrets) -> GoodCallRecord {
        let claim = |half: &Half, says: &str| {
            let (field, value) = half.claim.clone()?;
            let value = shortened(&secrets.hide(value.raw()));
            Some(ClaimRecord { frame: self.frame(half.place), field, value, says: says.into() })
        };
        let record = |one: &Difference| DifferenceRecord {
            what: one.what.clone(),
            here: secrets.hide_in(&one.here.has),
            there: secrets.hide_in(&one.there.has),
            claims: [claim(&one.here, "the call that failed"), claim(&one.there, "the call that was accepted")]
                .into_iter()
                .flatten()
                .collect(),
        };
        GoodCallRecord {
            frame: self.frame(good.place),
            time: self.moment(good.place),
            call_id: secrets.hide_in(&good.call_id),
            from_addr: secrets.socket(good.path.0),
            to_addr: secrets.socket(good.path.1),
            differences: good.differences.iter().map(record).collect(),
        }
    }

    fn failure(&self, call: &Call, diagnosis: &Diagnosis, failure: &Failure, secrets: &Secrets) -> FailureRecord {
        let response = call.message(failure.response);
        let transaction = call.transaction(failure.transaction);
        let request = call.request_of(transaction);
        let strictly = |heard: &Heard| discreetly(typed::read(&heard.message), secrets);
        // That a later guess was right makes no refused one harmless.
        let is_guess = diagnosis.findings.iter().any(|finding| finding.rule == "credential-guessing");
        let normal = failure.normal.filter(|step| !(is_guess && *step == NormalStep::LaterTryAnswered));
        let judged = normal.is_none();
        FailureRecord {
            frame: self.frame(response.place),
            time: self.moment(response.place),
            method: transaction.method.name().into(),
            status: failure.status.get(),
            reason_phrase: secrets.hide(&response.message.reason_phrase()).into(),
            from_addr: secrets.socket(response.path.source),
            to_addr: secrets.socket(response.path.destination),
            normal: normal.is_some(),
            catalogue: catalogue_record(self.catalogue(), failure.status),
            normal_step: normal,
            headers: telling_headers(response, secrets),
            strict: judged.then(|| strictly(response)),
            strict_request: request.filter(|_| judged).map(strictly),
        }
    }
}

/// The message that tells who calls whom: one that opens the call, which has no To tag but in a response that is not
/// the first (RFC 3261 §12.1.1); else its first request, and where none is in the capture, its first message.
fn opening(call: &Call) -> Option<&Heard> {
    let first = call.messages.first()?;
    let opens = |heard: &&Heard| {
        heard.leg == first.leg && heard.message.tag_of_to().is_empty() && !heard.message.has_cut_head()
    };
    let request = || call.messages.iter().find(|heard| heard.message.is_request());
    call.messages.iter().find(opens).or_else(request).or(Some(first))
}

/// True if From of both messages names the same side of the dialog.
fn is_of_same_caller(one: &Heard, other: &Heard) -> bool {
    one.leg != other.leg || one.message.tag_of_from() == other.message.tag_of_from()
}

/// What the strict parser says, secrets and persons hidden.
fn discreetly(strict: Strict, secrets: &Secrets) -> Strict {
    let hidden = |text: Option<Untrusted>| text.map(|text| secrets.hide_in(&text));
    match strict {
        Strict::Read(typed) => Strict::Read(Typed {
            call_id: secrets.hide_in(&typed.call_id),
            from_tag: hidden(typed.from_tag),
            to_tag: hidden(typed.to_tag),
            branch: hidden(typed.branch),
            ..typed
        }),
        Strict::Refused(refusal) => {
            let because = match refusal.because {
                Because::BrokenMessage(why) => Because::BrokenMessage(secrets.hide(&why)),
                Because::ParserGap(why) => Because::ParserGap(secrets.hide(&why)),
                Because::CutMessage => Because::CutMessage,
            };
            Strict::Refused(Refusal { says: secrets.hide_in(&refusal.says), because })
        }
    }
}

fn leg(call: &Call, leg: &Leg, secrets: &Secrets) -> LegRecord {
    let of_leg = || call.messages.iter().filter(|heard| heard.leg == leg.id);
    let is_whole = |heard: &Heard| !heard.message.has_cut_call_id() && heard.message.call_id() == &*leg.call_id;
    let is_cut = of_leg().any(|heard| heard.message.has_cut_call_id()) && !of_leg().any(is_whole);
    LegRecord {
        call_id: secrets.hide_in(&Untrusted::from_bytes(&leg.call_id)),
        call_id_is_cut: is_cut,
        from_addr: secrets.socket(leg.path.source),
        to_addr: secrets.socket(leg.path.destination),
        transport: leg.path.transport.name().to_owned(),
        linked_by: leg.linked_by.as_ref().map(|by| secrets.hide(&by.words()).into()),
    }
}

fn catalogue_record(catalogue: &Catalogue, status: StatusCode) -> Option<CatalogueRecord> {
    let entry = catalogue.entry(status.get())?;
    Some(CatalogueRecord {
        code: entry.code,
        name: entry.name.clone(),
        class: entry.class().key().to_owned(),
        description: entry.description.clone(),
        when: entry.when.clone(),
        fix: entry.fix.clone(),
        reference: entry.reference.clone(),
    })
}

fn telling_headers(response: &Heard, secrets: &Secrets) -> Vec<HeaderRecord> {
    let mut headers = Vec::new();
    for name in TELLING {
        for line in response.message.header_lines(name).take(MOST_LINES) {
            headers.push(HeaderRecord { name: name.to_owned(), value: shortened(&secrets.hide(&line)) });
        }
    }
    headers
}

/// A value that is no longer than a record holds; what is cut off is told.
fn shortened(value: &str) -> Untrusted {
    match value.char_indices().nth(LONGEST_VALUE) {
        None => value.into(),
        Some((end, _)) => format!("{}… ({} B)", value.get(..end).unwrap_or_default(), value.len()).into(),
    }
}
