//! Idempotency records: taken before a command runs, completed by its batch.
//!
//! Taking and giving back do not wait for the disk (`synchronous=NORMAL` for that one statement). Should a power
//! cut lose such a record, the request that held the key has ended with it; the log stays consistent, and the
//! answer itself is part of a batch, which does wait.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Reservation, Reserve};
use neuroglia::error::{Error, Result};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteQueryResult};
use sqlx::{Row, Sqlite, SqliteConnection};

use super::error::error;

/// Tries to take a key; a record that is gone between two looks is tried anew.
const ATTEMPTS_MAX: u32 = 3;

pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    reserve: Reserve,
    now: Timestamp,
) -> Result<Reservation> {
    for _ in 0..ATTEMPTS_MAX {
        let take = sqlx::query(
            "INSERT INTO ng_idempotency (key, fingerprint, token, expires_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, token = excluded.token, \
             response = NULL, expires_at = excluded.expires_at WHERE ng_idempotency.expires_at <= ?5",
        )
        .bind(reserve.key.clone())
        .bind(reserve.fingerprint.clone())
        .bind(reserve.token.clone())
        .bind((now + reserve.hold).unix_micros())
        .bind(now.unix_micros());
        if without_waiting(connection, take).await?.rows_affected() == 1 {
            return Ok(Reservation::Taken);
        }
        let found = sqlx::query("SELECT fingerprint, response FROM ng_idempotency WHERE key = ?")
            .bind(reserve.key.clone())
            .fetch_optional(&mut *connection)
            .await
            .map_err(error)?;
        if let Some(row) = found {
            let fingerprint = row.try_get(0).map_err(error)?;
            return Ok(match row.try_get(1).map_err(error)? {
                Some(response) => Reservation::Done { fingerprint, response },
                None => Reservation::Running { fingerprint },
            });
        }
    }
    Err(Error::unavailable("the idempotency key was taken and given back again and again"))
}

pub(super) async fn release(connection: &mut SqliteConnection, key: String, token: String) -> Result<()> {
    let give_back =
        sqlx::query("DELETE FROM ng_idempotency WHERE key = ? AND token = ? AND response IS NULL");
    without_waiting(connection, give_back.bind(key).bind(token)).await.map(|_| ())
}

/// Gives back every key whose request has not ended, when there is nobody left to end it.
pub(super) async fn release_all(connection: &mut SqliteConnection) -> Result<u64> {
    let table = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'ng_idempotency'");
    if table.fetch_optional(&mut *connection).await.map_err(error)?.is_none() {
        return Ok(0);
    }
    let running = sqlx::query("SELECT 1 FROM ng_idempotency WHERE response IS NULL LIMIT 1");
    if running.fetch_optional(&mut *connection).await.map_err(error)?.is_none() {
        return Ok(0);
    }
    let give_back = sqlx::query("DELETE FROM ng_idempotency WHERE response IS NULL");
    without_waiting(connection, give_back).await.map(|done| done.rows_affected())
}

/// Deletes keys whose time is over, at most so many; gives their number.
pub(super) async fn purge_expired(
    connection: &mut SqliteConnection,
    limit: u32,
    now: Timestamp,
) -> Result<u64> {
    let purge = sqlx::query(
        "DELETE FROM ng_idempotency WHERE key IN (SELECT key FROM ng_idempotency WHERE expires_at <= ? LIMIT ?)",
    );
    let purge = purge.bind(now.unix_micros()).bind(limit);
    without_waiting(connection, purge).await.map(|done| done.rows_affected())
}

/// Runs one statement whose loss in a power cut does no harm.
async fn without_waiting(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<SqliteQueryResult> {
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await.map_err(error)?;
    let outcome = query.execute(&mut *connection).await;
    // A connection on which this fails is given up by the caller, because no error here is the caller's fault.
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await.map_err(error)?;
    outcome.map_err(error)
}
