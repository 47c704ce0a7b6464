//! What a call shows at a glance, and what it has to show for a rule to be asked.
//!
//! Is given a case; gives a small set of bits. Most calls show few of the things that rules speak of, and a rule that
//! speaks of a BYE finds nothing where there is none: it says so in its own file (`needs [BYE]`), and is asked only of
//! calls that show it. One that finds its fault in several ways says what each needs (`needs [480] [REFUSED REASON]`).
//! A rule that says nothing is asked of every call. Deliberately does not know what any rule makes of what is there.

use crate::call::{Call, Failure, Heard, Kind, MessageId, Surroundings, Transaction};
use crate::diagnosis::case::Case;
use crate::sip::auth::shows_credentials;
use crate::sip::{ASTERISK_CAUSE, HeaderName, Method, StatusCode};

/// What a call shows; or what it needs to show for a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Facts {
    /// A bit for each thing.
    shown: u64,
    /// A bit for the code of the response that decided the failure, by a hash; of what is needed, one for each of
    /// several, and none for any.
    codes: u128,
}

/// Names the bits of the set, in the order of the list.
macro_rules! facts {
    ($($(#[doc = $says:literal])+ $fact:ident)+) => {
        facts!(@ 0; $($(#[doc = $says])+ $fact)+);
    };
    (@ $bit:expr; $(#[doc = $says:literal])+ $fact:ident $($rest:tt)*) => {
        impl Facts {
            $(#[doc = $says])+
            pub const $fact: Facts = Facts { shown: 1 << ($bit), codes: 0 };
        }
        facts!(@ $bit + 1; $($rest)*);
    };
    (@ $bit:expr;) => {};
}

facts! {
    /// A response decided that the call failed ([`Case::failure`]).
    REFUSED
    /// That response has words of its own, beyond the usual phrase of its code ([`Case::words`]).
    WORDS
    /// No response decided that it failed, and it was not answered.
    UNDECIDED
    /// It was opened by INVITE, or goes on in its dialog ([`Kind::Call`]).
    CALL
    /// It is a registration ([`Kind::Registration`]).
    REGISTRATION
    /// It is a subscription ([`Kind::Subscription`]).
    SUBSCRIPTION
    /// It is a probe of a peer by OPTIONS ([`Kind::Options`]).
    PROBE
    /// An INVITE got a 2xx on some hop.
    ANSWERED
    /// There is a provisional response on some hop.
    PROVISIONAL
    /// There is a BYE on some hop.
    BYE
    /// An INVITE was cancelled on some hop.
    CANCEL
    /// There is a REFER on some hop.
    REFER
    /// There is an INFO on some hop.
    INFO
    /// There is a request inside a dialog, or an ACK without its INVITE.
    IN_DIALOG
    /// There was a dialog: an INVITE got a 2xx, or there is a request inside one.
    DIALOG
    /// An INVITE got a provisional response, or a 2xx.
    PROGRESS
    /// There is a final response of 300 or more, on whatever hop ([`Call::failures`]).
    FAILURE
    /// There is a 401 or 407.
    CHALLENGE
    /// There is a 3xx.
    REDIRECT
    /// A request carries credentials.
    CREDENTIALS
    /// A message carries Reason, or the header of Asterisk that may stand in its place.
    REASON
    /// A message carries Replaces.
    REPLACES
    /// A message carries Diversion or History-Info.
    DIVERTED
    /// A message carries Identity.
    IDENTITY
    /// There are several transactions.
    SEVERAL
    /// A request was sent on, to another hop or leg.
    SENT_ON
    /// A request has no final response.
    UNANSWERED
    /// A message was sent again.
    REPEATED
    /// A message went over TCP, TLS or WebSocket, where nothing need be sent again.
    STREAM
    /// An ICMP error quotes a message.
    ICMP
    /// A message has a body.
    BODY
    /// Something is odd about a message.
    ODD
    /// There is media somewhere in the capture.
    MEDIA
    /// There are connectivity checks somewhere in the capture.
    CHECKS
    /// There is a look-up of a name somewhere in the capture.
    LOOKUPS
    /// A connection failed somewhere in the capture.
    BROKEN
    /// A call was tried again at another server, with another Call-ID, somewhere in the capture.
    RETRIED
    /// Credentials were refused to somebody over and over, somewhere in the capture.
    GUESSED
    /// Media were reported not to arrive at a port, somewhere in the capture.
    CLOSED
    /// Somebody sent very many requests within a second, somewhere in the capture.
    FLOODED
}

impl Facts {
    /// Nothing.
    pub const NONE: Facts = Facts { shown: 0, codes: 0 };

    /// A response with this code decided that the call failed; where several are needed, one of them is enough.
    pub const fn code(code: u16) -> Facts {
        Facts { shown: Facts::REFUSED.shown, codes: 1 << (code % 128) }
    }

    /// Both together.
    pub const fn and(self, other: Facts) -> Facts {
        Facts { shown: self.shown | other.shown, codes: self.codes | other.codes }
    }

    /// True if one of several codes has to decide the call.
    pub(super) const fn asks_for_codes(self) -> bool {
        self.codes != 0
    }

    /// False if anything that is needed is not shown.
    pub const fn has(self, needed: Facts) -> bool {
        let has_code = needed.codes == 0 || self.codes & needed.codes != 0;
        self.shown & needed.shown == needed.shown && has_code
    }

    /// True if all is shown of one of the things that are needed, or if nothing is.
    pub fn meet(self, needed: &[Facts]) -> bool {
        needed.is_empty() || needed.iter().any(|needed| self.has(*needed))
    }

    /// What a case shows.
    pub fn of(case: &Case<'_>) -> Facts {
        let call = case.call;
        let has_failure = |holds: fn(StatusCode) -> bool| call.failures.iter().any(|failure| holds(failure.status));
        let of_call = Facts::that_hold([
            (Facts::REFUSED, case.failure().is_some()),
            (Facts::WORDS, case.failure().is_some() && !case.is_refusal_silent()),
            (Facts::UNDECIDED, case.failure().is_none() && !call.is_answered()),
            (Facts::CALL, call.kind == Kind::Call),
            (Facts::REGISTRATION, call.kind == Kind::Registration),
            (Facts::SUBSCRIPTION, call.kind == Kind::Subscription),
            (Facts::PROBE, call.kind == Kind::Options),
            (Facts::FAILURE, !call.failures.is_empty()),
            (Facts::CHALLENGE, has_failure(StatusCode::is_challenge)),
            (Facts::REDIRECT, has_failure(|status| (300..400).contains(&status.get()))),
            (Facts::SEVERAL, call.transactions.len() > 1),
            (Facts::ICMP, !call.icmp.is_empty()),
        ]);
        let mut facts = of_call.and(Facts::of_surroundings(case.surroundings));
        for transaction in &call.transactions {
            facts.shown |= Facts::of_transaction(call, transaction).shown;
        }
        for heard in &call.messages {
            facts.shown |= Facts::of_message(heard).shown;
        }
        let codes = |failure: &Failure| [failure.status.get(), case.code(failure)].map(Facts::code);
        case.failure().map(codes).into_iter().flatten().fold(facts, Facts::and)
    }

    fn of_surroundings(surroundings: &Surroundings) -> Facts {
        let (media, neighbours) = (surroundings.media(), surroundings.neighbours());
        Facts::that_hold([
            (Facts::MEDIA, !media.is_empty()),
            (Facts::CHECKS, !media.checks().is_empty()),
            (Facts::LOOKUPS, !neighbours.lookups().is_empty()),
            (Facts::BROKEN, !surroundings.failed_connections().is_empty()),
            (Facts::RETRIED, !neighbours.retries().is_empty()),
            (Facts::CLOSED, !surroundings.has_no_dead_port()),
            (Facts::GUESSED, !neighbours.has_no_guesser()),
            (Facts::FLOODED, neighbours.floods().next().is_some()),
        ])
    }

    fn of_transaction(call: &Call, transaction: &Transaction) -> Facts {
        let is_invite = transaction.method == Method::Invite;
        let is_success = |id: &MessageId| call.message(*id).message.status().is_some_and(StatusCode::is_success);
        let is_answered = is_invite && transaction.finals.iter().any(is_success);
        let has_provisional = !transaction.provisionals.is_empty();
        let of_method = match transaction.method {
            Method::Bye => Facts::BYE,
            Method::Cancel => Facts::CANCEL,
            Method::Refer => Facts::REFER,
            Method::Info => Facts::INFO,
            _ => Facts::NONE,
        };
        of_method.and(Facts::that_hold([
            (Facts::ANSWERED, is_answered),
            (Facts::PROVISIONAL, has_provisional),
            (Facts::PROGRESS, is_answered || is_invite && has_provisional),
            (Facts::DIALOG, is_answered || transaction.in_dialog),
            (Facts::CANCEL, transaction.cancelled_by.is_some()),
            (Facts::IN_DIALOG, transaction.in_dialog),
            (Facts::SENT_ON, transaction.upstream.is_some()),
            (Facts::UNANSWERED, transaction.finals.is_empty()),
        ]))
    }

    fn of_message(heard: &Heard) -> Facts {
        let message = &heard.message;
        let shows = |name| message.has_key(name);
        Facts::that_hold([
            (Facts::CREDENTIALS, shows_credentials(message)),
            (Facts::REASON, shows(HeaderName::Reason) || message.may_hold(ASTERISK_CAUSE)),
            (Facts::REPLACES, shows(HeaderName::Replaces)),
            (Facts::DIVERTED, message.may_hold("Diversion") || message.may_hold("History-Info")),
            (Facts::IDENTITY, message.may_hold("Identity")),
            (Facts::REPEATED, heard.repeated > 0),
            (Facts::STREAM, heard.path.transport.is_reliable()),
            (Facts::BODY, !message.body().is_empty()),
            (Facts::ODD, !message.oddities().is_empty()),
        ])
    }

    #[inline]
    fn that_hold<const N: usize>(facts: [(Facts, bool); N]) -> Facts {
        let shown = facts.into_iter().fold(0, |all, (fact, holds)| if holds { all | fact.shown } else { all });
        Facts { shown, codes: 0 }
    }
}
