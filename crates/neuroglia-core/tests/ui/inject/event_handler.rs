//! The handler that is listed for an event handles it.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;
use neuroglia::domain::DomainEvent;
use neuroglia::mediation::Messages;
use serde::Serialize;

#[derive(Serialize)]
struct OrderPlaced;

impl DomainEvent for OrderPlaced {
    const NAME: &'static str = "order.placed";
}

#[derive(Inject)]
struct OpenTicket {}

fn main() {
    Messages::default().event::<OrderPlaced, OpenTicket>();
}
