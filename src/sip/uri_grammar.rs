//! Where an address in a header breaks its grammar (RFC 3261 §25.1), beyond what is looked for in every message.
//!
//! Is given the value of a header; gives its first fault, in words. Deliberately does not understand what the address
//! says: that is [`crate::sip::NameAddr`], which forgives.

use crate::sip::NameAddr;

/// The first place at which `name-addr / addr-spec` with the parameters of its header breaks the grammar; `None` if it
/// is well formed, and of URIs other than `sip` and `sips`.
pub fn first_fault(value: &str) -> Option<String> {
    let NameAddr { uri, .. } = NameAddr::read(value);
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    let target = rest.rsplit_once('@').map_or(rest, |(_, target)| target);
    let (host, parameters) = target.split_once(';').map_or((target, None), |(host, rest)| (host, Some(rest)));
    let behind = value.rsplit_once('>').and_then(|(_, behind)| Some(behind.split_once(';')?.1));
    fault_of_host(host.trim())
        .or_else(|| fault_of_parameters(parameters?, "its URI"))
        .or_else(|| fault_of_parameters(behind?, "the header"))
}

/// What is wrong with a host and its port.
fn fault_of_host(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']').unwrap_or((inside, ""));
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Some("its URI has no host".to_owned());
    }
    let port = port.filter(|port| port.parse::<u16>().is_err())?;
    Some(format!("the port {port:?} of its URI is no number from 0 to 65535"))
}

/// What is wrong with the parameters of a URI or of its header.
fn fault_of_parameters(text: &str, owner: &str) -> Option<String> {
    // A quoted value may hold what separates parameters elsewhere.
    if text.contains('"') {
        return None;
    }
    text.split(';').map(str::trim).find_map(|parameter| match parameter.split_once('=') {
        None if parameter.is_empty() => Some(format!("{owner} has an empty parameter")),
        Some(("", _)) => Some(format!("a parameter of {owner} has no name")),
        Some((name, "")) => Some(format!("the parameter {name} of {owner} has no value")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::first_fault;

    #[test]
    fn faults_are_named() {
        let says = |value| first_fault(value).unwrap_or_default();
        assert_eq!(says("sip:1001@192.0.2.1:port"), "the port \"port\" of its URI is no number from 0 to 65535");
        assert_eq!(says("<sip:1001@192.0.2.1:5060;transport=>;;"), "the parameter transport of its URI has no value");
        assert_eq!(says("<sip:1001@192.0.2.1>;;expires=60"), "the header has an empty parameter");
        assert_eq!(says("<sip:1001@:5060>"), "its URI has no host");
        assert_eq!(says("<sip:[2001:db8::1]:99999>"), "the port \"99999\" of its URI is no number from 0 to 65535");
    }

    #[test]
    fn what_is_well_formed_has_none() {
        let values = [
            "\"a;;b\" <sip:bob@example.com:5060;transport=tcp;lr>;expires=60",
            "sip:bob@[2001:db8::1]:5060;tag=1",
            "<sip:+15550100;phone-context=example.com@example.com;user=phone?Subject=x>;q=0.5",
            "<tel:+15550100>;tag=a",
            "<sip:192.0.2.1>;+sip.instance=\"<urn:uuid:0;;>\"",
            "*",
        ];
        values.into_iter().for_each(|value| assert_eq!(first_fault(value), None, "{value}"));
    }
}
