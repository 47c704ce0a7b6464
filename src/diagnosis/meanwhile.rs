//! What was refused in another call just before a system refused one for the same number: it may have made its own
//! answer of that.
//!
//! Is given calls that have ended; gives, for a refusal, the one that its sender, or another address at which the same
//! software was seen, got for the same number meanwhile. Legs that cannot be told from others are calls of their own,
//! and what such a system says of the end is hearsay then. Deliberately does not know what was proven by it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::call::{Call, FailedConnection, Failure, HowFailed, names_version, same_number, tail, whole_number};
use crate::capture::Place;
use crate::diagnosis::case::Case;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::words::length;
use crate::keyed::Table;
use crate::sip::StatusCode;

/// An INVITE that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTry {
    /// The number of its call.
    call: u32,
    client: IpAddr,
    server: SocketAddr,
    /// The INVITE; its first response where it was not captured.
    asked: Place,
    refused: Place,
    status: StatusCode,
    number: Box<str>,
}

/// The INVITEs for whole numbers that were refused last, by the end of the number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedTries {
    of: Table<Box<str>, Vec<RefusedTry>>,
}

/// Ends of numbers that are kept, and INVITEs of each.
const MOST: usize = 1024;
const MOST_OF_ONE: usize = 16;

/// A system that makes its answer of what it was told does so within this time.
const TOLD_AT_ONCE: Duration = Duration::from_millis(500);
/// The same of a connection that did not come about, which is all that is seen of its other address.
const RIGHT_AFTER: Duration = Duration::from_millis(200);
/// Failed connections that are looked at: where there are more, one of them comes just before any refusal.
const MOST_CONNECTIONS: usize = 64;

impl RefusedTries {
    /// Notes how a call was refused at last, if it was.
    pub(crate) fn add(&mut self, call: &Call) {
        if call.failures.is_empty() || call.is_answered() {
            return;
        }
        let Some(deciding) = call.attempts().last() else { return };
        let failure = call.failures.iter().rev().find(|failure| failure.transaction == deciding.id);
        let says_why = |failure: &&Failure| failure.status.get() >= 400 && failure.normal.is_none();
        let Some(failure) = failure.filter(says_why) else { return };
        let response = call.message(failure.response);
        let request = call.request_of(deciding);
        let uri = match request {
            Some(request) => request.message.request_uri().map(|uri| uri.into_owned()),
            None => response.message.to().map(|to| to.uri),
        };
        let Some(number) = uri.and_then(|uri| whole_number(&uri)) else { return };
        let first = deciding.provisionals.first().map(|id| call.message(*id).place);
        let asked = request.map(|request| request.place).or(first).unwrap_or(response.place);
        let end = tail(&number);
        // Those that are too many are of calls long ago.
        if self.of.len() >= MOST && !self.of.contains_key(end) {
            self.of.clear();
        }
        // Most numbers are called once.
        let known = self.of.entry(end.into()).or_insert_with(|| Vec::with_capacity(1));
        if known.len() >= MOST_OF_ONE {
            known.remove(0);
        }
        let (client, server) = (deciding.path.source.ip(), deciding.path.destination);
        let (refused, status) = (response.place, failure.status);
        known.push(RefusedTry { call: call.number, client, server, asked, refused, status, number });
    }

    fn of<'t>(&'t self, number: &str) -> impl Iterator<Item = &'t RefusedTry> {
        let known = self.of.get(tail(number)).map(Vec::as_slice).unwrap_or_default();
        known.iter().filter(move |other| same_number(&other.number, number))
    }
}

impl<'a> Case<'a> {
    /// True if the refusal that decided the call may be made of something that came just before it in another call, or on
    /// a connection.
    pub(super) fn may_be_made_of_another(&self) -> bool {
        self.refused_meanwhile().is_some() || self.in_vain_meanwhile().is_some()
    }

    /// The refusal that the sender of the one which decided the call got just before, in another call for the same
    /// number: of several the last.
    pub(super) fn refused_meanwhile(&self) -> Option<&'a RefusedTry> {
        let tries = self.refused_tries()?;
        let failure = self.failure().filter(|failure| self.arose_here(failure))?;
        let (request, response) = (self.request(failure)?, self.response(failure));
        let number = whole_number(&request.message.request_uri()?)?;
        let (host, before) = (response.path.source.ip(), request.path.source.ip());
        let is_its_own = |other: &&RefusedTry| {
            other.call != self.call.number
                && other.server.ip() != host
                && other.server.ip() != before
                && (other.client == host || self.software(host).is_some_and(|own| self.is_twin(other.client, own)))
        };
        let is_meanwhile = |other: &&RefusedTry| {
            let since = response.place.time.since(other.refused.time);
            request.place < other.asked && other.refused < response.place && since <= TOLD_AT_ONCE
        };
        tries.of(&number).filter(is_meanwhile).filter(is_its_own).max_by_key(|other| other.refused)
    }

    /// The connection that an address without any SIP asked for in vain just before the refusal that decided the call:
    /// it may be another address of the one who refused. `None` if there are several.
    pub(super) fn in_vain_meanwhile(&self) -> Option<&'a FailedConnection> {
        let known = self.surroundings.failed_connections();
        if known.is_empty() {
            return None;
        }
        let failure = self.failure().filter(|failure| self.arose_here(failure))?;
        let (request, response) = (self.request(failure)?, self.response(failure));
        let ends = [request.path.source.ip(), request.path.destination.ip()];
        let is_just_before = |failed: &&FailedConnection| {
            let since = response.place.time.since(failed.place.time);
            request.place < failed.asked && failed.place < response.place && since <= RIGHT_AFTER
        };
        let is_elsewhere = |failed: &&FailedConnection| {
            let (client, server) = (failed.client.ip(), failed.server.ip());
            failed.how == HowFailed::Refused && !ends.contains(&client) && !ends.contains(&server)
        };
        let mut few = known.iter();
        let mut found = few.by_ref().take(MOST_CONNECTIONS).filter(is_just_before).filter(is_elsewhere);
        let only = (found.next(), found.next());
        let (Some(failed), None, None) = (only.0, only.1, few.next()) else { return None };
        (self.surroundings.sent_by(failed.client.ip()) == 0).then_some(failed)
    }

    /// True if an address shows this name of software, with the number of a version.
    fn is_twin(&self, address: IpAddr, name: &str) -> bool {
        names_version(name) && self.software(address) == Some(name)
    }

    /// Tells in the cause of a call what its refusal may be made of, if another call shows such a thing.
    pub(super) fn tell_meanwhile(&self, cause: &mut Finding) {
        let Some(failure) = self.failure().filter(|failure| cause.status == Some(failure.status)) else { return };
        let Some(other) = self.refused_meanwhile() else {
            return self.tell_in_vain(cause, failure);
        };
        let RefusedTry { client, server, refused, status, .. } = other;
        let (response, told) = (self.response(failure), cause.explanation.raw());
        let since = length(response.place.time.since(refused.time));
        let (responder, sent) = (response.path.source, failure.status);
        let who = match *client == responder.ip() {
            true => "it got".to_owned(),
            false => format!("{client}, where the same software runs, got"),
        };
        let explanation = format!(
            "{told} But {since} before that {who} {status} from {server} to a call for the same number, which this \
             capture does not tie to this one: {responder} may have made its {sent} of that."
        );
        let says = "what another call for the same number got just before";
        let finding = cause.clone().claim_at(*refused, "sip.Status-Code", status.to_string(), says);
        *cause = finding.because(explanation);
    }

    /// The same of a connection that was asked for in vain.
    fn tell_in_vain(&self, cause: &mut Finding, failure: &Failure) {
        let Some(FailedConnection { client, server, asked, place, .. }) = self.in_vain_meanwhile() else { return };
        let (responder, sent, client) = (self.response(failure).path.source, failure.status, client.ip());
        let explanation = format!(
            "{} But {} before that {client} had asked {server} for a TCP connection, and it was refused: if {client} is \
             another address of {}, it may have made its {sent} of that.",
            cause.explanation.raw(),
            length(self.response(failure).place.time.since(place.time)),
            responder.ip()
        );
        let port = server.port().to_string();
        let says = "a connection is asked for meanwhile, in vain";
        let finding = cause.clone().claim_at(*asked, "tcp.dstport", port, says);
        *cause = finding.because(explanation);
    }
}
