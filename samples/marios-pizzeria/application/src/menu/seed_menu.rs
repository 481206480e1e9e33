//! Fill the menu with the classics of the house.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::menu::{Pizza, house_menu};
use pizzeria_domain::stamp::Stamp;
use serde::{Deserialize, Serialize};

use crate::house::House;

/// Put those of the house's pizzas on the menu that are not on it; run twice, it changes nothing.
#[derive(Clone)]
pub struct SeedMenu {}

/// What [`SeedMenu`] did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seeded {
    /// How many pizzas it added.
    pub added: usize,
    /// How many were there.
    pub present: usize,
}

impl Command for SeedMenu {
    type Response = Seeded;
    type Handler = SeedMenuHandler;
}

/// Handles [`SeedMenu`].
#[derive(Inject)]
pub struct SeedMenuHandler {
    pizzas: Repository<Pizza>,
    house: Arc<House>,
    clock: Clock,
}

impl CommandHandler<SeedMenu> for SeedMenuHandler {
    async fn handle(&self, _: SeedMenu) -> Result<Seeded> {
        let mut seeded = Seeded { added: 0, present: 0 };
        for draft in house_menu(self.house.currency) {
            let mut pizza = Pizza::create(draft, Stamp::anonymous(self.clock.now()))?;
            if self.pizzas.get(pizza.id()).await?.is_some() {
                seeded.present += 1;
                continue;
            }
            self.pizzas.save(&mut pizza)?;
            seeded.added += 1;
        }
        Ok(seeded)
    }
}
