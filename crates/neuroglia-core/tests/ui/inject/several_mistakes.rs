//! All mistakes of one struct are reported together, and whoever uses it hears of none.

extern crate neuroglia_core as neuroglia;

use std::sync::Arc;

use neuroglia::di::{Inject, ServiceCollection};

struct Table;

#[derive(Inject)]
#[inject(scoped)]
#[provides("Port")]
struct Adapter {
    table: &'static Table,
    #[inject(clone)]
    other: Arc<Table>,
    limit: u32,
}

fn main() {
    ServiceCollection::new().add_scoped::<Adapter, Adapter>();
}
