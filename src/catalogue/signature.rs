//! What the words of a response tell where the software that sent it is known.

use std::sync::OnceLock;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::setting::{Setting, Topic};
use super::slices::{self, Row, Slice};

/// A row of the table of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The software, or several that share the words.
    pub software: Vec<String>,
    /// The codes for which it holds; any if empty.
    #[serde(default)]
    pub codes: Vec<u16>,
    /// The methods of the request for which it holds; any if empty.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Words of which the response says one, lower case; any if empty.
    #[serde(default)]
    pub says: Vec<String>,
    /// Words of which the response says none, lower case.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// True if it holds only where the software has called nobody further.
    #[serde(default)]
    pub calls_nobody: bool,
    /// How the software is known.
    pub told_by: ToldBy,
    /// When that software answers so: a part of a sentence.
    pub condition: String,
    /// What to look at: a sentence.
    pub check: String,
}

/// How it is known which software a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToldBy {
    /// By the words of the status line, which nobody else writes; another name speaks against it.
    Phrase,
    /// By words in a header that others pass on.
    Header,
    /// By Server or User-Agent of the response.
    Name,
    /// By the User-Agent of the request.
    Client,
}

/// What a response says, and who speaks, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// The code.
    pub code: u16,
    /// The method of the request, as it is written.
    pub method: &'a str,
    /// The status line, and headers with their names, one for each line.
    pub says: &'a str,
    /// The software that sent it; empty if that is not known.
    pub server: &'a str,
    /// The software that sent the request; empty if that is not known.
    pub client: &'a str,
}

/// Software and the words by which its name is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Software {
    name: String,
    words: Vec<String>,
    /// The name of other software whose words hold these too, and which this is not: an old version.
    #[serde(default)]
    except: Option<String>,
}

/// The rows of the table. Each is parsed when it is first asked for: most are of codes, software and settings that a
/// capture does not have.
#[derive(Default)]
struct Rows {
    /// By their names.
    software: Vec<Row<&'static str, Software>>,
    signatures: Vec<Row<Holds, Signature>>,
    /// By what they are about.
    settings: Vec<Row<Topic, Setting>>,
}

/// For which answers a row may hold, as far as its first lines tell: most rows need no parse.
#[derive(Debug, PartialEq, Eq)]
struct Holds {
    /// Any if empty.
    codes: Vec<u16>,
    software: Vec<&'static str>,
    told_by: ToldBy,
}

impl Holds {
    /// If a row may hold for an answer, its words apart.
    fn holds_for(&self, answer: Said<'_>) -> bool {
        let is_named = |name: &str| self.software.iter().any(|software| is_named(software, name));
        let is_known = || self.software.iter().any(|software| software_of(software).is_some());
        let of_code = self.codes.is_empty() || self.codes.contains(&answer.code);
        of_code
            && match self.told_by {
                ToldBy::Phrase => answer.server.is_empty() || !is_known() || is_named(answer.server),
                ToldBy::Header => true,
                ToldBy::Name => is_named(answer.server),
                ToldBy::Client => is_named(answer.client),
            }
    }
}

impl Signature {
    /// The first row that tells what the server means by its answer.
    pub fn of_server(answer: Said<'_>) -> Option<&'static Signature> {
        Signature::first(answer, |told_by| told_by != ToldBy::Client)
    }

    /// The first row that tells what the client makes of the answer.
    pub fn of_client(answer: Said<'_>) -> Option<&'static Signature> {
        Signature::first(answer, |told_by| told_by == ToldBy::Client)
    }

    fn first(answer: Said<'_>, is_wanted: impl Fn(ToldBy) -> bool) -> Option<&'static Signature> {
        let pairs = Pairs::of(answer.says);
        let mut rows = rows().signatures.iter().filter(|row| is_wanted(row.key.told_by) && row.key.holds_for(answer));
        rows.find_map(|row| Some(row.read()).filter(|row| row.fits(answer, &pairs)))
    }

    /// The software as it is named in a sentence: the one that `name` names, else all of the row.
    pub fn software_in(&self, name: &str) -> String {
        let named = self.software.iter().find(|software| is_named(software, name));
        named.cloned().unwrap_or_else(|| self.software.join(" or "))
    }

    /// If a row that holds for an answer fits its words too.
    fn fits(&self, answer: Said<'_>, pairs: &Pairs) -> bool {
        let of_method = self.methods.is_empty() || self.methods.iter().any(|method| method == answer.method);
        // Texts are searched last, for that takes longest.
        of_method && self.is_told_by_words(answer.says, pairs)
    }

    fn is_told_by_words(&self, said: &str, pairs: &Pairs) -> bool {
        let says = |words: &String| pairs.may_hold(words) && says_words(said, words);
        let holds = |words: &String| pairs.may_hold(words) && memmem::find(said.as_bytes(), words.as_bytes()).is_some();
        (self.says.is_empty() || self.says.iter().any(says)) && !self.lacks.iter().any(holds)
    }
}

/// The pairs of neighbouring bytes in a text, by a hash: nearly all of the words that a text does not hold have a pair
/// that it has not, and need no search.
pub(crate) struct Pairs([u64; 16]);

impl Pairs {
    pub(crate) fn of(text: &str) -> Pairs {
        let mut pairs = Pairs([0; 16]);
        for pair in text.as_bytes().windows(2) {
            let (row, bit) = Pairs::place(pair);
            pairs.0[row] |= bit;
        }
        pairs
    }

    /// False if the text does not hold these words.
    pub(crate) fn may_hold(&self, words: &str) -> bool {
        words.as_bytes().windows(2).all(|pair| {
            let (row, bit) = Pairs::place(pair);
            self.0[row] & bit != 0
        })
    }

    fn place(pair: &[u8]) -> (usize, u64) {
        (usize::from(pair[0] & 15), 1 << (pair[1] & 63))
    }
}

/// The row of software that has one.
fn software_of(software: &str) -> Option<&'static Row<&'static str, Software>> {
    rows().software.iter().find(|row| row.key == software)
}

pub(super) fn is_named(software: &str, name: &str) -> bool {
    let Some(row) = software_of(software).filter(|_| !name.is_empty()).map(Row::read) else { return false };
    let is_other = || row.except.as_deref().is_some_and(|other| is_named(other, name));
    row.words.iter().any(|word| name.contains(&**word)) && !is_other()
}

/// True if a text holds words, and not only as a part of longer ones: `d1` is not in `d10`.
pub fn says_words(text: &str, words: &str) -> bool {
    let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let is_whole = |at: usize| {
        let (before, rest) = text.split_at(at);
        let (found, after) = rest.split_at(words.len());
        let begins = !is_letter(found.chars().next()) || !is_letter(before.chars().next_back());
        let ends = !is_letter(found.chars().next_back()) || !is_letter(after.chars().next());
        begins && ends
    };
    // Nearly always nothing is found: the search that is quickest to begin.
    memmem::find(text.as_bytes(), words.as_bytes())
        .is_some_and(|first| is_whole(first) || text[first..].match_indices(words).any(|(at, _)| is_whole(first + at)))
}

/// Every row, in the order in which they are tried.
pub fn signatures() -> impl Iterator<Item = &'static Signature> {
    rows().signatures.iter().map(Row::read)
}

/// The rows of the settings that are about this.
pub(super) fn settings_about(topic: Topic) -> impl Iterator<Item = &'static Setting> {
    rows().settings.iter().filter(move |row| row.key == topic).map(Row::read)
}

/// Every row of the settings.
#[cfg(test)]
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    rows().settings.iter().map(Row::read)
}

fn rows() -> &'static Rows {
    static ROWS: OnceLock<Rows> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut rows = Rows::default();
        for Slice { text, .. } in slices::cut_all(TEXT) {
            // That the table can be read is tested: a row without its key is a fault of the build.
            match text.lines().next() {
                Some("[[software]]") => rows.software.push(Row::new(string(text, "name"), text)),
                Some("[[signature]]") => rows.signatures.push(Row::new(holds(text), text)),
                _ => rows.settings.push(Row::new(word(text, "about"), text)),
            }
        }
        rows
    })
}

/// The strings in a line of a row, of which none holds a quotation mark.
fn strings(text: &'static str, key: &str) -> impl Iterator<Item = &'static str> {
    slices::value_of(text, key).unwrap_or_default().split('"').skip(1).step_by(2)
}

/// The string in a line of a row.
fn string(text: &'static str, key: &str) -> &'static str {
    strings(text, key).next().unwrap_or_default()
}

/// The word in a line of a row.
fn word<T: Deserialize<'static>>(text: &'static str, key: &str) -> T {
    let word: StrDeserializer<'static, ValueError> = string(text, key).into_deserializer();
    match T::deserialize(word) {
        Ok(word) => word,
        Err(error) => panic!("a row of data/ has no {key}: {error}: {text}"),
    }
}

fn holds(text: &'static str) -> Holds {
    let codes = slices::value_of(text, "codes").unwrap_or_default().split(|letter: char| !letter.is_ascii_digit());
    let codes = codes.filter_map(|code| code.parse().ok()).collect();
    Holds { codes, software: strings(text, "software").collect(), told_by: word(text, "told_by") }
}

const TEXT: &str = include_str!("../../data/signatures.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Whole {
        software: Vec<Software>,
        signature: Vec<Signature>,
        setting: Vec<Setting>,
    }

    #[test]
    fn rows_say_the_same_as_the_whole_file_and_so_do_their_keys() {
        let whole: Whole = super::super::tables::read(TEXT);
        assert!(whole.software.iter().eq(rows().software.iter().map(Row::read)));
        assert!(whole.signature.iter().eq(signatures()));
        assert!(whole.setting.iter().eq(settings()));
        assert!(rows().software.iter().all(|row| row.read().name == row.key));
        for row in &rows().signatures {
            let Signature { codes, software, told_by, .. } = row.read();
            let software = software.iter().map(String::as_str).collect();
            assert_eq!(row.key, Holds { codes: codes.clone(), software, told_by: *told_by });
        }
        assert!(rows().settings.iter().all(|row| row.read().about == row.key));
    }

    #[test]
    fn each_row_can_be_told_by_words_or_by_software() {
        for row in signatures() {
            let needs_words = matches!(row.told_by, ToldBy::Phrase | ToldBy::Header);
            assert!(!needs_words || !row.says.is_empty(), "{row:?}");
            let known = row.software.iter().all(|software| software_of(software).is_some());
            assert!(needs_words || known, "the name is not known: {row:?}");
            let lower = row.says.iter().chain(&row.lacks).all(|word| *word == word.to_lowercase());
            assert!(lower && row.check.ends_with('.') && !row.condition.ends_with('.'), "{row:?}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_one_before_it() {
        for row in signatures() {
            let of = |list: &[u16]| list.first().copied().unwrap_or(699);
            let method = row.methods.first().map_or("INVITE", |method| method.as_str());
            let says = row.says.first().cloned().unwrap_or_default();
            let name = row.software.first().and_then(|software| software_of(software)?.read().words.first());
            let name = name.map(String::as_str).unwrap_or_default();
            let answer = Said { code: of(&row.codes), method, says: &says, server: name, client: name };
            let found = match row.told_by {
                ToldBy::Client => Signature::of_client(answer),
                _ => Signature::of_server(answer),
            };
            assert!(found.is_some_and(|found| std::ptr::eq(found, row)), "{row:?} is hidden by {found:?}");
        }
    }

    fn of(code: u16, method: &str, server: &str, says: &str) -> Option<&'static str> {
        let answer = Said { code, method, says, server, client: "" };
        Signature::of_server(answer).map(|row| row.software[0].as_str())
    }

    #[test]
    fn words_tell_the_software_unless_another_is_named() {
        let says = "sip/2.0 477 unfortunately error on sending to next hop occurred (477/tm)";
        assert_eq!(of(477, "INVITE", "", says), Some("Kamailio"));
        assert_eq!(of(477, "INVITE", "kamailio (5.7.1 (x86_64/linux))", says), Some("Kamailio"));
        assert_eq!(of(477, "INVITE", "opensips (3.4)", says), None);
        assert_eq!(of(477, "INVITE", "asterisk pbx 20", says), None);
    }

    #[test]
    fn what_only_a_name_tells_is_not_said_without_it() {
        let says = "sip/2.0 404 not found";
        assert_eq!(of(404, "INVITE", "asterisk pbx 20.5.0", says), Some("Asterisk"));
        assert_eq!(of(404, "INVITE", "", says), None);
        assert_eq!(of(404, "INVITE", "kamailio (5.7.1)", says), None);
        assert_eq!(of(404, "INVITE", "grandstream", says), None);
    }

    #[test]
    fn an_old_version_has_words_of_its_own() {
        let says = "sip/2.0 403 forbidden";
        let told = |server| {
            let row = Signature::of_server(Said { code: 403, method: "REGISTER", says, server, client: "" });
            row.map(|row| (row.software_in(server), row.check.contains("pjsip")))
        };
        for old in ["asterisk pbx 11.7.0~dfsg-1ubuntu1", "asterisk pbx 1.8.32", "fpbx-2.11.0(11.20.0)"] {
            assert_eq!(told(old), Some(("Asterisk before 12".to_owned(), false)), "{old}");
        }
        for new in ["asterisk pbx 12.0.0", "asterisk pbx 21.1.0", "asterisk pbx", "fpbx-14.0.13.4(13.27.0)"] {
            assert_eq!(told(new), Some(("Asterisk".to_owned(), true)), "{new}");
        }
    }

    #[test]
    fn a_failed_registration_has_words_of_its_own() {
        let row = |method, server| {
            let says = "sip/2.0 403 forbidden";
            Signature::of_server(Said { code: 403, method, says, server, client: "" })
        };
        for name in ["asterisk", "oracle", "freeswitch"] {
            let (call, registration) = (row("INVITE", name), row("REGISTER", name));
            assert!(registration.is_some_and(|found| found.methods == ["REGISTER"]), "{name}");
            assert!(call.is_none_or(|found| found.methods == ["INVITE"]), "{name}");
            assert!(row("MESSAGE", name).is_none(), "{name}");
        }
        assert!(row("REGISTER", "cisco-sipgateway/ios-17.3").is_some());
        assert!(row("REGISTER", "cisco-cp8841").is_none());
    }

    #[test]
    fn words_are_not_found_in_longer_ones() {
        assert!(says_words("403 forbidden d1", "d1"));
        assert!(!says_words("403 forbidden d10", "d1"));
        assert!(!says_words("q.850;cause=160", "cause=16"));
        assert!(says_words("q.850;cause=16;text=\"x\"", "cause=16"));
        assert!(says_words("403 übergabe d1ü d1", "d1"));
    }
}
