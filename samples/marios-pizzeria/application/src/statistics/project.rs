//! The statistics follow from what happens to orders.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::order::{Order, OrderEvent};

use super::ledger::Ledger;

/// Enters an order into the books each time that it has changed.
#[derive(Inject)]
pub struct ProjectStatistics {
    ledger: Ledger,
    orders: Repository<Order>,
}

impl<E: OrderEvent> EventHandler<E> for ProjectStatistics {
    async fn handle(&self, event: &E) -> Result<()> {
        match self.orders.get(&event.order_id()).await? {
            Some(order) => self.ledger.enter(&order).await,
            None => Ok(()),
        }
    }
}
