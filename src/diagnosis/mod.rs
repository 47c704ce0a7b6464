//! Why a call failed: rules, findings, evidence.
//!
//! Is given calls that have ended and what is known of their surroundings; gives a [`Diagnosis`] for each: findings
//! with claims and with the rivals that were checked. Deliberately does not know how a finding is printed.
//!
//! A rule is one file under [`rules`]. To add one: its file, and its word in the list.

mod account;
mod announced;
mod answered_legs;
mod authors;
mod behind;
mod bound;
mod branches;
mod capture_case;
mod case;
mod certificates;
mod comparison;
mod diagnose;
mod dialogs;
mod early_end;
mod elsewhere;
mod encryption;
mod engine;
mod facts;
mod failover;
mod finding;
mod gaps;
mod grounds;
mod hunting;
mod lock;
mod lost_between;
mod lost_dialog;
mod meanwhile;
mod media;
mod offers;
mod options;
mod origin;
mod platform;
mod precedence;
mod private_contacts;
mod questions;
mod rivals;
pub mod rule;
pub mod rules;
mod said;
mod scanners;
mod signed_off;
mod silent_peers;
mod software_words;
mod stated;
mod streams;
mod targets;
mod tries;
mod trunk;
mod unlisted;
mod words;

pub use crate::diagnosis::capture_case::{CaptureCase, InputSeen, Tally, Witness};
pub use crate::diagnosis::case::{CaptureSeen, Case};
pub use crate::diagnosis::comparison::{Comparison, Difference, Half};
pub use crate::diagnosis::diagnose::{Diagnosis, Verdict, diagnose, diagnose_capture};
pub use crate::diagnosis::dialogs::{Asked, Side};
pub use crate::diagnosis::engine::Engine;
pub use crate::diagnosis::facts::Facts;
pub use crate::diagnosis::finding::{Claim, Confidence, Finding, Party, Reference, Refuted, Role, Severity};
pub use crate::diagnosis::origin::{MadeBy, Origin, Rewritten};
pub use crate::diagnosis::platform::Platform;
pub use crate::diagnosis::rule::Rule;
pub use crate::diagnosis::scanners::{Probing, ProbingBySource};
pub use crate::diagnosis::tries::{Rejection, Try};
