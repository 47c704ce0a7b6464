//! The table of limits: everything that grows has one, and each can be set.

use crate::analysis::Limits;
use crate::capture::{Digest, Reading};
use crate::diagnosis::Engine;
use crate::error::Error;
use crate::report::Gatherer;

/// Every limit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllLimits {
    pub(crate) analysis: Limits,
    /// Bytes of messages of calls that wait for their diagnosis.
    pub(crate) held_back: usize,
    /// Bytes to which a compressed file may unpack.
    pub(crate) decompressed: u64,
    /// Bytes that one stored byte may unpack to.
    pub(crate) ratio: u64,
    /// Failed calls whose record is kept for the text report, one for each kind of trouble.
    pub(crate) kept: usize,
}

impl AllLimits {
    /// How captures are read within them.
    pub(crate) fn reading(&self, digest: Digest) -> Reading {
        Reading { digest, unpacked_limit: self.decompressed, unpacked_ratio: self.ratio }
    }
}

impl Default for AllLimits {
    fn default() -> AllLimits {
        let reading = Reading::default();
        AllLimits {
            analysis: Limits::default(),
            held_back: Engine::HELD_BACK,
            decompressed: reading.unpacked_limit,
            ratio: reading.unpacked_ratio,
            kept: Gatherer::MOST_KEPT,
        }
    }
}

/// One limit: its name, what it bounds, and where it stands.
struct Limit {
    name: &'static str,
    bounds: &'static str,
    get: fn(&AllLimits) -> u64,
    set: fn(&mut AllLimits, u64),
}

macro_rules! limit {
    ($name:literal, $bounds:literal, $($field:ident).+) => {
        Limit {
            name: $name,
            bounds: $bounds,
            get: |limits| u64::try_from(limits.$($field).+).unwrap_or(u64::MAX),
            set: |limits, value| limits.$($field).+ = value.try_into().unwrap_or(usize::MAX as _),
        }
    };
}

const TABLE: &[Limit] = &[
    limit!("calls", "open calls", analysis.call.calls),
    limit!("call-bytes", "bytes of messages of open calls", analysis.call.call_bytes),
    limit!("messages", "messages kept of one call", analysis.call.messages),
    limit!("held-back-bytes", "bytes of messages of ended calls that wait for what the capture tells later", held_back),
    limit!("layers", "layers of encapsulation", analysis.net.layers),
    limit!("fragment-bytes", "bytes of IP fragments, and of parts of SCTP messages", analysis.net.fragment_bytes),
    limit!("streams", "TCP streams", analysis.net.streams),
    limit!("unframed-bytes", "bytes of messages on TCP streams that are not whole yet", analysis.unframed_bytes),
    limit!("stream-bytes", "bytes of TCP segments out of order", analysis.net.stream_bytes),
    limit!("header-bytes", "bytes of headers of a message on a stream", analysis.framing.header_bytes),
    limit!("body-bytes", "bytes of body of a message on a stream", analysis.framing.body_bytes),
    limit!("kept-calls", "failed calls shown in the text report, one for each kind of trouble", kept),
    limit!("decompressed-ratio", "bytes to which one byte of a large compressed file may unpack", ratio),
    limit!("decompressed-bytes", "bytes to which a compressed file may unpack", decompressed),
];

/// The table as `--help` and the manual show it.
pub(crate) fn help() -> String {
    let limits = AllLimits::default();
    let mut text =
        "Set a limit, once for each NAME=VALUE (VALUE with K, M or G). The limits and their defaults:".to_owned();
    for limit in TABLE {
        text.push_str(&format!("\n  {}={}  {}", limit.name, (limit.get)(&limits), limit.bounds));
    }
    text
}

/// Reads the limits that were set.
pub(crate) fn read(settings: &[String]) -> Result<AllLimits, Error> {
    let mut limits = AllLimits::default();
    for setting in settings {
        let wrong = |why: String| Error::Usage(format!("--limits {setting}: {why}"));
        let (name, value) = setting.split_once('=').ok_or_else(|| wrong("it needs the form NAME=VALUE".into()))?;
        let limit = TABLE.iter().find(|limit| limit.name == name).ok_or_else(|| {
            let names: Vec<&str> = TABLE.iter().map(|limit| limit.name).collect();
            wrong(format!("no such limit; there are {}", names.join(", ")))
        })?;
        let value =
            number(value).ok_or_else(|| wrong("the value is a number from 1, with K, M or G if you like".into()))?;
        (limit.set)(&mut limits, value);
    }
    Ok(limits)
}

/// `500000`, `64M`, `2G`: a number from 1.
pub(crate) fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_said_to_be_a_limit_can_be_set() {
        fn sources(folder: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                match entry.is_dir() {
                    true => sources(&entry, found),
                    false => found.push(fs::read_to_string(entry).unwrap()),
                }
            }
        }
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let named = |source: &String| -> Vec<String> {
            let names = source.split("LimitHit { limit: \"").skip(1);
            names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
        };
        let mut names: Vec<String> = found.iter().flat_map(named).collect();
        names.retain(|name| TABLE.iter().all(|limit| limit.name != name));
        assert_eq!(names, [""; 0]);
    }

    #[test]
    fn limits_are_set_by_name() {
        let limits = read(&["calls=7".into(), "call-bytes=2M".into(), "layers=300".into()]).unwrap();
        assert_eq!((limits.analysis.call.calls, limits.analysis.call.call_bytes), (7, 2 << 20));
        assert_eq!(limits.analysis.net.layers, u8::MAX);
        for wrong in ["calls", "calls=", "calls=x", "calls=0", "unknown=1", "calls=99999999999G"] {
            assert!(read(&[wrong.into()]).is_err(), "{wrong}");
        }
    }
}
