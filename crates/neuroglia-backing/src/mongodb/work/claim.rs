//! Who gets which work: what is due is made to wait, lanes are looked at, and the first of each queue are taken.
//!
//! A claim is no transaction, because claims would only get into each other's way. Each document is taken by itself, if
//! it is still free. What a node takes that was taken for dead meanwhile is given back by the claim itself; where its
//! process died in between, nobody is the owner's node any more, which the others see (`cluster.rs`).

use mongodb::bson::{Bson, Document, doc};
use neuroglia::clock::Timestamp;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::work::{Claim, Claimed, DEAD_KEEP, OnCrash, QueueRoom, Ticket, WorkState};

use super::standing::{class, ready, standing};
use crate::mongodb::cluster;
use crate::mongodb::connection::Connection;
use crate::mongodb::fields::{Fields, uuid};
use crate::mongodb::lines::Lines;
use crate::mongodb::schema::WORK;

/// How many pieces are made to wait at once.
const DUE_STEP: i64 = 1000;

/// The lanes.
pub(super) const LANES: Lines = Lines {
    collection: WORK,
    key: "lane",
    begun: || {
        let waits = doc! { "$eq": ["$state", WorkState::Waiting.name()] };
        doc! { "$set": { "ready": { "$cond": [waits, ready(), "$$REMOVE"] }, "behind": "$$REMOVE" } }
    },
    deletes_leavers: false,
};

pub(super) async fn claim(connection: &Connection, claim: &Claim) -> Result<Vec<Claimed>> {
    let Some(now) = cluster::known(connection, claim.owner).await? else { return Ok(Vec::new()) };
    let rooms: Vec<_> = claim.rooms.iter().filter(|room| room.limit > 0).collect();
    if rooms.is_empty() || claim.kinds.is_empty() {
        return Ok(Vec::new());
    }
    let mine = doc! { "owner": uuid(claim.owner), "token": uuid(claim.token) };
    LANES.look(connection).await?;
    loop {
        let promoted = promote(connection, now).await?;
        let mut found = false;
        for room in &rooms {
            found |= take(connection, claim, room).await?;
        }
        let claimed = taken(connection, &mine).await?;
        if !claimed.is_empty() {
            if cluster::known(connection, claim.owner).await?.is_none() {
                super::release(connection, mine).await?;
                return Ok(Vec::new());
            }
            return Ok(claimed);
        }
        // Others were quicker with all that was found; or there was nothing, and more may be due.
        if !found && promoted < DUE_STEP as usize {
            return Ok(Vec::new());
        }
    }
}

/// Makes wait what is due, some of it; gives how much.
async fn promote(connection: &Connection, now: Timestamp) -> Result<usize> {
    let work = connection.collection(WORK);
    let due = doc! { "due_at": { "$lte": now.unix_micros() } };
    let some =
        work.find(due.clone()).sort(doc! { "due_at": 1 }).projection(doc! { "_id": 1 }).limit(DUE_STEP);
    let ids = ids(connection.all(some.into_future()).await?);
    if !ids.is_empty() {
        let mut these = due;
        these.insert("_id", doc! { "$in": ids.clone() });
        let wait = doc! { "$set": { "state": WorkState::Waiting.name() } };
        let wait = vec![wait, standing(DEAD_KEEP, Ids::random().next_uuid())];
        connection.run(work.update_many(these, wait).into_future()).await?;
    }
    Ok(ids.len())
}

/// Takes what there is room for; gives whether there was anything.
async fn take(connection: &Connection, claim: &Claim, room: &QueueRoom) -> Result<bool> {
    let work = connection.collection(WORK);
    let first = work
        .find(doc! { "ready.queue": { "$eq": &room.queue }, "ready.kind": { "$in": &claim.kinds } })
        .sort(doc! { "ready.priority": -1, "ready.seq": 1 })
        .projection(doc! { "_id": 1 })
        .limit(i64::from(room.limit));
    let ids = ids(connection.all(first.into_future()).await?);
    if ids.is_empty() {
        return Ok(false);
    }
    let free = doc! { "_id": { "$in": ids }, "ready": { "$exists": true } };
    let take = doc! {
        "$set": { "state": WorkState::Running.name(), "owner": uuid(claim.owner), "token": uuid(claim.token) },
        "$inc": { "attempt": 1_i64 },
        "$unset": { "ready": "" },
    };
    connection.run(work.update_many(free, take).into_future()).await?;
    Ok(true)
}

/// What a claim took, in the order of its claim.
async fn taken(connection: &Connection, mine: &Document) -> Result<Vec<Claimed>> {
    let work = connection.collection(WORK);
    let mine = work.find(mine.clone()).sort(doc! { "priority": -1, "seq": 1 });
    connection.all(mine.into_future()).await?.iter().map(claimed).collect()
}

fn claimed(document: &Document) -> Result<Claimed> {
    Ok(Claimed {
        ticket: Ticket { id: document.id("_id")?, token: document.id("token")? },
        class: class(document)?,
        queue: document.text("queue")?,
        kind: document.text("kind")?,
        key: document.text_if_any("key")?,
        payload: document.text("payload")?,
        attempt: document.number("attempt")?,
        attempts_max: document.number("attempts_max")?,
        on_crash: OnCrash::named(&document.text("on_crash")?),
        correlation_id: document.text_if_any("correlation_id")?,
        traceparent: document.text_if_any("traceparent")?,
        created_at: document.moment("created_at")?,
    })
}

fn ids(found: Vec<Document>) -> Vec<Bson> {
    found.into_iter().filter_map(|mut found| found.remove("_id")).collect()
}
