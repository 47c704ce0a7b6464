//! Why a request inside a dialog got 481: the four cases of C8, told apart in one place.

use std::net::IpAddr;
use std::time::Duration;

use crate::call::{Dialog, Heard, Kind, Registering, Transaction};
use crate::capture::Timestamp;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::{from_tag, is_of_invite, to_tag};
use crate::sip::{Method, NameAddr, StatusCode};

/// A request inside a dialog that got 481.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unknown<'a> {
    /// The request, on the hop where the 481 arose.
    pub request: &'a Heard,
    /// The 481.
    pub response: &'a Heard,
    /// Why.
    pub why: Why<'a>,
}

/// Why a request inside a dialog got 481.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'a> {
    /// Both sides sent BYE at once: this is the other one.
    Crossed(&'a Heard),
    /// The dialog had ended: the BYE, and the answer that ended it.
    AfterEnd(&'a Heard, &'a Heard),
    /// Its tags are not those of the dialog.
    WrongTags(&'a Dialog),
    /// The tags are right as far as the capture tells, and the dialog had not ended.
    StateLost,
}

/// A dialog in which nothing was said for this long may have been forgotten.
pub(crate) const IDLE: Duration = Duration::from_secs(300);

impl<'a> Case<'a> {
    /// Every request inside a dialog of this call that got 481, where it arose, with the reason.
    pub(crate) fn unknown_dialogs(&self) -> Vec<Unknown<'a>> {
        if self.call.kind != Kind::Call {
            return Vec::new();
        }
        self.call
            .transactions
            .iter()
            .filter(|transaction| transaction.in_dialog && self.arose_with_481(transaction).is_some())
            .filter_map(|transaction| {
                let request = self.call.request_of(transaction)?;
                let response = self.arose_with_481(transaction)?;
                let why = self.why_unknown(transaction, request, response)?;
                Some(Unknown { request, response, why })
            })
            .collect()
    }

    fn arose_with_481(&self, transaction: &'a Transaction) -> Option<&'a Heard> {
        let is_481 = |heard: &&Heard| heard.message.status().map(StatusCode::get) == Some(481);
        let response = self.finals(transaction).find(is_481)?;
        // What answers a copy of a request that was accepted has lost the transaction, not the dialog.
        if self.finals(transaction).any(|heard| heard.message.status().is_some_and(StatusCode::is_success)) {
            return None;
        }
        let passed_on =
            self.call.downstream_of(transaction.id).any(|inner| self.finals(inner).any(|heard| is_481(&heard)));
        (!passed_on).then_some(response)
    }

    fn why_unknown(&self, transaction: &'a Transaction, request: &'a Heard, response: &'a Heard) -> Option<Why<'a>> {
        if self.gives_up_a_second_answer(request) {
            return None;
        }
        if let Some(other) = self.crossing_bye(request, response) {
            return Some(Why::Crossed(other));
        }
        if let Some((bye, answer)) = self.ended_before(request) {
            return Some(Why::AfterEnd(bye, answer));
        }
        let is_over = self.hung_up_before(request) || self.had_hung_up(request);
        if is_over || self.unseen_of_dialog(&Method::Bye, request).next().is_some() {
            return None;
        }
        // Outside of a call's own methods a 481 is about a subscription, or a transaction (G4, I5).
        let of_dialog =
            matches!(transaction.method, Method::Bye | Method::Invite | Method::Update | Method::Info | Method::Refer);
        if !of_dialog {
            return None;
        }
        if self.is_of_lost_branch(request) {
            return None;
        }
        match self.dialog_with_other_tags(request) {
            Some(dialog) => Some(Why::WrongTags(dialog)),
            None => Some(Why::StateLost),
        }
    }

    /// A BYE of the other side that was under way at the same time.
    fn crossing_bye(&self, request: &'a Heard, response: &'a Heard) -> Option<&'a Heard> {
        if request.message.method() != Some(&Method::Bye) {
            return None;
        }
        let other = self.asked(&Method::Bye).find(|other| {
            let ended = self.call.final_of(other.transaction).map_or(other.request.last_place(), |answer| answer.place);
            other.request.message.call_id() == request.message.call_id()
                && from_tag(other.request) == to_tag(request)
                && other.request.place < response.place
                && request.place < ended
        })?;
        Some(other.request)
    }

    /// True if the party that is asked had sent a BYE itself: with that the dialog is over for it, whatever came of the
    /// BYE (RFC 3261 §15.1).
    fn hung_up_before(&self, request: &'a Heard) -> bool {
        self.asked(&Method::Bye).any(|bye| {
            bye.request.place < request.place
                && bye.request.message.call_id() == request.message.call_id()
                && from_tag(bye.request) == to_tag(request)
        })
    }

    /// True if the party that asks had sent a BYE before, whose answer the capture does not hold: if it arrived, the
    /// dialog is over (RFC 3261 §15.1.2), and the 481 says that it is.
    fn had_hung_up(&self, request: &'a Heard) -> bool {
        self.asked(&Method::Bye).any(|bye| {
            bye.request.place < request.place
                && bye.request.message.call_id() == request.message.call_id()
                && from_tag(bye.request) == from_tag(request)
                && to_tag(bye.request) == to_tag(request)
                && self.call.final_of(bye.transaction).is_none()
        })
    }

    /// The BYE that had ended the dialog of this request, and its 2xx, if that came before the request.
    fn ended_before(&self, request: &'a Heard) -> Option<(&'a Heard, &'a Heard)> {
        let tags = [from_tag(request), to_tag(request)];
        self.asked(&Method::Bye)
            .filter(|bye| bye.request.id != request.id && bye.request.message.call_id() == request.message.call_id())
            .filter(|bye| tags.contains(&from_tag(bye.request)) && tags.contains(&to_tag(bye.request)))
            .find_map(|bye| {
                let answer = self.call.final_of(bye.transaction)?;
                let ended = answer.message.status().is_some_and(StatusCode::is_success);
                (ended && answer.place < request.place).then_some((bye.request, answer))
            })
    }

    /// True if a request is inside an early dialog that was never answered, while another one of the fork was: with that
    /// answer the early ones end (RFC 3261 §13.2.2.4), and the call goes on in another.
    fn is_of_lost_branch(&self, request: &Heard) -> bool {
        let Some(tags) = from_tag(request).zip(to_tag(request)).map(|(from, to)| [from, to]) else { return false };
        let mut of_call = self.call.dialogs.iter().filter(|dialog| *dialog.call_id == *request.message.call_id());
        let is_own = |dialog: &&Dialog| {
            [&dialog.caller_tag, &dialog.callee_tag].into_iter().all(|tag| tags.contains(&tag.into()))
        };
        let is_early = of_call.clone().find(is_own).is_some_and(|dialog| dialog.confirmed.is_none());
        is_early && of_call.any(|dialog| dialog.confirmed.is_some())
    }

    /// A confirmed dialog of the same Call-ID, if none of them has the tags of this request.
    fn dialog_with_other_tags(&self, request: &Heard) -> Option<&'a Dialog> {
        let tags = [from_tag(request)?, to_tag(request)?];
        let mut dialogs = self.call.dialogs.iter().filter(|dialog| *dialog.call_id == *request.message.call_id());
        let confirmed = dialogs.clone().find(|dialog| dialog.confirmed.is_some())?;
        let fits = dialogs
            .any(|dialog| [&dialog.caller_tag, &dialog.callee_tag].into_iter().all(|tag| tags.contains(&tag.into())));
        (!fits).then_some(confirmed)
    }

    /// What shows that the responder of a 481 is not, or no longer, the one who knew the dialog.
    pub(crate) fn signs_of_loss(&self, unknown: &Unknown<'a>) -> Vec<String> {
        let mut signs = Vec::new();
        let responder = unknown.response.path.source.ip();
        let said = self.said_by_peer(unknown.request);
        if let Some(first) = said.first() {
            // Who has spoken in the dialog, or was named in it as the one to speak to (RFC 3261 §12.2.1.2), knew it.
            let knew = |heard: &&&Heard| {
                let contact =
                    heard.message.contact().map(|contact: NameAddr| contact.parsed().host).unwrap_or_default();
                heard.path.source.ip() == responder || contact.parse() == Ok(responder)
            };
            let own: Vec<&Heard> = said.iter().filter(knew).copied().collect();
            if own.is_empty() {
                signs.push(format!(
                    "the 481 comes from {responder}, and the dialog was made with {}",
                    first.path.source.ip()
                ));
            }
            let before = own.iter().rev().find_map(|heard| software(heard));
            if let (Some(before), Some(after)) = (before, software(unknown.response))
                && before != after
            {
                signs.push(format!("the same address calls itself {after:?} now and called itself {before:?} before"));
            }
        }
        let earlier = self.call.messages.iter().filter(|heard| heard.id < unknown.request.id);
        if let Some(last) = earlier.map(|heard| heard.last_place().time).max() {
            let idle = unknown.request.place.time.since(last);
            if idle >= IDLE && !self.lacks_requests_before(unknown.request) {
                signs.push(format!("nothing was said in the dialog for {}", crate::diagnosis::words::length(idle)));
            }
        }
        signs
    }

    /// A REGISTER that shows a restart of an address between the answer and this moment.
    pub(crate) fn restart_of(&self, address: IpAddr, until: Timestamp) -> Option<&'a Registering> {
        let (_, success) = self.answer()?;
        self.surroundings.registered_anew(address, success.place.time, until)
    }

    /// The messages with which the receiver of this request spoke for itself in the dialog before it, in order: the
    /// first is its 2xx or its INVITE, with which the dialog was made.
    fn said_by_peer(&self, request: &Heard) -> Vec<&'a Heard> {
        let speaks = |heard: &&Heard| heard.message.status().is_none_or(StatusCode::is_success);
        self.of_peer(request).filter(speaks).skip_while(|heard| !is_of_invite(heard)).collect()
    }
}

fn software(heard: &Heard) -> Option<String> {
    let name = heard.message.header("Server").or_else(|| heard.message.header("User-Agent"));
    name.map(|name| name.into_owned())
}
