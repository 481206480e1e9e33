//! The adapters of Mario's Pizzeria: what its ports are in the world outside.

mod cache;
mod database;
mod events;
mod mail;

pub use cache::{CacheSettings, register as register_cache};
pub use database::{DatabaseSettings, register};
pub use events::EventBusSettings;
pub use mail::{MailSettings, MailState, OutgoingMail, register as register_mail};
