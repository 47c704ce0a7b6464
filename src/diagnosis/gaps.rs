//! What the messages of a call show that the capture lacks.
//!
//! Is given a message; says whether others must have come before it that are not there. Deliberately does not know why
//! they were missed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::call::Heard;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::from_tag;
use crate::sip::Method;

/// Two copies of an INVITE were due by then (RFC 3261 §17.1.1.2), and a little.
const TWO_COPIES: Duration = Duration::from_millis(1600);

fn number(heard: &Heard) -> Option<u32> {
    heard.message.cseq().map(|cseq| cseq.number)
}

impl Case<'_> {
    /// True if requests of the side that sent this one are missing before it: the numbers in a dialog rise by one (RFC
    /// 3261 §12.2.1.1). The first that is known of may be missing itself: its responses tell its number.
    pub(crate) fn lacks_requests_before(&self, request: &Heard) -> bool {
        let Some(own) = number(request) else { return false };
        let first = self.of_side(request).filter_map(number).min().unwrap_or(own);
        let numbers: BTreeSet<u32> = self.requests_of_side(request).filter(|number| *number <= own).collect();
        let seen = numbers.len() + usize::from(!numbers.contains(&first));
        u32::try_from(seen).is_ok_and(|seen| seen <= own.saturating_sub(first))
    }

    /// True if the request is missing that the side that sent this one sent next.
    pub(crate) fn lacks_request_after(&self, request: &Heard) -> bool {
        let Some(next) = number(request).and_then(|own| own.checked_add(1)) else { return false };
        let numbers: BTreeSet<u32> = self.requests_of_side(request).filter(|number| *number >= next).collect();
        !numbers.is_empty() && !numbers.contains(&next)
    }

    /// The numbers of the requests of the side that sent this one.
    fn requests_of_side<'r>(&'r self, request: &'r Heard) -> impl Iterator<Item = u32> + 'r {
        let counts = |heard: &&Heard| {
            heard.message.is_request() && !matches!(heard.message.method(), Some(Method::Ack | Method::Cancel))
        };
        self.of_side(request).filter(counts).filter_map(number)
    }

    /// The requests of the side that sent this one, and what answers them.
    fn of_side<'r>(&'r self, request: &'r Heard) -> impl Iterator<Item = &'r Heard> {
        self.call.messages.iter().filter(|heard| {
            heard.message.call_id() == request.message.call_id() && from_tag(heard) == from_tag(request)
        })
    }

    /// True if a provisional response may have come before this refusal of an INVITE that the capture lacks: it does not
    /// hold the INVITE, or that was not repeated over UDP while two copies were due, as only a response before it
    /// explains.
    pub(crate) fn lacks_what_came_before(&self, refusal: &Heard) -> bool {
        let transaction = self.call.transaction(refusal.transaction);
        let Some(invite) = self.call.request_of(transaction) else { return transaction.method == Method::Invite };
        let first = transaction.provisionals.first().map_or(refusal, |id| self.call.message(*id));
        transaction.method == Method::Invite
            && !invite.path.transport.is_reliable()
            && invite.repeated == 0
            && first.place.time.since(invite.place.time) >= TWO_COPIES
    }
}
