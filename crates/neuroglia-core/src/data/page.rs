//! A part of a result that is read in parts.

use serde::{Deserialize, Serialize};

use super::Cursor;

/// How many items a page has when nobody says.
pub const PAGE_LIMIT_DEFAULT: u32 = 20;

/// How many items a page may have.
pub const PAGE_LIMIT_MAX: u32 = 100;

/// Some items, and where the next ones begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same page of other items.
    pub fn map<U>(self, map: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(map).collect(), next: self.next }
    }
}
