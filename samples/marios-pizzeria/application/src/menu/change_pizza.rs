//! Change what the menu says of a pizza.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::menu::{Pizza, PizzaId};

use super::{PizzaDto, WritePizza};
use crate::accounts::{check_version, stamp};
use crate::house::House;

/// Change what the menu says of a pizza; orders that were placed keep their prices.
#[derive(Clone)]
pub struct ChangePizza {
    /// Which pizza.
    pub id: PizzaId,
    /// What is said of it from now on.
    pub pizza: WritePizza,
    /// The version that the manager has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for ChangePizza {
    type Response = PizzaDto;
    type Handler = ChangePizzaHandler;
}

/// Handles [`ChangePizza`].
#[derive(Inject)]
pub struct ChangePizzaHandler {
    pizzas: Repository<Pizza>,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<ChangePizza> for ChangePizzaHandler {
    async fn handle(&self, command: ChangePizza) -> Result<PizzaDto> {
        let mut pizza =
            self.pizzas.get(&command.id).await?.ok_or_else(|| Error::not_found("pizza", command.id))?;
        check_version(pizza.version(), command.expected_version)?;
        pizza.update(command.pizza.into_draft(&self.house), stamp(&self.caller, &self.clock))?;
        self.pizzas.save(&mut pizza)?;
        PizzaDto::of(&pizza)
    }
}
