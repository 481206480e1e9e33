//! The kitchen.

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Json, Query, controller};
use pizzeria_application::kitchen::{GetKitchen, GetKitchenQueue, KitchenDto};
use pizzeria_application::orders::OrderDto;

use crate::paging::Paging;

#[derive(Inject)]
pub(crate) struct KitchenController {
    mediator: Mediator,
}

#[controller("/api/v1/kitchen")]
impl KitchenController {
    /// Show how busy the kitchen is.
    #[get("/", roles("chef", "manager"))]
    async fn show(&self) -> Result<Json<KitchenDto>> {
        Ok(Json(self.mediator.send(GetKitchen {}).await?))
    }

    /// Show what waits for a place, first in, first out.
    #[get("/queue", roles("chef", "manager"))]
    async fn queue(&self, Query(paging): Query<Paging>) -> Result<Page<OrderDto>> {
        self.mediator.send(GetKitchenQueue { cursor: paging.cursor()?, limit: paging.limit()? }).await
    }
}
