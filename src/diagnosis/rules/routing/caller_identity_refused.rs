use crate::call::{Failure, Heard};
use crate::diagnosis::rule::rule;
use crate::diagnosis::{Case, Confidence, Finding};

rule! {
    /// The caller's identity was refused: withheld, or not one the caller may show.
    ///
    /// ## What it says
    /// The callee's side wants to know who calls, or does not accept the number that is shown.
    ///
    /// ## Why it happens
    /// The caller withholds the number and the callee refuses anonymous calls; or From or P-Asserted-Identity shows a
    /// number that does not belong to the account.
    ///
    /// ## Evidence
    /// 433; or 403 whose phrase, Warning or Reason speaks of the caller's number; or 480, 486, 600 or 603 that speaks
    /// of an anonymous call, to a request that withholds the number.
    ///
    /// ## How to fix
    /// Show a number that belongs to the account, in the format that the network wants.
    ///
    /// ## When it would be wrong
    /// A 403 that does not speak of the caller is `refused-by-policy`.
    ///
    /// ## References
    /// RFC 5079 §5; RFC 3325 §9.1; RFC 3323
    "E18" "caller-identity-refused" needs [433] [403 480 486 600 603 WORDS], check
}

/// Words that speak of the caller's number.
const WORDS: &[&str] = &[
    "caller id",
    "caller-id",
    "callerid",
    "caller identity",
    "caller number",
    "calling number",
    "from number",
    "invalid from",
    "origination number",
    "asserted",
    "anonym",
    " d35",
    " d36",
];

/// True if a refusal speaks of the caller's number.
pub(super) fn speaks_of_caller(case: &Case<'_>, response: &Heard) -> bool {
    // The calling line identity (TS 22.081 §1), as a word: it also begins others.
    let words = case.words(response);
    let names_line =
        words.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| matches!(word, "cli" | "clid"));
    names_line || case.says_any(response, WORDS)
}

/// True if a request asks to withhold the caller's number (RFC 3323).
fn withholds(request: &Heard) -> bool {
    request.message.from().is_some_and(|from| from.uri.to_lowercase().contains("anonymous"))
        || request.message.header("Privacy").is_some_and(|value| value.contains("id"))
}

/// Codes that else speak of the callee.
const OF_CALLEE: [u16; 4] = [480, 486, 600, 603];

/// True if a response that else speaks of the callee refuses a call because it is anonymous, by its own words.
pub(super) fn rejects_anonymous(case: &Case<'_>, failure: &Failure) -> bool {
    // Few refusals say anything at all, and From takes long to read.
    OF_CALLEE.contains(&failure.status.get())
        && case.says_any(case.response(failure), &["anonym"])
        && case.request(failure).is_some_and(withholds)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.failure_with(&[403, 433, 480, 486, 600, 603])?;
    let (request, response) = (case.request(failure)?, case.response(failure));
    let code = failure.status.get();
    let holds = match code {
        433 => true,
        403 => speaks_of_caller(case, response),
        _ => rejects_anonymous(case, failure),
    };
    if !holds {
        return None;
    }
    let is_withheld = withholds(request);
    let shown = |request: &Heard| request.message.from().map(|from| from.parsed().bare_user().to_owned());
    // Who first withheld the number, or showed this one, wrote it. A network may assert another one (RFC 3325).
    let asserted = |request: &Heard| request.message.headers("P-Asserted-Identity");
    let is_of_asserted = case.says_any(response, &["asserted"]);
    let request = case.first_with(request, |before| match is_withheld {
        true => withholds(before),
        false if is_of_asserted && asserted(before) != asserted(request) => false,
        false => shown(before) == shown(request) && !withholds(before),
    });
    let from = request.message.from()?;
    let asserted = request.message.header("P-Asserted-Identity").map(|value| value.into_owned());
    let quotation = case.quotation(response).map(|words| format!("; {words}")).unwrap_or_default();
    let client = request.path.source;
    let what = match (is_withheld, code) {
        (true, _) => "the call withholds the caller's number".to_owned(),
        (false, 433) => format!(
            "it takes the call for anonymous, and here From shows {}. The number may be withheld behind this point, \
             or what is shown is not taken for one",
            from.uri
        ),
        (false, _) => format!("From shows {}", from.uri),
    };
    let because = format!(
        "{} refused the call because of the caller's identity ({code}): {what}{quotation}.",
        response.path.source
    );
    let mut finding = Finding::of(&RULE, if code == 433 { Confidence::Proven } else { Confidence::Likely })
        .explains(Some(failure.status))
        .sender(case.role_of_sender(request), request)
        .because(because);
    finding = match (is_withheld, code) {
        (true, _) => finding.fix(format!("Let {client} show its number: From without \"anonymous\", no Privacy: id.")),
        (false, 433) => finding.fix(format!(
            "Look whether a server behind {client} withholds the number (Privacy, From), and let {client} show one \
             with country code (E.164) in From and P-Asserted-Identity."
        )),
        (false, _) => finding.fix(format!(
            "Let {client} show a number that belongs to the account, with country code (E.164), in From and \
             P-Asserted-Identity."
        )),
    };
    let about = match code {
        433 | 480 | 486 | 600 | 603 => "the refusal speaks of anonymity",
        _ => "the refusal speaks of the caller's number",
    };
    finding = finding
        .fix(format!(
            "If the number is right, ask the operator of {} which numbers the account may show.",
            response.path.source
        ))
        .claim_header(request, "From", "who calls, as the request shows it");
    if asserted.is_some() {
        finding = finding.claim_header(request, "P-Asserted-Identity", "the identity that is asserted");
    }
    if OF_CALLEE.contains(&code) {
        finding = finding
            .refuted("rejected-by-callee", "its words name the withheld number as the ground")
            .refuted("callee-unreachable", "its words name the withheld number as the ground");
    }
    Some(
        finding
            .claim_header(request, "Privacy", "what the caller asks to withhold")
            .claim_status(response, "the call is refused")
            .claim_own_words(case, response)
            .refuted("refused-by-policy", about),
    )
}
