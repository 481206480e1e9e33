//! A batch as part of a transaction.

use std::fmt;
use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Completion, OutboxMessage, Write};
use neuroglia::error::{Error, Result, VersionConflict};
use neuroglia::work::{Finish, NewWork};
use sqlx::SqliteConnection;

use super::error::{error, in_collection};
use super::statements::{Catalogue, Statements};
use super::{ENGINE, outbox, work};
use crate::step::{StepFuture, own_step};

/// The application's own statements in a batch; made by [`statement`].
pub struct SqliteStep(Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c> + Send + Sync>);

impl fmt::Debug for SqliteStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStep")
    }
}

/// Statements of the application's own, run on the batch's connection, inside its transaction, after everything
/// else; an error takes the whole batch back.
///
/// Nobody else writes meanwhile, so a step waits for nothing but its statements. Other batches may share the
/// transaction, and a step that ends it, by `ON CONFLICT ROLLBACK` or a reference that only the commit finds broken,
/// takes them back as well.
///
/// ```
/// use neuroglia::data::UnitOfWork;
/// use neuroglia::error::Result;
/// use neuroglia_backing::sqlite::{self, sqlx};
///
/// fn count_sale(work: &UnitOfWork, pizza: String) -> Result<()> {
///     let step = sqlite::statement(move |connection| {
///         Box::pin(async move {
///             sqlx::query("UPDATE sales SET sold = sold + 1 WHERE pizza = ?")
///                 .bind(pizza)
///                 .execute(connection)
///                 .await
///                 .map_err(sqlite::error)?;
///             Ok(())
///         })
///     });
///     work.native(sqlite::ENGINE, step)
/// }
/// ```
pub fn statement<F>(step: F) -> SqliteStep
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c> + Send + Sync + 'static,
{
    SqliteStep(Box::new(step))
}

/// A batch that this engine can carry out, with the statements that it needs.
pub(super) struct Prepared {
    at: Timestamp,
    writes: Vec<(Arc<Statements>, Write)>,
    outbox: Vec<OutboxMessage>,
    work: Vec<NewWork>,
    finish: Option<Finish>,
    completion: Option<Completion>,
    steps: Vec<SqliteStep>,
}

impl Prepared {
    /// Refuses what this engine cannot do, before anything is done.
    pub(super) fn new(batch: Batch, catalogue: &Catalogue) -> Result<Self> {
        let Batch { at, writes, outbox, work, finish, completion, native } = batch;
        let writes = writes.into_iter().map(|write| Ok((catalogue.of(write.collection)?, write)));
        Ok(Self {
            at,
            writes: writes.collect::<Result<_>>()?,
            outbox,
            work,
            finish,
            completion,
            steps: native
                .into_iter()
                .map(|step| own_step(ENGINE, "statement", step))
                .collect::<Result<_>>()?,
        })
    }

    /// Carries it out at this time, by the store's clock.
    pub(super) async fn run(self, connection: &mut SqliteConnection, now: Timestamp) -> Result<()> {
        for (statements, change) in self.writes {
            write(connection, &statements, change, self.at).await?;
        }
        outbox::send(connection, &self.outbox).await?;
        // What ends gives its key back, so that it may ask for its own successor.
        if let Some(finish) = self.finish {
            work::finish(connection, finish, now).await?;
        }
        for work in &self.work {
            work::add(connection, work, now).await?;
        }
        if let Some(completion) = self.completion {
            complete(connection, completion, now).await?;
        }
        for SqliteStep(step) in self.steps {
            sqlx::query("SAVEPOINT ng_step").execute(&mut *connection).await.map_err(error)?;
            step(connection).await?;
            // A step that swallows the end of the transaction must not pass for a success, nor what comes after it be
            // kept by itself.
            let release = sqlx::query("RELEASE ng_step").execute(&mut *connection).await;
            release.map_err(|cause| {
                Error::internal("a step ended the transaction of its batch").with_source(cause)
            })?;
        }
        Ok(())
    }
}

async fn write(
    connection: &mut SqliteConnection,
    statements: &Statements,
    Write { collection, id, change }: Write,
    at: Timestamp,
) -> Result<()> {
    let at = at.unix_micros();
    let expected = change.expected();
    let query = match change {
        Change::Insert { body } => sqlx::query(statements.insert.clone()).bind(&*id).bind(at).bind(body),
        Change::Update { expected, body } => {
            sqlx::query(statements.update.clone()).bind(&*id).bind(expected.cast_signed()).bind(at).bind(body)
        }
        Change::Delete { expected } => {
            sqlx::query(statements.delete.clone()).bind(&*id).bind(expected.cast_signed())
        }
    };
    let outcome = query.execute(&mut *connection).await;
    let refused = match outcome {
        Ok(done) if done.rows_affected() == 1 => return Ok(()),
        Ok(_) => None,
        Err(cause) if cause.as_database_error().is_some_and(|cause| cause.is_unique_violation()) => {
            Some(cause)
        }
        Err(cause) => return Err(in_collection(collection, cause)),
    };
    let actual = sqlx::query_scalar::<_, i64>(statements.version.clone())
        .bind(&*id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(error)?
        .map(i64::cast_unsigned);
    Err(match refused {
        // The version is as expected, so it was another unique value that is taken.
        Some(cause) if actual == expected => in_collection(collection, cause),
        _ => Error::version_conflict(VersionConflict { collection: collection.into(), id, expected, actual }),
    })
}

async fn complete(connection: &mut SqliteConnection, completion: Completion, now: Timestamp) -> Result<()> {
    let done = sqlx::query(
        "UPDATE ng_idempotency SET response = ?3, expires_at = ?4 WHERE key = ?1 AND token = ?2 AND response IS NULL",
    )
    .bind(&*completion.key)
    .bind(&*completion.token)
    .bind(&*completion.response)
    .bind((now + completion.keep).unix_micros())
    .execute(connection)
    .await
    .map_err(error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(completion.lost()) }
}
