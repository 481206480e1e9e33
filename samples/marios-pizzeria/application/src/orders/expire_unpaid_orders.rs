//! Give up the orders that nobody has paid for in time.

use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Field, PAGE_LIMIT_MAX, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::schedule::{Schedule, ScheduledTask, Tick};
use pizzeria_domain::order::{Order, OrderStatus, PaymentStatus};

use super::STATUS;
use crate::page_by_page::PageByPage;

const PAYMENT_STATUS: Field<Order, String> = Field::new(Order::PAYMENT_STATUS_PATH);
const PLACED_AT: Field<Order, Timestamp> = Field::new(Order::PLACED_AT_PATH);

/// Give up the orders that nobody has paid for in time, at most a hundred at once; answers with their number.
#[derive(Debug, Clone)]
pub struct ExpireUnpaidOrders {
    /// When they are judged, by the store's clock: that of a process may be minutes fast.
    pub now: Timestamp,
}

impl Command for ExpireUnpaidOrders {
    type Response = usize;
    type Handler = ExpireUnpaidOrdersHandler;
}

/// Handles [`ExpireUnpaidOrders`].
#[derive(Inject)]
pub struct ExpireUnpaidOrdersHandler {
    orders: Repository<Order>,
}

impl CommandHandler<ExpireUnpaidOrders> for ExpireUnpaidOrdersHandler {
    async fn handle(&self, command: ExpireUnpaidOrders) -> Result<usize> {
        let now = command.now;
        let unpaid = [PaymentStatus::Authorizing, PaymentStatus::Failed, PaymentStatus::Refunded];
        let overdue = STATUS
            .eq(OrderStatus::Pending.as_str())
            .and(PAYMENT_STATUS.is_in(unpaid.map(PaymentStatus::as_str)))
            .and(PLACED_AT.le(now - Order::EXPIRES_AFTER));
        let mut expired = 0;
        for mut order in self.orders.find(Find::filter(overdue).limit(PAGE_LIMIT_MAX)).await?.items {
            if order.expire(now)? {
                self.orders.save(&mut order)?;
                expired += 1;
            }
        }
        Ok(expired)
    }
}

/// Gives up unpaid orders every minute.
#[derive(Inject)]
pub struct ExpireEveryMinute {
    pages: PageByPage,
}

impl ScheduledTask for ExpireEveryMinute {
    const NAME: &'static str = "expire-unpaid-orders";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));

    async fn run(&self, tick: Tick) -> Result<()> {
        let expired = self.pages.send(ExpireUnpaidOrders { now: tick.due }).await?;
        if expired > 0 {
            tracing::info!(orders.expired = expired, "unpaid orders were given up");
        }
        Ok(())
    }
}
