//! The schema: the framework's own collections, then the application's, under a lock.
//!
//! MongoDB has no transaction for changes of the schema. So each step is written down before it is done, together with
//! what takes it back: a step that fails takes back those before it, and where the process died in between, or it is not
//! known whether a step was done, whoever has the lock next does. A command of the application's own is taken back only
//! when it creates a collection or indexes; any other should be one that can be run twice.
//!
//! The lock is a lease, and every step is fenced by it: it is renewed with what is written down before the step, who
//! could not renew it in time begins no other, and that a migration was applied is written in one transaction with the
//! lock. A command that the server is at when its process loses the lock is nobody's to stop.

mod step;

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Migration, MigrationRun, Migrations};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::connection::Connection;
use super::error::{error, is_duplicate};
use super::fields::{Fields, after, either, literal, nobody_holds, uuid};
use super::schema::{self, MIGRATIONS};
use super::transaction::{ATTEMPTS_MAX, Refusal, Transacted, transact};
use crate::owner::Owner;

/// The document that is the lock.
const LOCK: &str = "lock";
/// How long the lock of a process outlives it. A replica set that is busy with the migration may be slow to renew it.
const LOCK_TTL: Duration = Duration::from_secs(20);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How long that may take.
const RENEWAL_LIMIT: Duration = Duration::from_secs(5);
/// How long the lock is waited for although the database does not answer: a transaction of a dead process, which has
/// written that its migration was applied, may hold it until the server ends that.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a lock that somebody else has is asked for.
const PAUSE: Duration = Duration::from_millis(100);

/// What was applied, oldest first; nothing when the database is new.
pub(super) async fn applied(connection: &Connection, owner: Owner) -> Result<Vec<AppliedMigration>> {
    let migrations = connection.collection(MIGRATIONS);
    let all = migrations.find(doc! { "owner": owner.name() }).sort(doc! { "version": 1 });
    let read = |found: &Document| {
        Ok(AppliedMigration {
            version: found.number("version")?,
            name: found.text("name")?,
            checksum: found.text("checksum")?,
            applied_at: found.moment("applied_at")?,
        })
    };
    connection.all(all.into_future()).await?.iter().map(read).collect()
}

/// Applies what is missing; touches nothing when nothing is.
pub(super) async fn migrate(
    connection: &Connection,
    migrations: &[Migration],
    at: Timestamp,
) -> Result<MigrationRun> {
    Migrations::validate(migrations)?;
    apply_missing(connection, Owner::Framework, &schema::own(), at).await?;
    let applied = apply_missing(connection, Owner::Application, migrations, at).await?;
    Ok(MigrationRun { applied })
}

async fn apply_missing(
    connection: &Connection,
    owner: Owner,
    migrations: &[Migration],
    at: Timestamp,
) -> Result<Vec<u32>> {
    let done = applied(connection, owner).await?;
    let mut is_any_missing = false;
    for migration in migrations {
        is_any_missing |= !migration.is_applied(&done)?;
    }
    if !is_any_missing {
        return Ok(Vec::new());
    }
    let lock = Lock::take(connection).await?;
    let outcome = lock.while_held(apply_all(&lock, owner, migrations, at)).await;
    connection.forget_known();
    // What may still be done is not taken back by others before the lock is over.
    if !outcome.as_ref().is_err_and(|cause| cause.kind() == ErrorKind::Unavailable) {
        lock.give_back().await;
    }
    outcome
}

async fn apply_all(
    lock: &Lock<'_>,
    owner: Owner,
    migrations: &[Migration],
    at: Timestamp,
) -> Result<Vec<u32>> {
    lock.take_back().await?;
    let mut versions = Vec::new();
    for migration in migrations {
        // Another process may have applied it meanwhile.
        if migration.is_applied(&applied(lock.connection, owner).await?)? {
            continue;
        }
        let outcome = apply(lock, owner, migration, at).await;
        match outcome {
            Ok(()) => versions.push(migration.version),
            // It may have been done, or still be done; whoever is next looks when it is over.
            Err(cause) if cause.kind() == ErrorKind::Unavailable => return Err(cause),
            Err(cause) => {
                if let Err(cause) = lock.take_back().await {
                    tracing::warn!(error = %cause, "what the migration had done is taken back by the next run");
                }
                return Err(migration.failed(cause));
            }
        }
    }
    Ok(versions)
}

async fn apply(lock: &Lock<'_>, owner: Owner, migration: &Migration, at: Timestamp) -> Result<()> {
    let id = format!("{}/{}", owner.name(), migration.version);
    for step in &migration.steps {
        let Some((command, takes_back)) = step::plan(lock.connection, step).await? else { continue };
        lock.write_down(&id, takes_back).await?;
        step::run(lock.connection, command).await?;
    }
    let record = doc! {
        "_id": &id,
        "owner": owner.name(),
        "version": i64::from(migration.version),
        "name": migration.name,
        "checksum": migration.checksum(),
        "applied_at": at.unix_micros(),
    };
    transact(lock.connection, ATTEMPTS_MAX, Applied { lock, record }).await
}

/// That a migration was applied, written with the lock by which it was.
struct Applied<'l> {
    lock: &'l Lock<'l>,
    record: Document,
}

impl Transacted for Applied<'_> {
    type Output = ();

    async fn attempt(&mut self, session: &mut ClientSession, _: u32) -> Result<(), Refusal> {
        let migrations = self.lock.connection.collection(MIGRATIONS);
        let forget = migrations.update_one(self.lock.own(), vec![forget()]).session(&mut *session);
        if forget.await?.matched_count != 1 {
            return Err(taken_over().into());
        }
        migrations.insert_one(&self.record).session(session).await?;
        Ok(())
    }
}

/// The stage of an update by which nothing would have to be taken back any more.
fn forget() -> Document {
    doc! { "$unset": ["migration", "takes_back"] }
}

/// The code of the error of who has lost the lock.
const TAKEN_OVER: &str = "store.migration_taken_over";

fn taken_over() -> Error {
    let detail = "another process has taken over the migration; look at what it says";
    Error::new(ErrorKind::Unavailable, TAKEN_OVER, detail)
}

/// The right to change the schema; and what would have to be taken back.
struct Lock<'c> {
    connection: &'c Connection,
    holder: Uuid,
}

impl<'c> Lock<'c> {
    /// Waits until nobody else has it.
    async fn take(connection: &'c Connection) -> Result<Self> {
        let lock = Self { connection, holder: Ids::random().next_uuid() };
        // The filter of an upsert may not ask the server's clock, so the update does.
        let is_free = nobody_holds();
        let take = doc! { "$set": {
            "holder": either(is_free.clone(), literal(uuid(lock.holder)), "$holder"),
            "expires_at": either(is_free, after(LOCK_TTL), "$expires_at"),
        } };
        let migrations = connection.collection(MIGRATIONS);
        let mut last = Instant::now();
        loop {
            let taken = migrations.find_one_and_update(doc! { "_id": LOCK }, vec![take.clone()]);
            let taken = taken.upsert(true).return_document(ReturnDocument::After);
            match connection.tried(taken.into_future()).await {
                Ok(Ok(Some(taken))) if taken.id_if_any("holder")? == Some(lock.holder) => return Ok(lock),
                Ok(Ok(_)) => last = Instant::now(),
                Ok(Err(cause)) if is_duplicate(&cause) => last = Instant::now(),
                Ok(Err(cause)) => lock.is_waited_for(last, error(cause))?,
                // The server may take it for this holder all the same, who finds it then.
                Err(cause) => lock.is_waited_for(last, cause)?,
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether the database may answer yet, which last did so then.
    fn is_waited_for(&self, last: Instant, cause: Error) -> Result<()> {
        let is_over = cause.kind() != ErrorKind::Unavailable || last.elapsed() > PATIENCE;
        self.connection.is_closed()?;
        if is_over { Err(cause) } else { Ok(()) }
    }

    /// Does work that takes as long as it takes, and keeps the lock meanwhile.
    async fn while_held<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let renewals = async {
            let mut last = Instant::now();
            loop {
                sleep(RENEWAL).await;
                let asked = Instant::now();
                match self.update(Vec::new()).await {
                    Ok(_) => last = asked,
                    // Another try has to be over before the lock is.
                    Err(cause)
                        if cause.code() == TAKEN_OVER || last.elapsed() + RENEWAL_LIMIT * 2 > LOCK_TTL =>
                    {
                        return cause;
                    }
                    Err(cause) => tracing::debug!(error = %cause, "the lock of the schema was not renewed"),
                }
            }
        };
        tokio::select! {
            outcome = work => outcome,
            cause = renewals => Err(cause),
        }
    }

    async fn write_down(&self, migration: &str, takes_back: Vec<Document>) -> Result<()> {
        let known = doc! { "$ifNull": ["$takes_back", []] };
        let more = doc! { "$concatArrays": [known, literal(takes_back)] };
        let note = doc! { "$set": { "migration": literal(migration), "takes_back": more } };
        self.update(vec![note]).await.map(drop)
    }

    /// Takes back what a migration did that was not applied to its end.
    async fn take_back(&self) -> Result<()> {
        // What an update answers is what the primary has now; a read might answer what was there before an election.
        let lock = self.update(Vec::new()).await?;
        let Ok(steps) = lock.get_array("takes_back") else { return Ok(()) };
        for step in steps.iter().rev().filter_map(|step| step.as_document()) {
            self.update(Vec::new()).await?;
            step::take_back(self.connection, step.clone()).await?;
        }
        self.update(vec![forget()]).await.map(drop)
    }

    async fn give_back(&self) {
        // Who cannot be told learns it by the clock.
        if let Err(cause) = self.update(vec![doc! { "$unset": "holder" }]).await {
            tracing::debug!(error = %cause, "the lock of the schema was not given back");
        }
    }

    /// Renews it, and changes what it says; gives what it says then.
    async fn update(&self, mut update: Vec<Document>) -> Result<Document> {
        update.insert(0, doc! { "$set": { "expires_at": after(LOCK_TTL) } });
        let migrations = self.connection.collection(MIGRATIONS);
        let update = migrations.find_one_and_update(self.own(), update);
        let update = update.return_document(ReturnDocument::After).into_future();
        // Whoever has all connections does not take the lock away.
        let said = self.connection.at_once(RENEWAL_LIMIT, update).await?.map_err(error)?;
        said.ok_or_else(taken_over)
    }

    fn own(&self) -> Document {
        doc! { "_id": LOCK, "holder": uuid(self.holder) }
    }
}
