//! The event bus, chosen by `EVENT_BUS_URL`.

use neuroglia::settings::Settings;
use url::Url;

/// What carries events to consumers.
#[derive(Settings)]
pub struct EventBusSettings {
    /// What carries events: `local:`, the store itself, and as durable as it.
    #[setting(default = "local:", check = neuroglia_backing::check_bus_url)]
    pub event_bus_url: Url,
}
