//! Show what waits for a place in the kitchen.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Cursor, Field, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::{Order, OrderStatus};

use crate::orders::{OrderDto, STATUS};

const CONFIRMED_AT: Field<Order, Timestamp> = Field::new(Order::CONFIRMED_AT_PATH);

/// Show what waits for a place in the kitchen: first confirmed, first shown.
pub struct GetKitchenQueue {
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

impl Query for GetKitchenQueue {
    type Response = Page<OrderDto>;
    type Handler = GetKitchenQueueHandler;
}

/// Handles [`GetKitchenQueue`].
#[derive(Inject)]
pub struct GetKitchenQueueHandler {
    orders: Repository<Order>,
}

impl QueryHandler<GetKitchenQueue> for GetKitchenQueueHandler {
    async fn handle(&self, query: GetKitchenQueue) -> Result<Page<OrderDto>> {
        let confirmed = Find::filter(STATUS.eq(OrderStatus::Confirmed.as_str()));
        let page = self
            .orders
            .find(confirmed.ascending(CONFIRMED_AT).after(query.cursor).limit(query.limit))
            .await?;
        Ok(page.map(|order| OrderDto::of(&order)))
    }
}
