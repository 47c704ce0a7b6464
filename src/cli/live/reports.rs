//! Reports of a run without end: written when they are asked for, when their time is over, and at the end.
//!
//! A report that cannot be written is told and does not end the run. Deliberately does not know what stands in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::cli::args::Format;
use crate::cli::live::settings::Rotation;
use crate::cli::output::{Output, format_of};
use crate::cli::printer::Printer;
use crate::cli::say;
use crate::error::Error;
use crate::report::Gathered;

/// Letters of the time in the name of a report: `20261120T081358Z`.
const STAMP: usize = 16;

/// Reports that go to files.
pub(crate) struct Reports {
    files: Vec<(Format, PathBuf)>,
    rotation: Option<Rotation>,
    keep: Option<usize>,
    begun: Instant,
    /// The time at which the current period began, for names.
    stamp: String,
    has_failed: bool,
}

impl Reports {
    /// Reports to these files.
    ///
    /// # Errors
    /// One has no known ending, or cannot be written where it is to stand.
    pub(crate) fn new(paths: &[PathBuf], rotation: Option<Rotation>, keep: Option<usize>) -> Result<Reports, Error> {
        let mut files = Vec::new();
        for path in paths {
            let format = format_of(path)?;
            // Better now than after a week.
            drop(Output::create(path)?);
            files.push((format, path.clone()));
        }
        let stamp = stamp(SystemTime::now());
        Ok(Reports { files, rotation, keep, begun: Instant::now(), stamp, has_failed: false })
    }

    /// True if there are none.
    pub(crate) fn are_none(&self) -> bool {
        self.files.is_empty()
    }

    /// True if a period is over: by its time, or by the bytes of its records.
    pub(crate) fn is_over(&self, bytes: u64) -> bool {
        match self.rotation.filter(|_| !self.files.is_empty()) {
            Some(Rotation::Every(period)) => self.begun.elapsed() >= period,
            Some(Rotation::AtBytes(most)) => bytes >= most,
            None => false,
        }
    }

    /// True if reports are of periods.
    pub(crate) fn are_rotated(&self) -> bool {
        self.rotation.is_some()
    }

    /// Writes what was gathered. What fails is told, and the others are written.
    pub(crate) fn write(&mut self, gathered: &mut Gathered, printer: &Printer<'_>) {
        for (format, path) in &self.files {
            let path = match self.rotation {
                Some(_) => stamped(path, &self.stamp),
                None => path.clone(),
            };
            let written = Output::create(&path).and_then(|output| printer.print_to(output, *format, gathered));
            if let Err(error) = written {
                self.has_failed = true;
                crate::cli::complain(&error);
            }
            if let (Some(_), Some(keep)) = (self.rotation, self.keep) {
                remove_oldest(&self.files, &path, keep);
            }
        }
    }

    /// Begins the next period.
    pub(crate) fn begin(&mut self) {
        self.begun = Instant::now();
        self.stamp = stamp(SystemTime::now());
    }

    /// True if any report could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }
}

/// `report.html` of a period: `report-20261120T081358Z.html`.
fn stamped(path: &Path, stamp: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The ending of report.junit.xml is all of it.
    let (stem, ending) = match name.strip_suffix(".junit.xml") {
        Some(stem) => (stem.to_owned(), ".junit.xml".to_owned()),
        None => match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem.to_owned(), format!(".{ending}")),
            _ => (name.clone(), String::new()),
        },
    };
    path.with_file_name(format!("{stem}-{stamp}{ending}"))
}

/// Removes the oldest reports of the same name until so many are left.
fn remove_oldest(files: &[(Format, PathBuf)], written: &Path, keep: usize) {
    let folder = written.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let template = files.iter().map(|(_, path)| path).find(|path| {
        let stamp = stamp_of(&name(written), &name(path));
        stamp.is_some()
    });
    let Some(template) = template else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut reports: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let found = entry.file_name().to_string_lossy().into_owned();
            Some((stamp_of(&found, &name(template))?, entry.path()))
        })
        .collect();
    reports.sort();
    let too_many = reports.len().saturating_sub(keep.max(1));
    for (_, path) in reports.iter().take(too_many) {
        if let Err(error) = fs::remove_file(path) {
            say(&format!("sipwhy: cannot remove {}: {error}", path.display()));
        }
    }
}

/// The time in the name of a report, if it is one of those that are named after this one.
fn stamp_of(found: &str, name: &str) -> Option<String> {
    let template = stamped(Path::new(name), &"0".repeat(STAMP)).to_string_lossy().into_owned();
    let (before, after) = template.split_once(&"0".repeat(STAMP))?;
    let stamp = found.strip_prefix(before)?.strip_suffix(after)?;
    let is_stamp =
        stamp.len() == STAMP && stamp.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
    is_stamp.then(|| stamp.to_owned())
}

fn stamp(time: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or_default();
    timestamp.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_reports_hold_their_time() {
        let of = |name: &str| stamped(Path::new(name), "20261120T081358Z").to_string_lossy().into_owned();
        assert_eq!(of("/var/log/report.html"), "/var/log/report-20261120T081358Z.html");
        assert_eq!(of("report.junit.xml"), "report-20261120T081358Z.junit.xml");
        assert_eq!(of("report"), "report-20261120T081358Z");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH), "19700101T000000Z");
    }

    #[test]
    fn the_last_reports_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in
            ["r-20261120T081358Z.txt", "r-20261120T091358Z.txt", "r-20261120T101358Z.txt", "r-notes.txt", "r.txt"]
        {
            fs::write(path(name), name).unwrap();
        }
        let files = [(Format::Text, path("r.txt"))];
        remove_oldest(&files, &path("r-20261120T101358Z.txt"), 2);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["r-20261120T091358Z.txt", "r-20261120T101358Z.txt", "r-notes.txt", "r.txt"]);
    }
}
