//! What callers and callees say in the tests of the tracker.

use crate::call::model::Arrival;
use crate::call::tracker::Tracker;
use crate::capture::{Place, SourceId, Timestamp};
use crate::net::{Path, Transport};
use crate::oddity::OddityLog;
use crate::sip::{Cut, Message};

/// Whether the caller says it, its first line, and its CSeq.
pub(super) type Said = (bool, &'static str, &'static str);

/// Lets the tracker hear what is said in a call, so many milliseconds after the clock began.
pub(super) fn hear(tracker: &mut Tracker, call: u32, at: i64, said: Said, oddities: &mut OddityLog) {
    let (by_caller, line, cseq) = said;
    let to_tag = if by_caller && cseq == "1 INVITE" { "" } else { ";tag=b" };
    let branch = cseq.split(' ').next().unwrap();
    let text = format!(
        "{line}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call}x{branch}\r\nMax-Forwards: 70\r\nFrom: \
         <sip:a@192.0.2.1>;tag=a{call}\r\nTo: <sip:b@192.0.2.2>{to_tag}\r\nCall-ID: {call}@192.0.2.1\r\nCSeq: \
         {cseq}\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    );
    let (caller, callee) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    let path = Path { source: caller, destination: callee, transport: Transport::Udp };
    let path = if by_caller { path } else { path.reversed() };
    let place = Place { time: Timestamp(at * 1_000_000), source: SourceId::default(), frame: at as u64, index: 0 };
    let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
    tracker.message(&message, Cut::Whole, &Arrival { place, path, ip_id: None, hop_limit: 0 }, oddities);
}
