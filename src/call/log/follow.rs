//! What a message does to its step, and to what is known of the call.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use memchr::memmem;

use crate::call::log::occupancy::private_block;
use crate::call::log::{EntryId, Hearing, Log, Verb};
use crate::capture::Timestamp;
use crate::sip::{ASTERISK_CAUSE, Cut, HeaderName, Message, Method, Reason};

static REFUSED_AUDIO: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("m=audio 0 "));
static RECEIVE_ONLY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\na=recvonly"));
static SEND_ONLY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\na=sendonly"));
static INACTIVE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\na=inactive"));
static WITHOUT_ADDRESS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\nc=IN IP4 0.0.0.0"));
static MEDIA_ADDRESS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\nc=IN IP4 "));
static DIGEST_URI: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("uri=\""));

/// The cause of Q.850 with which a party hangs up.
const NORMAL_CLEARING: u32 = 16;

impl Log {
    /// Follows what the message does to its step, and whether the call stays a plain one.
    pub(super) fn follow(&mut self, step: usize, entry: EntryId, heard: &Hearing<'_, '_>) {
        self.is_special |= heard.cut != Cut::Whole;
        match (heard.keys.is_request, &heard.keys.cseq.method) {
            (true, Method::Ack) => self.follow_ack(step, entry, heard),
            (true, _) => self.follow_request(step, entry, heard),
            (false, _) => self.follow_response(step, entry, heard),
        }
    }

    fn follow_ack(&mut self, step: usize, entry: EntryId, heard: &Hearing<'_, '_>) {
        let Some(step) = self.steps.get_mut(step) else { return };
        step.acked = true;
        step.ack = Some(entry);
        // Only the ACK to a 2xx has a branch of its own (RFC 3261 §13.2.2.4): the capture missed that 2xx.
        if step.status == 0 && !step.in_dialog && heard.keys.has_cookie() && heard.keys.branch_hash != step.branch_hash
        {
            self.is_special = true;
            self.answered.get_or_insert(heard.arrival.place.time);
        }
    }

    fn follow_request(&mut self, step: usize, entry: EntryId, heard: &Hearing<'_, '_>) {
        let Hearing { message, keys, arrival, .. } = *heard;
        let Some(step) = self.steps.get_mut(step) else { return };
        self.has_altered_requests |= step.request.is_some();
        step.request = Some(entry);
        if step.method == Verb::Bye && !self.fork.is_released_by(keys, arrival.place.time) {
            self.byes += 1;
        }
        // How a transfer ends, NOTIFY tells, whatever the response to REFER is.
        let is_telling = step.method == Verb::Cancel || keys.cseq.method == Method::Refer;
        self.is_special |= is_telling || has_other_digest_uri(message);
        self.is_special |= step.method == Verb::Bye && gives_an_odd_reason(message);
        if keys.cseq.method == Method::Notify {
            self.is_transferring &= !ends_subscription(message);
        }
        if step.method == Verb::Invite {
            self.note_media(message);
        }
    }

    fn follow_response(&mut self, step: usize, entry: EntryId, heard: &Hearing<'_, '_>) {
        let Hearing { message, keys, arrival, .. } = *heard;
        let Some(step) = self.steps.get_mut(step) else { return };
        step.response = Some(entry);
        let Some(status) = keys.status else {
            self.is_special = true;
            return;
        };
        if status.is_provisional() {
            self.is_special |= step.status != 0;
            step.provisional = true;
            step.rings |= status.get() > 100;
            return;
        }
        let was_answered = step.is_good();
        self.is_special |= step.status != 0 || !(status.is_success() || status.is_challenge());
        if step.status == 0 {
            step.status = status.get();
        }
        let is_answer = step.method == Verb::Invite && status.is_success();
        self.is_transferring |= keys.cseq.method == Method::Refer && status.is_success();
        if step.in_dialog && status.is_success() && matches!(keys.cseq.method, Method::Invite | Method::Update) {
            self.is_special |= asks_for_silence(message.body());
        }
        if is_answer {
            match was_answered {
                true => self.fork.note_further_answer(keys, arrival.place.time),
                false => self.fork.note_answer(keys),
            }
            self.note_accepted(message, arrival.place.time);
        }
    }

    /// A 2xx to an INVITE: what it says of the media and of the session's time.
    fn note_accepted(&mut self, message: &Message<'_>, at: Timestamp) {
        self.answered.get_or_insert(at);
        self.is_special |= REFUSED_AUDIO.find(message.body()).is_some();
        self.note_media(message);
        let seconds = crate::call::step::seconds(message, HeaderName::SessionExpires);
        self.session_expires = match (self.session_expires, seconds) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }

    /// Remembers a private address that media are asked for at: whether it can be reached shows when all addresses of
    /// the call are known.
    fn note_media(&mut self, message: &Message<'_>) {
        let body = message.body();
        let Some(at) = MEDIA_ADDRESS.find(body) else { return };
        let text = body.get(at + MEDIA_ADDRESS.needle().len()..).unwrap_or_default();
        // Every private address begins with it.
        if text.first() != Some(&b'1') {
            return;
        }
        if let Some(block) = address_at_start(text).and_then(private_block) {
            self.media_blocks |= 1 << block;
        }
    }
}

/// The address that the digits and dots at the start of a text write.
fn address_at_start(text: &[u8]) -> Option<Ipv4Addr> {
    let (first, rest) = octet_at_start(text)?;
    let (second, rest) = octet_at_start(rest.strip_prefix(b".")?)?;
    let (third, rest) = octet_at_start(rest.strip_prefix(b".")?)?;
    let (fourth, rest) = octet_at_start(rest.strip_prefix(b".")?)?;
    let is_whole = !matches!(rest, [b'0'..=b'9' | b'.', ..]);
    is_whole.then_some(Ipv4Addr::new(first, second, third, fourth))
}

/// An octet of an address, and what stands behind it. Before other digits there is no zero (RFC 6943 §3.1.1).
fn octet_at_start(text: &[u8]) -> Option<(u8, &[u8])> {
    let value = |digit: &u8| u16::from(*digit - b'0');
    let (octet, rest) = match text {
        [b'0', rest @ ..] => (0, rest),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            (value(a) * 100 + value(b) * 10 + value(c), rest)
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => (value(a) * 10 + value(b), rest),
        [a @ b'1'..=b'9', rest @ ..] => (value(a), rest),
        _ => return None,
    };
    Some((u8::try_from(octet).ok()?, rest))
}

/// True for the last NOTIFY of a subscription (RFC 6665 §4.1.3).
fn ends_subscription(message: &Message<'_>) -> bool {
    let state = message.header_bytes(HeaderName::SubscriptionState).unwrap_or_default();
    state.get(..10).is_some_and(|word| word.eq_ignore_ascii_case(b"terminated"))
}

/// True for a session description in which media flow one way or not at all, as on hold: in its attributes
/// (RFC 3264 §5.1), or by an address that nothing can be sent to (RFC 2543 §B.5).
fn asks_for_silence(body: &[u8]) -> bool {
    let signs = [&RECEIVE_ONLY, &SEND_ONLY, &INACTIVE, &WITHOUT_ADDRESS];
    signs.into_iter().any(|sign| sign.find(body).is_some())
}

/// True for a BYE that says more than that a party has hung up: it may tell that the call was lost (RFC 3326 §2).
fn gives_an_odd_reason(bye: &Message<'_>) -> bool {
    // Most have no such header, which is known without a look at their headers.
    let named = bye.may_hold(ASTERISK_CAUSE).then(|| bye.header(ASTERISK_CAUSE)).flatten();
    let is_odd = |cause: &str| cause.trim().parse() != Ok(NORMAL_CLEARING);
    has_odd_reason(bye) || named.is_some_and(|cause| is_odd(&cause))
}

fn has_odd_reason(bye: &Message<'_>) -> bool {
    if bye.only_header_bytes(HeaderName::Reason).is_some_and(|only| only.is_none_or(is_plainly_normal)) {
        return false;
    }
    // A text beside the normal cause may say that the media were lost.
    let is_of_media = |text: &str| ["edia", "MEDIA", "rtp", "RTP"].iter().any(|word| text.contains(word));
    let is_plain = |reason: &Reason| !reason.text.as_deref().is_some_and(is_of_media);
    let is_normal =
        |reason: &Reason| reason.q850() == Some(NORMAL_CLEARING) && is_plain(reason) || reason.says_user_ended();
    !bye.reasons().iter().all(is_normal)
}

/// True for the Reason that nearly every BYE gives if it gives any, told by its bytes: the normal cause, and a text in
/// which nothing is escaped, listed, or may be of media.
fn is_plainly_normal(reason: &[u8]) -> bool {
    let Some(rest) = reason.strip_prefix(b"Q.850;cause=16") else { return false };
    let text = rest.strip_prefix(b";text=\"").and_then(|text| text.strip_suffix(b"\""));
    let tells_nothing = |text: &[u8]| {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.');
        let may_be_of_media = |part: &[u8]| matches!(part, b"edi" | b"MED" | b"rtp" | b"RTP");
        text.iter().all(is_word) && !text.windows(3).any(may_be_of_media)
    };
    rest.is_empty() || text.is_some_and(tells_nothing)
}

/// True for a request whose credentials name another URI than its Request-URI: what became of it is worth knowing
/// (RFC 7616 §3.4.2).
fn has_other_digest_uri(message: &Message<'_>) -> bool {
    let credentials = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
    let Some(shown) = credentials.into_iter().find_map(|name| message.header_bytes(name)) else { return false };
    let Some(at) = DIGEST_URI.find(shown) else { return true };
    let named = shown.get(at + 5..).unwrap_or_default();
    let named = named.get(..memchr::memchr(b'"', named).unwrap_or(named.len())).unwrap_or_default();
    message.request_uri().is_none_or(|uri| uri.as_bytes() != named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bye(reason: &str) -> bool {
        let text = format!("BYE sip:a@192.0.2.1 SIP/2.0\r\n{reason}Content-Length: 0\r\n\r\n");
        gives_an_odd_reason(&Message::read(text.as_bytes(), Cut::Whole).unwrap())
    }

    #[test]
    fn a_plain_end_gives_no_odd_reason() {
        let plain = [
            "",
            "Reason: Q.850;cause=16\r\n",
            "Reason: Q.850;cause=16;text=\"Normal call clearing\"\r\n",
            "Reason: Q.850 ; cause=16 ; text=\"Normal, of course\"\r\n",
            "Reason: Q.850;cause=16\r\nReason: Q.850;cause=16\r\n",
        ];
        plain.iter().for_each(|reason| assert!(!bye(reason), "{reason}"));
        let odd = [
            "Reason: Q.850;cause=16;text=\"Media timeout\"\r\n",
            "Reason: Q.850;cause=16;text=\"no rtp\"\r\n",
            "Reason: Q.850;cause=160\r\n",
            "Reason: Q.850;cause=16, SIP;cause=408\r\n",
            "Reason: Q.850;cause=16\r\nReason: Q.850;cause=41\r\n",
            "Reason: Q.850;cause=16;text=\"a\", Q.850;cause=41;text=\"b\"\r\n",
        ];
        odd.iter().for_each(|reason| assert!(bye(reason), "{reason}"));
    }

    proptest! {
        #[test]
        fn an_address_at_the_start_is_read_as_the_whole_of_it_is(
            text in "([0-9]{1,4}|1[0-9]{2}|0)(\\.([0-9]{1,4}|1[0-9]{2}|0)){0,4}|[0-9.]{0,20}",
            behind in "(|/127|\r\n| )",
        ) {
            let known = text.parse::<Ipv4Addr>().ok();
            prop_assert_eq!(address_at_start(format!("{text}{behind}").as_bytes()), known);
        }
    }
}
