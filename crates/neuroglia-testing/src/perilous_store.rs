//! A store at whose side a process is killed, or stopped, at a point that a test names.
//!
//! What a sudden death leaves behind is proved with real processes and real signals. The points are calls of the
//! store port, because nothing that outlives a process happens between two of them; so no failpoint is compiled into
//! anything that ships. A test's own executable wraps its store, and is told the point by the test.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::Lease;
use neuroglia::data::{Batch, Migration, MigrationRun, Store};
use neuroglia::error::Result;
use neuroglia::messaging::Parcel;
use neuroglia::work::{Claim, Claimed, Settlement, Ticket};
use rustix::process::{Signal, getpid, kill_process};
use uuid::Uuid;

use crate::{Layered, StoreLayer};

/// A store around another one, at whose side a process comes to grief.
///
/// ```
/// use neuroglia_testing::Peril;
///
/// assert!("commit.before:3".parse::<Peril>().is_ok());
/// assert!("finish.after:1:stop".parse::<Peril>().is_ok());
/// assert!("coffee.break:1".parse::<Peril>().is_err());
/// ```
pub type PerilousStore = Layered<Perilous>;

/// What a [`PerilousStore`] does differently.
pub struct Perilous {
    behind: Arc<dyn Store>,
    peril: Peril,
    passed: AtomicU32,
}

/// Where a process comes to grief, at which passing, and how: `point:n` kills it, `point:n:stop` stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peril {
    point: Point,
    nth: u32,
    signal: Signal,
}

/// A moment in the life of a process at whose side others still see what it did, and it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    CommitBefore,
    CommitAfter,
    FinishBefore,
    FinishAfter,
    RelaySent,
    IntakeStored,
    WorkClaimed,
    JobMiddle,
    SettleRelease,
    MigrateMiddle,
    LeaseRenew,
}

impl Point {
    const ALL: [(&'static str, Self); 11] = [
        // After the effect of a command, before and after it is committed.
        ("commit.before", Self::CommitBefore),
        ("commit.after", Self::CommitAfter),
        // The same for the effect of durable work, which is committed with the work's end.
        ("finish.before", Self::FinishBefore),
        ("finish.after", Self::FinishAfter),
        // Messages have been sent, and still stand in the outbox.
        ("relay.sent", Self::RelaySent),
        // What a broker has for a consumer is stored, and the broker has not been told.
        ("intake.stored", Self::IntakeStored),
        // Work is this node's, and has not begun.
        ("work.claimed", Self::WorkClaimed),
        // A job has noted how far it is.
        ("job.middle", Self::JobMiddle),
        // A process that ends is about to give work back.
        ("settle.release", Self::SettleRelease),
        // One migration is applied, and the next is not.
        ("migrate.middle", Self::MigrateMiddle),
        // Leadership is about to be taken, or renewed.
        ("lease.renew", Self::LeaseRenew),
    ];
}

impl FromStr for Peril {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let point = Point::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, point)| point);
        let point = point.ok_or_else(|| {
            let names: Vec<_> = Point::ALL.iter().map(|(name, _)| *name).collect();
            format!("there is no point `{name}`: use one of {}", names.join(", "))
        })?;
        let nth = parts.next().and_then(|nth| nth.parse().ok()).filter(|nth| *nth > 0);
        let nth = nth
            .ok_or_else(|| format!("`{text}` does not say at which passing: write {name}:1 for the first"))?;
        let signal = match (parts.next(), parts.next()) {
            (None, _) => Signal::KILL,
            (Some("stop"), None) => Signal::STOP,
            _ => return Err(format!("`{text}` has an end other than `stop`: write {name}:{nth}:stop")),
        };
        Ok(Self { point, nth, signal })
    }
}

impl PerilousStore {
    /// A store around this one.
    pub fn around(behind: Arc<dyn Store>, peril: Peril) -> Self {
        Layered(Perilous { behind, peril, passed: AtomicU32::new(0) })
    }
}

impl Perilous {
    /// Comes by a point, and may not come further.
    fn pass(&self, point: Point) {
        if point == self.peril.point && self.passed.fetch_add(1, Ordering::AcqRel) + 1 == self.peril.nth {
            // Whoever was stopped goes on from here.
            kill_process(getpid(), self.peril.signal).expect("a process may signal itself");
        }
    }
}

#[async_trait]
impl StoreLayer for Perilous {
    fn behind(&self) -> &dyn Store {
        &*self.behind
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let (before, after) = match batch.finish {
            None => (Point::CommitBefore, Point::CommitAfter),
            Some(_) => (Point::FinishBefore, Point::FinishAfter),
        };
        self.pass(before);
        let outcome = self.behind.commit(batch).await;
        self.pass(after);
        outcome
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        self.pass(Point::RelaySent);
        self.behind.confirm_outbox(token, ids).await
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        let stored = self.behind.fan_out(parcels).await?;
        // Only what comes from a broker's queue is for one consumer and no other.
        if parcels.iter().any(|parcel| parcel.consumer.is_some()) {
            self.pass(Point::IntakeStored);
        }
        Ok(stored)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let claimed = self.behind.claim(claim).await?;
        if !claimed.is_empty() {
            self.pass(Point::WorkClaimed);
        }
        Ok(claimed)
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        let noted = self.behind.note_progress(ticket, progress).await?;
        self.pass(Point::JobMiddle);
        Ok(noted)
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        if settlements.iter().any(|(_, settlement)| *settlement == Settlement::Release) {
            self.pass(Point::SettleRelease);
        }
        self.behind.settle(settlements).await
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        let mut run = MigrationRun::default();
        for count in 1..=migrations.len() {
            run.applied.extend(self.behind.migrate(&migrations[..count], now).await?.applied);
            self.pass(Point::MigrateMiddle);
        }
        Ok(run)
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        self.pass(Point::LeaseRenew);
        self.behind.lease(name, holder, ttl).await
    }
}

impl fmt::Debug for Perilous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Perilous").field("engine", &self.behind.engine()).field("peril", &self.peril).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peril_is_a_point_a_count_and_an_end() {
        let peril = |text: &str| text.parse::<Peril>();
        let expected = Peril { point: Point::RelaySent, nth: 2, signal: Signal::KILL };
        assert_eq!(peril("relay.sent:2"), Ok(expected));
        assert_eq!(peril("relay.sent:2:stop"), Ok(Peril { signal: Signal::STOP, ..expected }));
        for wrong in ["", "relay.sent", "relay.sent:0", "relay.sent:x", "relay.sent:1:kill", "lunch:1"] {
            assert!(peril(wrong).is_err(), "{wrong}");
        }
        let unknown = peril("lunch:1").expect_err("there is no such point");
        assert!(unknown.contains("commit.before"), "{unknown}");
    }
}
