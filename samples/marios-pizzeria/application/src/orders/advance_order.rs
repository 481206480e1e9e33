//! Bring an order one step further.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::kitchen::Kitchen;
use pizzeria_domain::order::{Order, OrderId, Step};
use pizzeria_domain::user::Role;

use super::{Access, OrderDto};
use crate::accounts::{check_version, role, stamp, user_id};
use crate::house::House;

/// Confirm, cook, finish, deliver or hand over an order; to cancel it and to name a driver are messages of their
/// own.
#[derive(Debug, Clone)]
pub struct AdvanceOrder {
    /// Which order.
    pub id: OrderId,
    /// Which step.
    pub step: Step,
    /// The version that the caller has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for AdvanceOrder {
    type Response = OrderDto;
    type Handler = AdvanceOrderHandler;

    fn authorise(&self, caller: &Identity) -> Result<()> {
        let allowed: &[Role] = match self.step {
            Step::Confirm => &[Role::Manager],
            Step::Cook | Step::Ready => &[Role::Chef, Role::Manager],
            Step::Deliver | Step::Complete => &[Role::Driver, Role::Manager],
            Step::AssignDriver | Step::Cancel => &[],
        };
        match role(caller) {
            None if !caller.is_known() => Err(Error::unauthenticated()),
            Some(role) if allowed.contains(&role) => Ok(()),
            _ => Err(Error::forbidden()),
        }
    }
}

/// Handles [`AdvanceOrder`].
#[derive(Inject)]
pub struct AdvanceOrderHandler {
    access: Access,
    orders: Repository<Order>,
    kitchens: Repository<Kitchen>,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<AdvanceOrder> for AdvanceOrderHandler {
    async fn handle(&self, command: AdvanceOrder) -> Result<OrderDto> {
        let mut order = self.access.existing(command.id).await?;
        check_version(order.version(), command.expected_version)?;
        let stamp = stamp(&self.caller, &self.clock);
        match command.step {
            Step::Confirm => order.confirm(stamp)?,
            Step::Cook => {
                order.start_cooking(stamp)?;
                // Order and place are in one batch: two orders cannot get the last place.
                let mut kitchen = self.kitchens.get(&Kitchen::ID).await?.unwrap_or_default();
                kitchen.start(*order.id(), self.house.kitchen_capacity)?;
                self.kitchens.save(&mut kitchen)?;
            }
            // The place is freed by what happens on `order.ready`.
            Step::Ready => order.mark_ready(stamp)?,
            Step::Deliver => {
                self.check_driver(&order)?;
                order.start_delivery(stamp)?;
            }
            Step::Complete => {
                self.check_driver(&order)?;
                order.complete(stamp)?;
            }
            Step::AssignDriver | Step::Cancel => {
                return Err(Error::internal("the step has a message of its own"));
            }
        }
        self.orders.save(&mut order)?;
        Ok(OrderDto::of(&order))
    }
}

impl AdvanceOrderHandler {
    /// A driver takes only the orders that are assigned to them.
    fn check_driver(&self, order: &Order) -> Result<()> {
        if role(&self.caller) == Some(Role::Driver) && order.driver() != user_id(&self.caller).as_ref() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "order.not_assigned",
                "the order is not assigned to you; take it first, or ask the manager",
            ));
        }
        Ok(())
    }
}
