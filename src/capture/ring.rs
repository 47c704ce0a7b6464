//! Files that a capture tool writes one after the other, and which of them comes next.
//!
//! Knows how tcpdump (`-C`, `-G`, `-W`) and dumpcap (`-b`) name their files and use names again. Is given a file, a
//! template of names or a folder; gives files. Deliberately does not know what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::capture::folder::order_of_names;

/// Bytes by which a file is told from another that was written in its place: header and first record of a pcap file,
/// and enough of the section header of a pcapng file to be of another packet.
const HEAD: u64 = 256;

/// Files that were read to their end and are remembered: more than a ring holds.
const MOST_READ: usize = 4096;

/// Which files are followed. By default none.
#[derive(Debug, Default)]
pub(super) struct Ring {
    folder: PathBuf,
    /// The name that was given; `None` for all files of the folder.
    name: Option<String>,
    /// Files that were read, as they were then.
    read: BTreeMap<PathBuf, AsRead>,
}

/// A file of the ring, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) path: PathBuf,
    pub(super) written: SystemTime,
    pub(super) len: u64,
}

/// A file when it had been read to its end.
#[derive(Debug)]
struct AsRead {
    written: SystemTime,
    len: u64,
    head: Vec<u8>,
}

impl Ring {
    /// The files that are meant by a path: a folder, one file and those that its writer puts behind it, or a template
    /// with `%` as `tcpdump -G` has it.
    ///
    /// # Errors
    /// There is nothing of that name.
    pub(super) fn of(path: &Path) -> io::Result<Ring> {
        if path.is_dir() {
            return Ok(Ring { folder: path.to_owned(), name: None, read: BTreeMap::new() });
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let ring = Ring { folder: folder.to_owned(), name: Some(name), read: BTreeMap::new() };
        if ring.next(None).is_none() && !path.to_string_lossy().contains('%') {
            // Says what is wrong with it.
            if !fs::metadata(path)?.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "only files and folders can be followed"));
            }
        }
        Ok(ring)
    }

    /// The file that comes next: the one that was written longest ago of those that were not read, and not before the
    /// one that is read now.
    pub(super) fn next(&self, current: Option<&Member>) -> Option<Member> {
        let files = fs::read_dir(&self.folder).ok()?.flatten();
        let members = files.filter_map(|entry| {
            let name = entry.file_name();
            if !self.is_meant(&name.to_string_lossy()) {
                return None;
            }
            let path = match self.folder == Path::new(".") {
                true => PathBuf::from(name),
                false => entry.path(),
            };
            member(&path)
        });
        let is_next = |member: &Member| match current {
            Some(current) => {
                let now = fs::metadata(&current.path).and_then(|metadata| metadata.modified());
                member.path != current.path && member.written >= now.unwrap_or(current.written)
            }
            None => true,
        };
        members
            .filter(|member| is_next(member) && !self.was_read(member))
            .min_by(|a, b| a.written.cmp(&b.written).then_with(|| order_of_names(&a.path, &b.path)))
    }

    /// Remembers that a file was read to its end.
    pub(super) fn note_read(&mut self, path: &Path) {
        let Some(Member { path, written, len }) = member(path) else { return };
        let head = head(&path);
        if self.read.len() >= MOST_READ {
            let oldest = self.read.iter().min_by_key(|(_, read)| read.written).map(|(path, _)| path.clone());
            oldest.and_then(|oldest| self.read.remove(&oldest));
        }
        self.read.insert(path, AsRead { written, len, head });
    }

    /// True if a file is the one that was read, and no other was written in its place since.
    fn was_read(&self, member: &Member) -> bool {
        self.read.get(&member.path).is_some_and(|read| {
            let is_as_it_was = read.len == member.len && read.written == member.written;
            is_as_it_was || (member.len >= read.len && head(&member.path).starts_with(&read.head))
        })
    }

    fn is_meant(&self, name: &str) -> bool {
        // What `tcpdump -z` packs was read before it was packed.
        if [".gz", ".zst", ".lz4", ".bz2", ".xz"].iter().any(|ending| name.ends_with(ending)) || name.starts_with('.') {
            return false;
        }
        self.name.as_deref().is_none_or(|wanted| belongs_to(name, wanted))
    }
}

/// What a file is now; `None` if it is none.
pub(super) fn member(path: &Path) -> Option<Member> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Member { path: path.to_owned(), written, len: metadata.len() })
}

fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // A file that cannot be read now is another one.
    let _ = fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    head
}

/// True if a name is the one that was given, or one that a capture tool makes of it.
fn belongs_to(name: &str, wanted: &str) -> bool {
    if name == wanted {
        return true;
    }
    if wanted.contains('%') {
        return fits(name.as_bytes(), wanted.as_bytes());
    }
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // tcpdump -C and -W: capture.pcap1, capture.pcap02.
    if name.strip_prefix(wanted).is_some_and(are_digits) {
        return true;
    }
    // dumpcap -b: capture_00001_20261120081358.pcapng.
    let (stem, ending) = wanted.rsplit_once('.').unwrap_or((wanted, ""));
    let inner = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('_'));
    let inner = inner.and_then(|rest| rest.strip_suffix(ending)).map(|rest| rest.trim_end_matches('.'));
    inner.and_then(|inner| inner.split_once('_')).is_some_and(|(number, time)| are_digits(number) && are_digits(time))
}

/// True if a name fits a template in which `%` and a letter stand for letters and digits.
fn fits(name: &[u8], template: &[u8]) -> bool {
    match (template.split_first(), name.split_first()) {
        (None, None) => true,
        // tcpdump -C with -G puts a number behind.
        (None, Some(_)) => name.iter().all(u8::is_ascii_digit),
        (Some((b'%', rest)), Some((first, _))) if first.is_ascii_alphanumeric() => {
            let rest = rest.get(1..).unwrap_or_default();
            let run = name.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            (1..=run).rev().any(|taken| fits(name.get(taken..).unwrap_or_default(), rest))
        }
        (Some((wanted, template)), Some((found, name))) if wanted == found => fits(name, template),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_of_capture_tools_are_known() {
        for (wanted, name) in [
            ("call.pcap", "call.pcap"),
            ("call.pcap", "call.pcap1"),
            ("call.pcap", "call.pcap12"),
            ("call.pcapng", "call_00001_20261120081358.pcapng"),
            ("call", "call_00001_20261120081358"),
            ("call-%Y%m%d-%H%M%S.pcap", "call-20261120-081358.pcap"),
            ("call-%s.pcap", "call-1795162438.pcap3"),
        ] {
            assert!(belongs_to(name, wanted), "{name} {wanted}");
        }
        for (wanted, name) in [
            ("call.pcap", "call.pcap.gz"),
            ("call.pcap", "other.pcap"),
            ("call.pcap", "call.pcapng"),
            ("call.pcapng", "call_1.pcapng"),
            ("call-%H.pcap", "call-.pcap"),
        ] {
            assert!(!belongs_to(name, wanted), "{name} {wanted}");
        }
    }

    fn write(path: &Path, text: &str, seconds: u64) {
        fs::write(path, text).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn the_next_file_is_the_oldest_that_was_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, at) in [("ring0", 30), ("ring1", 10), ("ring2", 20)] {
            write(&path(name), name, at);
        }
        let mut ring = Ring::of(folder.path()).unwrap();
        let mut order = Vec::new();
        while let Some(member) = ring.next(None) {
            ring.note_read(&member.path);
            order.push(member.path);
        }
        assert_eq!(order, [path("ring1"), path("ring2"), path("ring0")]);
        // The writer comes round and uses a name again.
        write(&path("ring1"), "another", 40);
        assert_eq!(ring.next(None).map(|member| member.path), Some(path("ring1")));
        ring.note_read(&path("ring1"));
        // What only grew behind its end was read.
        write(&path("ring2"), "ring2 and more", 50);
        assert_eq!(ring.next(None), None);
    }

    #[test]
    fn nothing_older_comes_behind_the_file_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(&path("call.pcap"), "now", 50);
        write(&path("call.pcap1"), "moved here", 20);
        let ring = Ring::of(&path("call.pcap")).unwrap();
        let current = member(&path("call.pcap"));
        assert_eq!(ring.next(current.as_ref()), None);
        write(&path("call.pcap2"), "next", 51);
        assert_eq!(ring.next(current.as_ref()).map(|member| member.path), Some(path("call.pcap2")));
        assert!(Ring::of(&path("missing.pcap")).is_err());
    }
}
