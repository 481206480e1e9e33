//! Durable work: one table, whose rows are claimed by `SKIP LOCKED` and finished with the ticket of the claim.
//!
//! Every state that is looked for has an index over just the rows in it, so what is finished costs nothing. Time is
//! the server's.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::{
    Claim, Claimed, DEAD_KEEP, DEPTH_MAX, Depth, Due, FAILURES_MAX, Failure, Finish, Inquest, NewWork,
    OnCrash, Revision, Settlement, Ticket, Verdict, WorkClass, WorkFilter, WorkRecord, WorkState, WorkStore,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::PostgresStore;
use super::error::error;
use super::outbox::{micros, number};
use super::select::Bound;
use super::whole::column;

/// How many parameters [`bind_new`] binds.
pub(super) const NEW_PARAMETERS: usize = 14;

/// Stores pieces of work from arrays that begin with this parameter, unless their keys are taken; `condition` decides
/// whether any is stored.
pub(super) fn new(first: usize, condition: &str) -> String {
    let types = [
        "uuid", "text", "text", "text", "text", "text", "text", "bigint", "bigint", "bigint", "bigint",
        "text", "text", "text",
    ];
    let arrays: Vec<_> =
        types.iter().enumerate().map(|(place, kind)| format!("${}::{kind}[]", first + place)).collect();
    format!(
        "INSERT INTO ng_work (id, class, queue, kind, lane, key, payload, priority, run_at, state, attempts_max, \
             on_crash, correlation_id, traceparent, created_at) \
         SELECT id, class, queue, kind, lane, key, payload, priority, coalesce(at, ng_now() + delay), \
             CASE WHEN coalesce(at, ng_now() + delay) > ng_now() THEN 'scheduled' ELSE 'waiting' END, attempts_max, \
             on_crash, correlation_id, traceparent, ng_now() \
         FROM unnest({}) AS t (id, class, queue, kind, lane, key, payload, priority, delay, at, attempts_max, \
             on_crash, correlation_id, traceparent) WHERE {condition} ON CONFLICT DO NOTHING",
        arrays.join(", ")
    )
}

pub(super) fn bind_new<'q>(query: Bound<'q>, work: &[&NewWork]) -> Bound<'q> {
    query
        .bind(column(work, |work| work.id))
        .bind(column(work, |work| work.class.name()))
        .bind(column(work, |work| work.queue.as_str()))
        .bind(column(work, |work| work.kind.as_str()))
        .bind(column(work, |work| work.lane.as_deref()))
        .bind(column(work, |work| work.key.as_deref()))
        .bind(column(work, |work| work.payload.as_str()))
        .bind(column(work, |work| i64::from(work.priority)))
        .bind(column(work, |work| match work.due {
            Due::After(span) => micros(span),
            Due::Now | Due::At(_) => 0,
        }))
        .bind(column(work, |work| match work.due {
            Due::At(moment) => Some(moment.unix_micros()),
            Due::Now | Due::After(_) => None,
        }))
        .bind(column(work, |work| i64::from(work.attempts_max)))
        .bind(column(work, |work| work.on_crash.name()))
        .bind(column(work, |work| work.correlation_id.as_deref()))
        .bind(column(work, |work| work.traceparent.as_deref()))
}

/// How many parameters [`bind_finish`] binds.
pub(super) const FINISH_PARAMETERS: usize = 4;

/// Ends pieces of work well, unless their tickets are lost.
pub(super) fn finish(first: usize) -> String {
    let (id, token, result, keep) = (first, first + 1, first + 2, first + 3);
    format!(
        "UPDATE ng_work w SET state = 'done', owner = NULL, token = NULL, called_off = false, result = t.result, \
             keep_until = ng_now() + t.keep \
         FROM unnest(${id}::uuid[], ${token}::uuid[], ${result}::text[], ${keep}::bigint[]) \
         AS t (id, token, result, keep) WHERE w.id = t.id AND w.token = t.token AND w.state = 'running'"
    )
}

pub(super) fn bind_finish<'q>(query: Bound<'q>, finishes: &[&Finish]) -> Bound<'q> {
    query
        .bind(column(finishes, |finish| finish.ticket.id))
        .bind(column(finishes, |finish| finish.ticket.token))
        .bind(column(finishes, |finish| finish.result.as_deref()))
        .bind(column(finishes, |finish| micros(finish.keep)))
}

const FAN_OUT: &str = "INSERT INTO ng_work (id, class, state, queue, kind, lane, key, payload, priority, run_at, \
                           attempts_max, on_crash, correlation_id, traceparent, created_at) \
                       SELECT gen_random_uuid(), 'delivery', 'waiting', s.queue, s.consumer, \
                           CASE WHEN s.is_ordered THEN m.subject END, m.key, m.envelope, 0, ng_now(), \
                           s.attempts_max, 'retry', m.correlation_id, m.traceparent, ng_now() \
                       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
                           WITH ORDINALITY AS m (name, subject, key, envelope, correlation_id, traceparent, consumer, \
                               place) \
                       JOIN ng_subscription s ON s.event = m.name AND s.consumer = coalesce(m.consumer, s.consumer) \
                       ORDER BY m.place, s.consumer \
                       ON CONFLICT DO NOTHING RETURNING 1";

/// How much of a kind others may be about to take, in front of what a claim takes. The limit is not there to be met: it
/// tells the planner that few rows are wanted, for which an index is read in its order.
const LOCKED_MAX: u32 = 1000;

/// How many behind one in its lane are looked at for one that runs. A number is given before the commit, so that who has
/// the lower one may come when the higher one has begun; between them are those that were being stored at that moment.
const BESIDE_MAX: u32 = 32;

/// What is due is made to wait first; what that moved shows in the next claim only, hence the count. Of the lanes, those
/// with the mark are looked at; see the schema.
///
/// Each kind has a part of its own, in the order of the index; merged, they are read no further than until enough was
/// locked. What is of no known kind is not read, and nothing is locked that is not taken. From there on rows are found by
/// their place, for which the planner needs no statistics: a plan that was made for a small table serves a large one.
pub(super) fn claim(kinds: usize) -> String {
    let of_kind = |place: usize| {
        format!(
            "(SELECT ctid, seq, priority FROM ng_work \
             WHERE state = 'waiting' AND is_head AND queue = q.queue AND kind = ($5::text[])[{place}] \
             ORDER BY priority DESC, seq LIMIT q.most + {LOCKED_MAX})"
        )
    };
    let heads = (1..=kinds).map(of_kind).collect::<Vec<_>>().join(" UNION ALL ");
    format!(
        "WITH p AS ( \
             UPDATE ng_work SET state = 'waiting' WHERE ctid = ANY(ARRAY( \
                 SELECT ctid FROM ng_work WHERE state = 'scheduled' AND run_at <= ng_now() \
                 ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED)) RETURNING 1), \
         n AS (SELECT 1 FROM ng_node WHERE id = $1 FOR KEY SHARE), \
         c AS ( \
             SELECT f.ctid FROM n CROSS JOIN unnest($3::text[], $4::bigint[]) AS q (queue, most) CROSS JOIN LATERAL ( \
                 SELECT l.ctid FROM ({heads}) AS h CROSS JOIN LATERAL ( \
                     SELECT w.ctid FROM ng_work w WHERE w.ctid = h.ctid AND w.state = 'waiting' AND w.is_head \
                         AND (w.lane IS NULL OR NOT EXISTS ( \
                             SELECT 1 FROM ng_work e WHERE e.kind = w.kind AND e.lane = w.lane \
                                 AND e.lane IS NOT NULL AND e.seq < w.seq \
                                 AND e.state IN ('waiting', 'scheduled', 'running')) \
                             AND NOT EXISTS ( \
                                 SELECT 1 FROM ( \
                                     SELECT e.state FROM ng_work e WHERE e.kind = w.kind AND e.lane = w.lane \
                                         AND e.lane IS NOT NULL AND e.seq > w.seq \
                                         AND e.state IN ('waiting', 'scheduled', 'running') \
                                     ORDER BY e.seq LIMIT {BESIDE_MAX}) AS b WHERE b.state = 'running')) \
                     FOR NO KEY UPDATE SKIP LOCKED) AS l \
                 ORDER BY h.priority DESC, h.seq LIMIT q.most) AS f), \
         u AS ( \
             UPDATE ng_work w SET state = 'running', attempt = w.attempt + 1, owner = $1, token = $2 \
             WHERE w.ctid = ANY(ARRAY(SELECT ctid FROM c)) \
             RETURNING w.id, w.class, w.queue, w.kind, w.key, w.payload, w.attempt, w.attempts_max, \
                 w.correlation_id, w.traceparent, w.created_at, w.on_crash, w.priority, w.seq) \
         SELECT (SELECT count(*) FROM p), u.id, u.class, u.queue, u.kind, u.key, u.payload, u.attempt, \
             u.attempts_max, u.correlation_id, u.traceparent, u.created_at, \
             (SELECT min(run_at) - ng_now() FROM ng_work WHERE state = 'scheduled' AND run_at > ng_now()), u.on_crash \
         FROM (SELECT 1) AS one LEFT JOIN u ON true ORDER BY u.priority DESC, u.seq"
    )
}

fn class(name: &str) -> sqlx::Result<WorkClass> {
    WorkClass::from_str(name).map_err(|cause| sqlx::Error::Decode(cause.into()))
}

fn state(name: &str) -> sqlx::Result<WorkState> {
    WorkState::from_str(name).map_err(|cause| sqlx::Error::Decode(cause.into()))
}

/// How much a claim found due, and how long it is until more is.
fn due(row: &PgRow) -> sqlx::Result<(i64, Option<Duration>)> {
    let next: Option<i64> = row.try_get(12)?;
    Ok((row.try_get(0)?, next.map(|after| Duration::from_micros(after.unsigned_abs()))))
}

fn claimed(row: &PgRow, token: Uuid) -> sqlx::Result<Option<Claimed>> {
    let Some(id) = row.try_get::<Option<Uuid>, _>(1)? else { return Ok(None) };
    Ok(Some(Claimed {
        ticket: Ticket { id, token },
        class: class(row.try_get(2)?)?,
        queue: row.try_get(3)?,
        kind: row.try_get(4)?,
        key: row.try_get(5)?,
        payload: row.try_get(6)?,
        attempt: number(row, 7)?,
        attempts_max: number(row, 8)?,
        on_crash: OnCrash::named(row.try_get(13)?),
        correlation_id: row.try_get(9)?,
        traceparent: row.try_get(10)?,
        created_at: Timestamp::from_unix_micros(row.try_get(11)?),
    }))
}

/// The history of failures with one more, as many of the last as are kept.
fn with_failure(failure: &str) -> String {
    format!(
        "(SELECT jsonb_agg(f ORDER BY n) FROM (SELECT f, n FROM jsonb_array_elements(failures || \
             jsonb_build_array(jsonb_build_object('attempt', attempt, 'at', to_char(statement_timestamp() \
                 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'error', {failure}::text))) \
             WITH ORDINALITY AS t (f, n) ORDER BY n DESC LIMIT {FAILURES_MAX}) AS kept)"
    )
}

/// A text that JSONB can hold.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Ends attempts that did not succeed, in one statement: all or none. What was called off is not tried again.
fn settle() -> String {
    format!(
        "UPDATE ng_work w SET state = CASE WHEN called_off AND v.is_live THEN 'cancelled' ELSE v.state END, \
             owner = NULL, token = NULL, called_off = false, keep_until = ng_now() + $8, \
             run_at = coalesce(ng_now() + v.after, run_at), attempt = w.attempt - v.given_back, \
             failures = CASE WHEN v.failure IS NULL THEN failures ELSE {} END \
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[], $7::text[]) \
             AS v (id, token, state, is_live, after, given_back, failure) \
         WHERE w.id = v.id AND w.token = v.token AND w.state = 'running' RETURNING v.id, v.token",
        with_failure("v.failure")
    )
}

fn bind_settle<'q>(query: Bound<'q>, settlements: &[(Ticket, Settlement)]) -> Bound<'q> {
    query
        .bind(column(settlements, |(ticket, _)| ticket.id))
        .bind(column(settlements, |(ticket, _)| ticket.token))
        .bind(column(settlements, |(_, settlement)| settlement.state().name()))
        .bind(column(settlements, |(_, settlement)| settlement.state().is_live()))
        .bind(column(settlements, |(_, settlement)| match settlement {
            Settlement::Retry { after, .. } => Some(micros(*after)),
            _ => None,
        }))
        .bind(column(settlements, |(_, settlement)| i64::from(matches!(settlement, Settlement::Release))))
        .bind(column(settlements, |(_, settlement)| settlement.failure().map(without_nul)))
        .bind(micros(DEAD_KEEP))
}

const RECORD: &str = "SELECT id, seq, class, state, queue, kind, key, payload, attempt, attempts_max, crashes, \
                          progress, result, failures::text, correlation_id, created_at, run_at, owner FROM ng_work \
                      WHERE seq > $1 AND ($2::uuid IS NULL OR id = $2) AND ($3::text IS NULL OR class = $3) \
                          AND (cardinality($4::text[]) = 0 OR state = ANY($4)) \
                          AND ($5::text IS NULL OR queue = $5) AND ($6::text IS NULL OR kind = $6) \
                      ORDER BY seq LIMIT $7";

fn record(row: &PgRow) -> sqlx::Result<WorkRecord> {
    let failures: Vec<Failure> =
        serde_json::from_str(row.try_get(13)?).map_err(|cause| sqlx::Error::Decode(cause.into()))?;
    Ok(WorkRecord {
        id: row.try_get(0)?,
        seq: row.try_get(1)?,
        class: class(row.try_get(2)?)?,
        state: state(row.try_get(3)?)?,
        queue: row.try_get(4)?,
        kind: row.try_get(5)?,
        key: row.try_get(6)?,
        payload: row.try_get(7)?,
        attempt: number(row, 8)?,
        attempts_max: number(row, 9)?,
        crashes: number(row, 10)?,
        progress: row.try_get(11)?,
        result: row.try_get(12)?,
        failures,
        correlation_id: row.try_get(14)?,
        created_at: Timestamp::from_unix_micros(row.try_get(15)?),
        run_at: Timestamp::from_unix_micros(row.try_get(16)?),
        owner: row.try_get(17)?,
    })
}

/// Reads no more than is counted: each part follows an index of just the rows in its state, and what waits is counted
/// by queue and kind, so that what there is much of does not hide the rest.
pub(super) const DEPTHS: &str = "WITH RECURSIVE \
                      h (queue, kind) AS ( \
                          (SELECT queue, kind FROM ng_work WHERE state = 'waiting' AND is_head \
                              ORDER BY queue, kind LIMIT 1) UNION ALL \
                          SELECT n.queue, n.kind FROM h CROSS JOIN LATERAL ( \
                              SELECT w.queue, w.kind FROM ng_work w WHERE w.state = 'waiting' AND w.is_head \
                                  AND (w.queue, w.kind) > (h.queue, h.kind) ORDER BY w.queue, w.kind LIMIT 1) AS n), \
                      b (queue, kind) AS ( \
                          (SELECT queue, kind FROM ng_work WHERE state = 'waiting' AND NOT is_head \
                              ORDER BY queue, kind LIMIT 1) UNION ALL \
                          SELECT n.queue, n.kind FROM b CROSS JOIN LATERAL ( \
                              SELECT w.queue, w.kind FROM ng_work w WHERE w.state = 'waiting' AND NOT w.is_head \
                                  AND (w.queue, w.kind) > (b.queue, b.kind) ORDER BY w.queue, w.kind LIMIT 1) AS n), \
                      w AS ( \
                          SELECT f.* FROM h CROSS JOIN LATERAL ( \
                              SELECT queue, kind, state, run_at, false AS holds_up FROM ng_work \
                              WHERE state = 'waiting' AND is_head AND queue = h.queue AND kind = h.kind \
                              ORDER BY priority DESC, seq LIMIT $1) AS f \
                          UNION ALL \
                          SELECT f.* FROM b CROSS JOIN LATERAL ( \
                              SELECT queue, kind, state, run_at, false FROM ng_work \
                              WHERE state = 'waiting' AND NOT is_head AND queue = b.queue AND kind = b.kind \
                              ORDER BY seq LIMIT $1) AS f \
                          UNION ALL ( \
                              SELECT queue, kind, 'waiting', run_at, lane IS NOT NULL AND attempt > 0 FROM ng_work \
                              WHERE state = 'scheduled' AND run_at <= ng_now() ORDER BY run_at LIMIT $1) \
                          UNION ALL ( \
                              SELECT queue, kind, state, run_at, lane IS NOT NULL AND attempt > 0 FROM ng_work \
                              WHERE state = 'scheduled' AND run_at > ng_now() ORDER BY run_at LIMIT $1) \
                          UNION ALL ( \
                              SELECT queue, kind, state, run_at, false FROM ng_work \
                              WHERE owner IS NOT NULL ORDER BY owner LIMIT $1) \
                          UNION ALL ( \
                              SELECT queue, kind, state, run_at, false FROM ng_work \
                              WHERE state IN ('dead', 'parked') ORDER BY keep_until LIMIT $1)) \
                      SELECT queue, kind, state, count(*), greatest(0, ng_now() - min(run_at)), \
                          count(*) FILTER (WHERE holds_up) FROM w GROUP BY queue, kind, state";

#[async_trait]
impl WorkStore for PostgresStore {
    async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<()> {
        let subscribe = sqlx::query(
            "INSERT INTO ng_subscription (consumer, event, queue, is_ordered, attempts_max) \
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::bigint[]) \
             ON CONFLICT (consumer, event) DO UPDATE SET queue = excluded.queue, \
                 is_ordered = excluded.is_ordered, attempts_max = excluded.attempts_max",
        )
        .bind(column(subscriptions, |subscription| subscription.consumer.clone()))
        .bind(column(subscriptions, |subscription| subscription.event.clone()))
        .bind(column(subscriptions, |subscription| subscription.queue.clone()))
        .bind(column(subscriptions, |subscription| subscription.is_ordered))
        .bind(column(subscriptions, |subscription| i64::from(subscription.attempts_max)));
        self.change(subscribe).await.map(drop)
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let all = "SELECT consumer, event, queue, is_ordered, attempts_max FROM ng_subscription \
                   ORDER BY consumer COLLATE \"C\", event COLLATE \"C\"";
        let rows = self.connections.rows(|| sqlx::query(all)).await?;
        let read = |row: &PgRow| {
            Ok(Subscription {
                consumer: row.try_get(0)?,
                event: row.try_get(1)?,
                queue: row.try_get(2)?,
                is_ordered: row.try_get(3)?,
                attempts_max: number(row, 4)?,
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }

    async fn unsubscribe(&self, consumer: &str) -> Result<bool> {
        let gone = sqlx::query("DELETE FROM ng_subscription WHERE consumer = $1 RETURNING 1");
        Ok(!self.change(gone.bind(consumer.to_owned())).await?.is_empty())
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        let fan_out = sqlx::query(FAN_OUT)
            .bind(column(parcels, |parcel| parcel.name.clone()))
            .bind(column(parcels, |parcel| parcel.subject.clone()))
            .bind(column(parcels, |parcel| parcel.key.clone()))
            .bind(column(parcels, |parcel| parcel.envelope.clone()))
            .bind(column(parcels, |parcel| parcel.correlation_id.clone()))
            .bind(column(parcels, |parcel| parcel.traceparent.clone()))
            .bind(column(parcels, |parcel| parcel.consumer.clone()));
        Ok(self.change(fan_out).await?.len() as u64)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        if claim.kinds.is_empty() {
            return Ok(Vec::new());
        }
        let statement = self::claim(claim.kinds.len());
        loop {
            let queues: Vec<_> = claim.rooms.iter().map(|room| room.queue.clone()).collect();
            let limits: Vec<_> = claim.rooms.iter().map(|room| i64::from(room.limit)).collect();
            let asked = sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(claim.owner)
                .bind(claim.token)
                .bind(queues)
                .bind(limits)
                .bind(claim.kinds.clone());
            let rows = self.change(asked).await?;
            let read = |row: &PgRow| claimed(row, claim.token).transpose();
            let found = rows.iter().filter_map(read).collect::<sqlx::Result<Vec<_>>>().map_err(error)?;
            let (promoted, due) = match rows.first() {
                Some(row) => due(row).map_err(error)?,
                None => (0, None),
            };
            self.news.note_due(due);
            if !found.is_empty() || promoted == 0 {
                return Ok(found);
            }
        }
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        let rows = self.change(bind_settle(sqlx::query(AssertSqlSafe(settle())), settlements)).await?;
        let ended = rows.iter().map(|row| Ok((row.try_get::<Uuid, _>(0)?, row.try_get::<Uuid, _>(1)?)));
        let ended = ended.collect::<sqlx::Result<HashSet<_>>>().map_err(error)?;
        Ok(settlements.iter().map(|(ticket, _)| ended.contains(&(ticket.id, ticket.token))).collect())
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        let note = sqlx::query(
            "UPDATE ng_work SET progress = $3 WHERE id = $1 AND token = $2 AND state = 'running' RETURNING 1",
        );
        let note = note.bind(ticket.id).bind(ticket.token).bind(progress.to_owned());
        Ok(!self.change(note).await?.is_empty())
    }

    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>> {
        let rows = self
            .connections
            .rows(|| {
                sqlx::query(RECORD)
                    .bind(filter.after)
                    .bind(filter.id)
                    .bind(filter.class.map(WorkClass::name))
                    .bind(filter.states.iter().map(|state| state.name()).collect::<Vec<_>>())
                    .bind(filter.queue.clone())
                    .bind(filter.kind.clone())
                    .bind(i64::from(filter.limit))
            })
            .await?;
        rows.iter().map(|row| record(row).map_err(error)).collect()
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        let states: Vec<_> = revision.from_states().iter().map(|state| state.name()).collect();
        let query = match revision {
            Revision::Replay => sqlx::query(
                "UPDATE ng_work SET state = 'waiting', attempt = 0, crashes = 0, run_at = ng_now(), seq = DEFAULT \
                 WHERE id = $1 AND state = ANY($2) RETURNING 1",
            ),
            Revision::Edit { .. } => {
                sqlx::query("UPDATE ng_work SET payload = $3 WHERE id = $1 AND state = ANY($2) RETURNING 1")
            }
            Revision::Delete => {
                sqlx::query("DELETE FROM ng_work WHERE id = $1 AND state = ANY($2) RETURNING 1")
            }
            Revision::Cancel => sqlx::query(
                "UPDATE ng_work SET called_off = state = 'running', keep_until = ng_now() + $3, \
                     state = CASE state WHEN 'running' THEN 'running' ELSE 'cancelled' END \
                 WHERE id = $1 AND state = ANY($2) RETURNING 1",
            ),
        };
        let query = query.bind(id).bind(states);
        let query = match revision {
            Revision::Edit { payload } => query.bind(payload.clone()),
            Revision::Cancel => query.bind(micros(DEAD_KEEP)),
            Revision::Replay | Revision::Delete => query,
        };
        let revised = self.change(query).await.map_err(|error| match revision {
            Revision::Replay if error.is_duplicate() => Error::duplicate("work", "key").with_source(error),
            _ => error,
        });
        Ok(!revised?.is_empty())
    }

    async fn purge_work(&self, limit: u32) -> Result<u64> {
        let purge = sqlx::query(
            "DELETE FROM ng_work WHERE seq = ANY(ARRAY(SELECT seq FROM ng_work \
             WHERE state IN ('done', 'dead', 'cancelled', 'parked') AND keep_until <= ng_now() \
             LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING 1",
        );
        Ok(self.change(purge.bind(i64::from(limit))).await?.len() as u64)
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        let rows = self.connections.rows(|| sqlx::query(DEPTHS).bind(i64::from(DEPTH_MAX))).await?;
        let read = |row: &PgRow| {
            Ok(Depth {
                queue: row.try_get(0)?,
                kind: row.try_get(1)?,
                state: state(row.try_get(2)?)?,
                count: row.try_get::<i64, _>(3)?.unsigned_abs(),
                oldest: Duration::from_micros(row.try_get::<i64, _>(4)?.unsigned_abs()),
                lanes_held: row.try_get::<i64, _>(5)?.unsigned_abs(),
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }
}

/// Gives back what a dead node had, at most so many pieces; gives how many there were.
pub(super) async fn release_of_dead(
    connection: &mut PgConnection,
    owner: Uuid,
    inquest: &mut Inquest,
    limit: u32,
) -> sqlx::Result<u64> {
    let rows = sqlx::query(
        "SELECT id, on_crash, crashes, attempt, attempts_max FROM ng_work WHERE owner = $1 ORDER BY seq LIMIT $2 \
         FOR UPDATE SKIP LOCKED",
    )
    .bind(owner)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let sql = format!(
        "UPDATE ng_work w SET crashes = w.crashes + 1, owner = NULL, token = NULL, called_off = false, \
             state = CASE WHEN called_off AND v.is_live THEN 'cancelled' ELSE v.state END, \
             run_at = ng_now() + v.pause, keep_until = ng_now() + $6, \
             failures = CASE WHEN v.reason IS NULL THEN failures ELSE {} END \
         FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::bigint[], $5::text[]) \
             AS v (id, state, is_live, pause, reason) WHERE w.id = v.id",
        with_failure("v.reason")
    );
    let mut ids: Vec<Uuid> = Vec::with_capacity(rows.len());
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(rows.len());
    for row in &rows {
        let on_crash = OnCrash::named(row.try_get(1)?);
        ids.push(row.try_get(0)?);
        let crashes = number(row, 2)? + 1;
        verdicts.push(inquest.verdict(on_crash, crashes, number(row, 3)?, number(row, 4)?));
    }
    // In one statement: a step for each piece would take longest when the machine has least time.
    let release = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .bind(verdicts.iter().map(|verdict| verdict.state.name()).collect::<Vec<_>>())
        .bind(verdicts.iter().map(|verdict| verdict.state.is_live()).collect::<Vec<_>>())
        .bind(verdicts.iter().map(|verdict| micros(verdict.pause)).collect::<Vec<_>>())
        .bind(verdicts.iter().map(|verdict| verdict.reason).collect::<Vec<_>>())
        .bind(micros(DEAD_KEEP));
    Ok(release.execute(&mut *connection).await?.rows_affected())
}
