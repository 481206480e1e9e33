//! The handler that a message names handles it.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;
use neuroglia::mediation::{Command, Query};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct PlaceOrder;

impl Command for PlaceOrder {
    type Response = ();
    type Handler = PlaceOrderHandler;
}

#[derive(Inject)]
struct PlaceOrderHandler {}

struct GetOrder;

impl Query for GetOrder {
    type Response = ();
    type Handler = GetOrderHandler;
}

#[derive(Inject)]
struct GetOrderHandler {}

fn main() {}
