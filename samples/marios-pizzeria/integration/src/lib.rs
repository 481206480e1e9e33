//! The adapters of Mario's Pizzeria: what its own ports are in the world outside.

mod payment;

pub use payment::{PaymentSettings, register};
