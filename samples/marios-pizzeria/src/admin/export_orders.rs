//! Give all orders out.

use neuroglia::error::{Error, Result};
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use pizzeria_application::orders;

/// Prints every order as one line of JSON, the oldest first, and nothing else.
#[derive(Debug, clap::Args)]
pub struct ExportOrders {}

impl AdminCommand for ExportOrders {
    const NAME: &'static str = "export-orders";
    const ABOUT: &'static str = "Print every order as one line of JSON, the oldest first";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let mediator = context.inject::<Mediator>()?;
        let mut cursor = None;
        loop {
            let page = mediator.send(orders::ExportOrders { cursor }).await?;
            for order in &page.items {
                context.print(&serde_json::to_string(order).map_err(Error::internal)?)?;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }
}
