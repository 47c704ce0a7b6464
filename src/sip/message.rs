//! The tolerant message: the bytes as they came, and the place of each header in them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use memchr::memchr;

use crate::oddity::Oddity;
use crate::sip::frame;
use crate::sip::header::{HeaderName, is_single, keeps_commas};
use crate::sip::method::Method;
use crate::sip::status_code::StatusCode;
use crate::sip::value::{CSeq, NameAddr, Via, split_list, top_branch};

/// One SIP message (RFC 3261 §7), read without ever being refused.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    bytes: Cow<'a, [u8]>,
    start: StartLine,
    /// Where each header stands. Not kept with a message that is stored: it is found again when it is asked for,
    /// which is seldom, and takes half as much room as the message itself.
    headers: OnceCell<Vec<HeaderPlace>>,
    body: Range<u32>,
    oddities: Vec<Oddity>,
}

/// The start line: places in the message's bytes (RFC 3261 §7.1, §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine {
    /// A request line.
    Request {
        /// The method.
        method: Method,
        /// Where the Request-URI stands.
        uri: Range<usize>,
    },
    /// A status line.
    Response {
        /// The code; `None` if it is none from 100 to 699.
        status: Option<StatusCode>,
        /// Where the code stands, as it was sent.
        code: Range<usize>,
        /// Where the reason phrase stands.
        reason_phrase: Range<usize>,
    },
}

/// Whether the capture holds the whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of it.
    Whole,
    /// Bytes are missing at its end (snap length, or a stream that ended); 0 if it is not known how many.
    Missing(u32),
}

#[derive(Debug, Clone, Copy)]
struct HeaderPlace {
    name: HeaderName,
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
}

/// Bytes of a message that are read at most: more than any datagram holds (65 535) and than a stream may ask for.
const LONGEST: usize = 16 << 20;

impl<'a> Message<'a> {
    /// Reads a message from the bytes of one datagram, or of one message framed on a stream. `None` only if they do
    /// not start like SIP ([`crate::sip::looks_like_sip`]).
    pub fn read(bytes: &'a [u8], cut: Cut) -> Option<Message<'a>> {
        let bytes = bytes.get(..bytes.len().min(LONGEST)).unwrap_or_default();
        let start_at = frame::start_of_message(bytes)?;
        let mut reader = Reader { bytes, at: start_at, headers: Vec::with_capacity(20), oddities: Vec::new() };
        let start = reader.start_line();
        reader.headers();
        let body = reader.body(cut);
        reader.remarks(&start, start_at, body.start);
        let Reader { headers, oddities, .. } = reader;
        let body = narrow(body.start)..narrow(body.end);
        Some(Message { bytes: Cow::Borrowed(bytes), start, headers: OnceCell::from(headers), body, oddities })
    }

    /// The same message, with bytes of its own and nothing else: the form in which calls keep it.
    pub fn to_stored(&self) -> Message<'static> {
        Message {
            bytes: Cow::Owned(self.bytes.to_vec()),
            start: self.start.clone(),
            headers: OnceCell::new(),
            body: self.body.clone(),
            oddities: self.oddities.clone(),
        }
    }
}

impl Message<'_> {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory that this message holds, about.
    pub fn footprint(&self) -> usize {
        self.bytes.len() + size_of::<Message<'_>>()
    }

    /// The start line.
    pub fn start_line(&self) -> &StartLine {
        &self.start
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response; `None` for a request, and for a code that is none.
    pub fn status(&self) -> Option<StatusCode> {
        match self.start {
            StartLine::Response { status, .. } => status,
            StartLine::Request { .. } => None,
        }
    }

    /// The code of a response as it was sent, even if it is none from 100 to 699.
    pub fn status_text(&self) -> Option<Cow<'_, str>> {
        match &self.start {
            StartLine::Response { code, .. } => Some(self.text(code.clone())),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase as it was sent, never the standard one; empty for a request.
    pub fn reason_phrase(&self) -> Cow<'_, str> {
        match &self.start {
            StartLine::Response { reason_phrase, .. } => self.text(reason_phrase.clone()),
            StartLine::Request { .. } => Cow::Borrowed(""),
        }
    }

    /// The Request-URI as it was sent; `None` for a response.
    pub fn request_uri(&self) -> Option<Cow<'_, str>> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(self.text(uri.clone())),
            StartLine::Response { .. } => None,
        }
    }

    /// The first line as it was sent, without its end.
    pub fn first_line(&self) -> Cow<'_, str> {
        let start = frame::start_of_message(&self.bytes).unwrap_or(0);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        String::from_utf8_lossy(rest.get(..end).unwrap_or_default().trim_ascii_end())
    }

    /// The value of the first header of this name, in any spelling, compact or long, unfolded (RFC 3261 §7.3.1).
    /// Bytes that are not UTF-8 become U+FFFD.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let known = HeaderName::read(name.as_bytes());
        let place = self.places().iter().find(|place| self.is_named(place, known, name))?;
        Some(unfold(self.value(place)))
    }

    /// The value of the first header of this name as bytes, folded as it came. The cheap way for correlation.
    pub fn header_bytes(&self, name: HeaderName) -> Option<&[u8]> {
        self.places().iter().find(|place| place.name == name).map(|place| self.value(place))
    }

    /// Each header line of this name, whole and unfolded.
    pub fn header_lines(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let known = HeaderName::read(name.as_bytes());
        let name = name.to_owned();
        self.places()
            .iter()
            .filter(move |place| self.is_named(place, known, &name))
            .map(|place| unfold(self.value(place)))
    }

    /// Each value of the headers of this name in order, comma lists split (RFC 3261 §7.3.1).
    pub fn headers(&self, name: &str) -> Vec<String> {
        let whole = keeps_commas(HeaderName::read(name.as_bytes()));
        let mut values = Vec::new();
        for line in self.header_lines(name) {
            if whole {
                values.push(line.into_owned());
            } else {
                values.extend(split_list(&line).map(str::to_owned));
            }
        }
        values
    }

    /// Each header in order: its name as it was sent, and its value unfolded.
    pub fn all_headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.places().iter().map(|place| {
            let name = self.text(place.name_start as usize..place.name_end as usize);
            (name, unfold(self.value(place)))
        })
    }

    /// A header line as it was sent, name and value, unfolded: what Wireshark shows as `sip.msg_hdr`'s line.
    pub fn header_line(&self, name: &str) -> Option<String> {
        let known = HeaderName::read(name.as_bytes());
        let place = self.places().iter().find(|place| self.is_named(place, known, name))?;
        let whole = self.bytes.get(place.name_start as usize..place.value_end as usize).unwrap_or_default();
        Some(unfold(whole).into_owned())
    }

    /// The Call-ID (RFC 3261 §20.8); empty if there is none.
    pub fn call_id(&self) -> &[u8] {
        self.header_bytes(HeaderName::CallId).unwrap_or_default()
    }

    /// The CSeq (RFC 3261 §20.16); `None` if it is missing or broken.
    pub fn cseq(&self) -> Option<CSeq> {
        CSeq::read(self.header_bytes(HeaderName::CSeq)?)
    }

    /// The From header (RFC 3261 §20.20).
    pub fn from(&self) -> Option<NameAddr> {
        self.header("From").map(|value| NameAddr::read(&value))
    }

    /// The To header (RFC 3261 §20.39).
    pub fn to(&self) -> Option<NameAddr> {
        self.header("To").map(|value| NameAddr::read(&value))
    }

    /// The first Contact (RFC 3261 §20.10).
    pub fn contact(&self) -> Option<NameAddr> {
        self.headers("Contact").first().map(|value| NameAddr::read(value))
    }

    /// Every Via, the topmost first (RFC 3261 §20.42).
    pub fn vias(&self) -> Vec<Via> {
        self.headers("Via").iter().map(|value| Via::read(value)).collect()
    }

    /// The branch of the second Via as bytes: the transaction of the one who passed this request on (RFC 3261 §16.6).
    /// Empty if there is none.
    pub(crate) fn second_branch(&self) -> &[u8] {
        let mut vias =
            self.places().iter().filter(|place| place.name == HeaderName::Via).map(|place| self.value(place));
        let Some(first) = vias.next() else { return &[] };
        // Commas do not occur in the parameters of a Via but in quoted ones, which nobody sends.
        match memchr(b',', first) {
            Some(comma) => top_branch(first.get(comma.saturating_add(1)..).unwrap_or_default()),
            None => vias.next().map(top_branch).unwrap_or_default(),
        }
    }

    /// Each header whose name this program does not know: name and value as bytes, folded as it came.
    pub(crate) fn other_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places().iter().filter(|place| place.name == HeaderName::Other).map(|place| {
            let name = self.bytes.get(place.name_start as usize..place.name_end as usize).unwrap_or_default();
            (name, self.value(place))
        })
    }

    /// The body, as far as it was captured.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body.start as usize..self.body.end as usize).unwrap_or_default()
    }

    /// What was odd about this message.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// True if the capture does not hold the whole message, so that nothing may be said of what is missing in it.
    pub fn is_cut(&self) -> bool {
        self.oddities.iter().any(|oddity| matches!(oddity, Oddity::MessageCut { .. }))
    }

    fn places(&self) -> &[HeaderPlace] {
        self.headers.get_or_init(|| {
            let start_at = frame::start_of_message(&self.bytes).unwrap_or(0);
            let mut reader =
                Reader { bytes: &self.bytes, at: start_at, headers: Vec::with_capacity(20), oddities: Vec::new() };
            reader.start_line();
            reader.headers();
            reader.headers
        })
    }

    fn is_named(&self, place: &HeaderPlace, known: HeaderName, name: &str) -> bool {
        if place.name != known {
            return false;
        }
        known != HeaderName::Other
            || self
                .bytes
                .get(place.name_start as usize..place.name_end as usize)
                .is_some_and(|sent| sent.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn value(&self, place: &HeaderPlace) -> &[u8] {
        self.bytes.get(place.value_start as usize..place.value_end as usize).unwrap_or_default()
    }

    fn text(&self, range: Range<usize>) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes.get(range).unwrap_or_default())
    }
}

/// A folded value on one line: each fold becomes one space (RFC 3261 §7.3.1).
fn unfold(value: &[u8]) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', value).is_none() {
        return String::from_utf8_lossy(value);
    }
    let mut line = Vec::with_capacity(value.len());
    for (index, part) in value.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
        let part = if index == 0 { part } else { part.trim_ascii_start() };
        if index > 0 && !part.is_empty() && line.last().is_some_and(|last: &u8| !matches!(last, b' ' | b'\t')) {
            line.push(b' ');
        }
        line.extend_from_slice(part);
    }
    Cow::Owned(String::from_utf8_lossy(&line).into_owned())
}

/// Walks once over the bytes of a message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    headers: Vec<HeaderPlace>,
    oddities: Vec<Oddity>,
}

/// Headers of one message that are kept; more are counted as a limit hit.
const MOST_HEADERS: usize = 4096;

impl Reader<'_> {
    /// The next line without its end; `at` stands behind it afterwards.
    fn line(&mut self) -> Range<usize> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let start = self.at;
        let (length, next) = match memchr(b'\n', rest) {
            Some(found) => (found, found.saturating_add(1)),
            None => (rest.len(), rest.len()),
        };
        self.at = start.saturating_add(next);
        let end = start.saturating_add(length);
        match self.bytes.get(start..end) {
            Some([.., b'\r']) => start..end.saturating_sub(1),
            _ => start..end,
        }
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn start_line(&mut self) -> StartLine {
        let line = self.line();
        let text = self.slice(&line);
        if text.starts_with(b"SIP/") { self.status_line(&line) } else { self.request_line(&line) }
    }

    fn status_line(&mut self, line: &Range<usize>) -> StartLine {
        let text = self.slice(line);
        let version = memchr(b' ', text).unwrap_or(text.len());
        let version_is_odd = !text.get(..version).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/2.0"));
        let spaces = text.get(version..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
        let code_start = version.saturating_add(spaces);
        let after = text.get(code_start..).unwrap_or_default();
        let code_length = memchr(b' ', after).unwrap_or(after.len());
        let code_end = code_start.saturating_add(code_length);
        let status = StatusCode::read(text.get(code_start..code_end).unwrap_or_default());
        let phrase_start = code_end.saturating_add(1).min(text.len());
        let shift = |at: usize| line.start.saturating_add(at);
        let start = StartLine::Response {
            status,
            code: shift(code_start)..shift(code_end),
            reason_phrase: shift(phrase_start)..line.end,
        };
        if status.is_none() {
            self.oddities.push(Oddity::BadStatusCode);
        }
        if version_is_odd || spaces > 1 {
            self.oddities.push(Oddity::BadStartLine);
        }
        start
    }

    fn request_line(&mut self, line: &Range<usize>) -> StartLine {
        let text = self.slice(line);
        let method_end = memchr(b' ', text).unwrap_or(text.len());
        let method = Method::read(text.get(..method_end).unwrap_or_default());
        // The version is what follows the last space; the URI is all between, spaces included (RFC 4475 §3.1.2.8).
        let trimmed = text.trim_ascii_end();
        let version_start = memchr::memrchr(b' ', trimmed).filter(|at| *at > method_end);
        let uri_end = version_start.unwrap_or(trimmed.len());
        let mut uri = method_end.min(uri_end)..uri_end;
        while text.get(uri.start) == Some(&b' ') && uri.start < uri.end {
            uri.start = uri.start.saturating_add(1);
        }
        while uri.end > uri.start && text.get(uri.end.wrapping_sub(1)) == Some(&b' ') {
            uri.end = uri.end.saturating_sub(1);
        }
        let sent_uri = text.get(uri.clone()).unwrap_or_default();
        let single_spaces =
            uri.start == method_end.saturating_add(1) && version_start == Some(uri.end) && trimmed.len() == text.len();
        let version_is_odd =
            !text.get(uri_end..).is_some_and(|version| version.trim_ascii().eq_ignore_ascii_case(b"SIP/2.0"));
        let uri_is_odd = sent_uri.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'<' | b'>' | b'"'))
            || sent_uri.is_empty()
            || (sent_uri.starts_with(b"sip") && (sent_uri.contains(&b'?') || has_bare_ipv6_host(sent_uri)));
        if version_is_odd || uri_is_odd || !single_spaces {
            self.oddities.push(Oddity::BadStartLine);
        }
        let shift = |at: usize| line.start.saturating_add(at);
        StartLine::Request { method, uri: shift(uri.start)..shift(uri.end) }
    }

    /// Reads header lines up to the empty line or the end.
    fn headers(&mut self) {
        let mut kept = true;
        loop {
            if self.at >= self.bytes.len() {
                self.oddities.push(Oddity::MessageCut { bytes: 0 });
                return;
            }
            let line = self.line();
            let text = self.slice(&line);
            match text.first() {
                None => return,
                Some(b' ' | b'\t') => {
                    // A fold belongs to the header before it (RFC 3261 §7.3.1).
                    let end = line.start.saturating_add(text.trim_ascii_end().len());
                    match self.headers.last_mut() {
                        Some(last) if kept && end > line.start => last.value_end = narrow(end),
                        _ => {}
                    }
                }
                Some(_) => kept = self.header_line(&line),
            }
        }
    }

    fn header_line(&mut self, line: &Range<usize>) -> bool {
        let text = self.slice(line);
        let Some(colon) = memchr(b':', text) else {
            self.note_once(Oddity::NoColon);
            return false;
        };
        if self.headers.len() >= MOST_HEADERS {
            self.note_once(Oddity::LimitHit { limit: "headers", value: MOST_HEADERS as u64 });
            return false;
        }
        let sent = text.get(..colon).unwrap_or_default().trim_ascii_end();
        let value = text.get(colon.saturating_add(1)..).unwrap_or_default();
        let leading = value.len().saturating_sub(value.trim_ascii_start().len());
        let trailing = value.len().saturating_sub(value.trim_ascii_end().len());
        let value_start = line.start.saturating_add(colon).saturating_add(1).saturating_add(leading).min(line.end);
        let value_end = line.end.saturating_sub(trailing).max(value_start);
        self.headers.push(HeaderPlace {
            name: HeaderName::read(sent),
            name_start: narrow(line.start),
            name_end: narrow(line.start.saturating_add(sent.len())),
            value_start: narrow(value_start),
            value_end: narrow(value_end),
        });
        true
    }

    fn note_once(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    fn value_of(&self, name: HeaderName) -> Option<&[u8]> {
        let place = self.headers.iter().find(|place| place.name == name)?;
        self.bytes.get(place.value_start as usize..place.value_end as usize)
    }

    /// Finds the body by Content-Length where there is one (RFC 3261 §18.3), else by the end of the datagram.
    fn body(&mut self, cut: Cut) -> Range<usize> {
        let start = self.at.min(self.bytes.len());
        let had = self.bytes.len().saturating_sub(start);
        if let Cut::Missing(bytes) = cut {
            self.note_once(Oddity::MessageCut { bytes });
            return start..self.bytes.len();
        }
        let Some(value) = self.value_of(HeaderName::ContentLength) else { return start..self.bytes.len() };
        let Some(said) = frame::content_length(value) else {
            self.oddities.push(Oddity::BadContentLength);
            return start..self.bytes.len();
        };
        let said_here = usize::try_from(said).unwrap_or(usize::MAX);
        if said_here > had {
            self.oddities.push(Oddity::BodyTooShort { said, had: had as u64 });
            return start..self.bytes.len();
        }
        let end = start.saturating_add(said_here);
        let rest = self.bytes.get(end..).unwrap_or_default();
        if rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | 0)) {
            self.oddities.push(Oddity::BytesAfterBody { bytes: rest.len() as u64 });
        }
        start..end
    }

    /// Checks that cost little and tell a broken sender.
    fn remarks(&mut self, start: &StartLine, start_at: usize, body_start: usize) {
        let head = self.bytes.get(start_at..body_start).unwrap_or_default();
        if !frame::is_only_blank(self.bytes.get(..start_at).unwrap_or_default()) {
            self.oddities.push(Oddity::BytesBeforeMessage { bytes: narrow(start_at) });
        }
        if std::str::from_utf8(head).is_err() {
            self.oddities.push(Oddity::NotUtf8);
        }
        if memchr(0, head).is_some() {
            self.oddities.push(Oddity::NulByte);
        }
        if memchr(b'\n', head).is_some_and(|at| at == 0 || head.get(at.wrapping_sub(1)) != Some(&b'\r')) {
            self.oddities.push(Oddity::BareLineFeed);
        }
        self.remarks_on_headers(start);
    }

    fn remarks_on_headers(&mut self, start: &StartLine) {
        let mut seen = 0u64;
        for place in &self.headers {
            let bit = 1u64 << (place.name as u8).min(63);
            if seen & bit != 0 && is_single(place.name) {
                self.oddities.push(Oddity::DuplicateHeader { header: place.name.long() });
                break;
            }
            seen |= bit;
        }
        for required in [HeaderName::CallId, HeaderName::CSeq, HeaderName::From, HeaderName::To, HeaderName::Via] {
            if seen & (1u64 << (required as u8)) == 0 {
                let cut = self.oddities.iter().any(|oddity| matches!(oddity, Oddity::MessageCut { .. }));
                if !cut {
                    self.oddities.push(Oddity::MissingHeader { header: required.long() });
                }
                break;
            }
        }
        if let Some(value) = self.value_of(HeaderName::CSeq) {
            match (CSeq::read(value), start) {
                (None, _) => self.oddities.push(Oddity::BadCSeq),
                (Some(cseq), StartLine::Request { method, .. }) if cseq.method != *method => {
                    self.oddities.push(Oddity::CSeqMethodDiffers);
                }
                _ => {}
            }
        }
        self.remarks_on_values();
    }

    fn remarks_on_values(&mut self) {
        for name in [HeaderName::From, HeaderName::To, HeaderName::Contact] {
            let Some(value) = self.value_of(name) else { continue };
            if let Some(fault) = fault_of_address(name, value) {
                self.note_once(fault);
            }
        }
        for (name, fault) in [
            (HeaderName::Date, fault_of_date as fn(&[u8]) -> bool),
            (HeaderName::MaxForwards, fault_of_max_forwards),
            (HeaderName::Expires, fault_of_seconds),
            (HeaderName::Via, fault_of_list),
        ] {
            if self.value_of(name).is_some_and(fault) {
                self.note_once(Oddity::BadHeader { header: name.long() });
            }
        }
    }
}

/// An IPv6 address without its brackets (RFC 5118 §4.2): more than one colon behind the user part.
fn has_bare_ipv6_host(uri: &[u8]) -> bool {
    let after_scheme = memchr(b':', uri).map_or(uri, |at| uri.get(at.saturating_add(1)..).unwrap_or_default());
    let host =
        memchr::memrchr(b'@', after_scheme).map_or(after_scheme, |at| after_scheme.get(at..).unwrap_or_default());
    let host = host.split(|byte| *byte == b';').next().unwrap_or_default();
    !host.contains(&b'[') && host.iter().filter(|byte| **byte == b':').count() > 1
}

/// What breaks the grammar of `name-addr / addr-spec` (RFC 3261 §25.1) in a way that mistakes addresses.
fn fault_of_address(name: HeaderName, value: &[u8]) -> Option<Oddity> {
    if memchr(b'"', value).is_some() && has_unclosed_quote(value) {
        return Some(Oddity::UnclosedQuote);
    }
    let bad = Some(Oddity::BadHeader { header: name.long() });
    let Some(opening) = memchr(b'<', value) else {
        // Without <> a URI must not hold '?' of its own (RFC 3261 §20).
        return bad.filter(|_| memchr(b'?', value).is_some());
    };
    let after = value.get(opening.saturating_add(1)..).unwrap_or_default();
    let Some(closing) = memchr(b'>', after) else { return bad };
    let inside = after.get(..closing).unwrap_or_default();
    let display = value.get(..opening).unwrap_or_default().trim_ascii();
    let is_display = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~ \t\r\n".contains(byte) || *byte >= 0x80;
    let display_is_odd = !display.starts_with(b"\"") && !display.iter().all(is_display);
    let is_odd = display_is_odd || memchr::memchr2(b' ', b'\t', inside).is_some() || inside.starts_with(b"\"");
    bad.filter(|_| is_odd)
}

fn has_unclosed_quote(value: &[u8]) -> bool {
    let mut open = false;
    let mut escaped = false;
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if open => escaped = true,
            b'"' => open = !open,
            _ => {}
        }
    }
    open
}

fn fault_of_date(value: &[u8]) -> bool {
    !value.trim_ascii_end().ends_with(b"GMT")
}

fn fault_of_max_forwards(value: &[u8]) -> bool {
    !matches!(std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u32>().ok()), Some(0..=255))
}

fn fault_of_seconds(value: &[u8]) -> bool {
    std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u32>().ok()).is_none()
}

/// Empty values in a list: `;;`, `,;`, `;,` or `, ,`, or one that ends in a separator (RFC 4475 §3.1.2.1).
fn fault_of_list(value: &[u8]) -> bool {
    memchr::memchr2_iter(b';', b',', value).any(|at| {
        let after = value.get(at.saturating_add(1)..).unwrap_or_default();
        let next = after.iter().find(|byte| !byte.is_ascii_whitespace());
        matches!(next, None | Some(b';' | b','))
    })
}

/// Places are kept in 32 bits: [`LONGEST`] is far below.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
