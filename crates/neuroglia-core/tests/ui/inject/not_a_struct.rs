//! The container builds structs.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

#[derive(Inject)]
enum Handler {
    Fast,
    Slow,
}

fn main() {}
