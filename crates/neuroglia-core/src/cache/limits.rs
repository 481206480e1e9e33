//! Quotas that several processes share.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;

/// What came of asking for one share of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How much of the period is used, with this share when it was given.
    pub used: Duration,
    /// How long until it would be given; zero when it was.
    pub wait: Duration,
}

/// Counts for all processes that share it.
#[async_trait]
pub trait SharedLimits: Send + Sync + 'static {
    /// Whether it is quick enough to be asked with every request.
    fn is_quick(&self) -> bool;

    /// Takes one share of the key's period, if it is left. All of a period may be taken at once, and comes back evenly.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when it cannot be told, within a time that it
    /// bounds itself. Each process then counts by itself.
    async fn take(&self, key: &str, period: Duration, share: Duration) -> Result<Taken>;
}

/// GCRA: for each key one moment is kept, at which its quota will be whole again. A share moves it on, and is refused
/// when it would then lie further ahead than the period.
impl Taken {
    /// What comes of asking for one share now, and the moment that is to be kept, unless it stays.
    pub fn of(
        whole_at: Option<Timestamp>,
        now: Timestamp,
        period: Duration,
        share: Duration,
    ) -> (Self, Option<Timestamp>) {
        // A clock that was set back must not lock anybody out for longer than a period.
        let whole_at = whole_at.map_or(now, |moment| moment.clamp(now, now + period));
        let next = whole_at + share;
        let wait = next.since(now + period);
        if wait > Duration::ZERO {
            return (Self { used: whole_at.since(now), wait }, None);
        }
        (Self { used: next.since(now), wait }, Some(next))
    }
}
