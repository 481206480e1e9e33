//! Every change of the menu makes a new edition of it.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::menu::{MenuEdition, PizzaCreated, PizzaPriceChanged, PizzaRemoved, PizzaUpdated};

/// Makes a new edition, in the unit of work that changes the menu: what was cached of the one before is then asked for by
/// nobody, at no process.
#[derive(Inject)]
pub struct RenewEdition {
    editions: Repository<MenuEdition>,
    ids: Ids,
}

impl RenewEdition {
    async fn renew(&self) -> Result<()> {
        let mut edition = self.editions.get(&MenuEdition::ID).await?.unwrap_or_default();
        edition.replace(self.ids.token());
        self.editions.save(&mut edition)
    }
}

impl EventHandler<PizzaCreated> for RenewEdition {
    async fn handle(&self, _: &PizzaCreated) -> Result<()> {
        self.renew().await
    }
}

impl EventHandler<PizzaPriceChanged> for RenewEdition {
    async fn handle(&self, _: &PizzaPriceChanged) -> Result<()> {
        self.renew().await
    }
}

impl EventHandler<PizzaUpdated> for RenewEdition {
    async fn handle(&self, _: &PizzaUpdated) -> Result<()> {
        self.renew().await
    }
}

impl EventHandler<PizzaRemoved> for RenewEdition {
    async fn handle(&self, _: &PizzaRemoved) -> Result<()> {
        self.renew().await
    }
}
