//! Take a pizza off the menu.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::menu::{Pizza, PizzaId};

use crate::accounts::{check_version, stamp};

/// Take a pizza off the menu; orders that were placed keep it.
#[derive(Clone)]
pub struct RemovePizza {
    /// Which pizza.
    pub id: PizzaId,
    /// The version that the manager has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for RemovePizza {
    type Response = ();
    type Handler = RemovePizzaHandler;
}

/// Handles [`RemovePizza`].
#[derive(Inject)]
pub struct RemovePizzaHandler {
    pizzas: Repository<Pizza>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<RemovePizza> for RemovePizzaHandler {
    async fn handle(&self, command: RemovePizza) -> Result<()> {
        let mut pizza =
            self.pizzas.get(&command.id).await?.ok_or_else(|| Error::not_found("pizza", command.id))?;
        check_version(pizza.version(), command.expected_version)?;
        pizza.withdraw(stamp(&self.caller, &self.clock));
        self.pizzas.remove(&mut pizza)
    }
}
