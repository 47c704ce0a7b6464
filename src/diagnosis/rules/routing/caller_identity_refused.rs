use crate::call::{Failure, Heard};
use crate::diagnosis::rule::rule;
use crate::diagnosis::stated::blames_any;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::sip::auth::{self, Credentials};

rule! {
    /// The caller's identity was refused: withheld, or not one the caller may show.
    ///
    /// ## What it says
    /// The callee's side wants to know who calls, or does not accept the number that is shown.
    ///
    /// ## Why it happens
    /// The caller withholds the number and the callee refuses anonymous calls; or From or P-Asserted-Identity shows a
    /// number that does not belong to the account, or From another user than the one whose credentials are shown.
    ///
    /// ## Evidence
    /// 433; or 403 whose phrase, Warning or Reason speaks of the caller's number, or of From that does not go with the
    /// user; or 480, 486, 600 or 603 that speaks of an anonymous call, to a request that withholds the number.
    ///
    /// ## How to fix
    /// Show a number that belongs to the account, in the format that the network wants.
    ///
    /// ## When it would be wrong
    /// A 403 that does not speak of the caller, or says that its number is in order, is `refused-by-policy`.
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
    "caller not allowed",
    "caller is not allowed",
    "caller not permitted",
    "caller not accepted",
    " d35",
    " d36",
];
/// How servers say that From shows another user than the one whose credentials came with the request.
const OF_FROM: &[&str] = &[
    "=from",
    "= from",
    "match from",
    "matches from",
    "match the from",
    "match with from",
    "from mismatch",
    "from user mismatch",
    "from username",
    "from header",
    "from-header",
    "from uri",
    "from-uri",
    "use from",
    "from=",
    "spoofed from",
];

/// True if a refusal speaks of the caller's number.
pub(in crate::diagnosis::rules) fn speaks_of_caller(case: &Case<'_>, response: &Heard) -> bool {
    // The calling line identity (TS 22.081 §1), and the asserted one.
    let of_line =
        || case.words(response).lines().any(|line| is_word(line, &["cli", "clid"]) && blames_any(line, &["cli"]));
    of_line() || case.blames_any(response, WORDS) || names_from(case, response) || speaks_of_asserted(case, response)
}

/// True if a refusal says that From does not go with the account.
fn names_from(case: &Case<'_>, response: &Heard) -> bool {
    let request = || case.call.request_of(case.call.transaction(response.transaction));
    let names_user = || case.blames_any(response, OF_USER) && request().and_then(other_user).is_some();
    case.blames_any(response, OF_FROM) || names_user()
}

/// Words of the check whether From shows the user of the credentials, in the scripts of Kamailio and OpenSIPS.
const OF_USER: &[&str] = &["forbidden auth id"];

/// True if a response speaks of the asserted identity (P-Asserted-Identity, RFC 3325 §9.1).
fn speaks_of_asserted(case: &Case<'_>, response: &Heard) -> bool {
    let of_header = |line: &str| is_word(line, &["pai"]) && blames_any(line, &["pai"]);
    case.blames_any(response, &["asserted"]) || case.words(response).lines().any(of_header)
}

/// True if a text, in lower case, holds one of these as a word: they also begin others.
fn is_word(text: &str, known: &[&str]) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| known.contains(&word))
}

/// True if a request asks to withhold the caller's number (RFC 3323).
fn withholds(request: &Heard) -> bool {
    request.message.from().is_some_and(|from| from.uri.to_lowercase().contains("anonymous"))
        || request.message.headers("Privacy").iter().any(|value| value.contains("id"))
}

/// The credentials of a request that are those of another user than the one in From.
fn other_user(request: &Heard) -> Option<&Credentials> {
    let from = request.message.from()?.parsed();
    let from = from.plain_user();
    auth::credentials(&request.message).first().filter(|shown| !from.is_empty() && shown.username != *from)
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
    let refused = Refused::of(case)?;
    let request = refused.request;
    let is_stated = refused.code() == 433;
    let finding = Finding::of(&RULE, if is_stated { Confidence::Proven } else { Confidence::Likely })
        .explains(Some(refused.failure.status))
        .sender(case.role_of_sender(request), request)
        .because(refused.explanation()?);
    let finding = refused.proved(refused.advised(finding));
    let finding = match OF_CALLEE.contains(&refused.code()) {
        true => finding
            .refuted("rejected-by-callee", "its words name the withheld number as the ground")
            .refuted("callee-unreachable", "its words name the withheld number as the ground"),
        false => finding,
    };
    let about = match refused.code() {
        433 | 480 | 486 | 600 | 603 => "the refusal speaks of anonymity",
        _ => "the refusal speaks of the caller's number",
    };
    Some(finding.refuted("refused-by-policy", about))
}

/// A refusal because of the identity of the caller.
struct Refused<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    /// The request, as who first withheld the number, or showed this one, wrote it.
    request: &'a Heard,
    response: &'a Heard,
    is_withheld: bool,
    /// True if it speaks of an asserted identity, and the request carries none.
    lacks_asserted: bool,
    /// The credentials of the request, if it speaks of From, and they are those of another user.
    other: Option<&'a Credentials>,
}

impl<'a> Refused<'a> {
    fn of(case: &'a Case<'a>) -> Option<Refused<'a>> {
        let failure = case.failure_with(&[403, 433, 480, 486, 600, 603])?;
        let (request, response) = (case.request(failure)?, case.response(failure));
        let holds = match case.code(failure) {
            433 => true,
            403 => speaks_of_caller(case, response),
            _ => rejects_anonymous(case, failure),
        };
        if !holds {
            return None;
        }
        let is_withheld = withholds(request);
        let shown = |request: &Heard| request.message.from().map(|from| from.parsed().bare_user().to_owned());
        // A network may assert another one (RFC 3325).
        let asserted = |request: &Heard| request.message.headers("P-Asserted-Identity");
        let is_of_asserted = speaks_of_asserted(case, response);
        let lacks_asserted = is_of_asserted && asserted(request).is_empty() && !request.message.is_cut();
        let request = case.first_with(request, |before| match is_withheld {
            _ if is_of_asserted && asserted(before) != asserted(request) => false,
            true => withholds(before),
            false => shown(before) == shown(request) && !withholds(before),
        });
        let other = other_user(request).filter(|_| names_from(case, response));
        Some(Refused { case, failure, request, response, is_withheld, lacks_asserted, other })
    }

    fn code(&self) -> u16 {
        self.failure.status.get()
    }

    /// True if it asks for an asserted identity that the request does not carry. Whoever withholds the number from the
    /// callee may assert it to a network that it trusts (RFC 3325 §9.3): 433 alone is about the withholding itself.
    fn is_for_want_of_asserted(&self) -> bool {
        self.lacks_asserted && self.code() == 403
    }

    fn explanation(&self) -> Option<String> {
        let from = self.request.message.from()?;
        let what = match (self.is_withheld, self.code()) {
            _ if self.is_for_want_of_asserted() => "the request carries no P-Asserted-Identity".to_owned(),
            (true, _) => "the call withholds the caller's number".to_owned(),
            (false, 433) => format!(
                "it takes the call for anonymous, and here From shows {}. The number may be withheld behind this \
                 point, or what is shown is not taken for one",
                from.uri
            ),
            (false, _) => match self.other {
                Some(Credentials { username, .. }) => {
                    format!("From shows {}, and the credentials are those of \"{username}\"", from.uri)
                }
                None => format!("From shows {}", from.uri),
            },
        };
        Some(format!(
            "{} refused the call because of the caller's identity ({}): {what}{}.",
            self.response.path.source,
            self.code(),
            self.case.said_beside_code(self.response)
        ))
    }

    fn advised(&self, finding: Finding) -> Finding {
        let client = self.request.path.source;
        let finding = match (self.is_withheld, self.code()) {
            _ if self.is_for_want_of_asserted() => finding.fix(format!(
                "Let {client} send P-Asserted-Identity with a number of the account, with country code (E.164){}.",
                if self.is_withheld { ": From may stay anonymous" } else { "" }
            )),
            (true, _) => {
                finding.fix(format!("Let {client} show its number: From without \"anonymous\", no Privacy: id."))
            }
            (false, 433) => finding.fix(format!(
                "Look whether a server behind {client} withholds the number (Privacy, From), and let {client} show \
                 one with country code (E.164) in From and P-Asserted-Identity."
            )),
            (false, _) if self.other.is_some() => finding.fix(format!(
                "Let {client} show the user of its credentials in From, and the number in P-Asserted-Identity; or \
                 allow the difference on {}.",
                self.response.path.source
            )),
            (false, _) => finding.fix(format!(
                "Let {client} show a number that belongs to the account, with country code (E.164), in From and \
                 P-Asserted-Identity."
            )),
        };
        let server = self.response.path.source;
        finding.fix(match self.is_for_want_of_asserted() {
            true => format!("Ask the operator of {server} which numbers the account may assert."),
            false => {
                format!("If the number is right, ask the operator of {server} which numbers the account may show.")
            }
        })
    }

    fn proved(&self, finding: Finding) -> Finding {
        let finding = finding.claim_header(self.request, "From", "who calls, as the request shows it");
        let finding = match self.other {
            Some(shown) => {
                let says = "the credentials are those of another user";
                finding.claim_auth(self.request, (shown.header, &shown.nonce), "username", says)
            }
            None => finding,
        };
        let finding = match self.is_for_want_of_asserted() {
            true => finding.claim_absent(self.request.place, "P-Asserted-Identity", "the request carries none"),
            false => finding,
        };
        finding
            .claim_header(self.request, "P-Asserted-Identity", "the identity that is asserted")
            .claim_header(self.request, "Privacy", "what the caller asks to withhold")
            .claim_status(self.response, "the call is refused")
            .claim_own_words(self.case, self.response)
    }
}
