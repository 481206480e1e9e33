//! A section must itself be settings, and has no value of its own.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::Settings;

#[derive(Settings)]
struct PizzeriaSettings {
    #[setting(section)]
    port: u16,
}

#[derive(Settings)]
struct PaymentSettings {
    #[setting(section, default = "x")]
    gateway: GatewaySettings,
    #[setting(flatten)]
    other: GatewaySettings,
}

#[derive(Settings)]
struct GatewaySettings {}

fn main() {}
