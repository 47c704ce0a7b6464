//! Header names: the ones this program looks at, in their long and compact forms (RFC 3261 §7.3.3, IANA register).

/// A header name that this program knows. Any other is [`HeaderName::Other`] and is compared as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names are the headers themselves.
pub enum HeaderName {
    Accept,
    AlertInfo,
    Allow,
    AllowEvents,
    AuthenticationInfo,
    Authorization,
    CallId,
    CallInfo,
    Contact,
    ContentEncoding,
    ContentLength,
    ContentType,
    CSeq,
    Date,
    Diversion,
    Event,
    Expires,
    From,
    HistoryInfo,
    Identity,
    MaxForwards,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    PChargingVector,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    Reason,
    RecordRoute,
    ReferTo,
    ReferredBy,
    Replaces,
    Require,
    RetryAfter,
    Route,
    RSeq,
    Server,
    SessionExpires,
    SessionId,
    SubscriptionState,
    Subject,
    Supported,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
    /// Not in this list.
    Other,
}

/// Long name, compact form (empty: none), our name.
const NAMES: [(&str, &str, HeaderName); 51] = [
    ("To", "t", HeaderName::To),
    ("Via", "v", HeaderName::Via),
    ("CSeq", "", HeaderName::CSeq),
    ("Date", "", HeaderName::Date),
    ("From", "f", HeaderName::From),
    ("RAck", "", HeaderName::RAck),
    ("RSeq", "", HeaderName::RSeq),
    ("Allow", "", HeaderName::Allow),
    ("Event", "o", HeaderName::Event),
    ("Route", "", HeaderName::Route),
    ("Accept", "", HeaderName::Accept),
    ("Min-SE", "", HeaderName::MinSe),
    ("Reason", "", HeaderName::Reason),
    ("Server", "", HeaderName::Server),
    ("Call-ID", "i", HeaderName::CallId),
    ("Contact", "m", HeaderName::Contact),
    ("Expires", "", HeaderName::Expires),
    ("Privacy", "", HeaderName::Privacy),
    ("Require", "", HeaderName::Require),
    ("Subject", "s", HeaderName::Subject),
    ("Warning", "", HeaderName::Warning),
    ("Identity", "y", HeaderName::Identity),
    ("Refer-To", "r", HeaderName::ReferTo),
    ("Replaces", "", HeaderName::Replaces),
    ("Call-Info", "", HeaderName::CallInfo),
    ("Diversion", "", HeaderName::Diversion),
    ("Supported", "k", HeaderName::Supported),
    ("Alert-Info", "", HeaderName::AlertInfo),
    ("Session-ID", "", HeaderName::SessionId),
    ("User-Agent", "", HeaderName::UserAgent),
    ("Min-Expires", "", HeaderName::MinExpires),
    ("Referred-By", "b", HeaderName::ReferredBy),
    ("Retry-After", "", HeaderName::RetryAfter),
    ("Unsupported", "", HeaderName::Unsupported),
    ("Allow-Events", "u", HeaderName::AllowEvents),
    ("Content-Type", "c", HeaderName::ContentType),
    ("History-Info", "", HeaderName::HistoryInfo),
    ("Max-Forwards", "", HeaderName::MaxForwards),
    ("Record-Route", "", HeaderName::RecordRoute),
    ("Authorization", "", HeaderName::Authorization),
    ("Proxy-Require", "", HeaderName::ProxyRequire),
    ("Content-Length", "l", HeaderName::ContentLength),
    ("Session-Expires", "x", HeaderName::SessionExpires),
    ("Content-Encoding", "e", HeaderName::ContentEncoding),
    ("WWW-Authenticate", "", HeaderName::WwwAuthenticate),
    ("P-Charging-Vector", "", HeaderName::PChargingVector),
    ("Proxy-Authenticate", "", HeaderName::ProxyAuthenticate),
    ("Subscription-State", "", HeaderName::SubscriptionState),
    ("Authentication-Info", "", HeaderName::AuthenticationInfo),
    ("P-Asserted-Identity", "", HeaderName::PAssertedIdentity),
    ("Proxy-Authorization", "", HeaderName::ProxyAuthorization),
];

/// Slots of the table that finds a name: more than twice as many as there are forms, so that most look-ups end at once.
const SLOTS: usize = 256;

/// Where each long and compact form stands in [`NAMES`], by a hash of its length and its ends; open addressing. A slot
/// holds 0 if it is free, else one more than the index of its name.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "worked out by the compiler, which would refuse what is out of range"
)]
const FORMS: [u8; SLOTS] = {
    let mut forms = [0; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        let (long, compact, _) = NAMES[index];
        forms[free_slot(&forms, long.as_bytes())] = index as u8 + 1;
        if !compact.is_empty() {
            forms[free_slot(&forms, compact.as_bytes())] = index as u8 + 1;
        }
        index += 1;
    }
    forms
};

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "called by the compiler only, which would refuse what is out of range"
)]
const fn free_slot(forms: &[u8; SLOTS], form: &[u8]) -> usize {
    let mut slot = first_slot(form.len(), form[0], form[form.len() - 1]);
    while forms[slot] != 0 {
        slot = (slot + 1) % SLOTS;
    }
    slot
}

/// The slot at which the search for a name begins: the same for every spelling of it.
const fn first_slot(length: usize, first: u8, last: u8) -> usize {
    let ends = ((first | 0x20) as usize).wrapping_mul(37).wrapping_add(((last | 0x20) as usize).wrapping_mul(35));
    length.wrapping_mul(5).wrapping_add(ends) % SLOTS
}

impl HeaderName {
    /// Reads a name in any spelling, compact or long (RFC 3261 §7.3.1: not case-sensitive).
    pub fn read(name: &[u8]) -> HeaderName {
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return HeaderName::Other };
        let mut slot = first_slot(name.len(), *first, *last);
        while let Some(index) = FORMS.get(slot).and_then(|form| usize::from(*form).checked_sub(1)) {
            if let Some((long, compact, known)) = NAMES.get(index)
                && (is_form(long, name) || is_form(compact, name))
            {
                return *known;
            }
            slot = slot.wrapping_add(1) % SLOTS;
        }
        HeaderName::Other
    }

    /// The long name; empty for [`HeaderName::Other`].
    pub fn long(self) -> &'static str {
        NAMES.iter().find(|(_, _, known)| *known == self).map_or("", |(long, _, _)| long)
    }
}

/// True if the name is this form of it. Nearly all are sent, and asked for, in the spelling of the RFC.
fn is_form(form: &str, name: &[u8]) -> bool {
    form.len() == name.len() && (form.as_bytes() == name || form.as_bytes().eq_ignore_ascii_case(name))
}

/// True for headers that may stand once only and whose value is not a comma list (RFC 3261 §7.3.1, §20).
pub fn is_single(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::From
            | HeaderName::To
            | HeaderName::MaxForwards
            | HeaderName::ContentLength
            | HeaderName::ContentType
            | HeaderName::Expires
            | HeaderName::MinExpires
            | HeaderName::RetryAfter
            | HeaderName::SessionExpires
            | HeaderName::MinSe
    )
}

/// True for headers whose commas do not separate values: single ones, dates, texts, and the four of authentication
/// (RFC 3261 §7.3.1).
pub(crate) fn keeps_commas(name: HeaderName) -> bool {
    is_single(name)
        || matches!(
            name,
            HeaderName::Authorization
                | HeaderName::ProxyAuthorization
                | HeaderName::WwwAuthenticate
                | HeaderName::ProxyAuthenticate
                | HeaderName::AuthenticationInfo
                | HeaderName::Date
                | HeaderName::Subject
                | HeaderName::Server
                | HeaderName::UserAgent
                | HeaderName::ReferTo
                | HeaderName::ReferredBy
                | HeaderName::Replaces
                | HeaderName::SessionId
                | HeaderName::PChargingVector
                | HeaderName::Identity
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_is_read() {
        for (name, known) in
            [("v", HeaderName::Via), ("V", HeaderName::Via), ("VIA", HeaderName::Via), ("I", HeaderName::CallId)]
        {
            assert_eq!(HeaderName::read(name.as_bytes()), known);
        }
        assert_eq!(HeaderName::read(b"X-Unknown"), HeaderName::Other);
        assert_eq!(HeaderName::read(b""), HeaderName::Other);
    }

    #[test]
    fn every_name_is_listed_once() {
        for (long, compact, known) in NAMES {
            assert!(compact.is_empty() || HeaderName::read(compact.as_bytes()) == known, "{compact}");
            assert_eq!(HeaderName::read(long.as_bytes()), known, "{long}");
            assert_eq!(HeaderName::read(long.to_uppercase().as_bytes()), known, "{long}");
            assert_eq!(known.long(), long);
        }
    }
}
