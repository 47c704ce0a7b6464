//! Which software a party runs, as far as its own words tell: so that advice can use the names of its settings.

use std::borrow::Cow;

use crate::call::Heard;
use crate::diagnosis::case::Case;

/// Software whose settings are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Asterisk, FreePBX.
    Asterisk,
    /// FreeSWITCH.
    FreeSwitch,
    /// Kamailio, OpenSER.
    Kamailio,
    /// OpenSIPS.
    OpenSips,
}

impl Platform {
    /// Reads the value of a Server or User-Agent header; `None` for software that is not known here.
    pub fn read(agent: &str) -> Option<Platform> {
        let agent = agent.to_ascii_lowercase();
        let known = [
            ("asterisk", Platform::Asterisk),
            ("fpbx", Platform::Asterisk),
            ("freepbx", Platform::Asterisk),
            ("freeswitch", Platform::FreeSwitch),
            ("kamailio", Platform::Kamailio),
            ("openser", Platform::Kamailio),
            ("opensips", Platform::OpenSips),
        ];
        known.iter().find(|(word, _)| agent.contains(word)).map(|(_, platform)| *platform)
    }
}

impl<'a> Case<'a> {
    /// The software that made a message: by its Server or User-Agent header, else by what its sender named before.
    /// A request carries the name of the one who made it, and so does a response that was passed on.
    pub fn agent(&self, heard: &'a Heard) -> Option<String> {
        own_name(heard).or_else(|| self.software(heard.path.source.ip()).map(str::to_owned))
    }

    /// The callee's device, as far as its response tells where it is.
    pub fn device_behind(&self, response: &'a Heard) -> String {
        format!("the callee's device, at or behind {}", response.path.source)
    }

    /// The platform that made a message, by the name that the message itself bears: what its sender calls itself
    /// elsewhere tells nothing of a response that it passed on.
    pub fn platform(&self, heard: &'a Heard) -> Option<Platform> {
        Platform::read(&own_name(heard)?)
    }
}

/// What the software that made a message calls itself in it: Server or User-Agent.
pub(crate) fn own_name(heard: &Heard) -> Option<String> {
    heard.message.software().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_known_by_their_own_words() {
        assert_eq!(Platform::read("kamailio (5.6.3 (x86_64/linux))"), Some(Platform::Kamailio));
        assert_eq!(Platform::read("FPBX-16.0.33(18.9.0)"), Some(Platform::Asterisk));
        assert_eq!(Platform::read("OpenSIPS (3.4.2)"), Some(Platform::OpenSips));
        assert_eq!(Platform::read("baresip v1.0.0"), None);
    }
}
