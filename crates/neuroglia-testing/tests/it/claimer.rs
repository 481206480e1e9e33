//! Who does work, on a store that does not answer as it should, and at its end: in a time that passes by itself.

mod left_behind;
mod options;
mod scopes;
mod told_late;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{self, Beat, HEARTBEAT, Heart, Membership, NODE_TTL, Node, NodeName};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Batch, Store, UnitOfWork};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::error::{Error, Result, VersionConflict};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mediation::Messages;
use neuroglia::messaging::{self, Wake};
use neuroglia::work::{
    self, BrokenOff, Claim, Claimed, Claimer, Job, JobHandler, JobOptions, Jobs, OnCrash, Retry, Revision,
    Settlement, Ticket, WorkFilter, WorkMeter, WorkPlan, WorkRecord, WorkState, Worker,
};
use neuroglia_testing::{Layered, StoreLayer};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What a test does to the store.
#[derive(Default)]
struct Whims {
    /// A claim is not answered.
    ignores_claims: AtomicBool,
    /// The next claim fails.
    fails_a_claim: AtomicBool,
    /// It is away when it is told how work ended.
    settles_nothing: AtomicBool,
    /// It hears how work ended, and its next answer is lost.
    loses_an_answer: AtomicBool,
    /// It fails, for another reason, when it is next told how work ended.
    refuses_an_end: AtomicBool,
    /// It hears of no node.
    is_deaf: AtomicBool,
    /// It hears a node, and the answer is on its way until the test lets it arrive.
    delays_a_beat: AtomicBool,
    beat_arrives: Notify,
    /// How long what succeeded is kept, each time.
    kept: Mutex<Vec<Duration>>,
    /// How often it was asked for work.
    claims: AtomicU32,
    /// A node has heard that something was called off.
    has_told_of_the_end: AtomicBool,
}

struct Whimsical {
    store: MemoryStore,
    whims: Arc<Whims>,
}

#[async_trait]
impl StoreLayer for Whimsical {
    fn behind(&self) -> &dyn Store {
        &self.store
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let kept = batch.finish.as_ref().map(|finish| finish.keep);
        self.whims.kept.lock().expect("no panic while held").extend(kept);
        self.behind().commit(batch).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.whims.claims.fetch_add(1, Ordering::SeqCst);
        if self.whims.ignores_claims.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.whims.fails_a_claim.swap(false, Ordering::SeqCst) {
            return Err(Error::unavailable("not now"));
        }
        self.behind().claim(claim).await
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        if self.whims.is_deaf.load(Ordering::SeqCst) {
            return Err(Error::unavailable("not now"));
        }
        let beat = self.behind().beat(node).await?;
        if !beat.cancelled.is_empty() {
            self.whims.has_told_of_the_end.store(true, Ordering::SeqCst);
        }
        if self.whims.delays_a_beat.swap(false, Ordering::SeqCst) {
            self.whims.beat_arrives.notified().await;
        }
        Ok(beat)
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        if self.whims.settles_nothing.load(Ordering::SeqCst) {
            return Err(Error::unavailable("not now"));
        }
        if self.whims.refuses_an_end.swap(false, Ordering::SeqCst) {
            return Err(Error::internal("it stumbled"));
        }
        let settled = self.behind().settle(settlements).await;
        if self.whims.loses_an_answer.swap(false, Ordering::SeqCst) {
            return Err(Error::unavailable("was that an answer?"));
        }
        settled
    }
}

/// What has begun, and what lets it end.
#[derive(Default)]
struct Bakery {
    begun: Mutex<Vec<String>>,
    is_done: Notify,
}

impl Bakery {
    fn begin(&self, cake: &str) {
        self.begun.lock().expect("no panic while held").push(cake.to_owned());
    }

    fn begun(&self) -> Vec<String> {
        self.begun.lock().expect("no panic while held").clone()
    }
}

/// Takes until the test says so, whoever calls it off.
#[derive(Serialize, Deserialize)]
struct Bake {
    cake: String,
}

impl Job for Bake {
    const KIND: &'static str = "bake";
    type Output = ();
    type Handler = Baker;
}

#[derive(Inject)]
struct Baker {
    bakery: Arc<Bakery>,
}

impl JobHandler<Bake> for Baker {
    async fn run(&self, job: Bake) -> Result<()> {
        self.bakery.begin(&job.cake);
        self.bakery.is_done.notified().await;
        Ok(())
    }
}

/// Fails for good.
#[derive(Serialize, Deserialize)]
struct Burn {}

impl Job for Burn {
    const KIND: &'static str = "burn";
    type Output = ();
    type Handler = Burner;
}

#[derive(Inject)]
struct Burner {
    bakery: Arc<Bakery>,
}

impl JobHandler<Burn> for Burner {
    async fn run(&self, _: Burn) -> Result<()> {
        self.bakery.begin("burnt");
        Err(Error::unavailable("it is black").with_retry(Retry::Never))
    }
}

/// Meets a conflict whenever it is begun.
#[derive(Serialize, Deserialize)]
struct Clash {}

impl Job for Clash {
    const KIND: &'static str = "clash";
    const ATTEMPTS_MAX: u32 = 1;
    type Output = ();
    type Handler = Clasher;
}

#[derive(Inject)]
struct Clasher {
    bakery: Arc<Bakery>,
}

impl JobHandler<Clash> for Clasher {
    async fn run(&self, _: Clash) -> Result<()> {
        self.bakery.begin("clash");
        let conflict = VersionConflict {
            collection: "ovens".into(),
            id: "o".to_owned(),
            expected: Some(1),
            actual: Some(2),
        };
        Err(Error::version_conflict(conflict))
    }
}

/// Must not be done twice.
#[derive(Serialize, Deserialize)]
struct Pay {}

impl Job for Pay {
    const KIND: &'static str = "pay";
    const ON_CRASH: OnCrash = OnCrash::Quarantine;
    type Output = ();
    type Handler = Payer;
}

#[derive(Inject)]
struct Payer {
    bakery: Arc<Bakery>,
}

impl JobHandler<Pay> for Payer {
    async fn run(&self, _: Pay) -> Result<()> {
        self.bakery.is_done.notified().await;
        Ok(())
    }
}

/// Must not be done twice, and need not be looked at.
#[derive(Serialize, Deserialize)]
struct Greet {}

impl Job for Greet {
    const KIND: &'static str = "greet";
    const ON_CRASH: OnCrash = OnCrash::Fail;
    type Output = ();
    type Handler = Greeter;
}

#[derive(Inject)]
struct Greeter {}

impl JobHandler<Greet> for Greeter {
    async fn run(&self, _: Greet) -> Result<()> {
        std::future::pending().await
    }
}

/// A process that works in one place, or more.
struct App {
    services: Services,
    store: Arc<dyn Store>,
    whims: Arc<Whims>,
    bakery: Arc<Bakery>,
    stop: CancellationToken,
    heart: JoinHandle<()>,
    claimer: JoinHandle<()>,
}

impl App {
    async fn start(worker: Worker, places: usize) -> Self {
        Self::with(worker, places, |_| {}).await
    }

    /// One with services of a test's own.
    async fn with(worker: Worker, places: usize, register: impl FnOnce(&mut ServiceCollection)) -> Self {
        let whims = Arc::new(Whims::default());
        let layer = Whimsical { store: MemoryStore::new(), whims: Arc::clone(&whims) };
        let store: Arc<dyn Store> = Arc::new(Layered(layer));
        store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("an empty history");
        let bakery = Arc::new(Bakery::default());
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add(Service::shared(Arc::clone(&bakery)));
        services.add_instance(Stopping::default());
        register(&mut services);
        Messages::default().register(&mut services);
        messaging::register(&mut services, "bakery", Vec::new());
        work::register(&mut services);
        let name = NodeName { role: "worker".into(), host: "here".into(), version: "0".into() };
        cluster::register(&mut services, name);
        let doers = worker.register(&mut services);
        let queues = BTreeMap::from([("default".to_owned(), places)]);
        services.add_instance(WorkPlan { doers, queues, concurrency: places });
        data::register(&mut services);
        services.enter_root::<Heart>().enter_root::<Claimer>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let stop = CancellationToken::new();
        let heart = host::<Heart>(&services, &stop).await;
        let claimer = host::<Claimer>(&services, &stop).await;
        Self { services, store, whims, bakery, stop, heart, claimer }
    }

    async fn ask(&self, job: &impl Job) {
        let scope = self.services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        jobs.enqueue_with(job, JobOptions::default()).expect("it is JSON");
        scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
        scope.close().await;
    }

    async fn bake(&self, cake: &str) {
        self.ask(&Bake { cake: cake.to_owned() }).await;
    }

    async fn work(&self, state: WorkState) -> Vec<WorkRecord> {
        let filter = WorkFilter { states: vec![state], limit: 100, ..WorkFilter::default() };
        self.store.list_work(&filter).await.expect("it answers")
    }

    async fn until(&self, what: &str, span: Duration, holds: impl AsyncFn(&Self) -> bool) {
        let look = async {
            while !holds(self).await {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(span, look).await.unwrap_or_else(|_| panic!("{what} did not happen within {span:?}"));
    }

    /// How often the store was asked for work.
    fn claims(&self) -> u32 {
        self.whims.claims.load(Ordering::SeqCst)
    }

    fn broken_off(&self) -> Vec<String> {
        self.services.get::<BrokenOff>().expect("it is registered").take()
    }
}

async fn host<H: HostedService>(services: &Services, stop: &CancellationToken) -> JoinHandle<()> {
    let service: H = services.scope().inject().expect("it was entered");
    service.start().await.expect("it starts");
    let stop = stop.clone();
    tokio::spawn(async move { service.run(stop).await.expect("it ends in peace") })
}

const SOON: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn what_runs_is_broken_off_in_time_also_while_the_store_is_silent() {
    let app = App::start(Worker::new().job::<Bake>(), 2).await;
    app.bake("sponge").await;
    app.until("the first", SOON, async |app| app.bakery.begun().len() == 1).await;
    app.whims.ignores_claims.store(true, Ordering::SeqCst);
    let before = app.claims();
    app.bake("pie").await;
    app.until("a claim that nobody answers", SOON, async |app| app.claims() > before).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    app.services.get::<Stopping>().expect("it is registered").begin_until(deadline);
    app.stop.cancel();
    let broken_off = app.broken_off_by(deadline).await;
    assert_eq!(broken_off.len(), 1, "{broken_off:?}");
    assert!(broken_off[0].starts_with("bake "), "{broken_off:?}");
}

impl App {
    /// What was broken off, of a process that ends before this.
    async fn broken_off_by(mut self, deadline: Instant) -> Vec<String> {
        let ends = tokio::time::timeout_at(deadline, &mut self.claimer).await;
        ends.expect("it ends in time").expect("no panic");
        assert_eq!(self.work(WorkState::Running).await, [], "what was broken off is given back");
        self.broken_off()
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_runs_and_ends_in_time() {
    let mut app = App::start(Worker::new().job::<Bake>(), 1).await;
    app.bake("sponge").await;
    app.until("it begins", SOON, async |app| app.bakery.begun().len() == 1).await;
    let (bakery, store) = (Arc::clone(&app.bakery), Arc::clone(&app.store));
    let began = Instant::now();
    let baked = async {
        sleep(Duration::from_secs(3)).await;
        let running = WorkFilter { states: vec![WorkState::Running], limit: 10, ..WorkFilter::default() };
        assert_eq!(store.list_work(&running).await.expect("it answers").len(), 1, "it was not waited for");
        bakery.is_done.notify_one();
    };
    tokio::join!(app.end(Duration::from_secs(5)), baked);
    assert!(began.elapsed() < Duration::from_secs(4), "the end waits for nothing else");
    assert_eq!(app.standing().await, [("bake".to_owned(), WorkState::Done, 1, String::new())]);
    assert_eq!((app.broken_off(), app.bakery.begun()), (Vec::new(), vec!["sponge".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_meets_a_conflict_begins_again_at_once_twice_and_has_then_failed() {
    let app = App::start(Worker::new().job::<Clash>(), 1).await;
    app.ask(&Clash {}).await;
    app.until("its end", SOON, async |app| app.work(WorkState::Dead).await.len() == 1).await;
    let dead = app.work(WorkState::Dead).await.remove(0);
    assert_eq!(app.bakery.begun(), ["clash"; 3], "three beginnings of one attempt");
    assert_eq!((dead.attempt, dead.failures.len()), (1, 1), "{dead:?}");
    assert!(dead.failures[0].error.contains("changed by somebody else"), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_broken_off_when_its_service_is_ended_from_outside() {
    let app = App::start(Worker::new().job::<Bake>(), 1).await;
    app.bake("sponge").await;
    app.until("the first", SOON, async |app| app.bakery.begun().len() == 1).await;
    app.claimer.abort();
    app.until("the end", SOON, async |app| app.work(WorkState::Waiting).await.len() == 1).await;
    assert_eq!(app.broken_off().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_claim_that_failed_it_is_looked_again_soon_also_by_who_hears() {
    let app = App::start(Worker::new().job::<Bake>(), 1).await;
    let _hearing = app.services.get::<Wake>().expect("it is registered").hearing();
    app.until("a look in vain", SOON, async |app| app.claims() > 0).await;
    app.whims.fails_a_claim.store(true, Ordering::SeqCst);
    app.bake("sponge").await;
    let two = Duration::from_secs(2);
    app.until("its beginning", two, async |app| app.bakery.begun().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_tried_again_is_not_claimed_before_it_can_begin() {
    let app = App::start(Worker::new().job::<Pay>().job::<Bake>(), 2).await;
    for _ in 0..4 {
        app.ask(&Pay {}).await;
    }
    sleep(SOON).await;
    assert_eq!(app.work(WorkState::Running).await.len(), 2, "the rest would count as half done");
    app.bakery.is_done.notify_waiters();
    app.until("the rest", SOON, async |app| app.work(WorkState::Done).await.len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_is_called_off_before_it_has_a_place_never_begins() {
    let app = App::start(Worker::new().job::<Bake>(), 1).await;
    // Shortly before the heartbeat by which a node hears what was called off.
    sleep(HEARTBEAT - SOON * 3).await;
    app.bake("sponge").await;
    app.until("the first", SOON, async |app| app.bakery.begun().len() == 1).await;
    app.bake("pie").await;
    app.until("both are held", SOON, async |app| app.work(WorkState::Running).await.len() == 2).await;
    let pie = app.work(WorkState::Running).await.remove(1);
    assert!(app.store.revise(pie.id, &Revision::Cancel).await.expect("it answers"));
    app.until("it hears of the end", HEARTBEAT, async |app| {
        app.whims.has_told_of_the_end.load(Ordering::SeqCst)
    })
    .await;
    app.bakery.is_done.notify_one();
    app.until("its end", SOON, async |app| app.work(WorkState::Cancelled).await.len() == 1).await;
    assert_eq!(app.bakery.begun(), ["sponge"]);
}

/// One piece of work of each sort, all begun.
async fn of_each_sort() -> App {
    let app = App::start(Worker::new().job::<Bake>().job::<Pay>().job::<Greet>(), 3).await;
    app.bake("sponge").await;
    app.ask(&Pay {}).await;
    app.ask(&Greet {}).await;
    app.until("all three", SOON, async |app| app.work(WorkState::Running).await.len() == 3).await;
    app
}

impl App {
    /// Where each piece stands, with its attempts and why it failed.
    async fn standing(&self) -> Vec<(String, WorkState, u32, String)> {
        let mut all = Vec::new();
        for state in WorkState::ALL {
            for record in self.work(state).await {
                let why = record.failures.last().map(|failure| failure.error.clone()).unwrap_or_default();
                all.push((record.kind, state, record.attempt, why));
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// Checks that what was broken off for this reason follows what its kind says of it.
    async fn follows_its_kind(&self, why: &str) {
        let of = |kind: &str, state, attempt, why: &str| (kind.to_owned(), state, attempt, why.to_owned());
        let expected = [
            of("bake", WorkState::Waiting, 0, ""),
            of("greet", WorkState::Dead, 1, why),
            of("pay", WorkState::Parked, 1, why),
        ];
        assert_eq!(self.standing().await, expected);
    }

    /// Ends the process within this time, as its host does.
    async fn end(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        self.services.get::<Stopping>().expect("it is registered").begin_until(deadline);
        self.stop.cancel();
        for running in [&mut self.claimer, &mut self.heart] {
            if timeout(within, &mut *running).await.is_err() {
                running.abort();
            }
        }
        let heart: Heart = self.services.scope().inject().expect("it was entered");
        heart.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_off_at_the_end_follows_what_its_kind_says() {
    let mut app = of_each_sort().await;
    app.end(Duration::from_secs(5)).await;
    app.follows_its_kind("its process ended before it did").await;
    let mut named = app.broken_off();
    named.iter_mut().for_each(|work| work.truncate(work.find(' ').unwrap_or_default()));
    named.sort();
    assert_eq!(named, ["bake", "greet", "pay"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_off_while_the_store_is_away_is_left_to_those_who_bury_the_process() {
    let mut app = of_each_sort().await;
    app.whims.settles_nothing.store(true, Ordering::SeqCst);
    app.end(Duration::from_secs(5)).await;
    assert_eq!(app.broken_off().len(), 3);
    assert_eq!(app.work(WorkState::Running).await.len(), 3, "what was half done was given back");
    for _ in 0..2 {
        sleep(SOON).await;
        app.store.bury(Duration::ZERO, Duration::ZERO, 100).await.expect("it answers");
    }
    let states: Vec<_> = app.standing().await.into_iter().map(|(_, state, ..)| state).collect();
    assert_eq!(states, [WorkState::Waiting, WorkState::Dead, WorkState::Parked]);
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_off_is_named_also_when_the_answer_was_lost() {
    let mut app = App::start(Worker::new().job::<Bake>(), 1).await;
    app.bake("sponge").await;
    app.until("it begins", SOON, async |app| app.bakery.begun().len() == 1).await;
    app.whims.loses_an_answer.store(true, Ordering::SeqCst);
    app.end(Duration::from_secs(5)).await;
    let meter = app.services.get::<WorkMeter>().expect("it is registered");
    let counted = [&meter.released, &meter.lost].map(|count| count.load(Ordering::SeqCst));
    assert_eq!((app.broken_off().len(), counted), (1, [1, 0]), "the store had heard it the first time");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_lets_go_of_follows_what_its_kind_says() {
    let app = of_each_sort().await;
    app.whims.ignores_claims.store(true, Ordering::SeqCst);
    app.whims.is_deaf.store(true, Ordering::SeqCst);
    let membership = app.services.get::<Membership>().expect("it is registered");
    app.until("it lets go", NODE_TTL, async |_| membership.current().is_none()).await;
    assert_eq!(app.work(WorkState::Running).await.len(), 3);
    app.whims.is_deaf.store(false, Ordering::SeqCst);
    app.until("it comes back", NODE_TTL, async |_| membership.current().is_some()).await;
    app.follows_its_kind("its process could not say that it lives, and let go of it").await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_and_must_not_be_tried_again_is_not() {
    let app = of_each_sort().await;
    sleep(Pay::TIMEOUT + SOON).await;
    let standing = app.standing().await;
    let states: Vec<_> = standing.iter().map(|(kind, state, ..)| (kind.as_str(), *state)).collect();
    assert_eq!(states[1..], [("greet", WorkState::Dead), ("pay", WorkState::Parked)]);
    assert!(standing[2].3.contains("longer than 60s"), "{standing:?}");
    assert_eq!((standing[0].1.is_live(), standing[0].2), (true, 1), "{standing:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_does_not_agree_to_is_neither_counted_nor_named() {
    let mut app = App::start(Worker::new().job::<Bake>(), 1).await;
    app.bake("sponge").await;
    app.until("the first", SOON, async |app| app.bakery.begun().len() == 1).await;
    // Others take it for dead, and it does not know.
    app.whims.ignores_claims.store(true, Ordering::SeqCst);
    app.whims.is_deaf.store(true, Ordering::SeqCst);
    app.store.bury(Duration::ZERO, Duration::ZERO, 100).await.expect("it answers");
    sleep(SOON).await;
    app.store.bury(Duration::ZERO, Duration::ZERO, 100).await.expect("it answers");
    app.end(Duration::from_secs(5)).await;
    let meter = app.services.get::<WorkMeter>().expect("it is registered");
    let counted = [&meter.released, &meter.retried, &meter.dead, &meter.lost];
    assert_eq!(counted.map(|count| count.load(Ordering::SeqCst)), [0, 0, 0, 1]);
    assert_eq!(app.broken_off(), Vec::<String>::new(), "it is another's");
}
