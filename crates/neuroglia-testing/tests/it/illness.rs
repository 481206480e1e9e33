//! A node whose store is away, slow or stubborn: when it lets go of its work, and how it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::cluster::{self, Beat, HEARTBEAT, Heart, Membership, NODE_TTL, Node, NodeName, TTL_MARGIN};
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::di::{Service, ServiceCollection, Services};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::id::Ids;
use neuroglia::messaging::Wake;
use neuroglia::work::{Settlement, Ticket};
use neuroglia_testing::workbench::{asking_as, enqueue, job};
use neuroglia_testing::{Layered, StoreLayer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What a store suffers from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Illness {
    None,
    /// It refuses to hear of nodes.
    Away,
    /// It does at once what nodes ask, and says so after this time.
    Slow(Duration),
    /// It hears that a node lives, and does not say so.
    Mute,
    /// It settles nothing.
    Stubborn,
}

/// A store that suffers from whatever the test says.
struct Sick {
    store: MemoryStore,
    illness: watch::Receiver<Illness>,
    beats: Arc<AtomicU32>,
}

impl Sick {
    async fn answer<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let illness = *self.illness.borrow();
        if illness == Illness::Away {
            return Err(Error::unavailable("the test has taken the store away"));
        }
        let answer = asked.await;
        if let Illness::Slow(pause) = illness {
            sleep(pause).await;
        }
        answer
    }
}

#[async_trait]
impl StoreLayer for Sick {
    fn behind(&self) -> &dyn Store {
        &self.store
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        self.beats.fetch_add(1, Ordering::SeqCst);
        let beat = self.answer(self.behind().beat(node)).await;
        if *self.illness.borrow() == Illness::Mute {
            std::future::pending::<()>().await;
        }
        beat
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        self.answer(self.behind().leave(node)).await
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        if *self.illness.borrow() == Illness::Stubborn {
            return Err(Error::internal("it is stubborn"));
        }
        self.behind().settle(settlements).await
    }
}

/// A process that is nothing but a node.
struct Patient {
    services: Services,
    store: Arc<dyn Store>,
    illness: watch::Sender<Illness>,
    /// How often it has said that it lives, whether or not it was heard.
    beats: Arc<AtomicU32>,
    membership: Arc<Membership>,
    wake: Arc<Wake>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Patient {
    async fn join() -> Self {
        let (illness, seen) = watch::channel(Illness::None);
        let beats = Arc::new(AtomicU32::new(0));
        let sick = Sick { store: MemoryStore::new(), illness: seen, beats: Arc::clone(&beats) };
        let store: Arc<dyn Store> = Arc::new(Layered(sick));
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add_instance(Stopping::default());
        services.add_instance(Wake::default());
        services.add_instance(Ids::random());
        let name = NodeName { role: "worker".into(), host: "here".into(), version: "0".into() };
        cluster::register(&mut services, name);
        services.enter_root::<Heart>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let heart: Heart = services.scope().inject().expect("it was entered");
        heart.start().await.expect("it joins");
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move {
                heart.run(stop).await.expect("it ends in peace");
                heart.stop().await;
            }
        });
        let membership = services.get::<Membership>().expect("it is there");
        let wake = services.get::<Wake>().expect("it is there");
        Self { services, store, illness, beats, membership, wake, stop, running }
    }

    fn id(&self) -> Option<Uuid> {
        self.membership.current().map(|(id, _)| id)
    }

    /// How long it takes until its life has begun, or has ended.
    async fn lives(&self, wanted: bool) -> Duration {
        let began = Instant::now();
        while self.id().is_some() != wanted {
            assert!(began.elapsed() < NODE_TTL * 3, "its life never became {wanted}");
            sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    /// Waits until it says the next time that it lives.
    async fn beats_again(&self) {
        let before = self.beats.load(Ordering::SeqCst);
        let again = async {
            while self.beats.load(Ordering::SeqCst) == before {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HEARTBEAT * 2, again).await.expect("it says so every now and then");
    }

    async fn known(&self) -> Vec<Uuid> {
        let nodes = self.store.nodes().await.expect("it answers");
        nodes.into_iter().map(|record| record.node.id).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_heard_lets_go_shortly_before_others_may_take_it_for_dead() {
    let node = Patient::join().await;
    node.beats_again().await;
    // It was heard a moment ago.
    node.illness.send_replace(Illness::Away);
    let took = node.lives(false).await;
    let promised = NODE_TTL - TTL_MARGIN;
    assert!(took <= promised, "it let go after {took:?}");
    assert!(took >= promised - HEARTBEAT / 2, "it let go after {took:?} already");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_let_go_comes_back_to_a_slow_store_as_one_node_and_its_workers_look() {
    let node = Patient::join().await;
    let former = node.id();
    node.illness.send_replace(Illness::Away);
    node.lives(false).await;
    // Its workers have looked, and found that it is nobody.
    let looked = timeout(Duration::from_millis(1), node.wake.work_rung());
    assert!(looked.await.is_err(), "there was no reason to");
    node.illness.send_replace(Illness::Slow(Duration::from_secs(3)));
    node.lives(true).await;
    assert_ne!(node.id(), former);
    assert_eq!(node.known().await, Vec::from_iter(node.id()), "nobody else is left behind");
    timeout(Duration::from_millis(1), node.wake.work_rung()).await.expect("they look when it is somebody");
    sleep(NODE_TTL * 2).await;
    assert!(node.id().is_some(), "it stays");
}

#[tokio::test(start_paused = true)]
async fn a_node_tries_as_the_same_one_until_the_store_has_heard_of_it() {
    let node = Patient::join().await;
    node.illness.send_replace(Illness::Away);
    node.lives(false).await;
    node.illness.send_replace(Illness::Mute);
    sleep(NODE_TTL * 8).await;
    assert_eq!(node.id(), None, "no answer came");
    assert!(node.known().await.len() <= 1, "each try is another node: {:?}", node.known().await);
    node.illness.send_replace(Illness::None);
    node.lives(true).await;
    assert_eq!(node.known().await, Vec::from_iter(node.id()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_let_go_says_farewell_as_well() {
    let node = Patient::join().await;
    let former = node.id();
    node.illness.send_replace(Illness::Away);
    node.lives(false).await;
    assert_eq!(node.known().await, Vec::from_iter(former));
    node.stop.cancel();
    node.illness.send_replace(Illness::None);
    timeout(NODE_TTL, node.running).await.expect("it ends").expect("no panic");
    let left = node.store.nodes().await.expect("it answers");
    assert_eq!(left, [], "others would wait for its death");
    timeout(Duration::from_millis(1), node.wake.work_untold())
        .await
        .expect("others are told what it gave back");
    drop(node.services);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_waits_for_an_answer_ends_soon() {
    let node = Patient::join().await;
    node.illness.send_replace(Illness::Slow(NODE_TTL));
    node.beats_again().await;
    node.illness.send_replace(Illness::None);
    node.stop.cancel();
    timeout(HEARTBEAT / 2, node.running).await.expect("it does not wait for it").expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_heard_lives_also_when_it_cannot_give_anything_back() {
    let node = Patient::join().await;
    enqueue(&*node.store, [job("kind")]).await;
    // The answer to this claim never arrived.
    let owner = node.id().expect("it has joined");
    let claim = asking_as(owner, &["kind"], 1);
    assert_eq!(node.store.claim(&claim).await.expect("it answers").len(), 1);
    node.illness.send_replace(Illness::Stubborn);
    sleep(NODE_TTL * 3).await;
    assert_eq!(node.id(), Some(owner), "it said all the time that it lives");
    node.illness.send_replace(Illness::None);
    let given_back = async {
        while node.store.claim(&claim).await.expect("it answers").is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HEARTBEAT * 2, given_back).await.expect("it was given back");
}
