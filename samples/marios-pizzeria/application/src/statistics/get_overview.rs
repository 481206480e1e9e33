//! Show how many orders there are in each status, and what came in.

use std::sync::Arc;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::money::Money;
use pizzeria_domain::order::{Order, OrderStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::house::House;
use crate::money::MoneyDto;
use crate::orders::STATUS;

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
    #[schemars(with = "String")]
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
    orders: Repository<Order>,
    house: Arc<House>,
    clock: Clock,
}

impl QueryHandler<GetOverview> for GetOverviewHandler {
    async fn handle(&self, _: GetOverview) -> Result<OverviewDto> {
        let orders = OrderCountsDto {
            total: self.orders.count(Find::all()).await?,
            pending: self.count(OrderStatus::Pending).await?,
            confirmed: self.count(OrderStatus::Confirmed).await?,
            cooking: self.count(OrderStatus::Cooking).await?,
            ready: self.count(OrderStatus::Ready).await?,
            delivering: self.count(OrderStatus::Delivering).await?,
            delivered: self.count(OrderStatus::Delivered).await?,
            cancelled: self.count(OrderStatus::Cancelled).await?,
        };
        let revenue = self.revenue().await?.into();
        Ok(OverviewDto { orders, revenue, as_of: self.clock.now() })
    }
}

impl GetOverviewHandler {
    async fn count(&self, status: OrderStatus) -> Result<u64> {
        self.orders.count(Find::filter(STATUS.eq(status.as_str()))).await
    }

    async fn revenue(&self) -> Result<Money> {
        let mut revenue = Money::zero(self.house.currency);
        let mut cursor = None;
        loop {
            let delivered = Find::filter(STATUS.eq(OrderStatus::Delivered.as_str()));
            let page = self.orders.find(delivered.after(cursor).limit(PAGE_LIMIT_MAX)).await?;
            for order in &page.items {
                if order.total().currency() == self.house.currency {
                    revenue = revenue.checked_add(order.total()).map_err(Error::from)?;
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(revenue),
            }
        }
    }
}
