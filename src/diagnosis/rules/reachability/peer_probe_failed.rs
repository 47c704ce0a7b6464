use std::net::IpAddr;

use crate::call::{Heard, Kind, Outcome, timer};
use crate::capture::Place;
use crate::diagnosis::rule::rule;
use crate::diagnosis::words::{capture_at, length};
use crate::diagnosis::{Case, Confidence, Finding, Role, Severity};

rule! {
    /// The peer does not answer its probes any more.
    ///
    /// ## What it says
    /// OPTIONS that are sent at regular times, to see if the peer is alive, got no final response several times in a
    /// row: the peer, or the way to it, was down.
    ///
    /// ## Why it happens
    /// Its SIP service is down or restarting, its address has changed, or something on the way drops the packets.
    ///
    /// ## Evidence
    /// Two or more OPTIONS in a row from one address to another without a final response, for as long as a request may
    /// wait. Any final response, even 404 or 501, shows that the peer is alive.
    ///
    /// ## How to fix
    /// Look at the peer at the time at which the answers stop. Let calls take another way while it is down.
    ///
    /// ## When it would be wrong
    /// In a capture of one direction; and a single probe may get lost. A peer that sends other SIP between the probes is
    /// up, and only leaves OPTIONS unanswered, or does not get them: then it is a warning.
    ///
    /// ## References
    /// RFC 3261 §11, §17.1.2.2
    "B11" "peer-probe-failed" needs [PROBE], check
}

/// Probes in a row without an answer.
const ENOUGH: usize = 2;

fn check(case: &Case<'_>) -> Option<Finding> {
    let row = Row::of(case)?;
    let finding = Finding::of(&RULE, row.confidence())
        .explains(None)
        .party(Role::Uas, Some(row.request.path.destination))
        .because(row.explanation());
    let finding = row.advised(finding).next_capture(capture_at(row.server(), row.request.path));
    let finding = match row.before {
        _ if row.is_up() => {
            finding.severity(Severity::Warning).titled("The peer is up and leaves its probes unanswered")
        }
        Some(_) => finding,
        None => finding.titled("The peer does not answer its probes"),
    };
    Some(
        row.proved(finding)
            .refuted("probe-noise", "there is no final response")
            .refuted("next-hop-silent", "it would fit each of them alone, and several in a row tell more"),
    )
}

/// Probes in a row to one peer that got no answer.
struct Row<'a> {
    case: &'a Case<'a>,
    /// The probe of this call, one of them.
    request: &'a Heard,
    /// How many they are.
    count: usize,
    first: Place,
    last: Place,
    /// The last answer before them.
    before: Option<Place>,
    /// The next answer after them.
    after: Option<Place>,
}

impl<'a> Row<'a> {
    fn of(case: &'a Case<'a>) -> Option<Row<'a>> {
        let is_open = matches!(case.call.outcome, Outcome::Unanswered | Outcome::Unfinished);
        if case.call.kind != Kind::Options || !is_open {
            return None;
        }
        let request = case.call.request_of(case.deciding()?)?;
        let (client, server) = (request.path.source.ip(), request.path.destination.ip());
        let probes = case.surroundings.neighbours().probes(client, server)?;
        let answer = |(_, key): &(Place, u64)| {
            probes.answered.iter().find(|(_, answered)| answered == key).map(|(place, _)| *place)
        };
        let is_answered = |probe: &(Place, u64)| answer(probe).is_some();
        let row = &probes.sent;
        let here = row.iter().position(|(place, _)| *place == request.place)?;
        let first = row[..here].iter().rposition(is_answered).map_or(0, |at| at + 1);
        let end = row[here..].iter().position(is_answered).map_or(row.len(), |at| here + at);
        let silent = &row[first..end];
        if silent.len() < ENOUGH {
            return None;
        }
        let (began, last) = (silent.first()?.0, silent.last()?.0);
        // An answer to a probe that the capture missed: meanwhile the peer was there.
        let is_of_missed = |key: &u64| row.iter().all(|(_, sent)| sent != key);
        let until = row.get(end).map_or(case.capture.until, |(place, _)| place.time);
        let is_meanwhile = |place: &Place| place.time >= began.time && place.time <= until;
        if probes.answered.iter().any(|(place, key)| is_meanwhile(place) && is_of_missed(key)) {
            return None;
        }
        let before = row.get(..first)?.last().and_then(answer);
        let after = row.get(end).and_then(answer);
        Some(Row { case, request, count: silent.len(), first: began, last, before, after })
    }

    fn server(&self) -> IpAddr {
        self.request.path.destination.ip()
    }

    /// True if the peer sent other SIP to who probes it between the first of them and the last: it is up.
    fn is_up(&self) -> bool {
        let (server, client) = (self.server(), self.request.path.source.ip());
        let back = self.case.surroundings.hop(server, client);
        back.is_some_and(|seen| seen.surely_within(self.first.time, self.last.time))
    }

    fn advised(&self, finding: Finding) -> Finding {
        let server = self.server();
        match self.is_up() {
            true => finding
                .fix(format!("Let {server} answer OPTIONS, with whatever final response, or probe it in another way."))
                .fix(format!("See at {server} whether the probes arrive: a filter may drop OPTIONS alone.")),
            false => finding
                .fix(format!(
                    "Look at {server} at the time at which its answers stop: its service, its address, the way to it."
                ))
                .fix("Let calls take another way while the peer does not answer its probes."),
        }
    }

    /// The absence of answers to the first of them counts: the later ones make it surer.
    fn confidence(&self) -> Confidence {
        let Row { case, request, .. } = *self;
        // Who gets no answer over UDP asks again (RFC 3261 §17.1.2.2). One who does not, while no packet of the peer is
        // seen at all, or messages are cut, had its answer in what this capture does not show.
        let could_see = case.is_visible(self.server(), request.path.source.ip());
        let would_repeat = !request.path.transport.is_reliable();
        if request.repeated == 0 && ((would_repeat && !could_see) || request.message.is_cut()) {
            return Confidence::Unseen;
        }
        match case.absence_of_answer(request) {
            Confidence::Unseen if case.tail(self.first) >= timer::OVERDUE => Confidence::Possible,
            confidence => confidence,
        }
    }

    fn explanation(&self) -> String {
        let gaps = u32::try_from(self.count - 1).unwrap_or(1);
        let period = self.last.time.since(self.first.time).checked_div(gaps);
        format!(
            "{} left {} probes (OPTIONS, about every {}) of {} in a row without a final response. {}{}",
            self.server(),
            self.count,
            period.map(length).unwrap_or_default(),
            self.request.path.source.ip(),
            self.meanwhile(),
            if self.is_up() { " But it is up: between them it sent other SIP there." } else { "" }
        )
    }

    /// What the answers before and after them say.
    fn meanwhile(&self) -> String {
        let (began, tail) = (self.first.time, self.case.tail(self.first));
        match (self.confidence(), self.before, self.after) {
            (Confidence::Unseen, ..) if tail < timer::OVERDUE => format!(
                "The capture ends {} after the first of them: that is too early to say that they were never answered.",
                length(tail)
            ),
            (Confidence::Unseen, ..) => "Its answers may have gone another way than past this capture.".to_owned(),
            (_, Some(before), Some(after)) => {
                format!("From its last answer before to its next one {} passed.", length(after.time.since(before.time)))
            }
            (_, Some(before), None) => format!(
                "Its last answer came {} before the first of them, and none in the {} after that.",
                length(began.since(before.time)),
                length(tail)
            ),
            (_, None, Some(after)) => format!(
                "No answer of it to a probe is in the capture before, and the next one came {} after the first of \
                 them.",
                length(after.time.since(began))
            ),
            (_, None, None) => "No answer of it to a probe is in the capture.".to_owned(),
        }
    }

    fn proved(&self, finding: Finding) -> Finding {
        let missing = format!("any final response from {} to these probes", self.server());
        let mut finding = finding
            .claim_at(self.first, "sip.Method", "OPTIONS", "the first probe without an answer")
            .claim_at(self.last, "sip.Method", "OPTIONS", "the last of them")
            .claim_absent(self.first, missing, "nothing came back");
        for (answer, says) in [(self.before, "its last answer before"), (self.after, "its next answer")] {
            if let Some(answer) = answer {
                finding = finding.claim_at(answer, "sip.CSeq.method", "OPTIONS", says);
            }
        }
        finding
    }
}
