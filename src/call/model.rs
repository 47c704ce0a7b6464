//! What a call is made of.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::call::judge::Outcome;
use crate::call::link::LinkedBy;
use crate::call::step::NormalStep;
use crate::call::transaction::Keys;
use crate::capture::{Place, Timestamp};
use crate::net::{IcmpCode, Path};
use crate::sip::{Message, Method, StatusCode};

/// A message of a call, by its index in [`Call::messages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

/// A transaction of a call, by its index in [`Call::transactions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u32);

/// A leg of a call, by its index in [`Call::legs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u32);

/// How a message arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When and where in the input.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// The identification of the IPv4 header, if it is not 0.
    pub ip_id: Option<u16>,
    /// TTL or Hop Limit of the IP header; 0 where it is not known.
    pub hop_limit: u8,
}

/// A message of a call. Its retransmissions and tap duplicates are folded into it.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Which it is.
    pub id: MessageId,
    /// When and where in the input.
    pub place: Place,
    /// From whom to whom.
    pub path: Path,
    /// The message.
    pub message: Message<'static>,
    /// The leg on which it was.
    pub leg: LegId,
    /// The transaction to which it belongs.
    pub transaction: TransactionId,
    /// Where it was sent again (RFC 3261 §17), in order, at most [`Heard::MOST_REPEATS`].
    pub repeats: Vec<Place>,
    /// How often it was sent again.
    pub repeated: u32,
    /// How often the capture holds the same packet twice (J1); these are no retransmissions.
    pub duplicates: u32,
    /// The last copy, of whatever kind, for telling duplicates.
    pub(crate) last_copy: (Timestamp, Option<u16>),
}

impl Heard {
    /// Places of repeats that are kept.
    pub const MOST_REPEATS: usize = 64;

    /// A message that came alone so far, before it is known where it belongs.
    #[inline]
    pub(crate) fn first(message: Message<'static>, arrival: &Arrival) -> Heard {
        Heard {
            id: MessageId(0),
            place: arrival.place,
            path: arrival.path,
            message,
            leg: LegId(0),
            transaction: TransactionId(0),
            repeats: Vec::new(),
            repeated: 0,
            duplicates: 0,
            last_copy: (arrival.place.time, arrival.ip_id),
        }
    }

    /// When it was sent for the last time.
    pub fn last_place(&self) -> Place {
        self.repeats.last().copied().unwrap_or(self.place)
    }
}

/// A transaction on one hop: a request and its responses (RFC 3261 §17).
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Which it is.
    pub id: TransactionId,
    /// The method of the request; for an INVITE its ACKs belong to it too.
    pub method: Method,
    /// The number of CSeq.
    pub cseq: u32,
    /// The branch of the topmost Via.
    pub branch: Box<[u8]>,
    /// A hash of the branch: most branches differ in it, and it needs no look at another place in memory.
    pub(crate) branch_hash: u64,
    /// The first final code, for the same reason.
    pub(crate) decided: Option<StatusCode>,
    /// From the client to the server.
    pub path: Path,
    /// The leg.
    pub leg: LegId,
    /// The request; `None` if only responses were captured.
    pub request: Option<MessageId>,
    /// Responses below 200, in order.
    pub provisionals: Vec<MessageId>,
    /// Responses from 200 on, in order; several for a forked INVITE.
    pub finals: Vec<MessageId>,
    /// ACKs of an INVITE (§17.1.1.3, §13.2.2.4).
    pub acks: Vec<MessageId>,
    /// The CANCEL transaction of an INVITE on this hop (§9.1).
    pub cancelled_by: Option<TransactionId>,
    /// The transaction whose request was forwarded as this one: its branch is in the second Via (§16.6), or another
    /// leg of the same call carried it before.
    pub upstream: Option<TransactionId>,
    /// True if the request carries a To tag: it belongs to a dialog (§12.2).
    pub in_dialog: bool,
    /// When anything of it was last captured.
    pub last: Timestamp,
}

impl Transaction {
    /// True for an INVITE that opens a call.
    pub fn is_initial_invite(&self) -> bool {
        self.method == Method::Invite && !self.in_dialog
    }
}

/// A dialog of a call (RFC 3261 §12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// The Call-ID.
    pub call_id: Box<[u8]>,
    /// The tag of the UAC that opened it.
    pub caller_tag: String,
    /// The tag of the UAS.
    pub callee_tag: String,
    /// The message with which it was confirmed, a 2xx; `None` while it is early.
    pub confirmed: Option<MessageId>,
    /// The first BYE of it.
    pub bye: Option<MessageId>,
}

/// What one Call-ID shows between two neighbours.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Which it is.
    pub id: LegId,
    /// The Call-ID.
    pub call_id: Box<[u8]>,
    /// The path of the first request: from the caller's side to the callee's.
    pub path: Path,
    /// Why it belongs to the call, if its Call-ID is another than that of the first leg.
    pub linked_by: Option<LinkedBy>,
}

/// What a call is about: the method of its first request.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// INVITE and all that needs its dialog.
    Call,
    /// REGISTER.
    Registration,
    /// SUBSCRIBE, NOTIFY, PUBLISH; a REFER outside of a dialog.
    Subscription,
    /// MESSAGE.
    Message,
    /// OPTIONS.
    Options,
    /// Anything else.
    #[default]
    Other,
}

impl Kind {
    /// The kind of what a message begins. Outside of a dialog a REFER asks for reports (RFC 3515 §2.4.4), and is no
    /// part of a call.
    pub(crate) fn begun_by(keys: &Keys<'_>) -> Kind {
        match &keys.cseq.method {
            Method::Register => Kind::Registration,
            Method::Subscribe | Method::Notify | Method::Publish => Kind::Subscription,
            Method::Refer if keys.is_request && keys.to_tag.is_empty() => Kind::Subscription,
            Method::Message => Kind::Message,
            Method::Options => Kind::Options,
            Method::Other(_) => Kind::Other,
            _ => Kind::Call,
        }
    }
}

/// A final response of 300 or more, on one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The response.
    pub response: MessageId,
    /// Its transaction.
    pub transaction: TransactionId,
    /// Its code.
    pub status: StatusCode,
    /// Why it is a step of a healthy exchange and no failure; `None` if it is a failure.
    pub normal: Option<NormalStep>,
}

/// An ICMP error that quotes a packet of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpSeen {
    /// When and where in the input.
    pub place: Place,
    /// Who sent it.
    pub reporter: IpAddr,
    /// What it says.
    pub what: IcmpCode,
    /// The next hop's MTU, or 0.
    pub mtu: u32,
    /// The path of the quoted packet.
    pub quoted: Path,
    /// The message that is quoted.
    pub message: MessageId,
}

/// The legs that belong together, and all that was captured of them.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number in the order of first messages, from 1.
    pub number: u32,
    /// What it is about.
    pub kind: Kind,
    /// Its messages in order of [`Place`], each once.
    pub messages: Vec<Heard>,
    /// Its transactions in order of their first message.
    pub transactions: Vec<Transaction>,
    /// Its dialogs.
    pub dialogs: Vec<Dialog>,
    /// Its legs in order of their first message.
    pub legs: Vec<Leg>,
    /// ICMP errors that quote its packets.
    pub icmp: Vec<IcmpSeen>,
    /// Its final responses of 300 or more, in order; empty until it has ended.
    pub failures: Vec<Failure>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the caller got in the end; `None` if nothing final.
    pub final_status: Option<StatusCode>,
    /// Messages that were counted and not kept because of a limit.
    pub not_kept: u32,
    /// Until when the capture was read when the call was judged: what comes later is not known to it.
    pub until: Timestamp,
}

impl Call {
    /// Bytes of memory that it takes, about.
    pub fn footprint(&self) -> usize {
        let messages: usize = self.messages.iter().map(|heard| size_of::<Heard>() + heard.message.bytes().len()).sum();
        let rest = self.transactions.len() * size_of::<Transaction>()
            + self.legs.len() * size_of::<Leg>()
            + self.dialogs.len() * size_of::<Dialog>();
        size_of::<Call>() + messages + rest
    }

    /// A message.
    ///
    /// # Panics
    /// Never for an id of this call.
    pub fn message(&self, id: MessageId) -> &Heard {
        &self.messages[id.0 as usize]
    }

    /// A transaction.
    ///
    /// # Panics
    /// Never for an id of this call.
    pub fn transaction(&self, id: TransactionId) -> &Transaction {
        &self.transactions[id.0 as usize]
    }

    /// A leg.
    ///
    /// # Panics
    /// Never for an id of this call.
    pub fn leg(&self, id: LegId) -> &Leg {
        &self.legs[id.0 as usize]
    }

    /// The request of a transaction.
    pub fn request_of(&self, transaction: &Transaction) -> Option<&Heard> {
        transaction.request.map(|id| self.message(id))
    }

    /// The first final response of a transaction.
    pub fn final_of(&self, transaction: &Transaction) -> Option<&Heard> {
        transaction.finals.first().map(|id| self.message(*id))
    }

    /// The first final code of a transaction; `None` if it has none from 200 to 699.
    pub fn final_status_of(&self, transaction: &Transaction) -> Option<StatusCode> {
        transaction.decided
    }

    /// The INVITEs that opened the call as the caller sent them: those that no other one was forwarded as. Responses
    /// that fit no INVITE stand for one only where none was captured, or where they tell that the capture missed one.
    pub fn attempts(&self) -> impl DoubleEndedIterator<Item = &Transaction> {
        let opens = |transaction: &&Transaction| transaction.is_initial_invite() && transaction.upstream.is_none();
        let any_captured =
            self.transactions.iter().any(|transaction| opens(&transaction) && transaction.request.is_some());
        self.transactions.iter().filter(opens).filter(move |transaction| {
            let is_missed = || self.is_unseen_try(transaction) || self.is_unseen_hop(transaction);
            transaction.request.is_some() || !any_captured || is_missed()
        })
    }

    /// The transactions that a transaction was forwarded as.
    pub fn downstream_of(&self, id: TransactionId) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().filter(move |transaction| transaction.upstream == Some(id))
    }

    /// Each Call-ID once, first seen first.
    pub fn call_ids(&self) -> Vec<&[u8]> {
        let mut call_ids: Vec<&[u8]> = Vec::new();
        for leg in &self.legs {
            if !call_ids.contains(&&*leg.call_id) {
                call_ids.push(&leg.call_id);
            }
        }
        call_ids
    }

    /// When its first message was captured.
    pub fn started(&self) -> Timestamp {
        self.messages.first().map_or(self.until, |heard| heard.place.time)
    }

    /// When its last message was captured, repeats included.
    pub fn ended(&self) -> Timestamp {
        self.messages.iter().map(|heard| heard.last_place().time).max().unwrap_or(self.until)
    }

    /// True if it was answered: an INVITE that opened it got a 2xx.
    pub fn is_answered(&self) -> bool {
        self.attempts().any(|attempt| self.answer_to(attempt).is_some())
    }
}
