//! One plain report value, and its printers.
//!
//! Is given calls with their diagnosis, what is known of the inputs and of the capture as a whole; gives a [`Report`],
//! or the bytes of one in text, JSON or NDJSON. Deliberately does not know how anything was found.
//!
//! A capture may hold more calls than fit into memory: [`Gatherer`] builds the record of a call when it is diagnosed,
//! keeps of the text report what will be shown, and puts the records of the JSON report into a [`Spool`].

mod build;
mod events;
mod gatherer;
mod incidents;
mod json;
mod ladder;
mod moment;
pub mod pages;
mod pump;
mod record;
mod scene;
mod secrets;
mod spool;
pub mod text;
mod value;

pub use crate::report::events::Events;
pub use crate::report::gatherer::{Gathered, Gatherer, Keep, Selected};
pub use crate::report::json::{Layout, write as write_json};
pub use crate::report::moment::Moment;
pub use crate::report::pump::{Follower, follow};
pub use crate::report::record::{
    CallRecord, CatalogueRecord, ClaimRecord, FailureRecord, FindingRecord, Frame, HeaderRecord, LegRecord,
    PartyRecord, RefutedRecord, Rung,
};
pub use crate::report::scene::Scene;
pub use crate::report::spool::Spool;
pub use crate::report::value::{Incident, InputRecord, OddityRecord, Report, SCHEMA, Summary, Tool, schema};
