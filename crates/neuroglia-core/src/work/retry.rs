//! Whether and when something that failed is tried again.

use std::time::Duration;

use super::Settlement;
use crate::error::{Error, ErrorKind, chain};
use crate::id::Ids;

/// What a handler says of its failure; without it the error's kind decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Try again at once.
    Now,
    /// Try again after this pause.
    After(Duration),
    /// Nobody need try again.
    Never,
}

/// The pause after the first failure.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// How often a piece of work is tried when it does not say otherwise.
pub const ATTEMPTS_DEFAULT: u32 = 10;

/// The longest pause after so many attempts: it doubles from one second to ten minutes.
fn ceiling(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

/// What is done after an attempt has failed.
///
/// The pause is random up to a ceiling that doubles: "full jitter", which spreads a crowd that failed together
/// best (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub fn after_failure(error: &Error, attempt: u32, attempts_max: u32, ids: &Ids) -> Settlement {
    let failure = chain(error);
    if is_final(error, attempt, attempts_max) {
        return Settlement::Dead { failure };
    }
    let after = match (error.retry(), error.retry_after_s()) {
        (Some(Retry::Now), _) => Duration::ZERO,
        (Some(Retry::After(pause)), _) => pause,
        (_, Some(seconds)) => Duration::from_secs(seconds),
        (_, None) => ids.jitter(ceiling(attempt)),
    };
    Settlement::Retry { after, failure }
}

/// Whether nobody tries again after this attempt has failed so.
pub(super) fn is_final(error: &Error, attempt: u32, attempts_max: u32) -> bool {
    let is_for_good = match error.retry() {
        Some(retry) => retry == Retry::Never,
        None => matches!(
            error.kind(),
            ErrorKind::Malformed
                | ErrorKind::Invalid
                | ErrorKind::Unauthenticated
                | ErrorKind::Forbidden
                | ErrorKind::PreconditionFailed
        ),
    };
    is_for_good || attempt >= attempts_max
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(error: &Error, attempt: u32) -> Settlement {
        after_failure(error, attempt, 10, &Ids::sequence())
    }

    #[test]
    fn the_ceiling_doubles_to_ten_minutes() {
        assert_eq!(ceiling(1), Duration::from_secs(1));
        assert_eq!(ceiling(5), Duration::from_secs(16));
        assert_eq!(ceiling(11), PAUSE_MAX);
        assert_eq!(ceiling(u32::MAX), PAUSE_MAX);
    }

    #[test]
    fn the_pause_is_anything_up_to_the_ceiling_of_the_attempt() {
        let (error, ids) = (Error::unavailable("gateway"), Ids::random());
        let pause = || match after_failure(&error, 5, 10, &ids) {
            Settlement::Retry { after, .. } => after,
            other => panic!("it is tried again: {other:?}"),
        };
        let pauses: Vec<_> = (0..1_000).map(|_| pause()).collect();
        let (least, most) = (pauses.iter().min().expect("some"), pauses.iter().max().expect("some"));
        assert!(*most > ceiling(5) / 2 && *most <= ceiling(5), "{most:?}");
        assert!(*least < ceiling(5) / 2, "full jitter begins at zero: {least:?}");
    }

    #[test]
    fn the_kind_decides_unless_the_handler_does() {
        assert!(matches!(settle(&Error::unavailable("gateway"), 1), Settlement::Retry { .. }));
        assert!(matches!(settle(&Error::invalid("c", "d"), 1), Settlement::Dead { .. }));
        let again = Error::invalid("c", "d").with_retry(Retry::Now);
        assert!(matches!(settle(&again, 1), Settlement::Retry { after: Duration::ZERO, .. }));
        let never = Error::unavailable("gateway").with_retry(Retry::Never);
        assert!(matches!(settle(&never, 1), Settlement::Dead { .. }));
        let later = Error::unavailable("gateway").with_retry_after(7);
        assert!(matches!(settle(&later, 1), Settlement::Retry { after, .. } if after.as_secs() == 7));
    }

    #[test]
    fn a_pause_that_the_handler_names_is_that_pause_in_every_attempt() {
        let pause = PAUSE_MAX * 3;
        let named = |error: Error| error.with_retry(Retry::After(pause));
        for attempt in 1..10 {
            let later = Error::unavailable("gateway").with_retry_after(7);
            for error in [Error::unavailable("gateway"), later, Error::invalid("c", "d")].map(named) {
                let Settlement::Retry { after, .. } = settle(&error, attempt) else {
                    panic!("it is tried again: {error:?}")
                };
                assert_eq!(after, pause, "attempt {attempt} of {error:?}");
            }
        }
    }

    #[test]
    fn the_last_attempt_is_the_last() {
        assert!(matches!(settle(&Error::unavailable("gateway"), 10), Settlement::Dead { .. }));
    }

    #[test]
    fn a_failure_tells_its_causes_in_a_bounded_text() {
        let Settlement::Retry { failure, .. } = settle(&Error::unavailable("gateway away"), 1) else {
            panic!("it is tried again")
        };
        assert_eq!(failure, "service temporarily unavailable: gateway away");
        let huge = Settlement::Dead { failure: "é".repeat(50_000_000) };
        assert_eq!(huge.failure().map(|text| text.chars().count()), Some(2_000));
    }
}
