//! The sections of settings that name resources: other names of their variables, and what goes together.

use neuroglia::settings::{Environment, Settings};
use neuroglia_backing::bus::EventBusSettings;
use neuroglia_backing::cache::CacheSettings;
use neuroglia_backing::store::DatabaseSettings;

/// As an application has them.
#[derive(Settings)]
struct ShopSettings {
    #[setting(section, flatten, defaults(database_name = "shop"))]
    database: DatabaseSettings,
    #[setting(section, flatten)]
    cache: CacheSettings,
    #[setting(section, flatten)]
    events: EventBusSettings,
}

/// The settings, or what is wrong with them.
fn load(pairs: &[(&'static str, &'static str)]) -> Result<ShopSettings, Vec<String>> {
    let loaded = Environment::from_pairs(pairs.iter().copied()).load::<ShopSettings>(&[]);
    let faults = loaded.report.faults().iter().map(|fault| fault.what.clone()).collect();
    loaded.settings.ok_or(faults)
}

fn faults(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
    load(pairs).map(drop).expect_err("it is refused")
}

#[test]
fn the_names_of_other_deployments_say_the_same() {
    let others = [
        ("MONGODB_CONNECTION_STRING", "mongodb://localhost:27017"),
        ("REDIS_URL", "redis://cache:6379/1"),
        ("RABBITMQ_URL", "amqp://broker/shop"),
    ];
    let settings = load(&others).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(settings.database.database_url.as_str(), "mongodb://localhost:27017");
    assert_eq!(settings.database.database_name.as_deref(), Some("shop"));
    assert_eq!(settings.cache.cache_url.as_str(), "redis://cache:6379/1");
    assert_eq!(settings.events.event_bus_url.as_str(), "amqp://broker/shop");
}

#[test]
fn a_store_is_all_that_has_to_be_named() {
    let settings = load(&[("DATABASE_URL", "memory:")]).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!(settings.cache.cache_url.as_str(), "memory:");
    assert_eq!(settings.events.event_bus_url.as_str(), "local:");
    assert!(faults(&[]).iter().all(|fault| fault.contains("DATABASE_URL")));
}

#[test]
fn a_database_without_a_name_is_refused_with_what_names_it() {
    #[derive(Settings)]
    struct NamelessSettings {
        #[setting(section, flatten)]
        database: DatabaseSettings,
    }
    let environment = Environment::from_pairs([("DATABASE_URL", "mongodb://localhost:27017")]);
    let loaded = environment.load::<NamelessSettings>(&[]);
    assert!(loaded.settings.map(|settings| settings.database.database_url).is_none());
    let faults = loaded.report.faults().to_string();
    assert!(faults.contains("DATABASE_URL") && faults.contains("DATABASE_NAME"), "{faults}");
}

#[test]
fn a_sink_that_would_not_know_its_sender_is_refused() {
    let sink = [("DATABASE_URL", "memory:"), ("EVENT_BUS_URL", "https://sink.example/events")];
    let faults = faults(&sink);
    assert!(faults.len() == 1 && faults[0].contains("EVENT_BUS_SIGNING_KEY"), "{faults:?}");
}
