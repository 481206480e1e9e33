//! Rebuild the statistics.

use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use pizzeria_application::statistics;

/// Rebuilds the statistics from the orders; orders may change meanwhile.
#[derive(Debug, clap::Args)]
pub struct RebuildStatistics {}

impl AdminCommand for RebuildStatistics {
    const NAME: &'static str = "rebuild-statistics";
    const ABOUT: &'static str = "Rebuild the statistics from the orders, while everything else goes on";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let mediator = context.inject::<Mediator>()?;
        let mut next = Some(statistics::RebuildStatistics::Begin);
        while let Some(stage) = next {
            next = mediator.send(stage).await?;
        }
        context.print("the statistics are rebuilt")
    }
}
