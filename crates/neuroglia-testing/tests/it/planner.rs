//! Who leads the schedule stands down when somebody else has the lease, when it may be taken for dead, or when its process
//! ends: in a time that passes as fast as it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::cluster::{self, Beat, Heart, Membership, NODE_TTL, Node, NodeName};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Reservation, Reserve, Store};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mediation::Messages;
use neuroglia::messaging;
use neuroglia::schedule::{Planner, Schedule, ScheduledTask, Scheduler, Tick};
use neuroglia::work;
use neuroglia_testing::workbench::new_id;
use neuroglia_testing::{Layered, StoreLayer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The lease of the leader.
const LEASE: &str = "scheduler";

/// Longer than the lease lasts, unless it is renewed.
const LEASE_OVER: Duration = Duration::from_secs(11);

/// By then who does not lead has asked for the lease, and planned what is due: at least two seconds before that is over
/// when its leader is gone, who has renewed it not more than four before.
const TAKEN_OVER: Duration = Duration::from_secs(4);

/// By then a leader has asked again whether it leads, and planned what it found due before that.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// One step of time.
const STEP: Duration = Duration::from_millis(50);

/// Is due every second.
#[derive(Inject)]
struct Sweep {}

impl ScheduledTask for Sweep {
    const NAME: &'static str = "sweep";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(1));

    async fn run(&self, _: Tick) -> Result<()> {
        Ok(())
    }
}

/// Is due every hour.
#[derive(Inject)]
struct Polish {}

impl ScheduledTask for Polish {
    const NAME: &'static str = "polish";
    const SCHEDULE: Schedule = Schedule::every(HOUR);

    async fn run(&self, _: Tick) -> Result<()> {
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A store that hears of no node while it is deaf.
struct Deaf {
    store: Arc<dyn Store>,
    is_deaf: Arc<AtomicBool>,
}

#[async_trait]
impl StoreLayer for Deaf {
    fn behind(&self) -> &dyn Store {
        &*self.store
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the test has it hear nothing"));
        }
        self.behind().beat(node).await
    }
}

/// A process that plans.
struct App {
    services: Services,
    store: Arc<dyn Store>,
    clock: Clock,
    is_deaf: Arc<AtomicBool>,
    stop: CancellationToken,
    planner: JoinHandle<Result<()>>,
}

impl App {
    async fn start() -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let store = Arc::new(MemoryStore::with_clock(clock.clone()));
        Self::on(store, clock, Scheduler::new().task::<Sweep>()).await
    }

    /// A process that plans these tasks in a store.
    async fn on(store: Arc<dyn Store>, clock: Clock, tasks: Scheduler) -> Self {
        let is_deaf = Arc::new(AtomicBool::new(false));
        let deaf = Deaf { store, is_deaf: Arc::clone(&is_deaf) };
        let store: Arc<dyn Store> = Arc::new(Layered(deaf));
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add_instance(Stopping::default());
        Messages::default().register(&mut services);
        messaging::register(&mut services, "broom", Vec::new());
        work::register(&mut services);
        let name = NodeName { role: "scheduler".into(), host: "here".into(), version: "0".into() };
        cluster::register(&mut services, name);
        tasks.register(&mut services);
        data::register(&mut services);
        services.enter_root::<Heart>().enter_root::<Planner>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let heart: Heart = services.scope().inject().expect("it was entered");
        heart.start().await.expect("it joins");
        let stop = CancellationToken::new();
        let until = stop.clone();
        tokio::spawn(async move { heart.run(until).await });
        let planner: Planner = services.scope().inject().expect("it was entered");
        let until = stop.clone();
        let planner = tokio::spawn(async move { planner.run(until).await });
        Self { services, store, clock, is_deaf, stop, planner }
    }

    /// The last time that was planned.
    async fn last(&self) -> Option<Timestamp> {
        self.store.last_run(Sweep::NAME).await.expect("it answers")
    }

    /// Lets time pass, for the store and for everybody who waits.
    async fn pass(&self, span: Duration) {
        let until = self.clock.now() + span;
        while self.clock.now() < until {
            self.clock.advance(STEP);
            tokio::time::advance(STEP).await;
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass until something later than this is planned.
    async fn plans_again(&self, after: Option<Timestamp>) {
        let deadline = self.clock.now() + NODE_TTL * 2;
        while self.last().await <= after {
            self.pass(STEP).await;
            assert!(self.clock.now() < deadline, "nothing was planned after {after:?}");
        }
    }

    /// Checks that nothing is planned although something is due.
    async fn plans_nothing(&self) -> Option<Timestamp> {
        let last = self.last().await;
        self.pass(ASKED_AGAIN).await;
        assert_eq!(self.last().await, last, "it plans, and does not lead");
        last
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_finds_another_in_its_place_stands_down_until_that_one_resigns() {
    let app = App::start().await;
    app.plans_again(None).await;
    // As if it had slept for as long.
    app.clock.advance(LEASE_OVER);
    let other = new_id();
    let taken = app.store.lease(LEASE, other, Duration::from_secs(600)).await.expect("it answers");
    assert_eq!(taken.map(|lease| lease.epoch), Some(2), "the second that leads");
    app.pass(ASKED_AGAIN).await;
    let last = app.plans_nothing().await;
    app.store.resign(LEASE, other).await.expect("it answers");
    app.plans_again(last).await;
    let ours = app.store.lease(LEASE, other, Duration::from_secs(600)).await.expect("it answers");
    assert_eq!(ours, None, "it leads again");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_may_be_taken_for_dead_stands_down_until_it_is_heard_again() {
    let app = App::start().await;
    app.plans_again(None).await;
    app.is_deaf.store(true, Ordering::SeqCst);
    let membership = app.services.get::<Membership>().expect("it is there");
    let deadline = app.clock.now() + NODE_TTL;
    while membership.current().is_some() {
        app.pass(STEP).await;
        assert!(app.clock.now() < deadline, "it let go before others may take it for dead");
    }
    app.pass(Duration::from_secs(1)).await;
    let last = app.plans_nothing().await;
    app.is_deaf.store(false, Ordering::SeqCst);
    app.plans_again(last).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_process_is_about_to_end_gives_the_lease_to_another_at_once() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(clock.clone()));
    let process = async || App::on(Arc::clone(&store), clock.clone(), Scheduler::new().task::<Sweep>()).await;
    let leader = process().await;
    leader.plans_again(None).await;
    let other = process().await;
    other.pass(ASKED_AGAIN).await;
    assert!(!leader.planner.is_finished() && !other.planner.is_finished());
    // Right after it has planned, when it would not look again for almost a second.
    leader.plans_again(leader.last().await).await;
    leader.services.get::<Stopping>().expect("it is registered").begin();
    leader.pass(STEP * 2).await;
    assert!(leader.planner.is_finished(), "it waits for its next look");
    let last = leader.last().await;
    other.pass(TAKEN_OVER).await;
    assert!(other.last().await > last, "nobody leads until the lease is over");
}

#[tokio::test(start_paused = true)]
async fn the_first_time_of_a_task_is_not_lost_when_another_leads_by_then() {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH + Duration::from_secs(1));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(clock.clone()));
    let process =
        async || App::on(Arc::clone(&store), clock.clone(), Scheduler::new().task::<Polish>()).await;
    let first = process().await;
    first.pass(ASKED_AGAIN).await;
    first.stop.cancel();
    first.pass(STEP).await;
    // SQLite gives back the keys that have no answer when it is opened again.
    let asked = Reserve {
        key: format!("first planned: {}", Polish::NAME),
        fingerprint: String::new(),
        token: "another".to_owned(),
        hold: Duration::from_secs(1),
    };
    let remembered = store.reserve(&asked).await.expect("it answers");
    assert!(matches!(remembered, Reservation::Done { .. }), "{remembered:?}");
    // Nobody is there when it is due.
    clock.advance(HOUR);
    let second = process().await;
    second.pass(ASKED_AGAIN).await;
    let planned = store.last_run(Polish::NAME).await.expect("it answers");
    assert_eq!(planned, Some(Timestamp::UNIX_EPOCH + HOUR));
}
