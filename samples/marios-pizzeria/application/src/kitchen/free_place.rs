//! A place in the kitchen is free again when its order is ready or cancelled.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::kitchen::Kitchen;
use pizzeria_domain::order::{OrderCancelled, OrderId, OrderReady};

/// Frees the place of an order, in the unit of work in which the order leaves the kitchen.
#[derive(Inject)]
pub struct FreePlace {
    kitchens: Repository<Kitchen>,
}

impl FreePlace {
    async fn free(&self, order: OrderId) -> Result<()> {
        if let Some(mut kitchen) = self.kitchens.get(&Kitchen::ID).await?
            && kitchen.release(order)
        {
            self.kitchens.save(&mut kitchen)?;
        }
        Ok(())
    }
}

impl EventHandler<OrderReady> for FreePlace {
    async fn handle(&self, event: &OrderReady) -> Result<()> {
        self.free(event.order_id).await
    }
}

impl EventHandler<OrderCancelled> for FreePlace {
    async fn handle(&self, event: &OrderCancelled) -> Result<()> {
        self.free(event.order_id).await
    }
}
