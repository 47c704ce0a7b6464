use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};
use crate::sip::Uri;
use crate::sip::identity::Passport;

rule! {
    /// The called number was changed after the call was signed.
    ///
    /// ## What it says
    /// The signature of the caller's identity is for another called number than the one in the Request-URI, and nobody
    /// signed the change. A verifier takes that for a replayed signature.
    ///
    /// ## Why it happens
    /// A server behind the one that signs translates or forwards the number, and does not add a `div` token.
    ///
    /// ## Evidence
    /// A token whose `dest` is another number than the Request-URI, no `div` token for it, and a call that failed; with
    /// a 438 it explains the failure.
    ///
    /// ## How to fix
    /// Sign last, after every change of the number; where a call is forwarded, add a `div` token (RFC 8946).
    ///
    /// ## When it would be wrong
    /// Numbers that differ only in their form (`+`, `00`, national prefix) are the same: the verifier brings them into
    /// one form.
    ///
    /// ## References
    /// RFC 8225 §5.2; RFC 8946 §4; RFC 8224 §8.3
    "F6" "number-changed-after-signing" needs [REFUSED IDENTITY], check
}

/// The code of a signature that does not hold (RFC 8224 §6.2.2).
const INVALID_IDENTITY: u16 = 438;
/// Words of a 403 that speak of the signature.
const OF_IDENTITY: &[&str] = &["identity", "passport", "signature", "stir", "shaken", "verstat", "verification"];
/// Digits that two forms of one number share at the end.
const SHORTEST_NATIONAL: usize = 7;

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure()?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let tokens: Vec<Passport> =
        request.message.header_lines("Identity").filter_map(|value| Passport::read(&value)).collect();
    let first = tokens.iter().find(|token| token.extension != "div" && !token.destinations.is_empty())?;
    let called = digits(&request.message.target()?.plain_user());
    let covers =
        |token: &Passport| token.destinations.iter().any(|to| number_of(to).is_none_or(|to| is_same(&to, &called)));
    if called.is_empty() || tokens.iter().any(covers) {
        return None;
    }
    let signed = first.destinations.join(", ");
    let code = failure.status.get();
    let explains = code == INVALID_IDENTITY || code == 403 && case.says_any(response, OF_IDENTITY);
    let finding = Finding::of(&RULE, Confidence::Proven);
    let finding = match explains {
        true => finding.explains(Some(failure.status)),
        false => finding.about(failure.status).severity(Severity::Warning),
    };
    Some(
        finding
            .sender(Role::Proxy, request)
            .because(format!(
                "The call was signed for the number {signed}, and goes to {called}: the number was changed after \
                 signing, and no div token covers the change. It was answered {}.",
                failure.status
            ))
            .fix("Sign after the last change of the number.")
            .fix("Where a call is forwarded, add a div token for the new number (RFC 8946).")
            .claim_header(request, "Identity", format!("signed for {signed}"))
            .claim_request_uri(request, "where the call goes")
            .claim_status(response, "refused")
            .refuted("identity-rejected", "the token and the Request-URI name different numbers"),
    )
}

/// The digits of a destination: of a number, or of the user part of a URI (RFC 8225 §5.2.1). `None` if it names no
/// number, which nothing can be compared with.
pub(super) fn number_of(destination: &str) -> Option<String> {
    let uri = Uri::read(destination);
    let number = match uri.scheme.as_str() {
        "sip" | "sips" | "tel" if uri.is_number() => digits(&uri.plain_user()),
        "sip" | "sips" | "tel" => return None,
        _ => digits(destination),
    };
    Some(number)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// True if two strings of digits are one number in different forms.
fn is_same(one: &str, other: &str) -> bool {
    let bare = |number: &str| {
        let number = number.strip_prefix("011").or_else(|| number.strip_prefix("00")).unwrap_or(number);
        number.trim_start_matches('0').to_owned()
    };
    let (one, other) = (bare(one), bare(other));
    let shortest = one.len().min(other.len());
    one == other || (shortest >= SHORTEST_NATIONAL && (one.ends_with(&other) || other.ends_with(&one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_number_or_a_uri() {
        let read = |destination| number_of(destination);
        assert_eq!(read("sip:4989777020@198.51.100.10").as_deref(), Some("4989777020"));
        assert_eq!(
            (read("4989777020").as_deref(), read("tel:+4989777020").as_deref()),
            (Some("4989777020"), Some("4989777020"))
        );
        assert_eq!(read("sip:alice@10.1.2.3"), None);
    }

    #[test]
    fn forms_of_one_number_are_the_same() {
        assert!(is_same("15550100", "0015550100") && is_same("15550101234", "05550101234"));
        assert!(!is_same("15550100", "15550199") && !is_same("1001", "1002"));
    }
}
