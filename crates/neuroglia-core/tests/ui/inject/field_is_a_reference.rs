//! The container hands over owned handles.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

struct Table;

#[derive(Inject)]
struct Handler {
    table: &'static Table,
}

fn main() {}
