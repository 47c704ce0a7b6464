//! One line of a story, word by word.

use std::net::SocketAddr;

use crate::story::Error;

/// The words of a line. A word in double quotes may hold spaces.
#[derive(Debug)]
pub(super) struct Words<'a> {
    pub line: usize,
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub fn new(line: usize, text: &'a str) -> Words<'a> {
        Words { line, rest: text.trim() }
    }

    /// The next word, `None` at the end of the line.
    pub fn maybe(&mut self) -> Option<String> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (word, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
            self.rest = rest.trim_start();
            return Some(word.to_owned());
        }
        let (word, rest) = self.rest.split_once([' ', '\t']).unwrap_or((self.rest, ""));
        self.rest = rest.trim_start();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// The next word, which must be there.
    pub fn next(&mut self, expected: &str) -> Result<String, Error> {
        self.maybe().ok_or_else(|| Error::new(self.line, format!("expected {expected}, found the end of the line")))
    }

    /// The next word, which must be this one.
    pub fn expect(&mut self, word: &str) -> Result<(), Error> {
        let found = self.next(&format!("`{word}`"))?;
        if found == word {
            return Ok(());
        }
        Err(Error::new(self.line, format!("expected `{word}`, found `{found}`")))
    }

    /// The next word, which must be a number that fits.
    pub fn number<T: std::str::FromStr>(&mut self, expected: &str) -> Result<T, Error> {
        let word = self.next(expected)?;
        word.parse().map_err(|_| Error::new(self.line, format!("expected {expected}, found `{word}`")))
    }

    /// What is left, as it is written.
    pub fn rest(&self) -> &'a str {
        self.rest
    }

    /// Nothing may be left.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.maybe() {
            None => Ok(()),
            Some(word) => Err(Error::new(self.line, format!("expected the end of the line, found `{word}`"))),
        }
    }
}

/// Seconds with up to six digits before and after the point, in microseconds.
pub(super) fn micros(line: usize, text: &str) -> Result<i64, Error> {
    let wrong = || {
        let says = "expected seconds with at most six digits before and after the point, as 0.004";
        Error::new(line, format!("{says}, found `{text}`"))
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(seconds) || !all_digits(fraction) || seconds.len() > 6 || fraction.len() > 6 {
        return Err(wrong());
    }
    let seconds: i64 = seconds.parse().map_err(|_| wrong())?;
    let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
    Ok(seconds * 1_000_000 + fraction)
}

/// The same with an optional sign.
pub(super) fn micros_signed(line: usize, text: &str) -> Result<i64, Error> {
    match text.strip_prefix('-') {
        Some(magnitude) => micros(line, magnitude).map(|micros| -micros),
        None => micros(line, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// An address and a port.
pub(super) fn address(line: usize, text: &str) -> Result<SocketAddr, Error> {
    text.parse().map_err(|_| {
        let says = "expected an address and port, as 192.0.2.10:5060 or [2001:db8::10]:5060";
        Error::new(line, format!("{says}, found `{text}`"))
    })
}
