//! A transaction, begun again when others got in its way, and ended so that its outcome is known if it can be.
//!
//! The driver labels its errors. One that is transient took everything back, and the same again may succeed. A commit
//! whose outcome is unknown is sent again, which the server recognises.

use std::time::Duration;

use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, ErrorKind as DriverKind, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::ReadConcern;
use neuroglia::error::{Error, Result};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::{Connection, majority};
use super::error::{error, is_collision, may_be_kept, unknown_outcome};

/// How often a transaction is begun that others get in the way of.
pub(super) const ATTEMPTS_MAX: u32 = 10;
/// The longest pause after the first collision; later ones are longer.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the outcome of a commit is asked for.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// Why a transaction was taken back.
pub(super) enum Refusal {
    /// Others got in the way; the same again may succeed.
    Collision(DriverError),
    /// The connection was lost before the commit was sent, or the only operation may have been done.
    Lost(DriverError),
    /// It cannot be.
    Final(Error),
}

impl From<DriverError> for Refusal {
    fn from(cause: DriverError) -> Self {
        match &*cause.kind {
            DriverKind::Io(_) | DriverKind::ConnectionPoolCleared { .. } => Self::Lost(cause),
            DriverKind::ServerSelection { .. } => Self::Final(error(cause)),
            _ if is_collision(&cause) => Self::Collision(cause),
            _ if may_be_kept(&cause) => Self::Lost(cause),
            _ => Self::Final(error(cause)),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What is done in a transaction.
pub(super) trait Transacted: Send {
    /// What comes of it.
    type Output: Send;

    /// Does it once; told which attempt it is, from 1.
    fn attempt(
        &mut self,
        session: &mut ClientSession,
        attempt: u32,
    ) -> impl Future<Output = Result<Self::Output, Refusal>> + Send;
}

/// Carries it out, in at most so many attempts.
pub(super) async fn transact<W: Transacted>(
    connection: &Connection,
    attempts_max: u32,
    mut work: W,
) -> Result<W::Output> {
    let _place = connection.place().await?;
    let deadline = Instant::now() + connection.settings().operation_timeout;
    let (mut attempt, mut was_lost) = (1, false);
    loop {
        connection.is_closed()?;
        let cause = match once(connection, deadline, &mut work, attempt).await {
            Ok(done) => return Ok(done),
            Err(Refusal::Final(error)) => return Err(error),
            // An idle connection may have died unseen; a new one is worth one more try.
            Err(Refusal::Lost(cause)) if was_lost => return Err(error(cause)),
            Err(Refusal::Lost(cause)) => {
                was_lost = true;
                cause
            }
            Err(Refusal::Collision(cause)) => cause,
        };
        if attempt >= attempts_max || Instant::now() >= deadline {
            return Err(error(cause));
        }
        sleep(PAUSE.mul_f64(f64::from(attempt) * fastrand::f64())).await;
        attempt += 1;
    }
}

async fn once<W: Transacted>(
    connection: &Connection,
    deadline: Instant,
    work: &mut W,
    attempt: u32,
) -> Result<W::Output, Refusal> {
    let late = || Error::unavailable("the database did not answer in time; nothing was kept");
    let noted = async {
        let session = connection.client().start_session().await?;
        connection.sessions.note(connection, &session).await?;
        Ok::<_, DriverError>(session)
    };
    let mut session = timeout_at(deadline, noted).await.map_err(|_| late())??;
    let begin = session.start_transaction().read_concern(ReadConcern::snapshot()).write_concern(majority());
    begin.await?;
    match timeout_at(deadline, work.attempt(&mut session, attempt)).await {
        Ok(Ok(done)) => commit(&mut session, deadline).await.map(|()| done),
        Ok(Err(refusal)) => {
            // What the server does not hear of, it ends by itself.
            let abort = session.abort_transaction().into_future();
            drop(timeout(connection.settings().ping_timeout, abort).await);
            Err(refusal)
        }
        Err(_) => Err(late().into()),
    }
}

async fn commit(session: &mut ClientSession, deadline: Instant) -> Result<(), Refusal> {
    let deadline = deadline.min(Instant::now() + COMMIT_PATIENCE);
    let mut is_in_doubt = false;
    loop {
        let cause = match timeout_at(deadline, session.commit_transaction().into_future()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(cause)) => cause,
            Err(late) => return Err(unknown_outcome(late).into()),
        };
        if !cause.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            return Err(match Refusal::from(cause) {
                Refusal::Lost(cause) => unknown_outcome(error(cause)).into(),
                // Whoever cannot ask again does not know what came of the first time.
                Refusal::Final(cause) if is_in_doubt => unknown_outcome(cause).into(),
                refusal => refusal,
            });
        }
        is_in_doubt = true;
        if Instant::now() + PAUSE >= deadline {
            return Err(unknown_outcome(error(cause)).into());
        }
        sleep(PAUSE).await;
    }
}
