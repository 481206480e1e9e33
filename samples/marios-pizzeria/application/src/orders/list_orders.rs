//! List orders: a customer's own, or all for staff.

use neuroglia::data::{Cursor, Field, Filter, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::order::{Order, OrderStatus};

use super::{OrderDto, STATUS};
use crate::accounts::{role, user_id};

const PLACED_BY: Field<Order, String> = Field::new(Order::PLACED_BY_PATH);

/// List orders, the newest first: those that the customer placed, or all for staff.
pub struct ListOrders {
    /// Only those with this status.
    pub status: Option<OrderStatus>,
    /// Only the caller's own, also for staff.
    pub own: bool,
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

impl Query for ListOrders {
    type Response = Page<OrderDto>;
    type Handler = ListOrdersHandler;
}

/// Handles [`ListOrders`].
#[derive(Inject)]
pub struct ListOrdersHandler {
    orders: Repository<Order>,
    caller: Identity,
}

impl QueryHandler<ListOrders> for ListOrdersHandler {
    async fn handle(&self, query: ListOrders) -> Result<Page<OrderDto>> {
        let mut filter = Filter::everything();
        if query.own || !role(&self.caller).is_some_and(|role| role.is_staff()) {
            let user = user_id(&self.caller).ok_or_else(Error::unauthenticated)?;
            filter = PLACED_BY.eq(user.to_string());
        }
        if let Some(status) = query.status {
            filter = filter.and(STATUS.eq(status.as_str()));
        }
        let find = Find::filter(filter).newest_first().after(query.cursor).limit(query.limit);
        Ok(self.orders.find(find).await?.map(|order| OrderDto::of(&order)))
    }
}
