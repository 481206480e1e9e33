//! Show how many orders there are in each status, and what came in.

use std::sync::Arc;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::OrderStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::ledger::Ledger;
use crate::house::House;
use crate::money::MoneyDto;
use crate::wire::Time;

/// Show how many orders there are in each status, and what came in.
pub struct GetOverview {}

/// How business goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OverviewDto {
    /// How many orders there are.
    pub orders: OrderCountsDto,
    /// What the delivered ones brought in, in the currency of the menu; what was sold in a former one is not in it.
    pub revenue: MoneyDto,
    /// The time of the figures.
    #[schemars(with = "Time")]
    pub as_of: Timestamp,
}

/// How many orders there are in each status.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the fields are the statuses")]
pub struct OrderCountsDto {
    pub total: u64,
    pub pending: u64,
    pub confirmed: u64,
    pub cooking: u64,
    pub ready: u64,
    pub delivering: u64,
    pub delivered: u64,
    pub cancelled: u64,
}

impl Query for GetOverview {
    type Response = OverviewDto;
    type Handler = GetOverviewHandler;
}

/// Handles [`GetOverview`].
#[derive(Inject)]
pub struct GetOverviewHandler {
    ledger: Ledger,
    house: Arc<House>,
    clock: Clock,
}

impl QueryHandler<GetOverview> for GetOverviewHandler {
    async fn handle(&self, _: GetOverview) -> Result<OverviewDto> {
        let totals = self.ledger.totals().await?;
        let count = |status: OrderStatus| totals.statuses.count(status.as_str());
        let orders = OrderCountsDto {
            total: totals.statuses.total(),
            pending: count(OrderStatus::Pending),
            confirmed: count(OrderStatus::Confirmed),
            cooking: count(OrderStatus::Cooking),
            ready: count(OrderStatus::Ready),
            delivering: count(OrderStatus::Delivering),
            delivered: count(OrderStatus::Delivered),
            cancelled: count(OrderStatus::Cancelled),
        };
        let revenue = totals.revenue_in(self.house.currency)?.into();
        Ok(OverviewDto { orders, revenue, as_of: self.clock.now() })
    }
}
