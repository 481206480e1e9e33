//! Connections, opened when they are needed, kept while they are good.
//!
//! The one that was used last is used next, so that a quiet process ends up with few. Work that fails on the
//! connection itself, and work that is cancelled, takes its connection with it: the server rolls back what was
//! open on it.

use std::ops::AsyncFnOnce;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};

use super::error::{error, is_of_connection, may_come_up, refusal};
use super::location::Location;
use super::options::PostgresOptions;
use super::select::Bound;
use super::whole::{Texts, Whole};
use crate::not_there::NotThere;

/// A connection that rested for so long is asked whether it is alive before it gets work. A little longer than a relay
/// with nothing to send rests, so that an idle process does not ask twice each time.
const TRUSTED_FOR: Duration = Duration::from_millis(1_500);
/// A connection that nobody needs for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// A connection does not get older, because a server's process only ever grows.
const AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// How much longer than the server's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(2);
/// The longest pause between two tries to connect at start.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// What the server takes a page in any place to cost, where the next one costs 1.
pub(super) const RANDOM_PAGE_COST: &str = "1.1";

pub(super) struct Connections {
    location: Location,
    connect: PgConnectOptions,
    settings: PostgresOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    closed: AtomicBool,
    texts: Texts,
}

struct Idle {
    connection: PgConnection,
    opened: Instant,
    since: Instant,
}

impl Connections {
    /// Opens the first connection, so that what is wrong with the database shows now.
    pub(super) async fn open(location: Location, settings: PostgresOptions) -> Result<Self> {
        let most = location.connections_max.unwrap_or(settings.connections_max).max(1);
        let settings = PostgresOptions { connections_max: most, ..settings };
        let ms = |limit: Duration| limit.as_millis().to_string();
        let connect = location.connect.clone().disable_statement_logging().options([
            ("statement_timeout", ms(settings.statement_timeout)),
            ("lock_timeout", ms(settings.lock_timeout)),
            ("idle_in_transaction_session_timeout", ms(settings.idle_in_transaction_timeout)),
            // A claim whose limit is a parameter looks expensive to the server, which would compile it each time: a
            // second for what takes a tenth of a millisecond.
            ("jit", "off".to_owned()),
            // As disks are today (PostgreSQL's own default is for ones that turn). A connection keeps a plan until the server
            // takes statistics again, and by the default one that was made while little waited reads the whole table of
            // work: a third of a second for each claim when a million pieces wait.
            ("random_page_cost", RANDOM_PAGE_COST.to_owned()),
            // The server lets go of what a process held whose machine is gone.
            ("tcp_keepalives_idle", "30".to_owned()),
            ("tcp_keepalives_interval", "10".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ]);
        let connections = Self {
            location,
            connect,
            permits: Arc::new(Semaphore::new(most as usize)),
            settings,
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
            texts: Texts::default(),
        };
        let connection = connections.first().await?;
        let now = Instant::now();
        connections.idle().push(Idle { connection, opened: now, since: now });
        Ok(connections)
    }

    /// One connection to the same database beside these, opened when it is needed.
    pub(super) fn beside(&self) -> Self {
        let settings = PostgresOptions { connections_max: 1, ..self.settings.clone() };
        Self {
            location: self.location.clone(),
            connect: self.connect.clone(),
            permits: Arc::new(Semaphore::new(1)),
            settings,
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
            texts: Texts::default(),
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// How every connection is opened.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.connect
    }

    pub(super) fn acquire_timeout(&self) -> Duration {
        self.settings.acquire_timeout
    }

    /// Connects to a server that may be starting, with growing pauses of random length between the tries.
    async fn first(&self) -> Result<PgConnection> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(50);
        let mut not_there = NotThere::default();
        loop {
            let tried = timeout(self.settings.acquire_timeout, self.connect.connect()).await;
            let cause = match tried.unwrap_or_else(|_| Err(timed_out())) {
                Ok(connection) => return Ok(connection),
                Err(cause) => cause,
            };
            if !may_come_up(&cause) || began.elapsed() + pause > self.settings.startup_patience {
                return Err(refusal(&self.location, cause));
            }
            not_there.tell(&self.location, &cause);
            sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// A connection, as soon as one is free.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let waited = timeout(self.settings.acquire_timeout, self.acquire()).await;
        waited
            .unwrap_or_else(|_| Err(Error::unavailable("no connection to the database became free in time")))
    }

    async fn acquire(self: &Arc<Self>) -> Result<Lease> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let mut lease = Lease { home: Arc::clone(self), held: None, was_idle: true, _permit: permit };
        while let Some(mut found) = self.next_idle() {
            let is_alive = found.since.elapsed() < TRUSTED_FOR
                || matches!(timeout(self.settings.ping_timeout, found.connection.ping()).await, Ok(Ok(())));
            if is_alive {
                lease.held = Some(found);
                return Ok(lease);
            }
            self.forget_idle();
        }
        lease.renew().await?;
        Ok(lease)
    }

    /// The rows of a query that changes nothing; asked for once more on a new connection when an old one turns out
    /// to be dead.
    pub(super) async fn rows(self: &Arc<Self>, query: impl Fn() -> Bound<'static>) -> Result<Vec<PgRow>> {
        let mut lease = self.lease().await?;
        let first = query();
        match lease.run(async |connection| first.fetch_all(connection).await).await {
            Err(cause) if lease.was_idle && is_of_connection(&cause) && !is_time_out(&cause) => {
                lease.renew().await?;
                let again = query();
                lease.run(async |connection| again.fetch_all(connection).await).await.map_err(error)
            }
            outcome => outcome.map_err(error),
        }
    }

    /// Whether the server answers; its version.
    pub(super) async fn ping(self: &Arc<Self>) -> Result<Details> {
        let asked = self.rows(|| sqlx::query("SELECT current_setting('server_version')"));
        let rows = timeout(self.settings.ping_timeout, asked).await.map_err(Error::unavailable)??;
        let version: Option<String> = rows.first().map(|row| row.try_get(0)).transpose().map_err(error)?;
        Ok(version.map_or_else(Details::new, Details::of_version))
    }

    /// Waits for who is at work, then closes everything.
    pub(super) async fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let everybody = self.permits.acquire_many(self.settings.connections_max);
        let waited = timeout(self.settings.acquire_timeout, everybody).await;
        self.permits.close();
        drop(waited);
        let idle = std::mem::take(&mut *self.idle());
        for Idle { connection, .. } in idle {
            if let Ok(Err(cause)) = timeout(self.settings.ping_timeout, connection.close()).await {
                tracing::debug!(error = %cause, "a connection to the database was not closed in order");
            }
        }
    }

    fn next_idle(&self) -> Option<Idle> {
        let mut idle = self.idle();
        loop {
            let found = idle.pop()?;
            if found.opened.elapsed() < AGE_MAX {
                return Some(found);
            }
        }
    }

    /// When one connection is dead, the others are likely to have died with it.
    fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is given back when this is dropped.
pub(super) struct Lease {
    home: Arc<Connections>,
    held: Option<Idle>,
    was_idle: bool,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Puts a new connection in the place of this one.
    pub(super) async fn renew(&mut self) -> Result<()> {
        self.held = None;
        if self.home.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let patience = self.home.settings.acquire_timeout;
        let connected =
            timeout(patience, self.home.connect.connect()).await.unwrap_or_else(|_| Err(timed_out()));
        let connection = connected.map_err(|cause| refusal(&self.home.location, cause))?;
        let now = Instant::now();
        self.held = Some(Idle { connection, opened: now, since: now });
        self.was_idle = false;
        Ok(())
    }

    /// Runs a few statements, each within the server's limit.
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        // While it is at work the connection is out of the lease: who cancels the work drops it.
        let mut held = self.held.take().ok_or(sqlx::Error::PoolClosed)?;
        let outcome =
            timeout(self.limit(), work(&mut held.connection)).await.unwrap_or_else(|_| Err(timed_out()));
        match &outcome {
            Err(cause) if is_of_connection(cause) => self.home.forget_idle(),
            _ => self.held = Some(held),
        }
        outcome
    }

    /// Carries out batches that are one statement.
    pub(super) async fn carry_out(&mut self, whole: &Whole<'_>) -> sqlx::Result<()> {
        let home = Arc::clone(&self.home);
        self.run(async |connection| whole.run(connection, &home.texts).await).await
    }

    fn limit(&self) -> Duration {
        self.home.settings.statement_timeout + GRACE
    }

    /// Runs a transaction within the same limit.
    pub(super) async fn transact<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<Result<T>, Elapsed> {
        timeout(self.limit(), self.work(work)).await
    }

    /// Runs work that takes as long as it takes, and has errors of its own.
    pub(super) async fn work<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let mut held = self.held.take().ok_or_else(closed)?;
        let outcome = work(&mut held.connection).await;
        // An error may have left the connection in any state, also a dead one.
        if outcome.is_ok() {
            self.held = Some(held);
        }
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if self.home.permits.is_closed() {
            return;
        }
        let mut idle = self.home.idle();
        idle.push(Idle { since: Instant::now(), ..held });
        // The first in the row has rested longest.
        if idle.first().is_some_and(|first| first.since.elapsed() > IDLE_MAX) {
            idle.remove(0);
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the store was closed")
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

fn is_time_out(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut)
}
