//! Logs as an event stream: one line an event on stdout, and nothing anywhere else.
//!
//! Libraries and applications call `tracing`; this module decides what becomes of it. The host calls
//! [`Telemetry::init`] once, before there is a runtime:
//!
//! ```no_run
//! use neuroglia::telemetry::{LogFormat, Telemetry, TelemetryOptions};
//!
//! let guard = Telemetry::init(TelemetryOptions {
//!     format: LogFormat::for_stdout(),
//!     directives: "info,hyper=warn".to_owned(),
//!     service: Some("marios-pizzeria".to_owned()),
//!     ..TelemetryOptions::default()
//! })?;
//! tracing::info!(order.id = "0197", order.total_cents = 2599, "order placed");
//! drop(guard); // writes what is left, if that takes but a moment
//! # Ok::<(), neuroglia::telemetry::TelemetryError>(())
//! ```
//!
//! ```json
//! {"timestamp":"2026-03-01T12:00:00.000123Z","level":"INFO","message":"order placed","target":"pizzeria","order.id":"0197","order.total_cents":2599,"request.id":"7b1e","service":"marios-pizzeria"}
//! ```
//!
//! # The line
//! - An object is flat and its keys never repeat. The event's own fields win over those of the innermost
//!   span, which win over those of the span around it. A field that carries a name of the envelope
//!   (`level`, `target`, …) is written as `field.level`.
//! - A value is escaped while it is written, so that no value can end the line, start another one, or speak to
//!   a terminal. A value of more than 16 KiB is cut and ends in `…`.
//!
//! # The way out
//! - A line is formatted in the caller's thread, into a buffer that the thread keeps, and appended to one queue
//!   under a short lock. A single thread writes the queue: at once when it was idle, in batches under load.
//! - Nobody waits for stdout. While a reader stalls, lines gather up to a bound; beyond it they are dropped
//!   and counted, and the first thing a recovered reader sees after the gap is how many it missed. When stdout is
//!   closed, logging ends without a word and the process goes on.

mod setup;

mod directives;
mod layer;
mod own;

mod json;
mod text;

mod escape;
mod keys;
mod timestamp;
mod value;

mod panic_hook;
mod queue;
mod sink;
mod stdout;

pub use directives::{InvalidDirectives, check_directives};
pub use own::TelemetryLayer;
pub use setup::{LogFormat, Telemetry, TelemetryError, TelemetryGuard, TelemetryOptions, UnknownLogFormat};
pub use sink::{Capture, LineSink};
pub use tracing_subscriber;
