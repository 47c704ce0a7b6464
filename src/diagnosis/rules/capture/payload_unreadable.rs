use crate::diagnosis::rule::rule;
use crate::diagnosis::words::counted;
use crate::diagnosis::{CaptureCase, Confidence, Finding, Role};
use crate::oddity::Oddity;

rule! {
    /// A part of the capture could not be read.
    ///
    /// ## What it says
    /// Some packets are encrypted, or of a link type that this program does not know. There may be SIP in them.
    ///
    /// ## Why it happens
    /// SIP goes over TLS and its secrets were not given, or the capture was made on an unusual interface.
    ///
    /// ## Evidence
    /// TLS records without secrets; frames of an unknown link type.
    ///
    /// ## How to fix
    /// For TLS capture where it is decrypted, on the PBX or SBC itself, or let that log its SIP messages. For the link
    /// type capture on another interface.
    ///
    /// ## When it would be wrong
    /// The encrypted packets may carry something else than SIP, such as the web pages of a telephone.
    ///
    /// ## References
    /// RFC 8446 §5; RFC 3261 §26.2.1
    "J7" "payload-unreadable", capture check
}

/// Frames that are cited of each kind.
const CITED: usize = 3;

fn check(case: &CaptureCase<'_>) -> Option<Finding> {
    let encrypted = case.count("payload-unreadable");
    let foreign = case.count("unsupported-link-type");
    let mut words = Vec::new();
    if encrypted > 0 {
        words.push(format!("{} encrypted or compressed", counted(encrypted, "connection is", "connections are")));
    }
    if foreign > 0 {
        words.push(format!("{} of a link type that is not supported", counted(foreign, "frame is", "frames are")));
    }
    if words.is_empty() {
        return None;
    }
    let mut finding = Finding::of(&RULE, Confidence::Proven)
        .party(Role::Capture, None)
        .because(format!("Not read: {}. What they carry is not judged.", words.join(", and ")));
    if encrypted > 0 {
        finding = finding.fix("Capture where it is readable: on the PBX or SBC itself, or let that log its SIP messages.");
    }
    for (_, noted) in case.noted("unsupported-link-type") {
        if let Oddity::UnsupportedLinkType { link_type } = noted.example {
            let step = format!("Capture on another interface: link type {link_type} is not supported.");
            finding = finding.fix(step);
        }
    }
    finding = cite(finding, case, "unsupported-link-type", "of a link type that is not supported");
    Some(cite(finding, case, "payload-unreadable", "from here on the connection is encrypted or compressed"))
}

fn cite(finding: Finding, case: &CaptureCase<'_>, kind: &'static str, says: &str) -> Finding {
    case.first(kind, CITED).into_iter().fold(finding, |finding, place| {
        finding.claim_at(place, "frame.number", place.frame.to_string(), says)
    })
}
