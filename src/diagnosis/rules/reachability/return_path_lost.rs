use crate::call::Heard;
use crate::diagnosis::case::ENOUGH_COPIES;
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::response_ignored::{
    Ignored, answer_in_vain, capture_at_client, difference, ignored, span,
};
use crate::diagnosis::words::{list, times};
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::StatusCode;

rule! {
    /// The responses get lost on their way back.
    ///
    /// ## What it says
    /// The request arrives and is answered, and its sender goes on repeating it: the responses that pass the capture do
    /// not reach it.
    ///
    /// ## Why it happens
    /// A firewall or NAT between the capture and the sender drops them, a route back is missing, or they go to a port
    /// that is closed.
    ///
    /// ## Evidence
    /// Two or more copies of a request after its first response, and a response that fits it in every field. Of an
    /// INVITE that was answered, two or more copies after the 2xx, and no ACK. Or a 2xx to what a proxy forwarded that
    /// is repeated twice or more, while the proxy neither passes it on nor ends its side with a 2xx, but tells the
    /// caller a failure.
    ///
    /// ## How to fix
    /// Capture at the sender of the request: if the responses do not arrive there, follow the way back.
    ///
    /// ## When it would be wrong
    /// The sender may get them and ignore them for a reason that is not in the fields. So it is possible only, unless two
    /// inputs hold the same datagrams of the way back, and only the one nearer to their sender holds the response.
    ///
    /// ## References
    /// RFC 3261 §17.1.1.2, §18.2.2
    "B9" "return-path-lost" needs [REPEATED], check
}

fn check(case: &Case<'_>) -> Option<Finding> {
    of_request(case).or_else(|| of_answer(case))
}

/// True if the sender of an INVITE got no response to it although one passed this capture: it has nothing to confirm,
/// and to it nobody answered.
pub(in crate::diagnosis::rules) fn holds(case: &Case<'_>) -> bool {
    lost(case).is_some() || answer_unheard(case).is_some()
}

/// The request is repeated after its response.
fn of_request(case: &Case<'_>) -> Option<Finding> {
    let lost = lost(case)?;
    let (request, response) = (lost.request, lost.response);
    let status = response.message.status()?;
    let between = case.lost_between(response);
    let finding = Finding::of(&RULE, between.map_or(Confidence::Possible, |between| between.confidence(case)))
        .explains(case.call.final_status)
        .party(Role::Network, Some(request.path.source));
    let answered = case.call.is_answered();
    let finding = if answered { finding.drops_the_call() } else { finding };
    let mut because = format!(
        "{} answered the {} with {status}, and {} went on repeating it ({} copies in {}).",
        response.path.source,
        request.message.method()?,
        request.path.source,
        request.repeated + 1,
        span(request)
    );
    let finding = match between {
        Some(between) => {
            because = because + " " + &between.says("the response");
            between.told_in(finding, "the response")
        }
        None => {
            because.push_str(&format!(
                " The response fits, so it seems not to arrive: either it gets lost between here and {}, or it is dropped \
                 there.",
                request.path.source
            ));
            finding
                .fix(format!("Capture at {} (command below): do the responses arrive there?", request.path.source.ip()))
                .fix("If not, look at the firewall or NAT between, and at the route back.")
                .next_capture(capture_at_client(request))
        }
    };
    let mut finding = finding
        .claim_method(request, "the request, repeated after its response")
        .claim_status(response, "a response that fits it");
    if answered {
        because.push_str(" So no ACK came either.");
        if let Some(last) = request.repeats.last() {
            finding = finding.claim_at(*last, "sip.Method", "INVITE", "its last copy, after the answer");
        }
        finding = finding
            .refuted("ack-missing", "who still sends the INVITE has not got its answer, and has nothing to confirm");
    }
    Some(
        finding
            .because(because)
            .refuted("next-hop-silent", "responses do come back as far as this capture")
            .refuted("response-ignored", "branch, sent-by, CSeq and From tag of the response are those of the request"),
    )
}

/// A proxy tells its caller a failure, although what it forwarded was answered.
fn of_answer(case: &Case<'_>) -> Option<Finding> {
    let unheard = answer_unheard(case)?;
    let AnswerUnheard { invite, success, told } = unheard;
    let (server, proxy) = (success.path.source, invite.path.source);
    let (answer, status) = (success.message.status()?, told.message.status()?);
    let got = others_that_arrived(case, invite, success);
    let finding = Finding::of(&RULE, Confidence::Possible)
        .explains(case.call.final_status)
        .party(Role::Network, Some(proxy))
        .because(format!(
            "{server} answered the INVITE of {proxy} with {answer}, repeated that {}, and got no ACK, and the caller \
             was told {status} all the same.{} The answer fits the INVITE, {}",
            times(success.repeated),
            unheard.goes_on(),
            unheard.seems(answer, &got)
        ))
        .next_capture(capture_at_client(invite));
    let mut finding = unheard.proved(unheard.advised(finding, answer, &got));
    for (shown, _) in &got {
        finding = finding.claim_status(shown, "so another message of the same sender got into the proxy");
    }
    Some(
        finding
            .claim_status(told, "what the caller was told")
            .refuted("next-hop-silent", format!("{server} answered, with {answer}"))
            .refuted("ring-timeout", "what was forwarded had been answered before the end")
            .refuted("ack-missing", "the answer never got to the caller, who has nothing to confirm")
            .refuted("response-ignored", "branch, sent-by, CSeq and From tag of the answer are those of the INVITE"),
    )
}

/// What shows that other messages of the sender of an answer got into the proxy that seems not to have got this one:
/// its own response to a request that came later, and a provisional response that it passed on before. The latter alone
/// does not tell that the way was still open.
fn others_that_arrived<'a>(case: &Case<'a>, invite: &'a Heard, success: &Heard) -> Vec<(&'a Heard, String)> {
    let (server, proxy) = (success.path.source, invite.path.source);
    let inner = case.call.transaction(invite.transaction);
    let outer = inner.upstream.map(|id| case.call.transaction(id));
    let only = outer.filter(|outer| case.call.downstream_of(outer.id).nth(1).is_none());
    let passed_on = only.and_then(|outer| {
        let came: Vec<&Heard> = case.provisionals(inner).collect();
        case.provisionals(outer).find_map(|told| {
            let status = told.message.status().filter(|status| status.get() > 100)?;
            let is_same = |one: &&&Heard| one.message.status() == Some(status) && one.place < told.place;
            came.iter().find(is_same).map(|_| (told, format!("passed on its {status}")))
        })
    });
    let later =
        case.call.transactions.iter().filter(|known| known.path.source == server && known.path.destination == proxy);
    let answered = later.into_iter().find_map(|known| {
        let request = case.call.request_of(known).filter(|request| request.place > success.place)?;
        let response = case.finals(known).next()?;
        Some((response, format!("answered its {}", request.message.method()?)))
    });
    match answered {
        Some(answered) => passed_on.into_iter().chain([answered]).collect(),
        None => Vec::new(),
    }
}

/// An answer that a proxy seems not to have got.
struct AnswerUnheard<'a> {
    /// The INVITE that the proxy forwarded.
    invite: &'a Heard,
    /// The 2xx to it.
    success: &'a Heard,
    /// What the caller was told in the end.
    told: &'a Heard,
}

impl AnswerUnheard<'_> {
    /// That the INVITE was repeated after its answer, as a sentence of its own.
    fn goes_on(&self) -> String {
        match self.invite.repeats.iter().filter(|copy| **copy > self.success.place).count() {
            0 => String::new(),
            copies => {
                let times = times(copies.try_into().unwrap_or(u32::MAX));
                format!(" It sent the INVITE {times} more after the answer.")
            }
        }
    }

    /// What seems to become of the answer, as the end of a sentence; beside it stands what did arrive.
    fn seems(&self, answer: StatusCode, got: &[(&Heard, String)]) -> String {
        let (server, proxy) = (self.success.path.source, self.invite.path.source);
        match got {
            [] => {
                format!("so it seems not to get into the proxy: it is lost between here and {proxy}, or dropped there.")
            }
            got => format!(
                "and other messages of {server} do get into the proxy, which {}. So the way is open, and only the \
                 {answer} has no effect: {proxy} drops or ignores it, or something just before it does.",
                list(&got.iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>())
            ),
        }
    }

    fn advised(&self, finding: Finding, answer: StatusCode, got: &[(&Heard, String)]) -> Finding {
        let proxy = self.invite.path.source;
        let host = proxy.ip();
        if got.is_empty() {
            return finding
                .fix(format!(
                    "Look at the firewall of {host} itself: a packet filter drops what a capture there still shows."
                ))
                .fix(format!("Capture at {host} (command below): do the responses arrive there?"));
        }
        finding
            .fix(format!(
                "Look in the log of {proxy} for this Call-ID: does it name the {answer}, and a reason to drop it?"
            ))
            .fix(format!(
                "Capture at {host} (command below): if the {answer} does not arrive there while the others do, look \
                 what sets it apart from them, such as its size, and what filters by that. A packet filter on {host} \
                 itself drops what a capture there still shows."
            ))
    }

    fn proved(&self, finding: Finding) -> Finding {
        let success = self.success;
        let finding =
            finding.claim_method(self.invite, "the INVITE that was answered").claim_status(success, "the answer to it");
        match success.repeats.last() {
            Some(last) => {
                let cseq = success.message.header("CSeq").unwrap_or_default().into_owned();
                finding.claim_at(*last, "sip.CSeq", cseq, "its last copy")
            }
            None => finding,
        }
    }
}

/// The 2xx that a proxy did not pass on, and that was repeated until the proxy told its caller a failure.
fn answer_unheard<'a>(case: &Case<'a>) -> Option<AnswerUnheard<'a>> {
    let told = case.response(case.outer_failure()?);
    case.answers().find_map(|(inner, success)| {
        let outer = case.call.transaction(inner.upstream?);
        let passed_on = case.finals(outer).any(|heard| heard.message.status().is_some_and(StatusCode::is_success));
        let repeats = success.repeats.iter().filter(|repeat| **repeat < told.place).count();
        let confirmed = case.acks_to(success).next().is_some();
        let invite = case.call.request_of(inner).filter(|_| !inner.in_dialog)?;
        let fits = difference(invite, success).is_none();
        (!passed_on && !confirmed && fits && repeats >= ENOUGH_COPIES).then_some(AnswerUnheard {
            invite,
            success,
            told,
        })
    })
}

/// The deciding request and a response that fits it, if it was repeated as if no response had come.
fn lost<'a>(case: &Case<'a>) -> Option<Ignored<'a>> {
    let lost = ignored(case).filter(|ignored| ignored.difference.is_none())?;
    if !case.call.is_answered() {
        return Some(lost);
    }
    let response = answer_in_vain(case, lost.request)?;
    Some(Ignored { response, ..lost })
}
