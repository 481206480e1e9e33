//! The services that the tests need: installed from the system's packages, started privately, ended with the run.
//!
//! The server itself is watched by the script that plain `cargo test` uses as well: it waits at the other end of a
//! pipe, and when the run ends, however it ends, it stops the server and deletes its folder.

mod brokers;
mod chore;
mod install;
mod postgres;
mod watched;

pub(crate) use brokers::{Broker, provide_nats};
pub(crate) use chore::{Arguments, run};
pub(crate) use install::{Policy, mongo};
pub(crate) use postgres::{Postgres, VARIABLE};
