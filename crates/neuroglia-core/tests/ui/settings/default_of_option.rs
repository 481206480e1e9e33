//! A default makes an option, and a secret, meaningless.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::{Secret, Settings};

#[derive(Settings)]
struct ServerSettings {
    #[setting(default = "8000")]
    port: Option<u16>,
    #[setting(default = "changeme")]
    key: Secret<String>,
}

fn main() {}
