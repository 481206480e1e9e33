//! The way to the deployment: the driver's pool, and the limits that it does not set itself.
//!
//! Each operation waits a bounded time for its place, and has a bounded time for itself, whatever the driver does
//! meanwhile. Reads see what a majority has; writes are kept by a majority, in its journals.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Cursor, Database};
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::error::{error, may_come_up, refusal};
use super::location::Location;
use super::numbers::Takers;
use super::options::MongoOptions;
use super::sessions::Sessions;
use crate::not_there::NotThere;

/// How many connections there are for what must not wait for the others: a sign of life, and a ping.
const APART: u32 = 2;
/// A connection that nobody needs for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest pause between two tries to connect at start.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a write waits for the majority after the primary has done it.
const MAJORITY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    location: Location,
    settings: MongoOptions,
    client: Client,
    database: Database,
    places: Arc<Semaphore>,
    /// Collections that were seen.
    known: RwLock<HashSet<String>>,
    closed: AtomicBool,
    pub(super) sessions: Sessions,
    pub(super) takers: Arc<Takers>,
}

impl Connection {
    /// Connects, so that what is wrong with the deployment shows now.
    pub(super) async fn open(location: Location, settings: MongoOptions) -> Result<Self> {
        let most = location.connections_max.unwrap_or(settings.connections_max).max(1);
        let settings = MongoOptions { connections_max: most, ..settings };
        let began = Instant::now();
        let mut pause = Duration::from_millis(50);
        let mut not_there = NotThere::default();
        loop {
            let tried = Self::connect(&location, &settings).await;
            let cause = match tried {
                Ok(connection) => return connection.judged().await,
                Err(cause) => cause,
            };
            if !may_come_up(&cause) || began.elapsed() + pause > settings.startup_patience {
                return Err(refusal(&location, &cause));
            }
            not_there.tell(&location, refusal(&location, &cause));
            sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connect(location: &Location, settings: &MongoOptions) -> mongodb::error::Result<Self> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        // Resolves the name of `mongodb+srv`, and the credentials' defaults.
        let options = ClientOptions::parse(location.connect.clone()).into_future();
        let mut options = timeout(settings.connect_timeout, options).await.map_err(late)??;
        options.app_name.get_or_insert_with(|| "neuroglia".to_owned());
        options.connect_timeout = Some(settings.connect_timeout);
        options.server_selection_timeout = Some(settings.selection_timeout);
        options.max_pool_size = Some(settings.connections_max + APART);
        options.max_idle_time = Some(IDLE_MAX);
        options.retry_reads = Some(true);
        options.retry_writes = Some(true);
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let client = Client::with_options(options)?;
        let database = client.database(&location.database);
        let ping = database.run_command(doc! { "ping": 1 }).into_future();
        timeout(settings.selection_timeout + settings.connect_timeout, ping).await.map_err(late)??;
        let places = Arc::new(Semaphore::new(settings.connections_max as usize));
        Ok(Self {
            location: location.clone(),
            settings: settings.clone(),
            client,
            database,
            places,
            known: RwLock::default(),
            closed: AtomicBool::new(false),
            sessions: Sessions::default(),
            takers: Arc::default(),
        })
    }

    /// Refuses a server that has no transactions, and one that is not itself the clock.
    async fn judged(self) -> Result<Self> {
        let hello = self.ask(doc! { "hello": 1 }).await?;
        if hello.contains_key("setName") {
            return Ok(self);
        }
        let what_to_do = if hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
            "is a router of a sharded cluster, and the clocks of routers do not agree on who is dead: name a replica set"
        } else {
            "stands alone, and only a replica set has transactions: start it with --replSet and run rs.initiate() \
             once; one member is enough"
        };
        Err(Error::invalid("store.no_replica_set", format!("the server of {} {what_to_do}", self.location)))
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn settings(&self) -> &MongoOptions {
        &self.settings
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// A place among those who work at once, as soon as one is free.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit> {
        match timeout(self.settings.acquire_timeout, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::unavailable("no connection to the database became free in time")),
        }
    }

    /// Runs one operation.
    pub(super) async fn run<T>(
        &self,
        operation: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<T> {
        self.tried(operation).await?.map_err(error)
    }

    /// Runs one operation whose error means something to the caller.
    pub(super) async fn tried<T>(
        &self,
        operation: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<mongodb::error::Result<T>> {
        self.within(self.settings.operation_timeout, operation).await
    }

    /// Runs one operation that may take so long, once it has its place.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<mongodb::error::Result<T>> {
        let _place = self.place().await?;
        self.at_once(limit, operation).await
    }

    /// Runs one operation that waits for no place.
    pub(super) async fn at_once<T>(
        &self,
        limit: Duration,
        operation: impl Future<Output = mongodb::error::Result<T>>,
    ) -> Result<mongodb::error::Result<T>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        timeout(limit, operation).await.map_err(|_| Error::unavailable("the database did not answer in time"))
    }

    /// All documents of a query.
    pub(super) async fn all(
        &self,
        query: impl Future<Output = mongodb::error::Result<Cursor<Document>>>,
    ) -> Result<Vec<Document>> {
        self.run(async { query.await?.try_collect().await }).await
    }

    /// The server's clock.
    pub(super) async fn now(&self) -> Result<Timestamp> {
        let hello = self.run(self.database.run_command(doc! { "hello": 1 }).into_future()).await?;
        let time = hello.get_datetime("localTime").map_err(Error::internal)?;
        Ok(Timestamp::from_unix_micros(time.timestamp_millis().saturating_mul(1000)))
    }

    /// Asks the server something about itself, past those who wait for a place.
    pub(super) async fn ask(&self, command: Document) -> Result<Document> {
        let asked = self.database.run_command(command).into_future();
        self.at_once(self.settings.ping_timeout, asked).await?.map_err(error)
    }

    /// Refuses a collection that no migration has created; MongoDB would create it.
    pub(super) async fn known(&self, collection: &str) -> Result<()> {
        let is_known = |known: &HashSet<String>| known.contains(collection);
        if is_known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let found = self.run(self.database.list_collection_names().into_future()).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = found.into_iter().collect();
        if is_known(&known) {
            return Ok(());
        }
        Err(Error::internal(format!("there is no collection {collection}; a migration creates it")))
    }

    /// Looks anew which collections there are.
    pub(super) fn forget_known(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn is_closed(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    /// Waits for who is at work, then closes everything.
    pub(super) async fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let everybody = self.places.acquire_many(self.settings.connections_max);
        let waited = timeout(self.settings.acquire_timeout, everybody).await;
        self.places.close();
        drop(waited);
        let shutdown = self.client.clone().shutdown().immediate(true).into_future();
        if timeout(self.settings.ping_timeout, shutdown).await.is_err() {
            tracing::debug!("the connections to the database were not closed in order");
        }
    }
}

/// Kept by a majority of the members, in their journals.
pub(super) fn majority() -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.w = Some(Acknowledgment::Majority);
    concern.journal = Some(true);
    concern.w_timeout = Some(MAJORITY_TIMEOUT);
    concern
}

fn closed() -> Error {
    Error::unavailable("the store was closed")
}
