//! List the caller's orders.

use neuroglia::data::{Cursor, Page};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Mediator, Query, QueryHandler};

use crate::orders::{ListOrders, OrderDto};

/// List the caller's orders, the newest first.
pub struct ListMyOrders {
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

impl Query for ListMyOrders {
    type Response = Page<OrderDto>;
    type Handler = ListMyOrdersHandler;
}

/// Handles [`ListMyOrders`].
#[derive(Inject)]
pub struct ListMyOrdersHandler {
    mediator: Mediator,
}

impl QueryHandler<ListMyOrders> for ListMyOrdersHandler {
    async fn handle(&self, query: ListMyOrders) -> Result<Page<OrderDto>> {
        let ListMyOrders { cursor, limit } = query;
        self.mediator.send(ListOrders { status: None, own: true, cursor, limit }).await
    }
}
