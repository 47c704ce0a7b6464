//! What tshark shows of captures: those of `fixtures/`, those of the tests of TLS, and those of a folder elsewhere that
//! `SIPWHY_CAPTURES` names.

pub mod claims;
pub mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Captures of which tshark shows something else, and why.
const DIFFERENCES: &str = include_str!("../../docs/differences.md");

/// ESP is read as we read it.
const PREFERENCE: &str = "esp.enable_null_encryption_decode_heuristic:TRUE";

const BETWEEN_FIELDS: char = '\x1f';
const BETWEEN_OCCURRENCES: char = '\x1e';

/// Each frame's fields, each with its occurrences.
pub type Shown = BTreeMap<u64, BTreeMap<String, Vec<String>>>;

/// A capture: where it is, and what it is called in the list of differences.
#[derive(Debug)]
pub struct Compared {
    pub path: PathBuf,
    pub name: String,
    /// The secrets of its TLS.
    pub keys: Option<PathBuf>,
}

impl Compared {
    /// A capture of this name; its secrets stand beside it in `NAME.keys.txt`.
    pub fn new(path: PathBuf, name: &Path) -> Compared {
        let keys = path.with_extension("keys.txt");
        let keys = root().join(&keys).is_file().then_some(keys);
        Compared { name: name.to_string_lossy().replace('\\', "/"), path, keys }
    }

    /// What tshark prints for some fields.
    pub fn shown(&self, fields: &BTreeSet<&str>) -> Result<Shown, String> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.path).args(["-o", PREFERENCE]).current_dir(root());
        if let Some(keys) = &self.keys {
            command.arg("-o").arg(format!("tls.keylog_file:{}", root().join(keys).display()));
        }
        command.args(["-T", "fields", "-E", "occurrence=a", "-e", "frame.number"]);
        command.arg("-E").arg(format!("separator={BETWEEN_FIELDS}"));
        command.arg("-E").arg(format!("aggregator={BETWEEN_OCCURRENCES}"));
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().map_err(|error| error.to_string())?;
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        if complaints.contains("fields aren't valid") {
            return Err(complaints);
        }
        let mut shown = Shown::new();
        for line in String::from_utf8_lossy(&output.stdout).split('\n') {
            let mut columns = line.split(BETWEEN_FIELDS);
            let Some(frame) = columns.next().and_then(|number| number.parse().ok()) else { continue };
            let occurrences = |column: &str| column.split(BETWEEN_OCCURRENCES).map(str::to_owned).collect();
            let row = fields.iter().zip(columns).map(|(field, column)| ((*field).to_owned(), occurrences(column)));
            shown.insert(frame, row.collect());
        }
        Ok(shown)
    }

    /// Frames of which tshark is known to show something else, as rows of the list say: `| name | frames | … |`.
    pub fn differing(&self) -> BTreeSet<u64> {
        let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = DIFFERENCES.lines().map(cells).filter(|cells| cells.get(1) == Some(&format!("`{}`", self.name)));
        let frames = rows.flat_map(|cells| cells[2].split(' ').map(str::to_owned).collect::<Vec<_>>());
        frames.map(|frame| frame.parse().expect("the number of a frame")).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True if there is something to compare with; says so if not.
pub fn has_tshark() -> bool {
    let is_there = Command::new("tshark").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("tshark is not installed: nothing was compared");
    }
    is_there
}

/// The captures of the folder that `SIPWHY_CAPTURES` names, if it does.
pub fn elsewhere() -> Option<Vec<Compared>> {
    let folder = PathBuf::from(std::env::var_os("SIPWHY_CAPTURES")?);
    let captures = of_folder(&folder);
    assert!(!captures.is_empty(), "there is nothing in {}", folder.display());
    Some(captures)
}

/// The captures beneath a folder, and whatever else lies there.
pub fn of_folder(folder: &Path) -> Vec<Compared> {
    let mut paths = Vec::new();
    beneath(folder, &mut paths);
    let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    paths.into_iter().map(|path| Compared::new(path.clone(), &name(&path))).collect()
}

fn beneath(path: &Path, captures: &mut Vec<PathBuf>) {
    let Ok(entries) = path.read_dir() else { return captures.push(path.to_owned()) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().for_each(|path| beneath(path, captures));
}

/// Compares all, on two threads; gives what is wrong.
pub fn all_wrong(captures: &[Compared], wrong: impl Fn(&Compared) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let take = || captures.get(next.fetch_add(1, Ordering::Relaxed));
    let work = || std::iter::from_fn(take).flat_map(&wrong).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(work));
        threads.into_iter().flat_map(|thread| thread.join().expect("a comparison")).collect()
    })
}
