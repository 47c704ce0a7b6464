//! A message as a story writes it: its start line and the lines beneath.

use crate::story::Error;
use crate::story::digest::{AuthLine, ChallengeLine};
use crate::story::script::copies;
use crate::story::sdp::SdpLine;
use crate::story::words::Words;

/// What a story says of one message.
#[derive(Debug, Default)]
pub(super) struct MessageLine {
    pub from: usize,
    pub to: usize,
    pub seen: Seen,
    /// In the same TCP segment as the message before it.
    pub glued: bool,
    /// The call that the lines around it belong to; empty for the first.
    pub section: String,
    /// The call that is named in brackets.
    pub call: Option<String>,
    /// The other end of the dialog that is named in brackets.
    pub peer: Option<usize>,
    /// The method that is named in brackets: which request a response answers.
    pub answers: Option<String>,
    pub start: StartLine,
    pub changes: Vec<Change>,
    pub sdp: Option<SdpLine>,
    pub auth: Option<AuthLine>,
    pub challenge: Option<ChallengeLine>,
    pub body: Vec<String>,
    /// Bytes in each TCP segment at most.
    pub segment: Option<usize>,
    /// How long after the same TCP segments come again, none of which is acknowledged; `None` if they are.
    pub unacknowledged: Option<Vec<i64>>,
}

/// Whether the capture holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Seen {
    #[default]
    Captured,
    Missed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartLine {
    Request { method: String, uri: Option<String> },
    Response { code: u16, phrase: String },
}

impl Default for StartLine {
    fn default() -> StartLine {
        StartLine::Response { code: 0, phrase: String::new() }
    }
}

/// What a story changes in the completed headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Instead of all of that name that were completed.
    Write(String, String),
    /// Beside them.
    Add(String, String),
    /// None of that name.
    Remove(String),
}

/// Reads `[marks] START-LINE`.
pub(super) fn message(
    number: usize,
    text: &str,
    find: impl Fn(&str) -> Result<usize, Error>,
) -> Result<MessageLine, Error> {
    let mut line = MessageLine::default();
    let mut text = text;
    if let Some(marked) = text.strip_prefix('[') {
        let (marks, rest) =
            marked.split_once(']').ok_or_else(|| Error::new(number, "expected `]` after the marks of the message"))?;
        for mark in marks.split_whitespace() {
            if let Some(peer) = mark.strip_prefix('@') {
                line.peer = Some(find(peer)?);
            } else if mark.bytes().all(|byte| byte.is_ascii_uppercase()) {
                line.answers = Some(mark.to_owned());
            } else {
                line.call = Some(mark.to_owned());
            }
        }
        text = rest.trim_start();
    }
    line.start = start_line(number, text)?;
    Ok(line)
}

fn start_line(number: usize, text: &str) -> Result<StartLine, Error> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    if first.len() == 3 && first.bytes().all(|byte| byte.is_ascii_digit()) {
        let code = first.parse().map_err(|_| Error::new(number, "expected a status code"))?;
        return Ok(StartLine::Response { code, phrase: rest.trim().to_owned() });
    }
    let is_method = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method || rest.trim().contains(' ') {
        let says = "expected a method and a Request-URI, or a status code and a reason phrase";
        return Err(Error::new(number, format!("{says}, found `{text}`")));
    }
    let uri = Some(rest.trim().to_owned()).filter(|uri| !uri.is_empty());
    Ok(StartLine::Request { method: first.to_owned(), uri })
}

/// Reads a line beneath a start line.
pub(super) fn continue_message(message: &mut MessageLine, number: usize, line: &str) -> Result<(), Error> {
    if let Some(text) = line.strip_prefix('|') {
        message.body.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
        return Ok(());
    }
    if let Some(name) = line.strip_prefix('-') {
        message.changes.push(Change::Remove(name.trim().to_owned()));
        return Ok(());
    }
    let mut words = Words::new(number, line);
    match words.next("a header")?.as_str() {
        "sdp" => message.sdp = Some(SdpLine::read(words)?),
        "auth" => message.auth = Some(AuthLine::read(words)?),
        "challenge" => message.challenge = Some(ChallengeLine::read(words)?),
        "split" => {
            let bytes: usize = words.number("the bytes of each segment")?;
            message.segment = Some(bytes.clamp(1, 1460));
            words.end()?;
        }
        "unacknowledged" => message.unacknowledged = Some(copies(number, words.rest())?),
        _ => message.changes.push(header(number, line)?),
    }
    Ok(())
}

fn header(number: usize, line: &str) -> Result<Change, Error> {
    let (added, line) = line.strip_prefix('+').map_or((None, line), |rest| (Some(()), rest));
    let (name, value) = line
        .split_once(':')
        .filter(|(name, _)| !name.trim().is_empty() && !name.trim().contains(' '))
        .ok_or_else(|| {
            let says = "expected a header as `Name: value`, `-Name`, `sdp`, `auth`, `challenge`, `again`, `split` or \
                        a line of the body after `|`";
            Error::new(number, format!("{says}, found `{line}`"))
        })?;
    let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
    Ok(if added.is_some() { Change::Add(name, value) } else { Change::Write(name, value) })
}
