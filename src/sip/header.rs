//! Header names: the ones this program looks at, in their long and compact forms (RFC 3261 §7.3.3, IANA register).

/// A header name that this program knows. Any other is [`HeaderName::Other`] and is compared as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // The names are the headers themselves.
pub enum HeaderName {
    Accept,
    AlertInfo,
    Allow,
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

/// Long name, compact form (empty: none), our name. Sorted by length, so that a look-up touches only a few.
const NAMES: [(&str, &str, HeaderName); 50] = [
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

/// Where the names of each length begin in [`NAMES`]; the last entry is its end.
#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which would refuse what is out of range")]
const STARTS: [usize; 22] = {
    let mut starts = [0; 22];
    let mut length = 0;
    while length < 22 {
        let mut index = 0;
        while index < NAMES.len() && NAMES[index].0.len() < length {
            index += 1;
        }
        starts[length] = index;
        length += 1;
    }
    starts
};

impl HeaderName {
    /// Reads a name in any spelling, compact or long (RFC 3261 §7.3.1: not case-sensitive).
    pub fn read(name: &[u8]) -> HeaderName {
        if let [letter] = name {
            let letter = letter.to_ascii_lowercase();
            return NAMES
                .iter()
                .find(|(_, compact, _)| compact.as_bytes() == [letter])
                .map_or(HeaderName::Other, |(_, _, known)| *known);
        }
        let (Some(from), Some(to)) = (STARTS.get(name.len()), STARTS.get(name.len().saturating_add(1))) else {
            return HeaderName::Other;
        };
        NAMES
            .get(*from..*to)
            .unwrap_or_default()
            .iter()
            .find(|(long, _, _)| {
                long.as_bytes() == name
                    || (has_same_ends(long.as_bytes(), name) && long.as_bytes().eq_ignore_ascii_case(name))
            })
            .map_or(HeaderName::Other, |(_, _, known)| *known)
    }

    /// The long name; empty for [`HeaderName::Other`].
    pub fn long(self) -> &'static str {
        NAMES.iter().find(|(_, _, known)| *known == self).map_or("", |(long, _, _)| long)
    }
}

/// A cheap look before the whole comparison: the first and the last letter, in any case.
fn has_same_ends(long: &[u8], name: &[u8]) -> bool {
    match (long, name) {
        ([a, .., b], [c, .., d]) => (a ^ c) & !0x20 == 0 && (b ^ d) & !0x20 == 0,
        _ => true,
    }
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
        for (long, _, known) in NAMES {
            assert_eq!(HeaderName::read(long.as_bytes()), known, "{long}");
            assert_eq!(known.long(), long);
        }
    }
}
