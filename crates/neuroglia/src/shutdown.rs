//! The signals that end a process, and the one deadline for what follows.
//!
//! SIGTERM and SIGINT are alike: the first begins the drain, the second ends the process at once. Nothing else
//! in the framework installs a signal handler.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// The exit code of a process that had to leave work undone (`EX_TEMPFAIL`).
pub const EXIT_ABANDONED: u8 = 75;

/// The exit code of a process whose settings, graph, routes or schema are at fault (`EX_CONFIG`).
pub const EXIT_FAULTS: u8 = 78;

/// The exit code of a command line that cannot be understood (`EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;

/// What tasks get after the deadline to notice that they were cut. Only a handler that blocks its thread needs longer,
/// and the process does not wait for that one.
pub(crate) const ABORT_GRACE: Duration = Duration::from_millis(200);

/// What disposing of the services may take when the requests have used up the time.
pub(crate) const LAST_MOMENTS: Duration = Duration::from_millis(300);

/// What tasks that block their thread get when everything else has ended.
pub(crate) const LAST_TASKS: Duration = Duration::from_millis(100);

/// What an application's own telemetry gets to send what it holds.
pub(crate) const LAST_EXPORT: Duration = Duration::from_millis(200);

/// What writing the last lines of the log may take.
pub(crate) const LAST_FLUSH: Duration = Duration::from_millis(200);

/// How much longer than the deadline a platform must wait before it kills: what is said above takes a second of it.
pub(crate) const KILL_MARGIN: Duration = Duration::from_secs(2);

const _: () = {
    let moments = [ABORT_GRACE, LAST_MOMENTS, LAST_TASKS, LAST_EXPORT, LAST_FLUSH];
    let (mut index, mut sum_ms) = (0, 0);
    while index < moments.len() {
        sum_ms += moments[index].as_millis();
        index += 1;
    }
    assert!(sum_ms <= 1000, "the end takes a second beyond the deadline at most");
};

/// Waits for the signals to stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default, which is sudden death.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next signal.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The moment by which everything has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    pub(crate) fn instant(self) -> Instant {
        self.0
    }

    pub(crate) async fn reached(self) {
        tokio::time::sleep_until(self.0).await;
    }

    /// Runs the future, but not beyond the deadline; whether it ended.
    pub(crate) async fn bound(self, future: impl Future<Output = ()>) -> bool {
        tokio::time::timeout_at(self.0, future).await.is_ok()
    }

    /// A deadline that leaves so long before this one.
    pub(crate) fn less(self, span: Duration) -> Self {
        Self(self.0.checked_sub(span).unwrap_or(self.0))
    }

    /// This deadline, or so long from now when that is later: what must run even when nothing is left.
    pub(crate) fn at_least(self, span: Duration) -> Self {
        Self(self.0.max(Instant::now() + span))
    }
}
