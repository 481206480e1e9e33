//! A handler is built by the container.

extern crate neuroglia_core as neuroglia;

use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};

struct GetOrder;

impl Query for GetOrder {
    type Response = u32;
    type Handler = GetOrderHandler;
}

struct GetOrderHandler;

impl QueryHandler<GetOrder> for GetOrderHandler {
    async fn handle(&self, _: GetOrder) -> Result<u32> {
        Ok(1)
    }
}

fn main() {}
