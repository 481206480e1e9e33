//! Show an order.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::OrderId;

use super::{Access, OrderDto, TrackingToken};

/// Show an order to its customer, its guest, or staff.
pub struct GetOrder {
    /// Which order.
    pub id: OrderId,
    /// What a guest presents.
    pub token: Option<TrackingToken>,
}

impl Query for GetOrder {
    type Response = OrderDto;
    type Handler = GetOrderHandler;
}

/// Handles [`GetOrder`].
#[derive(Inject)]
pub struct GetOrderHandler {
    access: Access,
}

impl QueryHandler<GetOrder> for GetOrderHandler {
    async fn handle(&self, query: GetOrder) -> Result<OrderDto> {
        let order = self.access.order(query.id, query.token.as_ref()).await?;
        Ok(OrderDto::of(&order))
    }
}
