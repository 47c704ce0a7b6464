//! Where a request inside a dialog has to go (RFC 3261 §12.2.1.1): what the 2xx says, and what was sent.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::call::Heard;
use crate::call::timer::{OVERDUE, T1};
use crate::diagnosis::case::Case;
use crate::diagnosis::case::ENOUGH_REPEATS;
use crate::diagnosis::dialogs::{from_tag, to_tag};
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::rule::Rule;
use crate::diagnosis::words::{destination_field, is_private};
use crate::sip::{Method, NameAddr, Reason, StatusCode, Uri};

/// The port of a SIP URI that names none (RFC 3261 §19.1.1).
pub(crate) const DEFAULT_PORT: u16 = 5060;

/// What a 2xx asks of the requests that follow it, seen on the hop of the one who got it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The Contact of the 2xx, as it was sent.
    pub contact: String,
    /// The Contact, read.
    pub uri: Uri,
    /// Record-Route from the last to the first: the route of the caller's side.
    pub route: Vec<String>,
}

/// Where a message asks the first requests of its dialog to be sent: to the proxy next to its receiver that wants to
/// stay in the path, or without one to the sender itself (RFC 3261 §12.1.1, §12.1.2, §12.2.1.1).
#[derive(Debug, Clone)]
pub(crate) struct FirstHop {
    /// The header that says so.
    pub header: &'static str,
    /// The URI, as it was sent.
    pub text: String,
    /// The URI, read.
    pub uri: Uri,
}

/// A 2xx that was repeated although an ACK to it, or what should be one, is in the capture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unheard<'a> {
    /// The 2xx, as the caller's side got it.
    pub success: &'a Heard,
    /// The ACK as the caller's side sent it.
    pub ack: &'a Heard,
}

impl Target {
    /// True if a request of the dialog comes from one of the proxies that it has to pass, or has passed one: then what
    /// it had to carry for that proxy in Route is gone, as it must be (RFC 3261 §16.4).
    pub(crate) fn has_been_passed(&self, request: &Heard) -> bool {
        let sender = Some(request.path.source.ip());
        request.message.via_count() > 1 || self.route.iter().any(|hop| address(&Uri::read(hop)) == sender)
    }
}

impl FirstHop {
    /// What a message asks for: with Record-Route the last of a response, the first of a request, else Contact; `None`
    /// if it was cut.
    pub(crate) fn named_in(heard: &Heard) -> Option<FirstHop> {
        if heard.message.is_cut() {
            return None;
        }
        let mut recorded = heard.message.headers("Record-Route");
        let by_proxy = if heard.message.is_request() { recorded.into_iter().next() } else { recorded.pop() };
        match by_proxy {
            Some(value) => Some(FirstHop::read(RECORD_ROUTE, &value)),
            None => FirstHop::contact_of(heard),
        }
    }

    /// What a response asks of the one who got it on this hop: what the request there had of Record-Route is of proxies
    /// that lie before its sender, or of itself.
    pub(crate) fn after(response: &Heard, request: Option<&Heard>) -> Option<FirstHop> {
        let known = request.map_or(0, |request| request.message.headers(RECORD_ROUTE).len());
        if known == 0 || response.message.is_cut() {
            return FirstHop::named_in(response);
        }
        let mut recorded = response.message.headers(RECORD_ROUTE);
        recorded.truncate(recorded.len().saturating_sub(known));
        match recorded.pop() {
            Some(value) => Some(FirstHop::read(RECORD_ROUTE, &value)),
            None => FirstHop::contact_of(response),
        }
    }

    /// The first Contact of a message, whatever stays in the path.
    pub(crate) fn contact_of(heard: &Heard) -> Option<FirstHop> {
        Some(FirstHop::read(CONTACT, &heard.message.headers(CONTACT).into_iter().next()?))
    }

    fn read(header: &'static str, value: &str) -> FirstHop {
        let text = NameAddr::read(value).uri;
        let uri = Uri::read(&text);
        FirstHop { header, text, uri }
    }

    /// True if a proxy wrote it.
    pub(crate) fn is_of_proxy(&self) -> bool {
        self.header == RECORD_ROUTE
    }

    /// True if a request is written to go there, as it must: by its first Route, which is gone into the Request-URI
    /// where that proxy is a strict router, or without Route by its Request-URI.
    pub(crate) fn is_followed_by(&self, request: &Heard) -> bool {
        let is_it = |text: &str| same_target(&Uri::read(text), &self.uri);
        let routes = request.message.headers("Route");
        let names_target = || request.message.request_uri().is_some_and(|uri| is_it(&uri));
        match (self.is_of_proxy(), routes.first()) {
            (true, Some(first)) => {
                is_it(&NameAddr::read(first).uri) || !self.uri.parameters.has("lr") && names_target()
            }
            (true, None) => !self.uri.parameters.has("lr") && names_target(),
            (false, first) => first.is_none() && names_target(),
        }
    }
}

impl<'a> Unheard<'a> {
    /// The 2xx of the hop behind, where the host that passed it on got the ACK and sent none on: its sender is the one
    /// who waits.
    pub(crate) fn waits_behind(&self, case: &Case<'a>) -> Option<&'a Heard> {
        let hop = self.ack.path.destination.ip();
        let was_sent_on = |waiting: &Heard| {
            let acks = case.call.messages.iter().filter(|heard| heard.message.method() == Some(&Method::Ack));
            let ways = acks.map(|ack| (ack.path.source.ip(), ack.path.destination.ip()));
            ways.into_iter().any(|way| way == (hop, waiting.path.source.ip()))
        };
        let is_of_it = |behind: &&Heard| {
            behind.message.status().is_some_and(StatusCode::is_success)
                && to_tag(behind) == to_tag(self.success)
                && behind.repeated >= ENOUGH_REPEATS
        };
        let inner = case.call.downstream_of(self.success.transaction).filter(|_| hop == self.success.path.source.ip());
        inner.flat_map(|inner| case.finals(inner)).filter(is_of_it).find(|behind| !was_sent_on(behind))
    }

    /// Claims that the ACK came to a host which sent none on to the one who waits for it.
    pub(crate) fn claim_not_sent_on(&self, finding: Finding, waiting: &Heard) -> Finding {
        let (hop, to) = (self.ack.path.destination.ip(), waiting.path.source.ip());
        finding.claim(self.ack, destination_field(hop), hop.to_string(), "the ACK comes to this host").claim_absent(
            self.ack.place,
            format!("ACK {hop} → {to}"),
            "it is not sent on",
        )
    }

    /// Claims that the 2xx is repeated after the ACK.
    pub(crate) fn claim_repeats(&self, finding: Finding) -> Finding {
        let Some(last) = self.success.repeats.last() else { return finding };
        let cseq = self.success.message.header("CSeq").unwrap_or_default().into_owned();
        finding.claim_at(*last, "sip.CSeq", cseq, "the 2xx is still repeated after the ACK")
    }
}

/// The headers that say where a dialog's requests have to go.
pub(crate) const CONTACT: &str = "Contact";
pub(crate) const RECORD_ROUTE: &str = "Record-Route";

/// First intervals between copies that are taken for T1: what systems in use can be set to.
const T1_SEEN: RangeInclusive<Duration> = Duration::from_millis(80)..=Duration::from_millis(2_200);

impl<'a> Case<'a> {
    /// What the 2xx of a dialog asks of the requests that follow; `None` without a Contact, or if it was cut.
    pub(crate) fn remote_target(&self, success: &Heard) -> Option<Target> {
        if success.message.is_cut() {
            return None;
        }
        let contact = success.message.headers("Contact").into_iter().next()?;
        let uri = NameAddr::read(&contact).parsed();
        let mut route: Vec<String> =
            success.message.headers("Record-Route").iter().map(|value| NameAddr::read(value).uri).collect();
        route.reverse();
        Some(Target { contact, uri, route })
    }

    /// A response on the innermost hop that the capture holds, with the same code and Contact.
    pub(crate) fn as_first_seen(&self, response: &'a Heard) -> &'a Heard {
        let contact = |heard: &Heard| heard.message.contact().map(|contact| contact.parsed());
        let mut written = response;
        for _ in 0..32 {
            let inner = self.call.downstream_of(written.transaction);
            let mut behind = inner.flat_map(|inner| self.provisionals(inner).chain(self.finals(inner)));
            let is_same = |heard: &&Heard| {
                heard.message.status() == response.message.status() && contact(heard) == contact(written)
            };
            match behind.find(is_same) {
                Some(inner) => written = inner,
                None => break,
            }
        }
        written
    }

    /// The 2xx whose sender went on repeating it after the ACK to it, of several hops the last: the ACK did not arrive.
    pub(crate) fn unheard_ack(&self) -> Option<Unheard<'a>> {
        let repeated = self.answers().filter(|(_, success)| success.repeated >= ENOUGH_REPEATS);
        let unheard = repeated.filter_map(|(_, success)| {
            let ack = self.acks_to(success).find(|ack| ack.path.source.ip() == success.path.destination.ip())?;
            let after = success.repeats.iter().filter(|repeat| **repeat > ack.place).count();
            (after >= ENOUGH_REPEATS as usize).then_some(Unheard { success, ack })
        });
        // What a proxy hears and passes on is not heard on the hop behind it.
        unheard.last()
    }

    /// True if the sender of a 2xx gave the call up about 32 s after it, or nobody could end it in a capture that goes
    /// on: there is no BYE, or none that was answered but that with which the sender gave up after the other side had.
    pub(crate) fn was_given_up(&self, success: &Heard) -> bool {
        match self.first_bye() {
            Some(bye) if self.gives_up(success, bye.request) => true,
            Some(bye) => {
                let of_others = self.asked(&Method::Bye).filter(|bye| !self.gives_up(success, bye.request));
                let answered = of_others.into_iter().any(|bye| !bye.transaction.finals.is_empty());
                !answered && self.tail(bye.request.place) >= OVERDUE
            }
            None => self.tail(success.place) >= OVERDUE,
        }
    }

    /// A finding of this surety about an ACK that did not arrive: it explains the end of the call if that came of it.
    pub(crate) fn of_unheard_ack(&self, rule: &'static Rule, sure: Confidence, success: &Heard) -> Finding {
        let finding = Finding::of(rule, sure);
        match self.was_given_up(success) {
            true => finding.explains(success.message.status()).drops_the_call(),
            false => finding,
        }
    }

    /// True if the sender of a 2xx shows that it got no ACK: it repeats its answer, or gives the call up over TCP.
    pub(crate) fn waits_for_ack(&self, success: &Heard) -> bool {
        success.repeated >= ENOUGH_REPEATS || self.given_up_over_stream(success).is_some()
    }

    /// The BYE with which the sender of a 2xx gives up that was sent once, as some stacks do over TCP although they
    /// must repeat it there too (RFC 3261 §13.3.1.4). It takes the hop of the 2xx, and so would the ACK.
    pub(crate) fn given_up_over_stream(&self, success: &Heard) -> Option<&'a Heard> {
        if !success.path.transport.is_reliable()
            || success.repeated > 0
            || self.absence_of_answer(success) == Confidence::Unseen
        {
            return None;
        }
        let on_hop = |bye: &&Heard| {
            let (back, way) = (bye.path, success.path);
            (back.source.ip(), back.destination.ip()) == (way.source.ip(), way.destination.ip())
                && bye.message.call_id() == success.message.call_id()
                && from_tag(bye) == to_tag(success)
        };
        self.asked(&Method::Bye).map(|bye| bye.request).find(on_hop).filter(|bye| self.gives_up(success, bye))
    }

    /// True if a BYE comes when the sender of a 2xx that nobody confirms gives up, 64·T1 after it (RFC 3261 §13.3.1.4),
    /// or says itself that the ACK did not come. T1 is what the first repetition shows.
    pub(crate) fn gives_up(&self, success: &Heard, bye: &Heard) -> bool {
        let after = bye.place.time.since(success.place.time);
        let t1 = success.repeats.first().map(|first| first.time.since(success.place.time));
        let t1 = t1.filter(|t1| T1_SEEN.contains(t1)).unwrap_or(T1);
        let in_time = |t1: Duration| after >= t1 * 56 && after <= t1 * 80;
        let names_ack =
            |text: &str| text.to_ascii_uppercase().split(|c: char| !c.is_ascii_alphabetic()).any(|w| w == "ACK");
        let says = |reason: &Reason| reason.text.as_deref().is_some_and(names_ack);
        in_time(t1) || in_time(T1) || self.reasons(bye).iter().any(says)
    }
}

/// True if a response has passed a proxy, as far as can be told: where it was first seen it came from that Contact, and
/// so from the callee itself; or on the only hop that is seen the Contact is no address of a network behind the sender,
/// which only a device behind a NAT would name.
pub(crate) fn has_passed_proxy(response: &Heard, written: &Heard, contact: IpAddr) -> bool {
    let source = written.path.source.ip();
    let is_only_hop = written.id == response.id;
    source == contact || is_only_hop && (!is_private(contact) || is_private(source))
}

/// True if two URIs name the same user, host and port; parameters do not count.
pub(crate) fn same_target(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| uri.port.unwrap_or(if uri.scheme == "sips" { 5061 } else { 5060 });
    one.is_same_target(other) && port(one) == port(other)
}

/// True if a URI names the address from which a message came whose Contact nobody outside of its network can reach: a
/// server that knows of NAT sends there in place of the Contact, and is right.
pub(crate) fn names_source_of_private(uri: &Uri, heard: &Heard, contact: &Uri) -> bool {
    let (source, port) = (heard.path.source, uri.port.unwrap_or(DEFAULT_PORT));
    let is_translated = address(contact).is_some_and(|host| is_private(host) && host != source.ip());
    is_translated && address(uri) == Some(source.ip()) && port == source.port()
}

/// The address that a URI names, if it is one and not a name.
pub(crate) fn address(uri: &Uri) -> Option<IpAddr> {
    uri.host.parse().ok()
}
