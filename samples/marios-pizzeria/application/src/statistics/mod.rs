//! What the manager watches: read models, kept by the worker and rebuilt from the orders at will.

mod day;
mod figures;
mod ledger;

mod project;
mod rebuild_statistics;
mod report_day;

mod get_kitchen_times;
mod get_overview;
mod get_pizza_sales;
mod get_staff_work;
mod get_timeseries;

pub use day::Day;
pub use get_kitchen_times::{GetKitchenTimes, KitchenTimeDto, KitchenTimesDto};
pub use get_overview::{GetOverview, OrderCountsDto, OverviewDto};
pub use get_pizza_sales::{GetPizzaSales, PizzaSaleDto, PizzaSalesDto};
pub use get_staff_work::{GetStaffWork, StaffMemberWorkDto, StaffWorkDto};
pub use get_timeseries::{GetTimeseries, SeriesStep, TimeseriesDto, TimeseriesStepDto};
pub use ledger::Ledger;
pub use project::ProjectStatistics;
pub use rebuild_statistics::RebuildStatistics;
pub use report_day::{DailyReport, ReportDay};
