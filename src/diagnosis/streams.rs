//! What TCP, TLS and WebSocket tell of a request that gets no answer: there SIP does not repeat it.
//!
//! Knows that TCP repeats what is not acknowledged (RFC 9293 §3.8.1), and that a response takes the connection of its
//! request (RFC 3261 §18.2.2). Is given a request; gives how sure its silence is. Deliberately does not know what a
//! rule makes of it.

use crate::call::{Heard, timer};
use crate::diagnosis::case::{Case, SOON};
use crate::diagnosis::finding::Confidence;

impl Case<'_> {
    /// True if TCP of the receiver acknowledged SIP of this sender within a minute of the call: an answer would come
    /// the same way.
    pub(crate) fn shows_way_back(&self, waiting: &Heard) -> bool {
        let (from, to) = (waiting.path.source.ip(), waiting.path.destination.ip());
        let (start, end) = (self.call.started(), self.call.ended());
        waiting.path.transport.is_reliable() && self.surroundings.is_way_back_visible(from, to, start, end)
    }

    /// True if TCP of the receiver acknowledged this message, as far as its time tells, and what TCP repeats in vain.
    pub(crate) fn was_received(&self, sent: &Heard) -> bool {
        let (from, to, since) = (sent.path.source.ip(), sent.path.destination.ip(), sent.place.time);
        let is_received = || self.surroundings.is_received(from, to, since, since.plus(timer::GIVE_UP));
        let is_lost = || self.surroundings.failed_connections().unacknowledged(sent.path, sent.place).is_some();
        sent.path.transport.is_reliable() && is_received() && !is_lost()
    }

    /// How sure it is that a request got no response which TCP brought to its receiver, on a connection that stood for
    /// as long as the request had to wait. `None` over UDP, where only copies tell; where the connection ended or TCP
    /// got nothing acknowledged; where the capture is too short; and where it shows nothing of the other direction: TCP
    /// that does not repeat has its acknowledgement, so what came back is not captured.
    pub(crate) fn silence_over_stream(&self, request: &Heard) -> Option<Confidence> {
        let (path, since) = (request.path, request.place.time);
        if !path.transport.is_reliable() {
            return None;
        }
        let failed = self.surroundings.failed_connections();
        let is_broken = failed.broken(path, since, since.plus(timer::GIVE_UP)).is_some()
            // Who closes its own end so soon does not wait for an answer.
            || failed.broken(path.reversed(), since, since.plus(SOON)).is_some()
            || failed.unacknowledged(path, request.place).is_some();
        let is_shown = self.is_visible(path.destination.ip(), path.source.ip()) || self.shows_way_back(request);
        if is_broken || !is_shown {
            return None;
        }
        Some(self.absence_of_answer(request)).filter(|sure| *sure != Confidence::Unseen)
    }
}
