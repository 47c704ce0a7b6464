//! What the one who refused an offer is known to take by other calls: what it accepted from the same client there, and
//! what it offered that client itself.
//!
//! Is given a refused INVITE and its codecs; gives those of them that the other side can use, with the profile it used
//! them in. Deliberately does not judge: whether a device behind the same address answers now is for a rule to say.

use crate::call::{Heard, Sample};
use crate::diagnosis::Case;
use crate::diagnosis::words::list;
use crate::sip::sdp::Codec;

/// A call beside this one in which the other side used codecs of the offer.
#[derive(Debug)]
pub(crate) struct Elsewhere<'a> {
    /// The INVITE of that call.
    pub sample: &'a Sample,
    /// The codecs of the offer that were used there.
    pub codecs: Vec<String>,
    /// The profile in which they were: `RTP/SAVP`.
    pub profile: &'a str,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Took,
    Offered,
}

impl Elsewhere<'_> {
    /// True if the media were encrypted there.
    pub fn is_secure(&self) -> bool {
        self.profile.to_ascii_uppercase().contains("SAVP")
    }

    /// `It took PCMA from the same client in another call`.
    pub fn sentence(&self) -> String {
        self.said_of(&list(&self.codecs))
    }

    /// `It took RTP/SAVP with PCMA from the same client in another call`.
    pub fn sentence_with_profile(&self) -> String {
        self.said_of(&format!("{} with {}", self.profile, list(&self.codecs)))
    }

    fn said_of(&self, what: &str) -> String {
        match self.how {
            How::Took => format!("It took {what} from the same client in another call"),
            How::Offered => format!("It offered {what} itself in another call"),
        }
    }

    /// What a claim says of the INVITE of that call.
    pub fn says(&self) -> &'static str {
        match self.how {
            How::Took => "an offer that it accepted in another call",
            How::Offered => "an offer that it made itself in another call",
        }
    }

    /// The `m=` line of the offer there, if that is the one whose profile was used.
    pub fn line(&self) -> Option<&str> {
        self.sample.offers().filter(|(_, profile)| *profile == self.profile).and_then(|_| self.sample.offered())
    }
}

impl<'a> Case<'a> {
    /// The other calls that tell that whoever refused this INVITE can use a codec of it.
    pub(crate) fn elsewhere(&self, request: &Heard, response: &Heard, codecs: &[Codec]) -> Vec<Elsewhere<'a>> {
        let (client, server) = (request.path.source.ip(), request.path.destination);
        let software = response.message.software().unwrap_or_default();
        let is_same = |named: &str| named.is_empty() || software.is_empty() || named == software;
        let common = |names: &[&str]| -> Vec<String> {
            let is_offered = |name: &&&str| codecs.iter().any(|codec| codec.name == **name);
            names.iter().filter(is_offered).map(|name| (*name).to_owned()).collect()
        };
        let good = self.surroundings.neighbours().good_calls();
        let took = good.on(client, server.ip()).iter().filter_map(|sample| {
            let taken = sample.taken.as_ref().filter(|taken| taken.server == server && is_same(&taken.software))?;
            let names: Vec<&str> = taken.codecs.iter().map(String::as_str).collect();
            Some(Elsewhere { sample, codecs: common(&names), profile: &taken.profile, how: How::Took })
        });
        // Over TCP it sends from any port, and is known by its name.
        let is_its_own = |sample: &&Sample| match sample.source == response.path.source {
            true => is_same(&sample.software),
            false => !software.is_empty() && sample.software == software,
        };
        let offered = good.on(server.ip(), client).iter().filter(is_its_own).filter_map(|sample| {
            let (names, profile) = sample.offers()?;
            Some(Elsewhere { sample, codecs: common(&names), profile, how: How::Offered })
        });
        took.chain(offered).filter(|known| !known.codecs.is_empty()).collect()
    }
}
