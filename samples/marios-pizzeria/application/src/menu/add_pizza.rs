//! Put a pizza on the menu.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::menu::Pizza;

use super::{PizzaDto, WritePizza};
use crate::accounts::stamp;
use crate::house::House;

/// Put a pizza on the menu.
#[derive(Clone)]
pub struct AddPizza {
    /// What is said of it.
    pub pizza: WritePizza,
}

impl Command for AddPizza {
    type Response = PizzaDto;
    type Handler = AddPizzaHandler;
}

/// Handles [`AddPizza`].
#[derive(Inject)]
pub struct AddPizzaHandler {
    pizzas: Repository<Pizza>,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<AddPizza> for AddPizzaHandler {
    async fn handle(&self, command: AddPizza) -> Result<PizzaDto> {
        let draft = command.pizza.into_draft(&self.house);
        let mut pizza = Pizza::create(draft, stamp(&self.caller, &self.clock))?;
        if self.pizzas.get(pizza.id()).await?.is_some() {
            return Err(Error::conflict("pizza.exists", format!("there is a pizza {} already", pizza.id())));
        }
        self.pizzas.save(&mut pizza)?;
        PizzaDto::of(&pizza)
    }
}
