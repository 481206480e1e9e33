//! The outbox: what commits put in, relays take out.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::OutboxMessage;
use neuroglia::error::Result;
use neuroglia::messaging::{OutboxDepth, OutboxStore};
use neuroglia::work::DEPTH_MAX;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::error::error;

/// Messages in one statement.
const MESSAGES_MAX: usize = 16;

const COLUMNS: &str = "id, name, version, subject, data, correlation_id, traceparent, at";

/// Puts messages in, as part of a batch.
pub(super) async fn send(connection: &mut SqliteConnection, messages: &[OutboxMessage]) -> Result<()> {
    for messages in messages.chunks(MESSAGES_MAX) {
        let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; messages.len()].join(", ");
        let mut query =
            sqlx::query(AssertSqlSafe(format!("INSERT INTO ng_outbox ({COLUMNS}) VALUES {rows}")));
        for message in messages {
            query = query
                .bind(message.id.to_string())
                .bind(&*message.name)
                .bind(message.version)
                .bind(&*message.subject)
                .bind(&*message.data)
                .bind(message.correlation_id.as_deref())
                .bind(message.traceparent.as_deref())
                .bind(message.at.unix_micros());
        }
        query.execute(&mut *connection).await.map_err(error)?;
    }
    Ok(())
}

/// The oldest messages. One connection writes, so the order of `seq` is that of the commits.
const OLDEST: &str = "SELECT id, name, version, subject, data, correlation_id, traceparent, at \
                      FROM ng_outbox ORDER BY seq LIMIT ?";

/// Whether a claim would find anything.
pub(super) const ANY: &str = "SELECT 1 FROM ng_outbox WHERE is_head AND free_at <= ? LIMIT 1";

/// Of each subject only the first message can be taken, so that order is kept whoever takes it.
pub(super) const CLAIM: &str = "UPDATE ng_outbox SET claimed_by = ?1, free_at = ?2 WHERE seq IN ( \
                                    SELECT seq FROM ng_outbox WHERE is_head AND free_at <= ?3 ORDER BY seq LIMIT ?4) \
                                RETURNING id, name, version, subject, data, correlation_id, traceparent, at, seq";

pub(super) const CONFIRM: &str =
    "DELETE FROM ng_outbox WHERE claimed_by = ?1 AND id IN (SELECT value FROM json_each(?2))";

#[async_trait]
impl OutboxStore for SqliteStore {
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        let rows = self.read_all(sqlx::query(OLDEST).bind(limit)).await?;
        rows.iter().map(message).collect()
    }

    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>> {
        // Looking costs nobody anything; claiming takes the place of one who writes.
        let any = sqlx::query(ANY).bind(self.now().unix_micros());
        if self.read_all(any).await?.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self
            .write(move |connection, now| {
                Box::pin(async move {
                    let claim = sqlx::query(CLAIM)
                        .bind(token.to_string())
                        .bind((now + lease).unix_micros())
                        .bind(now.unix_micros())
                        .bind(limit);
                    claim.fetch_all(connection).await.map_err(error)
                })
            })
            .await?;
        let mut claimed = rows
            .iter()
            .map(|row| Ok((row.try_get::<i64, _>(8).map_err(error)?, message(row)?)))
            .collect::<Result<Vec<_>>>()?;
        claimed.sort_by_key(|(seq, _)| *seq);
        Ok(claimed.into_iter().map(|(_, message)| message).collect())
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        let ids = texts(ids);
        self.write(move |connection, _| {
            Box::pin(async move {
                let confirm = sqlx::query(CONFIRM);
                confirm.bind(token.to_string()).bind(ids).execute(connection).await.map_err(error)?;
                Ok(())
            })
        })
        .await
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        let ids = texts(ids);
        self.write(move |connection, now| {
            Box::pin(async move {
                let give_back = sqlx::query(
                    "UPDATE ng_outbox SET claimed_by = NULL, free_at = ?3 \
                     WHERE claimed_by = ?1 AND id IN (SELECT value FROM json_each(?2))",
                );
                let give_back = give_back.bind(token.to_string()).bind(ids).bind((now + pause).unix_micros());
                give_back.execute(connection).await.map_err(error)?;
                Ok(())
            })
        })
        .await
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth> {
        let depth = "SELECT count(*), min(at) FROM (SELECT at FROM ng_outbox ORDER BY seq LIMIT ?)";
        let rows = self.read_all(sqlx::query(depth).bind(DEPTH_MAX)).await?;
        let Some(row) = rows.first() else { return Ok(OutboxDepth::default()) };
        let oldest: Option<i64> = row.try_get(1).map_err(error)?;
        let oldest = oldest.map_or(Duration::ZERO, |at| self.now().since(Timestamp::from_unix_micros(at)));
        Ok(OutboxDepth { count: row.try_get::<i64, _>(0).map_err(error)?.unsigned_abs(), oldest })
    }
}

/// Ids as a JSON array, which one parameter carries.
fn texts(ids: &[Uuid]) -> String {
    let quoted: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", quoted.join(","))
}

fn message(row: &SqliteRow) -> Result<OutboxMessage> {
    let read = || {
        Ok(OutboxMessage {
            id: uuid(row, 0)?,
            name: row.try_get(1)?,
            version: row.try_get(2)?,
            subject: row.try_get(3)?,
            data: row.try_get(4)?,
            correlation_id: row.try_get(5)?,
            traceparent: row.try_get(6)?,
            at: Timestamp::from_unix_micros(row.try_get(7)?),
        })
    };
    read().map_err(error)
}

/// The id in a column of text.
pub(super) fn uuid(row: &SqliteRow, column: usize) -> sqlx::Result<Uuid> {
    Uuid::from_str(row.try_get(column)?).map_err(|cause| sqlx::Error::Decode(cause.into()))
}
