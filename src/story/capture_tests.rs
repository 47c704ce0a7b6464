//! What the capture of a story holds, read by a reader that shares nothing with its writer.

use proptest::prelude::*;

use crate::story::Story;

const TWO: &str = "alice 192.0.2.10:5060\nbob 192.0.2.30:5060\n";
const TWO6: &str = "alice [2001:db8::10]:5060\nbob [2001:db8::30]:5060\n";

/// One record of a pcap file: microseconds since 1970, the frame, and its length on the wire.
struct Record {
    micros: u64,
    frame: Vec<u8>,
    wire: usize,
}

fn little(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

fn big(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

fn records(text: &str) -> Vec<Record> {
    let story = Story::parse(text).expect("a story");
    let file = story.capture();
    assert_eq!(story.capture_name(), "capture.pcap");
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    assert_eq!(little(&file, 20), 1);
    let (mut records, mut at) = (Vec::new(), 24);
    while at < file.len() {
        let kept = little(&file, at + 8);
        records.push(Record {
            micros: little(&file, at) as u64 * 1_000_000 + little(&file, at + 4) as u64,
            frame: file[at + 16..at + 16 + kept].to_vec(),
            wire: little(&file, at + 12),
        });
        at += 16 + kept;
    }
    records
}

/// The sum of RFC 1071; 0xffff over what holds its own right checksum.
fn sum(parts: &[&[u8]]) -> usize {
    let mut total = 0;
    for part in parts {
        for pair in part.chunks(2) {
            total += usize::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| usize::from(*low));
        }
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total
}

/// The payload of IP, its protocol, after all checksums have been found right; not for fragments.
fn checked(frame: &[u8]) -> (u8, &[u8]) {
    let packet = &frame[14..];
    let (protocol, addresses, payload) = match big(frame, 12) {
        0x0800 => {
            assert_eq!(sum(&[&packet[..20]]), 0xffff);
            assert_eq!(big(packet, 2), packet.len());
            (packet[9], &packet[12..20], &packet[20..])
        }
        0x86dd => {
            assert_eq!(big(packet, 4), packet.len() - 40);
            (packet[6], &packet[8..40], &packet[40..])
        }
        other => panic!("EtherType {other:#x}"),
    };
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let whole = match protocol {
        1 => sum(&[payload]),
        _ => sum(&[addresses, &length, &[0, protocol], payload]),
    };
    assert_eq!(whole, 0xffff);
    (protocol, payload)
}

#[test]
fn datagrams_have_right_lengths_and_checksums() {
    for actors in [TWO, TWO6] {
        let records = records(&format!(
            "# One.\n{actors}0 alice -> bob INVITE sip:bob@example.com\n0.25 bob -> alice 180 Ringing\n"
        ));
        assert_eq!(records[1].micros - records[0].micros, 250_000);
        for record in &records {
            let (protocol, payload) = checked(&record.frame);
            assert_eq!(protocol, 17);
            assert_eq!(big(payload, 4), payload.len());
            assert_eq!(record.wire, record.frame.len());
        }
    }
}

#[test]
fn a_large_datagram_comes_in_fragments_that_hold_it_all() {
    let long = "x".repeat(4_200);
    for (actors, header) in [(TWO, 20), (TWO6, 48)] {
        let text = format!("# Large.\n{actors}0 alice -> bob OPTIONS\n  X-Long: {long}\n");
        let message = Story::parse(&text).expect("a story").messages()[0].2.clone();
        let records = records(&text);
        assert_eq!(records.len(), 4);
        let mut datagram = Vec::new();
        for record in &records {
            assert!(record.frame.len() <= 1514);
            datagram.extend_from_slice(&record.frame[14 + header..]);
        }
        assert_eq!(datagram[8..], message);
        assert_eq!(big(&datagram, 4), datagram.len());
        let identifications: Vec<&[u8]> = records
            .iter()
            .map(|record| if header == 20 { &record.frame[18..20] } else { &record.frame[58..62] })
            .collect();
        assert!(identifications.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn a_tcp_connection_is_opened_and_its_numbers_go_on() {
    let records = records(
        "# TCP.\nalice 192.0.2.10:5060 transport tcp\nbob 192.0.2.30:5060\n1 alice -> bob INVITE \
         sip:bob@example.com\n  split 300\n1.1 bob -> alice 180 Ringing\n& bob -> alice 200 OK\n2 alice -> bob ACK\n3 \
         bob close alice\n",
    );
    let mut next: [Option<usize>; 2] = [None, None];
    let mut bytes = 0;
    for record in &records {
        let (protocol, segment) = checked(&record.frame);
        assert_eq!(protocol, 6);
        let side = usize::from(big(segment, 0) == 5060);
        let sequence = big(segment, 4) << 16 | big(segment, 6);
        let flags = segment[13];
        if let Some(expected) = next[side] {
            assert_eq!(sequence, expected);
        }
        assert!(flags & 2 != 0 || next[side].is_some(), "bytes before the SYN");
        let length = segment.len() - 20;
        next[side] = Some(sequence + length + usize::from(flags & 3 != 0));
        bytes += length;
    }
    let flags: Vec<u8> = records.iter().take(3).map(|record| record.frame[14 + 20 + 13]).collect();
    assert_eq!(flags, [2, 18, 16]);
    let sent: usize = {
        let text = "# TCP.\nalice 192.0.2.10:5060 transport tcp\nbob 192.0.2.30:5060\n1 alice -> bob INVITE \
                    sip:bob@example.com\n1.1 bob -> alice 180 Ringing\n1.1 bob -> alice 200 OK\n2 alice -> bob ACK\n";
        Story::parse(text).expect("a story").messages().iter().map(|(.., message)| message.len()).sum()
    };
    assert_eq!(bytes, sent);
}

#[test]
fn a_connection_may_be_refused_or_unanswered() {
    let actors = "alice 192.0.2.10:5060 transport tcp\nbob 192.0.2.30:5060\n";
    let text =
        format!("# Closed.\n{actors}0 alice connect bob refused\n1 alice connect bob unanswered\n  again +1 +3\n");
    let flags: Vec<u8> = records(&text).iter().map(|record| checked(&record.frame).1[13]).collect();
    assert_eq!(flags, [2, 20, 2, 2, 2]);
}

#[test]
fn an_icmp_error_quotes_the_packet() {
    for (actors, most) in [(TWO, 548), (TWO6, 1232)] {
        let text = format!(
            "# Closed.\n{actors}0 alice -> bob INVITE sip:bob@example.com\n0.001 bob icmp port-unreachable alice\n"
        );
        let records = records(&text);
        let (protocol, error) = checked(&records[1].frame);
        let expected = if most == 548 { (1, 3, 3) } else { (58, 1, 4) };
        assert_eq!((protocol, error[0], error[1]), expected);
        let quoted = &records[0].frame[14..];
        assert_eq!(error[8..], quoted[..quoted.len().min(most)]);
    }
}

#[test]
fn a_tap_copies_and_a_snap_length_cuts() {
    let records =
        records(&format!("# Both.\ntap\nsnaplen 100\n{TWO}0 alice -> bob OPTIONS\n0.1 bob -> alice 200 OK\n"));
    assert_eq!(records.len(), 4);
    assert_eq!(records[0].frame, records[1].frame);
    assert_eq!(records[1].micros - records[0].micros, 9);
    assert!(records.iter().all(|record| record.frame.len() == 100 && record.wire > 300));
}

#[test]
fn the_clock_steps_for_what_comes_after() {
    let text = format!("# Back.\n{TWO}1 alice -> bob OPTIONS\n2 clock -5\n3 bob -> alice 200 OK\nend 9\n");
    let records = records(&text);
    let first = i64::try_from(records[0].micros).expect("a time");
    let later = |index: usize| i64::try_from(records[index].micros).expect("a time") - first;
    assert_eq!(later(1), -3_000_000);
    assert_eq!(later(2), 3_000_000);
    let messages = Story::parse(&text).expect("a story").messages();
    assert_eq!(messages[1].0.0 - messages[0].0.0, -3_000_000_000);
}

#[test]
fn drops_are_told_by_the_statistics_of_the_interface() {
    let story = Story::parse(&format!("# Dropped.\ndrops 1234\n{TWO}0 alice -> bob OPTIONS\n")).expect("a story");
    assert_eq!(story.capture_name(), "capture.pcapng");
    let file = story.capture();
    let (mut blocks, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let length = little(&file, at + 4);
        assert_eq!(little(&file, at + length - 4), length);
        blocks.push((little(&file, at), &file[at + 8..at + length - 4]));
        at += length;
    }
    let kinds: Vec<usize> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 5]);
    let statistics = blocks[3].1;
    assert_eq!(little(statistics, 24), 5 | 8 << 16);
    assert_eq!(little(statistics, 28), 1234);
}

#[test]
fn rtp_has_its_rhythm() {
    let records = records(&format!("# Sound.\n{TWO}0 rtp alice -> bob 3 packets pt 8 port 40000->40002\n"));
    assert_eq!(records.len(), 3);
    for (index, record) in records.iter().enumerate() {
        let (_, datagram) = checked(&record.frame);
        assert_eq!((big(datagram, 0), big(datagram, 2)), (40_000, 40_002));
        assert_eq!(datagram[8..10], [0x80, 8]);
        assert_eq!(big(datagram, 10), index);
        assert_eq!(big(datagram, 14), index * 160);
        assert_eq!(record.micros - records[0].micros, index as u64 * 20_000);
    }
}

const RICH: &str = "\
# A bit of everything.
snaplen 900
alice 192.0.2.10:5060 agent \"A B\" transport tcp
proxy 192.0.2.20:5060 record-route
bob 192.0.2.30:5060 says 10.0.0.1:5060
0 alice -> proxy INVITE sip:bob@example.com
  sdp offer PCMA opus port 4000 profile RTP/SAVP sendonly
0.1 proxy -> alice 407 Proxy Authentication Required
  challenge qop auth realm x
0.2 alice -> proxy ACK
0.3 alice -> proxy INVITE
  auth user u password p
+0.1 proxy -> bob INVITE sip:bob@10.0.0.1
  again timer-a x2 T1 0.1
0.5 bob icmp host-unreachable proxy
0.6 bob -> proxy [INVITE] 200 OK
0.7 proxy -> alice 200 OK
  +X-Ids: {call.call-id};{call.to-tag}
  | v=0
0.8 alice -> proxy ACK
& alice -> proxy BYE
0.9 rtp proxy -> bob 2 packets pt 0 port 1->2
1 alice -> bob raw hex 0d0a
call b
2 bob -> proxy OPTIONS
2.1 bob -> proxy again OPTIONS
3 clock +1.5
4 alice reset proxy
end 5
";

#[test]
fn a_bit_of_everything_is_a_story() {
    let story = Story::parse(RICH).expect("a story");
    let credentials = String::from_utf8_lossy(&story.messages()[3].2).into_owned();
    assert!(credentials.contains("Proxy-Authorization: Digest username=\"u\", realm=\"x\""));
}

proptest! {
    /// Lines that are lost, repeated, cut or of other stories give an error or another story, and never a panic.
    #[test]
    fn no_text_makes_it_panic(picks in prop::collection::vec((0_usize..40, 0_usize..60), 1..40), noise in ".{0,40}") {
        let lines: Vec<&str> = RICH.lines().collect();
        let mut text = String::from("# Mutated.\nalice 192.0.2.10:5060 transport tcp\nproxy 192.0.2.20:5060\nbob [2001:db8::1]:5060\n");
        for (line, cut) in picks {
            let line = lines.get(line).copied().unwrap_or(&noise);
            let end = if cut > 40 { line.len() } else { cut.min(line.len()) };
            text.push_str(line.get(..end).unwrap_or(line));
            text.push('\n');
        }
        if let Ok(story) = Story::parse(&text) {
            prop_assert!(story.capture().len() >= 24);
        }
    }
}
