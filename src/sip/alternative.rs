//! What a network asks its device to do instead (3GPP TS 24.229 §7.6): the body `application/3gpp-ims+xml`.
//!
//! Is given a response; gives the service that its body names. Deliberately does not know what the device does then.

use memchr::memmem;

use crate::sip::Message;

/// The service that can help instead (3GPP TS 24.229 §7.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlternativeService {
    /// The number is one of emergency: the call is to be made as such (RFC 5031).
    Emergency,
    /// The server at which the device is registered is gone: the device is to register anew.
    Restoration,
}

impl AlternativeService {
    /// The service that the body of a response names; `None` without such a body.
    pub fn of(response: &Message<'_>) -> Option<AlternativeService> {
        let body = response.body();
        if body.is_empty() {
            return None;
        }
        let body = body.to_ascii_lowercase();
        memmem::find(&body, b"alternative-service")?;
        let kind = type_of(&body).unwrap_or(&body);
        let names = |word: &str| memmem::find(kind, word.as_bytes()).is_some();
        let known = [("restoration", AlternativeService::Restoration), ("emergency", AlternativeService::Emergency)];
        known.into_iter().find_map(|(word, service)| names(word).then_some(service))
    }
}

/// What stands in the element `type`.
fn type_of(body: &[u8]) -> Option<&[u8]> {
    let rest = body.get(memmem::find(body, b"<type>")?..)?;
    rest.get(..memmem::find(rest, b"</type>")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    fn of(body: &str) -> Option<AlternativeService> {
        let text = format!("SIP/2.0 380 Alternative Service\r\nContent-Type: application/3gpp-ims+xml\r\n\r\n{body}");
        AlternativeService::of(&Message::read(text.as_bytes(), Cut::Whole).expect("a message"))
    }

    #[test]
    fn the_type_tells_the_service_and_the_reason_does_not() {
        let body = |kind: &str, reason: &str| {
            format!(
                "<ims-3gpp version=\"1\"><alternative-service>{kind}<reason>{reason}</reason></alternative-service></\
                 ims-3gpp>"
            )
        };
        assert_eq!(of(&body("<type>emergency</type>", "no restoration")), Some(AlternativeService::Emergency));
        assert_eq!(of(&body("<type><Emergency/></type>", "")), Some(AlternativeService::Emergency));
        assert_eq!(of(&body("<type>restoration</type>", "not an emergency")), Some(AlternativeService::Restoration));
        assert_eq!(of(&body("", "emergency")), Some(AlternativeService::Emergency));
        assert_eq!(of(&body("<type>other</type>", "emergency")), None);
        assert_eq!(of("an emergency"), None);
        assert_eq!(of(""), None);
    }
}
