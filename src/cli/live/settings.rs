//! What a run without end is set to: how long, how large, how often.

use std::time::Duration;

use crate::capture::{Opening, Promiscuous};
use crate::cli::args::Watching;
use crate::cli::limits;
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
    /// Bytes of packets that may wait in a temporary file.
    pub(crate) backlog: u64,
    /// Bytes of the records of calls that are kept for reports.
    pub(crate) kept_bytes: usize,
    /// Bytes of lines that wait for their reader.
    pub(crate) queue: usize,
    /// Whom root becomes, if one is named.
    pub(crate) user: Option<String>,
    /// True if root stays root.
    pub(crate) allow_root: bool,
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
const TABLE: [(&str, &str, &str); 11] = [
    ("stats-every", "60s", "how often a line sums up; 0 for never (also --stats-every)"),
    ("rotate", "never", "end the reports of -o after a time (1h) or size (100MB), and begin new ones (also --rotate)"),
    ("keep", "all", "how many rotated reports of each name are kept (also --keep)"),
    ("user", "auto", "whom root becomes: auto is who called sudo, else nobody (also --user)"),
    ("allow-root", "no", "yes stays root (also --allow-root)"),
    ("promiscuous", "yes", "frames that are addressed to others too: yes or no"),
    ("buffer", "32M", "bytes of the kernel's ring, for each interface; half as much may wait in memory"),
    ("backlog", "1G", "bytes of a temporary file for packets that find no room there; 0 for none"),
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
            keep: None,
            backlog: 1 << 30,
            kept_bytes: 32 << 20,
            queue: 8 << 20,
            user: None,
            allow_root: false,
        };
        for setting in &watching.live {
            settings.set(setting)?;
        }
        // What has an option of its own goes before.
        let own = [("stats-every", &watching.stats_every), ("rotate", &watching.rotate)];
        for (name, value) in own {
            let Some(value) = value else { continue };
            let wrong = |why: &str| Error::Usage(format!("--{name} {value}: {why}"));
            settings.set_time(name, value).unwrap_or(Ok(())).map_err(wrong)?;
        }
        if let Some(keep) = watching.keep {
            settings.keep = Some(usize::try_from(keep).unwrap_or(usize::MAX));
        }
        Ok(settings)
    }

    fn set(&mut self, setting: &str) -> Result<(), Error> {
        let wrong = |why: &str| Error::Usage(format!("--live {setting}: {why}"));
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong("it needs the form NAME=VALUE"))?;
        let size =
            || bytes(value).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| wrong("a size such as 32M"));
        if let Some(set) = self.set_time(name, value) {
            return set.map_err(wrong);
        }
        match name {
            "keep" if value == "all" => self.keep = None,
            "keep" => {
                let keep = value.parse().ok().filter(|keep| *keep > 0);
                self.keep = Some(keep.ok_or_else(|| wrong("a number from 1, or all"))?);
            }
            "user" => self.user = Some(value.to_owned()).filter(|user| user != "auto"),
            "allow-root" => self.allow_root = yes_or_no(value).ok_or_else(|| wrong("yes or no"))?,
            "promiscuous" => {
                let is_wanted = yes_or_no(value).ok_or_else(|| wrong("yes or no"))?;
                self.opening.promiscuous = if is_wanted { Promiscuous::Yes } else { Promiscuous::No };
            }
            "buffer" => self.opening.buffer = size()?,
            "backlog" if value == "0" => self.backlog = 0,
            "backlog" => self.backlog = bytes(value).ok_or_else(|| wrong("a size such as 1G, or 0 for none"))?,
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

    /// Sets what has an option of its own; `None` if this is something else.
    fn set_time(&mut self, name: &str, value: &str) -> Option<Result<(), &'static str>> {
        match name {
            "stats-every" => {
                let every = if value == "0" { Some(Duration::ZERO) } else { duration(value) };
                let Some(every) = every else { return Some(Err("a time such as 60s, 5m or 1h, or 0 for never")) };
                self.stats_every = Some(every).filter(|every| !every.is_zero());
            }
            "rotate" if value == "never" => self.rotation = None,
            "rotate" => {
                let rotation = duration(value).map(Rotation::Every).or_else(|| bytes(value).map(Rotation::AtBytes));
                let Some(rotation) = rotation else { return Some(Err("a time such as 1h, or a size such as 100MB")) };
                self.rotation = Some(rotation);
            }
            _ => return None,
        }
        Some(Ok(()))
    }
}

fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
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
    limits::number(text.strip_suffix(['B', 'b']).unwrap_or(text))
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
        assert_eq!((set("backlog=4G").unwrap().backlog, set("backlog=0").unwrap().backlog), (4 << 30, 0));
        assert_eq!(set("patience=5m").unwrap().opening.patience, Duration::from_secs(300));
        assert_eq!(set("rotate=1h").unwrap().rotation, Some(Rotation::Every(Duration::from_secs(3600))));
        assert_eq!((set("keep=7").unwrap().keep, set("stats-every=0").unwrap().stats_every), (Some(7), None));
        assert_eq!(set("user=sipwhy").unwrap().user.as_deref(), Some("sipwhy"));
        for wrong in ["keep=0", "rotate=soon", "stats-every=x", "allow-root=maybe"] {
            assert!(set(wrong).is_err(), "{wrong}");
        }
        for wrong in ["promiscuous", "promiscuous=maybe", "buffer=0", "backlog=some", "unknown=1", "patience=5"] {
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
