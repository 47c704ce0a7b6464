//! How a message finds its transaction (RFC 3261 §17.1.3, §17.2.3), its leg and its dialog, inside one call.

use std::net::{IpAddr, SocketAddr};

use crate::call::link::LinkedBy;
use crate::call::log::is_same_packet;
use crate::call::model::{Arrival, Call, Dialog, Heard, Leg, LegId, MessageId, Transaction, TransactionId};
use crate::capture::Timestamp;
use crate::keyed::hash_of;
use crate::net::Path;
use crate::sip::{CSeq, HeaderName, Message, Method, StatusCode, Via, text};

/// Stands for the number of a CSeq that was cut off, or is missing.
pub(crate) const NO_CSEQ: u32 = u32::MAX;

/// The keys by which a message is matched, read once; they borrow from it.
pub(crate) struct Keys<'a> {
    pub(crate) cseq: CSeq,
    pub(crate) branch: &'a [u8],
    pub(crate) branch_hash: u64,
    pub(crate) from_tag: &'a [u8],
    pub(crate) to_tag: &'a [u8],
    pub(crate) status: Option<StatusCode>,
    pub(crate) is_request: bool,
    /// The Call-ID; where the capture cut it off, as far as other messages tell the whole of it.
    pub(crate) call_id: &'a [u8],
}

/// What a call finds of a message.
pub(crate) enum Hearing {
    /// It repeats one that is known.
    Again(MessageId),
    /// It is new, and belongs to this transaction.
    New(TransactionId),
}

impl<'a> Keys<'a> {
    pub(crate) fn read(message: &'a Message<'_>) -> Keys<'a> {
        let branch = message.top_branch();
        let cseq = message.cseq().filter(|_| !message.has_cut_cseq());
        let number = cseq.map_or(NO_CSEQ, |cseq| cseq.number);
        // The method of a request line counts more than that of its CSeq.
        let method = message.method().or(cseq.map(|cseq| &cseq.method)).cloned();
        Keys {
            cseq: CSeq { number, method: method.unwrap_or(Method::Other("".into())) },
            branch,
            branch_hash: hash_of(branch),
            from_tag: message.tag_of_from(),
            to_tag: message.tag_of_to(),
            status: message.status(),
            is_request: message.is_request(),
            call_id: message.call_id(),
        }
    }

    /// True for a request of a kind that a challenge is answered to before there is a dialog.
    pub(crate) fn opens(&self) -> bool {
        self.is_request && self.to_tag.is_empty() && matches!(self.cseq.method, Method::Invite | Method::Register)
    }

    /// True if this is the number in CSeq, or if either is not known.
    pub(crate) fn has_cseq(&self, number: u32) -> bool {
        is_same_number(number, self.cseq.number)
    }

    /// True for a response that does not say which method it answers.
    pub(crate) fn is_without_method(&self) -> bool {
        !self.is_request && matches!(&self.cseq.method, Method::Other(name) if name.is_empty())
    }

    /// True for a request that opens a call: an INVITE without a To tag.
    pub(crate) fn is_attempt(&self) -> bool {
        self.is_request && self.cseq.method == Method::Invite && self.to_tag.is_empty()
    }

    fn has_branch_of(&self, known: &Transaction) -> bool {
        known.branch_hash == self.branch_hash && *known.branch == *self.branch
    }

    /// True if the branch identifies the transaction alone (RFC 3261 §8.1.1.7).
    pub(crate) fn has_cookie(&self) -> bool {
        self.branch.starts_with(Via::COOKIE.as_bytes())
    }
}

impl Call {
    /// Takes note of a message: folds it into the one that it repeats, or finds its transaction and dialog. What is new
    /// is to be kept ([`Call::keep`]).
    pub(crate) fn hear(&mut self, message: &Message<'_>, keys: &Keys<'_>, arrival: &Arrival) -> Hearing {
        let transaction = self.transaction_of(keys, message, arrival.path);
        if let Some(known) = transaction.and_then(|id| self.copy_of(id, message, keys, arrival)) {
            self.note_copy(known, arrival);
            return Hearing::Again(known);
        }
        let id = MessageId(self.messages.len() as u32);
        let transaction = transaction.unwrap_or_else(|| self.open_transaction(keys, message, arrival));
        self.enter(id, transaction, keys, arrival.place.time);
        self.note_dialog(id, keys);
        Hearing::New(transaction)
    }

    /// Keeps a new message, which belongs to this transaction.
    #[inline]
    pub(crate) fn keep(&mut self, heard: Heard, transaction: TransactionId) -> MessageId {
        let id = MessageId(self.messages.len() as u32);
        let leg = self.transaction(transaction).leg;
        self.messages.push(heard);
        if let Some(kept) = self.messages.last_mut() {
            (kept.id, kept.leg, kept.transaction) = (id, leg, transaction);
        }
        id
    }

    /// The transaction that a message belongs to, if there is one already. Requests are matched by branch where it has
    /// the cookie (§17.2.3).
    fn transaction_of(&self, keys: &Keys<'_>, message: &Message<'_>, path: Path) -> Option<TransactionId> {
        let found = match keys.is_request {
            true if keys.cseq.method == Method::Ack => self.acked_by(keys, message, path),
            true => self.transactions.iter().rev().find(|known| {
                // The number tells most of them apart, and a long call has hundreds.
                keys.has_cseq(known.cseq)
                    && known.method == keys.cseq.method
                    && known.path == path
                    && keys.has_branch_of(known)
                    && (keys.has_cookie() || self.is_same_by_headers(known, message))
            }),
            false => self.answered_by(keys, path),
        };
        found.map(|transaction| transaction.id)
    }

    /// Matching of requests by the rules of RFC 2543, for a branch without the cookie (§17.2.3).
    fn is_same_by_headers(&self, known: &Transaction, message: &Message<'_>) -> bool {
        let Some(request) = self.request_of(known) else { return true };
        let same = |name| request.message.header_bytes(name) == message.header_bytes(name);
        same(HeaderName::From)
            && same(HeaderName::To)
            && same(HeaderName::Via)
            && request.message.request_uri() == message.request_uri()
    }

    /// A response belongs to the request with its branch and CSeq, on this hop if there are several (§17.1.3).
    fn answered_by(&self, keys: &Keys<'_>, path: Path) -> Option<&Transaction> {
        let back = path.reversed();
        let fits = |known: &&Transaction| {
            // A response that was cut before its CSeq: of what has its branch, a CANCEL is the less likely, unless it
            // waits for its 2xx, which comes at once, or the INVITE has had its own.
            let is_success = |status: Option<StatusCode>| status.is_some_and(StatusCode::is_success);
            let was_answered = || {
                let mut invites = self.transactions.iter().filter(|invite| invite.method == Method::Invite);
                invites.any(|invite| keys.has_branch_of(invite) && is_success(invite.decided))
            };
            let awaits = || known.finals.is_empty() && (is_success(keys.status) || was_answered());
            let has_method = known.method == keys.cseq.method
                || keys.is_without_method() && (known.method != Method::Cancel || awaits());
            has_method && keys.has_cseq(known.cseq) && keys.has_branch_of(known)
        };
        let candidates = || self.transactions.iter().rev().filter(fits);
        candidates()
            .find(|known| known.path == back)
            .or_else(|| candidates().find(|known| hosts(known.path) == hosts(back)))
            .or_else(|| candidates().find(|known| known.path.destination.ip() == path.source.ip()))
            .or_else(|| candidates().find(|known| known.request.is_some() && known.finals.is_empty()))
    }

    /// The INVITE that an ACK belongs to: by branch for a failure (§17.1.1.3), by CSeq and tags for a 2xx (§13.2.2.4).
    fn acked_by(&self, keys: &Keys<'_>, ack: &Message<'_>, path: Path) -> Option<&Transaction> {
        let invites = || {
            self.transactions.iter().rev().filter(|known| {
                known.method == Method::Invite && keys.has_cseq(known.cseq) && self.has_from_tag(known, keys, ack)
            })
        };
        invites()
            .find(|known| keys.has_branch_of(known) && known.path == path)
            .or_else(|| invites().find(|known| known.path == path))
            .or_else(|| invites().find(|known| hosts(known.path) == hosts(path)))
            .or_else(|| invites().find(|known| known.path.source.ip() == path.source.ip()))
            .or_else(|| invites().find(|known| known.path.destination.ip() == path.destination.ip()))
    }

    fn has_from_tag(&self, transaction: &Transaction, keys: &Keys<'_>, ack: &Message<'_>) -> bool {
        let any =
            transaction.request.or(transaction.finals.first().copied()).or(transaction.provisionals.first().copied());
        any.is_none_or(|id| {
            let known = &self.message(id).message;
            // Nearly always the header is the same, and no tag needs to be looked for.
            let is_same = ack
                .header_bytes(HeaderName::From)
                .is_some_and(|from| known.header_bytes(HeaderName::From) == Some(from));
            // Where the capture cut off either tag, they cannot be told apart.
            let is_lost = || tag_of_from_is_lost(ack) || tag_of_from_is_lost(known);
            is_same || known.tag_of_from() == keys.from_tag || is_lost()
        })
    }

    /// The message of this transaction that this one is a copy of.
    fn copy_of(
        &self,
        id: TransactionId,
        message: &Message<'_>,
        keys: &Keys<'_>,
        arrival: &Arrival,
    ) -> Option<MessageId> {
        let transaction = self.transaction(id);
        let candidates: &[MessageId] = match (keys.is_request, keys.status) {
            (true, _) if keys.cseq.method == Method::Ack => &transaction.acks,
            (true, _) => transaction.request.as_slice(),
            (false, Some(status)) if status.is_provisional() => &transaction.provisionals,
            (false, _) => &transaction.finals,
        };
        candidates.iter().rev().copied().find(|candidate| {
            let known = self.message(*candidate);
            known.path == arrival.path && is_copy(&known.message, message, keys)
        })
    }

    /// Folds another copy into a message: a retransmission, or the same packet captured twice.
    pub(crate) fn note_copy(&mut self, id: MessageId, arrival: &Arrival) {
        let heard = &mut self.messages[id.0 as usize];
        let is_duplicate = is_same_packet(heard.last_copy, arrival);
        heard.last_copy = (arrival.place.time, arrival.ip_id);
        if is_duplicate {
            heard.duplicates = heard.duplicates.saturating_add(1);
            return;
        }
        heard.repeated = heard.repeated.saturating_add(1);
        if heard.repeats.len() < Heard::MOST_REPEATS {
            heard.repeats.push(arrival.place);
        }
        let transaction = heard.transaction;
        self.transactions[transaction.0 as usize].last = arrival.place.time;
    }

    fn open_transaction(&mut self, keys: &Keys<'_>, message: &Message<'_>, arrival: &Arrival) -> TransactionId {
        let path = if keys.is_request { arrival.path } else { arrival.path.reversed() };
        let leg = self.leg_of(keys.call_id, path);
        let id = TransactionId(self.transactions.len() as u32);
        // An ACK without its INVITE still tells that there was one.
        let method = match &keys.cseq.method {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        let upstream = self.upstream(message, keys, (&method, leg, path));
        let has_tag = !keys.to_tag.is_empty() || self.lost_tag_of_dialog(message, keys, path);
        self.transactions.push(Transaction {
            id,
            method,
            cseq: keys.cseq.number,
            branch: keys.branch.into(),
            branch_hash: keys.branch_hash,
            decided: None,
            path,
            leg,
            request: None,
            provisionals: Vec::new(),
            finals: Vec::new(),
            acks: Vec::new(),
            cancelled_by: None,
            upstream,
            in_dialog: (keys.is_request && has_tag)
                || keys.cseq.method == Method::Ack
                || self.answers_an_offer_of_the_callee(keys),
            last: arrival.place.time,
        });
        if keys.cseq.method == Method::Cancel {
            self.note_cancel(id, keys, path);
        }
        if keys.is_request && id.0 > 0 {
            self.adopt_earlier(id);
        }
        id
    }

    /// True of a response to an INVITE that the capture missed, and that the callee sent: its To has the tag under
    /// which the caller had opened the call, so it belongs to the dialog (RFC 3261 §12.2.1.1).
    fn answers_an_offer_of_the_callee(&self, keys: &Keys<'_>) -> bool {
        let opened = |known: &Transaction| {
            known.is_initial_invite()
                && self.request_of(known).is_some_and(|request| {
                    request.message.tag_of_from() == keys.to_tag && request.message.call_id() == keys.call_id
                })
        };
        let is_response = !keys.is_request && keys.cseq.method == Method::Invite && !keys.to_tag.is_empty();
        is_response && keys.from_tag != keys.to_tag && self.transactions.iter().any(opened)
    }

    /// True if the capture cut off the To of an INVITE that stands inside a dialog: one of this Call-ID was answered
    /// here, so this is another offer (RFC 3261 §14).
    fn lost_tag_of_dialog(&self, message: &Message<'_>, keys: &Keys<'_>, path: Path) -> bool {
        let is_answered_here = |known: &Transaction| {
            known.method == Method::Invite
                && known.decided.is_some_and(StatusCode::is_success)
                && (hosts(known.path) == hosts(path) || hosts(known.path) == hosts(path.reversed()))
        };
        keys.is_attempt()
            && message.ends_before_end_of(HeaderName::To)
            && self.transactions.iter().any(is_answered_here)
    }

    /// Takes what was captured before as carrying on this transaction, if its second Via says so: the two hops were
    /// stamped by clocks that do not agree.
    fn adopt_earlier(&mut self, id: TransactionId) {
        let this = self.transaction(id);
        if this.branch.is_empty() || this.upstream.is_some() || this.in_dialog {
            return;
        }
        let is_carried_on = |known: &&Transaction| {
            let names_it = |request: &Heard| request.message.second_branch() == &*this.branch;
            (known.upstream, &known.method) == (None, &this.method)
                && is_same_number(known.cseq, this.cseq)
                && known.id != id
                && self.request_of(known).is_some_and(names_it)
        };
        let earlier: Vec<TransactionId> =
            self.transactions.iter().filter(is_carried_on).map(|known| known.id).collect();
        for known in earlier {
            self.transactions[known.0 as usize].upstream = Some(id);
        }
    }

    /// Opens the leg and the transaction of a new Call-ID that continues this call.
    pub(crate) fn link_leg(
        &mut self,
        message: &Message<'_>,
        arrival: &Arrival,
        by: LinkedBy,
        upstream: Option<TransactionId>,
        keys: &Keys<'_>,
    ) {
        let id = self.open_transaction(keys, message, arrival);
        let leg = self.transactions[id.0 as usize].leg;
        self.transactions[id.0 as usize].upstream = upstream;
        self.legs[leg.0 as usize].linked_by = Some(by);
    }

    /// The transaction that a new one, of this method on this leg and path, carries on.
    fn upstream(
        &self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        (method, leg, path): (&Method, LegId, Path),
    ) -> Option<TransactionId> {
        if self.transactions.is_empty() {
            return None; // Most calls have one transaction and no other.
        }
        self.upstream_of(message, keys, method)
            .or_else(|| self.upstream_of_leg(leg, keys))
            .or_else(|| self.upstream_of_same_call_id(message, keys, path))
    }

    /// The transaction whose branch stands in the second Via of this message (§16.6 step 8).
    fn upstream_of(&self, message: &Message<'_>, keys: &Keys<'_>, method: &Method) -> Option<TransactionId> {
        if keys.cseq.method == Method::Ack {
            return None;
        }
        let second = message.second_branch();
        if second.is_empty() {
            // The capture may have cut off the branch alone.
            let before = message.has_cut_head().then(|| self.upstream_by_host(message, keys, method));
            return before.flatten().map(|known| known.id);
        }
        let hash = hash_of(second);
        let same = |known: &&Transaction| {
            known.branch_hash == hash
                && keys.has_cseq(known.cseq)
                && *known.branch == *second
                && known.method == *method
        };
        let by_branch = self.transactions.iter().rev().find(same);
        by_branch.or_else(|| self.upstream_by_host(message, keys, method)).map(|known| known.id)
    }

    /// The next try of an INVITE on the leg of a B2BUA, after a challenge or at another server, belongs to what the
    /// first one was sent for.
    fn upstream_of_leg(&self, leg: LegId, keys: &Keys<'_>) -> Option<TransactionId> {
        let leg = self.leg(leg);
        if !keys.is_attempt() || leg.linked_by.is_none() {
            return None;
        }
        let same_call_id = |known: &&Transaction| *self.leg(known.leg).call_id == *leg.call_id;
        let earlier = self.transactions.iter().rev().filter(|known| known.is_initial_invite()).find(same_call_id)?;
        earlier.upstream
    }

    /// A B2BUA may keep the Call-ID for the leg that it opens: it has a From tag and a Via of its own, and comes from
    /// where an INVITE of another From tag went that waits for its answer.
    fn upstream_of_same_call_id(&self, message: &Message<'_>, keys: &Keys<'_>, path: Path) -> Option<TransactionId> {
        if !keys.is_attempt() {
            return None;
        }
        let waiting = self.transactions.iter().filter(|known| known.is_initial_invite() && known.finals.is_empty());
        let mut waiting = waiting.filter(|known| {
            let from = || Some(crate::sip::tag(self.request_of(known)?.message.header_bytes(HeaderName::From)?));
            known.path.destination.ip() == path.source.ip()
                && known.path.source.ip() != path.destination.ip()
                && *self.leg(known.leg).call_id == *keys.call_id
                && from().is_some_and(|from| !from.is_empty() && from != keys.from_tag)
        });
        // The Vias are read last: next to no INVITE comes from where another one waits.
        waiting.next().filter(|_| message.second_via().is_none()).map(|known| known.id)
    }

    /// Some proxies change the branch of the one before them. The host in the second Via still tells who that was.
    fn upstream_by_host(&self, message: &Message<'_>, keys: &Keys<'_>, method: &Method) -> Option<&Transaction> {
        let host: IpAddr = message.second_via()?.host.parse().ok()?;
        self.transactions.iter().rev().find(|known| {
            keys.has_cseq(known.cseq)
                && known.method == *method
                && known.path.source.ip() == host
                && *self.leg(known.leg).call_id == *keys.call_id
        })
    }

    /// A CANCEL has the branch of its INVITE (§9.1).
    fn note_cancel(&mut self, cancel: TransactionId, keys: &Keys<'_>, path: Path) {
        let invite = self.transactions.iter_mut().rev().find(|known| {
            known.method == Method::Invite && keys.has_branch_of(known) && hosts(known.path) == hosts(path)
        });
        if let Some(invite) = invite {
            invite.cancelled_by.get_or_insert(cancel);
        }
    }

    /// The leg of this Call-ID between these neighbours, opened if it is new.
    fn leg_of(&mut self, call_id: &[u8], path: Path) -> LegId {
        let known = self.legs.iter().find(|leg| *leg.call_id == *call_id && is_same_hop(leg.path, path));
        if let Some(leg) = known {
            return leg.id;
        }
        let id = LegId(self.legs.len() as u32);
        let linked_by = self.legs.iter().find(|leg| *leg.call_id == *call_id).and_then(|leg| leg.linked_by.clone());
        self.legs.push(Leg { id, call_id: call_id.into(), path, linked_by });
        id
    }

    /// Puts a new message into its transaction.
    fn enter(&mut self, id: MessageId, transaction: TransactionId, keys: &Keys<'_>, time: Timestamp) {
        let transaction = &mut self.transactions[transaction.0 as usize];
        transaction.last = time;
        if transaction.cseq == NO_CSEQ {
            transaction.cseq = keys.cseq.number;
        }
        match (keys.is_request, keys.status) {
            (true, _) if keys.cseq.method == Method::Ack => transaction.acks.push(id),
            (true, _) => {
                transaction.request.get_or_insert(id);
            }
            (false, Some(status)) if status.is_provisional() => transaction.provisionals.push(id),
            (false, status) => {
                transaction.finals.push(id);
                transaction.decided = transaction.decided.or(status);
            }
        }
    }

    /// Follows dialogs: opened by a response to INVITE with a To tag, confirmed by its 2xx, ended by BYE (§12, §15).
    fn note_dialog(&mut self, id: MessageId, keys: &Keys<'_>) {
        let opens = keys.cseq.method == Method::Invite && !keys.is_request && !keys.to_tag.is_empty();
        let success = keys.status.is_some_and(StatusCode::is_success);
        let provisional = keys.status.is_some_and(|status| status.is_provisional() && status.get() > 100);
        if opens && (success || provisional) {
            let call_id = keys.call_id;
            let (caller_tag, callee_tag) = (text(keys.from_tag), text(keys.to_tag));
            let known = self.dialogs.iter_mut().find(|dialog| {
                *dialog.call_id == *call_id
                    && ((dialog.caller_tag == caller_tag && dialog.callee_tag == callee_tag)
                        || (dialog.caller_tag == callee_tag && dialog.callee_tag == caller_tag))
            });
            let confirmed = success.then_some(id);
            match known {
                Some(dialog) => dialog.confirmed = dialog.confirmed.or(confirmed),
                None => self.dialogs.push(Dialog {
                    call_id: call_id.into(),
                    caller_tag: caller_tag.into_owned(),
                    callee_tag: callee_tag.into_owned(),
                    confirmed,
                    bye: None,
                }),
            }
            return;
        }
        if keys.is_request && keys.cseq.method == Method::Bye {
            let tags = [text(keys.from_tag), text(keys.to_tag)];
            let call_id = keys.call_id;
            let ended = self.dialogs.iter_mut().find(|dialog| {
                let has = |tag: &str| tags.iter().any(|known| *known == tag);
                *dialog.call_id == *call_id && has(&dialog.caller_tag) && has(&dialog.callee_tag)
            });
            if let Some(dialog) = ended {
                dialog.bye.get_or_insert(id);
            }
        }
    }
}

/// A copy has the same bytes; a broken repeater may change what a proxy may add, so a request with the same branch and
/// a final response with the same code and To tag are copies too.
fn is_copy(known: &Message<'_>, message: &Message<'_>, keys: &Keys<'_>) -> bool {
    if known.bytes() == message.bytes() {
        return true;
    }
    if keys.is_request {
        return keys.has_cookie() && keys.cseq.method != Method::Ack;
    }
    known.status() == message.status()
        && keys.status.is_some_and(|status| !status.is_provisional())
        && *known.tag_of_to() == *keys.to_tag
}

/// True if two numbers of CSeq are the same, or if either is not known.
fn is_same_number(one: u32, other: u32) -> bool {
    one == other || one == NO_CSEQ || other == NO_CSEQ
}

/// True if the capture cut off the From tag.
fn tag_of_from_is_lost(message: &Message<'_>) -> bool {
    message.tag_of_from().is_empty() && message.ends_before_end_of(HeaderName::From)
}

fn hosts(path: Path) -> (IpAddr, IpAddr) {
    (path.source.ip(), path.destination.ip())
}

/// True if both paths join the same two neighbours, in either direction. On a stream the client's port changes with
/// each connection, so one port in common is enough there.
fn is_same_hop(one: Path, other: Path) -> bool {
    if one.transport != other.transport {
        return false;
    }
    let same = |a: SocketAddr, b: SocketAddr| a == b;
    let exact = |path: Path| same(one.source, path.source) && same(one.destination, path.destination);
    if exact(other) || exact(other.reversed()) {
        return true;
    }
    let either = |path: Path| {
        hosts(one) == hosts(path)
            && (one.source.port() == path.source.port() || one.destination.port() == path.destination.port())
    };
    (one.transport.is_reliable() || one.source.ip() != one.destination.ip())
        && (either(other) || either(other.reversed()))
}
