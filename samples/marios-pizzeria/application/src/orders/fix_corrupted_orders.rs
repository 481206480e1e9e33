//! Make orders agree with themselves.

use neuroglia::clock::Clock;
use neuroglia::data::{Cursor, PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::order::Order;
use serde::{Deserialize, Serialize};

use crate::accounts::stamp;

/// Make some orders agree with themselves, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct FixCorruptedOrders {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// What is wrong with some orders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CorruptedOrders {
    /// What was, or would be, put right, one sentence each.
    pub fixable: Vec<String>,
    /// What a person has to look at, one sentence each.
    pub unfixable: Vec<String>,
    /// Where to go on.
    pub next: Option<Cursor>,
}

impl Command for FixCorruptedOrders {
    type Response = CorruptedOrders;
    type Handler = FixCorruptedOrdersHandler;
}

/// Handles [`FixCorruptedOrders`].
#[derive(Inject)]
pub struct FixCorruptedOrdersHandler {
    orders: Repository<Order>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<FixCorruptedOrders> for FixCorruptedOrdersHandler {
    async fn handle(&self, command: FixCorruptedOrders) -> Result<CorruptedOrders> {
        let page = self.orders.find(Find::all().after(command.cursor).limit(PAGE_LIMIT_MAX)).await?;
        let mut found = CorruptedOrders { next: page.next, ..CorruptedOrders::default() };
        for mut order in page.items {
            match order.correct(stamp(&self.caller, &self.clock)) {
                Ok(defects) if defects.is_empty() => {}
                Ok(defects) => {
                    found
                        .fixable
                        .extend(defects.iter().map(|defect| format!("order {}: {defect}", order.id())));
                    if !command.dry_run {
                        self.orders.save(&mut order)?;
                    }
                }
                Err(problem) => found.unfixable.push(format!("order {}: {problem}", order.id())),
            }
        }
        Ok(found)
    }
}
