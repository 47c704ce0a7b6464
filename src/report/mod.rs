//! One plain report value, and its printers.
//!
//! Is given calls with their diagnosis, what is known of the inputs and of the capture as a whole; gives a [`Report`],
//! or the bytes of one in text, JSON or NDJSON. Deliberately does not know how anything was found.
//!
//! A capture may hold more calls than fit into memory: [`Gatherer`] builds the record of a call when it is diagnosed,
//! keeps of the text report what will be shown, and puts the records of the JSON report into a [`Spool`].

mod build;
mod csv;
mod decisive;
mod drawing;
mod events;
mod gatherer;
mod html;
mod incidents;
mod json;
mod junit;
mod ladder;
mod lanes;
mod mark;
mod markdown;
mod mermaid;
mod moment;
mod names;
mod over_calls;
pub mod pages;
mod passports;
mod persons;
mod pseudonyms;
mod pump;
mod record;
mod redacted;
mod remarks;
mod reread;
mod scene;
mod secrets;
pub mod site;
mod spellings;
mod spool;
mod stats;
pub mod text;
mod ticket;
mod transcript;
mod value;
mod view;
mod watch;

pub use crate::report::csv::write as write_csv;
pub use crate::report::drawing::write as write_svg;
pub use crate::report::events::Events;
pub use crate::report::gatherer::{Gathered, Gatherer, Keep, Selected};
pub use crate::report::html::write as write_html;
pub use crate::report::json::{Layout, write as write_json};
pub use crate::report::junit::write as write_junit;
pub use crate::report::markdown::write as write_markdown;
pub use crate::report::mermaid::write as write_mermaid;
pub use crate::report::moment::Moment;
pub use crate::report::names::Names;
pub use crate::report::pseudonyms::{Pseudonyms, Replaced};
pub use crate::report::pump::{Ending, Follower, Standing, follow};
pub use crate::report::record::{
    CallRecord, CatalogueRecord, ClaimRecord, DifferenceRecord, FailureRecord, FindingRecord, Frame, GoodCallRecord,
    HeaderRecord, LegRecord, OriginRecord, PartyRecord, RefutedRecord, RewrittenRecord, Rung,
};
pub use crate::report::redacted::{Failed, write as write_redacted};
pub use crate::report::remarks::remarks;
pub use crate::report::reread::{Again, Media, frames_of};
pub use crate::report::scene::Scene;
pub use crate::report::secrets::{Privacy, SecretsAre};
pub use crate::report::spool::Spool;
pub use crate::report::stats::{Setup, Stats};
pub use crate::report::ticket::write as write_ticket;
pub use crate::report::value::{Incident, InputRecord, OddityRecord, Report, SCHEMA, Summary, Tool, schema};
pub use crate::report::view::Provenance;
pub use crate::report::watch::{LiveIncident, Repeat, State, Watch};
