//! What a text states, and what it only speaks of, or denies.
//!
//! Is given what a response says in words, in lower case; tells whether it states one of some words, and which kind of
//! limit it says to be reached. A statement ends where the next one begins (`;`, a comma, `but`), and what is denied
//! stands on one side of its word only: "not overloaded", "limit not exceeded". Deliberately does not know what a rule
//! makes of it.

use memchr::memmem;

use crate::catalogue::{Pairs, says_words};

/// What stands between two statements.
const BETWEEN: &[&str] = &["\n", ";", ", ", ". ", " - ", " – ", "(", ")", "[", "]", " but ", " although ", " however "];

/// Words that deny what follows, or what went before.
const DENIALS: &[&str] =
    &["not", "no", "never", "without", "non", "isn't", "wasn't", "aren't", "hasn't", "haven't", "neither", "nor"];
/// Words that say nothing of what is denied.
const FILLERS: &[&str] = &["a", "an", "the", "any", "yet", "currently", "been", "being", "really", "your", "our"];
/// The same, that say where.
const PLACES: &[&str] = &["in", "at", "on", "under"];
/// The same, by which a denial speaks of the ground.
const OF_GROUND: &[&str] = &["because", "of", "due", "to", "about", "related", "for"];

/// What lacks where it is denied: no capacity is what a server that is full says.
const RESOURCES: &[&str] = &["capacity", "channel", "channels", "license", "licence", "resource", "resources", "port"];
/// What is denied of somebody, by a word further on: "no concurrent calls allowed" states that they are limited.
const OF_WHAT_IS_LET: &[&str] =
    &["allowed", "permitted", "accepted", "available", "left", "possible", "supported", "free", "remaining"];

/// What follows a word that holds.
const HOLDS: &[&str] = &[
    "reached",
    "exceeded",
    "exceeds",
    "hit",
    "full",
    "active",
    "exhausted",
    "used",
    "invalid",
    "incorrect",
    "mismatch",
    "refused",
    "rejected",
    "denied",
    "barred",
    "blocked",
    "missing",
    "wrong",
    "failed",
    "required",
    "unknown",
];
/// What follows a word that a denial takes back: "limit not exceeded", "maintenance is not the reason".
const TAKEN_BACK: &[&str] = &[
    "reached",
    "exceeded",
    "exceeding",
    "hit",
    "met",
    "active",
    "running",
    "configured",
    "enabled",
    "detected",
    "scheduled",
    "planned",
    "in",
    "full",
    "due",
    "reason",
    "cause",
    "ground",
    "problem",
    "issue",
    "exhausted",
    "applicable",
];
/// What follows a state that is over, or is not there.
const OVER: &[&str] = &["ended", "ends", "finished", "completed", "lifted", "cleared", "resolved", "false", "disabled"];
/// What follows a thing that is in order.
const IN_ORDER: &[&str] = &["ok", "okay", "fine", "good", "valid", "correct", "accepted", "verified", "passed"];
/// What is in order no more than a state that is denied at the end of its statement: "maintenance: no".
const AT_THE_END: &[&str] = &["no", "none", "off", "over", "ok", "okay", "inactive"];
/// What is the trouble behind "no rtp", and turns it into its contrary.
const TROUBLES: &[&str] = &["timeout", "inactivity", "problem", "problems", "error", "errors", "loss", "issue"];
/// Values by which a state is set: "maintenance=true".
const SET: &[&str] = &["1", "true", "yes", "on", "active"];

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Something that is so or not: an overload, a limit, maintenance.
    State,
    /// Something that may be in order or not: a number, a password. That it lacks is no denial.
    Thing,
}

/// True if a text, in lower case, states that something is so: one of these words, and not its denial.
pub(crate) fn states_any(text: &str, words: &[&str]) -> bool {
    stated(text, words, Meaning::State).is_some()
}

/// The same of a bound that is told as a figure beside others, too: "max duration 7200 s" is not reached yet.
pub(crate) fn states_reached(text: &str, words: &[&str]) -> bool {
    let pairs = Pairs::of(text);
    words.iter().filter(|word| pairs.may_hold(word)).any(|word| {
        let places = memmem::find_iter(text.as_bytes(), word.as_bytes());
        let is_figure = |one: &Statement<'_>| {
            let begins = one.after.first().is_some_and(|next| next.starts_with(|letter: char| letter.is_ascii_digit()));
            begins && !one.after.iter().any(|word| HOLDS.contains(word))
        };
        let mut said = places.filter_map(|at| Statement::at(text, at, word));
        said.any(|one| !one.is_denied(Meaning::State) && !is_figure(&one))
    })
}

/// True if a text, in lower case, finds fault with one of these things: it names it, and does not clear it.
pub(crate) fn blames_any(text: &str, words: &[&str]) -> bool {
    stated(text, words, Meaning::Thing).is_some()
}

/// True if a text, in lower case, states one of these of one of these things: both stand in one statement, as words.
pub(crate) fn states_of(text: &str, things: &[&str], states: &[&str]) -> bool {
    let is_of_thing = |whole: &str| things.iter().any(|thing| says_words(whole, thing));
    let is_word = |state: &&str| says_words(text, state);
    states.iter().filter(|state| is_word(state)).any(|state| {
        let places = memmem::find_iter(text.as_bytes(), state.as_bytes());
        let mut said = places.filter_map(|at| Statement::at(text, at, state));
        said.any(|one| is_of_thing(one.whole) && !one.is_denied(Meaning::State))
    })
}

/// The statement that holds the first of these words that is not denied.
fn stated<'t>(text: &'t str, words: &[&str], meaning: Meaning) -> Option<&'t str> {
    if text.is_empty() {
        return None;
    }
    let pairs = Pairs::of(text);
    words.iter().filter(|word| pairs.may_hold(word)).find_map(|word| {
        let places = memmem::find_iter(text.as_bytes(), word.as_bytes());
        places.filter_map(|at| Statement::at(text, at, word)).find(|one| !one.is_denied(meaning)).map(|one| one.whole)
    })
}

/// A word in the statement that holds it.
struct Statement<'t> {
    whole: &'t str,
    before: Vec<&'t str>,
    word: &'t str,
    /// What follows it at once.
    rest: &'t str,
    after: Vec<&'t str>,
}

impl<'t> Statement<'t> {
    fn at(text: &'t str, at: usize, word: &str) -> Option<Statement<'t>> {
        let (head, tail) = (text.get(..at)?, text.get(at..)?);
        let (word, rest) = (tail.get(..word.len())?, tail.get(word.len()..)?);
        let begin = BETWEEN.iter().filter_map(|sign| Some(head.rfind(sign)? + sign.len())).max().unwrap_or(0);
        let end = BETWEEN.iter().filter_map(|sign| rest.find(sign)).min().unwrap_or(rest.len());
        // The rest of a word that was found by its beginning: "overload" in "overloaded".
        let rest = rest.get(..end)?.trim_start_matches(char::is_alphanumeric);
        let whole = text.get(begin..at + word.len() + end)?;
        Some(Statement { whole, before: tokens(head.get(begin..)?), word, rest, after: tokens(rest) })
    }

    fn is_denied(&self, meaning: Meaning) -> bool {
        self.is_denied_before(meaning) || self.is_taken_back(meaning) || self.is_setting() || self.is_of_no_trouble()
    }

    /// "not overloaded", "no maintenance", "not because of the caller id".
    fn is_denied_before(&self, meaning: Meaning) -> bool {
        let may_stand = |word: &&&str| [FILLERS, PLACES, OF_GROUND].iter().any(|known| known.contains(word));
        let between: Vec<&&str> = self.before.iter().rev().take_while(may_stand).collect();
        let denial = self.before.iter().rev().nth(between.len()).filter(|word| DENIALS.contains(word));
        let of_ground = between.iter().any(|word| matches!(**word, "due" | "because" | "about" | "related"));
        let is_resource = self.word.rsplit(' ').next().is_some_and(|last| RESOURCES.contains(&last));
        let is_let = || self.after.iter().any(|word| OF_WHAT_IS_LET.contains(word));
        match meaning {
            Meaning::State => denial.is_some() && !is_resource && !is_let(),
            Meaning::Thing => denial.is_some() && of_ground,
        }
    }

    /// "limit not exceeded", "maintenance ended", "caller id ok": the first word behind it that tells counts.
    fn is_taken_back(&self, meaning: Meaning) -> bool {
        let mut after = self.after.iter().enumerate();
        after.find_map(|(at, word)| self.verdict(at, word, meaning)).unwrap_or(false)
    }

    /// Whether a word behind it takes it back; `None` if it tells nothing.
    fn verdict(&self, at: usize, word: &str, meaning: Meaning) -> Option<bool> {
        let is_last = at + 1 == self.after.len();
        match () {
            () if AT_THE_END.contains(&word) && is_last => Some(true),
            () if DENIALS.contains(&word) => {
                let mut denied = self.after.iter().skip(at + 1).filter(|word| !FILLERS.contains(word));
                denied.next().map(|word| TAKEN_BACK.contains(word))
            }
            () if HOLDS.contains(&word) => Some(false),
            () if meaning == Meaning::State && OVER.contains(&word) => Some(true),
            () if meaning == Meaning::Thing && IN_ORDER.contains(&word) => Some(true),
            () => None,
        }
    }

    /// A figure that is told beside others: "media timeout=300".
    fn is_setting(&self) -> bool {
        let is_set = |value: &&str| SET.contains(value) || HOLDS.contains(value);
        self.rest.starts_with('=') && !self.after.iter().any(is_set)
    }

    /// "no rtp timeout", where the word is "no rtp".
    fn is_of_no_trouble(&self) -> bool {
        let begins_with_denial = self.word.split(' ').next().is_some_and(|first| DENIALS.contains(&first));
        begins_with_denial && self.after.first().is_some_and(|next| TROUBLES.contains(next))
    }
}

fn tokens(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'').filter(|word| !word.is_empty()).collect()
}

/// True if each statement of a text, in lower case, that holds one of these says that it is not needed.
pub(crate) fn waives(text: &str, words: &[&str]) -> bool {
    let is_needed = |word: &&str| matches!(*word, "required" | "needed" | "necessary" | "mandatory");
    let is_waived = |one: &Statement<'_>| {
        let said = tokens(one.whole);
        let needed = said.iter().position(is_needed);
        needed.is_some_and(|at| said.iter().take(at).any(|word| DENIALS.contains(word)))
    };
    let places = |word: &&str| memmem::find_iter(text.as_bytes(), word.as_bytes()).collect::<Vec<_>>();
    let held = words.iter().flat_map(|word| places(word).into_iter().map(move |at| (at, word)));
    let mut held = held.filter_map(|(at, word)| Statement::at(text, at, word)).peekable();
    held.peek().is_some() && held.all(|one| is_waived(&one))
}

/// What a refusal states as its ground, whatever its code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The callee is busy.
    Busy,
    /// The callee wants no calls, or not this one.
    Refused,
    /// No trunk or channel is free.
    TrunksBusy,
    /// A trunk does not work.
    TrunkDown,
    /// The server failed.
    Fault,
    /// The media do not fit.
    Media,
    /// A limit is reached.
    Limit,
    /// There is no room.
    Full,
    /// Who calls is not known or not allowed.
    Caller,
}

/// The words for each, but for those of limits and of trunks that are down.
const GROUNDS: &[(Ground, &[&str])] = &[
    (Ground::TrunksBusy, TRUNKS_BUSY),
    (Ground::Busy, &["user busy", "callee busy", "callee is busy", "line busy", "line is busy", "subscriber busy"]),
    (Ground::Refused, &["do not disturb", "dnd", "by user", "by the user", "by callee", "by the callee"]),
    (
        Ground::Fault,
        &[
            "database",
            "internal error",
            "exception",
            "script error",
            "out of memory",
            "licence expired",
            "license expired",
            "licence has expired",
            "license has expired",
        ],
    ),
    (Ground::Media, &["codec", "bandwidth", "incompatible media"]),
    (Ground::Full, &["room full", "room is full", "queue full", "queue is full", "mailbox full", "mailbox is full"]),
    (Ground::Caller, &["source address", "source ip", "unknown peer", "unknown trunk", "no matching trunk"]),
];
/// How it is said that each trunk or channel is taken.
const TRUNKS_BUSY: &[&str] = &[
    "all trunks busy",
    "all trunks are busy",
    "all circuits busy",
    "all circuits are busy",
    "all channels busy",
    "all channels are busy",
    "all lines are busy",
    "no free channel",
    "no free circuit",
    "no free trunk",
    "no circuit available",
    "no channel available",
    "no channels available",
    "no trunk available",
    "no trunks available",
];
/// What lies behind a gateway.
const WAYS: &[&str] = &[
    "trunk",
    "trunks",
    "line",
    "lines",
    "d-channel",
    "pri",
    "bri",
    "e1",
    "t1",
    "isdn",
    "ss7",
    "pstn",
    "circuit",
    "link",
    "span",
];
/// How it is said that it does not work.
const DOWN: &[&str] = &[
    "down",
    "out of order",
    "out of service",
    "lost",
    "failed",
    "failure",
    "disconnected",
    "alarm",
    "dead",
    "fault",
    "unreachable",
    "not reachable",
];

/// The ground that a text, in lower case, states in so many words.
pub(crate) fn ground(text: &str) -> Option<Ground> {
    if text.is_empty() {
        return None;
    }
    let by_words = GROUNDS.iter().find(|(_, words)| states_any(text, words)).map(|(ground, _)| *ground);
    let is_down = || states_of(text, WAYS, DOWN).then_some(Ground::TrunkDown);
    by_words.or_else(is_down).or_else(|| limit(text).map(|_| Ground::Limit))
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Calls that are up at once.
    AtOnce,
    /// Calls in a second or a minute.
    Rate,
    /// What was called before, where to, and for how much.
    Quota,
}

/// Words of a limit of calls at once, whatever else they are of.
const AT_ONCE: &[&str] = &[
    "channel limit",
    "channels limit",
    "channel capacity",
    "concurrent call",
    "concurrent channel",
    "concurrent session",
    "simultaneous call",
    "simultaneous session",
    "session limit",
    "max sessions",
    "maximum sessions",
    "too many sessions",
];
/// Words of a limit of calls that may be of another kind, if more is said.
const OF_CALLS: &[&str] = &["call limit", "calls limit", "max calls", "maximum calls", "maximum number of calls"];
const TOO_MANY_CALLS: &str = "too many calls";
/// Words of a limit of calls in a second or a minute.
const RATE: &[&str] = &["cps", "calls per second", "rate limit", "call rate", "calls/s"];
/// Words of limits of another kind: their length or price.
const OF_TIME_OR_MONEY: &[&str] = &["per second", "per minute", "cps", "rate", "duration", "credit", "spend"];
/// Words of a limit that counts what was called before, and where to, and no calls that are up.
const OF_OTHERS: &[&str] = &[
    "daily",
    "weekly",
    "monthly",
    "hourly",
    "today",
    "per hour",
    "per day",
    "per week",
    "per month",
    "24 hours",
    "24h",
    "an hour",
    "a day",
    "minutes",
    "international",
    "roaming",
    "premium",
    "country",
    "destination",
    "balance",
    "prepaid",
    "budget",
    "cost",
    "price",
    "free calls",
    "failed call",
    "attempts",
];

/// How it is said that a limit is reached, whatever it is of.
const REACHED: &[&str] = &[
    "limit reached",
    "limit exceeded",
    "limit has been",
    "limit is reached",
    "quota",
    "max calls",
    "maximum calls",
    "too many calls",
];

/// The kind of limit that a text, in lower case, says to be reached.
pub(crate) fn limit(text: &str) -> Option<Limit> {
    if text.is_empty() {
        return None;
    }
    if states_any(text, RATE) {
        return Some(Limit::Rate);
    }
    let pairs = Pairs::of(text);
    let names = |words: &[&str]| words.iter().any(|word| pairs.may_hold(word) && text.contains(word));
    let counts_others = names(OF_TIME_OR_MONEY);
    let is_of_calls = || states_any(text, OF_CALLS) || states_any(text, &[TOO_MANY_CALLS]);
    match () {
        () if !counts_others && states_any(text, AT_ONCE) => Some(Limit::AtOnce),
        () if !counts_others && !names(OF_OTHERS) => is_of_calls().then_some(Limit::AtOnce),
        () => (is_of_calls() || states_any(text, REACHED)).then_some(Limit::Quota),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: &[&str] = &["maintenance", "overload", "capacity", "call limit", "media timeout", "no rtp", "locked"];

    #[test]
    fn what_is_stated_is_told_from_what_is_denied() {
        for said in [
            "in maintenance",
            "server overloaded, try again",
            "no capacity",
            "not enough capacity",
            "not in maintenance window - no capacity",
            "user not found because of overload",
            "call limit exceeded",
            "call limit: reached",
            "no call limit left",
            "maintenance=true",
            "media timeout",
            "media timeout (300 s)",
            "no rtp for 30 s",
            "account locked, session ended",
            "not paid; account locked",
            "overload, do not retry",
        ] {
            assert!(states_any(said, STATES), "{said}");
        }
        for said in [
            "not in maintenance window",
            "maintenance of carrier x ended; account suspended",
            "maintenance is over",
            "maintenance: no",
            "no overload",
            "not due to overload",
            "call limit not exceeded but destination barred",
            "call limit has not yet been reached",
            "no media timeout configured",
            "normal; media timeout=300 rtp stats ok",
            "no rtp timeout",
            "account is not locked",
            "isn't overloaded",
        ] {
            assert!(!states_any(said, STATES), "{said}");
        }
    }

    #[test]
    fn a_thing_that_is_in_order_is_not_to_blame() {
        const THINGS: &[&str] = &["caller id", "calling number", "password"];
        for said in [
            "caller id not allowed",
            "no caller id",
            "invalid caller id",
            "caller id not valid",
            "destination ok, caller id missing",
            "calling number",
            "wrong password",
        ] {
            assert!(blames_any(said, THINGS), "{said}");
        }
        for said in [
            "caller id ok, destination number not allowed",
            "called number blocked; calling number valid",
            "password accepted, account barred",
            "not because of the caller id",
        ] {
            assert!(!blames_any(said, THINGS), "{said}");
        }
    }

    #[test]
    fn the_ground_is_what_the_words_state() {
        for (said, wanted) in [
            ("user busy", Some(Ground::Busy)),
            ("blocked by user", Some(Ground::Refused)),
            ("registered device in call, dnd off, ring timeout 30", None),
            ("all trunks busy", Some(Ground::TrunksBusy)),
            ("temporarily not available - trunk down", Some(Ground::TrunkDown)),
            ("internal database error", Some(Ground::Fault)),
            ("codec mismatch", Some(Ground::Media)),
            ("codec ok", None),
            ("max calls reached", Some(Ground::Limit)),
            ("max sessions reached", Some(Ground::Limit)),
            ("no matching trunk for source address", Some(Ground::Caller)),
            ("not found", None),
        ] {
            assert_eq!(ground(said), wanted, "{said}");
        }
    }

    #[test]
    fn what_is_not_needed_is_waived() {
        for said in ["srtp not required, codec g729 only", "not acceptable - no srtp license needed"] {
            assert!(waives(said, &["srtp"]), "{said}");
        }
        for said in ["srtp required", "no srtp", "srtp not supported", "codec not required"] {
            assert!(!waives(said, &["srtp"]), "{said}");
        }
    }

    #[test]
    fn a_limit_of_calls_at_once_is_told_from_others() {
        for said in [
            "call limit reached",
            "too many calls",
            "concurrent calls to this destination exceeded",
            "max calls reached",
            "no more than 2 simultaneous calls",
            "channel limit",
            "no concurrent calls allowed",
        ] {
            assert_eq!(limit(said), Some(Limit::AtOnce), "{said}");
        }
        for said in ["cps limit exceeded", "too many calls per second", "call rate too high"] {
            assert_eq!(limit(said), Some(Limit::Rate), "{said}");
        }
        for said in [
            "daily call limit reached",
            "daily limit exceeded",
            "international call limit exceeded",
            "call limit reached for this destination country",
            "max calls per hour exceeded",
            "too many calls today",
        ] {
            assert_eq!(limit(said), Some(Limit::Quota), "{said}");
        }
        for said in [
            "call limit not exceeded but destination barred",
            "call duration limit",
            "simultaneous call limit not reached",
            "international destination barred",
        ] {
            assert_eq!(limit(said), None, "{said}");
        }
    }
}
