//! Mario's Pizzeria with a ledger of effects, on a store at whose side it may be killed: what the proofs drive.
//!
//! It is the application of `main` with everything that it does, and beside that: a consumer and a job that write one
//! document for each effect, a task that writes one for each tick, and consumers that come to grief, or to no end, where an
//! order's notes say so. The variable `FAILPOINT` names the point at which the process dies; with `TICKS` there is the task.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use marios_pizzeria::PizzeriaSettings;
use neuroglia::clock::Timestamp;
use neuroglia::data::{Migration, Repository, Step, Store};
use neuroglia::di::{Inject, Service};
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::{Error, Result};
use neuroglia::mediation::EventHandler;
use neuroglia::schedule::{Missed, Schedule, ScheduledTask, Scheduler, Tick};
use neuroglia::work::{Consumer, Job, JobHandler, Jobs, Run, Worker};
use neuroglia_testing::{Peril, PerilousStore};
use pizzeria_domain::order::{Order, OrderCancelled, OrderConfirmed, OrderCreated, OrderId};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};

#[expect(clippy::disallowed_methods, reason = "a failpoint is no setting of the application")]
fn main() -> ExitCode {
    let peril = std::env::var("FAILPOINT").ok();
    let peril: Option<Peril> = peril.map(|text| text.parse().expect("FAILPOINT names a point"));
    let mut app = marios_pizzeria::app().migrations(migrations).worker(worker);
    if std::env::var("TICKS").is_ok() {
        app = app.scheduler(scheduler);
    }
    let Some(peril) = peril else { return app.run() };
    app.services(move |services, settings: &PizzeriaSettings| {
        let url = settings.database.database_url.clone();
        services.replace(Service::connected::<dyn Store, (), _, _>(move |()| async move {
            let store = neuroglia_backing::store::connect(&url).await?;
            Ok(Arc::new(PerilousStore::around(store, peril)) as Arc<dyn Store>)
        }));
    })
    .run()
}

fn migrations() -> Vec<Migration> {
    let mut migrations = pizzeria_application::migrations();
    migrations.push(Migration {
        version: 1_000,
        name: "effects are proved",
        steps: vec![Step::CreateCollection(Effect::COLLECTION)],
    });
    migrations
}

fn worker(worker: Worker) -> Worker {
    worker
        .consumer(
            Consumer::new("ledger")
                .on::<OrderCreated, Ledger>()
                .on::<OrderConfirmed, Ledger>()
                .on::<OrderCancelled, Ledger>(),
        )
        .consumer(
            Consumer::new("mishaps")
                // Of four attempts, longer than the commit of one can take on a disk that is slow.
                .timeout(Duration::from_secs(4))
                .attempts_max(4)
                .on::<OrderCreated, Mishaps>(),
        )
        .consumer(Consumer::new("patience").queue("patience").unordered().on::<OrderCreated, Patience>())
        .job::<Prove>()
}

fn scheduler(scheduler: Scheduler) -> Scheduler {
    scheduler.task::<Ticking>()
}

/// That something was done. Its id names what should be done once, and its runs tell how often it was.
#[derive(Serialize, Deserialize)]
struct Effect {
    id: String,
    runs: Vec<String>,
    /// When it was first done, by the store's clock.
    at: Timestamp,
    #[serde(skip)]
    root: Root,
}

impl Aggregate for Effect {
    type Id = String;

    const COLLECTION: &'static str = "proof_ledger";

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

/// Writes effects.
#[derive(Inject)]
struct Effects {
    effects: Repository<Effect>,
    store: Arc<dyn Store>,
    run: Run,
}

impl Effects {
    async fn note(&self, what: &str, of: impl std::fmt::Display) -> Result<()> {
        let id = format!("{what}:{of}");
        let mut effect = match self.effects.get(&id).await? {
            Some(effect) => effect,
            None => Effect { id, runs: Vec::new(), at: self.store.now().await?, root: Root::default() },
        };
        effect.runs.push(self.run.id()?);
        self.effects.save(&mut effect)
    }
}

/// Notes what happens to orders, and has a job prove that it was placed.
#[derive(Inject)]
struct Ledger {
    effects: Effects,
    jobs: Jobs,
}

impl EventHandler<OrderCreated> for Ledger {
    async fn handle(&self, event: &OrderCreated) -> Result<()> {
        self.jobs.enqueue(&Prove { order: event.order_id })?;
        self.effects.note(OrderCreated::NAME, event.order_id).await
    }
}

impl EventHandler<OrderConfirmed> for Ledger {
    async fn handle(&self, event: &OrderConfirmed) -> Result<()> {
        self.effects.note(OrderConfirmed::NAME, event.order_id).await
    }
}

impl EventHandler<OrderCancelled> for Ledger {
    async fn handle(&self, event: &OrderCancelled) -> Result<()> {
        self.effects.note(OrderCancelled::NAME, event.order_id).await
    }
}

/// Notes in several steps that an order was placed.
#[derive(Serialize, Deserialize)]
struct Prove {
    order: OrderId,
}

impl Job for Prove {
    const KIND: &'static str = "proof";
    type Output = ();
    type Handler = Prover;
}

#[derive(Inject)]
struct Prover {
    effects: Effects,
}

impl JobHandler<Prove> for Prover {
    async fn run(&self, job: Prove) -> Result<()> {
        for step in 1..=3 {
            self.effects.run.note_progress(&step).await?;
            tokio::select! {
                () = self.effects.run.cancelled()?.cancelled() => {
                    return Err(Error::unavailable("the process ends; another one begins anew"));
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        self.effects.note(Prove::KIND, job.order).await
    }
}

/// Comes to grief where the notes of an order say so.
#[derive(Inject)]
struct Mishaps {
    orders: Repository<Order>,
    effects: Effects,
}

/// The size of an error that nobody wants to keep.
const HUGE: usize = 50 * 1024 * 1024;

impl EventHandler<OrderCreated> for Mishaps {
    async fn handle(&self, event: &OrderCreated) -> Result<()> {
        let order = self.orders.get(&event.order_id).await?;
        match order.as_ref().and_then(Order::notes).unwrap_or_default() {
            "panic" => panic!("the notes say so"),
            "hang" => std::future::pending().await,
            "huge" => Err(Error::unavailable("x".repeat(HUGE))),
            "poison" => {
                kill_process(getpid(), Signal::KILL).expect("a process may signal itself");
                std::future::pending().await
            }
            _ => self.effects.note("mishap", event.order_id).await,
        }
    }
}

/// Does not come to an end where the notes of an order say so, whoever asks it to.
#[derive(Inject)]
struct Patience {
    orders: Repository<Order>,
}

impl EventHandler<OrderCreated> for Patience {
    async fn handle(&self, event: &OrderCreated) -> Result<()> {
        let order = self.orders.get(&event.order_id).await?;
        match order.as_ref().and_then(Order::notes) {
            Some("stay") => {
                tracing::info!(order.id = %event.order_id, "staying");
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }
}

/// Ticks ten times a second, and makes up for every tick that was missed.
#[derive(Inject)]
struct Ticking {
    effects: Effects,
}

impl ScheduledTask for Ticking {
    const NAME: &'static str = "tick";
    const SCHEDULE: Schedule = Schedule::every(Duration::from_millis(100));
    const MISSED: Missed = Missed::RunAll(1_000);

    async fn run(&self, tick: Tick) -> Result<()> {
        self.effects.note(Self::NAME, tick.due).await
    }
}
