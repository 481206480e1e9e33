//! A process that logs in the role that its argument names; the tests of `telemetry` watch it from outside.

use std::env;
use std::process::ExitCode;
use std::thread;

use neuroglia::telemetry::{LogFormat, Telemetry, TelemetryError, TelemetryOptions};

/// What it exits with when its role is played to the end.
const PLAYED: u8 = 42;

fn main() -> ExitCode {
    let role = env::args().nth(1).unwrap_or_default();
    let options = match role.as_str() {
        "text" => TelemetryOptions { format: LogFormat::Text, colour: true, ..TelemetryOptions::default() },
        "off" => TelemetryOptions { directives: "off".to_owned(), ..TelemetryOptions::default() },
        "backtrace" => TelemetryOptions { backtrace: true, ..TelemetryOptions::default() },
        _ => TelemetryOptions::default(),
    };
    let guard = Telemetry::init(options).expect("the first subscriber of the process");
    tracing::info!("ready");
    match role.as_str() {
        "panic" | "off" | "backtrace" => panic_in_a_request(),
        "flood" => (0..100_000).for_each(|number| tracing::info!(number, "one of many lines")),
        "again" => {
            let again = Telemetry::init(TelemetryOptions::default());
            assert!(matches!(again, Err(TelemetryError::AlreadyInstalled)));
        }
        _ => {}
    }
    drop(guard);
    ExitCode::from(PLAYED)
}

fn panic_in_a_request() {
    let worker = thread::Builder::new().name("worker".to_owned()).spawn(|| {
        let _request = tracing::info_span!("request", request.id = "7b1e").entered();
        panic!("the oven is\non \"fire\"");
    });
    assert!(worker.expect("a thread starts").join().is_err());
}
