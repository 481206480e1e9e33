//! The adapters of Mario's Pizzeria: what its ports are in the world outside.

mod database;

pub use database::{DatabaseSettings, register};
