//! What the messages of a call show that the capture lacks.
//!
//! Is given a message; says whether others must have come before it that are not there. Deliberately does not know why
//! they were missed.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::call::{Asked, Heard};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::dialogs::from_tag;
use crate::sip::Method;

/// Two copies of an INVITE were due by then (RFC 3261 §17.1.1.2), and a little.
const TWO_COPIES: Duration = Duration::from_millis(1600);

impl Case<'_> {
    /// True if requests of the side that sent this one are missing before it: the numbers in a dialog rise by one (RFC
    /// 3261 §12.2.1.1). The first that is known of may be missing itself: its responses tell its number.
    pub(crate) fn lacks_requests_before(&self, request: &Heard) -> bool {
        let Some(own) = number(request) else { return false };
        let first = self.of_side(request).filter_map(number).min().unwrap_or(own);
        let numbers: BTreeSet<u32> =
            self.numbers_of_side(request).map(|(_, number)| number).filter(|number| *number <= own).collect();
        let seen = numbers.len() + usize::from(!numbers.contains(&first));
        u32::try_from(seen).is_ok_and(|seen| seen <= own.saturating_sub(first))
    }

    /// True if requests of the side that sent this one are missing between a place and the next one that the capture
    /// holds: what is not seen there may have been sent.
    pub(crate) fn lacks_requests_after(&self, request: &Heard, since: Place) -> bool {
        let numbers = || self.numbers_of_side(request);
        let before = numbers().filter(|(place, _)| *place <= since).map(|(_, number)| number).max();
        let Some(before) = before.max(number(request)) else { return false };
        let next = numbers().filter(|(place, number)| *place > since && *number > before).map(|(_, number)| number);
        next.min().is_some_and(|next| next > before.saturating_add(1))
    }

    /// The same of any place behind it, and not only of the next request.
    pub(crate) fn lacks_requests_anywhere_after(&self, request: &Heard, since: Place) -> bool {
        let numbers: BTreeSet<u32> = self.numbers_of_side(request).map(|(_, number)| number).collect();
        let first = numbers.first().copied();
        let has_gap = |number: &u32| Some(*number) != first && !numbers.contains(&number.saturating_sub(1));
        self.numbers_of_side(request).any(|(place, number)| place > since && has_gap(&number))
    }

    /// True if the client may have sent the request again after this response, in one that is missing by the numbers.
    pub(crate) fn lacks_next_try(&self, request: &Heard, response: &Heard) -> bool {
        self.lacks_next_registration(request, response) || self.lacks_requests_after(request, response.place)
    }

    /// The same of a registration, each of whose renewals is told for itself.
    fn lacks_next_registration(&self, request: &Heard, response: &Heard) -> bool {
        let Some(own) = number(request) else { return false };
        let Some(uri) = request.message.to().map(|to| to.parsed()) else { return false };
        let Some(known) = self.surroundings.registrations().of(uri.bare_user(), &uri.host) else { return false };
        let Some(asked) = known.asked.iter().find(|asked| asked.place == request.place) else { return false };
        let is_later = |later: &&Asked| later.place > response.place && later.device == asked.device;
        known.asked.iter().find(is_later).is_some_and(|next| next.cseq > own.saturating_add(1))
    }

    /// Where each request stands that came from the side that sent this one, and its number.
    fn numbers_of_side(&self, request: &Heard) -> impl Iterator<Item = (Place, u32)> {
        let counts = |heard: &&Heard| {
            heard.message.is_request() && !matches!(heard.message.method(), Some(Method::Ack | Method::Cancel))
        };
        self.of_side(request).filter(counts).filter_map(|heard| Some((heard.place, number(heard)?)))
    }

    /// The requests of the side that sent this one, and what answers them.
    fn of_side(&self, request: &Heard) -> impl Iterator<Item = &Heard> {
        self.call.messages.iter().filter(|heard| {
            heard.message.call_id() == request.message.call_id() && from_tag(heard) == from_tag(request)
        })
    }

    /// True if the capture may lack what followed a message: packets were dropped, or only the beginning of each is
    /// there.
    pub(crate) fn may_lack_what_followed(&self, heard: &Heard) -> bool {
        self.capture.drops > 0 || heard.message.is_cut()
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

fn number(request: &Heard) -> Option<u32> {
    request.message.cseq().map(|cseq| cseq.number)
}
