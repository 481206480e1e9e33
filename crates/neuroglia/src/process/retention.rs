//! Deletes what a store keeps only for a while.

use std::sync::Arc;
use std::time::Duration;

use neuroglia_core::data::Store;
use neuroglia_core::di::Inject;
use neuroglia_core::error::Result;
use neuroglia_core::hosting::HostedService;
use tokio_util::sync::CancellationToken;

/// How often expired records are deleted; they are ignored from the moment at which they expire.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How many records of each sort are deleted in one step.
const STEP: u32 = 5_000;

/// How long after a full step the next one is: more is left behind, and others have their turn in between.
const STEP_PAUSE: Duration = Duration::from_secs(1);

/// How long after the start the first look is: processes that live shortly look as well.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Deletes the expired answers of idempotency keys and finished work whose time is over: a minute after the start, then
/// once an hour.
#[derive(Inject)]
pub(crate) struct Retention {
    store: Arc<dyn Store>,
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
            let keys = self.store.purge_expired(STEP).await?;
            let work = self.store.purge_work(STEP).await?;
            pause = if keys.max(work) < u64::from(STEP) { INTERVAL } else { STEP_PAUSE };
            if keys + work > 0 {
                tracing::debug!(records.deleted = keys + work, "expired records deleted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroglia_core::clock::{Clock, Timestamp};
    use neuroglia_core::cluster::Node;
    use neuroglia_core::data::memory::MemoryStore;
    use neuroglia_core::data::{Batch, Reservation, Reserve};
    use neuroglia_core::id::Ids;
    use neuroglia_core::work::{
        Claim, Due, Finish, NewWork, OnCrash, QueueRoom, WorkClass, WorkFilter, WorkRecord,
    };

    const MINUTE: Duration = Duration::from_secs(60);

    /// A store whose time stands still until the test moves it, with a service that cleans up in it.
    struct Kept {
        store: Arc<dyn Store>,
        clock: Clock,
        stop: CancellationToken,
    }

    impl Kept {
        async fn new() -> Self {
            let clock = Clock::manual(Timestamp::UNIX_EPOCH);
            let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(clock.clone()));
            store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("an empty history");
            Self { store, clock, stop: CancellationToken::new() }
        }

        async fn take(&self, key: usize) -> Reservation {
            let reserve = Reserve {
                key: key.to_string(),
                fingerprint: "f".to_owned(),
                token: "t".to_owned(),
                hold: MINUTE,
            };
            self.store.reserve(&reserve).await.expect("it answers")
        }

        /// Has a job done that is kept for so long.
        async fn work(&self, keep: Duration) {
            let ids = Ids::random();
            let job = NewWork {
                id: ids.next_uuid(),
                class: WorkClass::Job,
                queue: "default".to_owned(),
                kind: "kind".to_owned(),
                lane: None,
                key: None,
                payload: "{}".to_owned(),
                priority: 0,
                due: Due::Now,
                attempts_max: 1,
                on_crash: OnCrash::Retry,
                correlation_id: None,
                traceparent: None,
            };
            let node = Node {
                id: ids.next_uuid(),
                role: "worker".to_owned(),
                host: "oven-1".to_owned(),
                version: "1".to_owned(),
                is_draining: false,
            };
            self.store.beat(&node).await.expect("it answers");
            let asked = Batch { work: vec![job], ..Batch::default() };
            self.store.commit(asked).await.expect("it is stored");
            let claim = Claim {
                owner: node.id,
                token: ids.next_uuid(),
                rooms: vec![QueueRoom { queue: "default".to_owned(), limit: 1 }],
                kinds: vec!["kind".to_owned()],
            };
            let claimed = self.store.claim(&claim).await.expect("it answers");
            let finish = Finish { ticket: claimed[0].ticket, result: None, keep };
            self.store.commit(Batch { finish: Some(finish), ..Batch::default() }).await.expect("it is done");
        }

        async fn records(&self) -> Vec<WorkRecord> {
            let all = WorkFilter { limit: 10, ..WorkFilter::default() };
            self.store.list_work(&all).await.expect("it answers")
        }

        fn open(&self) -> tokio::task::JoinHandle<Result<()>> {
            let (retention, stop) = (Retention { store: Arc::clone(&self.store) }, self.stop.clone());
            tokio::spawn(async move { retention.run(stop).await })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn expired_keys_and_work_whose_time_is_over_are_deleted() {
        let kept = Kept::new().await;
        kept.take(1).await;
        kept.work(MINUTE).await;
        kept.work(10 * INTERVAL).await;
        kept.clock.advance(2 * INTERVAL);
        let running = kept.open();
        tokio::time::sleep(FIRST_AFTER + Duration::from_secs(1)).await;
        assert_eq!(kept.store.purge_expired(1).await.expect("it answers"), 0, "it was deleted already");
        assert_eq!(kept.records().await.len(), 1, "the other one is kept for longer");
        kept.clock.advance(10 * INTERVAL);
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(kept.records().await, []);
        kept.stop.cancel();
        running.await.expect("no panic").expect("no error");
    }

    #[tokio::test(start_paused = true)]
    async fn much_is_deleted_in_steps_one_soon_after_the_other() {
        let kept = Kept::new().await;
        let many = 2 * STEP as usize + 1;
        for key in 0..many {
            assert_eq!(kept.take(key).await, Reservation::Taken);
        }
        kept.clock.advance(INTERVAL);
        let running = kept.open();
        tokio::time::sleep(FIRST_AFTER + STEP_PAUSE * 3 / 2).await;
        assert_eq!(kept.store.purge_expired(STEP).await.expect("it answers"), 1, "two steps are done");
        kept.stop.cancel();
        running.await.expect("no panic").expect("no error");
    }
}
