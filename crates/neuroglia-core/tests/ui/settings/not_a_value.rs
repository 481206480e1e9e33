//! A field of a type that cannot be read from text.

extern crate neuroglia_core as neuroglia;

use std::collections::HashMap;

use neuroglia::settings::Settings;

struct Oven;

#[derive(Settings)]
struct KitchenSettings {
    oven: Oven,
    ovens: Vec<Oven>,
    toppings: HashMap<String, u32>,
}

fn main() {}
