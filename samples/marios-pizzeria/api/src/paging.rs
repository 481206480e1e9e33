//! What every list takes.

use neuroglia::data::{Cursor, PAGE_LIMIT_DEFAULT};
use neuroglia::error::Result;
use schemars::JsonSchema;
use serde::Deserialize;

/// Which part of a list is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Paging {
    /// How many items, 20 when not said, at most 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

impl Paging {
    pub(crate) fn limit(&self) -> Result<u32> {
        page_limit(self.limit)
    }

    pub(crate) fn cursor(&self) -> Result<Option<Cursor>> {
        page_cursor(self.cursor.as_deref())
    }
}

/// The limit of a list, when it is one.
pub(crate) fn page_limit(limit: Option<u32>) -> Result<u32> {
    let mut checks = neuroglia::mediation::Checks::default();
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    checks.range("/limit", limit, 1..=neuroglia::data::PAGE_LIMIT_MAX);
    checks.into_result().map(|()| limit)
}

/// The cursor of a list, when it is one.
pub(crate) fn page_cursor(cursor: Option<&str>) -> Result<Option<Cursor>> {
    cursor.map(str::parse).transpose()
}
