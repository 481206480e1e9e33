//! Put right what does not agree.

use neuroglia::error::{Error, Result};
use neuroglia::mediation::Mediator;
use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
use pizzeria_application::kitchen::FixPlaces;
use pizzeria_application::orders;

/// Finds orders whose total, status or place in the kitchen does not agree with the rest, and puts them right.
#[derive(Debug, clap::Args)]
pub struct FixCorruptedOrders {
    /// Only tell what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

impl AdminCommand for FixCorruptedOrders {
    const NAME: &'static str = "fix-corrupted-orders";
    const ABOUT: &'static str = "Put right orders whose total, status or place in the kitchen does not agree";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let mediator = context.inject::<Mediator>()?;
        let Self { dry_run } = self;
        let (mut fixable, mut unfixable, mut cursor) = (0, 0, None);
        loop {
            let page = mediator.send(orders::FixCorruptedOrders { dry_run, cursor }).await?;
            (fixable, unfixable) = (fixable + page.fixable.len(), unfixable + page.unfixable.len());
            for sentence in page.fixable.iter().chain(&page.unfixable) {
                context.print(sentence)?;
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        // Places follow from the statuses, which are right by now.
        for sentence in mediator.send(FixPlaces { dry_run }).await? {
            fixable += 1;
            context.print(&sentence)?;
        }
        let done = if dry_run { "would be put right" } else { "put right" };
        context.print(&format!("{fixable} {done}, {unfixable} for a person to look at"))?;
        if unfixable > 0 {
            let detail = format!("{unfixable} orders need a person; their lines cannot be added up");
            return Err(Error::invalid("order.unfixable", detail));
        }
        Ok(())
    }
}
