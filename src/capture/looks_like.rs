//! What a file that is no capture looks like, and what to do about it.

use crate::capture::file::is_cut_header;

/// First bytes of files that people take for captures, what they are, and what to do.
const KNOWN: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "an ELF program or library"),
    (b"MZ", "a Windows program"),
    (b"PK\x03\x04", "a ZIP archive or an office document; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it first: xz -d"),
    (b"BZh", "a bzip2 file; unpack it first: bunzip2"),
    (b"\x1f\x8b", "a gzip file inside another one; unpack it first: gunzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd file inside another one; unpack it first: zstd -d"),
    (b"\x04\x22\x4d\x18", "an lz4 file inside another one; unpack it first: lz4 -d"),
    (b"\x1f\x9d", "a compress file; unpack it first: uncompress"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"GMBU", "a Microsoft Network Monitor capture; convert it first: editcap -F pcapng IN OUT"),
    (b"RTSS", "a Microsoft Network Monitor 1 capture; convert it first: editcap -F pcapng IN OUT"),
    (b"iptrace ", "an AIX iptrace capture; convert it first: editcap -F pcapng IN OUT"),
    (b"TRSNIFF data", "a Sniffer capture; convert it first: editcap -F pcapng IN OUT"),
    (b"XCP\x00", "a NetXRay or Sniffer capture; convert it first: editcap -F pcapng IN OUT"),
    (b"ObserverPktBuffe", "an Observer capture; convert it first: editcap -F pcapng IN OUT"),
    (b"\x7fver", "an EtherPeek capture; convert it first: editcap -F pcapng IN OUT"),
    (b"\xaa\xaa\xaa\xaa", "a 5Views capture; convert it first: editcap -F pcapng IN OUT"),
    (b"\x05VNF", "a Visual Networks capture; convert it first: editcap -F pcapng IN OUT"),
    (b"TR\x00\x64", "an HP-UX nettl capture; convert it first: editcap -F pcapng IN OUT"),
    (b"\x01\x10\x4c\x00", "a LANalyzer capture; convert it first: editcap -F pcapng IN OUT"),
    (b"btsnoop\x00", "a Bluetooth log"),
    (b"snoop\x00\x00\x00", "a snoop capture whose header is cut short or damaged"),
    (b"\x0a\x0d\x0d\x0a", "a pcapng file whose first block is damaged: its byte order cannot be told"),
];

/// One clause: what it looks like, and what to do where that is known.
pub(super) fn looks_like(head: &[u8]) -> String {
    if head.is_empty() {
        return "the file is empty (0 bytes)".into();
    }
    if is_cut_header(head) {
        return format!(
            "the header of a capture file is truncated: only {} bytes are there; capture or copy it again",
            head.len()
        );
    }
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("it looks like {what}");
    }
    if let Some(what) = text(head) {
        return format!("it looks like {what}");
    }
    if head.iter().all(|byte| *byte == 0) {
        return "it begins with nothing but zero bytes".into();
    }
    if let [a, b, c, d, ..] = head {
        return format!(
            "unknown file format, it begins with the bytes {a:02x} {b:02x} {c:02x} {d:02x}; if Wireshark opens it: \
             editcap -F pcapng IN OUT"
        );
    }
    format!("unknown file format of {} bytes", head.len())
}

/// What kind of text it is, `None` if it is none.
fn text(head: &[u8]) -> Option<&'static str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | b' '..=b'~' | 0x80..);
    if !head.iter().all(is_text) || String::from_utf8_lossy(head).chars().filter(|it| *it == '\u{fffd}').count() > 3 {
        return None;
    }
    let start = head.trim_ascii_start();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n');
    let begins_with = |what: &[u8]| start.get(..what.len()).is_some_and(|it| it.eq_ignore_ascii_case(what));
    if [&b"1MOyo"[..], b"obLD1", b"Cg0NC", b"TTyyo", b"obI8T", b"H4sI"].iter().any(|it| start.starts_with(it)) {
        return Some("a capture in base64; decode it first: base64 -d IN > OUT");
    }
    if begins_with(b"<!doctype html") || begins_with(b"<html") {
        return Some("an HTML page; perhaps the download needs a login");
    }
    if begins_with(b"<?xml") || begins_with(b"<pdml") || begins_with(b"<psml") {
        return Some("an XML document; a capture is needed, not what was printed of it");
    }
    if matches!(start.first(), Some(b'{' | b'[')) {
        return Some("a JSON document; a capture is needed, not what was printed of it");
    }
    if start.starts_with(b"SIP/2.0 ") || head.windows(9).take(256).any(|it| it == b" SIP/2.0\r" || it == b" SIP/2.0\n")
    {
        return Some("the text of SIP messages; make a capture of it first: text2pcap");
    }
    if start.starts_with(b"0000") {
        return Some("a hex dump; make a capture of it first: text2pcap IN OUT");
    }
    if start.len() > 64 && start.iter().all(is_base64) && start.iter().take(60).all(|it| !it.is_ascii_whitespace()) {
        return Some("base64 text; decode it first: base64 -d IN > OUT");
    }
    Some("text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_mistake_for_captures_is_named() {
        let cases: [(&[u8], &str); 8] = [
            (b"", "empty"),
            (b"\xd4\xc3\xb2\xa1\x02\x00", "truncated"),
            (b"this is not a capture\n", "text"),
            (b"1MOyoQIABAAAAAAAAAAAAAAABAABAAAA", "base64 -d"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\0", "PNG"),
            (b"\x7fELF\x02\x01", "ELF"),
            (b"GMBU\x00\x02", "editcap"),
            (b"\x01\x02\x03\x04\x05", "01 02 03 04"),
        ];
        for (head, wanted) in cases {
            let said = looks_like(head);
            assert!(said.contains(wanted), "{said} should say {wanted}");
        }
    }
}
