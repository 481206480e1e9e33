//! The report of a boot that failed: for people on stderr, and as one JSON line on stdout for machines.

use std::io::{self, Write};

use neuroglia_core::fault::Faults;
use neuroglia_core::settings::Warning;

/// Writes the report. The JSON line appears whatever the log format, because that may be what is at fault.
pub(crate) fn report(application: &str, faults: &Faults, warnings: &[Warning]) {
    let mut text = format!("{application} cannot start: {} to mend\n\n{faults}", count(faults));
    for warning in warnings {
        text.push_str(&format!("   note: {}\n", warning.what));
    }
    // Nobody may be reading; the exit code says it all the same.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    let line = serde_json::json!({
        "timestamp": neuroglia_core::clock::Clock::system().now(),
        "level": "ERROR",
        "message": "boot failed",
        "target": "neuroglia::boot",
        "service": application,
        "faults": faults,
    });
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn count(faults: &Faults) -> String {
    match faults.iter().count() {
        1 => "one thing".to_owned(),
        count => format!("{count} things"),
    }
}
