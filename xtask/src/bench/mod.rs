//! Speed and size, measured beside a raw program in the same run.
//!
//! An absolute figure says little on a machine that nobody else has, and less on a virtual one
//! whose neighbours work. So each program is loaded in turn with a raw one that does the same work
//! ([`versus`], [`durable`], [`buses`], [`clients`]), what is compared is the CPU time of the server and not the time of the clock, and
//! each run notes how much of the processors others had meanwhile. What has no counterpart, the
//! idle memory of the sample for example, is measured as it is ([`sample`], [`dispatch`]).
//!
//! [`report`] holds the marks that the figures are judged by, and keeps them in
//! `docs/benchmarks.md`.

mod chore;

mod buses;
mod clients;
mod dispatch;
mod durable;
mod sample;
mod versus;

mod load;
mod process;
mod server;
mod wire;

mod machine;
mod report;

pub(crate) use chore::{Arguments, run};
pub(crate) use machine::Machine;
