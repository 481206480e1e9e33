//! What the sandbox does wrong, as often as it was told to.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// A charge, capture or refund is carried out, and answered after two seconds.
    Slow,
    /// A charge, capture or refund is answered with 500, and not carried out.
    Error,
    /// A charge, capture or refund is carried out, and never answered.
    LostAnswer,
    /// A webhook is sent twice.
    DuplicateWebhook,
    /// A webhook is held back for two seconds, so that later ones are there before it.
    ReorderedWebhooks,
}

/// Which faults are still to come; forgotten at the end of the process.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<BTreeMap<Fault, u32>>);

impl Faults {
    /// So many more of this kind.
    pub(crate) fn order(&self, fault: Fault, count: u32) {
        let mut faults = self.0.lock();
        let left = faults.entry(fault).or_default();
        *left = left.saturating_add(count);
    }

    /// Whether it is time for one; it is used up by that.
    pub(crate) fn take(&self, fault: Fault) -> bool {
        let mut faults = self.0.lock();
        match faults.get_mut(&fault) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}
