//! Say who drives an order.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result, Violation};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::order::{Order, OrderId};
use pizzeria_domain::user::{Role, User, UserId};

use super::{Access, OrderDto};
use crate::accounts::{check_version, role, stamp, user_id};
use crate::house::House;

/// Say who drives an order: the manager anyone, a driver only themselves.
#[derive(Debug, Clone)]
pub struct AssignDriver {
    /// Which order.
    pub id: OrderId,
    /// Who drives; the caller when not said.
    pub driver: Option<String>,
    /// The version that the caller has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for AssignDriver {
    type Response = OrderDto;
    type Handler = AssignDriverHandler;
}

/// Handles [`AssignDriver`].
#[derive(Inject)]
pub struct AssignDriverHandler {
    access: Access,
    orders: Repository<Order>,
    users: Repository<User>,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<AssignDriver> for AssignDriverHandler {
    async fn handle(&self, command: AssignDriver) -> Result<OrderDto> {
        let mut order = self.access.existing(command.id).await?;
        check_version(order.version(), command.expected_version)?;
        let caller = user_id(&self.caller).ok_or_else(Error::unauthenticated)?;
        let named = command.driver.map(|driver| driver.parse::<UserId>());
        let named = named.transpose().map_err(|problem| refused("format", problem.to_string()))?;
        match role(&self.caller) {
            Some(Role::Driver) if named.as_ref().is_none_or(|named| *named == caller) => {
                order.claim(caller, self.clock.now())?;
            }
            Some(Role::Manager) => {
                let driver = match named {
                    Some(named) if named != caller => self.driver(named).await?,
                    // Her role is enough.
                    _ => caller,
                };
                order.assign_driver(driver, stamp(&self.caller, &self.clock))?;
            }
            _ => return Err(Error::forbidden()),
        }
        self.orders.save(&mut order)?;
        Ok(OrderDto::of(&order))
    }
}

impl AssignDriverHandler {
    /// Somebody else, as a driver. What those may do whose accounts are outside, only their own tokens say: each of them
    /// is believed to be a driver, and gets no further than that when they are none.
    async fn driver(&self, id: UserId) -> Result<UserId> {
        let is_driver = match self.users.get(&id).await? {
            Some(user) => matches!(user.role(), Role::Driver | Role::Manager),
            None => self.house.is_outside(&id),
        };
        if is_driver {
            Ok(id)
        } else {
            Err(refused("driver.unknown", "must be the id of a driver".to_owned()))
        }
    }
}

fn refused(code: &'static str, detail: String) -> Error {
    Error::violations(vec![Violation {
        pointer: "/driver".to_owned(),
        code: code.into(),
        detail: detail.into(),
    }])
}
