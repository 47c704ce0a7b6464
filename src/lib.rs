//! sipwhy reads SIP out of a packet capture and says why a call failed.
//!
//! # The floors
//! ```text
//! cli → report → diagnosis (+ catalogue) → analysis → call → sip → net → capture
//! ```
//! A module names its own floor and those to its right, never one to its left; `tests/house.rs` holds it to that.
//!
//! # One packet's way
//! A [`capture::Source`] gives [`capture::Packet`]s. [`net::Decoder`] strips link, tunnel and IP layers, reassembles,
//! and hands on [`net::Delivery`]s. [`sip::frame`] cuts them into messages, [`sip::Message`] reads each one without
//! ever refusing it. [`call::Tracker`] finds transaction, dialog, leg and call. [`analysis::Analysis`] is the staircase
//! that holds these floors together and gives a [`call::Call`] when it has ended. [`diagnosis::diagnose`] asks every
//! rule for the cause, and [`report`] joins findings, catalogue and ladder for its printers.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod analysis;
pub mod call;
pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod diagnosis;
pub mod error;
mod keyed;
pub mod net;
pub mod oddity;
mod recent;
pub mod report;
pub mod sip;
mod sparing;
pub mod story;
pub mod untrusted;
