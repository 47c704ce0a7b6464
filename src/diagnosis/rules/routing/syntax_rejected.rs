use crate::call::{Asked, Failure, Heard, Kind};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::targets::address;
use crate::diagnosis::{Case, Confidence, Finding};
use crate::oddity::Oddity;
use crate::sip::uri_grammar::first_fault;
use crate::sip::{Method, NameAddr};

rule! {
    /// The server found the request malformed.
    ///
    /// ## What it says
    /// The request breaks the grammar, or uses a URI that the server cannot read.
    ///
    /// ## Why it happens
    /// A fault of the sender, or a box on the path that rewrites messages.
    ///
    /// ## Evidence
    /// 400 or 416; what the server says of the place, and what this program finds broken in the same request: also a
    /// Contact that names port 0 or no host at all, to which nobody can send. A header that the server misses and that
    /// the request has at this point is named. A registrar that names the CSeq number in P-Registrar-Error got one that
    /// is not higher than that of an earlier REGISTER.
    ///
    /// ## How to fix
    /// Correct the header that is named, at the sender or at the box that rewrote it.
    ///
    /// ## When it would be wrong
    /// Some servers send 400 for requests that they dislike for other reasons; then nothing is broken in the request.
    /// A 416 to a sip: URI is the fault of who sends it, or of a hop behind it that got another URI.
    ///
    /// ## References
    /// RFC 3261 §10.3, §21.4.1, §21.4.14, §25.1
    "E17" "syntax-rejected" needs [400 416], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let rejected = Rejected::of(case)?;
    let finding = rejected
        .blamed(Finding::of(&RULE, rejected.confidence()))
        .explains(Some(rejected.failure.status))
        .because(rejected.explanation());
    let finding = rejected.proved(rejected.advised(finding));
    Some(finding.refuted("server-fault", format!("{} blames the request", rejected.failure.status)))
}

/// A request that was refused as malformed, and what is wrong with it.
struct Rejected<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    /// The request, as who wrote it sent it: who passed on what another wrote did not write it.
    request: &'a Heard,
    response: &'a Heard,
    uri: String,
    /// The fault that the refusal names.
    named: Option<Fault>,
    /// Every fault that is found.
    found: Vec<String>,
    /// The header that the refusal says is missing, where the request has it.
    missed: Option<&'static str>,
    /// The REGISTER whose number is not the higher one that it has to be, by the registrar's own words.
    not_raised: Option<NotRaised>,
}

impl<'a> Rejected<'a> {
    fn of(case: &'a Case<'a>) -> Option<Rejected<'a>> {
        let failure = case.failure_with(&[400, 416])?;
        let (request, response) = (case.request(failure)?, case.response(failure));
        if matches!(case.call.kind, Kind::Options) {
            return None;
        }
        let is_scheme = failure.status.get() == 416;
        let named = named_fault(case, request, response);
        let found = found(request, named.as_ref());
        let request = case.first_with(request, |before| match (&named, is_scheme) {
            (_, true) => before.message.request_uri() == request.message.request_uri(),
            (Some(fault), _) => before.message.headers(fault.header).contains(&fault.value),
            (None, _) if !found.is_empty() => self::found(before, None) == found,
            // Nothing is found broken: then it is about what the refusal names.
            (None, _) => headers_named(case, response).any(|header| {
                let values = request.message.headers(header);
                !values.is_empty() && before.message.headers(header) == values
            }),
        });
        let uri = request.message.request_uri()?.into_owned();
        let missed = headers_missed(case, response).find(|header| request.message.header(header).is_some());
        let not_raised = NotRaised::of(case, request, response);
        Some(Rejected { case, failure, request, response, uri, named, found, missed, not_raised })
    }

    /// True if the scheme of the Request-URI was refused, and not the syntax of the request.
    fn is_of_scheme(&self) -> bool {
        self.failure.status.get() == 416
    }

    /// Every element understands sip: (RFC 3261 §19.1).
    fn is_understood(&self) -> bool {
        self.is_of_scheme() && self.uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"))
    }

    fn confidence(&self) -> Confidence {
        match (self.is_of_scheme(), self.found.is_empty()) {
            (true, _) if self.is_understood() => Confidence::Likely,
            (true, _) => Confidence::Proven,
            (false, _) if self.not_raised.is_some() => Confidence::Likely,
            (false, false) => Confidence::Likely,
            (false, true) => Confidence::Possible,
        }
    }

    fn blamed(&self, finding: Finding) -> Finding {
        match self.is_understood() {
            true => finding.sender(self.case.role_of_responder(self.response), self.response),
            false => finding.sender(self.case.role_of_sender(self.request), self.request),
        }
    }

    fn explanation(&self) -> String {
        let (client, server, uri) = (self.request.path.source, self.response.path.source, &self.uri);
        let said = self.case.said_beside_code(self.response);
        if let Some(low) = &self.not_raised {
            return format!(
                "{server} refused the REGISTER of {client} with 400, and its {REGISTRAR_ERROR} names the CSeq number. \
                 {}",
                low.words()
            );
        }
        match (self.is_of_scheme(), self.found.is_empty()) {
            (true, _) if self.is_understood() => format!(
                "{server} says that it cannot use the scheme of the Request-URI (416){said}. But that is {uri} here, \
                 and everybody has to understand sip: (RFC 3261 §19.1): {server} is wrong, or a hop behind it got \
                 another URI."
            ),
            (true, _) => format!("{server} cannot use the scheme of the Request-URI {uri} (416){said}."),
            (false, false) => format!(
                "{server} found the request of {client} malformed (400){said}. In it {}.",
                self.found.join("; ")
            ),
            (false, true) => {
                format!("{server} found the request of {client} malformed (400){said}. {}", self.nothing_found())
            }
        }
    }

    /// That the request looks well, and what it holds of what is missed.
    fn nothing_found(&self) -> String {
        match self.missed {
            Some(header) => format!(
                "At this point the request has a {header} header, and this program finds nothing broken in it: \
                 perhaps something behind this point takes it out, or who refuses the request cannot read it."
            ),
            None => "This program finds nothing broken in it.".to_owned(),
        }
    }

    fn advised(&self, finding: Finding) -> Finding {
        let (client, server, uri) = (self.request.path.source, self.response.path.source, &self.uri);
        if self.is_understood() {
            return finding.fix(format!(
                "Look at {server} for what it makes of the number or name in {uri}, and whom it sends that to."
            ));
        }
        if self.is_of_scheme() {
            return finding.fix(format!(
                "Let {client} send a sip: URI instead of {uri}, or let a server before {server} rewrite it."
            ));
        }
        if self.not_raised.is_some() {
            return finding
                .fix(format!(
                    "Let {client} raise the CSeq number with each REGISTER of one Call-ID, and begin with a new \
                     Call-ID after a restart (RFC 3261 §10.2)."
                ))
                .fix(format!(
                    "If two devices register with one Call-ID, as clones of one configuration do, give each its own. \
                     Until then, take the binding away on {server}."
                ));
        }
        finding
            .fix(match (self.found.is_empty(), self.missed) {
                (true, Some(header)) => format!("See at {server} whether the request arrives with its {header}."),
                (true, None) => {
                    format!("Compare the request of {client} with one that {server} accepts, header by header.")
                }
                (false, _) => format!("Correct what {client} writes: {}.", self.found.join("; ")),
            })
            .fix(match (self.found.is_empty(), self.missed) {
                (true, Some(_)) => {
                    "If not, look for a box on the path that rewrites SIP (ALG), and switch that off.".to_owned()
                }
                _ => format!(
                    "If {client} did not write it so, look for a box on the path that rewrites SIP (ALG), and switch \
                     that off."
                ),
            })
    }

    fn proved(&self, finding: Finding) -> Finding {
        let request = self.request;
        let mut finding = finding
            .claim_request_uri(request, "the request")
            .claim_status(self.response, "refused as malformed")
            .claim_own_words(self.case, self.response);
        if let Some(Fault { header, value, .. }) = &self.named {
            finding = finding.claim_header_with(request, header, value, "what is wrong in it");
        }
        if let Some(header) = self.missed.filter(|_| self.found.is_empty()) {
            finding = finding.claim_header(request, header, "what is said to be missing");
        }
        if let Some(low) = &self.not_raised {
            return low.proved(finding, request, self.response);
        }
        if of_star(request).is_none() {
            return finding;
        }
        finding.claim_header(request, "Contact", "every registration is to end").claim_header(
            request,
            "Expires",
            "for which it must be 0",
        )
    }
}

/// The header in which Kamailio and OpenSIPS say what is wrong with a REGISTER.
const REGISTRAR_ERROR: &str = "P-Registrar-Error";

/// A REGISTER whose CSeq number is not higher than that of the one before with its Call-ID (RFC 3261 §10.3, step 7).
struct NotRaised {
    number: u32,
    /// The earlier one with the higher number, if the capture holds it.
    earlier: Option<(Place, u32)>,
}

impl NotRaised {
    fn of(case: &Case<'_>, request: &Heard, response: &Heard) -> Option<NotRaised> {
        let named = response.message.header(REGISTRAR_ERROR).filter(|_| case.call.kind == Kind::Registration)?;
        let number = request.message.cseq().filter(|_| named.to_ascii_lowercase().contains("cseq"))?.number;
        let user = request.message.to()?.parsed();
        let known = case.surroundings.registrations().of(user.bare_user(), &user.host);
        let own = known.and_then(|known| known.asked.iter().find(|asked| asked.place == request.place));
        let is_before = |asked: &&Asked| {
            let is_same_device = own.is_some_and(|own| own.device == asked.device);
            is_same_device && asked.place < request.place && asked.cseq >= number
        };
        let earlier = known.and_then(|known| known.asked.iter().rfind(is_before));
        Some(NotRaised { number, earlier: earlier.map(|asked| (asked.place, asked.cseq)) })
    }

    fn words(&self) -> String {
        match self.earlier {
            Some((_, before)) => format!(
                "That is {}, and the device had registered with {before} before: a registrar that keeps a binding of \
                 this Call-ID takes only a higher one.",
                self.number
            ),
            None => format!(
                "That is {}: the registrar keeps a binding of this Call-ID from an earlier REGISTER, and takes only a \
                 higher number. That one is not in this capture.",
                self.number
            ),
        }
    }

    fn proved(&self, finding: Finding, request: &Heard, response: &Heard) -> Finding {
        let finding = finding.claim_header(response, REGISTRAR_ERROR, "the registrar names the ground").claim(
            request,
            "sip.CSeq.seq",
            self.number.to_string(),
            "the number that it refuses",
        );
        match self.earlier {
            Some((place, before)) => {
                finding.claim_at(place, "sip.CSeq.seq", before.to_string(), "the number before that")
            }
            None => finding,
        }
    }
}

/// What is found broken in a request, at most three things, the one that the refusal names first.
fn found(request: &Heard, named: Option<&Fault>) -> Vec<String> {
    let is_of_sender =
        |oddity: &&Oddity| !matches!(oddity, Oddity::MessageCut { .. } | Oddity::BytesBeforeMessage { .. });
    let odd = request.message.oddities().iter().filter(is_of_sender).map(Oddity::says);
    let contact = if named.is_none() { dead_end(request, "Contact") } else { None };
    let faults = named.map(Fault::says).into_iter().chain(odd).chain(of_star(request)).chain(without_contact(request));
    faults.chain(contact.as_ref().map(Fault::says)).take(3).collect()
}

/// The requests that open a dialog, which a Contact must be in (RFC 3261 §8.1.1.8).
const WITH_CONTACT: [Method; 3] = [Method::Invite, Method::Subscribe, Method::Refer];

/// That a request lacks the Contact that it must have.
fn without_contact(request: &Heard) -> Option<String> {
    let method = request.message.method().filter(|method| WITH_CONTACT.contains(method))?;
    let lacks = request.message.header("Contact").is_none() && !request.message.is_cut();
    lacks.then(|| format!("there is no Contact header, which every {method} must have"))
}

/// What is wrong with `Contact: *`: it asks that every registration ends, and must not stand beside another Contact, or
/// without `Expires: 0` (RFC 3261 §10.2.2); a registrar has to refuse it then (§10.3, step 6).
fn of_star(request: &Heard) -> Option<String> {
    let contacts = request.message.headers("Contact");
    let is_star = |contact: &_| AsRef::<str>::as_ref(contact).trim() == "*";
    if request.message.method() != Some(&Method::Register) || request.message.is_cut() || !contacts.iter().any(is_star)
    {
        return None;
    }
    let expires = request.message.header("Expires").map(|value| value.trim().to_owned());
    match expires {
        _ if contacts.len() > 1 => {
            Some("Contact holds \"*\" beside another address, and may hold it only alone".to_owned())
        }
        None => Some("Contact is \"*\", which needs Expires: 0 beside it, and there is no Expires".to_owned()),
        Some(seconds) if seconds.parse() != Ok(0_u32) => {
            Some(format!("Contact is \"*\", which needs Expires: 0 beside it, and Expires is {seconds}"))
        }
        Some(_) => None,
    }
}

/// Headers that hold addresses.
const OF_ADDRESSES: [&str; 8] =
    ["Contact", "From", "To", "Route", "Record-Route", "Refer-To", "Referred-By", "P-Asserted-Identity"];

/// What is wrong with an address of the request.
struct Fault {
    /// The header that holds it.
    header: &'static str,
    /// The address with its parameters.
    value: String,
    /// What is wrong, in words.
    why: String,
}

impl Fault {
    fn says(&self) -> String {
        format!("the {} header ({:?}) {}", self.header, self.value, self.why)
    }
}

/// Headers that say where requests have to go.
const OF_TARGETS: [&str; 3] = ["Contact", "Route", "Record-Route"];

/// The first value of a header whose URI names port 0 or no host at all: nobody can send there.
fn dead_end(request: &Heard, header: &'static str) -> Option<Fault> {
    if !OF_TARGETS.contains(&header) || request.message.is_cut() {
        return None;
    }
    request.message.headers(header).into_iter().find_map(|value| {
        let uri = NameAddr::read(&value).parsed();
        let is_nowhere = address(&uri).is_some_and(|host| host.is_unspecified());
        let why = match uri.port {
            Some(0) => "names port 0, to which nobody can send".to_owned(),
            _ if is_nowhere => format!("names {}, which is the address of no host", uri.host),
            _ => return None,
        };
        Some(Fault { header, value, why })
    })
}

/// The headers with addresses that a refusal names.
fn headers_named(case: &Case<'_>, response: &Heard) -> impl Iterator<Item = &'static str> {
    let said = case.words(response).to_owned();
    OF_ADDRESSES.into_iter().filter(move |header| {
        said.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word.eq_ignore_ascii_case(header))
    })
}

/// What is wrong with the header that the refusal names.
fn named_fault(case: &Case<'_>, request: &Heard, response: &Heard) -> Option<Fault> {
    let of_grammar = |header| {
        request.message.headers(header).into_iter().find_map(|value| {
            let why = format!("breaks its grammar: {}", first_fault(&value)?);
            Some(Fault { header, value, why })
        })
    };
    headers_named(case, response).find_map(|header| of_grammar(header).or_else(|| dead_end(request, header)))
}

/// Words of a refusal that misses something.
const MISSING: [&str; 5] = ["missing", "lacks", "lacking", "absent", "without"];

/// The headers with addresses of which a refusal says that they are missing.
fn headers_missed(case: &Case<'_>, response: &Heard) -> impl Iterator<Item = &'static str> {
    let said = case.words(response).to_ascii_lowercase();
    let is_miss = said.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| MISSING.contains(&word));
    headers_named(case, response).filter(move |_| is_miss)
}
