//! An application of one aggregate, whose messages do what their script says.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Batch, Change, Field, Migration, Repository, Step, Store, UnitOfWork, Write};
use neuroglia::di::{Inject, Scope, Service, ServiceCollection, Services};
use neuroglia::domain::{Aggregate, AnyEvent, DomainEvent, Root};
use neuroglia::error::{Error, Result};
use neuroglia::mediation::{Command, CommandHandler, EventHandler, Mediator, Messages, Query, QueryHandler};
use neuroglia::messaging::Events;
use neuroglia::work::{Job, JobHandler, Jobs, WorkFilter, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::Do::*;

/// A number with a name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    name: String,
    pub(crate) count: u32,
    #[serde(skip)]
    root: Root,
}

impl Tally {
    pub(crate) const NAME: Field<Self, String> = Field::new("name");

    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), count: 0, root: Root::default() }
    }

    pub(crate) fn add(&mut self, by: u32) {
        self.count += by;
        self.raise(Counted { name: self.name.clone() });
    }
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

/// Is asked for, and done by nobody here.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sum {}

impl Job for Sum {
    const KIND: &'static str = "sum";
    type Output = ();
    type Handler = Adder;
}

#[derive(Inject)]
pub(crate) struct Adder {}

impl JobHandler<Sum> for Adder {
    async fn run(&self, _: Sum) -> Result<()> {
        Ok(())
    }
}

#[derive(Serialize)]
struct Counted {
    name: String,
}

impl DomainEvent for Counted {
    const NAME: &'static str = "tally.counted";
}

/// One step of a script.
#[derive(Debug, Clone)]
pub(crate) enum Do {
    /// Adds one to a tally.
    Count(&'static str),
    /// Has somebody else add one to a tally after it was read and before it is saved, the first so many times.
    Contested(&'static str, u32),
    Remove(&'static str),
    /// Raises the event of a tally that nobody has counted.
    Tell(&'static str),
    /// Raises an event with so many bytes of data.
    TellAtLength(usize),
    /// Calls off a job that is not there.
    CallOff,
    /// Adds a statement of an engine that is not there.
    Native,
    /// Says that the script waits, and waits until it is let go.
    Wait,
    /// Lets others go first.
    Yield,
    /// Sends a command and hands its error on.
    Send(Vec<Do>),
    /// Sends a command and takes no notice of its error.
    Try(Vec<Do>),
    /// Sends two commands at once.
    Both(Vec<Do>, Vec<Do>),
    /// Sends a command in a task of its own, and waits for it.
    Spawn(Vec<Do>),
    /// Drops a command as soon as it waits.
    Cancel(Vec<Do>),
    /// Sends a query and hands its error on.
    Ask(Vec<Do>),
    /// Sends a command that does the same again.
    Circle,
    Fail,
    Panic,
}

/// A command.
#[derive(Debug)]
pub(crate) struct Play {
    script: Vec<Do>,
    clones: Arc<AtomicU32>,
}

pub(crate) fn play(script: impl Into<Vec<Do>>) -> Play {
    Play { script: script.into(), clones: Arc::default() }
}

impl Play {
    /// How often it was cloned.
    pub(crate) fn clones(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.clones)
    }
}

impl Clone for Play {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Self { script: self.script.clone(), clones: Arc::clone(&self.clones) }
    }
}

impl Command for Play {
    /// Which run of a script this was.
    type Response = u32;
    type Handler = Player;
}

/// A query.
pub(crate) struct Read(pub(crate) Vec<Do>);

impl Query for Read {
    type Response = u32;
    type Handler = Player;
}

/// What the test sees of the scripts.
#[derive(Default)]
pub(crate) struct Stage {
    runs: AtomicU32,
    rivals: AtomicU32,
    reactions: Mutex<Vec<String>>,
}

impl Stage {
    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    /// The tallies whose events were handled, each with its handler.
    pub(crate) fn reactions(&self) -> Vec<String> {
        self.reactions.lock().expect("no panic").clone()
    }

    fn react(&self, handler: &str, name: &str) {
        self.reactions.lock().expect("no panic").push(format!("{handler} {name}"));
    }
}

/// Where scripts wait, and where tests wait for them.
pub(crate) struct Gate {
    pub(crate) reached: Semaphore,
    pub(crate) open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { reached: Semaphore::new(0), open: Semaphore::new(0) }
    }
}

#[derive(Inject)]
pub(crate) struct Player {
    tallies: Repository<Tally>,
    events: Events,
    jobs: Jobs,
    work: Arc<UnitOfWork>,
    store: Arc<dyn Store>,
    mediator: Mediator,
    stage: Arc<Stage>,
    gate: Arc<Gate>,
}

impl Player {
    fn run<'a>(&'a self, script: &'a [Do]) -> BoxFuture<'a, Result<u32>> {
        async move {
            let run = self.stage.runs.fetch_add(1, Ordering::SeqCst) + 1;
            for step in script {
                self.step(step).await?;
            }
            Ok(run)
        }
        .boxed()
    }

    async fn step(&self, step: &Do) -> Result<()> {
        match step {
            Count(name) => self.count(name, 0).await?,
            Contested(name, times) => self.count(name, *times).await?,
            Remove(name) => {
                let found = self.tallies.get(&(*name).to_owned()).await?;
                self.tallies.remove(&mut found.ok_or_else(|| Error::not_found("tally", name))?)?;
            }
            Tell(name) => self.events.raise(name, Counted { name: (*name).to_owned() })?,
            TellAtLength(bytes) => {
                let name = "x".repeat(bytes - r#"{"name":""}"#.len());
                self.events.raise("long", Counted { name })?;
            }
            CallOff => assert!(!self.jobs.cancel::<Sum>(Uuid::nil()).await?, "there is none"),
            Native => self.work.native("none", ())?,
            Wait => {
                self.gate.reached.add_permits(1);
                self.gate.open.acquire().await.map_err(Error::internal)?.forget();
            }
            Yield => tokio::task::yield_now().await,
            Send(script) => drop(self.mediator.send(play(script.clone())).await?),
            Try(script) => drop(self.mediator.send(play(script.clone())).await),
            Both(one, other) => {
                let one = self.mediator.send(play(one.clone()));
                let other = self.mediator.send(play(other.clone()));
                futures_util::try_join!(one, other)?;
            }
            Spawn(script) => {
                let (mediator, script) = (self.mediator.clone(), script.clone());
                let task = tokio::spawn(async move { mediator.send(play(script)).await });
                task.await.map_err(Error::internal)??;
            }
            Cancel(script) => assert!(self.mediator.send(play(script.clone())).now_or_never().is_none()),
            Ask(script) => drop(self.mediator.send(Read(script.clone())).await?),
            Circle => drop(self.mediator.send(play([Circle])).await?),
            Fail => return Err(Error::conflict("script.fails", "the script says so")),
            Panic => panic!("the script says so"),
        }
        Ok(())
    }

    async fn count(&self, name: &str, rivals: u32) -> Result<()> {
        let mut tally = self.tallies.get(&name.to_owned()).await?.unwrap_or_else(|| Tally::new(name));
        if self.stage.rivals.fetch_add(u32::from(rivals > 0), Ordering::SeqCst) < rivals {
            let change = match tally.root.stored_version() {
                Some(expected) => Change::Update { expected, body: body(name, tally.count + 10) },
                None => Change::Insert { body: body(name, 10) },
            };
            let write = Write { collection: Tally::COLLECTION, id: name.to_owned(), change };
            self.store.commit(Batch { writes: vec![write], ..Batch::default() }).await?;
        }
        tally.add(1);
        self.tallies.save(&mut tally)
    }
}

fn body(name: &str, count: u32) -> String {
    format!(r#"{{"name":"{name}","count":{count}}}"#)
}

impl CommandHandler<Play> for Player {
    async fn handle(&self, command: Play) -> Result<u32> {
        self.run(&command.script).await
    }
}

impl QueryHandler<Read> for Player {
    async fn handle(&self, query: Read) -> Result<u32> {
        self.run(&query.0).await
    }
}

/// Reacts to tallies by their names.
#[derive(Inject)]
struct Reaction {
    tallies: Repository<Tally>,
    mediator: Mediator,
    stage: Arc<Stage>,
}

impl EventHandler<Counted> for Reaction {
    async fn handle(&self, event: &Counted) -> Result<()> {
        self.stage.react("reaction", &event.name);
        let echoes = match event.name.as_str() {
            "failing" => return Err(Error::conflict("reaction.fails", "the reaction fails")),
            "failing twice" => return Err(Error::internal("the oven is cold")),
            "echoing" => "echo",
            "circling" => "circling",
            "sending" => return self.mediator.send(play([Count("sending")])).await.map(drop),
            _ => return Ok(()),
        };
        let mut echo = self.tallies.get(&echoes.to_owned()).await?.unwrap_or_else(|| Tally::new(echoes));
        echo.add(1);
        self.tallies.save(&mut echo)
    }
}

/// Notes every event.
#[derive(Inject)]
pub(crate) struct Audit {
    stage: Arc<Stage>,
}

impl EventHandler<AnyEvent> for Audit {
    async fn handle(&self, event: &AnyEvent) -> Result<()> {
        let name = event.downcast_ref::<Counted>().map_or("", |event| &event.name);
        self.stage.react("audit", name);
        if name == "failing twice" { Err(Error::unavailable("the book is closed")) } else { Ok(()) }
    }
}

/// The started application.
pub(crate) struct App {
    pub(crate) services: Services,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) stage: Arc<Stage>,
    pub(crate) gate: Arc<Gate>,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(Messages::default()).await
    }

    pub(crate) async fn with(messages: Messages) -> Self {
        Self::hearing(messages.event::<Counted, Reaction>().every_event::<Audit>()).await
    }

    /// One whose events are handled by those who are listed in `messages`, and by nobody else.
    pub(crate) async fn hearing(messages: Messages) -> Self {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::with_clock(clock.clone()));
        let tallies =
            Migration { version: 1, name: "tallies", steps: vec![Step::CreateCollection(Tally::COLLECTION)] };
        store.migrate(&[tallies], Timestamp::UNIX_EPOCH).await.expect("it is empty");
        let (stage, gate) = (Arc::new(Stage::default()), Arc::new(Gate::default()));
        let mut services = ServiceCollection::new();
        services.add_instance(clock.clone());
        services.add(Service::shared(Arc::clone(&store)));
        services.add(Service::shared(Arc::clone(&stage))).add(Service::shared(Arc::clone(&gate)));
        data::register(&mut services);
        Worker::new().job::<Sum>().register(&mut services);
        messages.command::<Play>().query::<Read>().register(&mut services);
        let services = services.build().expect("it holds").start().await.expect("it starts");
        Self { services, store, clock, stage, gate }
    }

    /// Plays a script in a scope of its own.
    pub(crate) async fn play(&self, script: impl Into<Vec<Do>>) -> Result<u32> {
        let scope = self.services.scope();
        send(&scope, script).await
    }

    /// What a tally has come to.
    pub(crate) async fn count(&self, name: &str) -> u32 {
        let document = self.store.load(Tally::COLLECTION, name).await.expect("the store answers");
        let count = |body: String| serde_json::from_str::<Tally>(&body).expect("a tally").count;
        document.map_or(0, |document| count(document.body))
    }

    /// How many jobs were asked for.
    pub(crate) async fn jobs(&self) -> usize {
        let all = WorkFilter { limit: 1000, ..WorkFilter::default() };
        self.store.list_work(&all).await.expect("the store answers").len()
    }

    /// How many events have left.
    pub(crate) async fn outbox(&self) -> usize {
        self.store.outbox(1000).await.expect("the store answers").len()
    }
}

/// Plays a script in a scope.
pub(crate) async fn send(scope: &Scope, script: impl Into<Vec<Do>>) -> Result<u32> {
    scope.inject::<Mediator>()?.send(play(script)).await
}

/// What only the log sees of an error.
pub(crate) fn cause(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
