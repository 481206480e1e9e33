//! One round of checks at a time, and its result for all who ask meanwhile.

use std::borrow::Cow;
use std::error::Error as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use neuroglia_core::clock::{Clock, Timestamp};
use neuroglia_core::error::Error;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Details, Health, Indicator};

/// What a round of checks has found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// When it was found.
    pub checked_at: Timestamp,
    /// Each indicator's result, in the order of registration.
    pub checks: Vec<Check>,
}

/// What one indicator said.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What the application calls the resource.
    pub name: String,
    /// What the resource is.
    pub kind: String,
    /// Whether requests make no sense without it.
    pub required: bool,
    /// Whether it answered.
    pub up: bool,
    /// How long the check took.
    pub latency_ms: f64,
    /// What kind of failure it was: `timeout`, `panic`, or the error's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'static, str>>,
    /// What the indicator had to tell.
    #[serde(skip_serializing_if = "Details::is_empty")]
    pub details: Details,
}

impl Report {
    /// Whether every required resource answered.
    pub fn is_available(&self) -> bool {
        self.checks.iter().all(|check| check.up || !check.required)
    }

    /// Whether every resource answered, also those that are not required.
    pub fn is_complete(&self) -> bool {
        self.checks.iter().all(|check| check.up)
    }
}

pub(super) struct Checks {
    clock: Arc<Clock>,
    indicators: RwLock<Vec<Arc<dyn Indicator>>>,
    /// The last round. Whoever holds the lock is running the next one.
    latest: Arc<Mutex<Option<Round>>>,
}

struct Round {
    ended: Instant,
    report: Arc<Report>,
}

impl Checks {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self { clock, indicators: RwLock::default(), latest: Arc::default() }
    }

    pub(super) fn add(&self, indicator: Arc<dyn Indicator>) {
        self.indicators.write().unwrap_or_else(PoisonError::into_inner).push(indicator);
    }

    fn indicators(&self) -> Vec<Arc<dyn Indicator>> {
        self.indicators.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The result of the last round, or of a new one when that is too old.
    pub(super) async fn report(&self) -> Arc<Report> {
        let mut latest = Arc::clone(&self.latest).lock_owned().await;
        if let Some(round) = latest.as_ref()
            && round.ended.elapsed() < Health::CACHE_AGE_MAX
        {
            return Arc::clone(&round.report);
        }
        let (clock, indicators) = (Arc::clone(&self.clock), self.indicators());
        let round = tokio::spawn(async move {
            let before = latest.as_ref().map(|round| Arc::clone(&round.report));
            let checks = join_all(indicators.iter().map(|indicator| check(indicator.as_ref()))).await;
            let checks = checks.into_iter().enumerate().map(|(index, (check, cause))| {
                let was_up =
                    before.as_ref().and_then(|report| report.checks.get(index)).map(|check| check.up);
                log_change(&check, cause.as_ref(), was_up);
                check
            });
            let report = Arc::new(Report { checks: checks.collect(), checked_at: clock.now() });
            *latest = Some(Round { ended: Instant::now(), report: Arc::clone(&report) });
            report
        });
        // The round catches what its indicators do; it fails only when the runtime ends under it.
        round.await.unwrap_or_else(|_| Arc::new(self.nothing_known()))
    }

    fn nothing_known(&self) -> Report {
        let unknown = |indicator: &Arc<dyn Indicator>| Check {
            error: Some(Cow::Borrowed("shutdown")),
            ..Check::of(indicator.as_ref(), Duration::ZERO)
        };
        Report { checked_at: self.clock.now(), checks: self.indicators().iter().map(unknown).collect() }
    }
}

impl Check {
    fn of(indicator: &dyn Indicator, latency: Duration) -> Self {
        Self {
            name: indicator.name().to_owned(),
            kind: indicator.kind().to_owned(),
            required: indicator.required(),
            up: false,
            latency_ms: (latency.as_secs_f64() * 1e6).round() / 1e3,
            error: None,
            details: Details::new(),
        }
    }
}

async fn check(indicator: &dyn Indicator) -> (Check, Option<Error>) {
    let begun = Instant::now();
    let answer = timeout(Health::CHECK_TIMEOUT, AssertUnwindSafe(indicator.check()).catch_unwind()).await;
    let check = Check::of(indicator, begun.elapsed());
    let failed = |error: Cow<'static, str>| Check { error: Some(error), ..check.clone() };
    match answer {
        Ok(Ok(Ok(details))) => (Check { up: true, details, ..check }, None),
        Ok(Ok(Err(error))) => (failed(Cow::Owned(error.code().to_owned())), Some(error)),
        Ok(Err(_panic)) => (failed(Cow::Borrowed("panic")), None),
        Err(_elapsed) => (failed(Cow::Borrowed("timeout")), None),
    }
}

fn log_change(check: &Check, cause: Option<&Error>, was_up: Option<bool>) {
    match (check.up, was_up) {
        (false, None | Some(true)) => tracing::warn!(
            resource.name = check.name,
            resource.kind = check.kind,
            error.code = check.error.as_deref(),
            error.cause = cause.and_then(|error| error.source()).map(tracing::field::display),
            "an attached resource does not answer"
        ),
        (true, None) => tracing::info!(
            resource.name = check.name,
            resource.kind = check.kind,
            resource.version = check.details.get("version").and_then(serde_json::Value::as_str),
            resource.required = check.required,
            latency_ms = check.latency_ms,
            "an attached resource answers"
        ),
        (true, Some(false)) => tracing::info!(
            resource.name = check.name,
            resource.kind = check.kind,
            "an attached resource answers again"
        ),
        _ => (),
    }
}
