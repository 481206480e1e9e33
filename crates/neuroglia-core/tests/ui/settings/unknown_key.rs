//! Keys that do not exist, on a field and on the struct, all reported at once.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::Settings;

#[derive(Settings)]
#[setting(prefix = "PIZZERIA")]
struct ServerSettings {
    #[setting(defualt = "8000", alias = "server-port")]
    port: u16,
    #[setting(default = 3)]
    workers: u16,
    #[setting(min_bytes = "32", check = "valid")]
    name: String,
    #[setting(default = "1", default = "2")]
    twice: u16,
}

fn main() {}
