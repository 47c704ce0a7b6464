//! What a rule asks of the dialogs of a call: its answers, their ACKs, its BYEs, what was said inside.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::{Heard, Transaction};
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Role;
use crate::sip::{HeaderName, Method, StatusCode};

/// A request inside a call, with its transaction.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The transaction.
    pub transaction: &'a Transaction,
    /// The request.
    pub request: &'a Heard,
}

/// Whose side a request of a dialog came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The side that sent the INVITE.
    Caller,
    /// The side that answered it.
    Callee,
    /// Neither the INVITE nor a response to it is in the capture.
    Unknown,
}

impl Side {
    /// `the caller's side, ADDRESS,` or the address alone.
    pub(crate) fn named(self, heard: &Heard) -> String {
        let address = heard.path.source;
        match self {
            Side::Caller => format!("the caller's side ({address})"),
            Side::Callee => format!("the callee's side ({address})"),
            Side::Unknown => address.to_string(),
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
            Side::Unknown => Side::Unknown,
        }
    }

    /// The role in the dialog of the author of a request. Where nobody knows who opened the dialog, who asks is taken
    /// for the caller.
    pub(crate) fn role(self) -> Role {
        match self {
            Side::Caller | Side::Unknown => Role::Uac,
            Side::Callee => Role::Uas,
        }
    }
}

impl<'a> Case<'a> {
    /// Every captured request of a method on every hop, in order.
    pub fn asked(&self, method: &'a Method) -> impl Iterator<Item = Asked<'a>> {
        let call = self.call;
        call.transactions.iter().filter(move |transaction| transaction.method == *method).filter_map(
            move |transaction| {
                let request = call.request_of(transaction)?;
                Some(Asked { transaction, request })
            },
        )
    }

    /// The requests of a method as their senders sent them: those that nothing was forwarded as.
    pub fn asked_first(&self, method: &'a Method) -> impl Iterator<Item = Asked<'a>> {
        self.asked(method).filter(|asked| asked.transaction.upstream.is_none())
    }

    /// The Call-ID of a message; where the capture cut it off, as far as other messages of the call tell it.
    pub(crate) fn call_id(&self, heard: &'a Heard) -> &'a [u8] {
        match heard.message.has_cut_call_id() {
            true => &self.call.leg(heard.leg).call_id,
            false => heard.message.call_id(),
        }
    }

    /// The transactions of a method that are inside the dialog of a message, and whose request the capture missed.
    pub(crate) fn unseen_of_dialog(
        &self,
        method: &'a Method,
        heard: &'a Heard,
    ) -> impl Iterator<Item = &'a Transaction> {
        let call = self.call;
        let tags = [from_tag(heard), to_tag(heard)];
        call.unseen(method).filter(move |unseen| {
            let response = call.first_of(unseen).map(|id| call.message(id));
            response.is_some_and(|response| {
                response.message.call_id() == heard.message.call_id()
                    && tags.contains(&from_tag(response))
                    && tags.contains(&to_tag(response))
            })
        })
    }

    /// The 2xx responses to INVITEs on every hop, with their transactions, in order.
    pub fn answers(&self) -> impl Iterator<Item = (&'a Transaction, &'a Heard)> {
        let call = self.call;
        call.transactions
            .iter()
            .filter(|transaction| transaction.method == Method::Invite)
            .flat_map(|transaction| transaction.finals.iter().map(move |id| (transaction, *id)))
            .map(move |(transaction, id)| (transaction, call.message(id)))
            .filter(|(_, heard)| heard.message.status().is_some_and(StatusCode::is_success))
    }

    /// The first 2xx to an INVITE that opened the call, as the caller got it.
    pub fn answer(&self) -> Option<(&'a Transaction, &'a Heard)> {
        self.answers()
            .filter(|(transaction, _)| !transaction.in_dialog && transaction.upstream.is_none())
            .min_by_key(|(_, heard)| heard.place)
    }

    /// A 2xx as its author sent it, where proxies passed it on with the same tags and the same body.
    pub fn as_written(&self, success: &'a Heard) -> &'a Heard {
        let is_same = |heard: &&Heard| {
            heard.message.call_id() == success.message.call_id()
                && heard.message.cseq() == success.message.cseq()
                && (from_tag(heard), to_tag(heard)) == (from_tag(success), to_tag(success))
                && heard.message.body() == success.message.body()
        };
        self.answers().map(|(_, heard)| heard).filter(is_same).min_by_key(|heard| heard.place).unwrap_or(success)
    }

    /// The ACKs to a 2xx, on whatever hop: the same Call-ID, number and To tag (RFC 3261 §13.2.2.4). Where the capture
    /// cut these off, those that may be to it.
    pub fn acks_to(&self, success: &'a Heard) -> impl Iterator<Item = &'a Heard> {
        let number = |heard: &Heard| heard.message.cseq().map(|cseq| cseq.number);
        let (own, from, tag) = (number(success), from_tag(success), to_tag(success));
        let is_to_it = move |heard: &Heard| number(heard) == own && to_tag(heard) == tag && from_tag(heard) == from;
        self.call.messages.iter().filter(move |heard| {
            heard.message.method() == Some(&Method::Ack)
                && self.call_id(heard) == self.call_id(success)
                && (is_to_it(heard) || self.may_confirm(heard, success))
        })
    }

    /// True if nothing speaks against it that an ACK is to this 2xx, of one of which the capture cut off what would
    /// tell.
    fn may_confirm(&self, ack: &Heard, success: &Heard) -> bool {
        if !ack.message.is_cut() && !success.message.is_cut() {
            return false;
        }
        let has = |heard: &Heard, name| !heard.message.ends_before_end_of(name);
        let are_known = |name| has(ack, name) && has(success, name);
        let number = |heard: &Heard| heard.message.cseq().map(|cseq| cseq.number);
        // That to a refusal has the branch of its INVITE (RFC 3261 §17.1.1.3).
        let branch = ack.message.top_branch();
        let is_to_refusal = self.call.transactions.iter().any(|invite| {
            let is_refused = !invite.decided.is_some_and(StatusCode::is_success);
            is_refused && invite.request.is_some() && *invite.branch == *branch
        });
        ack.place > success.place
            && !is_to_refusal
            && (!are_known(HeaderName::CSeq) || number(ack) == number(success))
            && (!are_known(HeaderName::From) || from_tag(ack) == from_tag(success))
            && (!are_known(HeaderName::To) || to_tag(ack) == to_tag(success))
    }

    /// The first BYE of the call, as its sender sent it. Not one that only releases a second answer, which a fork may
    /// bring (RFC 3261 §13.2.2.4), or with which its sender gives it up, if there is another.
    pub fn first_bye(&self) -> Option<Asked<'a>> {
        let byes = || self.asked_first(&Method::Bye);
        let mut first_two = byes();
        let first = first_two.next()?;
        if first_two.next().is_none() {
            return Some(first); // As in most calls.
        }
        let kept = byes()
            .filter(|asked| !self.releases_a_second_answer(asked.request))
            .filter(|asked| !self.gives_up_a_second_answer(asked.request))
            .min_by_key(|asked| asked.request.place);
        kept.or_else(|| byes().min_by_key(|asked| asked.request.place))
    }

    /// True if a BYE ends a dialog at once, and another branch of the same fork was answered and went on.
    fn releases_a_second_answer(&self, bye: &Heard) -> bool {
        const AT_ONCE: Duration = Duration::from_secs(1);
        let is_at_once = |success: &Heard| bye.place.time.since(success.place.time) <= AT_ONCE;
        if !self.answers().any(|(_, success)| is_at_once(success)) {
            return false; // As most calls, it went on for longer.
        }
        let tags = [bye.message.tag_of_from(), bye.message.tag_of_to()];
        let is_of_bye = |success: &Heard| {
            tags.contains(&success.message.tag_of_from())
                && tags.contains(&success.message.tag_of_to())
                && success.message.call_id() == bye.message.call_id()
        };
        let own: Vec<_> = self.answers().filter(|(_, success)| is_of_bye(success)).collect();
        let Some((branch, success)) = own.first().copied() else { return false };
        let is_of_fork = |other: &Transaction| {
            other.id == branch.id || other.upstream.is_some() && other.upstream == branch.upstream
        };
        let goes_on = |other: &Heard| {
            let ends = |asked: Asked<'_>| {
                let tags = [from_tag(asked.request), to_tag(asked.request)];
                asked.request.message.call_id() == other.message.call_id() && tags.contains(&to_tag(other))
            };
            self.asked(&Method::Bye).filter(|asked| ends(*asked)).all(|asked| asked.request.place > bye.place)
        };
        let mut others = self.answers().filter(|(other, _)| is_of_fork(other)).map(|(_, other)| other);
        is_at_once(success) && others.any(|other| !is_of_bye(other) && goes_on(other))
    }

    /// True if with this BYE a device gives up that answered a fork and was never confirmed, where the caller confirmed
    /// another answer: on the caller's side there was no such dialog, and its 481 is in order.
    pub(crate) fn gives_up_a_second_answer(&self, bye: &Heard) -> bool {
        if bye.message.method() != Some(&Method::Bye) {
            return false;
        }
        let (device, caller) = (bye.message.tag_of_from(), bye.message.tag_of_to());
        let of_caller = |success: &Heard| {
            success.message.tag_of_from() == caller && success.message.call_id() == bye.message.call_id()
        };
        let answers = || self.answers().map(|(_, success)| success).filter(|success| of_caller(success));
        let Some(own) = answers().find(|success| success.message.tag_of_to() == device) else { return false };
        let is_confirmed = |success: &'a Heard| self.acks_to(success).next().is_some();
        let mut others =
            answers().filter(|other| to_tag(other) != to_tag(own) && other.message.cseq() == own.message.cseq());
        self.gives_up(own, bye) && !is_confirmed(own) && others.any(is_confirmed)
    }

    /// The messages of the one who gets this request, in its dialog and before it, as they came to its sender.
    pub(crate) fn of_peer(&self, request: &Heard) -> impl Iterator<Item = &'a Heard> {
        let peer = to_tag(request);
        self.call.messages.iter().filter(move |heard| {
            heard.id < request.id
                && heard.message.call_id() == request.message.call_id()
                && heard.path.destination.ip() == request.path.source.ip()
                && peer.is_some()
                && own_tag(heard) == peer
        })
    }

    /// Whose side sent this request: told by its From tag, which is that of the INVITE or not.
    pub fn side(&self, request: &Heard) -> Side {
        let leg = self.call.leg(request.leg);
        // A B2BUA that keeps the Call-ID opens its leg with a From tag of its own.
        let openings = self.call.transactions.iter().filter(|transaction| {
            transaction.is_initial_invite() && self.call.leg(transaction.leg).call_id == leg.call_id
        });
        if lost_from_tag(request) {
            return side_by_path(openings, request);
        }
        // Where the INVITE was not captured, its responses tell whose it was (RFC 3261 §8.2.6.2).
        let known = openings.filter_map(|transaction| self.call.first_of(transaction));
        let mut tags = known.map(|id| from_tag(self.call.message(id))).peekable();
        match tags.peek().is_some() {
            true if tags.any(|tag| tag == from_tag(request)) => Side::Caller,
            true => Side::Callee,
            false => Side::Unknown,
        }
    }

    /// The role in the dialog of the one who wrote a message. Where nobody knows who opened the dialog, who asks is
    /// taken for the caller.
    pub(crate) fn role_of_author(&self, heard: &Heard) -> Role {
        match heard.message.is_request() == (self.side(heard) != Side::Callee) {
            true => Role::Uac,
            false => Role::Uas,
        }
    }

    /// Of a request on its way over several hops the copy that is the first, in one row up to this one, of which
    /// something holds: who sent that one wrote it, and who passed it on only carried it.
    pub(crate) fn first_with(&self, last: &'a Heard, holds: impl Fn(&'a Heard) -> bool) -> &'a Heard {
        let mut first = last;
        for _ in 0..32 {
            let upstream = self.call.transaction(first.transaction).upstream.map(|id| self.call.transaction(id));
            match upstream.and_then(|upstream| self.call.request_of(upstream)) {
                Some(before) if holds(before) => first = before,
                _ => break,
            }
        }
        first
    }

    /// The role of the one who sent a request: a proxy if it came from before it, whether or not that is captured, else
    /// the UAC.
    pub(crate) fn role_of_sender(&self, request: &Heard) -> Role {
        match self.call.transaction(request.transaction).upstream.is_some() || was_passed_on(request) {
            true => Role::Proxy,
            false => Role::Uac,
        }
    }

    /// The role in the dialog of the one whom a request is for.
    pub(crate) fn role_of_asked(&self, request: &Heard) -> Role {
        match self.side(request) {
            Side::Callee => Role::Uac,
            Side::Caller | Side::Unknown => Role::Uas,
        }
    }

    /// The final responses of a transaction in order.
    pub fn finals(&self, transaction: &'a Transaction) -> impl Iterator<Item = &'a Heard> {
        let call = self.call;
        transaction.finals.iter().map(move |id| call.message(*id))
    }

    /// The provisional responses of a transaction in order.
    pub fn provisionals(&self, transaction: &'a Transaction) -> impl Iterator<Item = &'a Heard> {
        let call = self.call;
        transaction.provisionals.iter().map(move |id| call.message(*id))
    }

    /// True if a transaction got any response.
    pub fn has_response(&self, transaction: &Transaction) -> bool {
        !transaction.provisionals.is_empty() || !transaction.finals.is_empty()
    }

    /// True if a request proves that an INVITE was answered although no answer to it was captured: an ACK, or a request
    /// with its Call-ID on the same hop that carries a To tag (`diagnosis` §0, proof of existence).
    pub fn was_answered_unseen(&self, invite: &Transaction) -> Option<&'a Heard> {
        if self.has_response(invite) {
            return None;
        }
        let leg = &self.call.leg(invite.leg).call_id;
        self.call.messages.iter().find(|heard| {
            heard.message.is_request()
                && heard.message.call_id() == &**leg
                && heard.path.source.ip() == invite.path.source.ip()
                && heard.path.destination.ip() == invite.path.destination.ip()
                && to_tag(heard).is_some()
        })
    }
}

/// The tag of To.
pub(crate) fn to_tag(heard: &Heard) -> Option<Cow<'_, str>> {
    text_of(heard.message.tag_of_to())
}

/// The tag of From.
pub(crate) fn from_tag(heard: &Heard) -> Option<Cow<'_, str>> {
    text_of(heard.message.tag_of_from())
}

/// True if two requests have the same From tag, or, where the capture cut off either, come from the same host.
pub(crate) fn have_same_author(one: &Heard, other: &Heard) -> bool {
    match lost_from_tag(one) || lost_from_tag(other) {
        true => one.path.source.ip() == other.path.source.ip(),
        false => from_tag(one) == from_tag(other),
    }
}

/// True if the capture cut off the From tag.
fn lost_from_tag(heard: &Heard) -> bool {
    heard.message.is_cut() && from_tag(heard).is_none() && heard.message.ends_before_end_of(HeaderName::From)
}

/// True if a request says by its Via that who sent it did not write it: each proxy puts one more on top (RFC 3261
/// §16.6), and below all stands that of the UAC, where need be with the address that its request came from (§18.2.1).
/// Several of one host, or of the sender itself, are those of one that wrote the request.
fn was_passed_on(request: &Heard) -> bool {
    if request.message.via_count() < 2 {
        return false; // As of most requests, of which no Via has to be read.
    }
    let vias = request.message.vias();
    let ([top, .., bottom], sender) = (&vias[..], request.path.source.ip()) else { return false };
    let is_of_sender = |host: &str| host.parse() == Ok(sender);
    let is_own = is_of_sender(&bottom.host) || bottom.parameters.get("received").is_some_and(is_of_sender);
    !is_own && !top.host.eq_ignore_ascii_case(&bottom.host)
}

/// Whose side a request came from, by the hosts of the INVITEs that opened its leg.
fn side_by_path<'a>(mut openings: impl Iterator<Item = &'a Transaction>, request: &Heard) -> Side {
    let hosts = (request.path.source.ip(), request.path.destination.ip());
    let found = openings.find_map(|opening| match (opening.path.source.ip(), opening.path.destination.ip()) {
        (client, server) if (client, server) == hosts => Some(Side::Caller),
        (client, server) if (server, client) == hosts => Some(Side::Callee),
        _ => None,
    });
    found.unwrap_or(Side::Unknown)
}

/// True for an INVITE and what answers one.
pub(crate) fn is_of_invite(heard: &Heard) -> bool {
    heard.message.cseq().is_some_and(|cseq| cseq.method == Method::Invite)
}

/// The tag of the one who wrote a message.
pub(crate) fn own_tag(heard: &Heard) -> Option<Cow<'_, str>> {
    if heard.message.is_request() { from_tag(heard) } else { to_tag(heard) }
}

fn text_of(tag: &[u8]) -> Option<Cow<'_, str>> {
    (!tag.is_empty()).then(|| crate::sip::text(tag))
}
