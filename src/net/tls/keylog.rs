//! Secrets of TLS, as programs write them to a key log
//! (<https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html>).
//!
//! Is given the text of key logs; gives the secret for a client's random, and remembers those of TLS 1.2 that may be
//! resumed. Deliberately never shows a secret: not in `Debug`, not in a complaint about a line.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;

use sha2::Digest;
use sha2::Sha256;

/// The random of a client hello (RFC 8446 §4.1.2).
pub(super) type Random = [u8; 32];

/// What may be resumed is known by the hash of its session ID or ticket, whatever its length.
pub(super) type Resumable = [u8; 32];

/// For what a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// The master secret of TLS up to 1.2.
    Master,
    /// What a client sends before it has an answer (RFC 8446 §7.1).
    ClientEarly,
    /// The client's handshake.
    ClientHandshake,
    /// The server's handshake.
    ServerHandshake,
    /// What the client sends behind the handshake.
    ClientTraffic,
    /// What the server sends behind the handshake.
    ServerTraffic,
}

/// Bytes of the longest secret: the master secret, and the output of SHA-384.
const LONGEST: usize = 48;

/// One secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret {
    bytes: [u8; LONGEST],
    length: u8,
}

impl Secret {
    /// A secret of at most 48 bytes.
    pub(super) fn new(bytes: &[u8]) -> Option<Secret> {
        let mut secret = Secret { bytes: [0; LONGEST], length: u8::try_from(bytes.len()).ok()? };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.length)
    }
}

/// A line of a key log that could not be used. It does not hold the line: that may be a secret with a slip in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it: a clause that begins in lower case.
    pub why: &'static str,
}

/// The secrets that are known.
#[derive(Default)]
pub struct KeyLog {
    secrets: HashMap<(Random, Label), Secret>,
    /// Master secrets by the session IDs and tickets that stand for them.
    resumable: HashMap<Resumable, Secret>,
    /// Secrets for which there was no room.
    left_out: u64,
    /// Randoms for which a secret was asked for in vain.
    missed: HashSet<Random>,
    came_late: bool,
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLog({} secrets)", self.secrets.len())
    }
}

impl KeyLog {
    /// Secrets that are kept. Each takes about a hundred bytes.
    pub const MOST: usize = 500_000;
    /// Randoms without a secret that are remembered.
    const MOST_MISSED: usize = 100_000;
    /// Session IDs and tickets that are kept.
    const MOST_RESUMABLE: usize = 100_000;

    /// True if no secret is known.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.resumable.is_empty()
    }

    /// Secrets that were not kept because there were too many.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes in the text of a key log, and gives the lines that could not be used. Lines with secrets of other
    /// protocols (QUIC, ECH, exporters) are passed over.
    pub fn read(&mut self, text: &[u8]) -> Vec<BadLine> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).zip(1_u64..);
        lines.filter_map(|(line, number)| Some(BadLine { line: number, why: self.line(line).err()? })).collect()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(label), Some(first), Some(second), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("it is no label with two values");
        };
        let label = match label {
            b"CLIENT_RANDOM" => Label::Master,
            b"CLIENT_EARLY_TRAFFIC_SECRET" => Label::ClientEarly,
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
            b"CLIENT_TRAFFIC_SECRET_0" => Label::ClientTraffic,
            b"SERVER_TRAFFIC_SECRET_0" => Label::ServerTraffic,
            b"RSA" => return self.rsa(first, second),
            other if is_label(other) => return Ok(()),
            _ => return Err("it does not begin with a label"),
        };
        let random = hex(first).ok_or("its client random is not hexadecimal")?;
        let random =
            *random.first_chunk::<32>().filter(|_| random.len() == 32).ok_or("its client random is not of 32 bytes")?;
        let secret = hex(second).ok_or("its secret is not hexadecimal")?;
        let lengths: &[usize] = if label == Label::Master { &[48] } else { &[32, 48] };
        let secret = Secret::new(&secret).filter(|_| lengths.contains(&secret.len()));
        let secret = secret.ok_or("its secret has not the length that its label asks for")?;
        if self.secrets.len() >= KeyLog::MOST && !self.secrets.contains_key(&(random, label)) {
            self.left_out = self.left_out.saturating_add(1);
            return Ok(());
        }
        self.came_late |= self.missed.contains(&random);
        self.secrets.insert((random, label), secret);
        Ok(())
    }

    /// `RSA Session-ID:… Master-Key:…`, as openssl's `s_client` prints them.
    fn rsa(&mut self, first: &[u8], second: &[u8]) -> Result<(), &'static str> {
        let (Some(id), Some(master)) = (first.strip_prefix(b"Session-ID:"), second.strip_prefix(b"Master-Key:")) else {
            // A premaster secret. OpenSSL writes the master secret too, in a line of its own.
            return hex(first).zip(hex(second)).map(|_| ()).ok_or("its secret is not hexadecimal");
        };
        let id = hex(id).ok_or("its session ID is not hexadecimal")?;
        let master = hex(master).filter(|master| master.len() == 48).ok_or("its master key is not of 48 bytes")?;
        let master = Secret::new(&master).ok_or("its master key is not of 48 bytes")?;
        self.remember(resumable(&id), master);
        Ok(())
    }

    /// True if a secret was learned after records that need it had passed: another reading would show more.
    pub fn came_late(&self) -> bool {
        self.came_late
    }

    /// The same secrets for another reading.
    pub fn for_another_reading(self) -> KeyLog {
        KeyLog { missed: HashSet::new(), came_late: false, ..self }
    }

    /// Remembers that a secret for a client's random was asked for in vain.
    pub(super) fn miss(&mut self, random: &Random) {
        if self.missed.len() < KeyLog::MOST_MISSED {
            self.missed.insert(*random);
        }
    }

    /// The secret for a client's random.
    pub(super) fn secret(&self, random: &Random, label: Label) -> Option<Secret> {
        self.secrets.get(&(*random, label)).copied()
    }

    /// Remembers by what a master secret may be resumed (RFC 5246 §F.1.4, RFC 5077).
    pub(super) fn remember(&mut self, id: Resumable, master: Secret) {
        if self.resumable.len() < KeyLog::MOST_RESUMABLE || self.resumable.contains_key(&id) {
            self.resumable.insert(id, master);
        }
    }

    /// The master secret that is resumed.
    pub(super) fn resumed(&self, id: &Resumable) -> Option<Secret> {
        self.resumable.get(id).copied()
    }
}

/// By what a session ID or ticket is known.
pub(super) fn resumable(id: &[u8]) -> Resumable {
    Sha256::digest(id).into()
}

fn is_label(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_bad_ones_named() {
        let random = "0a".repeat(32);
        let text = format!(
            "\u{FEFF}# of a client\r\nCLIENT_RANDOM {random} {}\r\n\r\nSERVER_TRAFFIC_SECRET_0 {random} \
             {}\nCLIENT_RANDOM {random}\nCLIENT_RANDOM {random} {}\nCLIENT_RANDOM xy zz\nEXPORTER_SECRET {random} \
             00\nrandom words here\nCLIENT_TRAFFIC_SECRET_0 {} 00\nRSA 0102 03x4\nRSA Session-ID:0102 Master-Key:{}",
            "0B".repeat(48),
            "0c".repeat(32),
            "0b".repeat(32),
            "0a".repeat(31),
            "0d".repeat(48),
        );
        let mut log = KeyLog::default();
        let lines: Vec<u64> = log.read(text.as_bytes()).iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [5, 6, 7, 9, 10, 11]);
        assert_eq!(log.secret(&[10; 32], Label::Master).unwrap().bytes(), [11; 48]);
        assert_eq!(log.secret(&[10; 32], Label::ServerTraffic).unwrap().bytes(), [12; 32]);
        assert_eq!(log.secret(&[10; 32], Label::ClientTraffic), None);
        assert_eq!(log.resumed(&resumable(&[1, 2])).unwrap().bytes(), [13; 48]);
    }

    #[test]
    fn no_secret_is_shown() {
        let mut log = KeyLog::default();
        log.read(format!("CLIENT_RANDOM {} {}", "0a".repeat(32), "0b".repeat(48)).as_bytes());
        assert_eq!(
            format!("{log:?} {:?}", log.secret(&[10; 32], Label::Master)),
            "KeyLog(1 secrets) Some(Secret(48 bytes))"
        );
    }
}
