//! Processes hear of each other's work: two applications on one database, of which one asks and the other does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{self, Ear, Heart, Membership, NodeName, Voice};
use neuroglia::data::{self, Store, UnitOfWork};
use neuroglia::di::{Inject, Service, ServiceCollection, Services};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mediation::Messages;
use neuroglia::messaging::{self, Wake};
use neuroglia::work::{self, Claimer, Job, JobHandler, JobOptions, Jobs, WorkPlan, Worker};
use neuroglia_backing::postgres::sqlx;
use neuroglia_testing::services::{Database, Postgres};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::connect;

/// Well before who hears would look by himself.
const SOON: Duration = Duration::from_secs(2);

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Ring {
    number: u32,
}

impl Job for Ring {
    const KIND: &'static str = "ring";
    type Output = ();
    type Handler = Ringer;
}

#[derive(Inject)]
struct Ringer {
    rung: Arc<UnboundedSender<u32>>,
}

impl JobHandler<Ring> for Ringer {
    async fn run(&self, job: Ring) -> Result<()> {
        self.rung.send(job.number).map_err(Error::internal)
    }
}

/// One process on a database.
struct App {
    services: Services,
    rung: UnboundedReceiver<u32>,
    stop: CancellationToken,
}

impl App {
    async fn on(database: &Database) -> Self {
        let store: Arc<dyn Store> = connect(&database.url()).await;
        store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own tables are made");
        let (sender, rung) = mpsc::unbounded_channel();
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(store));
        services.add_instance(Stopping::default());
        services.add_instance(sender);
        Messages::default().register(&mut services);
        messaging::register(&mut services, "tower", Vec::new());
        work::register(&mut services);
        let name = NodeName { role: "all".into(), host: "here".into(), version: "0".into() };
        cluster::register(&mut services, name);
        let doers = Worker::new().job::<Ring>().register(&mut services);
        let queues = BTreeMap::from([("default".to_owned(), 4)]);
        services.add_instance(WorkPlan { doers, queues, concurrency: 4 });
        data::register(&mut services);
        services.enter_root::<Voice>().enter_root::<Heart>().enter_root::<Ear>().enter_root::<Claimer>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        Self { services, rung, stop: CancellationToken::new() }
    }

    /// A process that asks and does nothing.
    async fn asking(database: &Database) -> Self {
        let app = Self::on(database).await;
        app.host::<Voice>().await;
        app
    }

    /// A process that does what others ask, once it hears them.
    async fn doing(database: &Database) -> Self {
        let app = Self::on(database).await;
        app.host::<Heart>().await;
        app.host::<Ear>().await;
        app.host::<Claimer>().await;
        app.hears(true).await;
        app
    }

    async fn host<H: HostedService>(&self) {
        let service: H = self.services.scope().inject().expect("it was entered");
        service.start().await.expect("it starts");
        let stop = self.stop.clone();
        tokio::spawn(async move { service.run(stop).await });
    }

    async fn hears(&self, wanted: bool) {
        let wake = self.services.get::<Wake>().expect("it is registered");
        let changes = async {
            while wake.is_hearing() != wanted {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, changes).await.unwrap_or_else(|_| panic!("hearing never became {wanted}"));
    }

    async fn ask(&self, number: u32, options: JobOptions) {
        let scope = self.services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        jobs.enqueue_with(&Ring { number }, options).expect("it is JSON");
        scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
        scope.close().await;
    }

    async fn rings_soon(&mut self, number: u32) {
        let rung = timeout(SOON, self.rung.recv()).await;
        assert_eq!(rung.unwrap_or_else(|_| panic!("{number} was not done soon")), Some(number));
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One after another, so that a look now and then could not have found them all.
async fn works_together(asking: &App, doing: &mut App) {
    for number in 0..4 {
        asking.ask(number, JobOptions::default()).await;
        doing.rings_soon(number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_hears_of_work_from_another_process_also_after_its_connection_was_cut() {
    let database = Database::create();
    let (asking, mut doing) = (App::asking(&database).await, App::doing(&database).await);
    works_together(&asking, &mut doing).await;

    let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND query = 'SELECT pg_notify($1, '''')'";
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let listening = sqlx::query(cut).fetch_all(&mut connection).await.expect("it is ended");
    assert_eq!(listening.len(), 1, "who does nothing need not listen");
    // Asked for while nobody hears, maybe: who hears again looks first.
    asking.ask(7, JobOptions::default()).await;
    doing.rings_soon(7).await;
    doing.hears(true).await;
    works_together(&asking, &mut doing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_done_when_its_time_comes() {
    let database = Database::create();
    let (asking, mut doing) = (App::asking(&database).await, App::doing(&database).await);
    let later = |ms| JobOptions::default().after(Duration::from_millis(ms));
    // Farther apart than two commits are on a busy machine, and closer than a look that nobody asked for.
    asking.ask(2, later(2_000)).await;
    asking.ask(1, later(500)).await;
    asking.ask(3, later(2_001)).await;
    for number in 1..=3 {
        doing.rings_soon(number).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_hears_again_after_the_server_was_restarted() {
    let mut server = Postgres::start();
    let database = Database::create_on(&server.url());
    let (asking, mut doing) = (App::asking(&database).await, App::doing(&database).await);
    works_together(&asking, &mut doing).await;
    // What has not ended by then would be done again.
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let done = async {
        let left = "SELECT EXISTS (SELECT 1 FROM ng_work WHERE state <> 'done')";
        while sqlx::query_scalar(left).fetch_one(&mut connection).await.expect("the server tells") {}
    };
    timeout(PATIENCE, done).await.expect("all of it ends");
    server.crash();
    doing.hears(false).await;
    server.start_again();
    doing.hears(true).await;
    // The connection that commits is dead as well, and a commit is not tried again; a ping is.
    let store = asking.services.get::<dyn Store>().expect("it is registered");
    store.ping().await.expect("the server is back");
    works_together(&asking, &mut doing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_is_heard_of() {
    let database = Database::create();
    let (asking, mut doing) = (App::asking(&database).await, App::doing(&database).await);
    let heart: Heart = asking.services.scope().inject().expect("it was entered");
    heart.start().await.expect("it joins");
    let membership = asking.services.get::<Membership>().expect("it is registered");
    let (node, _) = membership.current().expect("it has joined");
    // Held back until this node has it, and nobody else is woken for it.
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    asking.ask(1, JobOptions::default().after(Duration::from_secs(600))).await;
    let take = "UPDATE ng_work SET state = 'running', attempt = 1, owner = $1, token = $1";
    sqlx::query(take).bind(node).execute(&mut connection).await.expect("it is taken");
    heart.stop().await;
    doing.rings_soon(1).await;
}
