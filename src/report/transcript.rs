//! The messages of calls as text, for printers that show them whole.
//!
//! Is given calls while they are diagnosed; keeps the text of some, within bounds, secrets struck out. Bodies are kept
//! where they are session descriptions; of others only type and length are told.

use std::collections::BTreeMap;

use crate::call::{Call, Outcome};
use crate::report::secrets::Secrets;
use crate::sip::Message;

/// Calls whose messages are kept.
const MOST_CALLS: usize = 100;
/// Bytes of text over all calls.
const MOST_BYTES: usize = 16 << 20;
/// Messages of one call.
const MOST_MESSAGES: usize = 300;
/// Letters of one message.
const LONGEST_MESSAGE: usize = 20_000;
/// Good requests that are kept to be compared with.
const MOST_EXAMPLES: usize = 100;

/// The messages of some calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transcripts {
    calls: BTreeMap<u32, Vec<Option<String>>>,
    bytes: usize,
    examples: BTreeMap<Target, Example>,
}

/// What requests that can be compared have in common: method and the host that was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    method: String,
    host: String,
}

/// A request that went well.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// The call of which it is.
    pub(crate) call: u32,
    /// Its text.
    pub(crate) text: String,
}

impl Target {
    /// Of a rung of a ladder: its label, and the address that it went to.
    pub(crate) fn new(method: &str, address: &str) -> Target {
        Target { method: method.to_owned(), host: crate::report::record::host(address).to_owned() }
    }
}

impl Transcripts {
    /// Keeps the messages of a call, if there is room.
    pub(crate) fn put(&mut self, call: &Call, secrets: &Secrets) {
        if self.calls.len() >= MOST_CALLS || self.bytes >= MOST_BYTES {
            return;
        }
        let texts: Vec<Option<String>> = crate::report::ladder::steps(call)
            .into_iter()
            .take(MOST_MESSAGES)
            .map(|step| step.heard.map(|heard| text_of(&heard.message, secrets)))
            .collect();
        self.bytes += texts.iter().flatten().map(String::len).sum::<usize>();
        self.calls.insert(call.number, texts);
    }

    /// Keeps the first request of a call that went well, if none to that host is known.
    pub(crate) fn put_example(&mut self, call: &Call, outcome: Outcome, secrets: &Secrets) {
        let is_good = matches!(outcome, Outcome::Answered | Outcome::Registered | Outcome::Accepted);
        if !is_good || self.examples.len() >= MOST_EXAMPLES {
            return;
        }
        for transaction in call.transactions.iter().filter(|transaction| !transaction.in_dialog) {
            let is_success = call.final_status_of(transaction).is_some_and(|status| status.is_success());
            let Some(request) = call.request_of(transaction).filter(|_| is_success) else { continue };
            let host = secrets.hide(&request.path.destination.to_string());
            let target = Target::new(transaction.method.name(), &host);
            let example = || Example { call: call.number, text: text_of(&request.message, secrets) };
            self.examples.entry(target).or_insert_with(example);
        }
    }

    /// The texts of a call's ladder, in its order; `None` where a rung is no message.
    pub(crate) fn of(&self, call: u32) -> Option<&[Option<String>]> {
        self.calls.get(&call).map(Vec::as_slice)
    }

    /// A request of this kind that went well.
    pub(crate) fn example(&self, target: &Target) -> Option<&Example> {
        self.examples.get(target)
    }

    /// Calls whose messages are kept.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

/// A message as it may be shown.
fn text_of(message: &Message<'_>, secrets: &Secrets) -> String {
    // What stands before the start line or behind the body may hold anybody's secrets.
    let body = message.body();
    let head = String::from_utf8_lossy(message.head());
    let own = secrets.with(message);
    let content = message.header("Content-Type").unwrap_or_default().to_ascii_lowercase();
    let shown = if secrets.are_shown() {
        own.hide(&String::from_utf8_lossy(message.bytes()))
    } else if body.is_empty() {
        own.hide(&head)
    } else if content.starts_with("application/sdp") {
        own.hide(&without_keys(&format!("{head}{}", String::from_utf8_lossy(body)), secrets))
    } else {
        format!("{}(body of {} bytes)", own.hide(&head), body.len())
    };
    let shown = shown.replace("\r\n", "\n");
    match shown.char_indices().nth(LONGEST_MESSAGE) {
        None => shown.trim_end().to_owned(),
        Some((end, _)) => format!("{}… (cut here)", shown.get(..end).unwrap_or_default()),
    }
}

/// Lines of a session description that carry keys (RFC 4568, RFC 8839 §5.4, RFC 8866 §5.12), values struck out.
fn without_keys(text: &str, secrets: &Secrets) -> String {
    if secrets.are_shown() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let key = ["a=crypto:", "a=ice-pwd:", "a=key-mgmt:", "k="].into_iter().find(|key| lower.starts_with(key));
        match key.and_then(|key| line.get(..key.len())) {
            Some(start) => {
                shown.push_str(start);
                shown.push_str("(hidden)\r\n");
            }
            None => shown.push_str(line),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_message_is_not_shown() {
        let head = "MESSAGE sip:b@h SIP/2.0\r\nCall-ID: 1\r\n";
        for (rest, shown) in [
            ("Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nmy secret", "(body of 9 bytes)"),
            ("Content-Length: 0\r\n\r\n", "Content-Length: 0"),
            ("Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n", "\n\nv=0"),
        ] {
            let text = format!("hunter0\r\n{head}{rest}hunter2\r\nAuthorization: Digest response=\"cafe\"\r\n");
            let message = Message::read(text.as_bytes(), crate::sip::Cut::Whole).unwrap();
            let found = text_of(&message, &Secrets::default());
            assert!(found.starts_with("MESSAGE sip:") && found.ends_with(shown), "{found}");
            assert!(!found.contains("secret"), "{found}");
        }
    }

    #[test]
    fn lines_with_keys_are_struck_out() {
        let text = "v=0\r\na=crypto:1 AES inline:S0VZ\r\na=ice-pwd:hunter2\r\nk=clear:pw\r\na=rtpmap:0 PCMU/8000\r\n";
        let shown = without_keys(text, &Secrets::default());
        assert_eq!(shown, "v=0\r\na=crypto:(hidden)\r\na=ice-pwd:(hidden)\r\nk=(hidden)\r\na=rtpmap:0 PCMU/8000\r\n");
    }
}
