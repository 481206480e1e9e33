//! List what is to be delivered.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Cursor, Field, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::{Order, OrderStatus};

use super::{OrderDto, STATUS};

const READY_AT: Field<Order, Timestamp> = Field::new(Order::READY_AT_PATH);

/// List what is ready or on its way, what waits longest first.
pub struct ListDeliveries {
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

impl Query for ListDeliveries {
    type Response = Page<OrderDto>;
    type Handler = ListDeliveriesHandler;
}

/// Handles [`ListDeliveries`].
#[derive(Inject)]
pub struct ListDeliveriesHandler {
    orders: Repository<Order>,
}

impl QueryHandler<ListDeliveries> for ListDeliveriesHandler {
    async fn handle(&self, query: ListDeliveries) -> Result<Page<OrderDto>> {
        let wanted = STATUS.is_in([OrderStatus::Ready.as_str(), OrderStatus::Delivering.as_str()]);
        let find = Find::filter(wanted).ascending(READY_AT).after(query.cursor).limit(query.limit);
        Ok(self.orders.find(find).await?.map(|order| OrderDto::of(&order)))
    }
}
