//! What durable work costs: events through outbox, relay and store to handlers with one write each, and jobs that do
//! nothing. `DATABASE_URL` names an empty database, `EVENT_BUS_URL` a broker if events shall go through one; the figures
//! are printed as one JSON object.
//!
//! The outbox is filled before relay and worker begin, so that what is measured is their way and not that of the
//! producers. Then producers and worker share the machine, then each event waits for the one before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use neuroglia::clock::Clock;
use neuroglia::cluster::{self, Heart, NodeName};
use neuroglia::data::{self, Migration, Repository, Step, Store, UnitOfWork};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::Result;
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mediation::{Command, CommandHandler, EventHandler, Mediator, Messages};
use neuroglia::messaging::{self, EventSource, Intake, Relay};
use neuroglia::work::{self, Claimer, Consumer, Job, JobHandler, Jobs, WorkPlan, Worker};
use neuroglia_backing::bus::{self, EventBusSettings};
use neuroglia_backing::store::connect;
use neuroglia_core as neuroglia;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const MESSAGES: u64 = 20_000;
const JOBS: u64 = 20_000;
const FLOWING: u64 = 10_000;
const PRODUCERS: u64 = 16;
const IDLE_MESSAGES: u64 = 300;

#[derive(Serialize, Deserialize)]
struct Note {
    id: String,
    text: String,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Note {
    type Id = String;
    const COLLECTION: &'static str = "notes";

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
struct Written {
    id: String,
    at_us: i64,
}

impl DomainEvent for Written {
    const NAME: &'static str = "note.written";
}

#[derive(Clone)]
struct Write {
    id: String,
}

impl Command for Write {
    type Response = ();
    type Handler = WriteHandler;
}

#[derive(Inject)]
struct WriteHandler {
    notes: Repository<Note>,
    clock: Clock,
}

impl CommandHandler<Write> for WriteHandler {
    async fn handle(&self, command: Write) -> Result<()> {
        let mut note = Note { id: command.id.clone(), text: "a short text".into(), root: Root::default() };
        note.raise(Written { id: command.id, at_us: self.clock.now().unix_micros() });
        self.notes.save(&mut note)
    }
}

/// What was handled, and how late.
#[derive(Default)]
struct Seen {
    handled: AtomicU64,
    jobs: AtomicU64,
    late_us: std::sync::Mutex<Vec<i64>>,
}

#[derive(Inject)]
struct Copy {
    notes: Repository<Note>,
    seen: Arc<Seen>,
    clock: Clock,
}

impl EventHandler<Written> for Copy {
    async fn handle(&self, event: &Written) -> Result<()> {
        let mut copy =
            Note { id: format!("copy of {}", event.id), text: "a copy".into(), root: Root::default() };
        self.notes.save(&mut copy)?;
        self.seen.late_us.lock().expect("nobody panics").push(self.clock.now().unix_micros() - event.at_us);
        self.seen.handled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Nothing {}

impl Job for Nothing {
    const KIND: &'static str = "nothing";
    type Output = ();
    type Handler = DoNothing;
}

#[derive(Inject)]
struct DoNothing {
    seen: Arc<Seen>,
}

impl JobHandler<Nothing> for DoNothing {
    async fn run(&self, _: Nothing) -> Result<()> {
        self.seen.jobs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn host<H: HostedService>(services: &Services, stop: &CancellationToken) {
    let service: H = services.scope().inject().expect("it was entered");
    service.start().await.expect("it starts");
    let stop = stop.clone();
    tokio::spawn(async move { service.run(stop).await });
}

async fn until(what: &AtomicU64, count: u64) {
    while what.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Commits so many events, each by a command of its own.
async fn produce(services: &Services, name: &str, count: u64) {
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let (services, name) = (services.clone(), format!("{name}-{producer}"));
            tokio::spawn(async move {
                for number in 0..count / PRODUCERS {
                    write(&services, format!("{name}-{number}")).await;
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("no panic");
    }
}

async fn write(services: &Services, id: String) {
    let scope = services.scope();
    let mediator: Mediator = scope.inject().expect("it is registered");
    mediator.send(Write { id }).await.expect("it succeeds");
    scope.close().await;
}

#[tokio::main]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement is its own host")]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names an empty database");
    let store: Arc<dyn Store> = connect(&url.parse().expect("a URL")).await.expect("the database answers");
    let history = Migration { version: 1, name: "notes", steps: vec![Step::CreateCollection("notes")] };
    store.migrate(&[history], Clock::system().now()).await.expect("a sound history");

    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
    services.add_instance(Stopping::default());
    services.add_instance(Seen::default());
    Messages::default().command::<Write>().register(&mut services);
    let worker = Worker::new().consumer(Consumer::new("copies").on::<Written, Copy>()).job::<Nothing>();
    let subscriptions = worker.subscriptions().to_vec();
    if let Ok(broker) = std::env::var("EVENT_BUS_URL") {
        bus::attach(&mut services, &EventBusSettings::at(broker.parse().expect("a URL")));
    }
    messaging::register(&mut services, "bench", subscriptions.clone());
    work::register(&mut services);
    let name = NodeName { role: "bench".into(), host: "here".into(), version: "0".into() };
    cluster::register(&mut services, name);
    let doers = worker.register(&mut services);
    let concurrency = 16;
    let queues: BTreeMap<_, _> =
        doers.queues().into_iter().map(|queue| (queue.to_owned(), concurrency)).collect();
    services.add_instance(WorkPlan { doers, queues, concurrency });
    data::register(&mut services);
    let has_broker = services.has::<dyn EventSource>();
    services.enter_root::<Relay>().enter_root::<Heart>().enter_root::<Claimer>();
    if has_broker {
        services.enter_root::<Intake>();
    }
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let seen = services.get::<Seen>().expect("it is registered");
    let stop = CancellationToken::new();

    let mut figures = serde_json::Map::new();
    figures.insert("engine".into(), store.engine().into());

    // Before anything is sent, so that nobody misses it.
    store.subscribe(&subscriptions).await.expect("a subscription is noted");
    let began = Instant::now();
    produce(&services, "filled", MESSAGES).await;
    figures.insert("commits_per_s".into(), per_second(MESSAGES, began));

    let began = Instant::now();
    host::<Heart>(&services, &stop).await;
    host::<Relay>(&services, &stop).await;
    if has_broker {
        host::<Intake>(&services, &stop).await;
    }
    host::<Claimer>(&services, &stop).await;
    until(&seen.handled, MESSAGES).await;
    figures.insert("messages_per_s".into(), per_second(MESSAGES, began));

    let began = Instant::now();
    produce(&services, "flowing", FLOWING).await;
    until(&seen.handled, MESSAGES + FLOWING).await;
    figures.insert("flowing_per_s".into(), per_second(FLOWING, began));

    seen.late_us.lock().expect("nobody panics").clear();
    for number in 0..IDLE_MESSAGES {
        let handled = seen.handled.load(Ordering::Relaxed);
        write(&services, format!("idle-{number}")).await;
        until(&seen.handled, handled + 1).await;
    }
    let mut late = std::mem::take(&mut *seen.late_us.lock().expect("nobody panics"));
    late.sort_unstable();
    let quantile = |part: usize| late[late.len() * part / 100] as f64 / 1000.0;
    figures.insert("latency_p50_ms".into(), quantile(50).into());
    figures.insert("latency_p99_ms".into(), quantile(99).into());

    for _ in 0..JOBS / 100 {
        let scope = services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        for _ in 0..100 {
            jobs.enqueue(&Nothing {}).expect("it is JSON");
        }
        scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
    }
    let (began, before) = (Instant::now(), seen.jobs.load(Ordering::Relaxed));
    until(&seen.jobs, JOBS).await;
    figures.insert("jobs_per_s".into(), per_second(JOBS - before, began));
    println!("{}", serde_json::Value::Object(figures));
    stop.cancel();
    store.close().await;
}

fn per_second(count: u64, since: Instant) -> serde_json::Value {
    let rate = count as f64 / since.elapsed().as_secs_f64();
    rate.round().into()
}
