//! A batch: whole where it can be, in order where it must be.

use std::fmt;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Completion, OutboxMessage, Write, check_name};
use neuroglia::error::{Error, Result, VersionConflict};
use neuroglia::work::{Finish, NewWork, lost};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::sleep;
use tracing::Instrument;

use super::connections::Lease;
use super::error::{code, error, is_collision, is_of_connection, unknown_outcome};
use super::whole::{CONFLICT, Whole, bind_completion, bind_messages, completion, messages};
use super::{ENGINE, work};
use crate::step::{StepFuture, own_step};
use crate::to_the_end::ToTheEnd;

/// The application's own statements in a batch; made by [`statement`].
pub struct PostgresStep(Box<dyn for<'c> FnOnce(&'c mut PgConnection) -> StepFuture<'c> + Send + Sync>);

impl fmt::Debug for PostgresStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStep")
    }
}

/// Statements of the application's own, run on the batch's connection, inside its transaction, after everything
/// else; an error takes the whole batch back.
///
/// The batch holds its locks meanwhile, so a step waits for nothing but its statements. A batch with a step that
/// meets a deadlock is not tried again by the engine; it is
/// [`ErrorKind::Unavailable`](neuroglia::error::ErrorKind::Unavailable), and nothing of it was kept.
///
/// ```
/// use neuroglia::data::UnitOfWork;
/// use neuroglia::error::Result;
/// use neuroglia_backing::postgres::{self, sqlx};
///
/// fn count_sale(work: &UnitOfWork, pizza: String) -> Result<()> {
///     let step = postgres::statement(move |connection| {
///         Box::pin(async move {
///             sqlx::query("UPDATE sales SET sold = sold + 1 WHERE pizza = $1")
///                 .bind(pizza)
///                 .execute(connection)
///                 .await
///                 .map_err(postgres::error)?;
///             Ok(())
///         })
///     });
///     work.native(postgres::ENGINE, step)
/// }
/// ```
pub fn statement<F>(step: F) -> PostgresStep
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> StepFuture<'c> + Send + Sync + 'static,
{
    PostgresStep(Box::new(step))
}

/// How often a batch is begun that others get in the way of.
const ATTEMPTS_MAX: u32 = 5;
/// The longest pause after the first collision; later ones are longer.
const PAUSE: Duration = Duration::from_millis(20);
/// A unique value is taken.
const UNIQUE: &str = "23505";

/// A batch that this engine can carry out.
pub(super) struct Prepared {
    pub(super) at: Timestamp,
    pub(super) writes: Vec<Write>,
    pub(super) outbox: Vec<OutboxMessage>,
    pub(super) work: Vec<NewWork>,
    pub(super) finish: Option<Finish>,
    pub(super) completion: Option<Completion>,
    steps: Vec<PostgresStep>,
}

/// Why a transaction was taken back.
enum Refusal {
    /// Others got in the way; the same again may succeed.
    Collision(sqlx::Error),
    /// It cannot be.
    Final(Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(cause: sqlx::Error) -> Self {
        if is_collision(&cause) { Self::Collision(cause) } else { Self::Final(error(cause)) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

impl Prepared {
    /// Refuses what this engine cannot do, before anything is done.
    pub(super) fn new(batch: Batch) -> Result<Self> {
        let Batch { at, writes, outbox, work, finish, completion, native } = batch;
        writes.iter().try_for_each(|write| check_name(write.collection))?;
        let steps =
            native.into_iter().map(|step| own_step(ENGINE, "statement", step)).collect::<Result<_>>()?;
        Ok(Self { at, writes, outbox, work, finish, completion, steps })
    }

    /// Carries it out to its end, also when the caller goes away.
    pub(super) async fn commit(self, lease: Lease) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        ToTheEnd::of(self.commit_here(lease).in_current_span()).await
    }

    /// Whether it may be carried out together with others: the end of a piece of work, with nothing that has to come
    /// after it.
    pub(super) fn may_join(&self) -> bool {
        self.finish.is_some() && self.steps.is_empty() && self.work.iter().all(|work| work.key.is_none())
    }

    fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.outbox.is_empty()
            && self.work.is_empty()
            && self.finish.is_none()
            && self.completion.is_none()
            && self.steps.is_empty()
    }

    async fn commit_here(mut self, mut lease: Lease) -> Result<()> {
        // Steps run once, so a batch that has some is not begun again.
        let attempts_max = if self.steps.is_empty() { ATTEMPTS_MAX } else { 1 };
        let mut attempt = 1;
        loop {
            let collision = match self.attempt(&mut lease).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Collision(cause)) => cause,
            };
            if attempt >= attempts_max {
                return Err(error(collision));
            }
            sleep(PAUSE.mul_f64(f64::from(attempt) * fastrand::f64())).await;
            attempt += 1;
        }
    }

    async fn attempt(&mut self, lease: &mut Lease) -> Result<(), Refusal> {
        if self.steps.is_empty()
            && let Some(whole) = Whole::of(std::slice::from_ref(self))
        {
            let Err(cause) = lease.carry_out(&whole).await else {
                return Ok(());
            };
            if is_of_connection(&cause) {
                return Err(unknown_outcome(cause).into());
            }
            // Carried out in order it shows which step is refused, or succeeds because others have moved.
            let shows = match code(&cause).as_deref() {
                Some(CONFLICT) => true,
                Some(UNIQUE) => !whole.is_one_write(),
                _ => false,
            };
            if !shows {
                return Err(cause.into());
            }
        }
        match lease.transact(async |connection| self.in_order(connection).await).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(error.into()),
            Err(late) => Err(unknown_outcome(late).into()),
        }
    }

    /// Gives the batch's own outcome, or the error that the connection did not survive.
    async fn in_order(&mut self, connection: &mut PgConnection) -> Result<Result<(), Refusal>> {
        let mut transaction = connection.begin().await.map_err(error)?;
        match self.run(&mut transaction).await {
            Ok(()) => match transaction.commit().await {
                Err(cause) if is_of_connection(&cause) => Err(unknown_outcome(cause)),
                outcome => Ok(outcome.map_err(Refusal::from)),
            },
            Err(refusal) => match (transaction.rollback().await, refusal) {
                (Ok(()), refusal) => Ok(Err(refusal)),
                (Err(_), Refusal::Final(error)) => Err(error),
                (Err(_), Refusal::Collision(cause)) => Err(error(cause)),
            },
        }
    }

    async fn run(&mut self, connection: &mut PgConnection) -> Result<(), Refusal> {
        for change in &self.writes {
            write(connection, change, self.at).await?;
        }
        if !self.outbox.is_empty() {
            let sql = messages(1, "(SELECT nextval('ng_outbox_batch'))");
            let messages: Vec<_> = self.outbox.iter().collect();
            let query = bind_messages(sqlx::query(AssertSqlSafe(sql)), &messages);
            query.execute(&mut *connection).await?;
        }
        if let Some(end) = &self.finish {
            let query = work::bind_finish(sqlx::query(AssertSqlSafe(work::finish(1))), &[end]);
            if query.execute(&mut *connection).await?.rows_affected() != 1 {
                return Err(lost(end.ticket).into());
            }
        }
        if !self.work.is_empty() {
            let work: Vec<_> = self.work.iter().collect();
            let query = work::bind_new(sqlx::query(AssertSqlSafe(work::new(1, "true"))), &work);
            query.execute(&mut *connection).await?;
        }
        if let Some(kept) = &self.completion {
            let query = bind_completion(sqlx::query(AssertSqlSafe(completion(1))), &[kept]);
            if query.execute(&mut *connection).await?.rows_affected() != 1 {
                return Err(kept.lost().into());
            }
        }
        if self.steps.is_empty() {
            return Ok(());
        }
        for PostgresStep(step) in self.steps.drain(..) {
            step(connection).await?;
        }
        // After a statement that failed PostgreSQL takes everything back and calls that a commit. A step that
        // swallowed such an error must not pass for a success.
        sqlx::query("SELECT 1").execute(connection).await?;
        Ok(())
    }
}

async fn write(connection: &mut PgConnection, change: &Write, at: Timestamp) -> Result<(), Refusal> {
    let Write { collection, id, change } = change;
    let at = at.unix_micros();
    let insert = format!(
        "INSERT INTO \"{collection}\" (id, version, created_at, updated_at, body) \
         VALUES ($1, 0, $2, $2, $3::text::jsonb) ON CONFLICT (id) DO NOTHING"
    );
    let update = format!(
        "UPDATE \"{collection}\" SET version = version + 1, updated_at = $3, body = $4::text::jsonb \
         WHERE id = $1 AND version = $2"
    );
    let delete = format!("DELETE FROM \"{collection}\" WHERE id = $1 AND version = $2");
    let query = match change {
        Change::Insert { body } => sqlx::query(AssertSqlSafe(insert)).bind(id).bind(at).bind(body),
        Change::Update { expected, body } => {
            sqlx::query(AssertSqlSafe(update)).bind(id).bind(expected.cast_signed()).bind(at).bind(body)
        }
        Change::Delete { expected } => {
            sqlx::query(AssertSqlSafe(delete)).bind(id).bind(expected.cast_signed())
        }
    };
    if query.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(());
    }
    let version = format!("SELECT version FROM \"{collection}\" WHERE id = $1");
    let actual: Option<i64> =
        sqlx::query_scalar(AssertSqlSafe(version)).bind(id).fetch_optional(&mut *connection).await?;
    Err(Error::version_conflict(VersionConflict {
        collection: (*collection).into(),
        id: id.clone(),
        expected: change.expected(),
        actual: actual.map(i64::cast_unsigned),
    })
    .into())
}
