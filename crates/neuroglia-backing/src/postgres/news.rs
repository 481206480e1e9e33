//! Word from other processes that there is work, by `NOTIFY` and `LISTEN`.
//!
//! An announcement is a statement of its own: a transaction that notifies takes one lock of the whole server at its
//! commit, and would make all commits wait for each other. What comes is only a reason to look, so that it may be lost,
//! and says who sent it, so that nobody wakes himself twice.
//!
//! Who listens counts as hearing once he has heard himself, and asks again now and then. Behind a pooler by transaction
//! `LISTEN` succeeds and nothing ever comes; a network that fell silent tells nothing either.
//!
//! What waits for its time is nobody's announcement. Each claim sees when the next of it is due, and whoever listens
//! rings then.

use std::convert::Infallible;
use std::time::Duration;

use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::Wake;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::connections::Connections;
use super::error::{error, refusal};

/// Where work is announced.
const CHANNEL: &str = "ng_work";

/// How often who listens asks whether he still hears, and how long he waits for it.
const CHECK: Duration = Duration::from_secs(10);

/// What this process has to tell, and what it knows of times to come.
pub(super) struct News {
    /// How it signs, and where it hears itself.
    own: String,
    /// When the next piece of work is due that waits for its time.
    due: watch::Sender<Option<Instant>>,
}

impl News {
    pub(super) fn new() -> Self {
        Self { own: format!("ng_{}", Ids::random().next_uuid().simple()), due: watch::Sender::new(None) }
    }

    /// Notes how long it is until the next piece of work is due.
    pub(super) fn note_due(&self, after: Option<Duration>) {
        self.due.send_replace(after.map(|after| Instant::now() + after));
    }

    /// Tells the others.
    pub(super) async fn announce(&self, connections: &std::sync::Arc<Connections>) -> Result<()> {
        let tell = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(&self.own);
        let mut lease = connections.lease().await?;
        lease.run(async |connection| tell.execute(connection).await).await.map(drop).map_err(error)
    }

    /// Rings until the connection is lost.
    pub(super) async fn listen(&self, connections: &Connections, wake: &Wake) -> Result<Infallible> {
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let one = one.acquire_timeout(connections.acquire_timeout());
        let pool = one.connect_lazy_with(connections.options().clone());
        let outcome = self.listen_on(&pool, wake).await;
        outcome.map_err(|cause| match cause {
            Lost::Driver(cause) => refusal(connections.location(), cause),
            Lost::Silent => Error::unavailable(
                "announcements do not arrive; a pooler in between must pool by session for them",
            ),
            Lost::Closed => Error::unavailable("the connection that listens was lost"),
        })
    }

    async fn listen_on(&self, pool: &PgPool, wake: &Wake) -> Result<Infallible, Lost> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.eager_reconnect(false);
        let begun = timeout(CHECK, listener.listen_all([CHANNEL, &self.own]));
        begun.await.map_err(|_| Lost::Silent)??;
        let mut due = self.due.subscribe();
        let mut hearing = None;
        loop {
            let check = Instant::now() + CHECK;
            let ask = sqlx::query("SELECT pg_notify($1, '')").bind(&self.own).execute(&mut listener);
            timeout_at(check, ask).await.map_err(|_| Lost::Silent)??;
            let mut heard_itself = false;
            while Instant::now() < check {
                let next = *due.borrow_and_update();
                tokio::select! {
                    word = listener.try_recv() => match word?.ok_or(Lost::Closed)? {
                        word if word.channel() == self.own => {
                            heard_itself = true;
                            // What was announced before is found by looking once.
                            hearing.get_or_insert_with(|| {
                                wake.work_heard();
                                wake.hearing()
                            });
                        }
                        word if word.payload() == self.own => {}
                        _ => wake.work_heard(),
                    },
                    // The sender is this process' own, and lives as long as it.
                    _ = due.changed() => {}
                    () = moment(next) => {
                        self.due.send_if_modified(|due| {
                            let is_this = *due == next;
                            if is_this { *due = None }
                            is_this
                        });
                        wake.work_heard();
                    }
                    () = sleep_until(check) => {}
                }
            }
            if !heard_itself {
                return Err(Lost::Silent);
            }
        }
    }
}

/// Why nothing is heard any more.
enum Lost {
    Driver(sqlx::Error),
    Silent,
    Closed,
}

impl From<sqlx::Error> for Lost {
    fn from(cause: sqlx::Error) -> Self {
        Self::Driver(cause)
    }
}

async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
