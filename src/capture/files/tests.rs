//! Files in any order, cut, broken, empty and repeated.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::capture::written::Pcap;
use crate::capture::written::Pcapng;
use crate::capture::written::T0;
use crate::capture::written::read_files;

/// Writes each piece as a file of its own: packets are (microseconds, mark).
fn write(folder: &TempDir, pieces: &[(String, Vec<(u32, u32)>)]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (name, packets) in pieces {
        let mut file = Pcap::new();
        for (time, mark) in packets {
            file = file.packet(T0 + time / 1000, time % 1000, &mark.to_le_bytes());
        }
        paths.push(folder.path().join(name));
        fs::write(folder.path().join(name), &file.bytes).unwrap();
    }
    paths
}

fn marks(paths: &[PathBuf]) -> Vec<u32> {
    let (seen, _) = read_files(paths, Reading::default());
    seen.iter().map(|it| u32::from_le_bytes(*it.bytes.first_chunk().unwrap())).collect()
}

fn open(paths: &[PathBuf]) -> Result<Files, Error> {
    Files::open(paths, Reading::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_contiguous_pieces_of_a_capture_give_the_capture_in_any_order_of_the_files(
        steps in prop::collection::vec(0u32..3, 1..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut time = 0;
        let packets: Vec<_> = steps.iter().zip(0..).map(|(step, mark)| { time += step; (time, mark) }).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(packets.len())).collect();
        cuts.extend([0, packets.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).enumerate()
            .map(|(number, ends)| (format!("piece{number}.pcap"), packets[ends[0]..ends[1]].to_vec()))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let mut paths = write(&folder, &pieces);
        let middle = seed.index(paths.len());
        paths.rotate_left(middle);
        let half = paths.len() / 2;
        paths[half..].reverse();
        prop_assert_eq!(marks(&paths), (0..packets.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn packets_dealt_out_to_several_files_come_back_in_order(
        steps in prop::collection::vec((1u32..2000, 0usize..5), 1..60),
    ) {
        let mut pieces: Vec<_> = (0..5).map(|number| (format!("{}.pcap", 9 - number), Vec::new())).collect();
        let mut time = 0;
        for ((step, piece), mark) in steps.iter().zip(0..) {
            time += step;
            pieces[*piece].1.push((time, mark));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut paths = write(&folder, &pieces);
        let wanted: Vec<_> = (0..steps.len() as u32).collect();
        prop_assert_eq!(marks(&paths), wanted.clone());
        paths.reverse();
        prop_assert_eq!(marks(&paths), wanted);
    }
}

#[test]
fn a_clock_that_goes_back_does_not_reorder_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let one = ("one".into(), vec![(1000, 0), (5000, 1), (2000, 2), (6000, 5)]);
    let paths = write(&folder, &[one, ("two".into(), vec![(5500, 3), (5600, 4)])]);
    assert_eq!(marks(&paths), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_piece_within_one_moment_comes_before_the_piece_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(&folder, &[("a".into(), vec![(7, 2), (8, 3)]), ("b".into(), vec![(7, 0), (7, 1)])]);
    assert_eq!(marks(&paths), [0, 1, 2, 3]);
}

#[test]
fn hundreds_of_overlapping_files_are_read_with_few_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let piece = |number: u32| (format!("{number}.pcap"), (0..5).map(|turn| (turn * 300 + number, turn)).collect());
    let pieces: Vec<_> = (0..300).map(piece).collect();
    let mut paths = write(&folder, &pieces);
    paths.reverse();
    let mut files = open(&paths).unwrap();
    let (mut before, mut most_open) = (Timestamp(0), 0);
    for count in 0.. {
        let Some(Input::Packet(packet)) = files.next().unwrap() else {
            assert_eq!(count, 1500);
            break;
        };
        assert!(packet.time >= before);
        before = packet.time;
        if count % 100 == 0 {
            let open = fs::read_dir("/proc/self/fd").map_or(0, |open| {
                let inside = |entry: fs::DirEntry| fs::read_link(entry.path()).ok()?.starts_with(&folder).then_some(());
                open.filter_map(|entry| inside(entry.ok()?)).count()
            });
            most_open = most_open.max(open);
        }
    }
    assert!(most_open <= 1, "{most_open} files stayed open");
}

#[test]
fn a_folder_stands_for_its_captures_and_says_what_it_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &[("b.pcap".into(), vec![(1, 1)]), ("a.cap".into(), vec![(2, 2)])]);
    fs::write(folder.path().join("notes.txt"), "nothing to see\n").unwrap();
    fs::create_dir(folder.path().join("older")).unwrap();
    let given = [folder.path().to_owned(), folder.path().join("b.pcap")];
    assert_eq!(marks(&given), [1, 2]);
    let files = open(&given).unwrap();
    let left_out: Vec<_> = files.skipped().iter().map(|it| it.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(left_out, ["b.pcap", "notes.txt"]);
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    for (given, wanted) in [
        (folder.path().to_owned(), "is not a capture: a folder without files"),
        (folder.path().join("missing.pcap"), "cannot open the capture"),
        (PathBuf::from("/dev/null"), "is not a capture: the file is empty"),
    ] {
        let said = open(&[given]).err().expect("an error").to_string();
        assert!(said.contains(wanted), "{said}");
    }
    fs::write(&text, "nothing to see\n").unwrap();
    let paths = [write(&folder, &[("a".into(), vec![(1, 1)])]).remove(0), text];
    assert!(open(&paths).err().expect("an error").to_string().contains("notes.txt is not a capture"));
}

#[test]
fn the_hash_is_that_of_the_stored_bytes_up_to_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    fs::write(&path, [&Pcap::new().packet(T0, 0, b"abc").bytes[..], &[0xff; 33]].concat()).unwrap();
    let reading = Reading { digest: Digest::Sha256, ..Reading::default() };
    let (_, facts) = read_files(std::slice::from_ref(&path), reading);
    let mut whole = crate::capture::stored::Stored::open(&path, Digest::Sha256, Between::Open).unwrap();
    assert_eq!(facts[0].sha256, whole.finish_hash());
    assert_eq!(facts[0].sha256.as_ref().map(String::len), Some(64));
    let (_, unasked) = read_files(&[path], Reading::default());
    assert_eq!(unasked[0].sha256, None);
}

#[cfg(unix)]
#[test]
fn a_pipe_and_a_file_are_merged_too() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(&folder, &[("even".into(), vec![(0, 0), (2, 2)]), ("odd".into(), vec![(1, 1), (3, 3)])]);
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (bytes, to) = (fs::read(&paths[1]).unwrap(), pipe.clone());
    let writer = std::thread::spawn(move || fs::write(to, bytes));
    let reading = Reading { digest: Digest::Sha256, ..Reading::default() };
    let (seen, facts) = read_files(&[pipe, paths[0].clone()], reading);
    assert_eq!(seen.iter().map(|it| it.bytes[0]).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let (_, of_file) = read_files(&paths[1..], reading);
    assert_eq!(facts[1].sha256, of_file[0].sha256);
    writer.join().unwrap().unwrap();
}

#[test]
fn progress_ends_where_the_files_end() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(&folder, &[("a".into(), vec![(1, 1), (3, 3)]), ("b".into(), vec![(2, 2)])]);
    let mut files = open(&paths).unwrap();
    assert_eq!(files.progress(), Progress { bytes_in_all: Some(24 * 2 + 3 * 20), ..Progress::default() });
    while files.next().unwrap().is_some() {}
    assert_eq!(files.progress().bytes_read, 24 * 2 + 3 * 20);
}

#[test]
fn a_capture_without_packets_is_still_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = write(&folder, &[("a.pcap".into(), vec![(1, 1)]), ("empty.pcap".into(), Vec::new())]);
    paths.push(folder.path().join("empty.pcapng"));
    fs::write(&paths[2], &Pcapng::new().interface(1, 0, &[]).bytes).unwrap();
    let (seen, facts) = read_files(&paths, Reading::default());
    assert_eq!(seen.len(), 1);
    let told: Vec<_> = facts.iter().map(|it| (it.format.as_str(), it.packets)).collect();
    assert_eq!(told.len(), 3);
    assert!(told.contains(&("pcapng", 0)) && told.contains(&("pcap", 1)));
}
