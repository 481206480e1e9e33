//! The one connection that writes, and who shares a transaction on it.
//!
//! A commit waits for the disk, whatever is in it. So those who wait for their turn at the same time go together: one
//! transaction, each under a savepoint of its own, and one wait for the disk. Nobody waits for company: a group is who
//! is there when the connection is free.
//!
//! - **Each for itself.** One that fails, or panics, is rolled back to its savepoint and told its own error; the others
//!   go on. Later ones read what earlier ones wrote, which is right because they are committed together or not at all.
//! - **Answered is on the disk.** Nobody hears of success before the commit has returned. When it fails, all hear that
//!   the store was unavailable, also who had been refused, maybe because of what was not kept. The same holds when the
//!   transaction is lost on the way, by a full disk or by an application's `ON CONFLICT ROLLBACK`; who has not begun by
//!   then begins in the next one.
//! - **A place is left, a turn is not.** A caller that goes away while it waits has changed nothing; one that goes away
//!   later only does not hear the outcome.
//! - **Some go alone**, outside of any transaction: what applies migrations, and what must not wait for the disk.
//!
//! The connection is worked by a task that begins with the first who asks and ends when nobody waits.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use neuroglia::error::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span};

use super::connections::{closed, connect, exhausted, note};
use super::error::{error, is_of_statement};
use super::options::SqliteOptions;
use crate::step::StepFuture;

/// How many are in a group at most.
const GROUP_MAX: usize = 64;

const SAVEPOINT: &str = "SAVEPOINT ng_unit";
const NEXT_SAVEPOINT: &str = "RELEASE ng_unit; SAVEPOINT ng_unit";
const BACK_TO_SAVEPOINT: &str = "ROLLBACK TO ng_unit";

pub(super) struct Writer {
    opened_with: SqliteConnectOptions,
    settings: SqliteOptions,
    queue: Mutex<Queue>,
}

/// Who waits, and where the connection is meanwhile.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    places: u64,
    /// It is empty while the connection is worked, before the first use and after a failure.
    idle: Option<SqliteConnection>,
    is_worked: bool,
    is_closed: bool,
    /// Who is told when the connection is closed.
    closing: Option<oneshot::Sender<()>>,
}

struct Waiting {
    place: u64,
    goes: Goes,
    unit: Box<dyn Unit>,
}

/// With whom a unit of work goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// In one transaction with others.
    Together,
    /// Outside of any transaction.
    Alone,
}

/// What the connection does next.
enum Turn {
    Together(usize),
    Alone(Box<dyn Unit>),
    Close(oneshot::Sender<()>),
}

impl Writer {
    pub(super) fn new(
        first: SqliteConnection,
        opened_with: SqliteConnectOptions,
        settings: SqliteOptions,
    ) -> Arc<Self> {
        Arc::new(Self {
            opened_with,
            settings,
            queue: Mutex::new(Queue { idle: Some(first), ..Queue::default() }),
        })
    }

    /// Runs the work in a transaction that others may share; it opens none of its own, but may have savepoints.
    pub(super) async fn together<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c, T> + Send + 'static,
    {
        self.ask(Goes::Together, work).await
    }

    /// Runs the work outside of any transaction.
    pub(super) async fn alone<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c, T> + Send + 'static,
    {
        self.ask(Goes::Alone, work).await
    }

    /// Takes in nobody any more; gives whether it still did.
    pub(super) fn refuse(&self) -> bool {
        !std::mem::replace(&mut self.queue().is_closed, true)
    }

    /// Waits for who is in the queue, then moves the log into the file and closes it.
    pub(super) async fn close(self: &Arc<Self>) {
        let (done, is_done) = oneshot::channel();
        self.begin(|queue| queue.closing = Some(done));
        // When the runtime ends meanwhile, the next start repairs what is left.
        is_done.await.unwrap_or_default();
    }

    async fn ask<T, F>(self: &Arc<Self>, goes: Goes, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c, T> + Send + 'static,
    {
        let (answer, mut outcome) = oneshot::channel();
        let unit = Asked { work: Some(work), outcome: None, answer, span: Span::current() };
        let place = self.queue_up(goes, Box::new(unit))?;
        let outcome = tokio::select! {
            biased;
            outcome = &mut outcome => outcome,
            () = sleep(self.settings.acquire_timeout) => {
                if place.leave() {
                    return Err(exhausted("writes"));
                }
                outcome.await
            }
        };
        outcome.map_err(Error::unavailable)?
    }

    fn queue_up(self: &Arc<Self>, goes: Goes, unit: Box<dyn Unit>) -> Result<Place<'_>> {
        let place = self.begin(|queue| {
            if queue.is_closed {
                return Err(closed());
            }
            queue.places += 1;
            queue.waiting.push_back(Waiting { place: queue.places, goes, unit });
            Ok(queue.places)
        })?;
        Ok(Place { writer: self, place })
    }

    /// Puts something into the queue, and has the connection worked, unless it is.
    fn begin<T>(self: &Arc<Self>, put: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue();
        let outcome = put(&mut queue);
        let is_worked = std::mem::replace(&mut queue.is_worked, true);
        let connection = if is_worked { None } else { queue.idle.take() };
        drop(queue);
        if !is_worked {
            tokio::spawn(Worker { writer: Arc::clone(self), connection, is_done: false }.run());
        }
        outcome
    }

    /// The first who goes together with others; who goes alone does not hold them up.
    fn next_together(&self) -> Option<Box<dyn Unit>> {
        let mut queue = self.queue();
        let first = queue.waiting.iter().position(|waiting| waiting.goes == Goes::Together)?;
        queue.waiting.remove(first).map(|waiting| waiting.unit)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn next_turn(&mut self) -> Option<Turn> {
        let Some(first) = self.waiting.front() else { return self.closing.take().map(Turn::Close) };
        if first.goes == Goes::Together {
            let together = self.waiting.iter().filter(|waiting| waiting.goes == Goes::Together);
            return Some(Turn::Together(together.take(GROUP_MAX).count()));
        }
        self.waiting.pop_front().map(|first| Turn::Alone(first.unit))
    }
}

/// A place in the queue, left when it is dropped.
struct Place<'a> {
    writer: &'a Writer,
    place: u64,
}

impl Place<'_> {
    /// Gives whether the turn had not come yet.
    fn leave(&self) -> bool {
        let mut queue = self.writer.queue();
        let found = queue.waiting.iter().position(|waiting| waiting.place == self.place);
        found.is_some_and(|found| queue.waiting.remove(found).is_some())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Works the connection while somebody waits.
struct Worker {
    writer: Arc<Writer>,
    connection: Option<SqliteConnection>,
    is_done: bool,
}

impl Worker {
    async fn run(mut self) {
        while let Some(turn) = self.next_turn() {
            let is_sound = match turn {
                Turn::Together(room) => self.together(room).await,
                Turn::Alone(unit) => self.alone(unit).await,
                Turn::Close(done) => {
                    if let Some(mut connection) = self.connection.take() {
                        let truncate = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
                        note(truncate.execute(&mut connection).await.map(|_| ()));
                        note(connection.close().await);
                    }
                    // Who closes may have gone away.
                    done.send(()).unwrap_or_default();
                    true
                }
            };
            if !is_sound {
                self.connection = None;
            }
        }
    }

    fn next_turn(&mut self) -> Option<Turn> {
        let mut queue = self.writer.queue();
        let turn = queue.next_turn();
        if turn.is_none() {
            queue.idle = self.connection.take();
            queue.is_worked = false;
            self.is_done = true;
        }
        turn
    }

    /// Runs those who wait, at most so many, in one transaction; gives whether the connection is worth keeping.
    async fn together(&mut self, room: usize) -> bool {
        let Self { writer, connection, .. } = self;
        let mut units = Vec::with_capacity(room);
        // IMMEDIATE takes the lock at once: a transaction that begins by reading could fail at its first write.
        let begun = async { open(writer, connection).await?.begin_with("BEGIN IMMEDIATE").await };
        let outcome = match begun.await {
            Ok(transaction) => one_by_one(writer, transaction, room, &mut units).await,
            Err(cause) => {
                while units.len() < room
                    && let Some(unit) = writer.next_together()
                {
                    units.push(unit);
                }
                Err(cause.into())
            }
        };
        match outcome {
            Ok(()) => {
                for unit in units {
                    unit.tell(None);
                }
                true
            }
            Err(lost) => {
                tell_of_failure(units, lost);
                false
            }
        }
    }

    async fn alone(&mut self, mut unit: Box<dyn Unit>) -> bool {
        match open(&self.writer, &mut self.connection).await {
            Ok(connection) => {
                let outcome = unit.run(connection).await;
                unit.tell(None);
                !matches!(outcome, Err(ErrorKind::Unavailable | ErrorKind::Internal))
            }
            Err(cause) => {
                unit.tell(Some(error(cause)));
                false
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The runtime has ended on the way; another one may go on.
        if !self.is_done {
            self.writer.queue().is_worked = false;
        }
    }
}

async fn open<'c>(
    writer: &Writer,
    connection: &'c mut Option<SqliteConnection>,
) -> sqlx::Result<&'c mut SqliteConnection> {
    Ok(match connection {
        Some(connection) => connection,
        closed => closed.insert(connect(&writer.opened_with, writer.settings.busy_timeout).await?),
    })
}

/// Runs those who wait one after another, and commits what those did who succeeded.
async fn one_by_one(
    writer: &Writer,
    mut transaction: Transaction<'_, Sqlite>,
    room: usize,
    units: &mut Vec<Box<dyn Unit>>,
) -> Result<(), Lost> {
    let until = Instant::now() + writer.settings.group_time_max;
    let mut savepoint = Some(SAVEPOINT);
    let mut is_changed = false;
    while units.len() < room
        && (units.is_empty() || Instant::now() < until)
        && let Some(unit) = writer.next_together()
    {
        let unit = units.push_mut(unit);
        if room > 1
            && let Some(savepoint) = savepoint
        {
            sqlx::query(savepoint).execute(&mut *transaction).await?;
        }
        if unit.run(&mut transaction).await.is_ok() {
            is_changed = true;
            savepoint = Some(NEXT_SAVEPOINT);
        } else if room > 1 {
            // The savepoint stays, with nothing in it, for the next one.
            let back = sqlx::query(BACK_TO_SAVEPOINT).execute(&mut *transaction).await;
            back.map_err(|cause| Lost { by_last: is_of_statement(&cause), cause })?;
            savepoint = None;
        }
    }
    let ended = if is_changed { transaction.commit().await } else { transaction.rollback().await };
    ended.map_err(Lost::from)
}

/// Why nothing was kept.
struct Lost {
    cause: sqlx::Error,
    /// Whether the last one ended the transaction, and so knows best.
    by_last: bool,
}

impl From<sqlx::Error> for Lost {
    fn from(cause: sqlx::Error) -> Self {
        Self { cause, by_last: false }
    }
}

/// Tells all that nothing of theirs was kept; one who was by itself, or to blame, hears why.
fn tell_of_failure(mut units: Vec<Box<dyn Unit>>, Lost { cause, by_last }: Lost) {
    if let [_] = *units {
        let mut cause = Some(error(cause));
        units.into_iter().for_each(|unit| unit.tell(cause.take()));
        return;
    }
    let hear_the_same = units.len().saturating_sub(usize::from(by_last));
    units.iter_mut().take(hear_the_same).for_each(|unit| unit.forget());
    let cause = Arc::new(cause);
    for unit in units {
        unit.tell(Some(Error::unavailable(Arc::clone(&cause))));
    }
}

/// What somebody wants done by the connection that writes.
#[async_trait]
trait Unit: Send {
    /// Runs its statements; what it gives is not told before [`Unit::tell`].
    async fn run(&mut self, connection: &mut SqliteConnection) -> Result<(), ErrorKind>;

    /// Leaves out what it gave, which nothing follows from any more.
    fn forget(&mut self);

    /// Tells who asked how it ended: with its own outcome, unless that is a success of which nothing was kept.
    fn tell(self: Box<Self>, lost: Option<Error>);
}

struct Asked<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
    span: Span,
}

#[async_trait]
impl<T, F> Unit for Asked<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> StepFuture<'c, T> + Send,
{
    async fn run(&mut self, connection: &mut SqliteConnection) -> Result<(), ErrorKind> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let run = AssertUnwindSafe(async { work(connection).await }).catch_unwind();
        let outcome = run.instrument(self.span.clone()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("a statement's code panicked")));
        self.outcome.insert(outcome).as_ref().map(|_| ()).map_err(Error::kind)
    }

    fn forget(&mut self) {
        self.outcome = None;
    }

    fn tell(self: Box<Self>, lost: Option<Error>) {
        let outcome = match (self.outcome, lost) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(outcome)), None) => Ok(outcome),
            (None, None) => Err(closed()),
        };
        // Nobody hears it when the caller has gone away.
        drop(self.answer.send(outcome));
    }
}
