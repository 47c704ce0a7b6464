//! Which calls the user asked for.

use jiff::civil;
use jiff::tz::TimeZone;

use crate::call::{Call, Outcome};
use crate::capture::Timestamp;
use crate::cli::args::Run;
use crate::cli::display_filter::DisplayFilter;
use crate::error::Error;
use crate::report::Selected;
use crate::report::text::Zone;
use crate::sip::Uri;

/// What a call must have to be selected.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    calls: Vec<String>,
    numbers: Vec<String>,
    peers: Vec<std::net::IpAddr>,
    since: Option<Moment>,
    until: Option<Moment>,
    zone: TimeZone,
    display_filter: Option<DisplayFilter>,
    outcomes: Outcomes,
}

/// Calls of which outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcomes {
    Any,
    Failed,
}

/// A moment as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    At(Timestamp),
    OfDay(civil::Time),
}

impl Selection {
    /// Reads what was asked for; times are of the report's zone.
    pub(crate) fn read(run: &Run, zone: &Zone) -> Result<Selection, Error> {
        let moment = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Moment::read(text, zone.time_zone()).map(Some).ok_or_else(|| {
                Error::Usage(format!("--{option} {text}: write 08:14, 2026-11-20 or 2026-11-20T08:14:02"))
            }),
        };
        let (since, until) = (moment("since", &run.since)?, moment("until", &run.until)?);
        if let (Some(Moment::At(first)), Some(Moment::At(last))) = (since, until)
            && last <= first
        {
            return Err(Error::Usage("--until is not after --since: no call can have begun between the two".into()));
        }
        if run.calls.iter().any(|call| call.trim().is_empty()) {
            return Err(Error::Usage("--call: write the number of a call in the report, or its Call-ID".into()));
        }
        Ok(Selection {
            calls: run.calls.clone(),
            numbers: run.number.iter().map(|number| wanted(number)).collect::<Result<_, Error>>()?,
            peers: run.peer.clone(),
            since,
            until,
            zone: zone.time_zone().clone(),
            display_filter: run.display_filter.as_deref().map(DisplayFilter::read).transpose()?,
            outcomes: if run.failed { Outcomes::Failed } else { Outcomes::Any },
        })
    }

    /// True if it leaves nothing out.
    pub(crate) fn is_everything(&self) -> bool {
        self.calls.is_empty()
            && self.numbers.is_empty()
            && self.peers.is_empty()
            && self.since.is_none()
            && self.until.is_none()
            && self.display_filter.is_none()
            && self.outcomes == Outcomes::Any
    }

    /// Whether a call is selected.
    pub(crate) fn takes(&self, call: &Call, outcome: Outcome) -> Selected {
        let started = call.started();
        let takes = self.has_name(call)
            && self.has_number(call)
            && self.has_peer(call)
            && self.began_in_time(started)
            && (self.outcomes == Outcomes::Any || outcome.went_wrong())
            && self.display_filter.as_ref().is_none_or(|filter| filter.takes(call));
        if takes { Selected::Yes } else { Selected::No }
    }

    fn has_name(&self, call: &Call) -> bool {
        if self.calls.is_empty() {
            return true;
        }
        let number = call.number.to_string();
        let is = |wanted: &String| *wanted == number || call.call_ids().contains(&wanted.as_bytes());
        self.calls.iter().any(is)
    }

    fn has_number(&self, call: &Call) -> bool {
        if self.numbers.is_empty() {
            return true;
        }
        let requests = call.messages.iter().filter(|heard| heard.message.is_request());
        let mut uris = requests.flat_map(|heard| {
            let message = &heard.message;
            let uri = message.request_uri().map(|uri| Uri::read(&uri));
            [uri, message.from().map(|from| from.parsed()), message.to().map(|to| to.parsed())]
        });
        uris.any(|uri| {
            let user = uri.map(|uri| digits(uri.bare_user())).unwrap_or_default();
            self.numbers.iter().any(|wanted| user.contains(wanted.as_str()))
        })
    }

    fn has_peer(&self, call: &Call) -> bool {
        let has = |wanted: &std::net::IpAddr| {
            call.transactions
                .iter()
                .any(|transaction| [transaction.path.source.ip(), transaction.path.destination.ip()].contains(wanted))
        };
        self.peers.is_empty() || self.peers.iter().any(has)
    }

    fn began_in_time(&self, started: Timestamp) -> bool {
        let is_late_enough = self.since.is_none_or(|since| !self.is_before(started, since));
        let is_early_enough = self.until.is_none_or(|until| self.is_before(started, until));
        match (self.since, self.until) {
            // From 22:00 until 06:00 is a night.
            (Some(Moment::OfDay(since)), Some(Moment::OfDay(until))) if since > until => {
                is_late_enough || is_early_enough
            }
            _ => is_late_enough && is_early_enough,
        }
    }

    fn is_before(&self, time: Timestamp, moment: Moment) -> bool {
        match moment {
            Moment::At(at) => time < at,
            Moment::OfDay(of_day) => jiff::Timestamp::from_nanosecond(i128::from(time.0))
                .is_ok_and(|time| time.to_zoned(self.zone.clone()).time() < of_day),
        }
    }
}

impl Moment {
    fn read(text: &str, zone: &TimeZone) -> Option<Moment> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Moment::at(timestamp);
        }
        let with_seconds =
            |text: &str| if text.matches(':').count() == 1 { format!("{text}:00") } else { text.to_owned() };
        if !text.contains('-') {
            return with_seconds(text).parse().ok().map(Moment::OfDay);
        }
        let date_time = text.parse::<civil::DateTime>().or_else(|_| with_seconds(text).parse());
        let date_time = date_time.or_else(|_| text.parse::<civil::Date>().map(civil::DateTime::from)).ok()?;
        Moment::at(date_time.to_zoned(zone.clone()).ok()?.timestamp())
    }

    fn at(timestamp: jiff::Timestamp) -> Option<Moment> {
        i64::try_from(timestamp.as_nanosecond()).ok().map(|nanoseconds| Moment::At(Timestamp(nanoseconds)))
    }
}

/// What is looked for in numbers and users. Signs alone would be found in each of them.
fn wanted(number: &str) -> Result<String, Error> {
    let digits = digits(number);
    if digits.is_empty() {
        let says =
            format!("--number {number}: write digits, such as 49170555, or the user of a SIP URI, such as alice");
        return Err(Error::Usage(says));
    }
    Ok(digits)
}

/// The digits and letters of a number as people write it: `+49 170/555` is `49170555`.
fn digits(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let read = |text: &str| Moment::read(text, &TimeZone::UTC);
        let noon = Moment::At(Timestamp(1_795_176_000_000_000_000));
        assert_eq!(read("2026-11-20T12:00:00Z"), Some(noon));
        assert_eq!(read("2026-11-20T12:00"), Some(noon));
        assert_eq!(read("2026-11-20 12:00:00"), Some(noon));
        assert_eq!(read("08:14"), Some(Moment::OfDay(civil::time(8, 14, 0, 0))));
        assert!(matches!(read("2026-11-20"), Some(Moment::At(_))));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn separators_of_numbers_do_not_count() {
        assert_eq!(digits("+49 170/555-01"), "4917055501");
    }
}
