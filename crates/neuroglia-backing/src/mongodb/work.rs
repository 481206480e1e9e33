//! Durable work: one document for each piece, claimed by single operations and finished with the ticket of the claim.
//!
//! Time is the server's. What a document says of a piece of work is in `work/standing.rs`, how pieces are claimed in
//! `work/claim.rs`, and who is first in a lane in `lines.rs`.

mod claim;
mod standing;

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind as DriverKind;
use mongodb::{ClientSession, Collection};
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::{
    Claim, Claimed, DEAD_KEEP, DEPTH_MAX, Depth, Inquest, OnCrash, Revision, Settlement, Ticket, WorkClass,
    WorkFilter, WorkRecord, WorkState, WorkStore,
};
use uuid::Uuid;

use super::MongoStore;
use super::connection::Connection;
use super::error::{DUPLICATE, error, is_duplicate};
use super::fields::{Fields, after, either, literal, now, put, uuid};
use super::numbers::Numbers;
use super::schema::{SUBSCRIPTIONS, WORK};
use super::transaction::{ATTEMPTS_MAX, Refusal, Transacted, transact};

use self::standing::{called_off, record, standing, state, with_failure};

/// How often a lane is looked at before a piece of it is deleted.
const LOOKS_MAX: u32 = 5;
pub(super) use self::standing::{document, finish, held};

#[async_trait]
impl WorkStore for MongoStore {
    async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<()> {
        let all = self.connection.collection(SUBSCRIPTIONS);
        for Subscription { consumer, event, queue, is_ordered, attempts_max } in subscriptions {
            let terms = doc! {
                "consumer": consumer,
                "event": event,
                "queue": queue,
                "is_ordered": is_ordered,
                "attempts_max": i64::from(*attempts_max),
            };
            let note = || {
                let id = doc! { "_id": { "consumer": consumer, "event": event } };
                all.update_one(id, doc! { "$set": terms.clone() }).upsert(true).into_future()
            };
            // Two that note the same one at once: one of them finds it there.
            match self.connection.tried(note()).await? {
                Err(cause) if is_duplicate(&cause) => self.connection.run(note()).await.map(drop)?,
                outcome => outcome.map(drop).map_err(error)?,
            }
        }
        Ok(())
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let all = self.connection.collection(SUBSCRIPTIONS);
        let all = all.find(doc! {}).sort(doc! { "consumer": 1, "event": 1 });
        self.connection.all(all.into_future()).await?.iter().map(subscription).collect()
    }

    async fn unsubscribe(&self, consumer: &str) -> Result<bool> {
        let all = self.connection.collection(SUBSCRIPTIONS);
        let gone = all.delete_many(doc! { "consumer": consumer });
        Ok(self.connection.run(gone.into_future()).await?.deleted_count > 0)
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        let events: Vec<_> = parcels.iter().map(|parcel| parcel.name.as_str()).collect();
        let all = self.connection.collection(SUBSCRIPTIONS);
        let wanting = all.find(doc! { "event": { "$in": events } }).sort(doc! { "consumer": 1 });
        let wanting = self.connection.all(wanting.into_future()).await?;
        let wanting = wanting.iter().map(subscription).collect::<Result<Vec<_>>>()?;
        let deliveries: Vec<_> = parcels
            .iter()
            .flat_map(|parcel| {
                let is_for = |to: &&Subscription| {
                    to.event == parcel.name && parcel.consumer.as_ref().is_none_or(|one| *one == to.consumer)
                };
                wanting.iter().filter(is_for).map(|to| parcel.delivery(Ids::random().next_uuid(), to))
            })
            .collect();
        if deliveries.is_empty() {
            return self.connection.is_closed().map(|()| 0);
        }
        let mut numbers = Numbers::take(&self.connection, deliveries.len()).await?;
        let note = Ids::random().next_uuid();
        let deliveries: Vec<_> =
            deliveries.iter().map(|delivery| document(delivery, &mut numbers, note)).collect();
        store_those_missing(&self.connection, &deliveries).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        claim::claim(&self.connection, claim).await
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        let note = Ids::random().next_uuid();
        let work = self.connection.collection(WORK);
        if let [(ticket, settlement)] = settlements {
            let settle = work.update_one(held(*ticket), settled(settlement, note));
            return Ok(vec![self.connection.run(settle.into_future()).await?.matched_count == 1]);
        }
        transact(&self.connection, ATTEMPTS_MAX, Ends { work, settlements, note }).await
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        let note = doc! { "$set": { "progress": progress } };
        let work = self.connection.collection(WORK);
        let note = work.update_one(held(ticket), note);
        Ok(self.connection.run(note.into_future()).await?.matched_count == 1)
    }

    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>> {
        if filter.limit == 0 {
            return Ok(Vec::new());
        }
        let mut wanted = doc! { "seq": { "$gt": filter.after } };
        put(&mut wanted, "_id", filter.id.map(uuid));
        put(&mut wanted, "class", filter.class.map(WorkClass::name));
        put(&mut wanted, "queue", filter.queue.as_deref());
        put(&mut wanted, "kind", filter.kind.as_deref());
        if !filter.states.is_empty() {
            let states: Vec<_> = filter.states.iter().map(|state| state.name()).collect();
            wanted.insert("state", doc! { "$in": states });
        }
        let work = self.connection.collection(WORK);
        let found = work.find(wanted).sort(doc! { "seq": 1 }).limit(i64::from(filter.limit));
        self.connection.all(found.into_future()).await?.iter().map(record).collect()
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        let work = self.connection.collection(WORK);
        let states: Vec<_> = revision.from_states().iter().map(|state| state.name()).collect();
        let this = doc! { "_id": uuid(id), "state": { "$in": states } };
        let note = Ids::random().next_uuid();
        let update = match revision {
            Revision::Delete => {
                // Its note, that its lane is to be looked at, would go with it.
                let mut bare = this.clone();
                bare.insert("look", doc! { "$exists": false });
                for _ in 0..LOOKS_MAX {
                    claim::LANES.look(&self.connection).await?;
                    let gone = work.delete_one(bare.clone()).into_future();
                    if self.connection.run(gone).await?.deleted_count == 1 {
                        return Ok(true);
                    }
                    if self.connection.run(work.find_one(this.clone()).into_future()).await?.is_none() {
                        return Ok(false);
                    }
                }
                return Err(Error::unavailable("the lane of this work does not come to rest; try again"));
            }
            Revision::Edit { payload } => vec![doc! { "$set": { "payload": literal(payload.as_str()) } }],
            Revision::Cancel => {
                let is_running = doc! { "$eq": ["$state", WorkState::Running.name()] };
                let end = doc! {
                    "called_off": is_running.clone(),
                    "state": either(is_running, "$state", WorkState::Cancelled.name()),
                };
                vec![doc! { "$set": end }, standing(DEAD_KEEP, note)]
            }
            Revision::Replay => {
                let seq = Numbers::take(&self.connection, 1).await?.next();
                let anew = doc! {
                    "state": WorkState::Waiting.name(),
                    "attempt": 0_i64,
                    "crashes": 0_i64,
                    "run_at": now(),
                    "seq": seq,
                    "look": either(super::fields::has("lane"), literal(uuid(note)), "$look"),
                };
                vec![doc! { "$set": anew }, standing(DEAD_KEEP, note)]
            }
        };
        match self.connection.tried(work.update_one(this, update).into_future()).await? {
            Err(cause) if is_duplicate(&cause) && *revision == Revision::Replay => {
                Err(Error::duplicate("work", "key").with_source(error(cause)))
            }
            outcome => Ok(outcome.map_err(error)?.matched_count == 1),
        }
    }

    async fn purge_work(&self, limit: u32) -> Result<u64> {
        if limit == 0 {
            return Ok(0);
        }
        let work = self.connection.collection(WORK);
        let at = self.connection.now().await?.unix_micros();
        // What somebody replays meanwhile has no such time any more.
        let over = doc! { "forget_at": { "$lte": at } };
        let some = work.find(over.clone()).projection(doc! { "_id": 1 }).limit(i64::from(limit));
        let ids = self.connection.all(some.into_future()).await?;
        let ids: Vec<_> = ids.into_iter().filter_map(|mut found| found.remove("_id")).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let gone = doc! { "_id": { "$in": ids }, "forget_at": { "$lte": at }, "look": { "$exists": false } };
        Ok(self.connection.run(work.delete_many(gone).into_future()).await?.deleted_count)
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        let work = self.connection.collection(WORK);
        let mut parts = Vec::new();
        for (queue_field, kind_field) in [("ready.queue", "ready.kind"), ("behind", "kind")] {
            let queues = work.distinct(queue_field, doc! { queue_field: { "$exists": true } });
            for queue in self.connection.run(queues.into_future()).await? {
                let of_queue = doc! { queue_field: { "$eq": queue } };
                let kinds = work.distinct(kind_field, of_queue.clone());
                for kind in self.connection.run(kinds.into_future()).await? {
                    let mut part = of_queue.clone();
                    part.insert(kind_field, doc! { "$eq": kind });
                    parts.push(part);
                }
            }
        }
        parts.extend(["due_at", "owner", "stuck"].map(|field| doc! { field: { "$exists": true } }));
        let mut depths = Vec::new();
        for part in parts {
            let counted = work.aggregate(counted(part));
            for row in self.connection.all(counted.into_future()).await? {
                merge(&mut depths, depth(&row)?);
            }
        }
        Ok(depths)
    }
}

/// Ends of attempts, all of them or none.
struct Ends<'s> {
    work: Collection<Document>,
    settlements: &'s [(Ticket, Settlement)],
    note: Uuid,
}

impl Transacted for Ends<'_> {
    type Output = Vec<bool>;

    async fn attempt(&mut self, session: &mut ClientSession, _: u32) -> Result<Vec<bool>, Refusal> {
        let mut were_held = Vec::with_capacity(self.settlements.len());
        for (ticket, settlement) in self.settlements {
            let settle = self.work.update_one(held(*ticket), settled(settlement, self.note));
            were_held.push(settle.session(&mut *session).await?.matched_count == 1);
        }
        Ok(were_held)
    }
}

/// Reads no more than is counted: each part follows an index of just the documents in it.
fn counted(part: Document) -> Vec<Document> {
    let holds_up = doc! { "$and": [
        { "$eq": ["$state", WorkState::Scheduled.name()] },
        { "$gt": ["$attempt", 0_i64] },
        super::fields::has("lane"),
    ] };
    let is_due = doc! { "$and": [
        { "$eq": ["$state", WorkState::Scheduled.name()] },
        { "$lte": ["$run_at", now()] },
    ] };
    vec![
        doc! { "$match": part },
        doc! { "$limit": i64::from(DEPTH_MAX) },
        doc! { "$group": {
            "_id": {
                "queue": "$queue",
                "kind": "$kind",
                "state": either(is_due, WorkState::Waiting.name(), "$state"),
            },
            "count": { "$sum": 1_i64 },
            "since": { "$min": "$run_at" },
            "lanes_held": { "$sum": either(holds_up, 1_i64, 0_i64) },
        } },
        doc! { "$set": { "oldest": { "$max": [0_i64, { "$subtract": [now(), "$since"] }] } } },
    ]
}

fn depth(row: &Document) -> Result<Depth> {
    let group = row.get_document("_id").map_err(Error::internal)?;
    Ok(Depth {
        queue: group.text("queue")?,
        kind: group.text("kind")?,
        state: state(group)?,
        count: row.whole("count")?.unsigned_abs(),
        oldest: Duration::from_micros(row.whole("oldest")?.unsigned_abs()),
        lanes_held: row.whole("lanes_held")?.unsigned_abs(),
    })
}

/// What waits at the front and what waits behind is one.
fn merge(depths: &mut Vec<Depth>, more: Depth) {
    let same = |known: &&mut Depth| {
        (&known.queue, &known.kind, known.state) == (&more.queue, &more.kind, more.state)
    };
    match depths.iter_mut().find(same) {
        Some(known) => {
            known.count += more.count;
            known.oldest = known.oldest.max(more.oldest);
            known.lanes_held += more.lanes_held;
        }
        None => depths.push(more),
    }
}

fn subscription(document: &Document) -> Result<Subscription> {
    Ok(Subscription {
        consumer: document.text("consumer")?,
        event: document.text("event")?,
        queue: document.text("queue")?,
        is_ordered: document.is("is_ordered"),
        attempts_max: document.number("attempts_max")?,
    })
}

/// Stores those that are not there; whoever is interrupted does it again. Gives how many were stored.
async fn store_those_missing(connection: &Connection, documents: &[Document]) -> Result<u64> {
    let work = connection.collection(WORK);
    let insert = work.insert_many(documents).ordered(false);
    let Err(cause) = connection.tried(insert.into_future()).await? else { return Ok(documents.len() as u64) };
    let DriverKind::InsertMany(failure) = &*cause.kind else { return Err(error(cause)) };
    let refused = failure.write_errors.as_deref().unwrap_or_default();
    if failure.write_concern_error.is_some() || refused.iter().any(|refused| refused.code != DUPLICATE) {
        return Err(error(cause));
    }
    Ok((documents.len() - refused.len()) as u64)
}

/// The update that ends an attempt which did not succeed.
fn settled(settlement: &Settlement, note: Uuid) -> Vec<Document> {
    let mut end = doc! { "state": called_off(settlement.state()) };
    match settlement {
        Settlement::Retry { after: pause, .. } => drop(end.insert("run_at", after(*pause))),
        Settlement::Release => drop(end.insert("attempt", doc! { "$subtract": ["$attempt", 1_i64] })),
        Settlement::Dead { .. } | Settlement::Park { .. } | Settlement::Cancelled => {}
    }
    put(&mut end, "failures", settlement.failure().map(|failure| with_failure(&failure)));
    vec![doc! { "$set": end }, standing(DEAD_KEEP, note)]
}

/// How long work is waited for that is given back and that a transaction has locked. That of a dead node is released at a
/// later look then, and keeps nobody else from being released.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);
/// How many pieces of one node are left for a later look, before all the others of it are.
const MISSES_MAX: u32 = 3;

/// Gives back what a dead node had, at most so many pieces; gives how many there were.
pub(super) async fn release_of_dead(
    connection: &Connection,
    owner: Uuid,
    inquest: &mut Inquest,
    limit: u32,
) -> Result<u64> {
    if limit == 0 {
        return Ok(0);
    }
    let work = connection.collection(WORK);
    let of_dead = work.find(doc! { "owner": uuid(owner) }).sort(doc! { "seq": 1 }).limit(i64::from(limit));
    let (mut released, mut misses) = (0, 0);
    for piece in connection.all(of_dead.into_future()).await? {
        let on_crash = OnCrash::named(&piece.text("on_crash")?);
        let (crashes, attempt) = (piece.number("crashes")? + 1, piece.number("attempt")?);
        let verdict = inquest.verdict(on_crash, crashes, attempt, piece.number("attempts_max")?);
        let mut end = doc! {
            "crashes": i64::from(crashes),
            "state": called_off(verdict.state),
            "run_at": after(verdict.pause),
        };
        put(&mut end, "failures", verdict.reason.map(with_failure));
        let ticket = Ticket { id: piece.id("_id")?, token: piece.id("token")? };
        let update = vec![doc! { "$set": end }, standing(DEAD_KEEP, Ids::random().next_uuid())];
        let release = work.update_one(held(ticket), update).into_future();
        match connection.within(RELEASE_LIMIT, release).await.and_then(|outcome| outcome.map_err(error)) {
            Ok(outcome) => released += outcome.matched_count,
            Err(cause) => {
                tracing::debug!(error = %cause, "work of a dead node is not released yet");
                misses += 1;
                if misses > MISSES_MAX {
                    break;
                }
            }
        }
    }
    Ok(released)
}

/// Gives back what a node had that ends in order, or what one claim took.
pub(super) async fn release(connection: &Connection, whose: Document) -> Result<()> {
    let end = doc! {
        "state": called_off(WorkState::Waiting),
        "attempt": { "$subtract": ["$attempt", 1_i64] },
    };
    let update = vec![doc! { "$set": end }, standing(DEAD_KEEP, Ids::random().next_uuid())];
    let work = connection.collection(WORK);
    let release = work.update_many(whose, update).into_future();
    connection.within(RELEASE_LIMIT, release).await?.map(drop).map_err(error)
}

/// What is at work, by its owner.
pub(super) async fn owners(connection: &Connection) -> Result<Vec<Bson>> {
    let work = connection.collection(WORK);
    connection.run(work.distinct("owner", doc! { "owner": { "$exists": true } }).into_future()).await
}
