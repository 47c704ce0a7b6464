//! Whether most calls fail: what was found in their messages is worth keeping then, for they will be read again.

use crate::call::log::Noting;
use crate::call::transaction::Keys;
use crate::sip::Method;

/// Of the INVITEs that were decided last, which were refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// A bit for each, the last one first.
    last: u64,
    /// What that tells to keep of a message beside its bytes.
    noting: Noting,
}

impl Refusals {
    /// What to keep of a message beside its bytes.
    #[inline]
    pub(super) fn noting(&mut self, keys: &Keys<'_>) -> Noting {
        if let Some(status) = keys.status.filter(|status| !status.is_provisional() && !status.is_challenge())
            && keys.cseq.method == Method::Invite
        {
            self.last = self.last << 1 | u64::from(!status.is_success());
            let most_fail = self.last.count_ones() > u64::BITS / 2;
            self.noting = if most_fail { Noting::Shorthand } else { Noting::Nothing };
        }
        self.noting
    }
}
