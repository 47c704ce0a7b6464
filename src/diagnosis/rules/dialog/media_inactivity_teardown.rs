use std::time::Duration;

use crate::call::{Heard, Stream};
use crate::catalogue::{Q850Cause, Topic, q850};
use crate::diagnosis::media::{Ear, Talk, claim_packet};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::dialog::ended_by_failure::words_of;
use crate::diagnosis::stated::states_any;
use crate::diagnosis::words::length;
use crate::diagnosis::{Asked, Case, Confidence, Finding, Side};
use crate::sip::{Method, Reason, StatusCode};

rule! {
    /// The call was ended because no media came any more.
    ///
    /// ## What it says
    /// One side got no RTP for the time that its media timeout allows, and hung up by itself. Nobody wanted to.
    ///
    /// ## Why it happens
    /// The media of the other side stopped or never came (`one-way-media`), and the PBX, SBC or gateway has an RTP
    /// timeout; on hold, or with silence suppression, that happens without any fault of the network.
    ///
    /// ## Evidence
    /// A BYE of the side that got no RTP for 30, 60, 120 or 300 s before it, on either leg where a B2BUA ends both; or
    /// a BYE whose Reason speaks of an RTP or media timeout. The cause 44, which Asterisk gives then, makes the time
    /// likely. An IMS device says it with `RELEASE_CAUSE;cause=2` (no RTP or RTCP) or `3` (the bearer was lost).
    ///
    /// ## How to fix
    /// Find out why the media stopped; or raise the timeout (`rtptimeout`, `rtp_timeout`, `media_timeout`), or switch
    /// silence suppression off.
    ///
    /// ## When it would be wrong
    /// A user may hang up after just that time of silence. So the time counts only where the side that hangs up was to
    /// get audio by the offers and answers in force, and nobody was transferred, and where no Reason names another
    /// ground.
    ///
    /// ## References
    /// RFC 3326 §2; RFC 3550 §6.3.5
    "C4" "media-inactivity-teardown" needs [ANSWERED BYE], check
}

/// Timeouts that systems come with.
const TIMEOUTS: [u64; 4] = [30, 60, 120, 300];
/// How exactly they are kept.
const EXACT: Duration = Duration::from_secs(2);
/// How the Reason of a BYE speaks of it, in lower case.
const SAID: [&str; 14] = [
    "rtp timeout",
    "rtp broken",
    "rtp-timeout",
    "rtp inactivity",
    "media timeout",
    "media_timeout",
    "media inactivity",
    "no rtp",
    "media time",
    "no media received",
    "no media from",
    "no incoming media",
    "media connectivity",
    "media connection lost",
];

/// The causes with which a device of an IMS network says that no media came, and that their bearer was lost (3GPP TS
/// 24.229 §7.2A.18, protocol `RELEASE_CAUSE`).
const NO_MEDIA: u32 = 2;
const LOST_BEARER: u32 = 3;

/// True if a Reason says that the call is ended for want of media.
pub(in crate::diagnosis::rules) fn speaks_of_media(reason: &Reason) -> bool {
    let said = reason.text.as_deref().unwrap_or_default().to_lowercase();
    matches!(reason.release_cause(), Some(NO_MEDIA | LOST_BEARER)) || states_any(&said, &SAID)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let bye = case.first_bye()?.request;
    let (_, success) = case.answer()?;
    let said = case.reasons(bye).iter().find(|reason| speaks_of_media(reason));
    let talks = case.talks();
    let silence = Silence::before(case, &talks, bye);
    let names_another = case.reasons(bye).iter().any(names_another_ground);
    let timeout = silence.as_ref().and_then(|silence| silence.timeout).filter(|_| !names_another);
    let is_coded = case.q850(bye) == Some(CHANNEL_UNAVAILABLE);
    let (sure, why) = match (said, timeout) {
        (Some(reason), _) => (Confidence::Proven, says(reason)),
        (None, Some(timeout)) if is_coded => (Confidence::Likely, coded(timeout)),
        (None, Some(timeout)) => {
            (Confidence::Possible, format!("That is a usual RTP timeout ({} s).", timeout.as_secs()))
        }
        (None, None) => return None,
    };
    if let (Some(reason), Some(silence)) = (said, &silence)
        && let Some(stream) = silence.last.filter(|_| silence.lasted < FLOWING)
    {
        return Some(not_received(case, bye, reason, stream));
    }
    let source = bye.path.source;
    let finding = Finding::of(&RULE, sure)
        .explains(success.message.status())
        .drops_the_call()
        .sender(case.side(bye).role(), bye)
        .because(format!(
            "The call was ended by {source}{}. {why}",
            silence.as_ref().map(Silence::told).unwrap_or_default()
        ));
    let finding = match said.is_some_and(lost_bearer) {
        true => finding.fix(
            "Ask the operation of the radio network why the dedicated bearer of the voice was released at that \
             moment: coverage, handover, or too little capacity in the cell.",
        ),
        false => finding
            .fix("Find out why the media to that side stopped: NAT, firewall, hold, silence suppression.")
            .fix(format!("Or raise the RTP timeout of {source}{}.", case.settings(Topic::MediaTimeout, bye))),
    };
    let finding = finding.claim_method(bye, "the end of the call");
    let mut finding = match said {
        Some(reason) => finding.claim_header_with(bye, "Reason", &reason.protocol, "the reason that it gives"),
        None if is_coded => finding.claim_q850(bye, "the cause that it gives"),
        None => finding.claim_header(bye, "Reason", "the reason that it gives"),
    };
    if let Some(stream) = silence.and_then(|silence| silence.last) {
        finding = claim_packet(finding, stream.last, stream, "the last RTP packet to that side");
    }
    Some(finding.refuted("session-timer-expired", "the time fits the silence of the media"))
}

/// Media that came so shortly before the BYE flowed until the end.
const FLOWING: Duration = Duration::from_secs(2);
/// The cause with which Asterisk hangs up when no media came for too long: requested circuit or channel not available.
const CHANNEL_UNAVAILABLE: u32 = 44;

/// What the cause of Asterisk tells beside the time.
fn coded(timeout: Duration) -> String {
    format!(
        "That is a usual RTP timeout ({} s), and the cause {CHANNEL_UNAVAILABLE} of its BYE is the one that Asterisk \
         gives then.",
        timeout.as_secs()
    )
}

/// The Reason says that no media came, and here they flow to that side until the end.
fn not_received(case: &Case<'_>, bye: &Heard, reason: &Reason, stream: &Stream) -> Finding {
    let (source, end) = (bye.path.source, stream.path.destination);
    let finding = Finding::of(&RULE, Confidence::Proven)
        .explains(case.answer().and_then(|(_, success)| success.message.status()))
        .drops_the_call()
        .sender(case.side(bye).role(), bye)
        .because(format!(
            "The call was ended by {source}. {} In this capture RTP went to {end} until {} before that: it was lost \
             behind this point, or it is not what {source} waits for.",
            says(reason),
            length(bye.place.time.since(stream.last.time))
        ))
        .fix(format!("Capture at {}: does the RTP to {end} arrive there? If not, look at the way from here.", end.ip()))
        .fix(format!(
            "If it does, look at what {source} counts: its media process, SRTP that it cannot open, RTCP, another \
             source than it expects."
        ))
        .claim_method(bye, "the end of the call")
        .claim_header_with(bye, "Reason", &reason.protocol, "the reason that it gives");
    claim_packet(finding, stream.last, stream, "the last RTP packet to that side")
        .refuted("session-timer-expired", "its Reason speaks of the media")
}

/// True if a Reason says why the call is ended, and it is not for want of media: by protocol SIP, or in words that are
/// not those of a Q.850 cause (RFC 3326 §2).
fn names_another_ground(reason: &Reason) -> bool {
    let text = words_of(reason);
    let said = text.trim();
    let is_of_cause = || {
        let known = reason.q850().and_then(|cause| q850(u8::try_from(cause).ok()?));
        known.is_none_or(|known| is_name_of(known, said))
    };
    let is_in_own_words = !said.is_empty() && reason.q850().is_some() && !is_of_cause();
    (reason.sip().is_some() || is_in_own_words) && !speaks_of_media(reason)
}

/// True if the text of a Reason is no more than the name of a cause, as software writes it.
fn is_name_of(cause: &Q850Cause, said: &str) -> bool {
    let is_same = |name: &str| name.to_lowercase().replace('_', " ") == said;
    is_same(&cause.name) || cause.names.iter().any(|name| is_same(name)) || said.contains("normal")
}

/// What such a Reason says, as a sentence.
fn says(reason: &Reason) -> String {
    match &reason.text {
        Some(text) => format!("Its Reason says {text:?}."),
        None if lost_bearer(reason) => "Its Reason says that the bearer of the media was lost.".to_owned(),
        None => "Its Reason says that no media came any more.".to_owned(),
    }
}

fn lost_bearer(reason: &Reason) -> bool {
    reason.release_cause() == Some(LOST_BEARER)
}

/// The time before a BYE in which its sender got no RTP.
struct Silence<'t> {
    lasted: Duration,
    /// What it got last.
    last: Option<&'t Stream>,
    /// The usual timeout that this fits.
    timeout: Option<Duration>,
}

impl<'t> Silence<'t> {
    fn before(case: &Case<'_>, talks: &'t [Talk<'_>], bye: &Heard) -> Option<Silence<'t>> {
        let (outer, behind) = talks.split_first()?;
        let (ear, other) = match case.side(bye) {
            Side::Caller => (&outer.caller, &outer.callee),
            _ => (&outer.callee, &outer.caller),
        };
        let silence = Silence::of(case, outer, (ear, other), bye);
        if silence.as_ref().is_some_and(|silence| silence.timeout.is_some()) || case.ended_between().is_none() {
            return silence;
        }
        // A B2BUA that ended both its legs by itself listens on both.
        let host = bye.path.source.ip();
        let listens = |ear: &Ear<'_>| ear.owner.path.source.ip() == host;
        let ears = behind.iter().flat_map(|talk| talk.ears().map(|ears| (talk, ears)));
        let others = ears.filter(|(_, (ear, _))| listens(ear));
        let mut timed_out = others.filter_map(|(talk, ears)| Silence::of(case, talk, ears, bye));
        timed_out.find(|inner| inner.timeout.is_some()).or(silence)
    }

    /// That of one ear.
    fn of(
        case: &Case<'_>,
        talk: &'t Talk<'_>,
        (ear, other): (&'t Ear<'_>, &'t Ear<'_>),
        bye: &Heard,
    ) -> Option<Silence<'t>> {
        let last = ear.last();
        if last.is_none() && other.packets() == 0 || talk.may_bypass(ear) {
            return None;
        }
        let lasted = bye.place.time.since(last.map_or(talk.began, |stream| stream.last.time));
        // Who was to get nothing, on hold, at a fax or as the one who speaks, waits for nothing; and a transfer ends
        // the call.
        let timeout = talk.hears_since(ear).filter(|_| !is_transferred(case)).and_then(|since| {
            let waited = lasted.min(bye.place.time.since(since));
            TIMEOUTS.into_iter().map(Duration::from_secs).find(|timeout| waited.abs_diff(*timeout) <= EXACT)
        });
        Some(Silence { lasted, last, timeout })
    }

    fn told(&self) -> String {
        match self.last {
            Some(_) => format!(", which had got no RTP for {}", length(self.lasted)),
            None => format!(", which had got no RTP at all in {}", length(self.lasted)),
        }
    }
}

/// True if somebody was asked to call another party, and agreed.
fn is_transferred(case: &Case<'_>) -> bool {
    let status_of = |refer: Asked<'_>| case.call.final_status_of(refer.transaction);
    case.asked(&Method::Refer).any(|refer| status_of(refer).is_some_and(StatusCode::is_success))
}
