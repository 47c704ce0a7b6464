//! What a story does not say of a request, completed as RFC 3261 would have it.
//!
//! Knows how a UAC, a proxy and a UAS fill in headers. Is given the lines of a story in order; gives messages.
//! Deliberately does not know packets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::net::Transport;
use crate::story::Error;
use crate::story::digest::digits;
use crate::story::draft::{Draft, is_same, parameter, uri as uri_of};
use crate::story::ledger::{Call, Dialog, Exchange, Ledger, Stage};
use crate::story::script::Actor;
use crate::story::script_line::{Change, MessageLine, StartLine};
use crate::story::sdp::SdpLine;

/// Completes the messages of a story, one after the other.
#[derive(Debug)]
pub(super) struct Completion<'a> {
    pub actors: &'a [Actor],
    pub ledger: Ledger,
    pub title: &'a str,
    pub counter: u32,
    /// Where the packets of each request came from: a TCP client speaks from another port than it listens on.
    pub sources: BTreeMap<usize, SocketAddr>,
}

/// A request before its story's own words are applied.
struct Begun {
    draft: Draft,
    uri: String,
    cseq: u32,
    call: usize,
    parent: Option<usize>,
}

impl Completion<'_> {
    /// Begins with nothing said.
    pub fn new<'a>(actors: &'a [Actor], title: &'a str) -> Completion<'a> {
        Completion { actors, ledger: Ledger::default(), title, counter: 0, sources: BTreeMap::new() }
    }

    /// The message of one line, which leaves from `source`.
    pub fn message(&mut self, number: usize, line: &MessageLine, source: SocketAddr) -> Result<Draft, Error> {
        match &line.start {
            StartLine::Request { method, uri } => {
                let draft = self.request(number, line, method, uri.as_deref())?;
                self.sources.insert(self.ledger.exchanges.len() - 1, source);
                Ok(draft)
            }
            StartLine::Response { code, phrase } => self.response(number, line, *code, phrase),
        }
    }

    fn request(&mut self, number: usize, line: &MessageLine, method: &str, uri: Option<&str>) -> Result<Draft, Error> {
        let begun = match method {
            "CANCEL" => self.cancel(number, line)?,
            "ACK" => self.ack(number, line, uri)?,
            _ => match self.ledger.received(line.from, line.to, method, self.call_sought(line, method)) {
                Some(parent) => self.forward(parent, line, uri),
                None => self.originate(number, line, method, uri)?,
            },
        };
        let Begun { mut draft, uri, cseq, call, parent } = begun;
        let mut offer = parent.and_then(|parent| self.ledger.exchanges[parent].offer.clone());
        let description = line.sdp.clone().or_else(|| self.default_description(line, method, call, parent));
        if let Some(sdp) = description
            && line.body.is_empty()
        {
            self.describe(&mut draft, sdp.clone(), call, line.from);
            offer = Some(sdp).filter(|_| method != "ACK");
        }
        if let Some(auth) = &line.auth {
            self.authorise(number, &mut draft, auth, line.from, method, &uri)?;
        }
        self.finish(number, &mut draft, line)?;
        let outside_dialog = draft.header("To").is_none_or(|to| parameter(to, "tag").is_none());
        self.ledger.exchanges.push(Exchange {
            call,
            from: line.from,
            to: line.to,
            method: method.to_owned(),
            uri,
            cseq,
            sent: draft.clone(),
            parent,
            answers: Vec::new(),
            outside_dialog,
            acked: false,
            offer,
        });
        Ok(draft)
    }

    /// The call in which a line looks for what came before: the one it names; for what goes by itself, any.
    fn call_sought(&self, line: &MessageLine, method: &str) -> Option<usize> {
        let name = match &line.call {
            Some(name) => name.as_str(),
            None if matches!(method, "REGISTER" | "OPTIONS") => return None,
            None => line.section.as_str(),
        };
        // A call that nobody has begun yet holds nothing: no number of a call fits.
        Some(self.ledger.calls.iter().position(|call| call.name == name).unwrap_or(usize::MAX))
    }

    /// The call that a line names.
    fn call_named(&self, line: &MessageLine) -> Option<usize> {
        let name = line.call.as_ref()?;
        Some(self.ledger.calls.iter().position(|call| call.name == *name).unwrap_or(usize::MAX))
    }

    fn begin_call(&mut self, line: &MessageLine, method: &str) -> usize {
        let name = match (&line.call, method) {
            (Some(name), _) => name.clone(),
            (None, "REGISTER") => format!("registration of {}", self.actors[line.from].name),
            (None, "OPTIONS") => format!("probe {}", self.counter),
            _ => line.section.clone(),
        };
        if let Some(call) = self.ledger.calls.iter().position(|call| call.name == name) {
            return call;
        }
        let host = self.actors[line.from].says.ip();
        let id = format!("{}@{host}", self.digits(&["call-id", &name, &self.actors[line.from].name.clone()], 16));
        self.ledger.calls.push(Call { name, id, cseq: Default::default(), sdp: Default::default() });
        self.ledger.calls.len() - 1
    }

    /// CANCEL repeats its INVITE's Request-URI, Call-ID, To, From, CSeq number, Route and topmost Via (§9.1).
    fn cancel(&mut self, number: usize, line: &MessageLine) -> Result<Begun, Error> {
        let call = self.call_named(line);
        let fits = |exchange: &Exchange| exchange.method == "INVITE" && call.is_none_or(|call| call == exchange.call);
        let invite = self
            .ledger
            .newest(line.from, line.to, |exchange| fits(exchange) && exchange.waits())
            .or_else(|| self.ledger.newest(line.from, line.to, fits))
            .ok_or_else(|| self.nothing_before(number, line, "an INVITE for this CANCEL"))?;
        let to = self.ledger.exchanges[invite].sent.header("To").unwrap_or_default().to_owned();
        Ok(self.hop_request(invite, "CANCEL", to, line.from))
    }

    /// ACK: hop by hop for a refusal (§17.1.1.3), from end to end for a 2xx (§13.2.2.4).
    fn ack(&mut self, number: usize, line: &MessageLine, uri: Option<&str>) -> Result<Begun, Error> {
        let named = self.call_named(line);
        let refused = self.ledger.newest(line.from, line.to, |exchange| {
            exchange.method == "INVITE"
                && named.is_none_or(|call| call == exchange.call)
                && !exchange.acked
                && exchange.final_code().is_some_and(|code| code >= 300)
        });
        if let Some(invite) = refused.filter(|_| line.peer.is_none()) {
            let exchange = &mut self.ledger.exchanges[invite];
            exchange.acked = true;
            let answer = exchange.answers.iter().rev().find(|answer| answer.code >= 300);
            let to = answer.and_then(|answer| answer.draft.header("To")).unwrap_or_default().to_owned();
            return Ok(self.hop_request(invite, "ACK", to, line.from));
        }
        let answered = self.ledger.newest(line.from, line.to, |exchange| {
            exchange.method == "INVITE"
                && named.is_none_or(|call| call == exchange.call)
                && exchange.final_code().is_some_and(|code| code < 300)
        });
        let call = named
            .or_else(|| answered.map(|invite| self.ledger.exchanges[invite].call))
            .or_else(|| self.call_awaiting_ack(line))
            .or_else(|| self.call_sought(line, "ACK"));
        if let Some(parent) = self.ledger.received(line.from, line.to, "ACK", call) {
            return Ok(self.forward(parent, line, uri));
        }
        let dialog = call.and_then(|call| self.ledger.dialog(call, line.from, line.peer, line.to));
        let Some(dialog) = dialog.filter(|dialog| self.ledger.dialogs[*dialog].stage == Stage::Confirmed) else {
            return Err(self.nothing_before(number, line, "a final response to an INVITE for this ACK"));
        };
        self.ledger.dialogs[dialog].awaits_ack = false;
        let dialog = self.ledger.dialogs[dialog].clone();
        Ok(self.in_dialog(line, "ACK", uri, &dialog, dialog.invite_cseq))
    }

    /// The call of the newest 2xx that this actor has not acknowledged.
    fn call_awaiting_ack(&self, line: &MessageLine) -> Option<usize> {
        let mine = |dialog: &&Dialog| {
            dialog.owner == line.from && dialog.awaits_ack && line.peer.is_none_or(|peer| peer == dialog.peer)
        };
        self.ledger.dialogs.iter().rev().find(mine).map(|dialog| dialog.call)
    }

    fn hop_request(&mut self, invite: usize, method: &str, to: String, from: usize) -> Begun {
        let exchange = &self.ledger.exchanges[invite];
        let sent = &exchange.sent;
        let mut draft = Draft::new(format!("{method} {} SIP/2.0", exchange.uri));
        draft.push("Via", sent.header("Via").unwrap_or_default());
        for route in sent.headers("Route") {
            draft.push("Route", route);
        }
        draft.push("Max-Forwards", "70");
        draft.push("From", sent.header("From").unwrap_or_default());
        draft.push("To", to);
        draft.push("Call-ID", sent.header("Call-ID").unwrap_or_default());
        draft.push("CSeq", format!("{} {method}", exchange.cseq));
        if let Some(agent) = &self.actors[from].agent {
            draft.push("User-Agent", agent.clone());
        }
        Begun { uri: exchange.uri.clone(), cseq: exchange.cseq, call: exchange.call, parent: None, draft }
    }

    /// What a proxy changes in a request (§16.6).
    fn forward(&mut self, parent: usize, line: &MessageLine, uri: Option<&str>) -> Begun {
        let actor = &self.actors[line.from];
        let exchange = &self.ledger.exchanges[parent];
        let (call, cseq, method) = (exchange.call, exchange.cseq, exchange.method.clone());
        let uri = uri.unwrap_or(&exchange.uri).to_owned();
        let mut draft = exchange.sent.clone();
        if let Some(via) = draft.header("Via") {
            let via = self.via_received(parent, via);
            draft.set("Via", via);
        }
        draft.start = format!("{method} {uri} SIP/2.0");
        let hops = draft.header("Max-Forwards").and_then(|hops| hops.trim().parse::<u32>().ok());
        draft.set("Max-Forwards", hops.map_or(70, |hops| hops.saturating_sub(1)).to_string());
        let own = actor.says.to_string();
        if draft.header("Route").is_some_and(|route| route.contains(&own)) {
            draft.remove_first("Route");
        }
        if actor.record_route && parameter(draft.header("To").unwrap_or_default(), "tag").is_none() {
            let transport = if actor.transport == Transport::Tcp { ";transport=tcp" } else { "" };
            draft.push_first("Record-Route", format!("<sip:{own}{transport};lr>"));
        }
        let via = self.via(line, &method);
        draft.push_first("Via", via);
        Begun { draft, uri, cseq, call, parent: Some(parent) }
    }

    /// What a UAC writes into a request (§8.1.1, §10.2, §12.2.1.1).
    fn originate(
        &mut self,
        number: usize,
        line: &MessageLine,
        method: &str,
        uri: Option<&str>,
    ) -> Result<Begun, Error> {
        let call = self.begin_call(line, method);
        let dialog = match method {
            "REGISTER" => None,
            _ => self.ledger.dialog(call, line.from, line.peer, line.to),
        };
        let dialog = dialog
            .map(|dialog| self.ledger.dialogs[dialog].clone())
            .filter(|dialog| method != "INVITE" || dialog.stage != Stage::Failed);
        if dialog.is_none() && matches!(method, "BYE" | "UPDATE" | "PRACK" | "INFO") {
            return Err(self.nothing_before(number, line, "a dialog for this request"));
        }
        let cseq = self.ledger.calls[call].cseq.entry(line.from).or_insert(0);
        *cseq += 1;
        let cseq = *cseq;
        if let Some(dialog) = dialog {
            return Ok(self.in_dialog(line, method, uri, &dialog, cseq));
        }
        let earlier = self.ledger.exchanges.iter().rev().find(|exchange| {
            exchange.call == call
                && exchange.from == line.from
                && exchange.method == method
                && exchange.parent.is_none()
        });
        let actor = &self.actors[line.from];
        let again = earlier.map(next_uri);
        let uri = match (uri, again, method) {
            (Some(uri), ..) => uri.to_owned(),
            (None, Some(uri), _) => uri,
            (None, None, "REGISTER") => format!("sip:{}", actor.domain()),
            (None, None, "OPTIONS") => format!("sip:{}", self.actors[line.to].says),
            _ => return Err(Error::new(number, format!("expected a Request-URI after {method}: it is the first"))),
        };
        let header = |name: &str| earlier.and_then(|earlier| earlier.sent.header(name)).map(str::to_owned);
        let to = header("To").unwrap_or_else(|| match method {
            "REGISTER" => format!("<sip:{}>", actor.aor),
            _ => format!("<{}>", without_parameters(&uri)),
        });
        let from = header("From").unwrap_or_else(|| {
            let tag = self.digits(&["from-tag", &self.ledger.calls[call].id, &actor.name], 8);
            format!("<sip:{}>;tag={tag}", actor.aor)
        });
        let draft = self.request_draft(line, method, &uri, (from, to), cseq, call, &[]);
        Ok(Begun { draft, uri, cseq, call, parent: None })
    }

    /// A request inside a dialog (§12.2.1.1).
    fn in_dialog(&mut self, line: &MessageLine, method: &str, uri: Option<&str>, dialog: &Dialog, cseq: u32) -> Begun {
        let uri = uri.unwrap_or(&dialog.target).to_owned();
        let ends = (dialog.local.clone(), dialog.remote.clone());
        let mut draft = self.request_draft(line, method, &uri, ends, cseq, dialog.call, &dialog.routes);
        if let Some(contact) = dialog.contact.clone().filter(|_| draft.header("Contact").is_some()) {
            draft.set("Contact", contact);
        }
        if let Some(reliable) = dialog.reliable.as_ref().filter(|_| method == "PRACK") {
            draft.push("RAck", reliable.clone());
        }
        if method == "INVITE" {
            for other in self.ledger.dialogs.iter_mut() {
                if other.call == dialog.call && other.owner == dialog.owner && other.remote == dialog.remote {
                    other.invite_cseq = cseq;
                }
            }
        }
        Begun { draft, uri, cseq, call: dialog.call, parent: None }
    }

    #[allow(clippy::too_many_arguments)] // Each is one header.
    fn request_draft(
        &mut self,
        line: &MessageLine,
        method: &str,
        uri: &str,
        (from, to): (String, String),
        cseq: u32,
        call: usize,
        routes: &[String],
    ) -> Draft {
        let actor = &self.actors[line.from];
        let mut draft = Draft::new(format!("{method} {uri} SIP/2.0"));
        let via = self.via(line, method);
        draft.push("Via", via);
        for route in routes {
            draft.push("Route", route.clone());
        }
        draft.push("Max-Forwards", "70");
        draft.push("From", from);
        draft.push("To", to);
        draft.push("Call-ID", self.ledger.calls[call].id.clone());
        draft.push("CSeq", format!("{cseq} {method}"));
        if matches!(method, "INVITE" | "REGISTER" | "SUBSCRIBE" | "REFER" | "NOTIFY" | "UPDATE" | "OPTIONS") {
            draft.push("Contact", contact(actor, actor.user(), self.transport(line)));
        }
        match method {
            "INVITE" => draft.push("Allow", ALLOW),
            "REGISTER" | "SUBSCRIBE" => draft.push("Expires", "3600"),
            _ => {}
        }
        if let Some(agent) = &actor.agent {
            draft.push("User-Agent", agent.clone());
        }
        draft
    }

    fn via(&mut self, line: &MessageLine, method: &str) -> String {
        self.counter += 1;
        let counter = self.counter.to_string();
        let transport = self.transport(line);
        let actor = &self.actors[line.from];
        let branch = self.digits(&["branch", &actor.name, method, &counter], 12);
        format!("SIP/2.0/{transport} {};branch=z9hG4bK{branch};rport", actor.says)
    }

    /// What carries a message: TCP if either side has it.
    pub fn transport(&self, line: &MessageLine) -> Transport {
        self.actors[line.from].transport.max(self.actors[line.to].transport)
    }

    fn nothing_before(&self, number: usize, line: &MessageLine, what: &str) -> Error {
        let (from, to) = (&self.actors[line.from].name, &self.actors[line.to].name);
        Error::new(number, format!("expected {what} before this line, between {from} and {to}"))
    }

    /// Digits that depend on the story's title and these words alone.
    pub fn digits(&self, words: &[&str], count: usize) -> String {
        digits(&format!("{}|{}", self.title, words.join("|")), count)
    }

    /// Replaces `{b.call-id}`, `{b.from-tag}` and `{b.to-tag}` by what stands in the dialog of call `b`.
    pub fn fill_in(&self, number: usize, text: &str) -> Result<String, Error> {
        let mut filled = text.to_owned();
        for part in ["call-id", "from-tag", "to-tag"] {
            while let Some(end) = filled.find(&format!(".{part}}}")) {
                let start = filled[..end].rfind('{').ok_or_else(|| Error::new(number, "expected `{` before `}`"))?;
                let name = &filled[start + 1..end];
                let value = self.of_dialog(name, part).ok_or_else(|| {
                    let says = "expected the name of a call that has a dialog";
                    Error::new(number, format!("{says}, found `{name}`"))
                })?;
                filled.replace_range(start..end + part.len() + 2, &value);
            }
        }
        Ok(filled)
    }

    fn of_dialog(&self, name: &str, part: &str) -> Option<String> {
        let name = if name == "call" { "" } else { name };
        let call = self.ledger.calls.iter().position(|call| call.name == name)?;
        if part == "call-id" {
            return Some(self.ledger.calls[call].id.clone());
        }
        let dialog = self.ledger.dialogs.iter().rev().find(|dialog| dialog.call == call)?;
        let root = self.ledger.exchanges.iter().find(|exchange| exchange.call == call)?;
        let starts = dialog.owner == root.from;
        let value = if (part == "from-tag") == starts { &dialog.local } else { &dialog.remote };
        parameter(value, "tag").map(str::to_owned)
    }

    /// The offer of an INVITE that opens a call or changes it, and the answer in the ACK to a 200 that held the offer.
    fn default_description(
        &self,
        line: &MessageLine,
        method: &str,
        call: usize,
        parent: Option<usize>,
    ) -> Option<SdpLine> {
        if parent.is_some() || !line.body.is_empty() {
            return None;
        }
        let last = self.ledger.calls[call].sdp.get(&line.from).map(|(sdp, ..)| sdp.clone());
        match method {
            "INVITE" => Some(last.unwrap_or_else(SdpLine::offer)),
            "ACK" => {
                let invite = self.ledger.exchanges.iter().rev().find(|exchange| {
                    exchange.call == call && exchange.from == line.from && exchange.method == "INVITE"
                })?;
                let answer = invite.answers.iter().rev().find(|answer| answer.code / 100 == 2)?;
                let late = invite.offer.is_none() && invite.sent.body.is_empty() && !answer.draft.body.is_empty();
                late.then(|| SdpLine::offer().answered())
            }
            _ => None,
        }
    }

    /// Puts a session description into a message. Its version goes up when it changes (RFC 3264 §8).
    pub fn describe(&mut self, draft: &mut Draft, sdp: SdpLine, call: usize, speaker: usize) {
        draft.remove("Content-Type");
        draft.remove("Content-Length");
        draft.body.clear();
        if sdp.is_none() {
            return;
        }
        let address = self.actors[speaker].says.ip();
        let known = self.ledger.calls[call].sdp.get(&speaker);
        let version = match known {
            None => 1,
            Some((_, body, version)) if *body == sdp.body(speaker, address, *version) => *version,
            Some((.., version)) => version + 1,
        };
        let body = sdp.body(speaker, address, version);
        self.ledger.calls[call].sdp.insert(speaker, (sdp, body.clone(), version));
        draft.push("Content-Type", "application/sdp");
        draft.body = body;
    }

    /// The body, its length, and the story's own words.
    pub fn finish(&self, number: usize, draft: &mut Draft, line: &MessageLine) -> Result<(), Error> {
        if !line.body.is_empty() {
            draft.remove("Content-Type");
            draft.remove("Content-Length");
            let text = self.fill_in(number, &line.body.join("\r\n"))?;
            draft.push("Content-Type", body_type(&text));
            draft.body = (text + "\r\n").into_bytes();
        }
        if draft.header("Content-Length").is_none() {
            draft.push("Content-Length", draft.body.len().to_string());
        }
        let mut changes = Vec::with_capacity(line.changes.len());
        for change in &line.changes {
            changes.push(match change {
                Change::Write(name, value) => Change::Write(name.clone(), self.fill_in(number, value)?),
                Change::Add(name, value) => Change::Add(name.clone(), self.fill_in(number, value)?),
                Change::Remove(name) => Change::Remove(name.clone()),
            });
        }
        draft.apply(&changes);
        keep_length_last(draft, &changes);
        Ok(())
    }
}

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY";

/// Content-Type and Content-Length stand at the end, as most software writes them, unless the story writes them.
fn keep_length_last(draft: &mut Draft, changes: &[Change]) {
    for name in ["Content-Type", "Content-Length"] {
        let written = changes.iter().any(|change| is_same(change.name(), name));
        if let Some(value) = draft.header(name).map(str::to_owned).filter(|_| !written) {
            draft.remove(name);
            draft.push(name, value);
        }
    }
}

fn body_type(text: &str) -> &'static str {
    if text.starts_with("v=0") {
        return "application/sdp";
    }
    if text.starts_with("SIP/2.0 ") {
        return "message/sipfrag;version=2.0";
    }
    "text/plain"
}

/// Where a UAC sends the next attempt: to the Contact of a redirection (§8.1.3.4), else to the same Request-URI.
fn next_uri(earlier: &Exchange) -> String {
    let redirected = earlier.answers.iter().rev().find(|answer| answer.code / 100 == 3);
    let contact = redirected.and_then(|answer| answer.draft.header("Contact"));
    contact.map_or_else(|| earlier.uri.clone(), |contact| uri_of(contact).to_owned())
}

fn without_parameters(uri: &str) -> &str {
    uri.split(';').next().unwrap_or(uri)
}

/// The Contact that an actor gives.
pub(super) fn contact(actor: &Actor, user: &str, transport: Transport) -> String {
    let transport = if transport == Transport::Tcp { ";transport=tcp" } else { "" };
    format!("<sip:{user}@{}{transport}>", actor.says)
}
