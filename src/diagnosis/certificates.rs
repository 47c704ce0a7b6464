//! What is wrong with a certificate that a TLS connection showed.
//!
//! Knows dates, names and who signed. Deliberately does not know whom the other side trusts: that is not in the
//! packets.

use crate::call::Lookups;
use crate::capture::{Digits, Place, Timestamp};
use crate::diagnosis::finding::Finding;
use crate::net::{Certificate, DnsRecord, TlsConnection};

/// What is wrong with a certificate at the time of its connection; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CertificateFault {
    /// Its last second had passed.
    Expired,
    /// Its first second had not come.
    NotYetValid,
    /// It does not bear the name that the client asked for, in its hello or by DNS.
    OtherName,
    /// Nobody else vouches for it.
    SelfSigned,
}

/// A name under which a client looked for its server.
struct Wanted {
    name: String,
    /// Where it asked for it.
    asked: Place,
    /// Wireshark's field that holds it there.
    field: &'static str,
}

/// The names under which a client looked for its server: the one in its hello (RFC 6066 §3), or, if that has none,
/// those that it had looked up and that led it there. A certificate may also bear the domain whose SRV record named the
/// host (RFC 5922 §7).
fn wanted(seen: &TlsConnection, lookups: &Lookups) -> Vec<Wanted> {
    if let Some(name) = &seen.server_name {
        let asked = seen.hello_place.unwrap_or(seen.place);
        return vec![Wanted { name: name.clone(), asked, field: "tls.handshake.extensions_server_name" }];
    }
    let (client, server) = (seen.path.source.ip(), seen.path.destination.ip());
    let known = || {
        lookups.iter().filter(|one| one.client == client && one.answer.is_some_and(|(place, ..)| place < seen.place))
    };
    let leads_there = |record: &DnsRecord| matches!(record, DnsRecord::Address { address, .. } if *address == server);
    let of = |one: &crate::call::Lookup, name: &str| Wanted {
        name: name.to_owned(),
        asked: one.asked,
        field: "dns.qry.name",
    };
    let hosts: Vec<Wanted> = known()
        .filter(|one| matches!(one.kind, 1 | 28) && one.records.iter().any(leads_there))
        .map(|one| of(one, &one.spelled))
        .collect();
    let names_a_host = |record: &DnsRecord| match record {
        DnsRecord::Service { target, .. } => hosts.iter().any(|host| host.name.eq_ignore_ascii_case(target)),
        DnsRecord::Address { .. } => false,
    };
    let domains: Vec<Wanted> = known()
        .filter(|one| one.kind == 33 && one.records.iter().any(names_a_host))
        .filter_map(|one| Some(of(one, one.spelled.splitn(3, '.').nth(2)?)))
        .collect();
    hosts.into_iter().chain(domains).collect()
}

/// The certificate of a connection, and what is wrong with it. `None` if none was visible, or nothing is wrong.
pub(crate) fn fault<'a>(seen: &'a TlsConnection, lookups: &Lookups) -> Option<(&'a Certificate, CertificateFault)> {
    let certificate = seen.certificate.as_ref()?;
    let now = seen.place.time.0.div_euclid(1_000_000_000);
    let knows_all = !certificate.names.is_empty() && certificate.names.len() < Certificate::MOST_NAMES;
    let wanted = wanted(seen, lookups);
    let is_other = knows_all && !wanted.is_empty() && !wanted.iter().any(|one| bears(&certificate.names, &one.name));
    let fault = if certificate.not_after < now {
        CertificateFault::Expired
    } else if certificate.not_before > now {
        CertificateFault::NotYetValid
    } else if is_other {
        CertificateFault::OtherName
    } else if certificate.is_self_signed {
        CertificateFault::SelfSigned
    } else {
        return None;
    };
    Some((certificate, fault))
}

/// What is wrong, in a sentence.
pub(crate) fn sentence(
    seen: &TlsConnection,
    lookups: &Lookups,
    certificate: &Certificate,
    fault: CertificateFault,
) -> String {
    let Certificate { subject, names, not_before, not_after, .. } = certificate;
    match fault {
        CertificateFault::Expired => format!("The certificate of \"{subject}\" was valid until {}.", date(*not_after)),
        CertificateFault::NotYetValid => {
            format!("The certificate of \"{subject}\" is valid only from {} on.", date(*not_before))
        }
        CertificateFault::OtherName => {
            let names = names.join(", ");
            match (&seen.server_name, wanted(seen, lookups).first()) {
                (Some(wanted), _) => format!("The client asked for {wanted}; the certificate is for {names}."),
                (None, wanted) => format!(
                    "The client named no host in its hello; it had looked {} up and was led there. The certificate is \
                     for {names}.",
                    wanted.map(|one| one.name.as_str()).unwrap_or_default()
                ),
            }
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
pub(crate) fn cure(seen: &TlsConnection, lookups: &Lookups, fault: CertificateFault) -> String {
    let server = seen.path.destination;
    match fault {
        CertificateFault::Expired => format!("Renew the certificate of {server}, and let the server read it again."),
        CertificateFault::NotYetValid => {
            format!("Compare the clocks of {server} and of the host that issued the certificate.")
        }
        CertificateFault::OtherName => {
            let wanted = wanted(seen, lookups);
            let wanted = wanted.last().map(|one| one.name.as_str()).unwrap_or_default();
            format!(
                "Give {server} a certificate with {wanted} among its names (subjectAltName), or let the client ask \
                 for a name that it bears."
            )
        }
        CertificateFault::SelfSigned => {
            format!(
                "Let an authority that the client trusts sign the certificate of {server}, or add it to those the \
                 client trusts."
            )
        }
    }
}

/// Every name that may be told of a connection and its certificate.
pub(crate) fn names(seen: &TlsConnection, lookups: &Lookups) -> Vec<String> {
    let wanted = wanted(seen, lookups).into_iter().map(|one| one.name);
    let certified = seen.certificate.iter().flat_map(|certificate| {
        let Certificate { subject, issuer, names, .. } = certificate;
        [subject, issuer].into_iter().chain(names).cloned()
    });
    wanted.chain(certified).collect()
}

/// Claims what the certificate itself shows of its fault.
pub(crate) fn claim(finding: Finding, seen: &TlsConnection, lookups: &Lookups, fault: CertificateFault) -> Finding {
    let (Some(certificate), Some(place)) = (&seen.certificate, seen.certificate_place) else { return finding };
    let time = |finding: Finding, seconds: i64, says: &str| match utc_time(seconds) {
        Some(time) => finding.claim_at(place, "x509af.utcTime", time, says),
        None => finding,
    };
    match fault {
        CertificateFault::Expired => time(finding, certificate.not_after, "the last second of the certificate"),
        CertificateFault::NotYetValid => time(finding, certificate.not_before, "the first second of the certificate"),
        CertificateFault::OtherName => {
            let Some(wanted) = wanted(seen, lookups).into_iter().next() else { return finding };
            let asked = finding.claim_at(wanted.asked, wanted.field, wanted.name, "the name asked for");
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
