//! Mario's Pizzeria: the composition root, where layers and adapters meet.

pub mod admin;
mod parity;
mod security;
mod settings;

pub use settings::PizzeriaSettings;

use neuroglia::App;
use neuroglia::cache::register_sessions;
use neuroglia::di::ServiceCollection;
use neuroglia::mail;
use neuroglia::web::IngestKeys;
use neuroglia_backing::{bus, cache, store};
use pizzeria_api::{GatewayKey, StreamLimits, Streams};
use pizzeria_application::House;
use pizzeria_domain::order::PaymentMethod;

/// The whole application. `main` and the tests both start here.
pub fn app() -> App<PizzeriaSettings> {
    App::new("marios-pizzeria")
        .title("Mario's Pizzeria")
        .version(env!("CARGO_PKG_VERSION"))
        .own_prefix("PIZZERIA_")
        .parity(parity::parity)
        .migrations(pizzeria_application::migrations)
        .services(services)
        .messages(pizzeria_application::messages)
        .messages(mail::messages)
        .web(pizzeria_api::controllers)
        .worker(pizzeria_application::worker)
        .worker(mail::worker)
        .scheduler(pizzeria_application::scheduler)
        .scheduler(mail::scheduler)
        .admin(admin::commands)
}

fn services(services: &mut ServiceCollection, settings: &PizzeriaSettings) {
    services.add_instance(House {
        currency: settings.currency,
        kitchen_capacity: settings.kitchen_capacity,
        accepted: match settings.payment.url {
            Some(_) => PaymentMethod::ALL.to_vec(),
            None => vec![PaymentMethod::Cash],
        },
        report_to: settings.report_to.clone(),
        outside_accounts: settings.auth.as_ref().map(security::accounts_of),
    });
    services.add_instance(settings.time_zone.clone());
    services.add_instance(Streams::new(StreamLimits {
        most: settings.events_streams_max,
        heartbeat: settings.events_heartbeat,
        lifetime: settings.events_lifetime,
    }));
    store::attach(services, &settings.database);
    bus::attach(services, &settings.events);
    services.add_instance(IngestKeys::of(&settings.event_ingest));
    cache::attach(services, &settings.cache);
    register_sessions(services, settings.session.clone());
    neuroglia_backing::mail::attach(services, &settings.mail);
    pizzeria_integration::register(services, &settings.payment);
    if let Some(key) = &settings.payment.webhook_key {
        services.add_instance(GatewayKey(key.expose().clone()));
    }
    security::register(services, settings);
}
