//! The event bus, chosen by its URL.
//!
//! | URL | what carries events | feature |
//! |---|---|---|
//! | `local:` | the store itself | always there |
//! | `amqp://user:password@host:5672/vhost`, `amqps://…` | RabbitMQ, or another broker that speaks AMQP 0.9.1 | `amqp` |
//! | `nats://user:password@host:4222`, `tls://…` | NATS JetStream | `nats` |
//! | `http://host/path`, `https://…` | a sink that takes CloudEvents; the application's own consumers are served by the store | `http` |
//!
//! None of them holds the boot: events wait in the outbox, as they do whenever the bus is away.

use neuroglia::di::ServiceCollection;
use neuroglia::fault::{Area, Fault};
use neuroglia::settings::{Problems, Secret, Settings};
use neuroglia::webhook::WebhookKey;
use url::Url;

/// What carries events to consumers.
#[derive(Settings)]
#[setting(check = a_sink_knows_its_sender)]
pub struct EventBusSettings {
    /// What carries events: `local:`, the store itself, and as durable as it; `amqp://user:password@host:5672`,
    /// `nats://host:4222`, or `https://host/path`, a sink that takes CloudEvents. `?cacertfile=FILE` has `amqps:`,
    /// `tls:` and `https:` trust that authority and no other.
    #[setting(default = "local:", alias = "RABBITMQ_URL", check = check_url)]
    pub event_bus_url: Url,
    /// The key that signs what goes to a sink over HTTP: `whsec_` and base64.
    pub event_bus_signing_key: Option<Secret<WebhookKey>>,
    /// In which form events go to a sink over HTTP: `structured`, `binary` or `batch`.
    #[setting(default = "structured")]
    pub event_bus_content: Content,
}

impl EventBusSettings {
    /// The bus at this URL, and the defaults for all else.
    pub fn at(event_bus_url: Url) -> Self {
        Self { event_bus_url, event_bus_signing_key: None, event_bus_content: Content::default() }
    }

    fn options(&self) -> BusOptions {
        BusOptions {
            signing_key: self.event_bus_signing_key.as_ref().map(|key| key.expose().clone()),
            content: self.event_bus_content,
        }
    }
}

fn a_sink_knows_its_sender(settings: &EventBusSettings, problems: &mut Problems) {
    let is_signed = matches!(settings.event_bus_url.scheme(), "http" | "https");
    if is_signed && settings.event_bus_signing_key.is_none() {
        problems.add("event_bus_signing_key", "must be set when EVENT_BUS_URL is a sink over HTTP");
    }
}

/// What a bus needs beside its URL.
#[derive(Clone, Default)]
pub struct BusOptions {
    /// The key that signs what goes to a sink over HTTP.
    pub signing_key: Option<WebhookKey>,
    /// In which form events go to a sink over HTTP.
    pub content: Content,
}

/// In which form an event stands in an HTTP request; the content modes of the CloudEvents HTTP binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// One event a request, as a whole in the body.
    #[default]
    Structured,
    /// One event a request, its attributes in headers and its data in the body.
    Binary,
    /// All events that leave together in one request.
    Batch,
}

impl std::str::FromStr for Content {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "structured" => Ok(Self::Structured),
            "binary" => Ok(Self::Binary),
            "batch" => Ok(Self::Batch),
            _ => Err("must be structured, binary or batch".to_owned()),
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Structured => "structured",
            Self::Binary => "binary",
            Self::Batch => "batch",
        })
    }
}

/// Whether [`attach`] knows an event bus for such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    kind(url).map(drop)
}

/// Gives an application the event bus that the settings name; it connects when there is something to send or to take.
///
/// `local:` is there without doing anything. Where a broker is the bus, workers take the application's events from it.
pub fn attach(services: &mut ServiceCollection, settings: &EventBusSettings) {
    match kind(&settings.event_bus_url) {
        Ok(register) => register(services, settings.event_bus_url.clone(), settings.options()),
        Err(fault) => {
            services.fault(Fault {
                area: Area::Services,
                code: "bus",
                what: format!("there is no such event bus: {fault}"),
                at: "EVENT_BUS_URL".to_owned(),
                fix: "use local:, the store itself".to_owned(),
            });
        }
    }
}

type Register = fn(&mut ServiceCollection, Url, BusOptions);

/// What the URL names, once nothing is wrong with the URL.
fn kind(url: &Url) -> Result<Register, String> {
    match url.scheme() {
        "local" => crate::is_bare(url).map(|()| -> Register { |_, _, _| {} }),
        #[cfg(feature = "amqp")]
        "amqp" | "amqps" => crate::amqp::check_url(url).map(|()| -> Register { crate::amqp::attach }),
        #[cfg(not(feature = "amqp"))]
        "amqp" | "amqps" => Err("this executable was built without the feature `amqp`".to_owned()),
        #[cfg(feature = "nats")]
        "nats" | "tls" => crate::nats::check_url(url).map(|()| -> Register { crate::nats::attach }),
        #[cfg(not(feature = "nats"))]
        "nats" | "tls" => Err("this executable was built without the feature `nats`".to_owned()),
        #[cfg(feature = "http")]
        "http" | "https" => crate::sink::check_url(url).map(|()| -> Register { crate::sink::attach }),
        #[cfg(not(feature = "http"))]
        "http" | "https" => Err("this executable was built without the feature `http`".to_owned()),
        scheme => Err(format!(
            "there is no event bus {scheme}: use local:, amqp://host, nats://host or https://host/path"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_judged_by_its_scheme() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("local:"), None);
        assert!(fault("local://shop").is_some_and(|fault| fault.contains("nothing after the colon")));
        assert!(fault("carrier-pigeon:").is_some_and(|fault| fault.contains("no event bus carrier-pigeon")));
    }

    #[test]
    fn an_address_is_judged_without_showing_its_password() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        for sound in [
            "amqp://user:word@host",
            "amqp://host/",
            "amqps://host:5671/shop?cacertfile=/ca.pem",
            "amqp://[::1]:5672",
            "nats://host",
            "nats://token@host:4222/",
            "tls://user:word@host?cacertfile=/ca.pem",
            "https://host/events",
            "https://host/events?code=1&cacertfile=/ca.pem",
        ] {
            assert_eq!(fault(sound), None, "{sound}");
        }
        for wrong in [
            "amqp:host",
            "amqp://user:hunter2@host/?verify=none",
            "nats://user:hunter2@host/stream",
            "nats:host",
            "nats://user:hunter2@host?tls=no",
            "amqp://user:hunter2@host/?cacertfile=/ca.pem",
            "nats://user:hunter2@host?cacertfile=/ca.pem",
            "http://user:hunter2@host",
            "http://host/events?cacertfile=/ca.pem",
        ] {
            let fault = fault(wrong).unwrap_or_else(|| panic!("{wrong} is refused"));
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
