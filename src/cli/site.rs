//! `sipwhy codes --site DIR`: the whole catalogue as a folder of pages.

use std::fs;
use std::path::Path;

use crate::catalogue::{
    Catalogue, Phrases, decisions, freeswitch_causes, q850_causes, reason_protocols, start_page, starts_page, terms,
    tls_alerts, warning_codes,
};
use crate::cli::args::Look;
use crate::cli::{pages as cli_pages, settings, terminal};
use crate::diagnosis::rules;
use crate::error::Error;
use crate::report::pages;
use crate::report::site::{self, Known, SiteFile, Topic};

/// Writes the site into `folder`, which is made if it is not there, and else has to be empty or hold such a site.
pub(crate) fn write(folder: &Path, look: &Look) -> Result<u8, Error> {
    let look = &settings::of_pages(look)?;
    let english = terminal::catalogue_for_programs(&Look { lang: None, ..look.clone() })?;
    refuse_others(folder)?;
    let topics = topics(&english);
    let codes: Vec<(u16, String)> = english.entries(None).into_iter().map(|entry| (entry.code, entry.name)).collect();
    let known = Known { codes: &codes, topics: &topics };
    put(folder, &site::of_topics(&known))?;
    for tag in Phrases::tags() {
        let catalogue = terminal::catalogue_for_programs(&Look { lang: Some(tag.to_owned()), ..look.clone() })?;
        put(folder, &site::of_language(&catalogue, &known))?;
    }
    // The first page comes last: a site that has one is whole.
    put(folder, &site::first(&english, &known))?;
    Ok(0)
}

/// A folder with other things in it is left alone.
fn refuse_others(folder: &Path) -> Result<(), Error> {
    let Ok(mut entries) = fs::read_dir(folder) else { return Ok(()) };
    let is_ours = || {
        let first = fs::read_to_string(folder.join("index.html")).unwrap_or_default();
        first.contains("<meta name=\"generator\" content=\"sipwhy\">")
    };
    if entries.next().is_some() && !is_ours() {
        return Err(Error::Usage(format!("{} holds other things; name a new folder", folder.display())));
    }
    Ok(())
}

fn put(folder: &Path, files: &[SiteFile]) -> Result<(), Error> {
    for file in files {
        let path = folder.join(&file.path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &file.text));
        written.map_err(|source| Error::WriteReport { path, source })?;
    }
    Ok(())
}

/// Everything that has a page beside the status codes.
fn topics(catalogue: &Catalogue) -> Vec<Topic> {
    let mut topics = Vec::new();
    let tree = decisions();
    let page = |kind, word: String, page| Topic { kind, word, json: pages::page_json(&page), page };
    topics.push(page("Decision paths", "decide".to_owned(), starts_page(tree, catalogue.phrases())));
    for start in tree.starts() {
        topics.push(page("Decision paths", format!("decide-{}", start.key), start_page(tree, start, catalogue)));
    }
    for (one, other) in Catalogue::compared_by_hand() {
        if let Some(comparison) = catalogue.compare(one, other) {
            topics.push(site::of_comparison(&comparison, catalogue.phrases(), (one, other)));
        }
    }
    for rule in rules::ALL {
        topics.push(page("Rules", rule.name.to_owned(), cli_pages::page_of(rule, catalogue.phrases())));
    }
    let words = [
        ("Q.850 causes", q850_causes().map(|row| format!("q850-{}", row.cause)).collect::<Vec<_>>()),
        ("Warning codes", warning_codes().iter().map(|row| format!("warning-{}", row.code)).collect()),
        ("Reason protocols", reason_protocols().iter().map(|row| format!("reason-{}", row.protocol)).collect()),
        ("TLS alerts", tls_alerts().iter().map(|row| format!("tls-{}", row.number)).collect()),
        ("FreeSWITCH causes", freeswitch_causes().iter().map(|row| format!("freeswitch-{}", row.cause)).collect()),
        ("Terms and vendors' codes", terms().iter().map(|row| row.key.clone()).collect()),
    ];
    for (kind, words) in words {
        for word in words {
            if let Some(subject) = catalogue.subject(&word) {
                let json = pages::subject_json(&subject, catalogue.phrases());
                topics.push(Topic { kind, word, json, page: subject.page(catalogue) });
            }
        }
    }
    topics
}
