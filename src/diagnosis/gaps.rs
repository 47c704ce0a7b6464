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

impl Case<'_> {
    /// True if requests of the side that sent this one are missing before it: the numbers in a dialog rise by one (RFC
    /// 3261 §12.2.1.1).
    pub(crate) fn lacks_requests_before(&self, request: &Heard) -> bool {
        let Some(own) = request.message.cseq().map(|cseq| cseq.number) else { return false };
        let is_of_side = |heard: &&Heard| {
            heard.message.is_request()
                && !matches!(heard.message.method(), Some(Method::Ack | Method::Cancel))
                && heard.message.call_id() == request.message.call_id()
                && from_tag(heard) == from_tag(request)
        };
        let sent = self.call.messages.iter().filter(is_of_side);
        let numbers: BTreeSet<u32> =
            sent.filter_map(|heard| Some(heard.message.cseq()?.number)).filter(|number| *number <= own).collect();
        let first = numbers.first().copied().unwrap_or(own);
        u32::try_from(numbers.len()).is_ok_and(|seen| seen <= own.saturating_sub(first))
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
