//! Idempotency records: taken before a command runs, completed by its batch.

use neuroglia::data::{Reservation, Reserve};
use sqlx::{PgConnection, Row};

use super::outbox::micros;

/// Takes the key, or finds who has it, in one statement.
///
/// The second part sees the table as it was before the first. When a key is taken in between, neither finds it,
/// and the statement is run again.
const RESERVE: &str = "\
    WITH taken AS (
        INSERT INTO ng_idempotency AS k (key, fingerprint, token, expires_at) VALUES ($1, $2, $3, ng_now() + $4)
        ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, token = excluded.token,
            response = NULL, expires_at = excluded.expires_at
        WHERE k.expires_at <= ng_now()
        RETURNING 1
    )
    SELECT TRUE, NULL, NULL FROM taken
    UNION ALL
    SELECT FALSE, fingerprint, response FROM ng_idempotency
    WHERE key = $1 AND expires_at > ng_now() AND NOT EXISTS (SELECT FROM taken)";

/// Tries to take a key; a record that comes or goes between two looks is tried anew.
const ATTEMPTS_MAX: u32 = 5;

/// Gives nothing when the key comes and goes all the time.
pub(super) async fn reserve(
    connection: &mut PgConnection,
    reserve: &Reserve,
) -> sqlx::Result<Option<Reservation>> {
    for _ in 0..ATTEMPTS_MAX {
        let found = sqlx::query(RESERVE)
            .bind(&*reserve.key)
            .bind(&*reserve.fingerprint)
            .bind(&*reserve.token)
            .bind(micros(reserve.hold))
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = found else { continue };
        if row.try_get(0)? {
            return Ok(Some(Reservation::Taken));
        }
        let fingerprint = row.try_get(1)?;
        return Ok(Some(match row.try_get(2)? {
            Some(response) => Reservation::Done { fingerprint, response },
            None => Reservation::Running { fingerprint },
        }));
    }
    Ok(None)
}

pub(super) async fn release(connection: &mut PgConnection, key: &str, token: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM ng_idempotency WHERE key = $1 AND token = $2 AND response IS NULL")
        .bind(key)
        .bind(token)
        .execute(connection)
        .await
        .map(|_| ())
}

/// Deletes keys whose time is over, at most so many; gives their number.
pub(super) async fn purge_expired(connection: &mut PgConnection, limit: u32) -> sqlx::Result<u64> {
    sqlx::query(
        "DELETE FROM ng_idempotency WHERE key = ANY(ARRAY( \
             SELECT key FROM ng_idempotency WHERE expires_at <= ng_now() LIMIT $1 FOR UPDATE SKIP LOCKED))",
    )
    .bind(i64::from(limit))
    .execute(connection)
    .await
    .map(|done| done.rows_affected())
}
