//! What a client counts.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use neuroglia::meter::{Meter, Reading};

use super::ServiceClient;
use super::error::ServiceError;

#[derive(Debug, Default)]
pub(super) struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    pub(super) repeated: AtomicU64,
    micros: AtomicU64,
    in_flight: AtomicI64,
}

/// A call that is under way; dropping it ends it.
pub(super) struct InFlight<'a>(&'a Counts);

impl Counts {
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    pub(super) fn end<T>(&self, outcome: &Result<T, ServiceError>, took: Duration) {
        let count = match outcome {
            Ok(_) => &self.answered,
            Err(ServiceError::Open { .. } | ServiceError::Busy { .. }) => &self.refused,
            Err(_) => &self.failed,
        };
        count.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Meter for ServiceClient {
    fn read(&self) -> Vec<Reading> {
        const CALLS: &str = "Calls of attached services, by how they ended: refused ones were not sent";
        let counts = self.counts();
        let calls =
            [("answered", &counts.answered), ("failed", &counts.failed), ("refused", &counts.refused)];
        let calls = calls.into_iter().map(|(outcome, count)| {
            Reading::counter("service_calls", CALLS, count.load(Relaxed))
                .of("service", self.name())
                .of("outcome", outcome)
        });
        let others = [
            Reading::counter(
                "service_repetitions",
                "Attempts after the first of a call",
                counts.repeated.load(Relaxed),
            ),
            Reading::counter(
                "service_calls_milliseconds",
                "Time that calls took in all",
                counts.micros.load(Relaxed) / 1_000,
            ),
            Reading::gauge("service_calls_in_flight", "Calls that run", counts.in_flight.load(Relaxed)),
            Reading::gauge(
                "service_breaker_open",
                "Whether the service is left alone because it did not answer",
                i64::from(self.is_open()),
            ),
        ];
        calls.chain(others.map(|reading| reading.of("service", self.name()))).collect()
    }
}
