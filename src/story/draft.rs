//! A message while it is being completed: headers in order, and a body.

use crate::story::script_line::Change;

/// A message that can still be changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Draft {
    pub fn new(start: String) -> Draft {
        Draft { start, ..Draft::default() }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| is_same(found, name)).map(|(_, value)| value.as_str())
    }

    /// Every header of this name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.headers.iter().filter(|(found, _)| is_same(found, name)).map(|(_, value)| value.clone()).collect()
    }

    /// Appends a header.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Puts a header before all others of its name, or at the top.
    pub fn push_first(&mut self, name: &str, value: impl Into<String>) {
        let place = self.headers.iter().position(|(found, _)| is_same(found, name)).unwrap_or(0);
        self.headers.insert(place, (name.to_owned(), value.into()));
    }

    /// Replaces the first header of this name, or appends it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.headers.iter_mut().find(|(found, _)| is_same(found, name)) {
            Some((_, old)) => *old = value.into(),
            None => self.push(name, value),
        }
    }

    /// Removes the first header of this name.
    pub fn remove_first(&mut self, name: &str) {
        if let Some(place) = self.headers.iter().position(|(found, _)| is_same(found, name)) {
            self.headers.remove(place);
        }
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(found, _)| !is_same(found, name));
    }

    /// Applies what a story writes. What it writes stands where the completed header stood.
    pub fn apply(&mut self, changes: &[Change]) {
        let mut written: Vec<&str> = Vec::new();
        for change in changes {
            match change {
                Change::Remove(name) => self.remove(name),
                Change::Add(name, value) => self.insert_after_last(name, value),
                Change::Write(name, value) if written.iter().any(|done| is_same(done, name)) => {
                    self.insert_after_last(name, value);
                }
                Change::Write(name, value) => {
                    let place = self.headers.iter().position(|(found, _)| is_same(found, name));
                    self.remove(name);
                    let place = place.unwrap_or(self.headers.len());
                    self.headers.insert(place, (name.clone(), value.clone()));
                    written.push(name);
                }
            }
        }
    }

    fn insert_after_last(&mut self, name: &str, value: &str) {
        let place = self.headers.iter().rposition(|(found, _)| is_same(found, name));
        let place = place.map_or(self.headers.len(), |place| place + 1);
        self.headers.insert(place, (name.to_owned(), value.to_owned()));
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// True for two spellings of one header (RFC 3261 §7.3.1, §7.3.3).
pub(super) fn is_same(one: &str, other: &str) -> bool {
    long_name(one).eq_ignore_ascii_case(long_name(other))
}

fn long_name(name: &str) -> &str {
    match name {
        "c" => "Content-Type",
        "e" => "Content-Encoding",
        "f" => "From",
        "i" => "Call-ID",
        "k" => "Supported",
        "l" => "Content-Length",
        "m" => "Contact",
        "o" => "Event",
        "r" => "Refer-To",
        "s" => "Subject",
        "t" => "To",
        "u" => "Allow-Events",
        "v" => "Via",
        "x" => "Session-Expires",
        "b" => "Referred-By",
        _ => name,
    }
}

/// The value of a parameter of a header: `tag` of `<sip:a@b>;tag=1`.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let parameters = value.rsplit_once('>').map_or(value, |(_, parameters)| parameters);
    parameters.split(';').find_map(|part| {
        let (found, value) = part.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The URI of a header value: what stands between the angle brackets, or before the parameters.
pub(super) fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(uri, _)| uri),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// The user part of a SIP URI.
pub(super) fn user_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once(':')?;
    rest.split_once('@').map(|(user, _)| user)
}
