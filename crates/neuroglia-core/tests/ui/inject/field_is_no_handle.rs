//! A field must be something that the container hands over.

extern crate neuroglia_core as neuroglia;

use std::sync::Arc;

use neuroglia::di::Inject;

struct Table;

#[derive(Inject)]
struct Handler {
    table: Arc<Table>,
    limit: u32,
}

fn main() {}
