//! Nodes, leases and planned runs; who is dead is decided by the server's clock.
//!
//! - **A node whose burial has begun is marked `given_up`**, unless it has said in between that it lives. From then on it
//!   can claim nothing, and its next sign of life is that of a new node: part of its work may be with others.
//! - **Its transactions are ended**, so that nothing stays locked that it was at (`sessions.rs`).
//! - **Work whose owner is no node** was claimed by a process that died while it was taken for dead. A sign of life sees
//!   it, and reports a silence at which everybody looks for the dead; who looks gives it back.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Burial, ClusterStore, Lease, NODE_TTL, Node, NodeRecord};
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::work::{Inquest, NewWork, Ticket};
use uuid::Uuid;

use super::MongoStore;
use super::commit::insert_work;
use super::connection::Connection;
use super::error::{error, is_duplicate};
use super::fields::{Fields, NOTHING, after, as_uuid, either, has, literal, micros, nobody_holds, now, uuid};
use super::numbers::Numbers;
use super::schema::{LEASES, NODES, RUNS, WORK};
use super::transaction::{ATTEMPTS_MAX, Refusal, Transacted, transact};
use super::{sessions, work};

/// The server's clock, if it is a node that said that it lives, and was not taken for dead.
pub(super) async fn known(connection: &Connection, node: Uuid) -> Result<Option<Timestamp>> {
    let this = doc! { "$match": { "_id": uuid(node), "given_up": { "$exists": false } } };
    let nodes = connection.collection(NODES);
    let node = nodes.aggregate([this, doc! { "$project": { "now": now() } }]);
    connection.all(node.into_future()).await?.first().map(|found| found.moment("now")).transpose()
}

#[async_trait]
impl ClusterStore for MongoStore {
    async fn now(&self) -> Result<Timestamp> {
        self.connection.now().await
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        let is_new = doc! { "$or": [{ "$not": [has("started_at")] }, has("given_up")] };
        let sign = vec![doc! { "$set": {
            "role": literal(node.role.as_str()),
            "host": literal(node.host.as_str()),
            "version": literal(node.version.as_str()),
            "is_draining": node.is_draining,
            "heartbeat_at": now(),
            "is_new": is_new.clone(),
            "started_at": either(is_new.clone(), now(), "$started_at"),
            "silent_since": NOTHING,
            "given_up": NOTHING,
            "sessions": either(is_new, NOTHING, "$sessions"),
        } }];
        let (nodes, work) = (self.connection.collection(NODES), self.connection.collection(WORK));
        let beat = nodes.find_one_and_update(doc! { "_id": uuid(node.id) }, sign).upsert(true);
        // Whoever has all other connections does not make this node look dead.
        let limit = self.connection.settings().operation_timeout;
        let at_once = async {
            let beat = beat.return_document(ReturnDocument::After).await?;
            let owners = work.distinct("owner", doc! { "owner": { "$exists": true } }).await?;
            let mut all = nodes.find(doc! {}).projection(doc! { "heartbeat_at": 1 }).await?;
            let mut known = Vec::new();
            while all.advance().await? {
                known.push(all.deserialize_current()?);
            }
            let held = work.find(doc! { "owner": uuid(node.id) });
            let held = held.sort(doc! { "seq": 1 }).projection(doc! { "token": 1, "called_off": 1 });
            let mut mine = held.await?;
            let mut held = Vec::new();
            while mine.advance().await? {
                held.push(mine.deserialize_current()?);
            }
            Ok((beat, owners, known, held))
        };
        let (beat, owners, known, held) = self.connection.at_once(limit, at_once).await?.map_err(error)?;
        let beat = beat.ok_or_else(|| Error::internal("a node that said that it lives was not kept"))?;
        self.connection.sessions.live_as(node.id, beat.moment("started_at")?);
        let at = beat.moment("heartbeat_at")?;
        let ids = known.iter().map(|known| known.id("_id")).collect::<Result<HashSet<_>>>()?;
        let others = known.iter().filter(|known| known.id("_id").is_ok_and(|id| id != node.id));
        let silences =
            others.map(|other| Ok(at.since(other.moment("heartbeat_at")?))).collect::<Result<Vec<_>>>()?;
        let is_abandoned = owners.iter().filter_map(as_uuid).any(|owner| !ids.contains(&owner));
        let abandoned = if is_abandoned { NODE_TTL } else { Duration::ZERO };
        let ticket = |held: &Document| Ok(Ticket { id: held.id("_id")?, token: held.id("token")? });
        Ok(Beat {
            now: at,
            is_new: beat.is("is_new"),
            cancelled: held
                .iter()
                .filter(|held| held.is("called_off"))
                .map(|held| held.id("_id"))
                .collect::<Result<_>>()?,
            held: held.iter().map(ticket).collect::<Result<_>>()?,
            longest_silence: silences.into_iter().fold(abandoned, Duration::max),
        })
    }

    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>> {
        let nodes = self.connection.collection(NODES);
        let mut left = limit;
        let (mut burials, mut inquest) = (Vec::new(), Inquest::default());
        for (node, silent) in give_up(&self.connection, ttl, apart).await? {
            let released = work::release_of_dead(&self.connection, node, &mut inquest, left).await?;
            left = left.saturating_sub(u32::try_from(released).unwrap_or(u32::MAX));
            if is_free(&self.connection, node).await? {
                // One that has said meanwhile that it lives is a new node.
                let gone = doc! { "_id": uuid(node), "given_up": true };
                self.connection.run(nodes.delete_one(gone).into_future()).await?;
            }
            burials.push(Burial { node, released, silent });
        }
        for owner in abandoned(&self.connection).await? {
            let released = work::release_of_dead(&self.connection, owner, &mut inquest, left).await?;
            left = left.saturating_sub(u32::try_from(released).unwrap_or(u32::MAX));
            if released > 0 {
                burials.push(Burial { node: owner, released, silent: ttl });
            }
        }
        Ok(burials)
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        let nodes = self.connection.collection(NODES);
        // A claim under way sees it, and gives back what it takes.
        let end = doc! { "$set": { "given_up": true } };
        let left = nodes.find_one_and_update(doc! { "_id": uuid(node) }, end).into_future();
        let left = self.connection.run(left).await?;
        let own = || work::release(&self.connection, doc! { "owner": uuid(node) });
        if let (Err(_), Some(left)) = (own().await, left) {
            // A batch whose end got lost on the way has locked it, and others of this process are begun again.
            sessions::end(&self.connection, &left).await;
            own().await?;
        }
        self.connection.run(nodes.delete_one(doc! { "_id": uuid(node) }).into_future()).await.map(drop)
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        let nodes = self.connection.collection(NODES);
        let all = nodes.find(doc! {}).sort(doc! { "started_at": 1, "_id": 1 });
        let read = |found: &Document| {
            Ok(NodeRecord {
                node: Node {
                    id: found.id("_id")?,
                    role: found.text("role")?,
                    host: found.text("host")?,
                    version: found.text("version")?,
                    is_draining: found.is("is_draining"),
                },
                started_at: found.moment("started_at")?,
                heartbeat_at: found.moment("heartbeat_at")?,
            })
        };
        self.connection.all(all.into_future()).await?.iter().map(read).collect()
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        // The filter of an upsert may not ask the server's clock, so the update does.
        let is_own = doc! { "$eq": ["$holder", literal(uuid(holder))] };
        let is_free = nobody_holds();
        let may_have = doc! { "$or": [is_own.clone(), is_free] };
        let next = doc! { "$add": [{ "$ifNull": ["$epoch", 0_i64] }, either(is_own, 0_i64, 1_i64)] };
        let take = vec![doc! { "$set": {
            "epoch": either(may_have.clone(), next, "$epoch"),
            "holder": either(may_have.clone(), literal(uuid(holder)), "$holder"),
            "expires_at": either(may_have, after(ttl), "$expires_at"),
        } }];
        let leases = self.connection.collection(LEASES);
        let take = leases.find_one_and_update(doc! { "_id": name }, take);
        let take = take.upsert(true).return_document(ReturnDocument::After);
        let taken = match self.connection.tried(take.into_future()).await? {
            // Somebody was quicker to insert it.
            Err(cause) if is_duplicate(&cause) => None,
            outcome => outcome.map_err(error)?,
        };
        let Some(taken) = taken else { return Ok(None) };
        if taken.id("holder")? != holder {
            return Ok(None);
        }
        Ok(Some(Lease { epoch: taken.whole("epoch")?, expires_at: taken.moment("expires_at")? }))
    }

    async fn resign(&self, name: &str, holder: Uuid) -> Result<()> {
        let own = doc! { "_id": name, "holder": uuid(holder) };
        let leases = self.connection.collection(LEASES);
        let free = leases.update_one(own, doc! { "$unset": { "holder": "" } });
        self.connection.run(free.into_future()).await.map(drop)
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        let run = doc! { "schedule": schedule, "run_at": run_at.unix_micros() };
        let mut numbers = Numbers::take(&self.connection, 1).await?;
        let work = [work::document(work, &mut numbers, Ids::random().next_uuid())];
        match transact(&self.connection, ATTEMPTS_MAX, Run { connection: &self.connection, run, work }).await
        {
            Err(error) if error.code() == PLANNED => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>> {
        let runs = self.connection.collection(RUNS);
        let last = runs.find_one(doc! { "schedule": { "$eq": schedule } });
        let last = self.connection.run(last.sort(doc! { "run_at": -1 }).into_future()).await?;
        last.map(|run| run.moment("run_at")).transpose()
    }

    async fn purge_runs(&self, before: Timestamp) -> Result<u64> {
        let runs = self.connection.collection(RUNS);
        let schedules = self.connection.run(runs.distinct("schedule", doc! {}).into_future()).await?;
        let mut purged = 0;
        for schedule in schedules.iter().filter_map(|schedule| schedule.as_str()) {
            let Some(last) = self.last_run(schedule).await? else { continue };
            let old = doc! { "schedule": schedule, "run_at": { "$lt": before.min(last).unix_micros() } };
            purged += self.connection.run(runs.delete_many(old).into_future()).await?.deleted_count;
        }
        Ok(purged)
    }
}

/// The code of a run that was planned before; nobody outside sees it.
const PLANNED: &str = "schedule.planned";

/// A run of a schedule, with its work.
struct Run<'c> {
    connection: &'c Connection,
    run: Document,
    work: [Document; 1],
}

impl Transacted for Run<'_> {
    type Output = ();

    async fn attempt(&mut self, session: &mut ClientSession, attempt: u32) -> Result<(), Refusal> {
        let runs = self.connection.collection(RUNS);
        match runs.insert_one(&self.run).session(&mut *session).await {
            Err(cause) if is_duplicate(&cause) => {
                return Err(Error::conflict(PLANNED, "the run is planned").into());
            }
            outcome => outcome.map(drop)?,
        }
        insert_work(self.connection, Some(session), &self.work, attempt > 1).await
    }
}

/// Marks those that are silent, and gives up those that were marked long enough ago; gives those with their silence.
async fn give_up(connection: &Connection, ttl: Duration, apart: Duration) -> Result<Vec<(Uuid, Duration)>> {
    let nodes = connection.collection(NODES);
    let is_silent = || doc! { "$lt": ["$heartbeat_at", { "$subtract": [now(), micros(ttl)] }] };
    let silent = nodes.find(doc! { "$expr": is_silent() }).sort(doc! { "_id": 1 });
    let mut given_up = Vec::new();
    for found in connection.all(silent.into_future()).await? {
        let since = doc! { "$ifNull": ["$silent_since", now()] };
        let is_over = doc! { "$lte": [since.clone(), { "$subtract": [now(), micros(apart)] }] };
        // Who says that it lives in between is not silent any more.
        let this = doc! { "_id": uuid(found.id("_id")?), "$expr": is_silent() };
        let mark = doc! { "$set": {
            "given_up": either(doc! { "$or": [has("given_up"), is_over] }, true, NOTHING),
            "silent_since": since,
            "silent_for": { "$subtract": [now(), "$heartbeat_at"] },
        } };
        let marked = nodes.find_one_and_update(this, vec![mark]).return_document(ReturnDocument::After);
        if let Some(marked) = connection.run(marked.into_future()).await?
            && marked.is("given_up")
        {
            sessions::end(connection, &marked).await;
            let silent = Duration::from_micros(marked.whole("silent_for")?.unsigned_abs());
            given_up.push((marked.id("_id")?, silent));
        }
    }
    Ok(given_up)
}

async fn is_free(connection: &Connection, node: Uuid) -> Result<bool> {
    let work = connection.collection(WORK);
    let any = work.find_one(doc! { "owner": uuid(node) }).projection(doc! { "_id": 1 });
    Ok(connection.run(any.into_future()).await?.is_none())
}

/// Owners of work that are no nodes. The owners are read first: a node says that it lives before it claims.
async fn abandoned(connection: &Connection) -> Result<Vec<Uuid>> {
    let owners = work::owners(connection).await?;
    let nodes = connection.collection(NODES);
    let nodes = connection.all(nodes.find(doc! {}).projection(doc! { "_id": 1 }).into_future()).await?;
    let nodes = nodes.iter().map(|node| node.id("_id")).collect::<Result<HashSet<_>>>()?;
    Ok(owners.iter().filter_map(as_uuid).filter(|owner| !nodes.contains(owner)).collect())
}
