//! The tolerant message: the bytes as they came, and the place of each header in them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use memchr::memchr;

use crate::oddity::Oddity;
use crate::sip::auth::{Challenge, Credentials};
use crate::sip::frame;
use crate::sip::header::{HeaderName, keeps_commas};
use crate::sip::method::Method;
use crate::sip::outline::{Outline, Place};
use crate::sip::places::{self, HeaderPlace, Places};
use crate::sip::reason::Reason;
use crate::sip::sdp::Sdp;
use crate::sip::shorthand::{self, Shorthand};
use crate::sip::start_line::StartLine;
use crate::sip::status_code::StatusCode;
use crate::sip::value::{CSeq, NameAddr, Uri, Via, split_list, tag, text, top_branch};
use crate::sip::walk;

/// One SIP message (RFC 3261 §7), read without ever being refused.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    bytes: Cow<'a, [u8]>,
    start: StartLine,
    cseq: Option<CSeq>,
    outline: Outline,
    /// Where every header stands: found when it is asked for.
    places: OnceCell<Box<Places>>,
    answers: OnceCell<Box<Answers>>,
    oddities: Vec<Oddity>,
}

/// What many ask of a message, each time anew: read at the first question.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    pub(super) description: OnceCell<Option<Sdp>>,
    pub(super) credentials: OnceCell<Vec<Credentials>>,
    pub(super) challenges: OnceCell<Vec<Challenge>>,
    reasons: OnceCell<Vec<Reason>>,
    target: OnceCell<Uri>,
}

/// Whether the capture holds the whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of it.
    Whole,
    /// Bytes are missing at its end (snap length, or a stream that ended); 0 if it is not known how many.
    Missing(u32),
}

/// Bytes of a message that are read at most: more than any datagram holds (65 535) and than a stream may ask for.
const LONGEST: usize = 16 << 20;

impl<'a> Message<'a> {
    /// Reads a message from the bytes of one datagram, or of one message framed on a stream. `None` only if they do
    /// not start like SIP ([`crate::sip::looks_like_sip`]).
    pub fn read(bytes: &'a [u8], cut: Cut) -> Option<Message<'a>> {
        Message::of_bytes(Message::readable(bytes), cut)
    }

    /// What is read of the bytes of a message.
    #[inline]
    pub(crate) fn readable(bytes: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(bytes.get(..LONGEST).unwrap_or(bytes))
    }

    /// The same with bytes of its own: the form in which calls keep it.
    pub(crate) fn read_stored(bytes: Cow<'_, [u8]>, cut: Cut) -> Option<Message<'static>> {
        Message::of_bytes(Cow::Owned(bytes.into_owned()), cut)
    }

    fn of_bytes(bytes: Cow<'a, [u8]>, cut: Cut) -> Option<Message<'a>> {
        let mut message = Message::unread(bytes);
        message.take_in(cut).then_some(message)
    }

    /// A message of whose bytes none was looked at, to be read where it stands ([`Message::take_in`]): it is too large
    /// to be moved for nothing.
    #[inline]
    pub(crate) fn unread(bytes: Cow<'a, [u8]>) -> Message<'a> {
        Message {
            bytes,
            start: StartLine::Response { status: None, code: 0..0, reason_phrase: 0..0 },
            cseq: None,
            outline: Outline::EMPTY,
            places: OnceCell::new(),
            answers: OnceCell::new(),
            oddities: Vec::new(),
        }
    }

    /// Reads it; false if its bytes do not start like SIP.
    #[inline]
    pub(crate) fn take_in(&mut self, cut: Cut) -> bool {
        let read = walk::over(&self.bytes, cut, &mut self.outline, &mut self.oddities);
        let is_sip = read.is_some();
        if let Some(start_and_cseq) = read {
            (self.start, self.cseq) = start_and_cseq;
        }
        is_sip
    }

    /// Takes in what was found in it before ([`Message::shorthand`]); false if that is not known.
    pub(crate) fn take_over(&mut self, shorthand: &[u8]) -> bool {
        let known = shorthand::read(shorthand, &mut self.outline);
        let is_known = known.is_some();
        if let Some((start, cseq)) = known {
            (self.start, self.cseq) = (start, Some(cseq));
        }
        is_known
    }

    /// The same message, with bytes of its own: the form in which calls keep it.
    pub fn into_stored(self) -> Message<'static> {
        let Message { bytes, start, cseq, outline, places, answers, oddities } = self;
        Message { bytes: Cow::Owned(bytes.into_owned()), start, cseq, outline, places, answers, oddities }
    }
}

impl Message<'_> {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
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
            StartLine::Response { code, .. } => Some(self.text(code)),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase as it was sent, never the standard one; empty for a request.
    pub fn reason_phrase(&self) -> Cow<'_, str> {
        match &self.start {
            StartLine::Response { reason_phrase, .. } => self.text(reason_phrase),
            StartLine::Request { .. } => Cow::Borrowed(""),
        }
    }

    /// The Request-URI as it was sent; `None` for a response.
    pub fn request_uri(&self) -> Option<Cow<'_, str>> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(self.text(uri)),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI, read once, however often it is asked for; `None` for a response.
    pub fn target(&self) -> Option<&Uri> {
        let uri = self.request_uri()?;
        Some(self.answers().target.get_or_init(|| Uri::read(&uri)))
    }

    /// Every value of Reason (RFC 3326), read once, however often they are asked for.
    pub fn reasons(&self) -> &[Reason] {
        if self.header_bytes(HeaderName::Reason).is_none() {
            return &[];
        }
        let read = || self.headers("Reason").iter().map(|value| Reason::read(value)).collect();
        self.answers().reasons.get_or_init(read)
    }

    /// The first line as it was sent, without its end.
    pub fn first_line(&self) -> Cow<'_, str> {
        let start = frame::start_of_message(&self.bytes).unwrap_or(0);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        text(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The value of the first header of this name, in any spelling, compact or long, unfolded (RFC 3261 §7.3.1).
    /// Bytes that are not UTF-8 become U+FFFD.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let known = HeaderName::read(name.as_bytes());
        if Outline::covers(known) {
            return self.header_bytes(known).map(unfold);
        }
        self.named(name).next().map(|place| unfold(place.value(&self.bytes)))
    }

    /// False if no header of this name stands there, which is none of those that every message is matched by: known
    /// without a look at the headers.
    #[inline]
    pub(crate) fn may_hold(&self, name: &str) -> bool {
        self.outline.may_hold(name)
    }

    /// True if a header of this name stands there, which is one of those that every message is matched by.
    #[inline]
    pub(crate) fn has_key(&self, name: HeaderName) -> bool {
        self.outline.value(name, &self.bytes).is_some()
    }

    /// The value of the first header of this name as bytes, folded as it came. The cheap way for correlation.
    #[inline]
    pub fn header_bytes(&self, name: HeaderName) -> Option<&[u8]> {
        if Outline::covers(name) { self.outline.value(name, &self.bytes) } else { self.header_elsewhere(name) }
    }

    /// The same for a header of which the outline does not know.
    fn header_elsewhere(&self, name: HeaderName) -> Option<&[u8]> {
        self.named(name.long()).next().map(|place| place.value(&self.bytes))
    }

    /// The value of the one header of this name, folded as it came, or that there is none; `None` where a closer look
    /// is needed.
    #[inline]
    pub(crate) fn only_header_bytes(&self, name: HeaderName) -> Option<Option<&[u8]>> {
        self.outline.only(name, &self.bytes)
    }

    /// Each header line of this name, whole and unfolded.
    pub fn header_lines<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'_, str>> + use<'_, 'n> {
        let only = self.outline.only(HeaderName::read(name.as_bytes()), &self.bytes);
        let all = only.is_none().then(|| self.named(name).map(|place| place.value(&self.bytes)));
        only.flatten().into_iter().chain(all.into_iter().flatten()).map(unfold)
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
        self.places().all().iter().map(|place| (text(place.sent_name(&self.bytes)), unfold(place.value(&self.bytes))))
    }

    /// Each header in order: which it is, its name as it was sent, and its value folded as it came.
    pub(crate) fn raw_headers(&self) -> impl Iterator<Item = (HeaderName, &[u8], &[u8])> {
        let all = self.places().all().iter();
        all.map(|place| (place.name, place.sent_name(&self.bytes), place.value(&self.bytes)))
    }

    /// A header line as it was sent, name and value, unfolded: what Wireshark shows as `sip.msg_hdr`'s line.
    pub fn header_line(&self, name: &str) -> Option<String> {
        self.named(name).next().map(|place| unfold(place.line(&self.bytes)).into_owned())
    }

    /// The first line of a header, name and value, unfolded, that holds a text.
    pub(crate) fn header_line_with(&self, name: &str, text: &str) -> Option<String> {
        self.named(name)
            .map(|place| unfold(place.line(&self.bytes)))
            .find(|line| line.contains(text))
            .map(Cow::into_owned)
    }

    /// True if blanks stand between the name of a header and its colon (RFC 3261 §7.3.1 allows them).
    pub(crate) fn has_blank_before_colon(&self, name: &str) -> bool {
        let blank = |line: &[u8]| {
            line.split(|byte| *byte == b':').next().is_some_and(|sent| sent.ends_with(b" ") || sent.ends_with(b"\t"))
        };
        self.named(name).any(|place| blank(place.line(&self.bytes)))
    }

    /// True if a header of this name goes on in a second line.
    pub(crate) fn is_folded(&self, name: &str) -> bool {
        self.named(name).any(|place| place.value(&self.bytes).contains(&b'\n'))
    }

    /// The Call-ID (RFC 3261 §20.8); empty if there is none.
    pub fn call_id(&self) -> &[u8] {
        self.header_bytes(HeaderName::CallId).unwrap_or_default()
    }

    /// True if the message ends inside of its Call-ID, or before it.
    pub(crate) fn has_cut_call_id(&self) -> bool {
        // Few messages are cut, and each is asked.
        self.is_cut() && (self.call_id().is_empty() || self.ends_with(self.call_id()))
    }

    /// True if the message ends before its head does: any header that it seems to lack may stand behind the cut.
    pub(crate) fn has_cut_head(&self) -> bool {
        self.is_cut() && {
            let head = self.head();
            !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n")
        }
    }

    /// True if the message ends inside of its first header of this name, or before it. For headers that every message
    /// is matched by.
    pub(crate) fn ends_before_end_of(&self, name: HeaderName) -> bool {
        let place = self.outline.place(name);
        let ends_in_it = || memchr(b'\n', self.bytes.get(place.end()..).unwrap_or_default()).is_none();
        self.has_cut_head() && (!place.is_set() || ends_in_it())
    }

    /// True if the message ends inside of its CSeq.
    pub(crate) fn has_cut_cseq(&self) -> bool {
        self.is_cut() && self.header_bytes(HeaderName::CSeq).is_some_and(|value| self.ends_with(value))
    }

    /// True if these bytes, which stand in a header, are the last of a message that ends there.
    pub(crate) fn ends_with(&self, part: &[u8]) -> bool {
        !part.is_empty() && self.bytes().ends_with(part)
    }

    /// What the software that made it calls itself: User-Agent, and in a response Server before it (RFC 3261 §20.35,
    /// §20.41).
    pub(crate) fn software(&self) -> Option<Cow<'_, str>> {
        let named = |name| self.header_bytes(name).map(unfold);
        let server = if self.is_request() { None } else { named(HeaderName::Server) };
        server.or_else(|| named(HeaderName::UserAgent))
    }

    /// The CSeq (RFC 3261 §20.16); `None` if it is missing or broken.
    pub fn cseq(&self) -> Option<&CSeq> {
        self.cseq.as_ref()
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
        // Nearly every message has one line of it, of which the outline knows.
        let line = self.header("Contact")?;
        let value = split_list(&line).next().map(NameAddr::read);
        value.or_else(|| self.headers("Contact").first().map(|value| NameAddr::read(value)))
    }

    /// Every Via, the topmost first (RFC 3261 §20.42).
    pub fn vias(&self) -> Vec<Via> {
        let mut vias = Vec::new();
        for line in self.header_lines("Via") {
            vias.extend(split_list(&line).map(Via::read));
        }
        vias
    }

    /// How many Via there are: the same as of [`Message::vias`], of which none is read.
    pub(crate) fn via_count(&self) -> usize {
        self.header_lines("Via").map(|line| split_list(&line).count()).sum()
    }

    /// The branch of the topmost Via as bytes; empty if there is none.
    #[inline]
    pub(crate) fn top_branch(&self) -> &[u8] {
        self.found(self.outline.branch, HeaderName::Via, top_branch)
    }

    /// The tag of From as bytes; empty if there is none.
    #[inline]
    pub(crate) fn tag_of_from(&self) -> &[u8] {
        self.found(self.outline.from_tag, HeaderName::From, tag)
    }

    /// The tag of To as bytes; empty if there is none.
    #[inline]
    pub(crate) fn tag_of_to(&self) -> &[u8] {
        self.found(self.outline.to_tag, HeaderName::To, tag)
    }

    /// What the outline has found in a header, or what a closer look at it finds.
    #[inline]
    fn found(&self, found: Place, name: HeaderName, look: fn(&[u8]) -> &[u8]) -> &[u8] {
        if found.is_set() { found.of(&self.bytes) } else { look(self.header_bytes(name).unwrap_or_default()) }
    }

    /// The second Via, of the one who passed this request on.
    pub(crate) fn second_via(&self) -> Option<Via> {
        let first = self.outline.value(HeaderName::Via, &self.bytes).map(unfold)?;
        let next = unfold(self.outline.second_via.of(&self.bytes));
        split_list(&first).chain(split_list(&next)).nth(1).map(Via::read)
    }

    /// The branch of the second Via as bytes: the transaction of the one who passed this request on (RFC 3261 §16.6).
    /// Empty if there is none.
    pub(crate) fn second_branch(&self) -> &[u8] {
        let Some(first) = self.outline.value(HeaderName::Via, &self.bytes) else { return &[] };
        // Commas do not occur in the parameters of a Via but in quoted ones, which nobody sends; where the walk has found
        // the branch, it has seen that the Via is the only one in its line.
        let comma = if self.outline.branch.is_set() { None } else { memchr(b',', first) };
        match comma {
            Some(comma) => top_branch(first.get(comma.saturating_add(1)..).unwrap_or_default()),
            None if !self.outline.second_via.is_set() => &[],
            None => top_branch(self.outline.second_via.of(&self.bytes)),
        }
    }

    /// The first headers that may tell which call the message belongs to beyond its Call-ID: name and value as bytes.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let set = self.outline.references.iter().map(|(name, value)| (name.of(&self.bytes), value.of(&self.bytes)));
        set.filter(|(name, _)| !name.is_empty())
    }

    /// The body, as far as it was captured.
    pub fn body(&self) -> &[u8] {
        self.outline.body.of(&self.bytes)
    }

    /// The start line, the headers, and the empty line behind them.
    pub(crate) fn head(&self) -> &[u8] {
        let start = frame::start_of_message(&self.bytes).unwrap_or(0);
        self.bytes.get(start..self.head_length()).unwrap_or_default()
    }

    /// Bytes that stand before the body: the start line, the headers, and the empty line behind them.
    pub(crate) fn head_length(&self) -> usize {
        self.outline.body.start()
    }

    /// What was odd about this message.
    pub fn oddities(&self) -> &[Oddity] {
        &self.oddities
    }

    /// What was found in it, in few bytes; `None` if something is odd about it, or it has no usual form.
    pub(crate) fn shorthand(&self) -> Option<Shorthand> {
        Shorthand::of(&self.start, self.cseq.as_ref().filter(|_| self.oddities.is_empty())?, &self.outline)
    }

    /// True if the capture does not hold the whole message, so that nothing may be said of what is missing in it.
    pub fn is_cut(&self) -> bool {
        self.missing().is_some()
    }

    /// Bytes that the capture does not have of a message that it cut off, as far as is known.
    pub(crate) fn missing(&self) -> Option<u32> {
        self.oddities.iter().find_map(|oddity| match oddity {
            Oddity::MessageCut { bytes } => Some(*bytes),
            _ => None,
        })
    }

    pub(super) fn answers(&self) -> &Answers {
        self.answers.get_or_init(Box::default)
    }

    /// True if the capture is known to lack bytes of it: of a message that only ends oddly it lacks none.
    pub fn lacks_its_end(&self) -> bool {
        self.oddities.iter().any(|oddity| matches!(oddity, Oddity::MessageCut { bytes } if *bytes > 0))
    }

    fn places(&self) -> &Places {
        self.places.get_or_init(|| Box::new(places::find(&self.bytes, &self.outline)))
    }

    fn named<'n>(&self, name: &'n str) -> impl Iterator<Item = &HeaderPlace> + use<'_, 'n> {
        let known = HeaderName::read(name.as_bytes());
        let may_stand = Outline::covers(known) || self.outline.may_hold(name);
        let places = if may_stand { self.places().with(known) } else { &[] };
        places.iter().filter(move |place| {
            place.name == known
                && (known != HeaderName::Other || place.sent_name(&self.bytes).eq_ignore_ascii_case(name.as_bytes()))
        })
    }

    fn text(&self, range: &Range<u32>) -> Cow<'_, str> {
        text(self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default())
    }
}

/// A folded value on one line: each fold becomes one space (RFC 3261 §7.3.1).
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', value).is_none() {
        return text(value);
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
