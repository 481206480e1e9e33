//! Defaults for the fields of a section: of what is no section, twice for one field, and what is no text.

extern crate neuroglia_core as neuroglia;

use neuroglia::settings::Settings;

#[derive(Settings)]
struct PageSettings {
    #[setting(default = "20")]
    page_size: u16,
}

#[derive(Settings)]
struct ServerSettings {
    #[setting(defaults(page_size = "50"))]
    port: u16,
    #[setting(section, defaults(page_size = "50", page_size = "60"))]
    twice: PageSettings,
    #[setting(section, defaults(page_size = 50, page_title = 3))]
    number: PageSettings,
    #[setting(section, defaults)]
    nothing: PageSettings,
    #[setting(section, defaults())]
    empty: PageSettings,
}

fn main() {}
