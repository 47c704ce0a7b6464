//! One SIP message: start line, headers, body.
//!
//! Is given bytes; gives a [`Message`] that keeps them and the place of each header in them, and typed readings of
//! single values when they are asked for. Deliberately does not know any other message.
//!
//! [`Message::read`] never refuses what starts like SIP. What is wrong with a message stands in
//! [`Message::oddities`]. The strict second reading by the `rsip` crate is in [`typed`], its only door.

// The input may be hostile: what could panic is refused, outside tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod alternative;
pub mod auth;
pub mod digest;
mod escapes;
mod fault;
pub mod frame;
mod header;
pub mod identity;
mod key_name;
mod lines;
mod message;
mod method;
mod outline;
mod places;
mod plain;
mod reason;
pub mod sdp;
pub mod sdp_grammar;
mod shorthand;
mod start_line;
mod status_code;
mod swift;
pub mod typed;
pub mod uri_grammar;
mod value;
mod walk;

pub use crate::sip::alternative::AlternativeService;
pub(crate) use crate::sip::escapes::{is_same_user, unescaped};
pub use crate::sip::frame::{Framer, looks_like_sip};
pub use crate::sip::header::{HeaderName, is_single};
pub(crate) use crate::sip::message::unfold;
pub use crate::sip::message::{Cut, Message};
pub use crate::sip::method::Method;
pub(crate) use crate::sip::reason::{ASTERISK_CAUSE, asterisk_cause, q850_cause, q850_header};
pub use crate::sip::reason::{Reason, Warning};
pub use crate::sip::start_line::StartLine;
pub use crate::sip::status_code::StatusCode;
pub use crate::sip::value::{CSeq, NameAddr, Parameters, Uri, Via, host_and_port, split_list};
pub(crate) use crate::sip::value::{UriParts, first_letters, tag, text, uri_of, user_of};
