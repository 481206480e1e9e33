//! Everything that is tested from outside, in one executable.

mod auth;
mod controller;
mod edge;
mod health;
mod metrics;
mod openapi;
mod server;
mod telemetry;
mod wire;
