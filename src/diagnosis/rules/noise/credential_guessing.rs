use std::net::IpAddr;

use crate::call::Guessing;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::guessed_account;
use crate::diagnosis::{CaptureCase, Case, Confidence, Finding, Role, Severity};

rule! {
    /// A password was guessed, or nearly so.
    ///
    /// ## What it says
    /// One source had its credentials refused again and again, and then was let in. The account it used must be taken
    /// for compromised.
    ///
    /// ## Why it happens
    /// Somebody tries passwords one after the other, and one fits; or a user who mistyped many times.
    ///
    /// ## Evidence
    /// At least ten refusals of credentials of one source, and then a 2xx to it.
    ///
    /// ## How to fix
    /// Reset the secret of the account, block the source, and look at the calls that it made since. Limit tries for
    /// each source (fail2ban, pike).
    ///
    /// ## When it would be wrong
    /// Many phones may stand behind one address, one of them with an old password.
    ///
    /// ## References
    /// RFC 3261 §22.1, §26.1.1; RFC 7616 §5.7
    "I2" "credential-guessing" needs [GUESSED], check, capture of_capture
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let first = case.call.messages.iter().find(|heard| heard.message.is_request())?;
    let source = first.path.source.ip();
    found(source, case.surroundings.neighbours().guessing(source)?)
}

fn of_capture(case: &CaptureCase<'_>) -> Option<Finding> {
    case.surroundings.neighbours().guessers().find_map(|(source, known)| found(*source, known))
}

fn found(source: IpAddr, known: &Guessing) -> Option<Finding> {
    let (accepted, _) = known.accepted.as_ref().filter(|_| known.rejected >= Guessing::MANY)?;
    Some(
        Finding::of(&RULE, Confidence::Likely)
            .severity(Severity::Warning)
            .party(Role::Uac, None)
            .because(format!(
                "Credentials of {source} were refused {} times, and then {source} was let in: somebody may have \
                 guessed a password.",
                known.rejected
            ))
            .naming(known.user())
            .fix(format!("Reset the secret of {}, and block {source}.", guessed_account(source, known)))
            .fix("Look at the calls that were made with it since; limit how often a source may try.")
            .claim_at(
                known.first,
                "frame.number",
                known.first.frame.to_string(),
                "the first refusal of its credentials",
            )
            .claim_at(*accepted, "sip.Status-Code", "200", "it is let in"),
    )
}
