//! The one store port: documents, outbox, idempotency records and migrations of one engine.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{AppliedMigration, History, Migration, MigrationRun, Select};
use crate::clock::Timestamp;
use crate::cluster::ClusterStore;
use crate::error::{Error, Result};
use crate::health::Details;
use crate::messaging::OutboxStore;
use crate::work::{Finish, NewWork, WorkStore};

/// A store engine. `DATABASE_URL` chooses which; the conformance suite of `neuroglia-testing` says what each
/// must do.
///
/// # Errors
/// Every method gives [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when the engine cannot
/// be reached in time; that is never the same as "not found".
#[async_trait]
pub trait Store: OutboxStore + WorkStore + ClusterStore + Send + Sync + 'static {
    /// The engine's name, such as `sqlite`.
    fn engine(&self) -> &'static str;

    /// Whether what is stored ends with the process; such a store is migrated at every start.
    fn is_ephemeral(&self) -> bool {
        false
    }

    /// The document with this id, as committed.
    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>>;

    /// The documents that match, sorted, at most [`Select::limit`] of them; each value goes to the engine as a
    /// parameter.
    async fn query(&self, select: &Select) -> Result<Vec<Document>>;

    /// The answers to several [`queries`](Store::query), in their order; an engine that can asks them in one round trip,
    /// of one state.
    async fn query_all(&self, selects: &[Select]) -> Result<Vec<Vec<Document>>> {
        let mut answers = Vec::with_capacity(selects.len());
        for select in selects {
            answers.push(self.query(select).await?);
        }
        Ok(answers)
    }

    /// How many documents match, whatever the limit.
    async fn count(&self, select: &Select) -> Result<u64>;

    /// Carries out the whole batch, or nothing of it.
    ///
    /// # Errors
    /// [`Error::version_conflict`](crate::error::Error::version_conflict) with expected and actual version, with
    /// kind `NotFound` when an update or a delete finds no document;
    /// [`Error::duplicate`](crate::error::Error::duplicate) naming the unique index.
    async fn commit(&self, batch: Batch) -> Result<()>;

    /// Takes an idempotency key, unless it is taken. Whether the time of one is over is judged by the store's clock.
    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation>;

    /// Gives back a key that was taken with this token and not completed.
    async fn release(&self, key: &str, token: &str) -> Result<()>;

    /// Deletes idempotency records that have expired, at most so many; gives their number.
    async fn purge_expired(&self, limit: u32) -> Result<u64>;

    /// The history of the engine's own tables, such as the outbox: what this release of the engine expects, and
    /// what [`Store::migrate`] has applied of it. Empty for an engine that has none to migrate.
    async fn own_history(&self) -> Result<History> {
        Ok(History::default())
    }

    /// The migrations that have been applied, oldest first; none when the store is empty.
    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>>;

    /// Applies those that are missing, in order, under a lock: two at once apply each once.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::error::ErrorKind::Conflict) when an applied migration has another checksum
    /// than the expected one.
    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun>;

    /// Whether the engine answers, and what operators may know of it, such as its version.
    async fn ping(&self) -> Result<Details>;

    /// Gives back connections and files; later calls fail as unavailable.
    async fn close(&self);
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its key in the collection.
    pub id: String,
    /// 0 when it was inserted, one more with each update.
    pub version: u64,
    /// When it was inserted.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Its content: a JSON object.
    pub body: String,
}

/// Everything that one unit of work changes.
#[derive(Debug, Default)]
pub struct Batch {
    /// The time of the change.
    pub at: Timestamp,
    /// Documents.
    pub writes: Vec<Write>,
    /// Messages for outside.
    pub outbox: Vec<OutboxMessage>,
    /// Jobs that are asked for. One whose key another unfinished job of its kind has is passed over.
    pub work: Vec<NewWork>,
    /// The end of the piece of work whose effects the batch has; when its ticket was lost, the batch fails as
    /// [`lost`](crate::work::lost).
    pub finish: Option<Finish>,
    /// The answer to be kept for an idempotency key.
    pub completion: Option<Completion>,
    /// The application's own statements, run last, on the engine's connection inside the transaction.
    pub native: Vec<NativeStep>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.outbox.is_empty()
            && self.work.is_empty()
            && self.finish.is_none()
            && self.completion.is_none()
            && self.native.is_empty()
    }
}

/// One document's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The collection.
    pub collection: &'static str,
    /// The document's key.
    pub id: String,
    /// What happens to it.
    pub change: Change,
}

/// What happens to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new one, with version 0.
    Insert {
        /// Its content.
        body: String,
    },
    /// Another content for the version that was read; the version grows by one.
    Update {
        /// The version that was read.
        expected: u64,
        /// Its new content.
        body: String,
    },
    /// The end of the version that was read.
    Delete {
        /// The version that was read.
        expected: u64,
    },
}

impl Change {
    /// The version that the writer had read.
    pub fn expected(&self) -> Option<u64> {
        match self {
            Self::Insert { .. } => None,
            Self::Update { expected, .. } | Self::Delete { expected } => Some(*expected),
        }
    }
}

/// An event on its way out: kept with the change that raised it, sent after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The message's id; a consumer recognises a repeated delivery by it.
    pub id: Uuid,
    /// The event's stable name, such as `order.created`.
    pub name: String,
    /// The version of its data.
    pub version: u32,
    /// The id of the aggregate that raised it; messages of one subject keep their order.
    pub subject: String,
    /// Its data as JSON text.
    pub data: String,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// The W3C `traceparent` of the span that raised it.
    pub traceparent: Option<String>,
    /// When it was raised.
    pub at: Timestamp,
}

/// An idempotency key to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// Whose key it is, the key, and the message that it is used for.
    pub key: String,
    /// A digest of what was asked.
    pub fingerprint: String,
    /// Known to the taker only: completion and release must show it.
    pub token: String,
    /// After how long a taker that was never heard of again loses the key.
    pub hold: Duration,
}

/// What [`Store::reserve`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Nobody had it: it is taken now.
    Taken,
    /// Somebody has it and has not finished.
    Running {
        /// The digest of what they were asked.
        fingerprint: String,
    },
    /// It has been answered.
    Done {
        /// The digest of what was asked.
        fingerprint: String,
        /// The answer, as JSON text.
        response: String,
    },
}

/// The answer of a taken idempotency key, kept with the change that it reports.
///
/// A batch whose token no longer holds the key fails as a conflict with the code `idempotency.lost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The key.
    pub key: String,
    /// The token that it was taken with.
    pub token: String,
    /// The answer, as JSON text.
    pub response: String,
    /// How long it is kept.
    pub keep: Duration,
}

impl Completion {
    /// The error of a batch whose token no longer holds the key.
    pub fn lost(&self) -> Error {
        Error::conflict(
            "idempotency.lost",
            "the request took so long that another with its idempotency key has begun; nothing was changed",
        )
    }
}

/// A statement of the application's own, in the terms of one engine.
///
/// The engine's crate says what `step` must be and offers a function that makes one.
pub struct NativeStep {
    /// The engine that understands it; another refuses the batch.
    pub engine: &'static str,
    /// What that engine runs.
    pub step: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for NativeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeStep for {}", self.engine)
    }
}
