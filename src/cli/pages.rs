//! Pages that need no capture: codes, rules, comparisons, interfaces, the schema, completions, the manual.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::capture::{self, DeviceState};
use crate::catalogue::{Block, Catalogue, Class, Entry, Item, Page, Phrase, Phrases, Word, linked_with_rule};
use crate::cli::args::{Cli, EXAMPLES, Format, Look, Options, PageFormat};
use crate::cli::nearest::nearest;
use crate::cli::{settings, terminal};
use crate::diagnosis::{Rule, rules};
use crate::error::Error;
use crate::report::pages;
use crate::report::schema as report_schema;
use crate::report::site;
use crate::untrusted::Untrusted;

/// Digits of a status code (RFC 3261 §7.2).
const CODE_DIGITS: usize = 3;

/// `sipwhy explain SUBJECT`.
pub(crate) fn explain(subject: &str, format: PageFormat, look: &Look) -> Result<u8, Error> {
    let look = &settings::of_pages(look)?;
    let catalogue = terminal::catalogue(look)?;
    if let Some(known) = catalogue.subject(subject) {
        let text = match format {
            PageFormat::Json => pages::subject_json(&known, catalogue.phrases()),
            _ => page_in(&known.page(&catalogue), format, look),
        };
        return print(&text);
    }
    let name = subject.to_lowercase().replace([' ', '_'], "-");
    if let Some(rule) = rules::named(&name) {
        return print(&page_in(&page_of(rule, catalogue.phrases()), format, look));
    }
    let why = match subject.parse::<u64>() {
        Ok(_) => "status codes run from 100 to 699, and sipwhy codes lists them".to_owned(),
        Err(_) => {
            let lists = "sipwhy codes lists the codes";
            match nearest(&name, rules::ALL.iter().map(|rule| rule.name)) {
                Some(nearest) => format!("the rule with the nearest name is {nearest}, and {lists}"),
                None => lists.to_owned(),
            }
        }
    };
    Err(Error::Usage(format!("{subject} is no code, rule or cause that is known: {why}")))
}

/// `sipwhy compare CODE CODE`.
pub(crate) fn compare(codes: &[String], format: PageFormat, look: &Look) -> Result<u8, Error> {
    let mut numbers = Vec::new();
    for code in codes {
        let number = code.parse().map_err(|_| Error::Usage(format!("{code} is no status code")))?;
        numbers.push(number);
    }
    of_codes(&numbers, format, look)
}

/// One code is explained, two are compared.
pub(crate) fn of_codes(codes: &[u16], format: PageFormat, look: &Look) -> Result<u8, Error> {
    let look = &settings::of_pages(look)?;
    let &[one, other] = codes else {
        let code = codes.first().map(u16::to_string).unwrap_or_default();
        return explain(&code, format, look);
    };
    let catalogue = terminal::catalogue(look)?;
    let comparison = catalogue.compare(one, other).ok_or_else(|| {
        let why = if one == other { "name two different ones" } else { "status codes run from 100 to 699" };
        Error::Usage(format!("{one} and {other} cannot be compared: {why}"))
    })?;
    let text = match format {
        PageFormat::Json => pages::comparison_json(&comparison),
        _ => page_in(&comparison.page(catalogue.phrases()), format, look),
    };
    print(&text)
}

/// `sipwhy 503`, `sipwhy 202 503`: a bare three-digit argument is a code unless a file of that name exists.
pub(crate) fn bare_codes(options: &Options) -> Result<Option<(Vec<u16>, PageFormat)>, Error> {
    let reads_nothing = options.read.is_empty() && options.interface.is_empty();
    let are_few = (1..=2).contains(&options.files.len()) && reads_nothing;
    let code = |path: &std::path::PathBuf| {
        let text = path.to_str().filter(|text| text.len() == CODE_DIGITS && !path.exists())?;
        text.parse::<u16>().ok()
    };
    let codes: Vec<u16> = options.files.iter().filter_map(code).collect();
    if reads_nothing && codes.len() == options.files.len() && codes.len() > 2 {
        return Err(Error::Usage("two codes are compared at once: sipwhy compare CODE CODE".into()));
    }
    // A number that no response bears, such as a vendor's, is a page too.
    if let [path] = options.files.as_slice()
        && reads_nothing
        && let Some(word) = path.to_str().filter(|word| word.len() > CODE_DIGITS && !path.exists())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && Catalogue::new().subject(word).is_some()
    {
        return Err(Error::Usage(format!("there is no file {word}; the code is explained by sipwhy explain {word}")));
    }
    if !are_few || codes.len() != options.files.len() {
        return Ok(None);
    }
    Ok(Some((codes, page_format(options.run.format)?)))
}

/// The formats that pages have.
pub(crate) fn page_format(format: Format) -> Result<PageFormat, Error> {
    match format {
        Format::Text => Ok(PageFormat::Text),
        Format::Json => Ok(PageFormat::Json),
        Format::Md => Ok(PageFormat::Md),
        Format::Html => Ok(PageFormat::Html),
        _ => Err(Error::Usage("a page is printed as text, json, md or html".into())),
    }
}

/// `sipwhy codes`.
pub(crate) fn codes(class: Option<&str>, format: PageFormat, look: &Look) -> Result<u8, Error> {
    let look = &settings::of_pages(look)?;
    let catalogue = terminal::catalogue(look)?;
    let class = match class {
        None => None,
        Some(text) => Some(
            Class::parse(text)
                .ok_or_else(|| Error::Usage(format!("--class {text}: there is 1xx, 2xx, 3xx, 4xx, 5xx and 6xx")))?,
        ),
    };
    let entries: Vec<Entry> = catalogue
        .codes()
        .into_iter()
        .filter_map(|code| catalogue.entry(code))
        .map(|entry| entry.into_owned())
        .filter(|entry| class.is_none_or(|class| entry.class() == class))
        .collect();
    let text = match format {
        PageFormat::Text => pages::codes_text(&entries, &catalogue, terminal::width(look)),
        PageFormat::Json => pages::codes_json(&entries),
        PageFormat::Md => pages::codes_markdown(&entries, catalogue.phrases()),
        PageFormat::Html => {
            let words = catalogue.phrases();
            let list = pages::codes_html(&entries, words);
            site::alone(words.say(Phrase::StatusCodes), words.tag(), words.direction(), &list)
        }
    };
    print(&text)
}

/// `sipwhy devices`.
pub(crate) fn devices(_: &Look) -> Result<u8, Error> {
    let mut text = String::new();
    for device in capture::devices()? {
        let state = if device.state == DeviceState::Up { "up" } else { "down" };
        let addresses: Vec<String> = device.addresses.iter().map(ToString::to_string).collect();
        let description = device.description.unwrap_or_default();
        let line = format!("{:<16} {state:<5} {}  {description}", device.name, addresses.join(" "));
        text.push_str(&Untrusted::from(line.trim_end()).for_terminal());
        text.push('\n');
    }
    print(&text)
}

/// `sipwhy schema`.
pub(crate) fn schema() -> Result<u8, Error> {
    print(&report_schema())
}

/// `sipwhy completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, Error> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sipwhy", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// `sipwhy man`.
pub(crate) fn man() -> Result<u8, Error> {
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(Cli::command());
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    // Examples come before the options, as in --help; each line is set as it is.
    text.extend_from_slice(b".SH EXAMPLES\n.nf\n");
    for line in EXAMPLES.lines().skip(1) {
        text.extend_from_slice(line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b".fi\n");
    man.render_options_section(&mut text)?;
    man.render_subcommands_section(&mut text)?;
    man.render_extra_section(&mut text)?;
    man.render_version_section(&mut text)?;
    print(&String::from_utf8_lossy(&text))
}

pub(crate) fn page_in(page: &Page, format: PageFormat, look: &Look) -> String {
    match format {
        PageFormat::Text => pages::text(page, terminal::width(look)),
        PageFormat::Json => pages::page_json(page),
        PageFormat::Md => pages::markdown(page),
        PageFormat::Html => site::alone(&page.title, &page.language, page.direction, &pages::html(page)),
    }
}

/// The words of the headings of a rule's comment, in its order.
const RULE_HEADINGS: [Word; Rule::HEADINGS.len()] =
    [Word::RuleSays, Word::RuleWhy, Word::RuleEvidence, Word::RuleFix, Word::RuleWrong, Word::RuleReferences];

/// The page of a rule, from its comment: the headings in a language, the rest in English.
pub(crate) fn page_of(rule: &Rule, phrases: &Phrases) -> Page {
    let phrases = phrases.for_reports();
    let rule_word = phrases.word(Word::RuleSmall);
    let mut page = Page::new(rule.title(), format!("{} · {rule_word} {}", rule.name, rule.id));
    page.language = phrases.tag().to_owned();
    page.direction = phrases.direction();
    if !phrases.is_english() {
        page = page.section("", vec![phrases.word(Word::EnglishHere).into()]);
    }
    for (heading, word) in Rule::HEADINGS.into_iter().zip(RULE_HEADINGS) {
        if heading == "References" {
            let cited = rule.references();
            let items = cited.iter().map(|cited| Item::new(cited.to_string(), cited.title().unwrap_or_default()));
            page = page.section(phrases.word(word), vec![Block::Bullets(items.collect())]);
            continue;
        }
        let text = rule.section(heading).unwrap_or_default();
        let paragraphs = text.split("\n\n").map(|paragraph| Block::from(paragraph.replace('\n', " ").as_str()));
        page = page.section(phrases.word(word), paragraphs.collect());
    }
    page.section(phrases.word(Word::SeeAlso), vec![Block::Bullets(linked_with_rule(rule.name))])
}

pub(crate) fn print(text: &str) -> Result<u8, Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(0)
}
