//! What is to be delivered.

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Query, controller};
use pizzeria_application::orders::{ListDeliveries, OrderDto};

use crate::paging::Paging;

#[derive(Inject)]
pub(crate) struct DeliveriesController {
    mediator: Mediator,
}

#[controller("/api/v1/deliveries")]
impl DeliveriesController {
    /// List what is ready or on its way, what waits longest first.
    #[get("/", roles("driver", "manager"))]
    async fn list(&self, Query(paging): Query<Paging>) -> Result<Page<OrderDto>> {
        self.mediator.send(ListDeliveries { cursor: paging.cursor()?, limit: paging.limit()? }).await
    }
}
