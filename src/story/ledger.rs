//! What has been said so far: calls, transactions hop by hop, dialogs.
//!
//! Knows who has sent what to whom. Is given each message when it is complete; answers what a later one needs of it.

use std::collections::BTreeMap;

use crate::story::digest::Challenge;
use crate::story::draft::Draft;
use crate::story::sdp::SdpLine;

/// Everything said so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub calls: Vec<Call>,
    pub exchanges: Vec<Exchange>,
    pub dialogs: Vec<Dialog>,
    /// The last challenge that an actor received, for each header that answers one.
    pub challenges: BTreeMap<(usize, &'static str), Challenge>,
}

/// One Call-ID.
#[derive(Debug)]
pub(super) struct Call {
    pub name: String,
    pub id: String,
    /// The last number of each actor that numbers its own requests (RFC 3261 §12.2.1.1).
    pub cseq: BTreeMap<usize, u32>,
    /// The last session description of each actor, and its version.
    pub sdp: BTreeMap<usize, (SdpLine, Vec<u8>, u32)>,
}

/// A request between two neighbours, and what was answered.
#[derive(Debug)]
pub(super) struct Exchange {
    pub call: usize,
    pub from: usize,
    pub to: usize,
    pub method: String,
    pub uri: String,
    pub cseq: u32,
    pub sent: Draft,
    /// The exchange of which this one is the next hop.
    pub parent: Option<usize>,
    pub answers: Vec<Answer>,
    /// The request had no To-tag.
    pub outside_dialog: bool,
    pub acked: bool,
    /// The offer that the request carried.
    pub offer: Option<SdpLine>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub code: u16,
    pub draft: Draft,
    /// Who answered first; those who pass it on are not meant.
    pub origin: usize,
    pub relayed: bool,
}

impl Exchange {
    /// The code of the final response, if there was one.
    pub fn final_code(&self) -> Option<u16> {
        self.answers.iter().map(|answer| answer.code).rev().find(|code| *code >= 200)
    }

    /// True while a response may come.
    pub fn waits(&self) -> bool {
        self.method != "ACK" && self.final_code().is_none()
    }
}

/// A dialog as one of its two ends sees it (RFC 3261 §12).
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub call: usize,
    pub owner: usize,
    pub peer: usize,
    /// From of the owner's requests.
    pub local: String,
    /// To of the owner's requests.
    pub remote: String,
    pub target: String,
    /// The Contact that the owner gave when the dialog began, and gives again.
    pub contact: Option<String>,
    pub routes: Vec<String>,
    pub stage: Stage,
    /// CSeq of the owner's last INVITE, which an ACK takes.
    pub invite_cseq: u32,
    pub awaits_ack: bool,
    /// RSeq and CSeq of the last reliable provisional response (RFC 3262).
    pub reliable: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Early,
    Confirmed,
    Failed,
}

impl Ledger {
    /// The newest exchange from one to another that `fits`.
    pub fn newest(&self, from: usize, to: usize, fits: impl Fn(&Exchange) -> bool) -> Option<usize> {
        self.exchanges.iter().rposition(|exchange| exchange.from == from && exchange.to == to && fits(exchange))
    }

    /// The request that `by` has received and would pass on to `to`: the newest of this method that it has not answered
    /// itself. What came from `to` goes back there only in a loop of proxies.
    pub fn received(&self, by: usize, to: usize, method: &str, call: Option<usize>) -> Option<usize> {
        let newest = self.exchanges.iter().rposition(|exchange| {
            exchange.to == by
                && exchange.method == method
                && call.is_none_or(|call| call == exchange.call)
                && (exchange.from != to || self.may_loop(by, exchange))
        })?;
        let exchange = &self.exchanges[newest];
        let answered_itself = exchange.answers.iter().any(|answer| answer.code >= 200 && answer.origin == by);
        (!answered_itself).then_some(newest)
    }

    /// True for an INVITE that opens a call and still waits, at one who takes no part in that call.
    fn may_loop(&self, by: usize, exchange: &Exchange) -> bool {
        let call = exchange.call;
        let is_end = self.dialogs.iter().any(|dialog| dialog.call == call && dialog.owner == by)
            || self.exchanges.iter().any(|other| other.call == call && other.from == by && other.parent.is_none());
        exchange.method == "INVITE" && exchange.outside_dialog && exchange.waits() && !is_end
    }

    /// Where the chain of forwarded requests began.
    pub fn root(&self, exchange: usize) -> usize {
        let mut exchange = exchange;
        while let Some(parent) = self.exchanges[exchange].parent {
            exchange = parent;
        }
        exchange
    }

    /// The response that a hop further on gave with this code and that was not passed on yet.
    pub fn answer_to_relay(&mut self, exchange: usize, code: u16) -> Option<&Answer> {
        let mut found = None;
        for (index, child) in self.exchanges.iter().enumerate() {
            if child.parent != Some(exchange) {
                continue;
            }
            if let Some(answer) = child.answers.iter().rposition(|answer| answer.code == code && !answer.relayed) {
                found = Some((index, answer));
            }
        }
        let (child, answer) = found?;
        let answer = &mut self.exchanges[child].answers[answer];
        answer.relayed = true;
        Some(answer)
    }

    /// The dialog in which `owner` speaks in a call: with `peer` if one is named, else with the next hop, else the
    /// newest; a failed one only if there is no other.
    pub fn dialog(&self, call: usize, owner: usize, peer: Option<usize>, next_hop: usize) -> Option<usize> {
        let of = |fits: &dyn Fn(&Dialog) -> bool| {
            self.dialogs.iter().rposition(|dialog| dialog.call == call && dialog.owner == owner && fits(dialog))
        };
        if peer.is_some() {
            return of(&|dialog| Some(dialog.peer) == peer);
        }
        of(&|dialog| dialog.stage == Stage::Confirmed && dialog.awaits_ack)
            .or_else(|| of(&|dialog| dialog.stage == Stage::Confirmed && dialog.peer == next_hop))
            .or_else(|| of(&|dialog| dialog.stage == Stage::Confirmed))
            .or_else(|| of(&|dialog| dialog.stage == Stage::Early))
            .or_else(|| of(&|dialog| dialog.stage == Stage::Failed))
    }

    /// Puts a dialog in, or in place of the one with the same tags.
    pub fn keep_dialog(&mut self, dialog: Dialog) {
        let same = |other: &&mut Dialog| {
            other.call == dialog.call
                && other.owner == dialog.owner
                && other.remote == dialog.remote
                && other.local == dialog.local
        };
        match self.dialogs.iter_mut().find(same) {
            Some(old) => *old = Dialog { reliable: dialog.reliable.clone().or(old.reliable.take()), ..dialog },
            None => self.dialogs.push(dialog),
        }
    }
}
