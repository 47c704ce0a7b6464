//! Fields of SIP messages, and what can be wrong with any of them.

/// A message in pieces: text between fields, and fields with their names.
pub struct Template {
    pieces: Vec<Piece>,
}

enum Piece {
    Text(&'static str),
    Field(&'static str, &'static str),
}

/// A request of ordinary length; a field stands as `{name=value}`.
const REQUEST: &str = "{method=INVITE}{space= }{scheme=sip}:{user=+12025550101};{user-parameter=phone-context}={user-value=+1}\
:{password=secret}@{host=example.com}:{port=5060};{uri-parameter=transport}={uri-value=udp}?{uri-header=Subject}={header-value=x} \
{version=SIP/2.0}{line-end=\r\n}\
Via: {via-protocol=SIP/2.0}/{via-transport=UDP} {via-host=192.0.2.10}:{via-port=5060};branch={branch=z9hG4bK776asdhds};\
received={received=192.0.2.11};rport={rport=5060}\r\n\
Max-Forwards: {max-forwards=70}\r\n\
From: {display-name=\"Alice\"} <{from-uri=sip:alice@example.com}>;tag={from-tag=1928301774}\r\n\
To: <{to-uri=sip:bob@example.com}>{to-parameters=}\r\n\
Call-ID: {call-id=a84b4c76e66710}@{call-id-host=192.0.2.10}\r\n\
CSeq: {cseq-number=314159} {cseq-method=INVITE}\r\n\
Contact: <{contact-uri=sip:alice@192.0.2.10}>;expires={expires=3600};q={q=0.5}\r\n\
Route: {route=<sip:p1.example.com;lr>, <sip:p2.example.com;lr>}\r\n\
{header-name=Subject}{colon=:}{subject= a call}\r\n\
Allow: {allow=INVITE, ACK, BYE}\r\n\
Session-Expires: {session-expires=1800};refresher={refresher=uac}\r\n\
Authorization: {auth-scheme=Digest} username={username=\"alice\"}, realm={realm=\"example.com\"}, nonce={nonce=\"84a4cc6f\"}, \
uri={digest-uri=\"sip:example.com\"}, nc={nonce-count=00000001}, response={response=\"7587245234b3434cc3412213e5f113a5\"}\r\n\
Identity: {identity=eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7InRuIjoiMTIwMjU1NTAxMDEifX0.c2ln;info=<https://example.com/c.pem>}\r\n\
Content-Type: {type=application}/{subtype=sdp};{type-parameter=charset=utf-8}\r\n\
Content-Length: {content-length=152}{empty-line=\r\n\r\n}\
v={sdp-version=0}\r\no={origin-user=-} {origin-id=20518} {origin-version=0} IN {address-type=IP4} {origin-address=192.0.2.10}\r\n\
s={sdp-name=-}\r\nc=IN IP4 {connection=192.0.2.10}\r\nt={start=0} {stop=0}\r\n\
m={media=audio} {media-port=40000} {media-protocol=RTP/AVP} {formats=8 0 101}\r\n\
a={attribute=rtpmap}:{payload-type=101} {codec=telephone-event}/{clock-rate=8000}\r\na=fmtp:101 {format-parameters=0-16}\r\n";

/// A response.
const RESPONSE: &str = "{version=SIP/2.0} {status-code=503} {reason-phrase=Service Unavailable}{line-end=\r\n}\
Via: {via=SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds}\r\n\
From: {from=<sip:alice@example.com>;tag=1}\r\nTo: {to=<sip:bob@example.com>;tag=2}\r\nCall-ID: {call-id=response}\r\n\
CSeq: {cseq=1 INVITE}\r\nRetry-After: {retry-after=120};duration={duration=60}\r\n\
Reason: {reason-protocol=Q.850};cause={cause=34};text={reason-text=\"no circuit\"}\r\n\
Warning: {warn-code=399} {warn-agent=example.com} {warn-text=\"busy\"}\r\n\
WWW-Authenticate: Digest realm={realm=\"example.com\"}, nonce={nonce=\"1\"}, stale={stale=true}, algorithm={algorithm=MD5}\r\n\
Server: {server=Example/1.0}\r\nContent-Length: {content-length=0}\r\n\r\n";

impl Template {
    pub fn request() -> Template {
        Template::read(REQUEST)
    }

    pub fn response() -> Template {
        Template::read(RESPONSE)
    }

    fn read(text: &'static str) -> Template {
        let mut pieces = Vec::new();
        for part in text.split('{') {
            match part.split_once('}') {
                None => pieces.push(Piece::Text(part)),
                Some((field, behind)) => {
                    let (name, value) = field.split_once('=').expect("a field with its value");
                    pieces.push(Piece::Field(name, value));
                    pieces.push(Piece::Text(behind));
                }
            }
        }
        Template { pieces }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(name, _) => Some(*name),
            Piece::Text(_) => None,
        })
    }

    pub fn fields(&self) -> usize {
        self.names().count()
    }

    pub fn name(&self, field: usize) -> &'static str {
        self.names().nth(field).expect("a field")
    }

    /// The message with something else in one field.
    pub fn with(&self, field: usize, anomaly: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut number = 0;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => bytes.extend(text.as_bytes()),
                Piece::Field(_, value) => {
                    bytes.extend(if number == field { anomaly } else { value.as_bytes() });
                    number += 1;
                }
            }
        }
        bytes
    }
}

/// What stands in a field, and what it is called.
pub type Anomaly = (&'static str, fn() -> Vec<u8>);

macro_rules! anomalies {
    ($($name:literal: $value:expr),* $(,)?) => { &[$(($name, || $value[..].to_vec())),*] };
}

/// Everything that is put into a field.
pub const ANOMALIES: &[Anomaly] = anomalies![
    "nothing": b"",
    "a blank": b" ",
    "many blanks": b" ".repeat(4000),
    "tabs": b"\t\t\t",
    "a letter": b"a",
    "16 letters": b"a".repeat(16),
    "129 letters": b"a".repeat(129),
    "1025 letters": b"a".repeat(1025),
    "8193 letters": b"a".repeat(8193),
    "65537 letters": b"a".repeat(65_537),
    "brackets": b"<".repeat(300),
    "closing brackets": b">".repeat(300),
    "nested brackets": b"<<<sip:a@b>>>",
    "square brackets": b"[".repeat(300),
    "parentheses": b"(".repeat(5000),
    "quotes": b"\"".repeat(301),
    "a quote": b"\"",
    "a quote that is not closed": b"\"abc",
    "a quoted quote": b"\"a\\\"b\"",
    "a backslash": b"\\",
    "a backslash in quotes": b"\"\\",
    "backslashes": b"\\".repeat(301),
    "colons": b":".repeat(300),
    "semicolons": b";".repeat(3000),
    "commas": b",".repeat(3000),
    "equals signs": b"=".repeat(300),
    "slashes": b"/".repeat(300),
    "question marks": b"?".repeat(300),
    "ampersands": b"&".repeat(300),
    "at signs": b"@".repeat(300),
    "percent signs": b"%".repeat(300),
    "a bad escape": b"%zz%0%",
    "an escaped zero": b"%00",
    "an escaped line": b"%0d%0aVia: x",
    "a format string": b"%s%s%s%n%n%x%p",
    "many format strings": b"%s%n".repeat(200),
    "a NUL": b"\0",
    "a NUL within": b"ab\0cd",
    "NULs": b"\0".repeat(300),
    "0xff": b"\xff",
    "many 0xff": b"\xff".repeat(300),
    "0x80": b"\x80\x80",
    "Latin-1": b"M\xfcller",
    "overlong UTF-8": b"\xc0\xaf\xe0\x80\xaf",
    "half of a UTF-8 letter": b"\xe2\x82",
    "a surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf7\xbf\xbf\xbf",
    "UTF-8": "Zürich 世界 🙂".as_bytes(),
    "many UTF-8 letters": "ß".repeat(2000).as_bytes(),
    "a byte order mark": b"\xef\xbb\xbf",
    "right to left": "\u{202e}abc".as_bytes(),
    "zero width": "a\u{200b}b".as_bytes(),
    "a tag letter": "a\u{e0041}b".as_bytes(),
    "C1": "\u{9b}31m".as_bytes(),
    "an escape sequence": b"\x1b[31mred\x1b]0;title\x07",
    "a bell": b"\x07",
    "DEL": b"\x7f",
    "CR": b"\r",
    "LF": b"\n",
    "CR LF": b"\r\n",
    "LF CR": b"\n\r",
    "CR CR LF": b"\r\r\n",
    "an empty line": b"\r\n\r\n",
    "a fold": b"a\r\n b",
    "many folds": b"\r\n ".repeat(500),
    "a fold of nothing": b"\r\n \r\n",
    "a header": b"x\r\nContent-Length: 999999\r\nX: y",
    "a message": b"x\r\n\r\nINVITE sip:evil@example.com SIP/2.0\r\n\r\n",
    "0": b"0",
    "-1": b"-1",
    "+1": b"+1",
    "1.5": b"1.5",
    "1e9": b"1e9",
    "0x7f": b"0x7f",
    "leading zeros": b"0000000000000000000000001",
    "255": b"255",
    "256": b"256",
    "65535": b"65535",
    "65536": b"65536",
    "2^31-1": b"2147483647",
    "2^31": b"2147483648",
    "2^32-1": b"4294967295",
    "2^32": b"4294967296",
    "2^63": b"9223372036854775808",
    "2^64-1": b"18446744073709551615",
    "2^64": b"18446744073709551616",
    "a long number": b"9".repeat(400),
    "-2^63": b"-9223372036854775808",
    "a number and letters": b"12ab",
    "IPv6": b"[2001:db8::1]",
    "IPv6 that is not closed": b"[2001:db8::1",
    "IPv6 without brackets": b"2001:db8::1",
    "IPv6 with a zone": b"[fe80::1%25eth0]",
    "an IPv4 address of five": b"1.2.3.4.5",
    "an IPv4 address out of range": b"999.999.999.999",
    "a URI": b"sip:a@example.com",
    "URIs in URIs": b"sip:a@sip:b@sip:c@d",
    "a tel URI": b"tel:+12025550101;phone-context=+1",
    "a list": b"<sip:a@b>, <sip:c@d>, , ,",
    "parameters": b";a=b;c;=d;;",
    "a wildcard": b"*",
    "an unknown word": b"X-Unknown-Word_1",
    "a method": b"BYE",
    "a version": b"SIP/3.0",
];
