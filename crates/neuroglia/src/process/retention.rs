//! Deletes what a store keeps only for a while.

use std::sync::Arc;
use std::time::Duration;

use neuroglia_core::clock::Clock;
use neuroglia_core::data::Store;
use neuroglia_core::di::Inject;
use neuroglia_core::error::Result;
use neuroglia_core::hosting::HostedService;
use tokio_util::sync::CancellationToken;

/// How often expired records are deleted; they are ignored from the moment at which they expire.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How many pieces of finished work are deleted in one step.
const PURGE_BATCH: u32 = 5_000;

/// How long after the start the first look is: processes that live shortly look as well.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Deletes the expired answers of idempotency keys and finished work whose time is over: a minute after the start, then
/// once an hour.
#[derive(Inject)]
pub(crate) struct Retention {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl HostedService for Retention {
    const NAME: &'static str = "retention";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        stop.run_until_cancelled(self.delete()).await.unwrap_or(Ok(()))
    }
}

impl Retention {
    async fn delete(&self) -> Result<()> {
        let mut pause = FIRST_AFTER;
        loop {
            tokio::time::sleep(pause).await;
            let mut deleted = self.store.purge_expired(self.clock.now()).await?;
            let purged = self.store.purge_work(PURGE_BATCH).await?;
            deleted += purged;
            // A full step leaves more behind: it goes on soon, and gives others their turn in between.
            pause = if purged < u64::from(PURGE_BATCH) { INTERVAL } else { Duration::from_secs(1) };
            if deleted > 0 {
                tracing::debug!(records.deleted = deleted, "expired records deleted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroglia_core::clock::Timestamp;
    use neuroglia_core::data::memory::MemoryStore;
    use neuroglia_core::data::{Reservation, Reserve};

    #[tokio::test(start_paused = true)]
    async fn expired_records_are_deleted_within_the_hour() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("an empty history");
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let reserve = Reserve {
            key: "k".to_owned(),
            fingerprint: "f".to_owned(),
            token: "t".to_owned(),
            now: clock.now(),
            running_until: clock.now() + Duration::from_secs(60),
        };
        assert_eq!(store.reserve(&reserve).await.expect("it answers"), Reservation::Taken);
        clock.advance(Duration::from_secs(2 * 60 * 60));
        let retention = Retention { store: Arc::clone(&store), clock: clock.clone() };
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { retention.run(stop).await }
        });
        tokio::time::sleep(INTERVAL + Duration::from_secs(1)).await;
        assert_eq!(store.purge_expired(clock.now()).await.expect("it answers"), 0, "it was deleted already");
        stop.cancel();
        running.await.expect("no panic").expect("no error");
    }
}
