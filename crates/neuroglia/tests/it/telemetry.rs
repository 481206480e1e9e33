//! Logs: what a line looks like, that nothing can forge one, and that no reader of them can hold the process up.

mod lines;
mod own;
mod process;
mod queue;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use neuroglia::telemetry::{Capture, Telemetry, TelemetryOptions};
use tracing::dispatcher;

/// Options with the time at 2026-03-01T12:00:00.000123Z.
fn options() -> TelemetryOptions {
    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_772_366_400_000_123)
    }
    TelemetryOptions { clock: noon, ..TelemetryOptions::default() }
}

/// The lines that `work` logs.
fn lines_of(options: &TelemetryOptions, work: impl FnOnce()) -> Vec<String> {
    let capture = Capture::default();
    let dispatch = Telemetry::subscriber(options, capture.clone()).expect("the directives are valid");
    dispatcher::with_default(&dispatch, work);
    capture.lines()
}
