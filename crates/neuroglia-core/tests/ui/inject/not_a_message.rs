//! Only messages are sent.

extern crate neuroglia_core as neuroglia;

use neuroglia::error::Result;
use neuroglia::mediation::Mediator;

struct Order;

async fn place(mediator: &Mediator) -> Result<()> {
    mediator.send(Order).await?;
    Ok(())
}

fn main() {}
