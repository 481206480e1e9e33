//! Whether this process is alive, has started and should get requests: three questions with three answers.
//!
//! * **Live** asks the process alone. A probe that restarts processes must not fail because a database is away:
//!   all of them would restart at once, and help nothing.
//! * **Started** holds from the moment when everything has been connected.
//! * **Ready** asks each attached resource through its [`Indicator`], and ends with the first sign of shutdown.
//!
//! [`Health::router`] answers strangers, in one word. The admin surface shows operators what was checked and how it
//! went.
//!
//! # Design notes
//! * **No stampede.** One round of checks runs at a time, all indicators at once, each for at most
//!   [`Health::CHECK_TIMEOUT`]; its result is good for [`Health::CACHE_AGE_MAX`]. However many ask, a resource sees at
//!   most one check a second. The round is a task of its own: a probe that hangs up does not cancel it for the
//!   others.
//! * **A stage only moves forward**, so that a late "ready" cannot undo a drain.
//! * **The log tells changes**, once, and not every failed probe.

mod checks;
mod store;

mod answer;
mod question;
mod routes;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use neuroglia_core::clock::Clock;

pub use checks::{Check, Report};
pub use neuroglia_core::health::{Details, Indicator, async_trait};
pub(crate) use question::{Unwell, ask};
pub(crate) use routes::PROBES;
pub use routes::is_probe;
pub use store::StoreIndicator;

use checks::Checks;
use routes::Audience;

/// The health of one application; clones share it.
///
/// ```
/// use std::sync::Arc;
/// use neuroglia::health::{Health, Stage};
/// use neuroglia_core::clock::Clock;
///
/// let health = Health::new(Arc::new(Clock::system()));
/// assert_eq!(health.stage(), Stage::Starting);
/// health.ready();
/// health.draining();
/// health.ready();
/// assert_eq!(health.stage(), Stage::Draining);
/// ```
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    clock: Arc<Clock>,
    stage: AtomicU8,
    checks: Checks,
}

/// How far the life of a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not everything is connected yet.
    Starting,
    /// Requests are welcome, as far as the attached resources are there.
    Started,
    /// The process has been told to stop, and finishes what it has begun.
    Draining,
}

/// Whether requests are welcome now, and if not, why.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// Not yet: the process is starting.
    Starting,
    /// Yes: every required resource answered.
    Ready(Arc<Report>),
    /// Not now: a required resource is away.
    Unavailable(Arc<Report>),
    /// No more: the process is ending.
    Draining,
}

impl Health {
    /// How long one check may take.
    pub const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

    /// For how long the result of a round of checks is given again.
    pub const CACHE_AGE_MAX: Duration = Duration::from_secs(1);

    /// The health of an application that is starting and depends on nothing outside.
    pub fn new(clock: Arc<Clock>) -> Self {
        let checks = Checks::new(Arc::clone(&clock));
        Self(Arc::new(Inner { clock, stage: AtomicU8::new(Stage::Starting as u8), checks }))
    }

    /// Lets readiness depend on one more resource.
    pub fn add(&self, indicator: impl Indicator + 'static) {
        self.add_shared(Arc::new(indicator));
    }

    /// Lets readiness depend on one more resource, whose indicator is a service of the container.
    pub fn add_shared(&self, indicator: Arc<dyn Indicator>) {
        self.0.checks.add(indicator);
    }

    /// How far the process has come.
    pub fn stage(&self) -> Stage {
        match self.0.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Started,
            _ => Stage::Draining,
        }
    }

    /// Says that everything is connected.
    pub fn ready(&self) {
        self.0.stage.fetch_max(Stage::Started as u8, Ordering::AcqRel);
    }

    /// Says that the process has been told to stop: from now on it is not ready any more.
    pub fn draining(&self) {
        self.0.stage.fetch_max(Stage::Draining as u8, Ordering::AcqRel);
    }

    /// Whether requests are welcome now. Resources are asked only between start and drain.
    pub async fn readiness(&self) -> Readiness {
        match self.stage() {
            Stage::Starting => Readiness::Starting,
            Stage::Draining => Readiness::Draining,
            Stage::Started => {
                let report = self.0.checks.report().await;
                match self.stage() {
                    Stage::Draining => Readiness::Draining,
                    _ if report.is_available() => Readiness::Ready(report),
                    _ => Readiness::Unavailable(report),
                }
            }
        }
    }

    /// `/health`, `/health/live`, `/health/ready` and `/health/startup` for everybody: one word, no detail.
    pub fn router(&self) -> Router {
        routes::router(self.clone(), Audience::Strangers)
    }

    /// The same paths for operators: with the single checks.
    pub(crate) fn detailed_router(&self) -> Router {
        routes::router(self.clone(), Audience::Operators)
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("stage", &self.stage()).finish_non_exhaustive()
    }
}
