//! The handler that a message names handles that message.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};

struct GetOrder;

impl Query for GetOrder {
    type Response = u32;
    type Handler = GetOrderHandler;
}

struct GetPizza;

impl Query for GetPizza {
    type Response = u32;
    type Handler = GetOrderHandler;
}

#[derive(Inject)]
struct GetOrderHandler {}

impl QueryHandler<GetOrder> for GetOrderHandler {
    async fn handle(&self, _: GetOrder) -> Result<u32> {
        Ok(1)
    }
}

fn main() {}
