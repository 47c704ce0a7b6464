//! What a story does not say of a response, completed as RFC 3261 would have it.

use crate::story::Error;
use crate::story::complete::{Completion, contact};
use crate::story::digest::{AuthLine, Challenge};
use crate::story::draft::{Draft, parameter, uri as uri_of, user_of};
use crate::story::ledger::{Answer, Dialog, Exchange, Stage};
use crate::story::script_line::MessageLine;
use crate::story::sdp::SdpLine;

impl Completion<'_> {
    pub(super) fn response(
        &mut self,
        number: usize,
        line: &MessageLine,
        code: u16,
        phrase: &str,
    ) -> Result<Draft, Error> {
        let answered = self.answered(number, line, code)?;
        let start = if phrase.is_empty() { format!("SIP/2.0 {code} ") } else { format!("SIP/2.0 {code} {phrase}") };
        let relays = code != 100 && self.ledger.exchanges[answered].method != "CANCEL";
        let relayed = match relays {
            true => self.ledger.answer_to_relay(answered, code).map(|answer| (answer.draft.clone(), answer.origin)),
            false => None,
        };
        let (mut draft, origin) = match relayed {
            Some((mut draft, origin)) => {
                draft.remove_first("Via");
                draft.start = start;
                (draft, origin)
            }
            None => (self.own_response(line, answered, code, start), line.from),
        };
        let call = self.ledger.exchanges[answered].call;
        if let Some(sdp) = line.sdp.clone() {
            self.describe(&mut draft, sdp, call, line.from);
        }
        self.finish(number, &mut draft, line)?;
        self.ledger.exchanges[answered].answers.push(Answer { code, draft: draft.clone(), origin, relayed: false });
        self.learn(answered, code, &draft, origin);
        Ok(draft)
    }

    /// The request that a response answers: the newest that waits. Provisional responses and 487 belong to an INVITE
    /// if there is one.
    fn answered(&self, number: usize, line: &MessageLine, code: u16) -> Result<usize, Error> {
        let call = line.call.as_deref();
        let fits = |exchange: &Exchange| {
            exchange.method != "ACK"
                && line.answers.as_ref().is_none_or(|method| *method == exchange.method)
                && call.is_none_or(|call| self.ledger.calls[exchange.call].name == call)
        };
        let newest = |wanted: &dyn Fn(&Exchange) -> bool| {
            self.ledger.newest(line.to, line.from, |exchange| fits(exchange) && wanted(exchange))
        };
        if line.answers.is_some() {
            return newest(&Exchange::waits).or_else(|| newest(&|_| true)).ok_or_else(|| self.no_request(number, line));
        }
        let of_invite = code < 200 || code == 487;
        let invite = newest(&|exchange| of_invite && exchange.waits() && exchange.method == "INVITE");
        invite.or_else(|| newest(&Exchange::waits)).ok_or_else(|| self.no_request(number, line))
    }

    fn no_request(&self, number: usize, line: &MessageLine) -> Error {
        let (from, to) = (&self.actors[line.to].name, &self.actors[line.from].name);
        let says = format!(
            "expected a request from {from} to {to} that still waits for its response; one that has its final \
             response is answered once more by naming its method, as [INVITE]"
        );
        Error::new(number, says)
    }

    /// A response of one's own (§8.2.6).
    fn own_response(&mut self, line: &MessageLine, answered: usize, code: u16, start: String) -> Draft {
        let actor = &self.actors[line.from];
        let exchange = &self.ledger.exchanges[answered];
        let (method, call) = (exchange.method.clone(), exchange.call);
        let request = exchange.sent.clone();
        let mut draft = Draft::new(start);
        for (index, via) in request.headers("Via").iter().enumerate() {
            draft.push("Via", if index == 0 { self.via_received(answered, via) } else { via.clone() });
        }
        let forms_dialog = matches!(method.as_str(), "INVITE" | "SUBSCRIBE" | "REFER");
        if forms_dialog && exchange.outside_dialog && (101..300).contains(&code) {
            for route in request.headers("Record-Route") {
                draft.push("Record-Route", route);
            }
        }
        draft.push("From", request.header("From").unwrap_or_default());
        draft.push("To", self.to_of_response(line, answered, code));
        draft.push("Call-ID", request.header("Call-ID").unwrap_or_default());
        draft.push("CSeq", request.header("CSeq").unwrap_or_default());
        // A server that answers for many users answers as the one who was asked for.
        let answered_user = user_of(&exchange.uri).unwrap_or(actor.user());
        match (method.as_str(), code) {
            ("INVITE" | "SUBSCRIBE" | "REFER" | "UPDATE", 101..300) => {
                draft.push("Contact", contact(actor, answered_user, self.transport(line)))
            }
            ("REGISTER", 200..300) => bindings(&request, &mut draft),
            _ => {}
        }
        match (method.as_str(), code) {
            ("INVITE" | "OPTIONS", 200..300) | (_, 405) => draft.push("Allow", ALLOWED),
            ("SUBSCRIBE", 200..300) => draft.push("Expires", request.header("Expires").unwrap_or("3600")),
            (_, 401) => draft.push("WWW-Authenticate", self.challenge(line, call)),
            (_, 407) => draft.push("Proxy-Authenticate", self.challenge(line, call)),
            _ => {}
        }
        if let Some(agent) = &actor.agent {
            draft.push("Server", agent.clone());
        }
        if method == "INVITE" && (200..300).contains(&code) && line.sdp.is_none() && line.body.is_empty() {
            self.default_answer(&mut draft, answered, line.from);
        }
        draft
    }

    fn to_of_response(&self, line: &MessageLine, answered: usize, code: u16) -> String {
        let exchange = &self.ledger.exchanges[answered];
        let to = exchange.sent.header("To").unwrap_or_default().to_owned();
        if code == 100 || parameter(&to, "tag").is_some() {
            return to;
        }
        // A CANCEL is answered with the tag of its INVITE (§9.2), so the branch, which they share, makes the tag.
        let branch = exchange.sent.header("Via").and_then(|via| parameter(via, "branch")).unwrap_or_default();
        let tag = self.digits(&["to-tag", &self.actors[line.from].name, branch], 8);
        format!("{to};tag={tag}")
    }

    fn challenge(&mut self, line: &MessageLine, call: usize) -> String {
        self.counter += 1;
        let nonce = self.digits(&["nonce", &self.ledger.calls[call].id, &self.counter.to_string()], 32);
        let realm = self.actors[line.from].domain();
        line.challenge.clone().unwrap_or_default().value(realm, &nonce)
    }

    /// The answer to the INVITE's offer; the same as in an earlier 18x; an offer if the INVITE had none.
    fn default_answer(&mut self, draft: &mut Draft, answered: usize, speaker: usize) {
        let exchange = &self.ledger.exchanges[answered];
        let call = exchange.call;
        let early = exchange.answers.iter().any(|answer| answer.code < 200 && !answer.draft.body.is_empty());
        let last = self.ledger.calls[call].sdp.get(&speaker).map(|(sdp, ..)| sdp.clone());
        let sdp = match (&exchange.offer, last) {
            (_, Some(last)) if early => last,
            (Some(offer), _) if !offer.is_none() => offer.answered(),
            (_, Some(last)) => last,
            _ => SdpLine::offer(),
        };
        self.describe(draft, sdp, call, speaker);
    }

    /// The topmost Via as the next hop sees it (§18.2.1, RFC 3581 §4).
    pub(super) fn via_received(&self, exchange: usize, via: &str) -> String {
        let from = self.ledger.exchanges[exchange].from;
        let source = self.sources.get(&exchange).copied().unwrap_or(self.actors[from].address);
        let sent_by = via.split_whitespace().nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default();
        let sent_by_source = sent_by == source.to_string() || sent_by == source.ip().to_string();
        let mut parts: Vec<String> = via.split(';').map(str::to_owned).collect();
        match parts.iter_mut().find(|part| part.trim() == "rport") {
            Some(rport) => {
                *rport = format!("rport={}", source.port());
                parts.push(format!("received={}", source.ip()));
            }
            None if !sent_by_source && parameter(via, "received").is_none() => {
                parts.push(format!("received={}", source.ip()));
            }
            None => {}
        }
        parts.join(";")
    }

    /// Challenges and dialogs that a response brings.
    fn learn(&mut self, answered: usize, code: u16, response: &Draft, origin: usize) {
        let exchange = &self.ledger.exchanges[answered];
        let (method, first, owner) = (exchange.method.clone(), exchange.parent.is_none(), exchange.from);
        if first {
            let asked = [("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization")];
            for (asks, answers) in asked {
                if let Some(value) = response.header(asks) {
                    self.ledger.challenges.insert((owner, answers), Challenge::read(value));
                }
            }
        }
        if !matches!(method.as_str(), "INVITE" | "SUBSCRIBE" | "REFER" | "UPDATE") || code == 100 {
            return;
        }
        if code >= 300 {
            return self.fail(answered, origin);
        }
        let has_tag = response.header("To").is_some_and(|to| parameter(to, "tag").is_some());
        if !has_tag {
            return;
        }
        if origin == self.ledger.exchanges[answered].to {
            self.keep_uas_dialog(answered, code, response, origin);
        }
        if first {
            self.keep_uac_dialog(answered, code, response, origin);
        }
    }

    /// A refusal ends the early dialogs of its INVITE (§12.3), and leaves a confirmed one as it is.
    fn fail(&mut self, answered: usize, origin: usize) {
        let exchange = &self.ledger.exchanges[answered];
        let (call, owner, first) = (exchange.call, exchange.from, exchange.parent.is_none());
        for dialog in self.ledger.dialogs.iter_mut() {
            let mine = dialog.owner == origin || (first && dialog.owner == owner);
            if dialog.call == call && mine && dialog.stage == Stage::Early {
                dialog.stage = Stage::Failed;
            }
        }
    }

    fn keep_uas_dialog(&mut self, answered: usize, code: u16, response: &Draft, owner: usize) {
        let exchange = &self.ledger.exchanges[answered];
        let request = &exchange.sent;
        let local = response.header("To").unwrap_or_default().to_owned();
        let remote = request.header("From").unwrap_or_default().to_owned();
        let known = self.known(exchange.call, owner, &local, &remote);
        let (stage, target, routes, invite_cseq) = match known {
            Some(known) => (known.stage, known.target.clone(), known.routes.clone(), known.invite_cseq),
            None => (Stage::Early, String::new(), request.headers("Record-Route"), 0),
        };
        let target = request.header("Contact").map_or(target, |contact| uri_of(contact).to_owned());
        let peer = self.ledger.exchanges[self.ledger.root(answered)].from;
        let stage = if code >= 200 { Stage::Confirmed } else { stage };
        let contact = response.header("Contact").map(str::to_owned);
        self.ledger.keep_dialog(Dialog {
            call: exchange.call,
            owner,
            peer,
            local,
            remote,
            target,
            contact,
            routes,
            stage,
            invite_cseq,
            awaits_ack: false,
            reliable: None,
        });
    }

    fn keep_uac_dialog(&mut self, answered: usize, code: u16, response: &Draft, peer: usize) {
        let exchange = &self.ledger.exchanges[answered];
        let owner = exchange.from;
        let local = response.header("From").unwrap_or_default().to_owned();
        let remote = response.header("To").unwrap_or_default().to_owned();
        let known = self.known(exchange.call, owner, &local, &remote);
        let (stage, target, mut routes, invite_cseq, peer) = match known {
            Some(known) => (known.stage, known.target.clone(), known.routes.clone(), known.invite_cseq, known.peer),
            None => (Stage::Early, String::new(), Vec::new(), 0, peer),
        };
        if exchange.outside_dialog {
            routes = response.headers("Record-Route");
            routes.reverse();
        }
        let target = response.header("Contact").map_or(target, |contact| uri_of(contact).to_owned());
        let is_invite = exchange.method == "INVITE";
        let reliable = response.header("RSeq").map(|rseq| format!("{rseq} {} INVITE", exchange.cseq));
        self.ledger.keep_dialog(Dialog {
            call: exchange.call,
            owner,
            peer,
            local,
            remote,
            target,
            contact: exchange.sent.header("Contact").map(str::to_owned),
            routes,
            stage: if code >= 200 { Stage::Confirmed } else { stage },
            invite_cseq: if is_invite { exchange.cseq } else { invite_cseq },
            awaits_ack: is_invite && code >= 200,
            reliable,
        });
    }

    fn known(&self, call: usize, owner: usize, local: &str, remote: &str) -> Option<&Dialog> {
        self.ledger.dialogs.iter().find(|dialog| {
            dialog.call == call && dialog.owner == owner && dialog.local == local && dialog.remote == remote
        })
    }

    /// Credentials for each kind of challenge that the actor has received.
    pub(super) fn authorise(
        &mut self,
        number: usize,
        draft: &mut Draft,
        auth: &AuthLine,
        actor: usize,
        method: &str,
        uri: &str,
    ) -> Result<(), Error> {
        let user = self.actors[actor].user().to_owned();
        let mut found = false;
        for header in ["Authorization", "Proxy-Authorization"] {
            if let Some(challenge) = self.ledger.challenges.get_mut(&(actor, header)) {
                let value = auth.value(challenge, &user, method, uri);
                draft.set(header, value);
                found = true;
            }
        }
        match found {
            true => Ok(()),
            false => Err(Error::new(number, format!("expected a challenge to {user} before this line"))),
        }
    }
}

const ALLOWED: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY";

/// The bindings that a registrar reports (§10.3 item 8): the one just made, and for how long.
fn bindings(request: &Draft, response: &mut Draft) {
    let expires = request.header("Expires").unwrap_or("3600").to_owned();
    if expires.trim() == "0" {
        return;
    }
    for contact in request.headers("Contact") {
        match parameter(&contact, "expires") {
            Some("0") => {}
            Some(_) => response.push("Contact", contact),
            None => response.push("Contact", format!("{contact};expires={expires}")),
        }
    }
}
