//! The outbox: what commits put in, relays take out.

use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::OutboxMessage;
use neuroglia::error::Result;
use neuroglia::messaging::{OutboxDepth, OutboxStore};
use neuroglia::work::DEPTH_MAX;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::PostgresStore;
use super::error::error;

/// The oldest messages: batch by batch, each in its own order.
const OLDEST: &str = "SELECT id, name, version, subject, data, correlation_id, traceparent, at \
                      FROM ng_outbox ORDER BY batch, place LIMIT $1";

/// Of each subject only the first message can be taken, so that order is kept whoever takes it: a relay that does not
/// see yet what another one takes sees that it is there. Those with the mark are looked at; see the schema.
pub(super) const CLAIM: &str = "WITH c AS ( \
                         SELECT o.batch, o.place FROM ng_outbox o WHERE o.is_head AND o.free_at <= ng_now() \
                             AND NOT EXISTS (SELECT 1 FROM ng_outbox e WHERE e.subject = o.subject \
                                 AND (e.batch, e.place) < (o.batch, o.place)) \
                         ORDER BY o.batch, o.place LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED), \
                     t AS ( \
                         UPDATE ng_outbox o SET claimed_by = $1, free_at = ng_now() + $3 \
                         WHERE o.batch = ANY(ARRAY(SELECT batch FROM c)) \
                             AND (o.batch, o.place) IN (SELECT batch, place FROM c) \
                         RETURNING o.id, o.name, o.version, o.subject, o.data, o.correlation_id, o.traceparent, \
                             o.at, o.batch, o.place) \
                     SELECT id, name, version, subject, data, correlation_id, traceparent, at FROM t \
                     ORDER BY batch, place";

/// Gives those whose successors are being committed: the other subjects do not wait for that.
pub(super) const CONFIRM: &str = "WITH c AS ( \
                           SELECT id, batch, place FROM ng_outbox WHERE claimed_by = $1 AND id = ANY($2) \
                           FOR UPDATE SKIP LOCKED), \
                       d AS ( \
                           DELETE FROM ng_outbox WHERE batch = ANY(ARRAY(SELECT batch FROM c)) \
                               AND (batch, place) IN (SELECT batch, place FROM c)) \
                       SELECT id FROM ng_outbox \
                       WHERE claimed_by = $1 AND id = ANY($2) AND id NOT IN (SELECT id FROM c)";

const CONFIRM_ONE: &str = "DELETE FROM ng_outbox WHERE claimed_by = $1 AND id = $2";

#[async_trait]
impl OutboxStore for PostgresStore {
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        let rows = self.connections.rows(|| sqlx::query(OLDEST).bind(i64::from(limit))).await?;
        rows.iter().map(message).collect()
    }

    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>> {
        let claim = sqlx::query(CLAIM).bind(token).bind(i64::from(limit)).bind(micros(lease));
        self.change(claim).await?.iter().map(message).collect()
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        let confirm = sqlx::query(CONFIRM).bind(token).bind(ids.to_vec());
        for row in self.change(confirm).await? {
            let id: Uuid = row.try_get(0).map_err(error)?;
            self.change(sqlx::query(CONFIRM_ONE).bind(token).bind(id)).await?;
        }
        Ok(())
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        let give_back = sqlx::query(
            "UPDATE ng_outbox SET claimed_by = NULL, free_at = ng_now() + $3 WHERE claimed_by = $1 AND id = ANY($2)",
        );
        self.change(give_back.bind(token).bind(ids.to_vec()).bind(micros(pause))).await.map(drop)
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth> {
        let depth = "SELECT count(*), greatest(0, coalesce(ng_now() - min(at), 0)) FROM ( \
                         SELECT at FROM ng_outbox ORDER BY batch, place LIMIT $1) AS counted";
        let rows = self.connections.rows(|| sqlx::query(depth).bind(i64::from(DEPTH_MAX))).await?;
        let Some(row) = rows.first() else { return Ok(OutboxDepth::default()) };
        let read = || {
            let oldest = Duration::from_micros(row.try_get::<i64, _>(1)?.unsigned_abs());
            Ok(OutboxDepth { count: row.try_get::<i64, _>(0)?.unsigned_abs(), oldest })
        };
        read().map_err(error)
    }
}

/// A span as a parameter.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

/// A whole number that is never negative.
pub(super) fn number(row: &PgRow, column: usize) -> sqlx::Result<u32> {
    u32::try_from(row.try_get::<i64, _>(column)?).map_err(|cause| sqlx::Error::Decode(cause.into()))
}

pub(super) fn message(row: &PgRow) -> Result<OutboxMessage> {
    let read = || {
        Ok(OutboxMessage {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            version: number(row, 2)?,
            subject: row.try_get(3)?,
            data: row.try_get(4)?,
            correlation_id: row.try_get(5)?,
            traceparent: row.try_get(6)?,
            at: Timestamp::from_unix_micros(row.try_get(7)?),
        })
    };
    read().map_err(error)
}
