//! What happens to orders is kept for those who follow live.

use std::time::Duration;

use neuroglia::data::{Query as Find, Repository, together};
use neuroglia::di::Inject;
use neuroglia::domain::Root;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::order::{Order, OrderEvent};

use super::entry::{AT, FeedEntry, ORDER};

/// How much later an event is, at least, than what happened to its order before it.
const STEP: Duration = Duration::from_micros(1);

/// Keeps an event in the feed, once.
#[derive(Inject)]
pub struct KeepEvent {
    entries: Repository<FeedEntry>,
    orders: Repository<Order>,
    ids: Ids,
}

impl<E: OrderEvent> EventHandler<E> for KeepEvent {
    async fn handle(&self, event: &E) -> Result<()> {
        let order_id = event.order_id();
        // The events of an order come in their order, one after another. Their times come from the clocks of several
        // processes: an event before this one may claim to be later.
        let later = Find::filter(AT.ge(event.at()).and(ORDER.eq(order_id))).descending(AT);
        let (orders, last) = together(self.orders.get_all([&order_id]), self.entries.first(later)).await?;
        self.entries.save(&mut FeedEntry {
            id: self.ids.next(),
            number: None,
            event: E::NAME.to_owned(),
            order_id,
            owner: orders.first().and_then(|order| order.placed_by().cloned()),
            at: last.map_or(event.at(), |last| last.at + STEP),
            root: Root::default(),
        })
    }
}
