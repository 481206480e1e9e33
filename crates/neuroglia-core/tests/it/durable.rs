//! From a command to its effects elsewhere: outbox, relay, delivery, handler, and jobs, in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{self, Heart, NodeName};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Migration, Repository, Step, Store};
use neuroglia::di::{Inject, ScopeFactory, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mediation::{Command, CommandHandler, EventHandler, Mediator, Messages};
use neuroglia::messaging::{self, Relay};
use neuroglia::schedule::{Planner, Schedule, ScheduledTask, Scheduler, Tick};
use neuroglia::work::{
    self, BrokenOff, Claimer, Consumer, Job, JobHandler, JobOptions, Jobs, Retry, Revision, Run, WorkFilter,
    WorkPlan, WorkRecord, WorkState, Worker,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
struct Parcel {
    id: String,
    sent: u32,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Parcel {
    type Id = String;
    const COLLECTION: &'static str = "parcels";

    fn id(&self) -> &String {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

#[derive(Serialize, Deserialize)]
struct ParcelSent {
    parcel: String,
}

impl DomainEvent for ParcelSent {
    const NAME: &'static str = "parcel.sent";
}

/// How many effects each receiver counted.
#[derive(Serialize, Deserialize)]
struct Tally {
    name: String,
    count: u32,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Tally {
    type Id = String;
    const COLLECTION: &'static str = "tallies";

    fn id(&self) -> &String {
        &self.name
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

async fn count(tallies: &Repository<Tally>, name: &str) -> Result<()> {
    let name = name.to_owned();
    let mut tally =
        tallies.get(&name).await?.unwrap_or_else(|| Tally { name, count: 0, root: Root::default() });
    tally.count += 1;
    tallies.save(&mut tally)
}

/// How the world outside behaves.
#[derive(Default)]
struct World {
    /// So many attempts fail before one succeeds.
    failures: AtomicU32,
    panics: AtomicU32,
    attempts: AtomicU32,
    /// Attempts that began and wait to be let go.
    entered: Notify,
    holds: AtomicU32,
    release: Notify,
}

#[derive(Clone)]
struct SendParcel {
    id: String,
}

impl Command for SendParcel {
    type Response = ();
    type Handler = SendParcelHandler;
}

#[derive(Inject)]
struct SendParcelHandler {
    parcels: Repository<Parcel>,
    jobs: Jobs,
}

impl CommandHandler<SendParcel> for SendParcelHandler {
    async fn handle(&self, command: SendParcel) -> Result<()> {
        let mut parcel = self.parcels.get(&command.id).await?.unwrap_or_else(|| Parcel {
            id: command.id.clone(),
            sent: 0,
            root: Root::default(),
        });
        parcel.sent += 1;
        parcel.raise(ParcelSent { parcel: parcel.id.clone() });
        self.parcels.save(&mut parcel)?;
        self.jobs.enqueue(&Weigh { parcel: command.id })?;
        Ok(())
    }
}

#[derive(Inject)]
struct Announce {
    tallies: Repository<Tally>,
    world: Arc<World>,
    run: Run,
}

impl EventHandler<ParcelSent> for Announce {
    async fn handle(&self, event: &ParcelSent) -> Result<()> {
        self.world.attempts.fetch_add(1, Ordering::SeqCst);
        count(&self.tallies, "announced").await?;
        count(&self.tallies, &event.parcel).await?;
        assert_eq!(self.run.idempotency_key()?, format!("{}:announcements", self.run.id()?));
        if take(&self.world.failures) {
            return Err(Error::unavailable("the loudspeaker is off").with_retry(Retry::Now));
        }
        if take(&self.world.panics) {
            panic!("the loudspeaker burns");
        }
        Ok(())
    }
}

fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[derive(Inject)]
struct Book {
    tallies: Repository<Tally>,
}

impl EventHandler<ParcelSent> for Book {
    async fn handle(&self, _: &ParcelSent) -> Result<()> {
        count(&self.tallies, "booked").await
    }
}

#[derive(Serialize, Deserialize)]
struct Weigh {
    parcel: String,
}

impl Job for Weigh {
    const KIND: &'static str = "weigh";
    type Output = usize;
    type Handler = Scales;
}

#[derive(Inject)]
struct Scales {
    tallies: Repository<Tally>,
    world: Arc<World>,
    run: Run,
}

impl JobHandler<Weigh> for Scales {
    async fn run(&self, job: Weigh) -> Result<usize> {
        self.run.note_progress(&"on the scales").await?;
        if take(&self.world.holds) {
            self.world.entered.notify_one();
            tokio::select! {
                () = self.world.release.notified() => {}
                () = self.run.cancelled()?.cancelled() => return Err(Error::unavailable("called off")),
            }
        }
        count(&self.tallies, "weighed").await?;
        Ok(job.parcel.len())
    }
}

/// What the worker does not list.
#[derive(Serialize, Deserialize)]
struct Frank {}

impl Job for Frank {
    const KIND: &'static str = "frank";
    type Output = ();
    type Handler = Franker;
}

#[derive(Inject)]
struct Franker {}

impl JobHandler<Frank> for Franker {
    async fn run(&self, _: Frank) -> Result<()> {
        Ok(())
    }
}

#[derive(Inject)]
struct Sweep {
    tallies: Repository<Tally>,
}

impl ScheduledTask for Sweep {
    const NAME: &'static str = "sweep";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_millis(100));

    async fn run(&self, tick: Tick) -> Result<()> {
        count(&self.tallies, &format!("swept {}", tick.due)).await?;
        count(&self.tallies, "swept").await
    }
}

/// An application with everything in one process.
struct App {
    services: Services,
    store: Arc<dyn Store>,
    world: Arc<World>,
    stop: CancellationToken,
    running: Vec<tokio::task::JoinHandle<Result<()>>>,
}

impl App {
    async fn start() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let history = Migration {
            version: 1,
            name: "post office",
            steps: vec![Step::CreateCollection("parcels"), Step::CreateCollection("tallies")],
        };
        store.migrate(&[history], Timestamp::UNIX_EPOCH).await.expect("a sound history");
        Self::on(store).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        let world = Arc::new(World::default());
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add(Service::shared(Arc::clone(&world)));
        services.add_instance(Stopping::default());
        Messages::default().command::<SendParcel>().register(&mut services);
        let worker = Worker::new()
            .consumer(Consumer::new("announcements").on::<ParcelSent, Announce>().attempts_max(3))
            .consumer(Consumer::new("books").on::<ParcelSent, Book>().unordered())
            .job::<Weigh>();
        let scheduler = Scheduler::new().task::<Sweep>();
        messaging::register(&mut services, "post-office", worker.subscriptions().to_vec());
        work::register(&mut services);
        let name = NodeName { role: "all".into(), host: "here".into(), version: "0".into() };
        cluster::register(&mut services, name);
        let doers = worker.register(&mut services).and(scheduler.register(&mut services));
        let queues: BTreeMap<_, _> = doers.queues().into_iter().map(|queue| (queue.to_owned(), 4)).collect();
        services.add_instance(WorkPlan { doers, queues, concurrency: 4 });
        data::register(&mut services);
        for enter in [
            ServiceCollection::enter_root::<Relay>,
            ServiceCollection::enter_root::<Heart>,
            ServiceCollection::enter_root::<Claimer>,
            ServiceCollection::enter_root::<Planner>,
        ] {
            enter(&mut services);
        }
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let mut app = Self { services, store, world, stop: CancellationToken::new(), running: Vec::new() };
        app.host::<Heart>().await;
        app.host::<Relay>().await;
        app.host::<Claimer>().await;
        app
    }

    async fn host<H: HostedService>(&mut self) {
        let service: H = self.services.scope().inject().expect("it was entered");
        service.start().await.expect("it starts");
        let stop = self.stop.clone();
        self.running.push(tokio::spawn(async move {
            let outcome = service.run(stop).await;
            service.stop().await;
            outcome
        }));
    }

    async fn send(&self, id: &str) {
        let scope = self.services.scope();
        let mediator: Mediator = scope.inject().expect("it is registered");
        mediator.send(SendParcel { id: id.to_owned() }).await.expect("it succeeds");
        scope.close().await;
    }

    async fn tally(&self, name: &str) -> u32 {
        let found = self.store.load("tallies", name).await.expect("it answers");
        found.map_or(0, |document| serde_json::from_str::<Tally>(&document.body).expect("a tally").count)
    }

    async fn work(&self, states: &[WorkState]) -> Vec<WorkRecord> {
        let filter = WorkFilter { states: states.to_vec(), limit: 1000, ..WorkFilter::default() };
        self.store.list_work(&filter).await.expect("it answers")
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let look = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            panic!("{what} never happened: {:#?}", self.work(&[]).await);
        }
    }

    async fn end(self, deadline: Duration) -> Vec<String> {
        let stopping = self.services.get::<Stopping>().expect("it is registered");
        stopping.begin_until(Instant::now() + deadline);
        self.stop.cancel();
        for running in self.running {
            timeout(PATIENCE, running).await.expect("it ends").expect("no panic").expect("no error");
        }
        self.services.get::<BrokenOff>().expect("it is registered").take()
    }
}

#[tokio::test]
async fn an_event_reaches_every_consumer_once_and_a_job_is_done() {
    let app = App::start().await;
    app.send("a").await;
    app.until("the work", async |app| {
        app.tally("announced").await == 1 && app.tally("booked").await == 1 && app.tally("weighed").await == 1
    })
    .await;
    let done = app.work(&[WorkState::Done]).await;
    assert_eq!(done.len(), 3, "{done:#?}");
    let weighed = done.iter().find(|record| record.kind == "weigh").expect("it is kept");
    assert_eq!(
        (weighed.result.as_deref(), weighed.progress.as_deref()),
        (Some("1"), Some("\"on the scales\""))
    );
    assert_eq!(app.store.outbox(10).await.expect("it answers"), []);
    assert_eq!(app.end(Duration::from_secs(5)).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_failing_handler_is_tried_again_and_keeps_nobody_else_from_the_event() {
    let app = App::start().await;
    app.world.failures.store(2, Ordering::SeqCst);
    app.send("a").await;
    app.until("the announcement", async |app| app.tally("announced").await == 1).await;
    app.until("the booking", async |app| app.tally("booked").await == 1).await;
    assert_eq!(app.world.attempts.load(Ordering::SeqCst), 3, "two failed, and left nothing behind");
}

#[tokio::test]
async fn after_the_last_attempt_there_is_a_dead_letter_that_can_be_replayed() {
    let app = App::start().await;
    app.world.failures.store(2, Ordering::SeqCst);
    app.world.panics.store(1, Ordering::SeqCst);
    app.send("a").await;
    app.until("the dead letter", async |app| app.work(&[WorkState::Dead]).await.len() == 1).await;
    let dead = app.work(&[WorkState::Dead]).await.remove(0);
    assert_eq!(dead.failures.len(), 3);
    assert!(dead.failures[0].error.contains("the loudspeaker is off"), "{dead:?}");
    assert!(dead.failures[2].error.contains("the loudspeaker burns"), "{dead:?}");
    assert_eq!(app.tally("announced").await, 0);
    // The next of its subject is not held up by the dead.
    app.send("a").await;
    app.until("the next", async |app| app.tally("announced").await == 1).await;
    assert!(app.store.revise(dead.id, &Revision::Replay).await.expect("it answers"));
    app.until("the replay", async |app| app.tally("announced").await == 2).await;
}

#[tokio::test]
async fn events_of_one_subject_are_handled_in_order_while_others_go_on() {
    let app = App::start().await;
    for _ in 0..20 {
        app.send("a").await;
        app.send("b").await;
    }
    app.until("all of them", async |app| {
        app.tally("a").await == 20 && app.tally("b").await == 20 && app.tally("booked").await == 40
    })
    .await;
    assert_eq!(app.tally("announced").await, 40);
}

#[tokio::test]
async fn unfinished_work_is_handed_back_at_the_end_without_counting() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    app.send("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    let store = Arc::clone(&app.store);
    // It hears that the process is about to end, and stops.
    assert_eq!(app.end(Duration::from_secs(10)).await, Vec::<String>::new());
    let filter = WorkFilter { kind: Some("weigh".into()), limit: 10, ..WorkFilter::default() };
    let back = store.list_work(&filter).await.expect("it answers").remove(0);
    assert_eq!((back.state, back.attempt), (WorkState::Waiting, 0));
    assert_eq!(store.nodes().await.expect("it answers"), []);
    let next = App::on(store).await;
    next.until("the job", async |app| app.tally("weighed").await == 1).await;
}

#[tokio::test]
async fn a_running_job_can_be_called_off() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    app.send("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    let running = app.work(&[WorkState::Running]).await.remove(0);
    assert!(app.store.revise(running.id, &Revision::Cancel).await.expect("it answers"));
    app.until("the end", async |app| app.work(&[WorkState::Cancelled]).await.len() == 1).await;
    assert_eq!(app.tally("weighed").await, 0);
}

#[tokio::test]
async fn a_job_that_nobody_does_is_refused_when_it_is_asked_for() {
    let app = App::start().await;
    let scope = app.services.scope();
    let jobs: Jobs = scope.inject().expect("it is registered");
    let refused = jobs.enqueue(&Frank {}).expect_err("nobody would ever do it");
    let cause = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("`frank`") && cause.contains("Worker::job"), "{cause}");
    assert_eq!(app.work(&[]).await, []);
}

#[tokio::test]
async fn a_unique_job_waits_once() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let scopes: ScopeFactory = app.services.scope().inject().expect("always there");
    for _ in 0..3 {
        let scope = scopes.scope().expect("it runs");
        let jobs: Jobs = scope.inject().expect("it is registered");
        let options = JobOptions::default().unique("one").after(Duration::from_millis(10));
        jobs.enqueue_with(&Weigh { parcel: "x".into() }, options).expect("it is JSON");
        scope.get::<data::UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
    }
    assert_eq!(app.work(&[]).await.len(), 1);
}

#[tokio::test]
async fn each_time_of_a_schedule_happens_once_however_many_plan_it() {
    let mut app = App::start().await;
    for _ in 0..3 {
        app.host::<Planner>().await;
    }
    app.until("ten ticks", async |app| app.tally("swept").await >= 10).await;
    let all = app.work(&[]).await;
    let mut keys: Vec<_> = all.iter().map(|record| record.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all.len(), "no time was planned twice");
    for record in app.work(&[WorkState::Done]).await {
        let due: String = serde_json::from_str(&record.payload).expect("a time");
        assert_eq!(app.tally(&format!("swept {due}")).await, 1);
        let due: Timestamp = due.parse().expect("a time");
        assert!(record.created_at >= due, "never early");
    }
}

#[tokio::test]
async fn a_node_that_was_taken_for_dead_finishes_nothing() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    app.send("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    // Others find it silent, and do not look again.
    app.store.bury(Duration::ZERO, Duration::ZERO, 100).await.expect("it answers");
    app.world.release.notify_one();
    app.until("the second run", async |app| app.tally("weighed").await == 1).await;
    let record = app.work(&[WorkState::Done]).await;
    let weighed = record.iter().find(|record| record.kind == "weigh").expect("it was done");
    assert_eq!((weighed.attempt, weighed.crashes), (2, 1));
    assert_eq!(app.tally("weighed").await, 1, "the first run changed nothing");
}

#[tokio::test]
async fn an_unknown_event_is_parked_and_not_lost() {
    let app = App::start().await;
    let stranger = messaging::Parcel {
        key: Uuid::nil().to_string(),
        name: "parcel.sent".into(),
        subject: "a".into(),
        envelope: r#"{"specversion":"1.0","id":"1","source":"/post-office",
            "type":"io.post-office.parcel.sent.v7","data":{}}"#
            .into(),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    app.store.fan_out(&[stranger]).await.expect("it answers");
    app.until("both are parked", async |app| app.work(&[WorkState::Parked]).await.len() == 2).await;
    let parked = app.work(&[WorkState::Parked]).await;
    assert!(parked[0].failures[0].error.contains("version 7"), "{parked:?}");
}

#[tokio::test]
async fn what_waits_behind_long_work_goes_to_another_worker() {
    let busy = App::start().await;
    busy.world.holds.store(100, Ordering::SeqCst);
    for parcel in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        busy.send(parcel).await;
    }
    let running = async |app: &App| {
        let weighing = app.work(&[WorkState::Running]).await.into_iter();
        weighing.filter(|record| record.progress.is_some()).count()
    };
    busy.until("every place is taken for long", async |app| running(app).await == 4).await;
    let idle = App::on(Arc::clone(&busy.store)).await;
    idle.until("the rest", async |app| {
        app.tally("weighed").await == 4 && app.tally("announced").await == 8 && app.tally("booked").await == 8
    })
    .await;
    assert_eq!(running(&busy).await, 4, "what began goes on");
    let done = busy.work(&[WorkState::Done]).await;
    assert!(done.iter().all(|record| record.attempt == 1), "to wait is no attempt: {done:#?}");
}
