//! The breaker: who calls a service that does not answer is told so at once, and the service is left alone.
//!
//! It is closed as long as calls succeed. A number of failures in a row opens it; after a while it is half open, and
//! one call at a time is let through. Two successes in a row close it; a failure opens it again. It opens on failures
//! in a row and not on a share of them, because a service that answers every other call is worth calling.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many calls must succeed, one after another, until a half-open breaker closes.
const SUCCESSES_MIN: u32 = 2;

#[derive(Debug)]
pub(super) struct Breaker {
    service: &'static str,
    failures_max: u32,
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { successes: u32, is_asking: bool },
}

/// The leave to make one call; what became of it is told by [`Leave::end`], and dropped it counts for nothing.
#[derive(Debug)]
#[must_use = "whoever has leave to call says what became of it"]
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

/// The breaker is open for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IsOpen(pub(super) Duration);

impl Breaker {
    pub(super) fn new(service: &'static str, failures_max: u32, open_for: Duration) -> Self {
        Self { service, failures_max, open_for, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Gives leave to call, or says for how long there is none.
    pub(super) fn enter(&self, now: Instant) -> Result<Leave<'_>, IsOpen> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if now < until => return Err(IsOpen(until - now)),
            State::Open { .. } => {
                *state = State::HalfOpen { successes: 0, is_asking: true };
                true
            }
            // The one that asks is as long under way as an attempt may take at most.
            State::HalfOpen { is_asking: true, .. } => return Err(IsOpen(self.open_for)),
            State::HalfOpen { successes, .. } => {
                *state = State::HalfOpen { successes, is_asking: true };
                true
            }
        };
        Ok(Leave { breaker: self, is_probe })
    }

    /// Whether calls are refused.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed { .. })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// Says whether the service did what a service should.
    pub(super) fn end(mut self, is_success: bool, now: Instant) {
        let (breaker, is_probe) = (self.breaker, std::mem::take(&mut self.is_probe));
        let mut state = breaker.state();
        let next = match (*state, is_success) {
            (State::Closed { .. }, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < breaker.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            (State::HalfOpen { successes, .. }, true) if is_probe => {
                if successes + 1 >= SUCCESSES_MIN {
                    State::Closed { failures: 0 }
                } else {
                    State::HalfOpen { successes: successes + 1, is_asking: false }
                }
            }
            (State::Closed { .. }, false) => State::Open { until: now + breaker.open_for },
            (State::HalfOpen { .. }, false) if is_probe => State::Open { until: now + breaker.open_for },
            // A call from before the breaker opened: what it met is not news.
            (other, _) => other,
        };
        let (before, after) = (std::mem::replace(&mut *state, next), next);
        drop(state);
        match (before, after) {
            (State::Closed { .. }, State::Open { .. }) => tracing::warn!(
                service.name = breaker.service,
                service.failures = breaker.failures_max,
                "the service does not answer; it is left alone for a while"
            ),
            (State::HalfOpen { .. }, State::Closed { .. }) => {
                tracing::info!(service.name = breaker.service, "the service answers again");
            }
            _ => {}
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // The caller gave up before there was an outcome: another may ask.
        if self.is_probe
            && let State::HalfOpen { is_asking, .. } = &mut *self.breaker.state()
        {
            *is_asking = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        Breaker::new("oven", 3, OPEN_FOR)
    }

    fn call(breaker: &Breaker, is_success: bool, now: Instant) -> bool {
        breaker.enter(now).map(|leave| leave.end(is_success, now)).is_ok()
    }

    #[tokio::test]
    async fn it_opens_after_failures_in_a_row_and_not_before() {
        let (breaker, now) = (breaker(), Instant::now());
        for is_success in [false, false, true, false, false] {
            assert!(call(&breaker, is_success, now));
        }
        assert!(!breaker.is_open());
        assert!(call(&breaker, false, now));
        assert!(breaker.is_open());
        assert_eq!(
            breaker.enter(now + Duration::from_secs(2)).map(drop),
            Err(IsOpen(Duration::from_secs(3)))
        );
    }

    #[tokio::test]
    async fn half_open_it_lets_one_through_and_closes_after_two() {
        let (breaker, opened) = (breaker(), Instant::now());
        for _ in 0..3 {
            call(&breaker, false, opened);
        }
        let now = opened + OPEN_FOR;
        let probe = breaker.enter(now).expect("it is half open");
        assert!(breaker.enter(now).is_err(), "one at a time");
        probe.end(true, now);
        assert!(breaker.is_open(), "one success is not enough");
        assert!(call(&breaker, true, now));
        assert!(!breaker.is_open());
    }

    #[tokio::test]
    async fn half_open_a_failure_opens_it_again() {
        let (breaker, opened) = (breaker(), Instant::now());
        for _ in 0..3 {
            call(&breaker, false, opened);
        }
        let now = opened + OPEN_FOR;
        assert!(call(&breaker, false, now));
        assert!(!call(&breaker, true, now + OPEN_FOR - Duration::from_millis(1)));
        assert!(call(&breaker, true, now + OPEN_FOR));
    }

    #[tokio::test]
    async fn a_probe_that_is_given_up_lets_another_ask() {
        let (breaker, opened) = (breaker(), Instant::now());
        for _ in 0..3 {
            call(&breaker, false, opened);
        }
        let now = opened + OPEN_FOR;
        drop(breaker.enter(now).expect("it is half open"));
        assert!(call(&breaker, true, now));
    }

    #[tokio::test]
    async fn what_began_before_it_opened_does_not_close_it() {
        let (breaker, now) = (breaker(), Instant::now());
        let old = breaker.enter(now).expect("it is closed");
        for _ in 0..3 {
            call(&breaker, false, now);
        }
        old.end(true, now);
        assert!(breaker.is_open());
    }
}
