//! The table of calls: what did not go well first, every row with what sorting and filtering need.

use std::collections::BTreeSet;
use std::io::{self, Write};

use maud::{Markup, PreEscaped, html};

use crate::catalogue::Word;
use crate::report::gatherer::Gathered;
use crate::report::html::{Page, shown};
use crate::report::record::{CallRecord, host};
use crate::report::text::ended::ended_word;
use crate::report::text::words::{between, grouped, person, type_word};
use crate::report::view::{is_well, telling};

/// Rows of the table. A browser still opens so many at once.
const MOST_ROWS: usize = 3000;

/// The columns.
const COLUMNS: [Word; 10] = [
    Word::ColumnNumber,
    Word::ColumnBegan,
    Word::ColumnKind,
    Word::ColumnFrom,
    Word::ColumnTo,
    Word::ColumnOutcome,
    Word::ColumnCode,
    Word::ColumnCause,
    Word::ColumnPeer,
    Word::ColumnLasted,
];

pub(crate) fn write(out: &mut dyn Write, gathered: &mut Gathered, page: &Page<'_>) -> io::Result<()> {
    let words = &page.look.words;
    let rows = chosen(gathered)?;
    let all = gathered.spool.len();
    let mut outcomes: BTreeSet<&str> = BTreeSet::new();
    let mut body: Vec<String> = Vec::new();
    gathered.spool.each_record(
        |number| rows.contains(&number),
        |record| {
            outcomes.insert(ended_word(words, &record));
            body.push(row(&record, page).into_string());
            Ok(())
        },
    )?;
    let opening = html! {
        (PreEscaped("<section id=\"calls\">"))
        h2 { (words.word(Word::NavCalls)) }
        @if rows.len() < all {
            @let counts = (grouped(rows.len() as u64), grouped(all as u64));
            @let [before, behind] = words.around(Word::TableHolds, "file", &[("shown", &counts.0), ("all", &counts.1)]);
            p class="faint" { (before) code { "-o calls.csv" } (behind) }
        }
        p class="filter" id="filter" hidden {
            label { (words.word(Word::Filter)) " " input id="filter-text" type="search" placeholder=(words.word(Word::FilterHint)); }
            label {
                (words.word(Word::OutcomeLabel)) " "
                select id="filter-outcome" {
                    option value="" { (words.word(Word::Any)) }
                    @for outcome in &outcomes { option value=(outcome) { (outcome) } }
                }
            }
            span id="filter-shown" class="faint" role="status" data-words=(words.word(Word::ShownOf)) {}
        }
    };
    let columns = html! {
        (PreEscaped("<div class=\"scroll\"><table id=\"table-of-calls\">"))
        thead { tr { @for column in COLUMNS { th { (words.word(column)) } } } }
        (PreEscaped("<tbody>"))
    };
    super::put(out, opening)?;
    super::put(out, columns)?;
    for row in body {
        out.write_all(row.as_bytes())?;
    }
    out.write_all(b"</tbody></table></div></section>")
}

/// The numbers of the calls that have a row.
fn chosen(gathered: &mut Gathered) -> io::Result<BTreeSet<u32>> {
    if gathered.spool.len() <= MOST_ROWS {
        return Ok(gathered.spool.numbers().into_iter().collect());
    }
    let (mut troubled, mut well) = (BTreeSet::new(), Vec::new());
    gathered.spool.each_record(
        |_| true,
        |record| {
            if is_well(&record) {
                if well.len() < MOST_ROWS {
                    well.push(record.id);
                }
            } else if troubled.len() < MOST_ROWS {
                troubled.insert(record.id);
            }
            Ok(())
        },
    )?;
    let room = MOST_ROWS - troubled.len();
    troubled.extend(well.into_iter().take(room));
    Ok(troubled)
}

fn row(record: &CallRecord, page: &Page<'_>) -> Markup {
    let lasted = between(record.started, record.ended).as_secs_f64();
    let finding = telling(record);
    let peer = finding.and_then(|finding| finding.party.addr.clone());
    let peer = peer.or(record.legs.last().map(|leg| leg.to_addr.clone())).unwrap_or_default();
    let class = if is_well(record) {
        "well"
    } else if record.outcome.is_failed() {
        "failed"
    } else {
        "calm"
    };
    let words = &page.look.words;
    html! {
        tr class=(class) data-outcome=(ended_word(words, record)) {
            td class="num" data-key=(record.id) {
                @if page.detailed.contains(&record.id) { a href=(format!("#call-{}", record.id)) { (record.id) } } @else { (record.id) }
            }
            td class="num" data-key=(record.started.time.0.div_euclid(1000)) { (page.zone.day(record.started)) " " (page.zone.exact_time(record.started)) }
            td { (type_word(words, record.kind)) }
            td { (person(record.from.as_ref())) }
            td { (person(record.to.as_ref())) }
            td { (ended_word(words, record)) }
            td class="num" { @if let Some(status) = record.final_status { (status) } }
            td {
                @match finding {
                    Some(finding) => span title=(shown(&finding.title)) { (finding.rule) },
                    None if record.unexplained => (words.word(Word::Unexplained)),
                    None => "",
                }
            }
            td class="mono" { (page.look.names.with(host(&peer))) }
            td class="num" data-key=(format!("{lasted:.6}")) { (format!("{lasted:.3} s")) }
        }
    }
}
