//! What a run without end is set to: how long, how large, how often.

use std::time::Duration;

use crate::capture::{Opening, Promiscuous};
use crate::cli::args::Watching;
use crate::error::Error;

/// How a run without end is set.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How interfaces are opened.
    pub(crate) opening: Opening,
    /// How often a line sums up; `None` for never.
    pub(crate) stats_every: Option<Duration>,
    /// When a report is ended and the next one begun.
    pub(crate) rotation: Option<Rotation>,
    /// Reports that are kept of each; `None` for all.
    pub(crate) keep: Option<usize>,
    /// Bytes of the records of calls that are kept for reports.
    pub(crate) kept_bytes: usize,
    /// Bytes of lines that wait for their reader.
    pub(crate) queue: usize,
}

/// When a report is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// After this time.
    Every(Duration),
    /// When the records for it take so many bytes.
    AtBytes(u64),
}

/// One setting of `--live`: its name, its default, what it sets.
const TABLE: [(&str, &str, &str); 5] = [
    ("promiscuous", "yes", "frames that are addressed to others too: yes or no"),
    ("buffer", "32M", "bytes of the kernel's ring, for each interface"),
    ("patience", "60s", "how long an interface that is away is waited for"),
    ("kept-bytes", "32M", "bytes of records of calls for reports; the last ones are kept"),
    ("queue", "8M", "bytes of lines that wait for a slow reader; then lines are dropped and counted"),
];

/// The table as `--help` and the manual show it.
pub(crate) fn help() -> String {
    let mut text =
        "Set what is seldom set of a run without end, once for each NAME=VALUE. What is set unless said:".to_owned();
    for (name, default, sets) in TABLE {
        text.push_str(&format!("\n  {name}={default}  {sets}"));
    }
    text
}

impl Settings {
    /// Reads what was typed.
    pub(crate) fn read(watching: &Watching, filter: Option<String>) -> Result<Settings, Error> {
        let mut settings = Settings {
            opening: Opening { filter, ..Opening::default() },
            stats_every: Some(Duration::from_secs(60)),
            rotation: None,
            keep: watching.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)),
            kept_bytes: 32 << 20,
            queue: 8 << 20,
        };
        if let Some(text) = &watching.stats_every {
            let wrong = || Error::Usage(format!("--stats-every {text}: a time such as 60s, 5m or 1h, or 0 for never"));
            let every = if text == "0" { Duration::ZERO } else { duration(text).ok_or_else(wrong)? };
            settings.stats_every = Some(every).filter(|every| !every.is_zero());
        }
        if let Some(text) = &watching.rotate {
            let wrong = || Error::Usage(format!("--rotate {text}: a time such as 1h, or a size such as 100MB"));
            let rotation = duration(text).map(Rotation::Every).or_else(|| bytes(text).map(Rotation::AtBytes));
            settings.rotation = Some(rotation.ok_or_else(wrong)?);
        }
        for setting in &watching.live {
            settings.set(setting)?;
        }
        Ok(settings)
    }

    fn set(&mut self, setting: &str) -> Result<(), Error> {
        let wrong = |why: &str| Error::Usage(format!("--live {setting}: {why}"));
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong("it needs the form NAME=VALUE"))?;
        let size =
            || bytes(value).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| wrong("a size such as 32M"));
        match name {
            "promiscuous" => {
                self.opening.promiscuous = match value {
                    "yes" => Promiscuous::Yes,
                    "no" => Promiscuous::No,
                    _ => return Err(wrong("yes or no")),
                };
            }
            "buffer" => self.opening.buffer = size()?,
            "patience" => self.opening.patience = duration(value).ok_or_else(|| wrong("a time such as 60s or 5m"))?,
            "kept-bytes" => self.kept_bytes = size()?,
            "queue" => self.queue = size()?,
            _ => {
                let names: Vec<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
                return Err(wrong(&format!("no such setting; there are {}", names.join(", "))));
            }
        }
        Ok(())
    }
}

/// `90s`, `5m`, `1h`, `7d`; seconds without a unit are no time, so that sizes can be told from them.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.as_bytes().last()? {
        b's' => (text.strip_suffix('s')?, 1),
        b'm' => (text.strip_suffix('m')?, 60),
        b'h' => (text.strip_suffix('h')?, 3600),
        b'd' => (text.strip_suffix('d')?, 86_400),
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// `100MB`, `64M`, `2G`, `500000`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['B', 'b']).unwrap_or(text);
    let (number, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Watching)) -> Result<Settings, Error> {
        let mut watching = Watching::default();
        change(&mut watching);
        Settings::read(&watching, None)
    }

    #[test]
    fn times_and_sizes_are_told_apart() {
        let rotation = |text: &str| read(|watching| watching.rotate = Some(text.into())).map(|read| read.rotation);
        assert_eq!(rotation("1h").unwrap(), Some(Rotation::Every(Duration::from_secs(3600))));
        assert_eq!(rotation("100MB").unwrap(), Some(Rotation::AtBytes(100 << 20)));
        assert_eq!(rotation("5m").unwrap(), Some(Rotation::Every(Duration::from_secs(300))));
        assert_eq!(rotation("5M").unwrap(), Some(Rotation::AtBytes(5 << 20)));
        for wrong in ["", "h", "0h", "soon", "-1h", "1x", "99999999999999999999d"] {
            assert!(rotation(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_seldom_set_is_set_by_name() {
        let set = |text: &str| read(|watching| watching.live = vec![text.into()]);
        assert_eq!(set("promiscuous=no").unwrap().opening.promiscuous, Promiscuous::No);
        assert_eq!(set("buffer=4M").unwrap().opening.buffer, 4 << 20);
        assert_eq!(set("patience=5m").unwrap().opening.patience, Duration::from_secs(300));
        for wrong in ["promiscuous", "promiscuous=maybe", "buffer=0", "unknown=1", "patience=5"] {
            assert!(set(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read(|watching| watching.stats_every = Some("0".into())).unwrap().stats_every, None);
    }

    #[test]
    fn the_table_names_every_default() {
        let settings = read(|_| {}).unwrap();
        let told = TABLE.map(|(name, default, _)| format!("{name}={default}"));
        let again = read(|watching| watching.live = told.to_vec()).unwrap();
        assert_eq!(format!("{settings:?}"), format!("{again:?}"));
    }
}
