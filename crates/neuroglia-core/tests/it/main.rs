//! The public surface of the core, used as an application uses it.

extern crate neuroglia_core as neuroglia;

mod cache;
mod compile_fail;
mod container;
mod disposal;
mod durable;
mod idempotency;
mod lines;
mod mail;
mod mediator;
mod relay;
mod report;
mod script;
mod settings;
mod unit_of_work;
