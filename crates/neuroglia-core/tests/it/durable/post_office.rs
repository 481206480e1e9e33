//! A post office that does everything in one process: what the tests of durable work drive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{self, Heart, NodeName};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Migration, Repository, Step, Store};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::identity::Correlation;
use neuroglia::mediation::{Command, CommandHandler, EventHandler, Mediator, Messages};
use neuroglia::messaging::{self, Events, Relay};
use neuroglia::schedule::{Planner, Schedule, ScheduledTask, Scheduler, Tick};
use neuroglia::work::{
    self, BrokenOff, Claimer, Consumer, Job, JobHandler, JobRecord, Jobs, Retry, Run, WorkFilter, WorkPlan,
    WorkRecord, WorkState, Worker,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
pub(crate) struct Parcel {
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
pub(crate) struct ParcelSent {
    parcel: String,
}

impl DomainEvent for ParcelSent {
    const NAME: &'static str = "parcel.sent";
}

/// An event whose data did not have a value once.
#[derive(Serialize, Deserialize)]
struct ParcelLost {
    parcel: String,
    value: u32,
}

impl DomainEvent for ParcelLost {
    const NAME: &'static str = "parcel.lost";
    const VERSION: u32 = 2;

    fn upcast(from: u32, mut data: Value) -> Option<Value> {
        (from == 1).then(|| {
            data["value"] = 5.into();
            data
        })
    }
}

/// How many effects each receiver counted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tally {
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
pub(crate) struct World {
    /// So many attempts fail before one succeeds.
    pub(crate) failures: AtomicU32,
    pub(crate) panics: AtomicU32,
    pub(crate) attempts: AtomicU32,
    /// Attempts that began and wait to be let go.
    pub(crate) entered: Notify,
    pub(crate) holds: AtomicU32,
    pub(crate) release: Notify,
}

#[derive(Clone)]
pub(crate) struct SendParcel {
    id: String,
}

impl Command for SendParcel {
    type Response = ();
    type Handler = SendParcelHandler;
}

#[derive(Inject)]
pub(crate) struct SendParcelHandler {
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

/// Says that a parcel was sent which this office has not seen.
#[derive(Clone)]
pub(crate) struct PassOn {
    pub(crate) parcel: String,
    /// What is wrong with it is found too late.
    pub(crate) fails: bool,
}

impl Command for PassOn {
    type Response = ();
    type Handler = PassOnHandler;
}

#[derive(Inject)]
pub(crate) struct PassOnHandler {
    events: Events,
}

impl CommandHandler<PassOn> for PassOnHandler {
    async fn handle(&self, PassOn { parcel, fails }: PassOn) -> Result<()> {
        self.events.raise(&parcel, ParcelSent { parcel: parcel.clone() })?;
        if fails { Err(Error::conflict("parcel.wet", "the parcel is wet")) } else { Ok(()) }
    }
}

/// Counts inside the unit of work in which it was raised.
#[derive(Inject)]
struct Witness {
    tallies: Repository<Tally>,
}

impl EventHandler<ParcelSent> for Witness {
    async fn handle(&self, event: &ParcelSent) -> Result<()> {
        count(&self.tallies, &format!("witnessed {}", event.parcel)).await
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

/// Sends another parcel for one that was lost, and notes who began it.
#[derive(Inject)]
struct Replace {
    tallies: Repository<Tally>,
    parcels: Repository<Parcel>,
    jobs: Jobs,
    correlation: Arc<Correlation>,
}

impl EventHandler<ParcelLost> for Replace {
    async fn handle(&self, event: &ParcelLost) -> Result<()> {
        let Correlation { request_id, traceparent, .. } = &*self.correlation;
        let began = [request_id, traceparent].map(|id| id.as_deref().unwrap_or("nobody"));
        count(&self.tallies, &format!("{} worth {} by {}", event.parcel, event.value, began.join(" ")))
            .await?;
        let mut parcel = Parcel { id: format!("{} again", event.parcel), sent: 1, root: Root::default() };
        parcel.raise(ParcelSent { parcel: parcel.id.clone() });
        self.parcels.save(&mut parcel)?;
        self.jobs.enqueue(&Weigh { parcel: parcel.id }).map(drop)
    }
}

/// No scales hold this parcel.
pub(crate) const TOO_HEAVY: &str = "anvil";

#[derive(Serialize, Deserialize)]
pub(crate) struct Weigh {
    pub(crate) parcel: String,
}

impl Job for Weigh {
    const KIND: &'static str = "weigh";
    type Output = usize;
    type Handler = Scales;
}

#[derive(Inject)]
pub(crate) struct Scales {
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
        if job.parcel == TOO_HEAVY {
            return Err(Error::internal("the scales broke").with_retry(Retry::Never));
        }
        count(&self.tallies, "weighed").await?;
        Ok(job.parcel.len())
    }
}

/// What the worker does not list.
#[derive(Serialize, Deserialize)]
pub(crate) struct Frank {}

impl Job for Frank {
    const KIND: &'static str = "frank";
    type Output = ();
    type Handler = Franker;
}

#[derive(Inject)]
pub(crate) struct Franker {}

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
pub(crate) struct App {
    pub(crate) services: Services,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: Arc<World>,
    stop: CancellationToken,
    running: Vec<tokio::task::JoinHandle<Result<()>>>,
}

impl App {
    pub(crate) async fn start() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let history = Migration {
            version: 1,
            name: "post office",
            steps: vec![Step::CreateCollection("parcels"), Step::CreateCollection("tallies")],
        };
        store.migrate(&[history], Timestamp::UNIX_EPOCH).await.expect("a sound history");
        Self::on(store).await
    }

    pub(crate) async fn on(store: Arc<dyn Store>) -> Self {
        let world = Arc::new(World::default());
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add(Service::shared(Arc::clone(&world)));
        services.add_instance(Stopping::default());
        Messages::default()
            .command::<SendParcel>()
            .command::<PassOn>()
            .event::<ParcelSent, Witness>()
            .register(&mut services);
        let worker = Worker::new()
            .consumer(Consumer::new("announcements").on::<ParcelSent, Announce>().attempts_max(3))
            .consumer(Consumer::new("books").on::<ParcelSent, Book>().unordered())
            .consumer(Consumer::new("insurance").on::<ParcelLost, Replace>())
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

    pub(crate) async fn host<H: HostedService>(&mut self) {
        let service: H = self.services.scope().inject().expect("it was entered");
        service.start().await.expect("it starts");
        let stop = self.stop.clone();
        self.running.push(tokio::spawn(async move {
            let outcome = service.run(stop).await;
            service.stop().await;
            outcome
        }));
    }

    pub(crate) async fn send(&self, id: &str) {
        let scope = self.services.scope();
        let mediator: Mediator = scope.inject().expect("it is registered");
        mediator.send(SendParcel { id: id.to_owned() }).await.expect("it succeeds");
        scope.close().await;
    }

    pub(crate) async fn pass_on(&self, parcel: &str, fails: bool) -> Result<()> {
        let scope = self.services.scope();
        let mediator: Mediator = scope.inject()?;
        mediator.send(PassOn { parcel: parcel.to_owned(), fails }).await
    }

    pub(crate) async fn tally(&self, name: &str) -> u32 {
        let found = self.store.load("tallies", name).await.expect("it answers");
        found.map_or(0, |document| serde_json::from_str::<Tally>(&document.body).expect("a tally").count)
    }

    pub(crate) async fn work(&self, states: &[WorkState]) -> Vec<WorkRecord> {
        let filter = WorkFilter { states: states.to_vec(), limit: 1000, ..WorkFilter::default() };
        self.store.list_work(&filter).await.expect("it answers")
    }

    /// Asks for a job; gives its id.
    pub(crate) async fn weigh(&self, parcel: &str) -> Uuid {
        let scope = self.services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        let id = jobs.enqueue(&Weigh { parcel: parcel.to_owned() }).expect("it is JSON");
        let work = scope.get::<data::UnitOfWork>().expect("it is registered");
        assert_eq!(
            jobs.find::<Weigh>(id).await.expect("it answers"),
            None,
            "before the commit there is none"
        );
        work.commit().await.expect("it commits");
        scope.close().await;
        id
    }

    pub(crate) async fn job(&self, id: Uuid) -> JobRecord {
        let jobs: Jobs = self.services.scope().inject().expect("it is registered");
        jobs.find::<Weigh>(id).await.expect("it answers").expect("it is there")
    }

    pub(crate) async fn cancel(&self, id: Uuid) -> bool {
        let scope = self.services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        jobs.cancel::<Weigh>(id).await.expect("it answers")
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let look = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            panic!("{what} never happened: {:#?}", self.work(&[]).await);
        }
    }

    pub(crate) async fn end(self, deadline: Duration) -> Vec<String> {
        let stopping = self.services.get::<Stopping>().expect("it is registered");
        stopping.begin_until(Instant::now() + deadline);
        self.stop.cancel();
        for running in self.running {
            timeout(PATIENCE, running).await.expect("it ends").expect("no panic").expect("no error");
        }
        self.services.get::<BrokenOff>().expect("it is registered").take()
    }
}
