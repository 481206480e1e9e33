//! Nodes, leases and planned runs: the processes that share the file on one machine.

use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Burial, ClusterStore, Lease, NODE_TTL, Node, NodeRecord};
use neuroglia::error::Result;
use neuroglia::work::{Inquest, NewWork, Ticket};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::error::error;
use super::outbox::uuid;
use super::{SqliteStore, work};

/// For how long all look silent, at least, when nobody lives.
const SILENCE: Duration = NODE_TTL.saturating_mul(2);

/// Lets what dead processes had be taken at once, when no process lives: their work by the first look at the nodes, which
/// finds all of them silent and looked at before, their leases and the messages in their hands by whoever asks.
pub(super) async fn all_are_dead(connection: &mut SqliteConnection, now: Timestamp) -> Result<()> {
    let table = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'ng_node'");
    if table.fetch_optional(&mut *connection).await.map_err(error)?.is_none() {
        return Ok(());
    }
    let left = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM ng_node) OR EXISTS (SELECT 1 FROM ng_lease WHERE holder IS NOT NULL) \
             OR EXISTS (SELECT 1 FROM ng_outbox WHERE claimed_by IS NOT NULL)",
    );
    if !left.fetch_one(&mut *connection).await.map_err(error)? {
        return Ok(());
    }
    let long_ago = (now - SILENCE).unix_micros();
    let silent =
        "UPDATE ng_node SET heartbeat_at = min(heartbeat_at, ?1), silent_since = min(heartbeat_at, ?1)";
    sqlx::query(silent).bind(long_ago).execute(&mut *connection).await.map_err(error)?;
    for free in [
        "UPDATE ng_lease SET holder = NULL WHERE holder IS NOT NULL",
        "UPDATE ng_outbox SET claimed_by = NULL, free_at = 0 WHERE claimed_by IS NOT NULL",
    ] {
        sqlx::query(free).execute(&mut *connection).await.map_err(error)?;
    }
    Ok(())
}

async fn beat(connection: &mut SqliteConnection, node: Node, now: Timestamp) -> Result<Beat> {
    let id = node.id.to_string();
    let known = sqlx::query(
        "UPDATE ng_node SET heartbeat_at = ?2, is_draining = ?3, silent_since = NULL WHERE id = ?1",
    )
    .bind(&*id)
    .bind(now.unix_micros())
    .bind(node.is_draining)
    .execute(&mut *connection)
    .await
    .map_err(error)?;
    let is_new = known.rows_affected() == 0;
    if is_new {
        sqlx::query(
            "INSERT INTO ng_node (id, role, host, version, is_draining, started_at, heartbeat_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )
        .bind(&*id)
        .bind(node.role)
        .bind(node.host)
        .bind(node.version)
        .bind(node.is_draining)
        .bind(now.unix_micros())
        .execute(&mut *connection)
        .await
        .map_err(error)?;
    }
    let rows = sqlx::query("SELECT id, token, called_off FROM ng_work WHERE owner = ?")
        .bind(&*id)
        .fetch_all(&mut *connection)
        .await
        .map_err(error)?;
    let (mut cancelled, mut held) = (Vec::new(), Vec::new());
    for row in &rows {
        let ticket = Ticket { id: uuid(row, 0).map_err(error)?, token: uuid(row, 1).map_err(error)? };
        held.push(ticket);
        if row.try_get(2).map_err(error)? {
            cancelled.push(ticket.id);
        }
    }
    let others: Option<i64> = sqlx::query_scalar("SELECT min(heartbeat_at) FROM ng_node WHERE id <> ?")
        .bind(&*id)
        .fetch_one(&mut *connection)
        .await
        .map_err(error)?;
    let longest_silence = others.map_or(Duration::ZERO, |at| now.since(Timestamp::from_unix_micros(at)));
    Ok(Beat { now, is_new, cancelled, held, longest_silence })
}

async fn bury(
    connection: &mut SqliteConnection,
    ttl: Duration,
    apart: Duration,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Burial>> {
    let rows = sqlx::query(
        "UPDATE ng_node SET silent_since = coalesce(silent_since, ?1) WHERE heartbeat_at < ?2 \
         RETURNING id, silent_since <= ?3, heartbeat_at",
    )
    .bind(now.unix_micros())
    .bind((now - ttl).unix_micros())
    .bind((now - apart).unix_micros())
    .fetch_all(&mut *connection)
    .await
    .map_err(error)?;
    let mut left = limit;
    let (mut burials, mut inquest) = (Vec::new(), Inquest::default());
    for row in &rows {
        if !row.try_get::<bool, _>(1).map_err(error)? {
            continue;
        }
        let id: String = row.try_get(0).map_err(error)?;
        let released = work::release_of_dead(connection, &id, &mut inquest, left, now).await?;
        left = left.saturating_sub(u32::try_from(released).unwrap_or(u32::MAX));
        let gone = sqlx::query(
            "DELETE FROM ng_node WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM ng_work WHERE owner = ?1)",
        );
        gone.bind(&*id).execute(&mut *connection).await.map_err(error)?;
        let silent = now.since(Timestamp::from_unix_micros(row.try_get(2).map_err(error)?));
        burials.push(Burial { node: uuid(row, 0).map_err(error)?, released, silent });
    }
    Ok(burials)
}

async fn plan(
    connection: &mut SqliteConnection,
    schedule: String,
    run_at: Timestamp,
    work: NewWork,
    now: Timestamp,
) -> Result<bool> {
    let planned =
        sqlx::query("INSERT INTO ng_schedule_run (schedule, run_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
            .bind(schedule)
            .bind(run_at.unix_micros())
            .execute(&mut *connection)
            .await
            .map_err(error)?;
    if planned.rows_affected() == 0 {
        return Ok(false);
    }
    work::add(connection, &work, now).await?;
    Ok(true)
}

#[async_trait]
impl ClusterStore for SqliteStore {
    async fn now(&self) -> Result<Timestamp> {
        Ok(SqliteStore::now(self))
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        let node = node.clone();
        self.write(move |connection, now| Box::pin(beat(connection, node, now))).await
    }

    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>> {
        self.write(move |connection, now| Box::pin(bury(connection, ttl, apart, limit, now))).await
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        let id = node.to_string();
        self.write(move |connection, now| {
            Box::pin(async move {
                work::release_of_leaver(connection, &id, now).await?;
                let gone = sqlx::query("DELETE FROM ng_node WHERE id = ?").bind(id);
                gone.execute(&mut *connection).await.map_err(error)?;
                Ok(())
            })
        })
        .await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        let all = "SELECT id, role, host, version, is_draining, started_at, heartbeat_at FROM ng_node ORDER BY started_at";
        let rows = self.read_all(sqlx::query(all)).await?;
        let read = |row: &SqliteRow| {
            Ok(NodeRecord {
                node: Node {
                    id: uuid(row, 0)?,
                    role: row.try_get(1)?,
                    host: row.try_get(2)?,
                    version: row.try_get(3)?,
                    is_draining: row.try_get(4)?,
                },
                started_at: Timestamp::from_unix_micros(row.try_get(5)?),
                heartbeat_at: Timestamp::from_unix_micros(row.try_get(6)?),
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        let name = name.to_owned();
        self.write(move |connection, now| {
            Box::pin(async move {
                let expires_at = now + ttl;
                let taken = sqlx::query(
                    "INSERT INTO ng_lease (name, holder, epoch, expires_at) VALUES (?1, ?2, 1, ?3) \
                     ON CONFLICT (name) DO UPDATE SET epoch = epoch + (holder IS NOT ?2), holder = ?2, expires_at = ?3 \
                     WHERE holder IS NULL OR holder = ?2 OR expires_at <= ?4 RETURNING epoch",
                )
                .bind(name)
                .bind(holder.to_string())
                .bind(expires_at.unix_micros())
                .bind(now.unix_micros())
                .fetch_optional(connection)
                .await
                .map_err(error)?;
                let lease = |row: SqliteRow| Ok(Lease { epoch: row.try_get(0).map_err(error)?, expires_at });
                taken.map(lease).transpose()
            })
        })
        .await
    }

    async fn resign(&self, name: &str, holder: Uuid) -> Result<()> {
        let name = name.to_owned();
        self.write(move |connection, _| {
            Box::pin(async move {
                let free = sqlx::query("UPDATE ng_lease SET holder = NULL WHERE name = ?1 AND holder = ?2");
                free.bind(name).bind(holder.to_string()).execute(connection).await.map_err(error)?;
                Ok(())
            })
        })
        .await
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        let (schedule, work) = (schedule.to_owned(), work.clone());
        self.write(move |connection, now| Box::pin(plan(connection, schedule, run_at, work, now))).await
    }

    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>> {
        let last = sqlx::query("SELECT max(run_at) FROM ng_schedule_run WHERE schedule = ?")
            .bind(schedule.to_owned());
        let rows = self.read_all(last).await?;
        let last: Option<i64> = match rows.first() {
            Some(row) => row.try_get(0).map_err(error)?,
            None => None,
        };
        Ok(last.map(Timestamp::from_unix_micros))
    }

    async fn purge_runs(&self, before: Timestamp) -> Result<u64> {
        self.write(move |connection, _| {
            Box::pin(async move {
                let purge = sqlx::query(
                    "DELETE FROM ng_schedule_run WHERE run_at < ? AND run_at < (SELECT max(last.run_at) \
                     FROM ng_schedule_run last WHERE last.schedule = ng_schedule_run.schedule)",
                );
                let purge = purge.bind(before.unix_micros());
                Ok(purge.execute(connection).await.map_err(error)?.rows_affected())
            })
        })
        .await
    }
}
