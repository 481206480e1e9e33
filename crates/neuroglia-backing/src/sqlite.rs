//! The embedded engine: one SQLite file, made to survive a power cut.
//!
//! - **One writer, several readers.** SQLite lets one connection write at a time, so writers queue here, in the
//!   order in which they came, instead of polling for the file's lock. Readers see the last commit and are never
//!   blocked (`journal_mode=WAL`). Connections open when they are needed: a store that nobody reads holds one, and those
//!   who read share one more until they get in each other's way.
//! - **Who waits together, commits together.** A commit waits for the disk once, however many units of work are in
//!   it; see `writer.rs`.
//! - **Acknowledged is durable.** `synchronous=FULL`: a commit returns after its log has reached the disk. Only
//!   taking and giving back an idempotency key does not wait for the disk; a key that a power cut lost belongs to
//!   a request that the power cut ended as well.
//! - **A crash holds no key.** The first process that opens the file gives back the keys of requests that were
//!   cut; see `presence.rs`.
//! - **Nothing is left open.** A batch waits for its turn, then runs in a task of its own. A caller that is
//!   cancelled while it waits has changed nothing; one that is cancelled later only does not hear the outcome.
//! - **Documents are JSON in a table for each collection**; a declared index is an index over `json_extract`,
//!   and queries use the same expression. Values are always bound parameters; the only names in a statement's
//!   text have passed [`check_name`](neuroglia::data::check_name).
//!
//! An application's own SQL joins a batch through [`statement`].

mod cluster;
mod commit;
mod connections;
mod error;
mod idempotency;
mod location;
mod migrate;
mod options;
mod outbox;
#[cfg(test)]
mod plans;
mod presence;
mod schema;
mod select;
mod statements;
mod work;
mod writer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::{
    AppliedMigration, Batch, Document, History, Migration, MigrationRun, Reservation, Reserve, Select, Store,
};
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use url::Url;

use self::connections::Connections;
use self::presence::{Entered, Presence};
use self::select::{Bound, Compiled, bind};
use self::statements::Catalogue;
use crate::migrations::{self, Migrating};
use crate::owner::Owner;

pub use self::commit::{SqliteStep, statement};
pub use self::error::error;
pub use self::location::check_url;
pub use self::options::SqliteOptions;
pub use crate::step::StepFuture;
/// The driver, for the application's own statements.
pub use sqlx;

/// What [`Store::engine`] gives for this engine, and what native steps and migrations for it are marked with.
pub const ENGINE: &str = "sqlite";

/// Opens the store of a URL with the default options, as the port.
pub(crate) async fn open(url: Url) -> Result<Arc<dyn Store>> {
    Ok(SqliteStore::open(&url, SqliteOptions::default()).await?)
}

/// A store in one file.
pub struct SqliteStore {
    connections: Connections,
    catalogue: Catalogue,
    clock: Clock,
    _presence: Option<Presence>,
}

impl SqliteStore {
    /// Opens the file that the URL names; creates it, for its owner only, when it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) when the URL names no file,
    /// [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable) when the file cannot be opened, with a
    /// text that says what is missing.
    pub async fn open(url: &Url, options: SqliteOptions) -> Result<Arc<Self>> {
        let path = location::path_of(url).map_err(|fault| Error::invalid("store.url", fault))?;
        let connections = Connections::open(&path, &options).await?;
        let presence = enter(&connections, &options).await;
        let presence = presence.inspect_err(|error| {
            tracing::warn!(
                error = error as &(dyn std::error::Error + 'static),
                "others cannot see that this process uses the database; who starts may take it for dead"
            );
        });
        Ok(Arc::new(Self {
            connections,
            catalogue: Catalogue::default(),
            clock: Clock::system(),
            _presence: presence.ok(),
        }))
    }

    /// How the engine would find the documents, a line for each step: whether an index is used.
    ///
    /// # Errors
    /// Those of [`Store::query`].
    pub async fn explain(&self, select: &Select) -> Result<Vec<String>> {
        let Compiled { sql, values } = select::documents(select)?;
        let query = bind(sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))), &values);
        let rows = self.read_all(query).await?;
        rows.iter().map(|row| row.try_get("detail").map_err(error)).collect()
    }

    /// The store's clock: that of the machine, which all who share the file run on.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads all rows of a query.
    async fn read_all(&self, query: Bound) -> Result<Vec<SqliteRow>> {
        let mut reader = self.connections.reader().await?;
        reader.run(async |connection| query.fetch_all(connection).await).await
    }

    /// Runs work that changes something: in its turn, in a transaction that others may share, and to its end even
    /// when the caller is gone. Its time is that of its turn, not of when it began to wait.
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, Timestamp) -> StepFuture<'c, T> + Send + 'static,
    {
        let clock = self.clock.clone();
        self.connections.writer().together(move |connection| work(connection, clock.now())).await
    }

    /// The same for what brings its own transaction, or needs none.
    async fn alone<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c, T> + Send + 'static,
    {
        self.connections.writer().alone(work).await
    }
}

/// Says that this process uses the file. When nobody else does, whoever held an idempotency key is dead, and
/// the request may be asked again; so is every node, and nobody waits until it has been silent for long enough.
async fn enter(connections: &Connections, options: &SqliteOptions) -> Result<Presence> {
    let patience = options.busy_timeout;
    match presence::enter(connections.path(), patience).await.map_err(Error::unavailable)? {
        Entered::Among(presence) => Ok(presence),
        Entered::Alone(alone) => {
            // Whether it can be done or not, others have to see from now on that somebody lives.
            if let Err(error) = free_what_the_dead_had(connections).await {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "what a crash left cannot be given back at once; it is when its time is over"
                );
            }
            alone.stay(patience).await.map_err(Error::unavailable)
        }
    }
}

async fn free_what_the_dead_had(connections: &Connections) -> Result<()> {
    let writer = connections.writer();
    let freed = writer.alone(|connection| Box::pin(idempotency::release_all(connection))).await?;
    if freed > 0 {
        tracing::info!(idempotency.keys = freed, "gave back the keys of requests that a crash ended");
    }
    let now = Clock::system().now();
    writer.alone(move |connection| Box::pin(cluster::all_are_dead(connection, now))).await
}

#[async_trait]
impl Store for SqliteStore {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        let query = sqlx::query(self.catalogue.of(collection)?.load.clone()).bind(id);
        let mut reader = self.connections.reader().await?;
        let row = reader.run(async |connection| query.fetch_optional(connection).await).await?;
        row.as_ref().map(document).transpose()
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        let Compiled { sql, values } = select::documents(select)?;
        let rows = self.read_all(bind(sqlx::query(AssertSqlSafe(sql)), &values)).await?;
        rows.iter().map(document).collect()
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let Compiled { sql, values } = select::count(select)?;
        let query = bind(sqlx::query(AssertSqlSafe(sql)), &values);
        let mut reader = self.connections.reader().await?;
        let row = reader.run(async |connection| query.fetch_one(connection).await).await?;
        row.try_get::<i64, _>(0).map(i64::cast_unsigned).map_err(error)
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let prepared = commit::Prepared::new(batch, &self.catalogue)?;
        self.write(move |connection, now| Box::pin(prepared.run(connection, now))).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        let (reserve, clock) = (reserve.clone(), self.clock.clone());
        self.alone(move |connection| Box::pin(idempotency::reserve(connection, reserve, clock.now()))).await
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        let (key, token) = (key.to_owned(), token.to_owned());
        self.alone(move |connection| Box::pin(idempotency::release(connection, key, token))).await
    }

    async fn purge_expired(&self, limit: u32) -> Result<u64> {
        let now = self.now();
        self.alone(move |connection| Box::pin(idempotency::purge_expired(connection, limit, now))).await
    }

    async fn own_history(&self) -> Result<History> {
        let applied = self.alone(|connection| Box::pin(connection.applied(Owner::Framework)));
        Ok(History { expected: schema::own(), applied: applied.await? })
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        self.alone(|connection| Box::pin(connection.applied(Owner::Application))).await
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        let migrations = migrations.to_vec();
        self.alone(move |connection| {
            Box::pin(async move { migrations::migrate(connection, &migrations, now).await })
        })
        .await
    }

    async fn ping(&self) -> Result<Details> {
        self.connections.ping().await
    }

    async fn close(&self) {
        self.connections.close().await;
    }
}

fn document(row: &SqliteRow) -> Result<Document> {
    let read = || {
        Ok(Document {
            id: row.try_get(0)?,
            version: row.try_get::<i64, _>(1)?.cast_unsigned(),
            created_at: Timestamp::from_unix_micros(row.try_get(2)?),
            updated_at: Timestamp::from_unix_micros(row.try_get(3)?),
            body: row.try_get(4)?,
        })
    };
    read().map_err(error)
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.connections.path()).finish_non_exhaustive()
    }
}
