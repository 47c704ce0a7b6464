//! The names that software has for the settings that advice is about.

use serde::Deserialize;

use super::signature::{is_named, settings_about};

/// What advice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Where accounts are made.
    AccountUnknown,
    /// Where addresses are entered that need not authenticate.
    AddressNotKnown,
    /// What decides which addresses are let in.
    AddressRefused,
    /// What makes a server decline a call itself.
    DeclinedByServer,
    /// How long the connections of devices are kept.
    DeviceConnections,
    /// What sends requests inside a dialog on.
    DialogRouting,
    /// Which domains are served.
    Domains,
    /// The address that is named for media outside.
    ExternalAddress,
    /// How long a silent server is waited for.
    GiveUpTimer,
    /// What hides a 503 behind another code.
    HiddenCode,
    /// Where to read what happened.
    Log,
    /// How long media may be silent.
    MediaTimeout,
    /// Going on to another server.
    NextServer,
    /// How long a nonce is good.
    NonceLifetime,
    /// What nonces are made with.
    NonceSecret,
    /// The credentials that are shown to others.
    OutboundCredentials,
    /// The password that the server knows.
    Password,
    /// What is refused beside a wrong password.
    PasswordOrAccount,
    /// Following redirects.
    Redirects,
    /// Which devices are registered.
    RegisteredDevices,
    /// Where numbers lead.
    Routes,
    /// How much traffic is taken.
    TrafficLimits,
    /// Which users there are.
    Users,
}

/// A row of the table of settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it is about.
    pub about: Topic,
    /// The software, or several that share the words.
    pub software: Vec<String>,
    /// Its words: what stands in brackets behind a step, or a step with places to fill in.
    pub words: String,
}

impl Setting {
    /// The words of the software that calls itself so, in lower case.
    pub fn of(about: Topic, name: &str) -> Option<&'static Setting> {
        let is_of_software = |row: &&Setting| row.software.iter().any(|software| is_named(software, name));
        settings_about(about).find(is_of_software)
    }

    /// True if a text names one of the settings that stand between the marks of code here.
    pub fn is_named_in(&self, text: &str) -> bool {
        let text = bare(text);
        let mut names = self.words.split('`').skip(1).step_by(2).map(bare);
        names.any(|name| !name.is_empty() && text.contains(&name))
    }
}

/// Letters and digits alone: `max-sessions` and `max_sessions` are one name.
fn bare(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric()).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::signature::settings;

    #[test]
    fn rows_stand_in_order_and_none_is_hidden() {
        let keys: Vec<(String, &[String])> =
            settings().map(|row| (format!("{:?}", row.about), &*row.software)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        for row in settings() {
            assert!(row.software.iter().all(|software| is_named(software, &software.to_lowercase())), "{row:?}");
        }
    }

    #[test]
    fn a_setting_is_known_in_any_spelling() {
        let row = Setting::of(Topic::TrafficLimits, "freeswitch-mod_sofia/1.10.9").unwrap();
        assert!(row.is_named_in("Look at `fsctl max_sessions`."));
        assert!(!row.is_named_in("Look at the profile."));
        assert_eq!(Setting::of(Topic::TrafficLimits, "3cxphonesystem"), None);
    }
}
