//! Give an order up.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::order::{Order, OrderId};

use super::access::check_may_be_own;
use super::{Access, OrderDto, TrackingToken};
use crate::accounts::{check_version, stamp};

/// Give an order up, with a reason: its customer, its guest, or the manager.
#[derive(Clone)]
pub struct CancelOrder {
    /// Which order.
    pub id: OrderId,
    /// Why.
    pub reason: String,
    /// What a guest presents.
    pub token: Option<TrackingToken>,
    /// The version that the caller has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for CancelOrder {
    type Response = OrderDto;
    type Handler = CancelOrderHandler;

    fn authorise(&self, caller: &Identity) -> Result<()> {
        check_may_be_own(caller, self.token.as_ref())
    }
}

/// Handles [`CancelOrder`].
#[derive(Inject)]
pub struct CancelOrderHandler {
    access: Access,
    orders: Repository<Order>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<CancelOrder> for CancelOrderHandler {
    async fn handle(&self, command: CancelOrder) -> Result<OrderDto> {
        let mut order = self.access.order(command.id, command.token.as_ref()).await?;
        check_version(order.version(), command.expected_version)?;
        order.cancel(&command.reason, stamp(&self.caller, &self.clock))?;
        self.orders.save(&mut order)?;
        Ok(OrderDto::of(&order))
    }
}
