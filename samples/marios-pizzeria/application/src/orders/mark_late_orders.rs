//! Mark the orders that wait too long for their drivers.

use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Field, PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::schedule::{Schedule, ScheduledTask, Tick};
use pizzeria_domain::order::{Order, OrderStatus};

use super::STATUS;
use crate::page_by_page::PageByPage;

const READY_AT: Field<Order, Timestamp> = Field::new(Order::READY_AT_PATH);
const LATE_AT: Field<Order, Timestamp> = Field::new(Order::LATE_AT_PATH);

/// Mark the orders that wait too long for their drivers, at most a hundred at once; answers with their number.
#[derive(Debug, Clone)]
pub struct MarkLateOrders {
    /// When they are judged, by the store's clock: that of a process may be minutes fast.
    pub now: Timestamp,
}

impl Command for MarkLateOrders {
    type Response = usize;
    type Handler = MarkLateOrdersHandler;
}

/// Handles [`MarkLateOrders`].
#[derive(Inject)]
pub struct MarkLateOrdersHandler {
    orders: Repository<Order>,
}

impl CommandHandler<MarkLateOrders> for MarkLateOrdersHandler {
    async fn handle(&self, command: MarkLateOrders) -> Result<usize> {
        let now = command.now;
        let waiting = STATUS
            .eq(OrderStatus::Ready.as_str())
            .and(LATE_AT.is_null())
            .and(READY_AT.le(now - Order::LATE_AFTER));
        let mut late = 0;
        for mut order in self.orders.find(Find::filter(waiting).limit(PAGE_LIMIT_MAX)).await?.items {
            if order.mark_late(now) {
                self.orders.save(&mut order)?;
                late += 1;
            }
        }
        Ok(late)
    }
}

/// Marks late orders every minute.
#[derive(Inject)]
pub struct MarkLateEveryMinute {
    pages: PageByPage,
}

impl ScheduledTask for MarkLateEveryMinute {
    const NAME: &'static str = "mark-late-orders";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));

    async fn run(&self, tick: Tick) -> Result<()> {
        let late = self.pages.send(MarkLateOrders { now: tick.due }).await?;
        if late > 0 {
            tracing::warn!(orders.late = late, "orders wait too long for their drivers");
        }
        Ok(())
    }
}
