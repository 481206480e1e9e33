//! Durable work: one table, whose rows are claimed by an update that names who and with which ticket.
//!
//! One connection writes, so a claim needs no locks. Each state that is looked for has an index over just the rows in
//! it, so what is finished costs nothing.

use std::str::FromStr;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::{
    Claim, Claimed, DEAD_KEEP, DEPTH_MAX, Depth, FAILURES_MAX, Failure, Finish, Inquest, NewWork, OnCrash,
    Revision, Settlement, Ticket, Verdict, WorkClass, WorkFilter, WorkRecord, WorkState, WorkStore, lost,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::SqliteStore;
use super::error::error;
use super::outbox::uuid;

const ADD: &str = "INSERT INTO ng_work (id, class, state, queue, kind, lane, key, payload, priority, run_at, \
                       attempts_max, on_crash, correlation_id, traceparent, created_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
                   ON CONFLICT DO NOTHING";

/// Stores a piece of work, unless it is there or its key is taken.
pub(super) async fn add(connection: &mut SqliteConnection, work: &NewWork, now: Timestamp) -> Result<()> {
    let run_at = work.due.moment(now);
    let state = if run_at > now { WorkState::Scheduled } else { WorkState::Waiting };
    sqlx::query(ADD)
        .bind(work.id.to_string())
        .bind(work.class.name())
        .bind(state.name())
        .bind(&*work.queue)
        .bind(&*work.kind)
        .bind(work.lane.as_deref())
        .bind(work.key.as_deref())
        .bind(&*work.payload)
        .bind(work.priority)
        .bind(run_at.unix_micros())
        .bind(work.attempts_max)
        .bind(work.on_crash.name())
        .bind(work.correlation_id.as_deref())
        .bind(work.traceparent.as_deref())
        .bind(now.unix_micros())
        .execute(connection)
        .await
        .map_err(error)?;
    Ok(())
}

/// Ends a piece of work well, as part of the batch with its effects.
pub(super) async fn finish(connection: &mut SqliteConnection, finish: Finish, now: Timestamp) -> Result<()> {
    let done = sqlx::query(
        "UPDATE ng_work SET state = 'done', owner = NULL, token = NULL, called_off = 0, result = ?3, keep_until = ?4 \
         WHERE id = ?1 AND token = ?2 AND state = 'running'",
    )
    .bind(finish.ticket.id.to_string())
    .bind(finish.ticket.token.to_string())
    .bind(finish.result)
    .bind((now + finish.keep).unix_micros())
    .execute(connection)
    .await
    .map_err(error)?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(lost(finish.ticket)) }
}

/// An id for a delivery has the form in which every id is bound: a UUIDv8, whose content is the maker's own.
const FAN_OUT: &str = "INSERT INTO ng_work (id, class, state, queue, kind, lane, key, payload, priority, run_at, \
                           attempts_max, on_crash, correlation_id, traceparent, created_at) \
                       SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-8' || \
                               substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' || \
                               hex(randomblob(6))), 'delivery', 'waiting', queue, consumer, \
                           CASE WHEN is_ordered THEN ?2 END, ?3, ?4, 0, ?7, attempts_max, 'retry', ?5, ?6, ?7 \
                       FROM ng_subscription WHERE event = ?1 AND (?8 IS NULL OR consumer = ?8) ORDER BY consumer ON CONFLICT DO NOTHING";

/// How much of what is due is made to wait in one turn.
const PROMOTED_MAX: u32 = 1000;

pub(super) const PROMOTE: &str = "UPDATE ng_work SET state = 'waiting' WHERE seq IN ( \
         SELECT seq FROM ng_work WHERE state = 'scheduled' AND run_at <= ?1 ORDER BY run_at LIMIT ?2)";

/// Whether a claim might find anything, in these queues and of these kinds.
pub(super) const ANY: &str = "SELECT 1 WHERE EXISTS ( \
         SELECT 1 FROM json_each(?1) AS q CROSS JOIN json_each(?2) AS k CROSS JOIN ng_work AS w \
             WHERE w.state = 'waiting' AND w.is_head AND w.queue = q.value AND w.kind = k.value) \
     OR EXISTS (SELECT 1 FROM ng_work WHERE state = 'scheduled' AND run_at <= ?3)";

/// The first of each kind, as many as are asked for, and of these the first: what is of no known kind is not read.
pub(super) const CLAIM: &str = "UPDATE ng_work SET state = 'running', attempt = attempt + 1, owner = ?1, token = ?2 WHERE seq IN ( \
         SELECT w.seq FROM json_each(?4) AS k CROSS JOIN ng_work AS w WHERE w.seq IN ( \
             SELECT seq FROM ng_work WHERE state = 'waiting' AND is_head AND queue = ?3 AND kind = k.value \
             ORDER BY priority DESC, seq LIMIT ?5) AND EXISTS (SELECT 1 FROM ng_node WHERE id = ?1) \
         ORDER BY w.priority DESC, w.seq LIMIT ?5) \
     RETURNING id, class, queue, kind, key, payload, attempt, attempts_max, correlation_id, traceparent, created_at, \
         priority, seq, on_crash";

/// Takes work out of the queues, one after another; gives also how much was found due.
async fn claim(
    connection: &mut SqliteConnection,
    claim: Claim,
    kinds: String,
    now: Timestamp,
) -> Result<(Vec<Claimed>, u64)> {
    let promote = sqlx::query(PROMOTE).bind(now.unix_micros()).bind(PROMOTED_MAX);
    let promoted = promote.execute(&mut *connection).await.map_err(error)?.rows_affected();
    let mut claimed = Vec::new();
    for room in claim.rooms {
        let rows = sqlx::query(CLAIM)
            .bind(claim.owner.to_string())
            .bind(claim.token.to_string())
            .bind(room.queue)
            .bind(&*kinds)
            .bind(room.limit)
            .fetch_all(&mut *connection)
            .await
            .map_err(error)?;
        let mut of_queue = rows
            .iter()
            .map(|row| {
                let order = (std::cmp::Reverse(row.try_get::<i64, _>(11)?), row.try_get::<i64, _>(12)?);
                Ok((order, read_claimed(row, claim.token)?))
            })
            .collect::<sqlx::Result<Vec<_>>>()
            .map_err(error)?;
        of_queue.sort_by_key(|(order, _)| *order);
        claimed.extend(of_queue.into_iter().map(|(_, claimed)| claimed));
    }
    Ok((claimed, promoted))
}

fn read_claimed(row: &SqliteRow, token: Uuid) -> sqlx::Result<Claimed> {
    Ok(Claimed {
        ticket: Ticket { id: uuid(row, 0)?, token },
        class: class(row.try_get(1)?)?,
        queue: row.try_get(2)?,
        kind: row.try_get(3)?,
        key: row.try_get(4)?,
        payload: row.try_get(5)?,
        attempt: row.try_get(6)?,
        attempts_max: row.try_get(7)?,
        on_crash: OnCrash::named(row.try_get(13)?),
        correlation_id: row.try_get(8)?,
        traceparent: row.try_get(9)?,
        created_at: Timestamp::from_unix_micros(row.try_get(10)?),
    })
}

fn class(name: &str) -> sqlx::Result<WorkClass> {
    WorkClass::from_str(name).map_err(|cause| sqlx::Error::Decode(cause.into()))
}

/// Adds a failure to a row's history, and keeps the last of them only.
async fn note_failure(
    connection: &mut SqliteConnection,
    id: &str,
    failure: String,
    now: Timestamp,
) -> Result<()> {
    let row = sqlx::query("SELECT attempt, failures FROM ng_work WHERE id = ?")
        .bind(id)
        .fetch_one(&mut *connection)
        .await
        .map_err(error)?;
    let mut failures: Vec<Failure> =
        serde_json::from_str(row.try_get(1).map_err(error)?).map_err(Error::internal)?;
    failures.push(Failure { attempt: row.try_get(0).map_err(error)?, at: now, error: failure });
    failures.drain(..failures.len().saturating_sub(FAILURES_MAX));
    let failures = serde_json::to_string(&failures).map_err(Error::internal)?;
    let note = sqlx::query("UPDATE ng_work SET failures = ?2 WHERE id = ?1").bind(id).bind(failures);
    note.execute(connection).await.map_err(error)?;
    Ok(())
}

/// Ends one attempt that did not succeed; gives whether its ticket still held. What was called off is not tried
/// again.
async fn settle(
    connection: &mut SqliteConnection,
    ticket: Ticket,
    settlement: Settlement,
    now: Timestamp,
) -> Result<bool> {
    let (run_at, counted) = match settlement {
        Settlement::Retry { after, .. } => (Some((now + after).unix_micros()), 0),
        Settlement::Release => (None, 1),
        _ => (None, 0),
    };
    let id = ticket.id.to_string();
    let settled = sqlx::query(
        "UPDATE ng_work SET state = iif(called_off AND ?7, 'cancelled', ?3), owner = NULL, token = NULL, \
             called_off = 0, keep_until = ?4, run_at = coalesce(?5, run_at), attempt = attempt - ?6 \
         WHERE id = ?1 AND token = ?2 AND state = 'running'",
    )
    .bind(&*id)
    .bind(ticket.token.to_string())
    .bind(settlement.state().name())
    .bind((now + DEAD_KEEP).unix_micros())
    .bind(run_at)
    .bind(counted)
    .bind(settlement.state().is_live())
    .execute(&mut *connection)
    .await
    .map_err(error)?;
    if settled.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(failure) = settlement.failure() {
        note_failure(connection, &id, failure, now).await?;
    }
    Ok(true)
}

macro_rules! records_with {
    ($which:literal) => {
        concat!(
            "SELECT id, seq, class, state, queue, kind, key, payload, attempt, attempts_max, crashes, progress, result, \
                 failures, correlation_id, created_at, run_at, owner FROM ng_work \
             WHERE ", $which, " AND seq > ?1 AND (?3 IS NULL OR class = ?3) \
                 AND (?4 = '[]' OR state IN (SELECT value FROM json_each(?4))) \
                 AND (?5 IS NULL OR queue = ?5) AND (?6 IS NULL OR kind = ?6) ORDER BY seq LIMIT ?7"
        )
    };
}

const RECORDS: &str = records_with!("?2 IS NULL");
/// By the index of ids: whoever waits for a job asks often.
pub(super) const RECORD: &str = records_with!("id = ?2");

fn record(row: &SqliteRow) -> sqlx::Result<WorkRecord> {
    let decode = |cause: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(cause);
    let owner: Option<&str> = row.try_get(17)?;
    Ok(WorkRecord {
        id: uuid(row, 0)?,
        seq: row.try_get(1)?,
        class: class(row.try_get(2)?)?,
        state: WorkState::from_str(row.try_get(3)?).map_err(|cause| decode(cause.into()))?,
        queue: row.try_get(4)?,
        kind: row.try_get(5)?,
        key: row.try_get(6)?,
        payload: row.try_get(7)?,
        attempt: row.try_get(8)?,
        attempts_max: row.try_get(9)?,
        crashes: row.try_get(10)?,
        progress: row.try_get(11)?,
        result: row.try_get(12)?,
        failures: serde_json::from_str(row.try_get(13)?).map_err(|cause| decode(cause.into()))?,
        correlation_id: row.try_get(14)?,
        created_at: Timestamp::from_unix_micros(row.try_get(15)?),
        run_at: Timestamp::from_unix_micros(row.try_get(16)?),
        owner: owner.map(Uuid::from_str).transpose().map_err(|cause| decode(cause.into()))?,
    })
}

async fn revise(
    connection: &mut SqliteConnection,
    id: Uuid,
    revision: Revision,
    now: Timestamp,
) -> Result<bool> {
    let states = serde_json::to_string(revision.from_states()).map_err(Error::internal)?;
    let (id, now_micros) = (id.to_string(), now.unix_micros());
    let allowed = "id = ?1 AND state IN (SELECT value FROM json_each(?2))";
    let query = match revision {
        Revision::Replay => sqlx::query(AssertSqlSafe(format!(
            "UPDATE ng_work SET state = 'waiting', attempt = 0, crashes = 0, run_at = ?3, seq = 1 + max( \
                 (SELECT max(seq) FROM ng_work), (SELECT seq FROM sqlite_sequence WHERE name = 'ng_work')) \
             WHERE {allowed}"
        )))
        .bind(id)
        .bind(states)
        .bind(now_micros),
        Revision::Edit { payload } => {
            sqlx::query(AssertSqlSafe(format!("UPDATE ng_work SET payload = ?3 WHERE {allowed}")))
                .bind(id)
                .bind(states)
                .bind(payload)
        }
        Revision::Delete => {
            sqlx::query(AssertSqlSafe(format!("DELETE FROM ng_work WHERE {allowed}"))).bind(id).bind(states)
        }
        Revision::Cancel => sqlx::query(AssertSqlSafe(format!(
            "UPDATE ng_work SET called_off = state = 'running', keep_until = ?3, \
                 state = CASE state WHEN 'running' THEN 'running' ELSE 'cancelled' END WHERE {allowed}"
        )))
        .bind(id)
        .bind(states)
        .bind((now + DEAD_KEEP).unix_micros()),
    };
    let revised = query.execute(connection).await.map_err(|cause| match error(cause) {
        error if error.is_duplicate() => Error::duplicate("work", "key").with_source(error),
        error => error,
    });
    Ok(revised?.rows_affected() == 1)
}

pub(super) const PURGE: &str = "DELETE FROM ng_work WHERE seq IN (SELECT seq FROM ng_work \
     WHERE state IN ('done', 'dead', 'cancelled', 'parked') AND keep_until <= ?1 LIMIT ?2)";

fn depth(row: &SqliteRow, now: Timestamp) -> sqlx::Result<Depth> {
    Ok(Depth {
        queue: row.try_get(0)?,
        kind: row.try_get(1)?,
        state: WorkState::from_str(row.try_get(2)?).map_err(|cause| sqlx::Error::Decode(cause.into()))?,
        count: row.try_get::<i64, _>(3)?.unsigned_abs(),
        oldest: now.since(Timestamp::from_unix_micros(row.try_get(4)?)),
        lanes_held: row.try_get::<i64, _>(5)?.unsigned_abs(),
    })
}

/// What could be claimed, and what is behind in a lane: how to find the next queue and kind that has some, and to count
/// it there, unless others have claimed all of it in the meantime. What there is much of does not hide the rest.
pub(super) const WAITING: [[&str; 2]; 2] = [
    [
        "SELECT queue, kind FROM ng_work WHERE state = 'waiting' AND is_head AND (queue, kind) > (?1, ?2) \
         ORDER BY queue, kind LIMIT 1",
        "SELECT queue, kind, state, count(*), min(run_at), 0 FROM ( \
             SELECT queue, kind, state, run_at FROM ng_work \
             WHERE state = 'waiting' AND is_head AND queue = ?1 AND kind = ?2 LIMIT ?3) \
         HAVING count(*) > 0",
    ],
    [
        "SELECT queue, kind FROM ng_work WHERE state = 'waiting' AND NOT is_head AND (queue, kind) > (?1, ?2) \
         ORDER BY queue, kind LIMIT 1",
        "SELECT queue, kind, state, count(*), min(run_at), 0 FROM ( \
             SELECT queue, kind, state, run_at FROM ng_work \
             WHERE state = 'waiting' AND NOT is_head AND queue = ?1 AND kind = ?2 LIMIT ?3) \
         HAVING count(*) > 0",
    ],
];

/// Counts everything else. Like the other counts it reads no more than it counts.
pub(super) const DEPTHS: &str = "SELECT queue, kind, state, count(*), min(run_at), sum(holds_up) FROM ( \
         SELECT * FROM (SELECT queue, kind, 'waiting' AS state, run_at, lane IS NOT NULL AND attempt > 0 AS holds_up \
             FROM ng_work WHERE state = 'scheduled' AND run_at <= ?2 ORDER BY run_at LIMIT ?1) UNION ALL \
         SELECT * FROM (SELECT queue, kind, state, run_at, lane IS NOT NULL AND attempt > 0 \
             FROM ng_work WHERE state = 'scheduled' AND run_at > ?2 ORDER BY run_at LIMIT ?1) UNION ALL \
         SELECT * FROM (SELECT queue, kind, state, run_at, 0 FROM ng_work \
             WHERE owner IS NOT NULL ORDER BY owner LIMIT ?1) UNION ALL \
         SELECT * FROM (SELECT queue, kind, state, run_at, 0 FROM ng_work \
             WHERE state IN ('dead', 'parked') ORDER BY keep_until LIMIT ?1)) \
     GROUP BY queue, kind, state";

#[async_trait]
impl WorkStore for SqliteStore {
    async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<()> {
        let subscriptions = subscriptions.to_vec();
        self.write(move |connection, _| {
            Box::pin(async move {
                for subscription in subscriptions {
                    sqlx::query(
                        "INSERT INTO ng_subscription (consumer, event, queue, is_ordered, attempts_max) \
                         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (consumer, event) DO UPDATE \
                         SET queue = ?3, is_ordered = ?4, attempts_max = ?5",
                    )
                    .bind(subscription.consumer)
                    .bind(subscription.event)
                    .bind(subscription.queue)
                    .bind(subscription.is_ordered)
                    .bind(subscription.attempts_max)
                    .execute(&mut *connection)
                    .await
                    .map_err(error)?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let all = "SELECT consumer, event, queue, is_ordered, attempts_max FROM ng_subscription \
                   ORDER BY consumer, event";
        let rows = self.read_all(sqlx::query(all)).await?;
        let read = |row: &SqliteRow| {
            Ok(Subscription {
                consumer: row.try_get(0)?,
                event: row.try_get(1)?,
                queue: row.try_get(2)?,
                is_ordered: row.try_get(3)?,
                attempts_max: row.try_get(4)?,
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }

    async fn unsubscribe(&self, consumer: &str) -> Result<bool> {
        let consumer = consumer.to_owned();
        self.write(move |connection, _| {
            Box::pin(async move {
                let gone = sqlx::query("DELETE FROM ng_subscription WHERE consumer = ?").bind(consumer);
                Ok(gone.execute(connection).await.map_err(error)?.rows_affected() > 0)
            })
        })
        .await
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        let parcels = parcels.to_vec();
        self.write(move |connection, now| {
            Box::pin(async move {
                let mut stored = 0;
                for parcel in parcels {
                    let done = sqlx::query(FAN_OUT)
                        .bind(parcel.name)
                        .bind(parcel.subject)
                        .bind(parcel.key)
                        .bind(parcel.envelope)
                        .bind(parcel.correlation_id)
                        .bind(parcel.traceparent)
                        .bind(now.unix_micros())
                        .bind(parcel.consumer)
                        .execute(&mut *connection)
                        .await
                        .map_err(error)?;
                    stored += done.rows_affected();
                }
                Ok(stored)
            })
        })
        .await
    }

    async fn claim(&self, asked: &Claim) -> Result<Vec<Claimed>> {
        let queues: Vec<_> = asked.rooms.iter().map(|room| &room.queue).collect();
        let queues = serde_json::to_string(&queues).map_err(Error::internal)?;
        let kinds = serde_json::to_string(&asked.kinds).map_err(Error::internal)?;
        loop {
            // Looking costs nobody anything; claiming takes the place of one who writes.
            let any = sqlx::query(ANY).bind(queues.clone()).bind(kinds.clone());
            if self.read_all(any.bind(self.now().unix_micros())).await?.is_empty() {
                return Ok(Vec::new());
            }
            let (asked, kinds) = (asked.clone(), kinds.clone());
            let claim = self.write(move |connection, now| Box::pin(claim(connection, asked, kinds, now)));
            let (claimed, promoted) = claim.await?;
            if !claimed.is_empty() || promoted < u64::from(PROMOTED_MAX) {
                return Ok(claimed);
            }
        }
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        let settlements = settlements.to_vec();
        self.write(move |connection, now| {
            Box::pin(async move {
                let mut held = Vec::with_capacity(settlements.len());
                for (ticket, settlement) in settlements {
                    held.push(settle(connection, ticket, settlement, now).await?);
                }
                Ok(held)
            })
        })
        .await
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        let progress = progress.to_owned();
        self.write(move |connection, _| {
            Box::pin(async move {
                let note = sqlx::query(
                    "UPDATE ng_work SET progress = ?3 WHERE id = ?1 AND token = ?2 AND state = 'running'",
                );
                let note = note.bind(ticket.id.to_string()).bind(ticket.token.to_string()).bind(progress);
                Ok(note.execute(connection).await.map_err(error)?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>> {
        let states = serde_json::to_string(&filter.states).map_err(Error::internal)?;
        let query = sqlx::query(if filter.id.is_some() { RECORD } else { RECORDS })
            .bind(filter.after)
            .bind(filter.id.map(|id| id.to_string()))
            .bind(filter.class.map(WorkClass::name))
            .bind(states)
            .bind(filter.queue.clone())
            .bind(filter.kind.clone())
            .bind(filter.limit);
        let rows = self.read_all(query).await?;
        rows.iter().map(|row| record(row).map_err(error)).collect()
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        let revision = revision.clone();
        self.write(move |connection, now| Box::pin(revise(connection, id, revision, now))).await
    }

    async fn purge_work(&self, limit: u32) -> Result<u64> {
        self.write(move |connection, now| {
            Box::pin(async move {
                let purge = sqlx::query(PURGE).bind(now.unix_micros()).bind(limit);
                Ok(purge.execute(connection).await.map_err(error)?.rows_affected())
            })
        })
        .await
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        let now = self.now();
        let mut rows = self.read_all(sqlx::query(DEPTHS).bind(DEPTH_MAX).bind(now.unix_micros())).await?;
        for [next, depth] in WAITING {
            let (mut queue, mut kind) = (String::new(), String::new());
            loop {
                let found = self.read_all(sqlx::query(next).bind(queue).bind(kind)).await?;
                let Some(row) = found.first() else { break };
                (queue, kind) = (row.try_get(0).map_err(error)?, row.try_get(1).map_err(error)?);
                let depth = sqlx::query(depth).bind(queue.clone()).bind(kind.clone()).bind(DEPTH_MAX);
                rows.extend(self.read_all(depth).await?);
            }
        }
        let mut depths: Vec<Depth> = Vec::new();
        for row in &rows {
            let found = depth(row, now).map_err(error)?;
            let same = |known: &&mut Depth| {
                (&known.queue, &known.kind, known.state) == (&found.queue, &found.kind, found.state)
            };
            // What leads a lane, what waits in one, and what has become due are counted apart.
            match depths.iter_mut().find(same) {
                Some(known) => {
                    known.count += found.count;
                    known.oldest = known.oldest.max(found.oldest);
                    known.lanes_held += found.lanes_held;
                }
                None => depths.push(found),
            }
        }
        Ok(depths)
    }
}

pub(super) const OWNED: &str =
    "SELECT id, on_crash, crashes, attempt, attempts_max FROM ng_work WHERE owner = ?1 ORDER BY seq LIMIT ?2";

/// Gives back what a dead node had, at most so many pieces; gives how many there were.
pub(super) async fn release_of_dead(
    connection: &mut SqliteConnection,
    owner: &str,
    inquest: &mut Inquest,
    limit: u32,
    now: Timestamp,
) -> Result<u64> {
    let rows = sqlx::query(OWNED).bind(owner).bind(limit).fetch_all(&mut *connection).await.map_err(error)?;
    for row in &rows {
        let id: String = row.try_get(0).map_err(error)?;
        let on_crash = OnCrash::named(row.try_get(1).map_err(error)?);
        let crashes = row.try_get::<u32, _>(2).map_err(error)? + 1;
        let (attempt, most) = (row.try_get(3).map_err(error)?, row.try_get(4).map_err(error)?);
        let Verdict { state, pause, reason } = inquest.verdict(on_crash, crashes, attempt, most);
        sqlx::query(
            "UPDATE ng_work SET state = iif(called_off AND ?5, 'cancelled', ?2), crashes = ?3, owner = NULL, \
                 token = NULL, called_off = 0, keep_until = ?4, run_at = ?6 WHERE id = ?1",
        )
        .bind(&*id)
        .bind(state.name())
        .bind(crashes)
        .bind((now + DEAD_KEEP).unix_micros())
        .bind(state.is_live())
        .bind((now + pause).unix_micros())
        .execute(&mut *connection)
        .await
        .map_err(error)?;
        if let Some(reason) = reason {
            note_failure(connection, &id, reason.to_owned(), now).await?;
        }
    }
    Ok(rows.len() as u64)
}

/// Gives back what a node had that ends in order.
pub(super) async fn release_of_leaver(
    connection: &mut SqliteConnection,
    owner: &str,
    now: Timestamp,
) -> Result<()> {
    let release = sqlx::query(
        "UPDATE ng_work SET state = iif(called_off, 'cancelled', 'waiting'), attempt = attempt - 1, owner = NULL, \
             token = NULL, called_off = 0, keep_until = ?2 WHERE owner = ?1",
    );
    let release = release.bind(owner).bind((now + DEAD_KEEP).unix_micros());
    release.execute(connection).await.map_err(error)?;
    Ok(())
}
