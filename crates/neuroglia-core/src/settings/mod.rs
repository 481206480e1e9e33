//! What a program must be told about where it runs: typed, checked all at once, and explained by itself.
//!
//! An application declares its settings as a struct; the name of a field is the name of a variable, its type is
//! the parser, its doc comment is the operator's help. The host takes one snapshot of the process' environment
//! and loads every struct from it, so that all faults stand in one list and nothing reads the environment later.
//!
//! ```
//! # extern crate neuroglia_core as neuroglia;
//! use std::num::NonZeroU32;
//! use std::time::Duration;
//! use neuroglia::settings::{Environment, Secret, Settings};
//!
//! /// What the pizzeria needs to know about where it runs.
//! #[derive(Settings)]
//! pub struct PizzeriaSettings {
//!     /// How many orders cook at once.
//!     #[setting(default = "3")]
//!     pub kitchen_capacity: NonZeroU32,
//!     #[setting(section)]
//!     pub payment: PaymentSettings,
//!     /// Signs access tokens.
//!     #[setting(min_bytes = 32)]
//!     pub jwt_secret_key: Secret<String>,
//! }
//!
//! #[derive(Settings)]
//! pub struct PaymentSettings {
//!     /// How long the gateway may take to answer.
//!     #[setting(default = "5s")]
//!     pub timeout: Duration,
//! }
//!
//! let environment = Environment::from_pairs([
//!     ("PAYMENT_TIMEOUT", "5"),
//!     ("JWT_SECRET_KEY", "changeme"),
//! ]);
//! let loaded = environment.load::<PizzeriaSettings>(&["PIZZERIA_"]);
//! let faults: Vec<_> = loaded.report.faults().iter().map(|fault| fault.what.as_str()).collect();
//! assert_eq!(faults, [
//!     "`PAYMENT_TIMEOUT` is not valid: `5` has no unit; write it with one of ms, s, m, h, d, such as `30s`",
//!     "`JWT_SECRET_KEY` is a well-known value; anybody can guess it",
//! ]);
//! ```
//!
//! # Rules for operators
//! * A variable that is set to the empty string counts as not set.
//! * Every variable `NAME` can be given as `NAME_FILE` instead: the name of a file (64 KiB at most) that holds the
//!   value; one line end at its end is dropped. Setting both is a fault.
//! * Several names for the same setting may be set together when they agree.
//! * Durations and sizes carry their unit (`30s`, `500ms`, `2MiB`, `10kB`), lists are separated by commas, and a
//!   `bool` is `true`/`false`, `on`/`off`, `yes`/`no` or `1`/`0`.
//!
//! # Design notes
//! There is one method to implement, [`Settings::load`], and the [`Schema`] is what it asks for when it is run
//! without an environment: a declaration and a load cannot disagree. [`Value`] carries a second, inferred type
//! parameter so that every `FromStr` type is a setting without an implementation by the user, while `Duration`,
//! lists, options and secrets have their own. What is secret is a matter of type ([`Secret`]), never of a name;
//! text that a secret's parser says about its input is withheld, and URLs are shown without their credentials.

mod section;
mod variable;

mod duration;
mod size;
mod value;

mod redaction;
mod secret;
mod weakness;

mod env_file;
mod loader;
mod source;

mod deploy;

mod report;
mod suggestion;
mod table;
mod template;

pub use neuroglia_macros::Settings;

pub use deploy::{Deploy, Setting};
pub use env_file::{Variables, read_env_file};
pub use loader::{Loaded, Loader};
pub use redaction::redact_url;
pub use report::{Entry, Report, Warning};
pub use secret::Secret;
pub use section::{Problems, Settings};
pub use size::ByteSize;
pub use source::{Environment, Source};
pub use value::{Form, Hidden, List, Maybe, Parsed, Unit, Value};
pub use variable::{Schema, Variable};
