//! Fields have names.

extern crate neuroglia_core as neuroglia;

use std::sync::Arc;

use neuroglia::di::Inject;

struct Table;

#[derive(Inject)]
struct Handler(Arc<Table>);

fn main() {}
