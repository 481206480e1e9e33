//! Options have a fixed list.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

#[derive(Inject)]
#[inject(disposed)]
struct Pool {
    #[inject(optional)]
    size: u32,
}

fn main() {}
