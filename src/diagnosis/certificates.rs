//! What is wrong with a certificate that a TLS connection showed.
//!
//! Knows dates, names and who signed. Deliberately does not know whom the other side trusts: that is not in the packets.

use crate::capture::{Digits, Timestamp};
use crate::diagnosis::finding::Finding;
use crate::net::{Certificate, TlsConnection};

/// What is wrong with a certificate at the time of its connection; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CertificateFault {
    /// Its last second had passed.
    Expired,
    /// Its first second had not come.
    NotYetValid,
    /// It does not bear the name that the client asked for.
    OtherName,
    /// Nobody else vouches for it.
    SelfSigned,
}

/// The certificate of a connection, and what is wrong with it. `None` if none was visible, or nothing is wrong.
pub(crate) fn fault(seen: &TlsConnection) -> Option<(&Certificate, CertificateFault)> {
    let certificate = seen.certificate.as_ref()?;
    let now = seen.place.time.0.div_euclid(1_000_000_000);
    let knows_all = !certificate.names.is_empty() && certificate.names.len() < Certificate::MOST_NAMES;
    let is_other = |wanted: &String| knows_all && !bears(&certificate.names, wanted);
    let fault = if certificate.not_after < now {
        CertificateFault::Expired
    } else if certificate.not_before > now {
        CertificateFault::NotYetValid
    } else if seen.server_name.as_ref().is_some_and(is_other) {
        CertificateFault::OtherName
    } else if certificate.is_self_signed {
        CertificateFault::SelfSigned
    } else {
        return None;
    };
    Some((certificate, fault))
}

/// What is wrong, in a sentence.
pub(crate) fn sentence(seen: &TlsConnection, certificate: &Certificate, fault: CertificateFault) -> String {
    let Certificate { subject, names, not_before, not_after, .. } = certificate;
    match fault {
        CertificateFault::Expired => format!("The certificate of \"{subject}\" was valid until {}.", date(*not_after)),
        CertificateFault::NotYetValid => {
            format!("The certificate of \"{subject}\" is valid only from {} on.", date(*not_before))
        }
        CertificateFault::OtherName => {
            let wanted = seen.server_name.as_deref().unwrap_or_default();
            format!("The client asked for {wanted}; the certificate is for {}.", names.join(", "))
        }
        CertificateFault::SelfSigned => format!("The certificate of \"{subject}\" is signed by itself."),
    }
}

/// Who issued a certificate with which nothing is wrong to see, and until when it holds.
pub(crate) fn issued(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, not_after, .. } = certificate;
    format!("The certificate of \"{subject}\" was issued by {issuer} and is valid until {}.", date(*not_after))
}

/// What to do against it.
pub(crate) fn cure(seen: &TlsConnection, fault: CertificateFault) -> String {
    let server = seen.path.destination;
    match fault {
        CertificateFault::Expired => format!("Renew the certificate of {server}, and let the server read it again."),
        CertificateFault::NotYetValid => {
            format!("Compare the clocks of {server} and of the host that issued the certificate.")
        }
        CertificateFault::OtherName => {
            let wanted = seen.server_name.as_deref().unwrap_or_default();
            format!(
                "Give {server} a certificate with {wanted} among its names (subjectAltName), or let the client ask for a name that it bears."
            )
        }
        CertificateFault::SelfSigned => {
            format!(
                "Let an authority that the client trusts sign the certificate of {server}, or add it to those the client trusts."
            )
        }
    }
}

/// Claims what the certificate itself shows of its fault.
pub(crate) fn claim(finding: Finding, seen: &TlsConnection, fault: CertificateFault) -> Finding {
    let (Some(certificate), Some(place)) = (&seen.certificate, seen.certificate_place) else { return finding };
    let time = |finding: Finding, seconds: i64, says: &str| match utc_time(seconds) {
        Some(time) => finding.claim_at(place, "x509af.utcTime", time, says),
        None => finding,
    };
    match fault {
        CertificateFault::Expired => time(finding, certificate.not_after, "the last second of the certificate"),
        CertificateFault::NotYetValid => time(finding, certificate.not_before, "the first second of the certificate"),
        CertificateFault::OtherName => {
            let (wanted, hello) =
                (seen.server_name.clone().unwrap_or_default(), seen.hello_place.unwrap_or(seen.place));
            let asked = finding.claim_at(hello, "tls.handshake.extensions_server_name", wanted, "the name asked for");
            match certificate.names.iter().find(|name| name.parse::<std::net::IpAddr>().is_err()) {
                Some(name) => asked.claim_at(place, "x509ce.dNSName", name.clone(), "a name of the certificate"),
                None => asked,
            }
        }
        CertificateFault::SelfSigned => finding,
    }
}

/// Whether one of the names is that of the host; a star stands for its first label (RFC 6125 §6.4.3).
fn bears(names: &[String], host: &str) -> bool {
    names.iter().any(|name| {
        let name = name.trim_start_matches("sip:");
        name.eq_ignore_ascii_case(host)
            || name
                .strip_prefix("*.")
                .zip(host.split_once('.'))
                .is_some_and(|(name, (_, host))| name.eq_ignore_ascii_case(host))
    })
}

fn date(seconds: i64) -> String {
    rfc3339(seconds).chars().take(10).collect()
}

/// As Wireshark shows a UTCTime. Certificates write years from 2050 on in another form (RFC 5280 §4.1.2.5).
fn utc_time(seconds: i64) -> Option<String> {
    let text = rfc3339(seconds);
    let (date, time) = text.split_once('T')?;
    (date < "2050").then(|| format!("{date} {} (UTC)", time.chars().take(8).collect::<String>()))
}

fn rfc3339(seconds: i64) -> String {
    let nanoseconds = i128::from(seconds) * 1_000_000_000;
    Timestamp(i64::try_from(nanoseconds).unwrap_or(i64::MAX)).rfc3339(Digits::Micro)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_hosts_are() {
        let names = ["pbx.example.com".to_owned(), "*.example.net".to_owned()];
        assert!(bears(&names, "PBX.example.com") && bears(&names, "a.example.net"));
        assert!(!bears(&names, "a.b.example.net") && !bears(&names, "example.com"));
    }

    #[test]
    fn times_are_written_as_wireshark_writes_them() {
        assert_eq!(utc_time(1_772_442_000).as_deref(), Some("2026-03-02 09:00:00 (UTC)"));
        assert_eq!(utc_time(2_840_140_800), None);
    }
}
