//! The engine that many processes share: one PostgreSQL database, version 13 or newer.
//!
//! - **A batch is one round trip.** Its writes, its messages and its kept answer are one statement with a part
//!   for each, which raises when a document does not have the version that the writer had read. What one
//!   statement cannot say in order (several kinds of writes in a collection, an application's own SQL) is a
//!   transaction of several. A batch that is refused is carried out again step by step, so that the error names
//!   the step. Several updates in one collection are judged by their outcome: two documents may swap a unique
//!   value.
//! - **Ends of work are committed together.** While two statements are under way the next gather; what is refused together is
//!   carried out one by one, so that no batch sees the others.
//! - **Documents are JSONB in a table for each collection.** What comes back is the same value, not the same
//!   text: spaces, the order of keys and a repeated key are not kept. JSONB has no place for the character NUL;
//!   a body, an id or a value with one is refused as invalid. So is a field of a declared index that is longer
//!   than an index entry may be, about 2,700 bytes.
//! - **Texts are compared by their bytes, whatever the database's collation.** JSONB would compare them by that
//!   collation, so a field is two expressions: its value, with `""` in the place of every text, and the text
//!   under `COLLATE "C"`. Declared indexes and queries use the same two.
//! - **Connections are kept, and doubted.** The driver's pool asks the server about a connection before and after
//!   each use; this one asks only after a pause. A read that meets a dead connection is repeated once on a new
//!   one. A commit is not: when the connection is lost on the way, the outcome is not known, and the error says
//!   so. A batch without own statements that meets a deadlock is tried again by the engine; anything else that does is
//!   unavailable.
//! - **Nothing stays open.** A batch comes to its end, also when who waits for it goes away; statements,
//!   locks and idle transactions have their limits at the server, and an answer that does not come has one here.
//!   An idempotency key of a process that crashed is free when its time is over.
//! - **Messages keep their place.** A batch takes one number for all its messages, after the versions that it
//!   expects were committed; so the messages of one subject are in the order of its versions.
//! - **Work is announced**, by `NOTIFY` outside of every batch. A process that claims has a connection that listens,
//!   and looks for work more often while it has none.
//!
//! Between the application and the database, PgBouncer must pool by session, or by transaction from version 1.21
//! on with prepared statements enabled and `options` among the startup parameters that it ignores.
//!
//! An application's own SQL joins a batch through [`statement`].

mod cluster;
mod commit;
mod connections;
mod error;
mod idempotency;
mod location;
mod migrate;
mod news;
mod options;
mod outbox;
#[cfg(test)]
mod plans;
mod schema;
mod select;
mod together;
mod whole;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::{
    AppliedMigration, Batch, Document, History, Migration, MigrationRun, Reservation, Reserve, Select, Store,
    check_name,
};
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use url::Url;

use self::connections::Connections;
use self::location::Location;
use self::news::News;
use self::select::{Bound, Compiled, bind};
use self::together::Together;
use crate::migrations::{self, Migrating};
use crate::owner::Owner;

pub use self::commit::{PostgresStep, statement};
pub use self::error::error;
pub use self::location::check_url;
pub use self::options::PostgresOptions;
pub use crate::step::StepFuture;
/// The driver, for the application's own statements.
pub use sqlx;

/// What [`Store::engine`] gives for this engine, and what native steps and migrations for it are marked with.
pub const ENGINE: &str = "postgres";

/// Opens the store of a URL with the default options, as the port. How long a server that is not there is waited for is
/// for the caller to say.
pub(crate) async fn open(url: Url) -> Result<Arc<dyn Store>> {
    let options = PostgresOptions { startup_patience: Duration::MAX, ..PostgresOptions::default() };
    Ok(PostgresStore::open(&url, options).await?)
}

/// A store in one database.
pub struct PostgresStore {
    connections: Arc<Connections>,
    /// The connection by which this process says that it lives.
    pulse: Arc<Connections>,
    news: News,
    together: Arc<Together>,
}

impl PostgresStore {
    /// Connects to the database that the URL names.
    ///
    /// A server that is not there yet is waited for, up to [`PostgresOptions::startup_patience`]; one that refuses
    /// is not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) when the URL names no database,
    /// [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable) when it cannot be reached, with a text
    /// that says why and never shows the password.
    pub async fn open(url: &Url, options: PostgresOptions) -> Result<Arc<Self>> {
        let location = Location::of(url).map_err(|fault| Error::invalid("store.url", fault))?;
        let connections = Arc::new(Connections::open(location, options).await?);
        let pulse = Arc::new(connections.beside());
        Ok(Arc::new(Self { connections, pulse, news: News::new(), together: Arc::default() }))
    }

    /// How the engine would find the documents, as lines of `EXPLAIN`: whether an index is used.
    ///
    /// # Errors
    /// Those of [`Store::query`].
    pub async fn explain(&self, select: &Select) -> Result<Vec<String>> {
        let Compiled { sql, values } = select::documents(select)?;
        let rows = self.found(Compiled { sql: format!("EXPLAIN {sql}"), values }).await?;
        rows.iter().map(|row| row.try_get(0).map_err(error)).collect()
    }

    /// Runs one statement that changes something; gives its rows.
    async fn change(&self, query: Bound<'_>) -> Result<Vec<PgRow>> {
        let mut lease = self.connections.lease().await?;
        lease.run(async |connection| query.fetch_all(connection).await).await.map_err(error)
    }

    async fn found(&self, Compiled { sql, values }: Compiled) -> Result<Vec<PgRow>> {
        self.connections.rows(|| bind(sqlx::query(AssertSqlSafe(sql.clone())), &values)).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        check_name(collection)?;
        let sql = format!("SELECT {DOCUMENT} FROM \"{collection}\" WHERE id = $1");
        let rows = self.connections.rows(|| sqlx::query(AssertSqlSafe(sql.clone())).bind(id)).await?;
        rows.first().map(document).transpose()
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        let rows = self.found(select::documents(select)?).await?;
        rows.iter().map(document).collect()
    }

    async fn query_all(&self, selects: &[Select]) -> Result<Vec<Vec<Document>>> {
        if selects.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = vec![Vec::new(); selects.len()];
        for row in self.found(select::several(selects)?).await? {
            let part: i32 = row.try_get(0).map_err(error)?;
            let answer = usize::try_from(part).ok().and_then(|part| answers.get_mut(part));
            answer.ok_or_else(|| Error::internal("a row belongs to no query"))?.push(document_from(&row, 1)?);
        }
        Ok(answers)
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let rows = self.found(select::count(select)?).await?;
        let count = rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get::<i64, _>(0));
        count.map(i64::cast_unsigned).map_err(error)
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let prepared = commit::Prepared::new(batch)?;
        if prepared.may_join() {
            return self.together.commit(prepared, &self.connections).await;
        }
        prepared.commit(self.connections.lease().await?).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        let mut lease = self.connections.lease().await?;
        let found = lease.run(async |connection| idempotency::reserve(connection, reserve).await).await;
        found
            .map_err(error)?
            .ok_or_else(|| Error::unavailable("the idempotency key was taken and given back again and again"))
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        let mut lease = self.connections.lease().await?;
        lease.run(async |connection| idempotency::release(connection, key, token).await).await.map_err(error)
    }

    async fn purge_expired(&self, limit: u32) -> Result<u64> {
        let mut lease = self.connections.lease().await?;
        let purge = lease.run(async |connection| idempotency::purge_expired(connection, limit).await);
        purge.await.map_err(error)
    }

    async fn own_history(&self) -> Result<History> {
        let mut lease = self.connections.lease().await?;
        let applied = lease.work(async |connection| connection.applied(Owner::Framework).await);
        Ok(History { expected: schema::own(), applied: applied.await? })
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        let mut lease = self.connections.lease().await?;
        lease.work(async |connection| connection.applied(Owner::Application).await).await
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        let mut lease = self.connections.lease().await?;
        lease.work(async |connection| migrations::migrate(connection, migrations, now).await).await
    }

    async fn ping(&self) -> Result<Details> {
        self.connections.ping().await
    }

    async fn close(&self) {
        self.pulse.close().await;
        self.connections.close().await;
    }
}

/// What [`document`] reads.
const DOCUMENT: &str = "id, version, created_at, updated_at, body::text";

fn document(row: &PgRow) -> Result<Document> {
    document_from(row, 0)
}

/// The document that begins in this column of the row.
fn document_from(row: &PgRow, first: usize) -> Result<Document> {
    let read = || {
        Ok(Document {
            id: row.try_get(first)?,
            version: row.try_get::<i64, _>(first + 1)?.cast_unsigned(),
            created_at: Timestamp::from_unix_micros(row.try_get(first + 2)?),
            updated_at: Timestamp::from_unix_micros(row.try_get(first + 3)?),
            body: row.try_get(first + 4)?,
        })
    };
    read().map_err(error)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("database", self.connections.location()).finish_non_exhaustive()
    }
}
