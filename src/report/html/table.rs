//! The table of calls: what did not go well first, every row with what sorting and filtering need.

use std::collections::BTreeSet;
use std::io::{self, Write};

use maud::{Markup, PreEscaped, html};

use crate::report::gatherer::Gathered;
use crate::report::html::{Page, shown};
use crate::report::record::{CallRecord, host};
use crate::report::text::words::{between, grouped, person};
use crate::report::view::{is_well, outcome_word, telling};

/// Rows of the table. A browser still opens so many at once.
const MOST_ROWS: usize = 3000;

pub(crate) fn write(out: &mut dyn Write, gathered: &mut Gathered, page: &Page<'_>) -> io::Result<()> {
    let rows = chosen(gathered)?;
    let all = gathered.spool.len();
    let mut outcomes: BTreeSet<&str> = BTreeSet::new();
    let mut body: Vec<String> = Vec::new();
    gathered.spool.each_record(
        |number| rows.contains(&number),
        |record| {
            outcomes.insert(outcome_word(record.outcome));
            body.push(row(&record, page).into_string());
            Ok(())
        },
    )?;
    let opening = html! {
        (PreEscaped("<section id=\"calls\">"))
        h2 { "Calls" }
        @if rows.len() < all {
            p class="faint" {
                "The table holds " (grouped(rows.len() as u64)) " of " (grouped(all as u64))
                " calls, those that did not go well first; " code { "-o calls.csv" } " holds them all."
            }
        }
        p class="filter" id="filter" hidden {
            label { "Filter " input id="filter-text" type="search" placeholder="number, address, cause, code"; }
            label {
                "Outcome "
                select id="filter-outcome" {
                    option value="" { "any" }
                    @for outcome in &outcomes { option value=(outcome) { (outcome) } }
                }
            }
            span id="filter-shown" class="faint" role="status" {}
        }
    };
    super::put(out, opening)?;
    out.write_all(
        b"<div class=\"scroll\"><table id=\"table-of-calls\"><thead><tr><th>no.</th><th>began</th><th>kind</th><th>from</th>\
          <th>to</th><th>outcome</th><th>code</th><th>cause</th><th>peer</th><th>lasted</th></tr></thead><tbody>",
    )?;
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
    } else if crate::report::value::is_failed(record.outcome) {
        "failed"
    } else {
        "calm"
    };
    html! {
        tr class=(class) data-outcome=(outcome_word(record.outcome)) {
            td class="num" data-key=(record.id) {
                @if page.detailed.contains(&record.id) { a href=(format!("#call-{}", record.id)) { (record.id) } } @else { (record.id) }
            }
            td class="num" data-key=(record.started.time.0.div_euclid(1000)) { (page.zone.day(record.started)) " " (page.zone.exact_time(record.started)) }
            td { (crate::report::build::kind_word(record.kind).to_lowercase()) }
            td { (person(record.from.as_ref())) }
            td { (person(record.to.as_ref())) }
            td { (outcome_word(record.outcome)) }
            td class="num" { @if let Some(status) = record.final_status { (status) } }
            td {
                @match finding {
                    Some(finding) => span title=(shown(&finding.title)) { (finding.rule) },
                    None if record.unexplained => "unexplained",
                    None => "",
                }
            }
            td class="mono" { (page.look.names.with(host(&peer))) }
            td class="num" data-key=(format!("{lasted:.6}")) { (format!("{lasted:.3} s")) }
        }
    }
}
