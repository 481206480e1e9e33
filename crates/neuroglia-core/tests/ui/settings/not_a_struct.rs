//! Settings need the names of fields.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::{Environment, Settings};

#[derive(Settings)]
enum Mode {
    Fast,
    Slow,
}

#[derive(Settings)]
struct Port(u16);

fn main() {
    let environment = Environment::from_pairs([("PORT", "1")]);
    let _ = environment.load::<(Mode, Port)>(&[]);
}
