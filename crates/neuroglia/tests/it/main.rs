//! Everything that is tested from outside, in one executable.

mod auth;
mod controller;
mod edge;
mod health;
mod hostile;
mod metrics;
mod openapi;
mod server;
mod stopping;
mod telemetry;
mod wire;
