//! Option tags: which extensions a message names, and in which header (RFC 3261 §20.32, §20.37).

use crate::call::Heard;

/// True if a header of a message names an extension.
pub(crate) fn names_option(heard: &Heard, header: &str, option: &str) -> bool {
    heard.message.headers(header).iter().any(|tag| tag.eq_ignore_ascii_case(option))
}

/// True if a request says that its sender knows an extension: it supports it, or even demands it.
pub(crate) fn knows_option(request: &Heard, option: &str) -> bool {
    names_option(request, "Supported", option) || names_option(request, "Require", option)
}
