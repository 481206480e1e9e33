//! Long-running parts of a process beside its requests.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::di::Inject;
use crate::error::Result;

/// What [`HostedService::run`] is told the end by.
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

/// Something that runs as long as the process does: the reference's `HostedService`, in two phases.
///
/// Every `start` ends before the process is ready, in the order of registration and within `STARTUP_TIMEOUT`; when
/// one fails, or a signal comes, those before it are stopped and the process exits. Each runs from its own `start` on,
/// also while later ones start. A `run` that fails or panics is started again after a growing pause, which the metric
/// `hosted_service_restarts_total` counts; one that ends in peace stays ended, and the log says so unless the process ends.
/// At shutdown the token is cancelled when the requests have drained, and each is waited for in the reverse order; one
/// that is late is cut. Several loops of one service are joined in its `run`.
///
/// It is built from the root: what it needs must be singletons, and it opens scopes by
/// [`ScopeFactory`](crate::di::ScopeFactory).
pub trait HostedService: Inject {
    /// A stable name for logs and metrics.
    const NAME: &'static str;

    /// Gets ready; the process waits for it.
    ///
    /// # Errors
    /// Whatever keeps the process from starting.
    fn start(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Works until the token is cancelled.
    ///
    /// # Errors
    /// Whatever makes a new beginning necessary.
    fn run(&self, stop: CancellationToken) -> impl Future<Output = Result<()>> + Send;

    /// Gives back what `start` took; called once, after `run` has ended; not at all when that cannot be ended.
    fn stop(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Tells long-lived work beside the requests, workers and hosted services that the process is about to end, and by
/// when.
///
/// Every application has it as a service (`Arc<Stopping>`); clones are the same. Event streams need not ask for it:
/// the host ends them.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    begun: CancellationToken,
    deadline: Arc<OnceLock<Instant>>,
}

impl Stopping {
    /// Begins the end, without a deadline.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Begins the end; at the deadline whatever ends first is cut, and the others soon after. Only the first deadline
    /// counts.
    pub fn begin_until(&self, deadline: Instant) {
        self.deadline.get_or_init(|| deadline);
        self.begin();
    }

    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits for the beginning of the end.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until only so much is left of the deadline; for ever when there is none.
    pub async fn nearly_over(&self, left: Duration) {
        self.begun().await;
        match self.deadline.get() {
            Some(deadline) => tokio::time::sleep_until(deadline.checked_sub(left).unwrap_or(*deadline)).await,
            None => std::future::pending().await,
        }
    }
}
