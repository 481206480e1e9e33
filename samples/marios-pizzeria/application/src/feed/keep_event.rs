//! What happens to orders is kept for those who follow live.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Root;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::order::{Order, OrderEvent};

use super::entry::FeedEntry;

/// Keeps an event in the feed, once.
#[derive(Inject)]
pub struct KeepEvent {
    entries: Repository<FeedEntry>,
    orders: Repository<Order>,
    ids: Ids,
}

impl<E: OrderEvent> EventHandler<E> for KeepEvent {
    async fn handle(&self, event: &E) -> Result<()> {
        let order = self.orders.get(&event.order_id()).await?;
        self.entries.save(&mut FeedEntry {
            id: self.ids.next(),
            number: None,
            event: E::NAME.to_owned(),
            order_id: event.order_id(),
            owner: order.and_then(|order| order.placed_by().cloned()),
            at: event.at(),
            root: Root::default(),
        })
    }
}
