use crate::call::{Failure, Heard, Transaction, timer};
use crate::diagnosis::branches::{TIMEOUTS, Waited};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::reachability::large_request_lost::ONE_PACKET;
use crate::diagnosis::rules::reachability::response_ignored::ignored_behind;
use crate::diagnosis::unlisted::unlisted;
use crate::diagnosis::words::{destination_field, length};
use crate::diagnosis::{Case, Confidence, Finding, Role};

rule! {
    /// A proxy gave up because the next hop behind it did not answer.
    ///
    /// ## What it says
    /// The 408 or 504 was made by the proxy: what it sent on got no answer.
    ///
    /// ## Why it happens
    /// The host behind the proxy is down or unreachable, or its answers do not find the way back. Or its address is a
    /// private one that it gave as its Contact from behind a NAT.
    ///
    /// ## Evidence
    /// 408 on the caller's hop, or 504 of a proxy that had waited, and behind it the same request without a final
    /// response before that. What other targets had answered is told beside it.
    ///
    /// ## How to fix
    /// Look why the next hop is silent, and give the proxy a second destination.
    ///
    /// ## When it would be wrong
    /// After ringing a 408 is a ring timeout, and no fault of the network; unless what rang had ended before the
    /// request was sent on to the one who is silent. A next hop that answers after the proxy gave up is up, and too slow
    /// for it. A request that UDP carried only once tells that the capture lacks
    /// packets of that hop: then it is possible, and no more. Whether the next hop is down, or the way to it or back is
    /// closed, or lets no fragments pass, looks the same from here, unless TCP acknowledged the request.
    ///
    /// ## References
    /// RFC 3261 §16.7, §16.8, §21.4.9, §21.5.5; RFC 4320
    "E6" "timeout-behind-proxy" needs [408 504 SENT_ON], check
}

/// True if a proxy says itself that it waited in vain.
pub(in crate::diagnosis::rules) fn holds(case: &Case<'_>) -> bool {
    check(case).is_some()
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let timeout = Timeout::of(case)?;
    let sure = match timeout.late {
        _ if timeout.waited.is_hidden() => Confidence::Possible,
        // What it sent before that may have been lost on its way back.
        Some(_) => Confidence::Likely,
        None => Confidence::Proven,
    };
    let finding = timeout.told(Finding::of(&RULE, sure).explains(Some(timeout.failure.status)));
    let (proxy, next) = (timeout.response.path.source, timeout.waited.branch.path.destination);
    let finding = timeout
        .proved(finding)
        .refuted("timeout-at-responder", "the request was sent on, and the silence is behind the proxy");
    let finding = timeout.refuting_ring_timeout(finding);
    Some(finding.refuted("destination-unreachable", "no ICMP error came back for it").next_capture(format!(
        "tcpdump -n -s 0 -w next-hop.pcap host {} and port {}   # on {}",
        proxy.ip(),
        next.port(),
        next.ip()
    )))
}

/// A request that a proxy sent on in vain until it gave up.
struct Timeout<'a> {
    case: &'a Case<'a>,
    failure: &'a Failure,
    request: &'a Heard,
    response: &'a Heard,
    /// The last branch without a final response.
    waited: Waited<'a>,
    /// What became of the other branches, as a sentence, and the responses that say so.
    beside: (String, Vec<&'a Heard>),
    /// The first response on that branch, if it came after the proxy had given up.
    late: Option<&'a Heard>,
}

impl<'a> Timeout<'a> {
    fn of(case: &'a Case<'a>) -> Option<Timeout<'a>> {
        let failure = case.failure_with(&TIMEOUTS)?;
        let (request, response) = (case.request(failure)?, case.response(failure));
        let waited = case.waited_for(failure).last()?;
        let (silent, sent) = (waited.branch, waited.sent);
        // What rang and had ended before the request was sent on, as where a forwarding comes after it, is not what
        // timed out.
        let had_ended = |inner: &Transaction| case.finals(inner).next().is_some_and(|end| end.place < sent.place);
        let mut others = case.call.downstream_of(failure.transaction).filter(|inner| inner.id != silent.id);
        let rings_itself = case.code(failure) == 408 && case.ringing(silent.id).is_some();
        if rings_itself || case.ringing(failure.transaction).is_some() && !others.all(had_ended) {
            return None;
        }
        // An ICMP error is an answer: the way there is closed, and no silence. Nor is a response that the proxy could not
        // match with its request.
        if case.was_not_delivered(sent) || ignored_behind(case).is_some() {
            return None;
        }
        // A 504 is a proxy's word for the silence behind it (RFC 3261 §21.5.5): a B2BUA makes it of other things too,
        // and who answers it at once did not wait.
        let call_id = |known: &Transaction| &case.call.leg(known.leg).call_id;
        let is_proxied = call_id(silent) == call_id(case.call.transaction(failure.transaction));
        if case.code(failure) == 504 && (!is_proxied || waited.waited < timer::T1 * 2) {
            return None;
        }
        let beside = case.other_tries(failure, &waited);
        let is_late = |heard: &&Heard| response.place < heard.place;
        let late = case.provisionals(silent).chain(case.finals(silent)).filter(is_late).min_by_key(|heard| heard.place);
        let late = late.filter(|_| waited.is_silent());
        Some(Timeout { case, failure, request, response, waited, beside, late })
    }

    fn explanation(&self) -> String {
        let (waited, code, beside) = (&self.waited, self.failure.status, &self.beside.0);
        let (proxy, next) = (self.response.path.source, waited.branch.path.destination);
        let method = waited.branch.method.name();
        match waited.is_hidden() {
            true => format!(
                "{proxy} sent the {method} on to {next}, and the capture shows one copy of it and no answer in {}. \
                 Over UDP it would have been repeated if nothing had come back, so the capture lacks packets of that \
                 hop. {proxy} made the {code} itself.{beside}",
                length(waited.waited)
            ),
            false => format!(
                "{proxy} sent the {method} on to {next}, {}, and {proxy} made the {code} itself.{beside}{}{}",
                waited.words(),
                self.way_there(),
                self.came_late()
            ),
        }
    }

    /// That the next hop answered after all, as a sentence of its own.
    fn came_late(&self) -> String {
        let Some((late, status)) = self.late.and_then(|late| Some((late, late.message.status()?))) else {
            return String::new();
        };
        format!(
            " {} is up: its first response, {status}, came {} after the {}, and {} after {} had given up.",
            late.path.source,
            length(late.place.time.since(self.waited.sent.place.time)),
            self.waited.branch.method.name(),
            length(late.place.time.since(self.response.place.time)),
            self.response.path.source
        )
    }

    /// The bytes of a request that UDP had to send in fragments.
    fn fragmented(&self) -> Option<usize> {
        let sent = self.waited.sent;
        let size = sent.message.bytes().len();
        (size > ONE_PACKET && !sent.path.transport.is_reliable() && self.waited.is_silent()).then_some(size)
    }

    /// What is known of whether it arrived, as a sentence of its own.
    fn way_there(&self) -> String {
        let (next, method) = (self.waited.branch.path.destination, &self.waited.branch.method);
        match self.fragmented() {
            _ if self.late.is_some() => String::new(),
            _ if self.case.was_received(self.waited.sent) => {
                format!(" TCP of {next} acknowledged the {method}, so it did arrive there.")
            }
            Some(size) => format!(
                " The {method} has {size} bytes, which UDP sends in fragments: a filter that drops fragments looks the \
                 same from here as a host that is down."
            ),
            None => String::new(),
        }
    }

    /// The finding with what happened, and what to do.
    fn told(&self, finding: Finding) -> Finding {
        let (proxy, next) = (self.response.path.source, self.waited.branch.path.destination);
        if let Some(contact) = self.case.private_contact(self.waited.sent) {
            return contact.told_in(finding, &self.explanation(), (Role::Proxy, proxy));
        }
        if let Some(late) = self.late {
            return self.told_of_slow(finding.because(self.explanation()), late);
        }
        let was_received = self.case.was_received(self.waited.sent);
        let role = if was_received { Role::Uas } else { Role::Network };
        let finding = finding.party(role, Some(next)).because(self.explanation());
        let finding = match was_received {
            true => finding.fix(format!(
                "Look at the SIP service of {next}: its host is reached and took the bytes, and nothing answers them."
            )),
            false => {
                finding.fix(format!("Look whether {next} is up and listens, and whether {} can reach it.", proxy.ip()))
            }
        };
        let finding = match self.fragmented() {
            Some(_) => finding.fix(format!(
                "Send {next} a small request, such as OPTIONS: if that is answered, let IP fragments pass, or use TCP \
                 for large requests (RFC 3261 §18.1.1)."
            )),
            None => finding,
        };
        let finding = finding.fix(match self.beside.1.is_empty() {
            true => format!(
                "Give {proxy} a second destination for this {}, and let it notice by OPTIONS that {next} is \
                     silent.",
                self.case.noun()
            ),
            false => {
                format!("Let {proxy} notice by OPTIONS that {next} is silent, and not try it as long as it is.")
            }
        });
        match unlisted(self.case, self.waited.sent) {
            Some(device) => device.told(finding, proxy),
            None => finding,
        }
    }

    /// What to do where the next hop answers, and the proxy had not waited for that.
    fn told_of_slow(&self, finding: Finding, late: &Heard) -> Finding {
        let (proxy, next) = (self.response.path.source, self.waited.branch.path.destination);
        let took = length(late.place.time.since(self.waited.sent.place.time));
        let finding = finding
            .titled("The next hop answered only after the proxy had given up")
            .party(Role::Uas, Some(next))
            .fix(format!(
                "Look why {next} needs {took} for its first response: what takes longer than 200 ms wants a 100 first \
                 (RFC 3261 §17.2.1)."
            ));
        match self.waited.waited < timer::GIVE_UP {
            true => finding.fix(format!(
                "Let {proxy} wait longer than {}: RFC 3261 gives a request 32 s (64·T1) for its answer.",
                length(self.waited.waited)
            )),
            false => finding,
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let (sent, next) = (self.waited.sent, self.waited.branch.path.destination.ip());
        let mut finding = finding.claim_method(self.request, "the caller's request").claim(
            sent,
            destination_field(next),
            next.to_string(),
            "the proxy sends it on to this host",
        );
        for other in &self.beside.1 {
            finding = finding.claim_status(other, "another try of the proxy failed");
        }
        if let Some(last) = self.waited.last_copy {
            let says = format!("the last copy of it before the {}", self.failure.status);
            finding = finding.claim_at(last, "sip.Method", self.waited.branch.method.name(), says);
        }
        let finding = finding
            .claim_absent(
                sent.place,
                self.waited.missing(),
                match self.late {
                    Some(_) => "the next hop has not answered by then",
                    None => "the next hop does not answer",
                },
            )
            .claim_status(self.response, "the proxy gives up");
        match self.late {
            Some(late) => finding.claim_status(late, "the first response, too late"),
            None => finding,
        }
    }

    fn refuting_ring_timeout(&self, finding: Finding) -> Finding {
        let rang = self.case.ringing(self.failure.transaction).is_some();
        match (rang, self.case.ringing(self.waited.branch.id)) {
            (_, Some(_)) => finding,
            (true, None) => finding
                .refuted("ring-timeout", "what rang had ended before the request was sent on to the one who is silent"),
            (false, None) => finding.refuted("ring-timeout", "nothing rang"),
        }
    }
}
