//! A check that takes something else than the field.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::Settings;

#[derive(Settings)]
struct ServerSettings {
    #[setting(check = is_open)]
    port: u16,
}

fn is_open(_: &str) -> Result<(), String> {
    Ok(())
}

fn main() {}
