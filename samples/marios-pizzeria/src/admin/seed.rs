//! Fill the menu.

use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use pizzeria_application::menu::SeedMenu;

/// Fills the menu with the classics of the house; run again, it changes nothing.
#[derive(Debug, clap::Args)]
pub struct Seed {}

impl AdminCommand for Seed {
    const NAME: &'static str = "seed";
    const ABOUT: &'static str = "Fill the menu with the classics of the house; run again, it changes nothing";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let seeded = context.inject::<Mediator>()?.send(SeedMenu {}).await?;
        context.print(&format!("{} pizzas added, {} were there", seeded.added, seeded.present))
    }
}
