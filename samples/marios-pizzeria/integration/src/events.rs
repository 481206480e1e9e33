//! The event bus, chosen by `EVENT_BUS_URL`.

use neuroglia::di::ServiceCollection;
use neuroglia::settings::{Problems, Secret, Settings};
use neuroglia::webhook::WebhookKey;
use neuroglia_backing::bus::{self, BusOptions, Content};
use url::Url;

/// What carries events to consumers.
#[derive(Settings)]
#[setting(check = a_sink_knows_its_sender)]
pub struct EventBusSettings {
    /// What carries events: `local:`, the store itself, and as durable as it; `amqp://user:password@host:5672`,
    /// `nats://host:4222`, or `https://host/path`, a sink that takes CloudEvents. `?cacertfile=FILE` has `amqps:`,
    /// `tls:` and `https:` trust that authority and no other.
    #[setting(default = "local:", alias = "RABBITMQ_URL", check = bus::check_url)]
    pub event_bus_url: Url,
    /// The key that signs what goes to a sink over HTTP: `whsec_` and base64.
    pub event_bus_signing_key: Option<Secret<WebhookKey>>,
    /// In which form events go to a sink over HTTP: `structured`, `binary` or `batch`.
    #[setting(default = "structured")]
    pub event_bus_content: Content,
}

fn a_sink_knows_its_sender(settings: &EventBusSettings, problems: &mut Problems) {
    if bus::is_signed(&settings.event_bus_url) && settings.event_bus_signing_key.is_none() {
        problems.add("event_bus_signing_key", "must be set when EVENT_BUS_URL is a sink over HTTP");
    }
}

/// Attaches the event bus that the URL names.
pub fn register(services: &mut ServiceCollection, settings: &EventBusSettings) {
    let options = BusOptions {
        signing_key: settings.event_bus_signing_key.as_ref().map(|key| key.expose().clone()),
        content: settings.event_bus_content,
    };
    bus::attach(services, &settings.event_bus_url, &options);
}
