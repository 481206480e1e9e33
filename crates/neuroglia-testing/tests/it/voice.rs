//! A process tells others of work at once, and not more often than that helps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::cluster::Voice;
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::HostedService;
use neuroglia::messaging::Wake;
use neuroglia_testing::{Layered, StoreLayer};
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

/// Counts announcements, and passes none on while it is asleep.
struct Town {
    store: MemoryStore,
    told: Arc<AtomicU32>,
    sleeps: Arc<AtomicBool>,
}

#[async_trait]
impl StoreLayer for Town {
    fn behind(&self) -> &dyn Store {
        &self.store
    }

    async fn announce(&self) -> Result<()> {
        self.told.fetch_add(1, Ordering::Relaxed);
        if self.sleeps.load(Ordering::Relaxed) {
            return Err(Error::unavailable("nobody passes it on"));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn announcements_are_gathered_and_none_is_forgotten() {
    let (told, sleeps) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let town = Town { store: MemoryStore::new(), told: Arc::clone(&told), sleeps: Arc::clone(&sleeps) };
    let store: Arc<dyn Store> = Arc::new(Layered(town));
    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(store));
    services.add_instance(Wake::default());
    services.enter_root::<Voice>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let voice: Voice = services.scope().inject().expect("it was entered");
    let wake = services.get::<Wake>().expect("it is registered");
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { voice.run(stop).await }
    });
    let count = || told.load(Ordering::Relaxed);

    wake.work();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(count(), 1, "the first goes at once");
    for _ in 0..1_000 {
        wake.work();
    }
    sleep(Duration::from_millis(5)).await;
    assert_eq!(count(), 1, "what follows soon is gathered");
    advance(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(), 2, "into one");
    wake.work_heard();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(), 2, "what others have told is not told again");

    sleeps.store(true, Ordering::Relaxed);
    wake.work();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(count(), 5, "what was not passed on is told again, once a second");
    sleeps.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(count(), 6, "until it is");

    wake.work();
    sleep(Duration::from_millis(1)).await;
    wake.work();
    stop.cancel();
    running.await.expect("no panic").expect("it ends in peace");
    assert_eq!(count(), 8, "what was asked for last is told at the end");
}
