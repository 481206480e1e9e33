//! Where finished lines go.

use std::sync::{Arc, Mutex, PoisonError};

/// Takes finished lines, from any thread.
///
/// An implementation must not wait for anything slow: it is called in the middle of requests.
pub trait LineSink: Send + Sync + 'static {
    /// Takes one line, which ends in a line feed and holds no other.
    fn write_line(&self, line: &[u8]);

    /// Whether further lines would go nowhere, so that nobody need format them.
    fn is_closed(&self) -> bool {
        false
    }
}

/// Keeps lines in memory, for tests. Clones share their lines.
///
/// ```
/// use neuroglia::telemetry::{Capture, Telemetry, TelemetryOptions};
///
/// let capture = Capture::default();
/// let dispatch = Telemetry::subscriber(&TelemetryOptions::default(), capture.clone())?;
/// tracing::dispatcher::with_default(&dispatch, || tracing::info!(pizza = "margherita", "baked"));
/// assert!(capture.text().contains(r#""pizza":"margherita""#));
/// # Ok::<(), neuroglia::telemetry::InvalidDirectives>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    /// Everything that was logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The lines that were logged so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl LineSink for Capture {
    fn write_line(&self, line: &[u8]) {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
    }
}
