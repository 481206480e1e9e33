//! Show how business goes from day to day, or from hour to hour.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Checks, Query, QueryHandler};
use neuroglia::schedule::Zone;
use pizzeria_domain::order::OrderStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::day::Day;
use super::ledger::Ledger;
use crate::house::House;
use crate::money::MoneyDto;

/// How many days are shown when nobody says.
const DAYS_DEFAULT: u32 = 30;

/// How long a step of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesStep {
    /// A day.
    #[default]
    Day,
    /// An hour.
    Hour,
}

/// Show how business went, by the hours at which orders were placed, on the pizzeria's clock.
pub struct GetTimeseries {
    /// How long a step is.
    pub by: SeriesStep,
    /// The first day; 29 days before the last when not said.
    pub from: Option<Day>,
    /// The last day; today when not said.
    pub to: Option<Day>,
}

/// How business went over time.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TimeseriesDto {
    /// The steps in which something was ordered, in order.
    pub items: Vec<TimeseriesStepDto>,
}

/// How business went for a day or an hour.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TimeseriesStepDto {
    /// Which: `2026-11-26`, or `2026-11-26T04` for the hour that begins at four.
    pub at: String,
    /// How many orders were placed.
    pub orders: u64,
    /// How many of them were delivered.
    pub delivered: u64,
    /// How many of them were cancelled.
    pub cancelled: u64,
    /// What the delivered ones brought in, in the currency of the menu.
    pub revenue: MoneyDto,
}

impl Query for GetTimeseries {
    type Response = TimeseriesDto;
    type Handler = GetTimeseriesHandler;
}

/// Handles [`GetTimeseries`].
#[derive(Inject)]
pub struct GetTimeseriesHandler {
    ledger: Ledger,
    house: Arc<House>,
    zone: Arc<Zone>,
    clock: Clock,
}

impl QueryHandler<GetTimeseries> for GetTimeseriesHandler {
    async fn handle(&self, query: GetTimeseries) -> Result<TimeseriesDto> {
        let last = query.to.unwrap_or_else(|| Day::at(&self.zone, self.clock.now()));
        let first = query.from.unwrap_or_else(|| last.before(DAYS_DEFAULT - 1));
        let (step, days_max) = match query.by {
            SeriesStep::Day => ("days", 366),
            SeriesStep::Hour => ("hours", 31),
        };
        let mut checks = Checks::default();
        checks.that(last >= first, "/to", "range", "must not be before the first day");
        checks.that(
            last.since(first) < days_max,
            "/from",
            "range",
            format!("must be at most {days_max} days before the last day, by {step}"),
        );
        checks.into_result()?;
        let range = (&*first.to_string(), &*last.to_string());
        let series = self.ledger.series(range, query.by == SeriesStep::Hour).await?;
        let items = series.into_iter().map(|(at, figures)| {
            Ok(TimeseriesStepDto {
                at,
                orders: figures.statuses.total(),
                delivered: figures.statuses.count(OrderStatus::Delivered.as_str()),
                cancelled: figures.statuses.count(OrderStatus::Cancelled.as_str()),
                revenue: figures.revenue_in(self.house.currency)?.into(),
            })
        });
        Ok(TimeseriesDto { items: items.collect::<Result<_>>()? })
    }
}
