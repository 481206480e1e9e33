//! Everything that is tested from outside, in one executable.

mod admin;
mod auth;
mod boot;
mod controller;
mod edge;
mod health;
mod hosted;
mod ingest;
mod issuer;
mod layers;
mod metrics;
mod openapi;
mod parity;
mod queues;
mod roles;
mod server;
mod settings;
mod stopping;
mod telemetry;
mod versions;
mod wire;
