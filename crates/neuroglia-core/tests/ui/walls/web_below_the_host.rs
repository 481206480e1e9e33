//! Domain, application and integration know the core under the name `neuroglia`, and nothing above it.

extern crate neuroglia_core as neuroglia;

use neuroglia::web;

fn main() {
    let _ = web::Web::new();
}
