//! The schema: the framework's own collections, then the application's, under a lock.
//!
//! MongoDB has no transaction for changes of the schema. So each step is written down before it is done, together with
//! what takes it back: a step that fails takes back those before it, and where the process died in between, whoever
//! has the lock next does. A command of the application's own is taken back only when it creates a collection or
//! indexes; any other should be one that can be run twice.

mod step;

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Migration, MigrationRun, Migrations};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use tokio::time::sleep;
use uuid::Uuid;

use super::connection::Connection;
use super::error::{error, is_duplicate};
use super::fields::{Fields, after, either, literal, nobody_holds, uuid};
use super::schema::{self, MIGRATIONS};
use crate::owner::Owner;

/// The document that is the lock.
const LOCK: &str = "lock";
/// How long the lock of a process outlives it.
const LOCK_TTL: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
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
    lock.give_back().await;
    connection.forget_known();
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
        if let Err(cause) = outcome {
            lock.take_back().await?;
            return Err(if cause.kind() == ErrorKind::Unavailable { cause } else { migration.failed(cause) });
        }
        versions.push(migration.version);
    }
    Ok(versions)
}

async fn apply(lock: &Lock<'_>, owner: Owner, migration: &Migration, at: Timestamp) -> Result<()> {
    let id = format!("{}/{}", owner.name(), migration.version);
    for step in &migration.steps {
        let Some((command, takes_back)) = step::plan(lock.connection, step).await? else { continue };
        if !takes_back.is_empty() {
            lock.write_down(&id, takes_back).await?;
        }
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
    let migrations = lock.connection.collection(MIGRATIONS);
    lock.connection.run(migrations.insert_one(record).into_future()).await?;
    lock.forget().await
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
        loop {
            let taken = migrations.find_one_and_update(doc! { "_id": LOCK }, vec![take.clone()]);
            let taken = taken.upsert(true).return_document(ReturnDocument::After);
            match connection.tried(taken.into_future()).await? {
                Ok(Some(taken)) if taken.id("holder")? == lock.holder => return Ok(lock),
                Ok(_) => sleep(PAUSE).await,
                Err(cause) if is_duplicate(&cause) => sleep(PAUSE).await,
                Err(cause) => return Err(error(cause)),
            }
        }
    }

    /// Does work that takes as long as it takes, and keeps the lock meanwhile.
    async fn while_held<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let renewals = async {
            loop {
                sleep(RENEWAL).await;
                let renewed = self.update(vec![doc! { "$set": { "expires_at": after(LOCK_TTL) } }]).await;
                if let Err(cause) = renewed {
                    return cause;
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
        self.update(vec![doc! { "$set": { "migration": migration, "takes_back": more } }]).await
    }

    /// Takes back what a migration did that was not applied to its end.
    async fn take_back(&self) -> Result<()> {
        let migrations = self.connection.collection(MIGRATIONS);
        let lock = self.connection.run(migrations.find_one(doc! { "_id": LOCK }).into_future()).await?;
        let Some(steps) = lock.as_ref().and_then(|lock| lock.get_array("takes_back").ok()) else {
            return Ok(());
        };
        let migration = lock.as_ref().map(|lock| lock.text("migration")).transpose()?;
        let applied =
            self.connection.run(migrations.find_one(doc! { "_id": migration }).into_future()).await?;
        if applied.is_none() {
            for step in steps.iter().rev().filter_map(|step| step.as_document()) {
                step::take_back(self.connection, step.clone()).await?;
            }
        }
        self.forget().await
    }

    async fn forget(&self) -> Result<()> {
        self.update(vec![doc! { "$unset": ["migration", "takes_back"] }]).await
    }

    async fn give_back(&self) {
        // Who cannot be told learns it by the clock.
        if let Err(cause) = self.update(vec![doc! { "$unset": "holder" }]).await {
            tracing::debug!(error = %cause, "the lock of the schema was not given back");
        }
    }

    async fn update(&self, update: Vec<Document>) -> Result<()> {
        let own = doc! { "_id": LOCK, "holder": uuid(self.holder) };
        let migrations = self.connection.collection(MIGRATIONS);
        let update = migrations.update_one(own, update);
        match self.connection.run(update.into_future()).await?.matched_count {
            1 => Ok(()),
            _ => {
                Err(Error::unavailable("another process has taken over the migration; look at what it says"))
            }
        }
    }
}
