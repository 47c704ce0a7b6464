use crate::call::Heard;
use crate::diagnosis::elsewhere::Elsewhere;
use crate::diagnosis::offers::{asks_for_nothing, audio, intersect, names, share_static};
use crate::diagnosis::rule::rule;
use crate::diagnosis::rules::offer_answer::media_profile_mismatch;
use crate::diagnosis::words::list;
use crate::diagnosis::{Case, Confidence, Finding, Role};
use crate::sip::sdp::{Codec, Media, Sdp};
use crate::sip::{StatusCode, Warning};

rule! {
    /// The two sides have no codec in common.
    ///
    /// ## What it says
    /// The callee's side refused the offer because it can use none of the codecs in it.
    ///
    /// ## Why it happens
    /// One side allows too few codecs, or something between them removes some.
    ///
    /// ## Evidence
    /// A 488 or 606 to the INVITE that opens the call, with a list of its own that shares no codec with the offer. With
    /// Warning 304 or 305 it is likely: these speak of one or more of the offered media types or formats. It is only
    /// possible if several media are offered, if the same side used one of the codecs in another call, or without such
    /// a list or warning. Where it used one in another call, and nothing speaks of codecs or other media, it is not
    /// told at all. telephone-event, comfort noise and redundancy do not count as codecs. An offer whose every stream
    /// has port 0 holds no codec at all, whatever it names.
    ///
    /// ## How to fix
    /// Allow at least one codec of the offer on the callee's side, or add one of the callee's to the offer; PCMA and
    /// PCMU are what nearly all can do.
    ///
    /// ## When it would be wrong
    /// If the codecs fit and only the profile differs (`media-profile-mismatch`), the keys (`media-keying-mismatch`),
    /// the address family (`address-family-mismatch`) or the bandwidth (`bandwidth-insufficient`).
    ///
    /// ## References
    /// RFC 3261 §21.4.26, §20.43; RFC 3264 §6
    "D1" "no-common-codec" needs [488 606 BODY], check
}

/// Warnings that name the media type or its format.
const OF_CODECS: [u16; 2] = [304, 305];
/// Warnings that name something else in the session description.
const OF_OTHERS: [u16; 9] = [300, 301, 302, 303, 306, 307, 330, 331, 370];

fn check(case: &Case<'_>) -> Option<Finding> {
    let failure = case.refused_opening(&[488, 606])?;
    let response = case.response(failure);
    let request = case.request(failure)?;
    if request.message.is_cut() || case.warned(response, &OF_OTHERS).is_some() {
        return None;
    }
    let offer = Sdp::of(&request.message)?;
    let offered = audio(offer)?;
    if asks_for_nothing(offer) {
        let offers_nothing = |before: &Heard| Sdp::of(&before.message).is_some_and(asks_for_nothing);
        let request = case.first_with(request, offers_nothing);
        return Some(of_nothing(case, failure.status, request, response, offered));
    }
    let codecs = offered.main_codecs();
    let abilities = case.abilities(response);
    // What it says of another kind of media tells nothing of this one.
    let of_kind = abilities.as_ref().and_then(|(_, sdp)| audio(sdp)).filter(|media| media.kind == offered.kind);
    let theirs: Option<Vec<Codec>> = of_kind.map(Media::main_codecs);
    let shares_number = of_kind.is_some_and(|media| share_static(media, offered));
    if shares_number && theirs.as_ref().is_some_and(|theirs| !intersect(theirs, &codecs)) {
        return None; // One codec under two names.
    }
    let usable = Usable::of(case, request, response, &codecs, theirs.as_deref());
    let warned = case.warned(response, &OF_CODECS);
    let refusal = Refusal { response, offer, offered, codecs, theirs, usable, warned };
    let mut finding = Finding::of(&RULE, refusal.confidence()?)
        .explains(Some(failure.status))
        .sender(Role::Uas, response)
        .because(refusal.because(case, failure.status));
    finding = refusal.advise(finding).claim(request, "sdp.media", offered.line.clone(), "the offer");
    for other in refusal.others().take(MOST_OTHERS) {
        finding = finding.claim(request, "sdp.media", other.line.clone(), "offered too");
    }
    finding = finding.claim_status(response, "refused");
    if let Some(Usable::Elsewhere(known)) = &refusal.usable
        && let Some(line) = known.sample.offered()
    {
        finding = finding.claim_at(known.sample.place, "sdp.media", line, known.says());
    }
    if let Some(why) = media_profile_mismatch::ruled_out(case, response, offered) {
        finding = finding.refuted("media-profile-mismatch", why);
    }
    finding = cite(finding, response, abilities, refusal.warned.as_ref());
    if refusal.is_unsaid() {
        finding = finding.claim_own_words(case, response);
    }
    Some(
        finding
            .refuted("bandwidth-insufficient", "no Warning 370")
            .refuted("late-offer-unsupported", "the INVITE carries an offer"),
    )
}

/// An offer whose every stream has port 0 asks for no media (RFC 3264 §5.1): there is nothing in it to agree on.
fn of_nothing(case: &Case<'_>, code: StatusCode, request: &Heard, response: &Heard, offered: &Media) -> Finding {
    let (client, server) = (request.path.source, response.path.source);
    let software = request.message.software().map(|name| format!(" ({name})")).unwrap_or_default();
    Finding::of(&RULE, Confidence::Likely)
        .titled("The offer asks for no media.")
        .explains(Some(code))
        .sender(case.role_of_sender(request), request)
        .because(format!(
            "The offer of {client}{software} has no usable media: each of its streams has port 0, which switches it \
             off. {server} refused it with {code}."
        ))
        .fix(format!(
            "Look at {client}{software} for why it offers its {} with port 0: no sound device, no free port, or a \
             setting that switches it off.",
            offered.kind
        ))
        .claim(request, "sdp.media", offered.line.clone(), "a stream with port 0: it is not wanted")
        .claim_status(response, "refused")
        .refuted("media-profile-mismatch", "no stream is offered whose profile could differ")
        .refuted("bandwidth-insufficient", "no Warning 370")
        .refuted("late-offer-unsupported", "the INVITE carries an offer")
}

/// An offer that was refused, and what is known of the codecs of the one who refused it.
struct Refusal<'a> {
    response: &'a Heard,
    offer: &'a Sdp,
    /// The audio of the offer.
    offered: &'a Media,
    /// Its codecs.
    codecs: Vec<Codec>,
    /// Those of the one who refused, if it says.
    theirs: Option<Vec<Codec>>,
    usable: Option<Usable<'a>>,
    /// Its Warning about types or formats.
    warned: Option<Warning>,
}

impl<'a> Refusal<'a> {
    /// How sure it is that no codec is common; `None` if one is, and nothing speaks of media.
    fn confidence(&self) -> Option<Confidence> {
        match (&self.theirs, &self.usable, &self.warned) {
            (Some(_), None, _) => Some(Confidence::Proven),
            (Some(_), Some(_), None) => None,
            // What it took elsewhere it can use: of a single medium nothing is left that could have no codec in common.
            (None, Some(_), None) if self.others().next().is_none() => None,
            // One or more of the media, says RFC 3261 §20.43: with a single one it can be no other.
            (None, None, Some(_)) if self.others().next().is_none() => Some(Confidence::Likely),
            _ => Some(Confidence::Possible),
        }
    }

    /// True if nothing tells what the one who refused can do, and no Warning what it cannot.
    fn is_unsaid(&self) -> bool {
        self.theirs.is_none() && self.usable.is_none() && self.warned.is_none()
    }

    fn because(&self, case: &Case<'_>, code: StatusCode) -> String {
        let (server, offers) = (self.response.path.source, list(&names(&self.codecs)));
        let refused = match &self.warned {
            Some(warning) => {
                format!("{server} refused the offer with {code} and Warning {} ({:?})", warning.code, warning.text)
            }
            None => format!("{server} refused the offer with {code}"),
        };
        let words = case.said_beside_code(self.response);
        let several = self.others().next().is_some();
        match (&self.theirs, &self.usable, &self.warned) {
            (Some(theirs), None, _) => format!(
                "{server} refused the offer with {code}: the offer has {offers}, and it can do {}. They share none.",
                list(&names(theirs))
            ),
            (_, Some(usable), _) => {
                format!("{refused}. The offer has {}. {} {}", media_of(self.offer), usable.sentence(), self.instead())
            }
            (None, None, Some(_)) if several => format!(
                "{refused}: one or more of the offered media or formats cannot be used there. The offer has {}.",
                media_of(self.offer)
            ),
            // RFC 3261 §20.43: the kind of media is what is not available there, whatever its codec is.
            (None, None, Some(_)) if self.lacks_kind() => format!(
                "{refused}: it seems not to take {} at all. The offer has {}.",
                self.offered.kind,
                media_of(self.offer)
            ),
            (None, None, Some(_)) => {
                format!("{refused}: it seems to be able to use none of the offered codecs, {offers}.")
            }
            (None, None, None) if self.offered.kind != "audio" && !several => format!(
                "{refused} and does not say what it can do{words}. The offer has no audio, only {} over {}: it may \
                 not take that at all.",
                self.offered.kind, self.offered.protocol
            ),
            (None, None, None) => format!(
                "{refused} and does not say what it can do{words}. The offer has {} over {}; if it has none of these \
                 codecs, that is the reason. Otherwise it may want another profile (SRTP or not) or media format.",
                if several { media_of(self.offer) } else { offers },
                self.offered.protocol
            ),
        }
    }

    /// The media that are wanted beside the audio. True if the Warning speaks of a kind of media other than audio: of
    /// audio it is also sent where only a codec is missing.
    fn lacks_kind(&self) -> bool {
        let is_304 = self.warned.as_ref().is_some_and(|warning| warning.code == 304);
        is_304
            && self.offered.kind != "audio"
            && self.theirs.is_none()
            && self.usable.is_none()
            && self.others().next().is_none()
    }

    fn others(&self) -> impl Iterator<Item = &'a Media> {
        let (offer, offered) = (self.offer, self.offered);
        offer.media.iter().filter(|media| media.port != 0 && !std::ptr::eq(*media, offered))
    }

    /// What else the refusal may mean if the codec of the audio fits.
    fn instead(&self) -> String {
        let others: Vec<&str> = self.others().map(|media| media.kind.as_str()).collect();
        let is_known_profile =
            matches!(&self.usable, Some(Usable::Elsewhere(known)) if known.is_secure() == self.offered.is_secure());
        match others.is_empty() {
            true if is_known_profile => "It may not take an attribute of the description.".to_owned(),
            true => format!(
                "It may want another profile than {}, or not take an attribute of the description.",
                self.offered.protocol
            ),
            false => format!("It may not want the {}, or not take an attribute of the description.", list(&others)),
        }
    }

    fn advise(&self, finding: Finding) -> Finding {
        let (server, offers) = (self.response.path.source, list(&names(&self.codecs)));
        let finding = match &self.usable {
            None if self.lacks_kind() => finding
                .titled("The callee's side does not take this kind of media.")
                .fix(format!("Offer audio to {server}, or let it take {}.", self.offered.kind)),
            None if self.offered.kind != "audio" && self.theirs.is_none() => finding.fix(format!(
                "Find out whether {server} takes {} over {} at all: if not, offer it to a server that does.",
                self.offered.kind, self.offered.protocol
            )),
            None => finding
                .fix(format!(
                    "Compare the codecs that {server} allows with the offer ({offers}), and allow one of them on both \
                     sides."
                ))
                .fix(second_step(&offers)),
            Some(Usable::Here(_)) => {
                finding.fix(format!("Compare the offer with the description of {server}, line by line."))
            }
            Some(Usable::Elsewhere(_)) => {
                finding.fix(format!("Compare the offer with the one of the other call with {server}, line by line."))
            }
        };
        match self.others().next() {
            Some(_) => finding.fix(format!("See whether {server} accepts an offer of audio alone.")),
            None => finding,
        }
    }
}

/// Media beside the audio that are cited.
const MOST_OTHERS: usize = 3;

/// A codec of the offer that the one who refused can use all the same.
enum Usable<'a> {
    /// Its description in this call holds these.
    Here(Vec<String>),
    /// It used some in another call with the same client.
    Elsewhere(Elsewhere<'a>),
}

impl<'a> Usable<'a> {
    fn of(
        case: &Case<'a>,
        request: &Heard,
        response: &Heard,
        codecs: &[Codec],
        theirs: Option<&[Codec]>,
    ) -> Option<Usable<'a>> {
        if let Some(theirs) = theirs {
            let common: Vec<Codec> = codecs.iter().filter(|codec| theirs.contains(codec)).cloned().collect();
            return (!common.is_empty()).then(|| Usable::Here(names(&common)));
        }
        case.elsewhere(request, response, codecs).into_iter().next().map(Usable::Elsewhere)
    }

    fn sentence(&self) -> String {
        match self {
            Usable::Here(common) => format!("It can do {} itself, so the audio codec is not it.", list(common)),
            Usable::Elsewhere(known) => format!(
                "{}, so the audio codec is hardly it, unless another device behind it refused.",
                known.sentence()
            ),
        }
    }
}

/// Every medium that is wanted, with its codecs: `audio with PCMA and PCMU, and video with H264/90000`.
fn media_of(offer: &Sdp) -> String {
    let wanted = offer.media.iter().filter(|media| media.port != 0);
    let said: Vec<String> =
        wanted.map(|media| format!("{} with {}", media.kind, list(&names(&media.main_codecs())))).collect();
    said.join(", and ")
}

/// What to do if no codec can be allowed on both sides.
fn second_step(offers: &str) -> &'static str {
    match offers.contains("PCMA") || offers.contains("PCMU") {
        true => "If they cannot share one, let an exchange between them transcode.",
        false => "Add PCMA or PCMU to the offer, or let an exchange between them transcode.",
    }
}

fn cite(finding: Finding, response: &Heard, abilities: Option<(&Heard, &Sdp)>, warned: Option<&Warning>) -> Finding {
    let finding = match abilities.and_then(|(heard, sdp)| Some((heard, audio(sdp)?))) {
        Some((heard, media)) => finding.claim(heard, "sdp.media", media.line.clone(), "what the callee's side can do"),
        None => finding,
    };
    match warned {
        Some(_) => finding.claim_header(response, "Warning", "the media format is the reason"),
        None => finding,
    }
}
