//! Which files are meant by the paths that were given, and in what order names stand.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::capture::Error;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    pub(super) named: Named,
}

/// Whether someone named the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// It was: if it is no capture, that is an error.
    Explicitly,
    /// It stands in a folder that was named: if it is no capture, it is skipped.
    ByFolder,
}

/// The files behind the paths: a folder stands for the regular files in it.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Wanted>, Error> {
    let mut wanted = Vec::new();
    for path in paths {
        if path.as_os_str() != "-" && path.is_dir() {
            let files = files_in(path).map_err(|source| Error::Open { path: path.clone(), source })?;
            wanted.extend(files.into_iter().map(|path| Wanted { path, named: Named::ByFolder }));
        } else {
            wanted.push(Wanted { path: path.clone(), named: Named::Explicitly });
        }
    }
    Ok(wanted)
}

fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A pipe in a folder would be waited for without end.
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort_by(|a, b| order_of_names(a, b));
    Ok(files)
}

/// The order in which people count: `call2` before `call10`, as capture tools number their files.
pub(super) fn order_of_names(a: &Path, b: &Path) -> Ordering {
    let (a, b) = (a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes());
    let (mut left, mut right) = (a, b);
    loop {
        match (left.split_first(), right.split_first()) {
            (Some((x, _)), Some((y, _))) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let ((x, rest_left), (y, rest_right)) = (number(left), number(right));
                let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
                if order != Ordering::Equal {
                    return order;
                }
                (left, right) = (rest_left, rest_right);
            }
            (Some((x, rest_left)), Some((y, rest_right))) => {
                if x != y {
                    return x.cmp(y);
                }
                (left, right) = (rest_left, rest_right);
            }
            (x, y) => return x.is_some().cmp(&y.is_some()).then_with(|| a.cmp(b)),
        }
    }
}

/// The digits at the start, without leading zeros, and the rest.
fn number(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    let zeros = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    (digits.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_files_stand_in_the_order_of_their_numbers() {
        let mut names = ["a10", "a2", "b", "a", "a02", "a1.pcap", "a"].map(PathBuf::from);
        names.sort_by(|a, b| order_of_names(a, b));
        assert_eq!(names, ["a", "a", "a1.pcap", "a02", "a2", "a10", "b"].map(PathBuf::from));
    }
}
