//! A port is a type.

extern crate neuroglia_core as neuroglia;

use neuroglia::di::Inject;

#[derive(Inject)]
#[provides("Port")]
struct Adapter {}

#[derive(Inject)]
#[provides]
struct Other {}

#[derive(Inject)]
struct Third {
    #[provides(dyn Send)]
    other: Other,
}

fn main() {}
