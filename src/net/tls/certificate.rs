//! What a certificate says of itself (RFC 5280).
//!
//! The door of the `x509-parser` crate. Is given the bytes of a certificate; gives its names and dates. Deliberately
//! does not verify: whom the other side trusts is not known here.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::net::bytes::ipv4_at;
use crate::net::bytes::ipv6_at;
use crate::net::tls::seen::Certificate;

/// Characters that are kept of each.
const LONGEST_NAME: usize = 255;

/// Reads a certificate; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(bytes).ok()?;
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        names.extend(
            alternative
                .value
                .general_names
                .iter()
                .filter_map(name)
                .map(|name| cut(&name))
                .take(Certificate::MOST_NAMES),
        );
    }
    let common = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok());
    Some(Certificate {
        subject: cut(common.unwrap_or_default()),
        issuer: cut(&certificate.issuer().to_string()),
        names,
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        is_self_signed: certificate.subject() == certificate.issuer(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) if octets.len() == 4 => ipv4_at(octets, 0).map(|address| address.to_string()),
        GeneralName::IPAddress(octets) if octets.len() == 16 => ipv6_at(octets, 0).map(|address| address.to_string()),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}
