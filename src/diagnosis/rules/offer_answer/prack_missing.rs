use std::net::{IpAddr, SocketAddr};

use crate::call::{Heard, Transaction};
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::dialogs::to_tag;
use crate::diagnosis::options::{knows_option, names_option};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::cseq_regressed::is_refused_for_number;
use crate::diagnosis::targets::{CONTACT, FirstHop, RECORD_ROUTE, address, has_passed_proxy};
use crate::diagnosis::words::{destination_field, is_private, length};
use crate::diagnosis::{Asked, Case, Confidence, Finding, Role};
use crate::sip::{Method, StatusCode};

rule! {
    /// A reliable provisional response was never confirmed with PRACK.
    ///
    /// ## What it says
    /// The callee's side sent a 1xx that must be confirmed, repeated it, got no PRACK or refused the one that it got,
    /// and gave the call up.
    ///
    /// ## Why it happens
    /// The caller's side offers 100rel and does not really support it, or its PRACK goes to an address that does not
    /// arrive. Or the callee's side is at fault: it sends reliably although the INVITE does not offer 100rel, refuses
    /// the PRACK that it has asked for, or names a Contact at which PRACK does not reach it. Or a proxy names such an
    /// address in Record-Route.
    ///
    /// ## Evidence
    /// A 1xx with `Require: 100rel` and RSeq, repeated at doubling intervals, no PRACK with that number that is
    /// accepted, and a final failure or the end after about 32 s.
    ///
    /// ## How to fix
    /// Switch 100rel off on one side, or let the caller's side send PRACK to the Contact of the 1xx. Where it did so,
    /// let the callee's side name a Contact, or the proxy a Record-Route, that can be reached.
    ///
    /// ## When it would be wrong
    /// If PRACK goes another way than past the capture. Where none is seen, and the 1xx was not repeated any more when
    /// its next copy was due, one came that way, and nothing is said.
    ///
    /// ## References
    /// RFC 3262 §3, §4; RFC 3261 §12.1.1, §12.2.1.1
    "D15" "prack-missing" needs [PROVISIONAL], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    if case.call.is_answered() {
        return None;
    }
    let seen = Unconfirmed::of(case)?;
    // Where the capture lacks a request of the caller's side that came after it, that may be the PRACK.
    let may_be_unseen = seen.prack.is_none() && case.lacks_requests_after(seen.invite, seen.response.place);
    if seen.has_ceased() || may_be_unseen {
        return None; // Something ended the repetition.
    }
    if seen.refused.is_some_and(|prack| is_refused_for_number(case, prack)) {
        return None; // cseq-regressed: who refused it is right.
    }
    let (role, culprit) = seen.culprit(case);
    let finding = Finding::of(&RULE, seen.confidence(case))
        .explains(seen.end.and_then(|end| end.message.status()))
        .party(role, Some(culprit))
        .because(seen.explanation());
    let finding = seen.steps().into_iter().fold(finding, Finding::fix);
    Some(
        seen.prove(finding)
            .refuted("server-fault", "the failure follows the missing PRACK")
            .refuted("ring-timeout", "the provisional response was repeated until the end"),
    )
}

/// A reliable 1xx that its sender repeated in vain, and what came of it.
struct Unconfirmed<'a> {
    invite: &'a Heard,
    response: &'a Heard,
    /// The same, as it came to the one who was to confirm it.
    told: &'a Heard,
    status: StatusCode,
    /// Its RSeq.
    number: String,
    /// The final response to the INVITE.
    end: Option<&'a Heard>,
    /// The last PRACK with its number.
    prack: Option<&'a Heard>,
    /// How that one was refused.
    refusal: Option<&'a Heard>,
    /// The transaction of that.
    refused: Option<&'a Transaction>,
    /// A PRACK with another number.
    other: Option<&'a Heard>,
    astray: Option<Astray<'a>>,
    /// True if the INVITE does not offer 100rel.
    is_unoffered: bool,
}

impl<'a> Unconfirmed<'a> {
    fn of(case: &Case<'a>) -> Option<Unconfirmed<'a>> {
        let (transaction, response) = unconfirmed(case)?;
        let invite = case.call.request_of(transaction)?;
        let asked = prack_of(case, response);
        let refusal = asked.and_then(|asked| case.finals(asked.transaction).last());
        let prack = asked.map(|asked| asked.request);
        Some(Unconfirmed {
            invite,
            response,
            told: case.as_told(response),
            status: response.message.status()?,
            number: response.message.header("RSeq")?.into_owned(),
            end: case.call.final_of(transaction),
            prack,
            refusal,
            refused: asked.filter(|_| refusal.is_some()).map(|asked| asked.transaction),
            other: prack_with_other_number(case, transaction, response),
            astray: prack.filter(|_| refusal.is_none()).and_then(|prack| Astray::of(case, response, prack)),
            is_unoffered: !offers_reliability(invite),
        })
    }

    fn confidence(&self, case: &Case<'_>) -> Confidence {
        let (client, server) = (self.invite.path.source.ip(), self.invite.path.destination.ip());
        match self.end {
            Some(_) if case.is_visible(client, server) => Confidence::Likely,
            _ => case.absence_of_answer(self.response),
        }
    }

    /// True if no PRACK is in the capture, and the response was not repeated any more when the next copy was long due:
    /// its sender doubles the interval until a PRACK comes (RFC 3262 §3), so it got one by another way.
    fn has_ceased(&self) -> bool {
        let repeats = &self.response.repeats;
        let before_last = repeats.iter().rev().nth(1).copied().unwrap_or(self.response.place);
        let last = self.response.last_place().time;
        let is_long_due = |end: &Heard| end.place.time.since(last) > last.since(before_last.time) * 5 / 2;
        self.prack.is_none() && self.other.is_none() && self.end.is_some_and(is_long_due)
    }

    /// Who sent the response, and who was to confirm it.
    fn sides(&self) -> (SocketAddr, SocketAddr) {
        (self.response.path.source, self.told.path.destination)
    }

    fn culprit(&self, case: &Case<'_>) -> (Role, SocketAddr) {
        let (server, client) = self.sides();
        match &self.astray {
            _ if self.is_of_server() => (case.role_of_responder(self.response), server),
            Some(astray) if astray.is_of_proxy() => (Role::Proxy, astray.server()),
            Some(astray) => (case.role_of_responder(astray.written), astray.server()),
            None => self.held_back().map_or((Role::Uac, client), |proxy| (Role::Proxy, proxy)),
        }
    }

    /// The proxy that passed the response on, got the PRACK to it, and sent none further.
    fn held_back(&self) -> Option<SocketAddr> {
        let came = self.prack.filter(|_| self.refusal.is_none())?.path.destination;
        (came != self.response.path.source && came == self.told.path.source).then_some(came)
    }

    /// Who asks for a PRACK must take the one that is in the same dialog; and may ask only who offers it.
    fn is_of_server(&self) -> bool {
        let is_own_dialog = self.prack.is_some_and(|prack| to_tag(prack) == to_tag(self.response));
        self.is_unoffered || self.refusal.is_some() && is_own_dialog && !self.is_challenged()
    }

    /// True if the PRACK was refused for want of credentials.
    fn is_challenged(&self) -> bool {
        self.refusal.and_then(|refusal| refusal.message.status()).is_some_and(StatusCode::is_challenge)
    }

    fn explanation(&self) -> String {
        let Unconfirmed { response, status, number, .. } = self;
        let (server, _) = self.sides();
        let none = match (self.refusal, self.other) {
            (Some(_), _) => "no PRACK that it takes",
            (None, Some(_)) => "no PRACK with that number",
            (None, None) => "no PRACK",
        };
        let ended = match self.end.and_then(|end| end.message.status()) {
            Some(status) => format!(" and gave the call up with {status}"),
            None => String::new(),
        };
        let unoffered = match self.is_unoffered {
            true => format!(" The INVITE does not offer 100rel, so {server} must not send it reliably (RFC 3262 §3)."),
            false => String::new(),
        };
        format!(
            "{server} sent {status} reliably (RSeq {number}) and repeated it {} times within {}; it got \
             {none}{ended}.{}{unoffered}",
            response.repeated,
            length(response.last_place().time.since(response.place.time)),
            self.sent_instead()
        )
    }

    /// What was sent of PRACKs, and what became of it.
    fn sent_instead(&self) -> String {
        match (self.prack, self.refusal, self.other) {
            (Some(prack), Some(refusal), _) => format!(
                " {} did send it, and {} refused it with {}.",
                prack.path.source,
                refusal.path.source,
                refusal.message.status().map(|status| status.to_string()).unwrap_or_default()
            ),
            (Some(prack), None, _) => sent_in_vain(prack, self.response.path.source, self.astray.as_ref()),
            (None, _, Some(other)) => format!(
                " {} sent one with RAck {:?}, which is not its number.",
                other.path.source,
                other.message.header("RAck").unwrap_or_default()
            ),
            (None, _, None) => String::new(),
        }
    }

    /// What to do, most likely first.
    fn steps(&self) -> Vec<String> {
        [Some(self.cure()), self.further_step()].into_iter().flatten().collect()
    }

    fn cure(&self) -> String {
        let (server, client) = self.sides();
        match &self.astray {
            _ if self.is_unoffered => format!(
                "Let {server} send provisional responses reliably only where Supported or Require of the INVITE names \
                 100rel."
            ),
            Some(astray) => astray.cure(self.prack.map_or(client, |prack| prack.path.source)),
            None => format!("Switch 100rel off on {client} (no Supported: 100rel), or on {server}."),
        }
    }

    fn further_step(&self) -> Option<String> {
        let (status, (_, client)) = (self.status, self.sides());
        Some(match (self.refusal, self.other) {
            (Some(_), _) if self.is_challenged() => format!("Let {client} answer the challenge with credentials."),
            (Some(refusal), _) => format!(
                "Look at {} for why it refuses a PRACK with the number of the {status}, for which it has asked itself.",
                refusal.path.source
            ),
            (None, _) if self.is_unoffered => return None,
            (None, _) if self.astray.as_ref().is_some_and(|astray| astray.hop.is_of_proxy()) => return None,
            (None, _) if self.astray.is_some() => {
                "Or let a proxy with Record-Route, or an SBC, stand between them. Without 100rel the ACK to an answer \
                 would go the same way."
                    .to_owned()
            }
            (None, Some(_)) => format!("Let {client} put RSeq and CSeq of the {status} into RAck (RFC 3262 §7.2)."),
            (None, None) => match self.prack.filter(|prack| self.went_as_it_must(prack)) {
                Some(prack) => format!(
                    "See at {} whether the PRACK arrives there, and where it goes on to.",
                    prack.path.destination
                ),
                None => {
                    let is_recorded = self.response.message.header(RECORD_ROUTE).is_some();
                    let way = if is_recorded { ", by way of its Record-Routes" } else { "" };
                    format!(
                        "If {client} does send PRACK, look where it goes: it must go to the Contact of the \
                         {status}{way}."
                    )
                }
            },
        })
    }

    /// True if a PRACK went where the response asks for.
    fn went_as_it_must(&self, prack: &Heard) -> bool {
        let hop = FirstHop::named_in(self.response).filter(|hop| hop.is_followed_by(prack));
        hop.is_some_and(|hop| address(&hop.uri) == Some(prack.path.destination.ip()))
    }

    fn prove(&self, finding: Finding) -> Finding {
        let response = self.response;
        let mut finding = finding
            .claim_status(response, "a provisional response that must be confirmed")
            .claim(response, "sip.RSeq", self.number.clone(), "its number")
            .claim_header(response, "Require", "it must be confirmed");
        if let Some(last) = response.repeats.last() {
            finding = finding.claim_at(*last, "sip.RSeq", self.number.clone(), "its last copy");
        }
        if self.is_unoffered {
            finding = finding.claim_header(self.invite, "Supported", "what the caller's side offers");
        }
        finding = self.claim_prack(finding);
        if let Some(other) = self.other {
            finding = finding.claim_header(other, "RAck", "a PRACK with another number");
        }
        match self.end {
            Some(end) => finding.claim_status(end, "the callee's side gives up"),
            None => finding,
        }
    }

    fn claim_prack(&self, finding: Finding) -> Finding {
        let Some(prack) = self.prack else {
            return finding.claim_absent(self.response.place, "a PRACK with this number", "it is never confirmed");
        };
        if let Some(refusal) = self.refusal {
            return finding
                .claim_header(prack, "RAck", "the PRACK with its number")
                .claim_status(refusal, "refused by who asked for it");
        }
        let finding = finding.claim_method(prack, "a PRACK that nothing answers").claim_absent(
            prack.place,
            "a response to the PRACK",
            "the response is repeated all the same",
        );
        match &self.astray {
            Some(astray) => astray.claimed(finding, prack),
            None => finding,
        }
    }
}

/// A PRACK that went where the Contact of its 1xx says, or the Record-Route of the first hop, as it must (RFC 3261
/// §12.2.1.1), past the one from whom the 1xx came.
struct Astray<'a> {
    /// The 1xx, as the sender of the PRACK got it.
    response: &'a Heard,
    /// The same where it was first seen.
    written: &'a Heard,
    hop: FirstHop,
    /// The address that it names.
    address: IpAddr,
    /// True if the 1xx came from a proxy, which wants to stay in the path and did not say so.
    behind_proxy: bool,
}

impl<'a> Astray<'a> {
    fn of(case: &Case<'a>, response: &'a Heard, prack: &Heard) -> Option<Astray<'a>> {
        let is_copy = |heard: &&Heard| {
            heard.message.status() == response.message.status()
                && confirms(prack, heard)
                && to_tag(heard) == to_tag(response)
                && heard.path.destination.ip() == prack.path.source.ip()
        };
        let response = case.call.messages.iter().find(is_copy).unwrap_or(response);
        let hop = FirstHop::named_in(response)?;
        let address = address(&hop.uri)?;
        let follows = hop.is_followed_by(prack) && prack.path.destination.ip() == address;
        // A proxy that is there may have lost the PRACK behind it.
        let is_there = || case.call.messages.iter().any(|heard| heard.path.source.ip() == address);
        if !follows || address == response.path.source.ip() || hop.is_of_proxy() && is_there() {
            return None;
        }
        let written = case.as_first_seen(response);
        let behind_proxy = has_passed_proxy(response, written, address);
        Some(Astray { response, written, hop, address, behind_proxy })
    }

    /// True if a proxy has to mend it.
    fn is_of_proxy(&self) -> bool {
        self.behind_proxy || self.hop.is_of_proxy()
    }

    /// Who has to mend it: the proxy that passed the response on, or the one who wrote that Contact.
    fn server(&self) -> SocketAddr {
        if self.is_of_proxy() { self.response.path.source } else { self.written.path.source }
    }

    /// What the response names, as a sentence says it.
    fn named(&self) -> String {
        let kind = if is_private(self.address) { "the private address" } else { "the address" };
        format!("{kind} {} {}", self.address, if self.hop.is_of_proxy() { "in Record-Route" } else { "as Contact" })
    }

    fn cure(&self, client: SocketAddr) -> String {
        let server = self.server();
        match self.behind_proxy {
            _ if self.hop.is_of_proxy() => {
                format!(
                    "Let {server} write an address into Record-Route that {client} can reach (its external address)."
                )
            }
            true => {
                format!("If {server} is a proxy, let it add Record-Route to INVITEs, so that the PRACK passes it too.")
            }
            false => {
                format!("Let {server} write an address into Contact that {client} can reach (its external address).")
            }
        }
    }

    fn claimed(&self, finding: Finding, prack: &Heard) -> Finding {
        let finding = match self.hop.is_of_proxy() {
            true => finding.claim_header_with(self.response, RECORD_ROUTE, &self.hop.text, "the first hop it names"),
            false => finding.claim_header(self.response, CONTACT, "the address that the callee's side names"),
        };
        finding.claim(prack, destination_field(self.address), self.address.to_string(), "the PRACK goes there")
    }
}

/// That a PRACK was sent, and nothing answers it.
fn sent_in_vain(prack: &Heard, server: SocketAddr, astray: Option<&Astray<'_>>) -> String {
    let (client, to) = (prack.path.source, prack.path.destination);
    match astray {
        Some(astray) => format!(
            " The response came to {client} from {}, and names {}. {client} did send PRACK there, as it must, and \
             nothing answers it: it does not arrive.",
            astray.response.path.source,
            astray.named()
        ),
        None if to.ip() == server.ip() => format!(" {client} did send one to {to}, and nothing answers it."),
        None => format!(" {client} did send one to {to}, and nothing answers it: it does not reach {server}."),
    }
}

/// The reliable 1xx nearest to its sender that was repeated and got no PRACK.
fn unconfirmed<'a>(case: &Case<'a>) -> Option<(&'a Transaction, &'a Heard)> {
    case.call
        .transactions
        .iter()
        .filter(|transaction| transaction.is_initial_invite())
        .flat_map(|invite| case.provisionals(invite).map(move |response| (invite, response)))
        .filter(|(_, response)| response.repeated >= ENOUGH_REPEATS)
        .filter(|(_, response)| names_option(response, "Require", "100rel") && !is_confirmed(case, response))
        .last()
}

/// True if this is the PRACK that was to confirm a provisional response, which was repeated in vain all the same.
pub(in crate::diagnosis::rules) fn is_in_vain(case: &Case<'_>, prack: &Heard) -> bool {
    Unconfirmed::of(case).and_then(|seen| seen.prack).is_some_and(|known| known.id == prack.id)
}

/// True if an INVITE offers reliable provisional responses, or may do so behind the cut (RFC 3262 §3).
fn offers_reliability(invite: &Heard) -> bool {
    invite.message.is_cut() || knows_option(invite, "100rel")
}

/// The last PRACK with the number of a reliable response and of its INVITE (RFC 3262 §7.2).
fn prack_of<'a>(case: &Case<'a>, response: &Heard) -> Option<Asked<'a>> {
    case.asked(&Method::Prack).filter(|prack| confirms(prack.request, response)).last()
}

/// True if RAck of a PRACK holds the numbers of a reliable response.
fn confirms(prack: &Heard, response: &Heard) -> bool {
    let wanted = response.message.header("RSeq").and_then(|number| number.trim().parse::<u32>().ok());
    let sequence = response.message.cseq().map(|cseq| cseq.number);
    let rack = prack.message.header("RAck").unwrap_or_default();
    let mut numbers = rack.split_whitespace().map_while(|word| word.parse::<u32>().ok());
    prack.message.call_id() == response.message.call_id() && numbers.next() == wanted && numbers.next() == sequence
}

/// A PRACK that carries the number of no response to this INVITE.
fn prack_with_other_number<'a>(case: &Case<'a>, invite: &'a Transaction, response: &Heard) -> Option<&'a Heard> {
    let of_call = case
        .asked(&Method::Prack)
        .map(|prack| prack.request)
        .filter(|prack| prack.message.call_id() == response.message.call_id() && prack.place > response.place);
    let mut others = of_call.filter(|prack| {
        prack.message.header("RAck").is_some() && !case.provisionals(invite).any(|known| confirms(prack, known))
    });
    others.next()
}

/// True if a PRACK came, and was accepted or ended the repetition.
fn is_confirmed(case: &Case<'_>, response: &Heard) -> bool {
    case.asked(&Method::Prack).filter(|prack| confirms(prack.request, response)).any(|prack| {
        let after = response.repeats.iter().filter(|repeat| **repeat > prack.request.place).count();
        case.call.final_status_of(prack.transaction).is_some_and(StatusCode::is_success)
            || after < ENOUGH_REPEATS as usize
    })
}
