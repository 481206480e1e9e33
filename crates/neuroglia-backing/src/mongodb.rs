//! A document database that many processes share: one database of a MongoDB replica set, version 5.0 or newer.
//!
//! - **A batch is one transaction**, kept by a majority in its journals, and read at one moment; a batch that changes
//!   one document only is one operation. When others get in its way it is begun again, as often as the driver's labels
//!   say that this helps, and not for ever. So a server that stands alone, without transactions, is refused at start.
//! - **Claims, leases, nodes and runs are single operations**, each atomic by itself, so that nobody waits for anybody's
//!   transaction. What dies between two of them leaves a note that the next one finds; the notes are told in
//!   `schema.rs`. A commit leaves the order of its lines to whoever claims next (`lines.rs`).
//! - **Documents are BSON**, `{_id, version, created_at, updated_at, body}` in a collection for each kind, so that they can
//!   be read and queried as any others. What comes back is the same value, not the same text; `json.rs` says how it is
//!   kept. A document has at most 16 MiB.
//! - **Texts are compared by their bytes**: the collections have no collation.
//! - **Time is the server's**: `$$NOW`, in milliseconds. After an election it is another server's, so the members' clocks
//!   must agree better than the time to live of a node.
//! - **Nothing waits for ever.** Operations have a limit, and so has the wait for a connection and for a primary. What a
//!   process has locked that died or was stopped in the middle of a transaction is free when its node is buried
//!   (`sessions.rs`); of a process that is no node, when the server ends the transaction: a minute after it began, unless
//!   `transactionLifetimeLimitSeconds` says otherwise.
//! - **Work is not announced**: processes look for it.
//!
//! An application's own operations join a batch through [`step`]; a migration's step for this engine is a command of
//! the database, written as JSON: `{"collMod": "orders", …}`.

mod cluster;
mod commit;
mod connection;
mod error;
mod fields;
mod idempotency;
mod json;
mod lines;
mod location;
mod migrate;
mod numbers;
mod options;
mod outbox;
mod schema;
mod select;
mod sessions;
mod transaction;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Document as Bson, doc};
use neuroglia::clock::Timestamp;
use neuroglia::data::{
    AppliedMigration, Batch, Document, History, Migration, MigrationRun, Reservation, Reserve, Select, Store,
    check_name,
};
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use url::Url;

use self::connection::Connection;
use self::fields::Fields;
use self::json::{BODY, NULLS};
use self::location::Location;
use self::select::{Compiled, compile};
use crate::owner::Owner;

pub use self::commit::{MongoStep, step};
pub use self::error::error;
pub use self::location::check_url;
pub use self::options::MongoOptions;
pub use crate::step::StepFuture;
/// The driver, for the application's own operations.
pub use mongodb as driver;

/// What [`Store::engine`] gives for this engine, and what native steps and migrations for it are marked with.
pub const ENGINE: &str = "mongodb";

/// Opens the store of a URL with the default options, as the port. How long a deployment that is not there is waited for is
/// for the caller to say.
pub(crate) async fn open(url: Url) -> Result<Arc<dyn Store>> {
    let options = MongoOptions { startup_patience: Duration::MAX, ..MongoOptions::default() };
    Ok(MongoStore::open(&url, options).await?)
}

/// A store in one database.
pub struct MongoStore {
    connection: Arc<Connection>,
}

impl MongoStore {
    /// Connects to the database that the URL names.
    ///
    /// A deployment that is not there yet is waited for, up to [`MongoOptions::startup_patience`]; one that refuses is
    /// not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) when the URL names no database, or a server that
    /// stands alone; [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable) when it cannot be reached,
    /// with a text that says why and never shows the password.
    pub async fn open(url: &Url, options: MongoOptions) -> Result<Arc<Self>> {
        let location = Location::of(url).map_err(|fault| Error::invalid("store.url", fault))?;
        Ok(Arc::new(Self { connection: Arc::new(Connection::open(location, options).await?) }))
    }

    /// How the server would find the documents: its winning plan, as it says it.
    ///
    /// # Errors
    /// Those of [`Store::query`].
    pub async fn explain(&self, select: &Select) -> Result<String> {
        let Compiled { filter, sort, limit } = compile(select)?;
        let find = doc! { "find": select.collection, "filter": filter, "sort": sort, "limit": limit };
        let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
        let plan = self.connection.ask(explain).await?;
        let plan = plan.get_document("queryPlanner").map_err(Error::internal)?;
        Ok(plan.get("winningPlan").map(ToString::to_string).unwrap_or_default())
    }
}

#[async_trait]
impl Store for MongoStore {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        check_name(collection)?;
        self.connection.known(collection).await?;
        let documents = self.connection.collection(collection);
        let one = documents.find_one(doc! { "_id": id });
        self.connection.run(one.into_future()).await?.map(document).transpose()
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        let Compiled { filter, sort, limit } = compile(select)?;
        self.connection.known(select.collection).await?;
        // To MongoDB no limit is none at all.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let documents = self.connection.collection(select.collection);
        let found = documents.find(filter).sort(sort).limit(limit);
        let found = found.max_time(self.connection.settings().operation_timeout);
        self.connection.all(found.into_future()).await?.into_iter().map(document).collect()
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let filter = compile(select)?.filter;
        self.connection.known(select.collection).await?;
        let documents = self.connection.collection(select.collection);
        let count = documents.count_documents(filter);
        let count = count.max_time(self.connection.settings().operation_timeout);
        self.connection.run(count.into_future()).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        commit::Prepared::new(batch)?.commit(&self.connection).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        idempotency::reserve(&self.connection, reserve).await
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        idempotency::release(&self.connection, key, token).await
    }

    async fn purge_expired(&self, limit: u32) -> Result<u64> {
        idempotency::purge_expired(&self.connection, limit).await
    }

    async fn own_history(&self) -> Result<History> {
        let applied = migrate::applied(&self.connection, Owner::Framework).await?;
        Ok(History { expected: schema::own(), applied })
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        migrate::applied(&self.connection, Owner::Application).await
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        migrate::migrate(&self.connection, migrations, now).await
    }

    async fn ping(&self) -> Result<Details> {
        let told = self.connection.ask(doc! { "buildInfo": 1 }).await?;
        Ok(told.get_str("version").map_or_else(|_| Details::new(), Details::of_version))
    }

    async fn close(&self) {
        self.connection.close().await;
    }
}

fn document(mut found: Bson) -> Result<Document> {
    let body = match found.remove(BODY) {
        Some(mongodb::bson::Bson::Document(body)) => body,
        _ => return Err(Error::internal("a stored document has no body")),
    };
    let nulls = found.get_array(NULLS).map(Vec::as_slice).unwrap_or_default();
    Ok(Document {
        id: found.text("_id")?,
        version: found.whole("version")?.cast_unsigned(),
        created_at: found.moment("created_at")?,
        updated_at: found.moment("updated_at")?,
        body: json::text(body, nulls)?,
    })
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore").field("database", self.connection.location()).finish_non_exhaustive()
    }
}
