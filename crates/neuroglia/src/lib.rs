//! The application framework for services that run in a cloud: the Twelve-Factor App as the path of least
//! resistance.
//!
//! An application is an [`App`]: a name, and one plain function for each of its parts. `main` runs it, tests
//! start it, and its command line chooses the process: `web`, `worker`, `scheduler`, `all`, `admin …`, `config`,
//! `describe`, `openapi`.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use neuroglia::App;
//!
//! fn main() -> ExitCode {
//!     App::<()>::new("shop").run()
//! }
//! ```
//!
//! This crate is the host: processes, [`web`], [`health`], shutdown, [`telemetry`]. What domain and application
//! layers need is in `neuroglia-core`, all of which is re-exported here: [`di`], [`mediation`], [`data`],
//! [`domain`], [`messaging`], [`webhook`], [`work`], [`schedule`], [`cache`], [`mail`], [`settings`], [`error`], [`clock`],
//! [`id`].

extern crate self as neuroglia;

pub use neuroglia_core::{
    cache, clock, cluster, data, di, documents, domain, error, fault, hosting, id, identity, mail, mediation,
    messaging, meter, schedule, settings, webhook, work,
};

mod app;
mod argv;
mod boot;
mod describe;
pub mod host;
mod host_settings;
mod running;

pub mod process;

pub mod web;

pub mod auth;

mod admin_surface;
pub mod health;
pub mod metrics;
pub mod parity;
mod shutdown;
pub mod telemetry;

pub use app::App;
pub use host::StartError;
pub use process::Role;
pub use running::Running;
pub use shutdown::{EXIT_ABANDONED, EXIT_FAULTS, EXIT_USAGE};

/// The README's example, which is compiled with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
