//! Everything that is tested from outside, in one executable.

mod auth;
mod health;
mod hostile;
mod metrics;
mod server;
mod telemetry;
mod wire;
