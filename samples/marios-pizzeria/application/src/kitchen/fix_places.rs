//! Make the kitchen's places agree with the orders that cook.

use neuroglia::data::{PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::kitchen::Kitchen;
use pizzeria_domain::order::{Order, OrderStatus};

use crate::orders::STATUS;

/// Give each order that cooks its place, and take it from all others; answers with one sentence for each.
#[derive(Debug, Clone)]
pub struct FixPlaces {
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl Command for FixPlaces {
    type Response = Vec<String>;
    type Handler = FixPlacesHandler;
}

/// Handles [`FixPlaces`].
#[derive(Inject)]
pub struct FixPlacesHandler {
    kitchens: Repository<Kitchen>,
    orders: Repository<Order>,
}

impl CommandHandler<FixPlaces> for FixPlacesHandler {
    async fn handle(&self, command: FixPlaces) -> Result<Vec<String>> {
        // The kitchen is read first: whoever starts or ends cooking after that makes the commit fail.
        let mut kitchen = self.kitchens.get(&Kitchen::ID).await?.unwrap_or_default();
        let mut cooking = Vec::new();
        let mut cursor = None;
        loop {
            let find = Find::filter(STATUS.eq(OrderStatus::Cooking.as_str()));
            let page = self.orders.find(find.after(cursor).limit(PAGE_LIMIT_MAX)).await?;
            cooking.extend(page.items.iter().map(|order| *order.id()));
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let (got, lost) = kitchen.correct(&cooking);
        let agrees = got.is_empty() && lost.is_empty();
        if !(command.dry_run || agrees) {
            self.kitchens.save(&mut kitchen)?;
        }
        let without =
            got.iter().map(|order| format!("order {order}: it cooks without a place in the kitchen"));
        let idle = lost.iter().map(|order| format!("order {order}: it has a place in the kitchen too many"));
        Ok(without.chain(idle).collect())
    }
}
