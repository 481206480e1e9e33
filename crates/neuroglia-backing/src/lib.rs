//! Attached resources, each chosen by its URL: this crate is the only one that knows drivers.
//!
//! An application names no engine. Its settings carry a URL, which is judged together with all other settings and
//! opened once at start; what comes back is a port of the framework. Replacing the resource is then a matter of
//! configuration, and an engine is compiled in only when its feature is on.
//!
//! Each kind of resource is a module with the same few words: a section of settings, and `attach`, which gives an
//! application what they name. Below that, `check_url` judges a URL, and `connect` opens what it names where an
//! application declares variables of its own.
//!
//! | resource | module | section | variable |
//! |---|---|---|---|
//! | documents, messages, jobs | [`store`] | [`store::DatabaseSettings`] | `DATABASE_URL` |
//! | what is kept for a while | [`cache`] | [`cache::CacheSettings`] | `CACHE_URL` |
//! | what carries events | [`bus`] | [`bus::EventBusSettings`] | `EVENT_BUS_URL` |
//! | who sends mail | [`mail`] | [`mail::MailSettings`] | `SMTP_URL` |
//! | what an issuer of tokens publishes | [`documents`] | `IssuerSettings` of the framework | `AUTH_ISSUER` |
//! | any other service | [`service`], and `http` with the feature of that name | the application's own | its own |
//!
//! ```
//! use neuroglia::di::ServiceCollection;
//! use neuroglia::settings::Settings;
//! use neuroglia_backing::bus::{self, EventBusSettings};
//! use neuroglia_backing::store::{self, DatabaseSettings};
//!
//! #[derive(Settings)]
//! struct ShopSettings {
//!     #[setting(section, flatten, defaults(database_name = "shop"))]
//!     database: DatabaseSettings,
//!     #[setting(section, flatten)]
//!     events: EventBusSettings,
//! }
//!
//! fn services(services: &mut ServiceCollection, settings: &ShopSettings) {
//!     store::attach(services, &settings.database);
//!     bus::attach(services, &settings.events);
//! }
//! ```

#[cfg(feature = "amqp")]
pub mod amqp;
pub mod bus;
pub mod cache;
pub mod documents;
#[cfg(feature = "http")]
pub mod http;
pub mod mail;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migrations;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(any(feature = "mongodb", feature = "postgres"))]
mod not_there;
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
mod owner;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod service;
#[cfg(feature = "http")]
pub mod sink;
#[cfg(feature = "smtp")]
pub mod smtp;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
mod step;
pub mod store;
#[cfg(any(feature = "amqp", feature = "http", feature = "nats", feature = "redis"))]
mod tls;
#[cfg(any(feature = "mongodb", feature = "postgres"))]
mod to_the_end;

/// Whether the URL of what is within the process names nothing else.
fn is_bare(url: &url::Url) -> Result<(), String> {
    if matches!(url.path(), "" | "/") && !url.has_host() {
        Ok(())
    } else {
        Err(format!("{}: takes nothing after the colon", url.scheme()))
    }
}
