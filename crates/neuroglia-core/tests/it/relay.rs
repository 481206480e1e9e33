//! What a relay does when messages do not arrive: in a time that passes as fast as it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::HostedService;
use neuroglia::id::Ids;
use neuroglia::messaging::{self, CloudEvent, EventBus, Relay, Wake};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One step of time.
const STEP: Duration = Duration::from_millis(5);

/// Nobody may be sent to it.
const NOBODY: &str = "nobody";

/// A bus that may be away, at which one subject is never taken.
#[derive(Default)]
struct Moody {
    is_away: AtomicBool,
    asked: AtomicUsize,
    refused: AtomicUsize,
    arrived: Mutex<Vec<String>>,
}

impl Moody {
    fn arrived(&self) -> Vec<String> {
        self.arrived.lock().expect("no panic while held").clone()
    }
}

#[async_trait]
impl EventBus for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let take = |event: &CloudEvent| {
            let subject = event.subject.clone().unwrap_or_default();
            if self.is_away.load(Ordering::SeqCst) || subject == NOBODY {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(Error::unavailable("moody"));
            }
            self.arrived.lock().expect("no panic while held").push(subject);
            Ok(())
        };
        events.iter().map(take).collect()
    }
}

/// A relay that runs on a store and a bus of the test's own.
struct Post {
    clock: Clock,
    store: Arc<dyn Store>,
    bus: Arc<Moody>,
    wake: Arc<Wake>,
    stop: CancellationToken,
    running: JoinHandle<Result<()>>,
}

impl Post {
    async fn open() -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(clock.clone()));
        let bus = Arc::new(Moody::default());
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add(Service::shared::<dyn EventBus>(Arc::clone(&bus) as Arc<dyn EventBus>));
        services.add_instance(clock.clone());
        services.add_instance(Ids::sequence());
        messaging::register(&mut services, "post-office", Vec::new());
        services.enter_root::<Relay>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let relay: Relay = services.scope().inject().expect("it was entered");
        relay.start().await.expect("it starts");
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { relay.run(stop).await }
        });
        let wake = services.get::<Wake>().expect("it is registered");
        Self { clock, store, bus, wake, stop, running }
    }

    async fn send(&self, subject: &str) {
        let message = OutboxMessage {
            id: Ids::random().next_uuid(),
            name: "letter".to_owned(),
            version: 1,
            subject: subject.to_owned(),
            data: "{}".to_owned(),
            correlation_id: None,
            traceparent: None,
            at: self.clock.now(),
        };
        let batch = Batch { outbox: vec![message], ..Batch::default() };
        self.store.commit(batch).await.expect("it is stored");
        self.wake.outbox();
    }

    /// Lets time pass, for the store and for the relay.
    async fn pass(&self, span: Duration) {
        let until = self.clock.now() + span;
        while self.clock.now() < until {
            self.clock.advance(STEP);
            tokio::time::advance(STEP).await;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_arrive_holds_up_its_own_subject_only() {
    let post = Post::open().await;
    post.send(NOBODY).await;
    post.send(NOBODY).await;
    for place in 0..100 {
        let subject = format!("s{place}");
        post.send(&subject).await;
        post.pass(Duration::from_millis(100)).await;
        assert_eq!(post.bus.arrived().last(), Some(&subject), "it had to wait for somebody else");
    }
    let left = post.store.outbox(10).await.expect("it answers");
    assert_eq!(left.len(), 2, "what does not arrive stays");
    let tries = post.bus.refused.load(Ordering::SeqCst);
    assert!((5..10).contains(&tries), "in ten seconds, with pauses that double, it was tried {tries} times");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_is_asked_less_and_less_and_then_gets_everything() {
    let post = Post::open().await;
    post.bus.is_away.store(true, Ordering::SeqCst);
    for place in 0..20 {
        post.send(&format!("s{place}")).await;
    }
    post.pass(Duration::from_secs(60)).await;
    let tries = post.bus.asked.load(Ordering::SeqCst);
    assert!(tries < 40, "the bus was asked {tries} times in a minute");
    post.bus.is_away.store(false, Ordering::SeqCst);
    post.pass(Duration::from_secs(31)).await;
    assert_eq!(post.bus.arrived().len(), 20);
    assert_eq!(post.store.outbox(10).await.expect("it answers"), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_committed_before_the_end_leaves_also_when_it_is_of_one_subject() {
    let post = Post::open().await;
    for _ in 0..20 {
        post.send("s").await;
    }
    post.stop.cancel();
    post.running.await.expect("no panic").expect("it ends in peace");
    assert_eq!(post.bus.arrived().len(), 20);
}
