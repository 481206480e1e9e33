//! Nodes, leases and planned runs. Time is the server's, and so is the judgement of who is dead.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Burial, ClusterStore, Lease, Node, NodeRecord};
use neuroglia::error::Result;
use neuroglia::messaging::Wake;
use neuroglia::work::{DEAD_KEEP, Inquest, NewWork, Ticket};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::error::error;
use super::outbox::micros;
use super::work::{self, NEW_PARAMETERS};

const BEAT: &str = "WITH b AS ( \
                        INSERT INTO ng_node (id, role, host, version, is_draining, started_at, heartbeat_at) \
                        VALUES ($1, $2, $3, $4, $5, ng_now(), ng_now()) \
                        ON CONFLICT (id) DO UPDATE SET heartbeat_at = ng_now(), is_draining = $5, silent_since = NULL \
                        RETURNING xmax = 0 AS is_new) \
                    SELECT ng_now(), is_new, ARRAY(SELECT id FROM ng_work WHERE owner = $1 AND called_off), \
                        ARRAY(SELECT id FROM ng_work WHERE owner = $1 ORDER BY seq), \
                        ARRAY(SELECT token FROM ng_work WHERE owner = $1 ORDER BY seq), \
                        coalesce((SELECT ng_now() - min(heartbeat_at) FROM ng_node WHERE id <> $1), 0) FROM b";

async fn bury(
    connection: &mut PgConnection,
    ttl: Duration,
    apart: Duration,
    limit: u32,
) -> sqlx::Result<Vec<Burial>> {
    let mut transaction = connection.begin().await?;
    let rows = sqlx::query(
        "UPDATE ng_node SET silent_since = coalesce(silent_since, ng_now()) WHERE id IN ( \
             SELECT id FROM ng_node WHERE heartbeat_at < ng_now() - $1 ORDER BY id FOR UPDATE SKIP LOCKED) \
         RETURNING id, silent_since <= ng_now() - $2, ng_now() - heartbeat_at",
    )
    .bind(micros(ttl))
    .bind(micros(apart))
    .fetch_all(&mut *transaction)
    .await?;
    let mut left = limit;
    let (mut burials, mut inquest) = (Vec::new(), Inquest::default());
    for row in &rows {
        if !row.try_get::<bool, _>(1)? {
            continue;
        }
        let node: Uuid = row.try_get(0)?;
        let released = work::release_of_dead(&mut transaction, node, &mut inquest, left).await?;
        left = left.saturating_sub(u32::try_from(released).unwrap_or(u32::MAX));
        let gone =
            "DELETE FROM ng_node WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM ng_work WHERE owner = $1)";
        sqlx::query(gone).bind(node).execute(&mut *transaction).await?;
        let silent = Duration::from_micros(row.try_get::<i64, _>(2)?.unsigned_abs());
        burials.push(Burial { node, released, silent });
    }
    transaction.commit().await?;
    Ok(burials)
}

/// Ends a node, and gives back what it has.
async fn leave(connection: &mut PgConnection, node: Uuid) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    // A claim that has begun ends first, so that what it took is seen; one that begins later finds no node.
    let lock = sqlx::query("SELECT 1 FROM ng_node WHERE id = $1 FOR UPDATE").bind(node);
    lock.execute(&mut *transaction).await?;
    let leave = sqlx::query(
        "WITH r AS (UPDATE ng_work SET state = CASE WHEN called_off THEN 'cancelled' ELSE 'waiting' END, \
             attempt = attempt - 1, keep_until = ng_now() + $2, owner = NULL, token = NULL, called_off = false \
             WHERE owner = $1) DELETE FROM ng_node WHERE id = $1",
    );
    leave.bind(node).bind(micros(DEAD_KEEP)).execute(&mut *transaction).await?;
    transaction.commit().await
}

#[async_trait]
impl ClusterStore for PostgresStore {
    async fn now(&self) -> Result<Timestamp> {
        let rows = self.connections.rows(|| sqlx::query("SELECT ng_now()")).await?;
        let now = rows.first().ok_or(sqlx::Error::RowNotFound).and_then(|row| row.try_get(0));
        now.map(Timestamp::from_unix_micros).map_err(error)
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        let beat = sqlx::query(BEAT)
            .bind(node.id)
            .bind(&*node.role)
            .bind(&*node.host)
            .bind(&*node.version)
            .bind(node.is_draining);
        // Whoever has all other connections does not make this node look dead.
        let mut lease = self.pulse.lease().await?;
        let row = lease.run(async |connection| beat.fetch_one(connection).await).await.map_err(error)?;
        let read = || {
            let (ids, tokens): (Vec<Uuid>, Vec<Uuid>) = (row.try_get(3)?, row.try_get(4)?);
            Ok(Beat {
                now: Timestamp::from_unix_micros(row.try_get(0)?),
                is_new: row.try_get(1)?,
                cancelled: row.try_get(2)?,
                held: ids.into_iter().zip(tokens).map(|(id, token)| Ticket { id, token }).collect(),
                longest_silence: Duration::from_micros(u64::try_from(row.try_get::<i64, _>(5)?).unwrap_or(0)),
            })
        };
        read().map_err(error)
    }

    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>> {
        // Not by the pulse: the dead do not keep the living from saying that they live.
        let mut lease = self.connections.lease().await?;
        let silent =
            sqlx::query("SELECT 1 FROM ng_node WHERE heartbeat_at < ng_now() - $1 LIMIT 1").bind(micros(ttl));
        let any =
            lease.run(async |connection| silent.fetch_optional(connection).await).await.map_err(error)?;
        if any.is_none() {
            return Ok(Vec::new());
        }
        lease.run(async |connection| bury(connection, ttl, apart, limit).await).await.map_err(error)
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        let mut lease = self.connections.lease().await?;
        lease.run(async |connection| leave(connection, node).await).await.map_err(error)
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        let all = "SELECT id, role, host, version, is_draining, started_at, heartbeat_at FROM ng_node \
                   ORDER BY started_at, id";
        let rows = self.connections.rows(|| sqlx::query(all)).await?;
        let read = |row: &PgRow| {
            Ok(NodeRecord {
                node: Node {
                    id: row.try_get(0)?,
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
        let take = sqlx::query(
            "INSERT INTO ng_lease AS l (name, holder, epoch, expires_at) VALUES ($1, $2, 1, ng_now() + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = $2, expires_at = ng_now() + $3, \
                 epoch = l.epoch + CASE WHEN l.holder IS NOT DISTINCT FROM $2 THEN 0 ELSE 1 END \
             WHERE l.holder IS NULL OR l.holder = $2 OR l.expires_at <= ng_now() RETURNING l.epoch, l.expires_at",
        );
        let rows = self.change(take.bind(name.to_owned()).bind(holder).bind(micros(ttl))).await?;
        let read = |row: &PgRow| {
            let expires_at = Timestamp::from_unix_micros(row.try_get(1)?);
            Ok(Lease { epoch: row.try_get(0)?, expires_at })
        };
        rows.first().map(|row| read(row).map_err(error)).transpose()
    }

    async fn resign(&self, name: &str, holder: Uuid) -> Result<()> {
        let free = sqlx::query("UPDATE ng_lease SET holder = NULL WHERE name = $1 AND holder = $2");
        self.change(free.bind(name.to_owned()).bind(holder)).await.map(drop)
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        let sql = format!(
            "WITH r AS (INSERT INTO ng_schedule_run (schedule, run_at) VALUES (${}, ${}) ON CONFLICT DO NOTHING \
                 RETURNING 1), j AS ({}) SELECT 1 FROM r",
            NEW_PARAMETERS + 1,
            NEW_PARAMETERS + 2,
            work::new(1, "EXISTS (SELECT 1 FROM r)")
        );
        let plan = work::bind_new(sqlx::query(AssertSqlSafe(sql)), &[work]);
        Ok(!self.change(plan.bind(schedule.to_owned()).bind(run_at.unix_micros())).await?.is_empty())
    }

    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>> {
        let last = "SELECT max(run_at) FROM ng_schedule_run WHERE schedule = $1";
        let rows = self.connections.rows(|| sqlx::query(last).bind(schedule.to_owned())).await?;
        let last: Option<i64> = match rows.first() {
            Some(row) => row.try_get(0).map_err(error)?,
            None => None,
        };
        Ok(last.map(Timestamp::from_unix_micros))
    }

    async fn purge_runs(&self, before: Timestamp) -> Result<u64> {
        let purge = sqlx::query(
            "DELETE FROM ng_schedule_run r WHERE run_at < $1 AND run_at < ( \
                 SELECT max(last.run_at) FROM ng_schedule_run last WHERE last.schedule = r.schedule) RETURNING 1",
        );
        Ok(self.change(purge.bind(before.unix_micros())).await?.len() as u64)
    }

    async fn announce(&self) -> Result<()> {
        self.news.announce(&self.connections).await
    }

    async fn listen(&self, wake: &Wake) -> Result<Infallible> {
        self.news.listen(&self.connections, wake).await
    }
}
