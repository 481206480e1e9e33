//! Fill the menu with the classics of the house.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::{Field, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::menu::{MenuEdition, Pizza, Seeding, house_menu};
use pizzeria_domain::stamp::Stamp;
use serde::{Deserialize, Serialize};

use crate::house::House;

const NAME_KEY: Field<Pizza, String> = Field::new(Pizza::NAME_KEY_PATH);

/// Put the house's pizzas on the menu, each once and for all.
///
/// What was there once and was taken off stays off, and a pizza whose id or name somebody else's has is left out;
/// so it may run at every start.
#[derive(Clone)]
pub struct SeedMenu {}

/// What [`SeedMenu`] did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seeded {
    /// How many pizzas it added.
    pub added: usize,
    /// How many are there, were there once, or find their name taken.
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
    seedings: Repository<Seeding>,
    editions: Repository<MenuEdition>,
    house: Arc<House>,
    clock: Clock,
    ids: Ids,
}

impl CommandHandler<SeedMenu> for SeedMenuHandler {
    async fn handle(&self, _: SeedMenu) -> Result<Seeded> {
        let mut seeded = Seeded { added: 0, present: 0 };
        let mut seeding = self.seedings.get(&Seeding::ID).await?.unwrap_or_default();
        for draft in house_menu(self.house.currency) {
            let mut pizza = Pizza::create(draft, Stamp::anonymous(self.clock.now()))?;
            if !seeding.offer(pizza.id()) || self.is_taken(&pizza).await? {
                seeded.present += 1;
                continue;
            }
            self.pizzas.save(&mut pizza)?;
            seeded.added += 1;
        }
        self.seedings.save(&mut seeding)?;
        if self.editions.get(&MenuEdition::ID).await?.is_none() {
            // A menu from before there were editions; a pizza that was added makes its own.
            let mut edition = MenuEdition::default();
            edition.replace(self.ids.token());
            self.editions.save(&mut edition)?;
        }
        Ok(seeded)
    }
}

impl SeedMenuHandler {
    /// Whether another pizza has its id, or after a rename its name.
    async fn is_taken(&self, pizza: &Pizza) -> Result<bool> {
        let same_name = Find::filter(NAME_KEY.eq(pizza.id().to_string()));
        Ok(self.pizzas.get(pizza.id()).await?.is_some() || self.pizzas.count(same_name).await? > 0)
    }
}
