//! What the document of a piece of work says: what it is, and where it stands.
//!
//! What it is, and its state, are set by whoever changes them. Where it stands follows from that, in the same update:
//! in which queue it is to be found, behind whom it waits, when it is due, until when it is kept. Each such field is
//! there while it holds, and each has an index of its own (`schema.rs`).

use std::str::FromStr;
use std::time::Duration;

use mongodb::bson::{Array, Bson, Document, doc};
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use neuroglia::work::{FAILURES_MAX, Failure, Finish, NewWork, Ticket, WorkClass, WorkRecord, WorkState};
use uuid::Uuid;

use crate::mongodb::fields::{Fields, NOTHING, after, either, has, literal, now, put, uuid};
use crate::mongodb::numbers::Numbers;

/// What is stored of a new piece of work.
pub(in crate::mongodb) fn document(work: &NewWork, numbers: &mut Numbers, note: Uuid) -> Document {
    let (seq, at) = (numbers.next(), numbers.now);
    let run_at = work.due.moment(at);
    let is_due = run_at <= at;
    let state = if is_due { WorkState::Waiting } else { WorkState::Scheduled };
    let lane = work.lane.as_ref().map(|lane| format!("{}\0{lane}", work.kind));
    let mut document = doc! {
        "_id": uuid(work.id),
        "seq": seq,
        "class": work.class.name(),
        "state": state.name(),
        "queue": &work.queue,
        "kind": &work.kind,
        "payload": &work.payload,
        "priority": i32::from(work.priority),
        "run_at": run_at.unix_micros(),
        "attempt": 0_i64,
        "attempts_max": i64::from(work.attempts_max),
        "crashes": 0_i64,
        "on_crash": work.on_crash.name(),
        "failures": [],
        "created_at": at.unix_micros(),
    };
    put(&mut document, "correlation_id", work.correlation_id.as_deref());
    put(&mut document, "traceparent", work.traceparent.as_deref());
    if let Some(key) = &work.key {
        document.insert("key", key);
        document.insert("holds", doc! { "kind": &work.kind, "key": key });
    }
    if !is_due {
        document.insert("due_at", run_at.unix_micros());
    }
    match lane {
        Some(lane) => {
            document.insert("line", doc! { "key": &lane, "seq": seq });
            document.insert("lane", lane);
            document.insert("look", uuid(note));
            if is_due {
                document.insert("behind", &work.queue);
            }
        }
        None if is_due => {
            let priority = i32::from(work.priority);
            document.insert(
                "ready",
                doc! { "queue": &work.queue, "kind": &work.kind, "priority": priority, "seq": seq },
            );
        }
        None => {}
    }
    document
}

/// Where a piece of work can be found by whoever claims, as an expression.
pub(super) fn ready() -> Document {
    doc! { "queue": "$queue", "kind": "$kind", "priority": "$priority", "seq": "$seq" }
}

/// The stage of an update that derives where the piece of work stands from what the stages before it set. One that ends
/// is kept for so long, and notes that its line has to be looked at.
pub(super) fn standing(keep: Duration, note: Uuid) -> Document {
    let is = |state: WorkState| doc! { "$eq": ["$state", state.name()] };
    let live = || doc! { "$in": ["$state", names(|state| state.is_live())] };
    let stuck = doc! { "$in": ["$state", [WorkState::Dead.name(), WorkState::Parked.name()]] };
    let is_delivery = doc! { "$eq": ["$class", WorkClass::Delivery.name()] };
    let is_first = doc! { "$or": [{ "$not": [has("lane")] }, has("head_of")] };
    let stays = |condition: Document, field: &str| either(condition, format!("${field}"), NOTHING);
    let running = || is(WorkState::Running);
    let line = doc! { "$and": [live(), has("lane")] };
    let leaves = doc! { "$and": [{ "$not": [live()] }, has("line")] };
    let holds = doc! { "$and": [has("key"), { "$or": [is_delivery, live()] }] };
    doc! { "$set": {
        "owner": stays(running(), "owner"),
        "token": stays(running(), "token"),
        "called_off": stays(running(), "called_off"),
        "head_of": stays(live(), "head_of"),
        "line": either(line, doc! { "key": "$lane", "seq": "$seq" }, NOTHING),
        "look": either(leaves, literal(uuid(note)), "$look"),
        "ready": either(doc! { "$and": [is(WorkState::Waiting), is_first.clone()] }, ready(), NOTHING),
        "behind": either(doc! { "$and": [is(WorkState::Waiting), { "$not": [is_first] }] }, "$queue", NOTHING),
        "due_at": either(is(WorkState::Scheduled), "$run_at", NOTHING),
        "holds": either(holds, doc! { "kind": "$kind", "key": "$key" }, NOTHING),
        "stuck": either(stuck, "$state", NOTHING),
        "forget_at": either(live(), NOTHING, after(keep)),
    } }
}

fn names(which: impl Fn(&WorkState) -> bool) -> Vec<&'static str> {
    WorkState::ALL.iter().filter(|state| which(state)).map(|state| state.name()).collect()
}

/// The state that an attempt leads to, as an expression: what was called off is not tried again.
pub(super) fn called_off(state: WorkState) -> Bson {
    if !state.is_live() {
        return Bson::String(state.name().to_owned());
    }
    either(doc! { "$eq": ["$called_off", true] }, WorkState::Cancelled.name(), state.name())
}

/// The history of failures with one more, as many of the last as are kept, as an expression.
pub(super) fn with_failure(failure: &str) -> Bson {
    let one = doc! { "attempt": "$attempt", "at": now(), "error": literal(failure) };
    let all = doc! { "$concatArrays": ["$failures", [one]] };
    // A number of JSON's size: it is ten.
    let kept = -i32::try_from(FAILURES_MAX).unwrap_or(i32::MAX);
    Bson::Document(doc! { "$slice": [all, kept] })
}

/// The piece of work of a ticket that holds.
pub(in crate::mongodb) fn held(ticket: Ticket) -> Document {
    doc! { "_id": uuid(ticket.id), "token": uuid(ticket.token), "state": WorkState::Running.name() }
}

/// The update that ends a piece of work well.
pub(in crate::mongodb) fn finish(finish: &Finish, note: Uuid) -> Vec<Document> {
    let mut end = doc! { "state": WorkState::Done.name() };
    put(&mut end, "result", finish.result.as_deref().map(literal));
    vec![doc! { "$set": end }, standing(finish.keep, note)]
}

pub(super) fn class(document: &Document) -> Result<WorkClass> {
    WorkClass::from_str(&document.text("class")?).map_err(Error::internal)
}

pub(super) fn state(document: &Document) -> Result<WorkState> {
    WorkState::from_str(&document.text("state")?).map_err(Error::internal)
}

/// The piece of work as operators see it.
pub(super) fn record(document: &Document) -> Result<WorkRecord> {
    let failures: &Array = document.get_array("failures").map_err(Error::internal)?;
    let failures = failures.iter().map(|failure| {
        let failure = failure.as_document().ok_or_else(|| Error::internal("a failure is a document"))?;
        Ok(Failure {
            attempt: failure.number("attempt")?,
            at: Timestamp::from_unix_micros(failure.whole("at")?),
            error: failure.text("error")?,
        })
    });
    Ok(WorkRecord {
        id: document.id("_id")?,
        seq: document.whole("seq")?,
        class: class(document)?,
        state: state(document)?,
        queue: document.text("queue")?,
        kind: document.text("kind")?,
        key: document.text_if_any("key")?,
        payload: document.text("payload")?,
        attempt: document.number("attempt")?,
        attempts_max: document.number("attempts_max")?,
        crashes: document.number("crashes")?,
        progress: document.text_if_any("progress")?,
        result: document.text_if_any("result")?,
        failures: failures.collect::<Result<_>>()?,
        correlation_id: document.text_if_any("correlation_id")?,
        created_at: document.moment("created_at")?,
        run_at: document.moment("run_at")?,
        owner: document.id_if_any("owner")?,
    })
}
