//! Give orders out, whole.

use neuroglia::data::{Cursor, PAGE_LIMIT_MAX, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::Order;

use super::OrderDto;

/// Give a part of all orders out, the oldest first.
pub struct ExportOrders {
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

impl Query for ExportOrders {
    type Response = Page<OrderDto>;
    type Handler = ExportOrdersHandler;
}

/// Handles [`ExportOrders`].
#[derive(Inject)]
pub struct ExportOrdersHandler {
    orders: Repository<Order>,
}

impl QueryHandler<ExportOrders> for ExportOrdersHandler {
    async fn handle(&self, query: ExportOrders) -> Result<Page<OrderDto>> {
        let page = self.orders.find(Find::all().after(query.cursor).limit(PAGE_LIMIT_MAX)).await?;
        Ok(page.map(|order| OrderDto::of(&order)))
    }
}
