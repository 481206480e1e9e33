//! The adapters of Mario's Pizzeria: what its ports are in the world outside.

mod cache;
mod database;
mod events;
mod issuer;
mod mail;
mod payment;

pub use cache::{CacheSettings, register as register_cache};
pub use database::{DatabaseSettings, register};
pub use events::{EventBusSettings, register as register_events};
pub use issuer::register as register_documents;
pub use mail::{MailSettings, register as register_mail};
pub use payment::{PaymentSettings, register as register_payment};
