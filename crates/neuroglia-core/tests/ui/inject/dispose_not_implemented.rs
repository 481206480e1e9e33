//! Who is to be disposed of says how.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

#[derive(Inject)]
#[inject(dispose)]
struct Pool {}

fn main() {}
