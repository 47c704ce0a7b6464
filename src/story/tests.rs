//! What is completed, and what the capture holds.

use crate::story::Story;
use crate::story::draft::parameter;

const PLAIN: &str = "\
# Alice calls Bob.
alice 192.0.2.10:5060 agent \"Linphone/5.1\"
bob   192.0.2.30:5060
0.0  alice -> bob  INVITE sip:bob@example.com
0.1  bob -> alice  100 Trying
0.2  bob -> alice  180 Ringing
2.0  bob -> alice  200 OK
2.1  alice -> bob  ACK
5.0  bob -> alice  BYE
5.1  alice -> bob  200 OK
";

fn texts(story: &str) -> Vec<String> {
    let story = Story::parse(story).expect("a story");
    story.messages().into_iter().map(|(.., bytes)| String::from_utf8(bytes).expect("text")).collect()
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
}

fn branch(message: &str) -> &str {
    parameter(header(message, "Via"), "branch").unwrap_or_default()
}

fn tag<'a>(message: &'a str, name: &str) -> &'a str {
    parameter(header(message, name), "tag").unwrap_or_default()
}

fn error(lines: &str) -> String {
    let story = format!("# Wrong.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n{lines}");
    Story::parse(&story).expect_err("an error").to_string()
}

#[test]
fn a_dialog_has_its_tags_numbers_and_targets() {
    let messages = texts(PLAIN);
    let [invite, trying, ringing, ok, ack, bye, end] = messages.as_slice() else { panic!("seven messages") };
    assert_eq!(header(invite, "CSeq"), "1 INVITE");
    assert_eq!(header(invite, "User-Agent"), "Linphone/5.1");
    assert_eq!(tag(trying, "To"), "");
    assert!(!tag(ringing, "To").is_empty());
    assert_eq!(tag(ringing, "To"), tag(ok, "To"));
    assert!(ack.starts_with("ACK sip:bob@192.0.2.30:5060 SIP/2.0\r\n"));
    assert_eq!(header(ack, "CSeq"), "1 ACK");
    assert_ne!(branch(ack), branch(invite));
    assert!(bye.starts_with("BYE sip:alice@192.0.2.10:5060 SIP/2.0\r\n"));
    assert_eq!(header(bye, "From"), header(ok, "To"));
    assert_eq!(header(bye, "To"), header(ok, "From"));
    assert_eq!(
        header(end, "Via"),
        format!("{};received=192.0.2.30", header(bye, "Via").replace("rport", "rport=5060"))
    );
    assert!(ok.contains("m=audio 40002 RTP/AVP 8 101\r\n"));
}

#[test]
fn content_length_is_that_of_the_body() {
    for message in texts(PLAIN) {
        let (_, body) = message.split_once("\r\n\r\n").expect("an empty line");
        assert_eq!(header(&message, "Content-Length"), body.len().to_string());
    }
}

#[test]
fn the_same_story_gives_the_same_bytes_and_another_title_other_ones() {
    let capture = |text: &str| Story::parse(text).expect("a story").capture();
    assert_eq!(capture(PLAIN), capture(PLAIN));
    assert_ne!(capture(PLAIN), capture(&PLAIN.replace("Alice calls", "Alice rings")));
}

#[test]
fn ack_of_a_refusal_and_cancel_keep_the_branch() {
    let messages = texts(
        "# Cancelled.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n0 alice -> bob INVITE sip:bob@example.com\n1 bob \
         -> alice 180 Ringing\n2 alice -> bob CANCEL\n2.1 bob -> alice 200 OK\n2.2 bob -> alice 487 Request \
         Terminated\n2.3 alice -> bob ACK\n",
    );
    let [invite, _, cancel, ok, terminated, ack] = messages.as_slice() else { panic!("six messages") };
    assert_eq!(header(cancel, "Via"), header(invite, "Via"));
    assert_eq!(header(cancel, "CSeq"), "1 CANCEL");
    assert_eq!(header(ok, "CSeq"), "1 CANCEL");
    assert_eq!(header(terminated, "CSeq"), "1 INVITE");
    assert_eq!(header(ack, "Via"), header(invite, "Via"));
    assert_eq!(header(ack, "To"), header(terminated, "To"));
    assert!(ack.starts_with("ACK sip:bob@example.com SIP/2.0\r\n"));
}

#[test]
fn a_written_header_replaces_and_a_minus_removes() {
    let messages = texts(
        "# Written.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n0 alice -> bob OPTIONS\n  Max-Forwards: 0\n  \
         -Contact\n  X-One: 1\n  X-One: 2\n  f: <sip:carol@example.com>;tag=7\n  +Via: SIP/2.0/UDP \
         192.0.2.1;branch=z9hG4bK1\n",
    );
    let options = &messages[0];
    assert_eq!(header(options, "Max-Forwards"), "0");
    assert!(!options.contains("Contact"));
    assert!(options.contains("\r\nX-One: 1\r\nX-One: 2\r\n"));
    assert!(!options.contains("\r\nFrom:"));
    assert_eq!(header(options, "f"), "<sip:carol@example.com>;tag=7");
    assert_eq!(options.matches("\r\nVia: ").count(), 2);
    assert!(options.find("192.0.2.10").expect("own Via") < options.find("192.0.2.1;").expect("added Via"));
}

#[test]
fn a_fork_passes_on_the_response_of_each_branch_once() {
    let messages = texts(
        "# Forked.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\nbob 192.0.2.30:5060\ncarol 192.0.2.40:5060\n0.0 \
         alice -> proxy INVITE sip:team@example.com\n0.1 proxy -> bob INVITE sip:bob@192.0.2.30\n0.1 proxy -> carol \
         INVITE sip:carol@192.0.2.40\n0.2 bob -> proxy 180 Ringing\n0.2 carol -> proxy 180 Ringing\n0.3 proxy -> \
         alice 180 Ringing\n0.3 proxy -> alice 180 Ringing\n1.0 carol -> proxy 200 OK\n1.1 proxy -> alice 200 OK\n1.2 \
         proxy -> bob CANCEL\n1.3 bob -> proxy 200 OK\n1.3 bob -> proxy 487 Request Terminated\n1.4 proxy -> bob \
         ACK\n1.5 alice -> carol ACK\n",
    );
    assert_ne!(branch(&messages[1]), branch(&messages[2]));
    assert_eq!(tag(&messages[5], "To"), tag(&messages[4], "To"));
    assert_eq!(tag(&messages[6], "To"), tag(&messages[3], "To"));
    assert_eq!(tag(&messages[8], "To"), tag(&messages[4], "To"));
    assert_eq!(branch(&messages[12]), branch(&messages[1]));
    assert!(messages[13].starts_with("ACK sip:carol@192.0.2.40:5060 SIP/2.0\r\n"));
    assert_eq!(tag(&messages[13], "To"), tag(&messages[7], "To"));
}

#[test]
fn credentials_fit_the_challenge_and_come_in_a_new_request() {
    let messages = texts(
        "# Asked.\nalice 192.0.2.10:5060\nproxy 192.0.2.20:5060\n0 alice -> proxy REGISTER\n0.1 proxy -> alice 401 \
         Unauthorized\n  challenge realm office qop auth nonce abc\n0.2 alice -> proxy REGISTER\n  auth user \
         1001\n0.3 proxy -> alice 200 OK\n",
    );
    assert_eq!(header(&messages[2], "CSeq"), "2 REGISTER");
    assert_eq!(header(&messages[2], "Call-ID"), header(&messages[0], "Call-ID"));
    assert_eq!(tag(&messages[2], "From"), tag(&messages[0], "From"));
    let credentials = header(&messages[2], "Authorization");
    assert!(
        credentials.starts_with("Digest username=\"1001\", realm=\"office\", nonce=\"abc\", uri=\"sip:example.com\"")
    );
    assert!(credentials.contains("nc=00000001"));
    assert_eq!(header(&messages[3], "Contact"), "<sip:alice@192.0.2.10:5060>;expires=3600");
}

#[test]
fn copies_follow_the_timers() {
    let story = "# Silent.\nalice 192.0.2.10:5060\nbob 192.0.2.30:5060\n0 alice -> bob INVITE sip:bob@example.com\n  \
                 again timer-a\n";
    let story = Story::parse(story).expect("a story");
    let messages = story.messages();
    let first = messages[0].0;
    let offsets: Vec<f64> = messages.iter().map(|(time, ..)| time.since(first).as_secs_f64()).collect();
    assert_eq!(offsets, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
    assert!(messages.iter().all(|(.., bytes)| *bytes == messages[0].2));
}

#[test]
fn what_is_not_seen_still_happened() {
    let hidden = PLAIN.replace("2.0  bob -> alice", "2.0  bob ~> alice");
    let messages = texts(&hidden);
    assert_eq!(messages.len(), 6);
    assert!(!tag(&messages[3], "To").is_empty());
}

#[test]
fn another_call_has_another_call_id() {
    let messages = texts(
        "# A B2BUA.\nalice 192.0.2.10:5060\npbx 192.0.2.20:5060\nbob 192.0.2.30:5060\n0.0 alice -> pbx INVITE \
         sip:bob@example.com\n0.1 pbx -> bob [b] INVITE sip:bob@192.0.2.30\n0.2 bob -> pbx 200 OK\n0.3 pbx -> bob \
         ACK\n0.4 pbx -> alice 200 OK\n0.5 alice -> pbx ACK\n1.0 alice -> pbx BYE\n1.1 pbx -> alice 200 OK\n1.2 pbx \
         -> bob [b] BYE\n  X-Other: {call.call-id}\n",
    );
    assert_ne!(header(&messages[0], "Call-ID"), header(&messages[1], "Call-ID"));
    assert_eq!(header(&messages[3], "Call-ID"), header(&messages[1], "Call-ID"));
    assert_eq!(header(&messages[5], "Call-ID"), header(&messages[0], "Call-ID"));
    assert_eq!(header(&messages[8], "Call-ID"), header(&messages[1], "Call-ID"));
    assert_eq!(header(&messages[8], "X-Other"), header(&messages[0], "Call-ID"));
    assert_eq!(header(&messages[8], "CSeq"), "2 BYE");
}

#[test]
fn hold_is_answered_with_the_other_direction() {
    let messages = texts(&format!(
        "{PLAIN}6 alice -> bob INVITE\n  sdp offer PCMA PCMU telephone-event sendonly\n6.1 bob -> alice 200 OK\n"
    ));
    assert!(messages[7].contains("o=- 1000 2 IN IP4 192.0.2.10\r\n"));
    assert!(messages[7].contains("a=sendonly\r\n"));
    assert!(messages[8].contains("a=recvonly\r\n"));
    assert!(!tag(&messages[7], "To").is_empty());
}

#[test]
fn a_server_answers_as_the_one_who_was_asked_for_and_stays_it() {
    let messages = texts(
        "# Served.\nalice 192.0.2.10:5060\npbx 192.0.2.20:5060\n0 alice -> pbx INVITE sip:+12025550123@example.com\n1 \
         pbx -> alice 200 OK\n1.1 alice -> pbx ACK\n2 pbx -> alice INVITE\n2.1 alice -> pbx 200 OK\n2.2 pbx -> alice \
         ACK\n3 alice -> pbx BYE\n",
    );
    for message in [&messages[1], &messages[3]] {
        assert_eq!(header(message, "Contact"), "<sip:+12025550123@192.0.2.20:5060>");
    }
    assert!(messages[6].starts_with("BYE sip:+12025550123@192.0.2.20:5060 SIP/2.0\r\n"));
}

#[test]
fn a_loop_of_proxies_stacks_their_vias() {
    let messages = texts(
        "# Looped.\nalice 192.0.2.10:5060\neast 192.0.2.20:5060\nwest 192.0.2.21:5060\n0 alice -> east INVITE \
         sip:bob@example.com\n  Max-Forwards: 3\n0.1 east -> west INVITE\n0.2 west -> east INVITE\n0.3 east -> west \
         INVITE\n0.4 west -> east 483 Too Many Hops\n",
    );
    let vias = |message: &String| message.matches("\r\nVia: ").count();
    assert_eq!(messages.iter().map(vias).collect::<Vec<_>>(), [1, 2, 3, 4, 4]);
    assert_eq!(header(&messages[3], "Max-Forwards"), "0");
    assert_eq!(header(&messages[3], "From"), header(&messages[0], "From"));
    assert_eq!(branch(&messages[4]), branch(&messages[3]));
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    assert_eq!(
        error("0 alice -> bob 200 OK\n"),
        "line 4: expected a request from bob to alice that still waits for its response; one that has its final \
         response is answered once more by naming its method, as [INVITE]"
    );
    assert_eq!(
        error("0 alice -> bob ACK\n"),
        "line 4: expected a final response to an INVITE for this ACK before this line, between alice and bob"
    );
    assert_eq!(
        error("1 alice -> bob OPTIONS\n0.5 alice -> bob OPTIONS\n"),
        "line 5: expected a time that is not before that of the line above"
    );
    assert_eq!(
        error("carol 8.8.8.8:5060\n"),
        "line 4: expected an address for documentation or a private one, found 8.8.8.8"
    );
    assert!(error("0 alice -> bob OPTIONS\n   nonsense\n").starts_with("line 5: expected a header as `Name: value`"));
    assert!(
        error("0 alice -> bob INVITE sip:bob@example.com\n  sdp offer MP3\n").starts_with("line 5: expected a codec")
    );
    assert!(error("0 bob icmp port-unreachable alice\n").starts_with("line 4: expected a packet from 192.0.2.10"));
    assert!(error("0 alice -> bob INVITE sip:bob@example.com\n  auth\n").starts_with("line 4: expected a challenge"));
}
