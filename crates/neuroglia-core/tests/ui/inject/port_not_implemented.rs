//! Who provides a port implements it.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

trait Port: Send + Sync {}

#[derive(Inject)]
#[provides(dyn Port)]
struct Adapter {}

fn main() {}
