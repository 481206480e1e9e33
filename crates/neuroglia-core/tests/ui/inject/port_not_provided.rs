//! Who is registered for a port says that it provides it.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::{Inject, ServiceCollection};

trait Port: Send + Sync {}

#[derive(Inject)]
struct Adapter {}

impl Port for Adapter {}

fn main() {
    ServiceCollection::new().add_scoped::<dyn Port, Adapter>();
}
