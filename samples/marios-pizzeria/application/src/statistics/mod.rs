//! What the manager watches.

mod get_overview;

pub use get_overview::{GetOverview, OrderCountsDto, OverviewDto};
