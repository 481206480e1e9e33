//! The collection of what is kept for a while, such as sessions where no cache is shared: the framework's, in every store.
//!
//! An engine makes it together with its own tables. Before it did, applications made it in a migration of theirs, and a
//! released migration stays as it is. So these steps are passed by where what they make is there, whoever asks for them.

use super::{Index, Step};

/// Its name.
pub(crate) const KEPT_ENTRIES: &str = "kept_entries";

/// The name of its index.
pub(super) const KEPT_INDEX: &str = "kept_entries_until";

/// The path of the moment at which an entry is over.
pub(crate) const KEPT_UNTIL: &str = "until";

impl Step {
    /// What an engine makes for what is kept for a while.
    pub fn of_kept_entries() -> Vec<Self> {
        let index =
            Index { collection: KEPT_ENTRIES, name: KEPT_INDEX, paths: vec![KEPT_UNTIL], unique: false };
        vec![Self::CreateCollection(KEPT_ENTRIES), Self::CreateIndex(index)]
    }

    /// Whether an engine does nothing about it where what it makes is there: it is one of
    /// [`of_kept_entries`](Self::of_kept_entries).
    pub fn may_be_done(&self) -> bool {
        Self::of_kept_entries().contains(self)
    }
}
