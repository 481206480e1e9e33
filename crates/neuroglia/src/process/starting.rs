//! What bounds a boot: the time that it may take, and the signal that ends it before it was ready.

use std::fmt::{self, Display};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use neuroglia_core::error::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::host::HostSettings;
use crate::shutdown::Deadline;

/// One boot. What it has begun when it fails is ended within a time of its own, as nothing is left of the boot's.
pub(crate) struct Starting {
    deadline: Deadline,
    timeout: Duration,
    clean_up: Duration,
    interrupt: CancellationToken,
}

impl Starting {
    pub(crate) fn new(host: &HostSettings, interrupt: CancellationToken) -> Self {
        Self::within(host.lifecycle.startup_timeout, host.lifecycle.shutdown_timeout, interrupt)
    }

    pub(crate) fn within(timeout: Duration, clean_up: Duration, interrupt: CancellationToken) -> Self {
        Self { deadline: Deadline::after(timeout), timeout, clean_up, interrupt }
    }

    /// Does one thing of the boot; `what` did not answer when the time is up, as it is called then.
    ///
    /// # Errors
    /// Its own, `Unavailable` when the boot's time is up, and with the code `interrupted` when a signal came.
    pub(crate) async fn bound<T>(
        &self,
        what: impl Display,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => {
                Err(Error::new(ErrorKind::Unavailable, "interrupted", "interrupted while starting"))
            }
            outcome = step => outcome,
            () = self.deadline.reached() => Err(Error::unavailable(format!(
                "{what} did not answer within {:?} (STARTUP_TIMEOUT)",
                self.timeout
            ))),
        }
    }

    /// The moment by which what a failed boot has begun must have ended, from now.
    pub(crate) fn clean_up(&self) -> Deadline {
        Deadline::after(self.clean_up)
    }
}

/// What the boot is constructing now.
#[derive(Default)]
pub(crate) struct UnderConstruction(Mutex<String>);

impl UnderConstruction {
    pub(crate) fn begin(&self, name: &str) {
        name.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Display for UnderConstruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
