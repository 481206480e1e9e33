//! The outbox: what commits put in, relays take out.
//!
//! The messages of a subject are a line (`schema.rs`): of each the first has the mark and can be claimed. One that has
//! arrived leaves the line before it is deleted, so that its successor is found by whoever looks next.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use neuroglia::data::OutboxMessage;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::messaging::{OutboxDepth, OutboxStore};
use neuroglia::work::DEPTH_MAX;
use uuid::Uuid;

use super::MongoStore;
use super::fields::{Fields, after, literal, now, put, uuid, uuids};
use super::lines::Lines;
use super::numbers::Numbers;
use super::schema::OUTBOX;

/// The subjects.
const SUBJECTS: Lines = Lines {
    collection: OUTBOX,
    key: "subject",
    begun: || doc! { "$set": { "ready": "$seq" } },
    deletes_leavers: true,
};

/// What is stored of a message: at the end of its line, with a note that it came.
pub(super) fn document(message: &OutboxMessage, numbers: &mut Numbers, note: Uuid) -> Document {
    let seq = numbers.next();
    let mut document = doc! {
        "_id": uuid(message.id),
        "seq": seq,
        "line": { "key": &message.subject, "seq": seq },
        "look": uuid(note),
        "name": &message.name,
        "version": i64::from(message.version),
        "subject": &message.subject,
        "data": &message.data,
        "at": message.at.unix_micros(),
        "free_at": 0_i64,
    };
    put(&mut document, "correlation_id", message.correlation_id.as_deref());
    put(&mut document, "traceparent", message.traceparent.as_deref());
    document
}

fn message(document: &Document) -> Result<OutboxMessage> {
    Ok(OutboxMessage {
        id: document.id("_id")?,
        name: document.text("name")?,
        version: document.number("version")?,
        subject: document.text("subject")?,
        data: document.text("data")?,
        correlation_id: document.text_if_any("correlation_id")?,
        traceparent: document.text_if_any("traceparent")?,
        at: document.moment("at")?,
    })
}

/// What has not arrived.
fn waits() -> Document {
    doc! { "line": { "$exists": true } }
}

#[async_trait]
impl OutboxStore for MongoStore {
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        let outbox = self.connection.collection(OUTBOX);
        let oldest = outbox.find(waits()).sort(doc! { "seq": 1 }).limit(i64::from(limit));
        self.connection.all(oldest.into_future()).await?.iter().map(message).collect()
    }

    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let outbox = self.connection.collection(OUTBOX);
        SUBJECTS.look(&self.connection).await?;
        let free = doc! { "ready": { "$exists": true }, "$expr": { "$lte": ["$free_at", now()] } };
        loop {
            let oldest = outbox.find(free.clone()).sort(doc! { "ready": 1 }).projection(doc! { "_id": 1 });
            let oldest = self.connection.all(oldest.limit(i64::from(limit)).into_future()).await?;
            if oldest.is_empty() {
                return Ok(Vec::new());
            }
            let ids: Vec<_> = oldest.into_iter().filter_map(|mut found| found.remove("_id")).collect();
            let mut these = free.clone();
            these.insert("_id", doc! { "$in": ids.clone() });
            let take = doc! { "$set": { "claimed_by": literal(uuid(token)), "free_at": after(lease) } };
            let taken = self.connection.run(outbox.update_many(these, vec![take]).into_future()).await?;
            if taken.modified_count == 0 {
                // Others were quicker with all of them.
                continue;
            }
            let mine = outbox.find(
                doc! { "_id": { "$in": ids }, "claimed_by": uuid(token), "ready": { "$exists": true } },
            );
            let mine = self.connection.all(mine.sort(doc! { "ready": 1 }).into_future()).await?;
            return mine.iter().map(message).collect();
        }
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        if ids.is_empty() {
            return self.connection.is_closed();
        }
        let outbox = self.connection.collection(OUTBOX);
        let arrived =
            doc! { "_id": { "$in": uuids(ids) }, "claimed_by": uuid(token), "line": { "$exists": true } };
        let leave = doc! {
            "$set": { "look": uuid(Ids::random().next_uuid()) },
            "$unset": { "line": "", "head_of": "", "ready": "", "claimed_by": "" },
        };
        let left = self.connection.run(outbox.update_many(arrived, leave).into_future()).await?;
        if left.modified_count > 0 {
            SUBJECTS.look(&self.connection).await?;
        }
        Ok(())
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        let outbox = self.connection.collection(OUTBOX);
        let returned = doc! { "_id": { "$in": uuids(ids) }, "claimed_by": uuid(token) };
        let give_back = vec![doc! { "$set": { "free_at": after(pause) } }, doc! { "$unset": "claimed_by" }];
        self.connection.run(outbox.update_many(returned, give_back).into_future()).await.map(drop)
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth> {
        let outbox = self.connection.collection(OUTBOX);
        let counted = outbox.aggregate([
            doc! { "$sort": { "seq": 1 } },
            doc! { "$match": waits() },
            doc! { "$limit": i64::from(DEPTH_MAX) },
            doc! { "$group": { "_id": null, "count": { "$sum": 1_i64 }, "oldest": { "$min": "$at" } } },
            doc! { "$set": { "oldest": { "$max": [0_i64, { "$subtract": [now(), "$oldest"] }] } } },
        ]);
        let counted = self.connection.all(counted.into_future()).await?;
        let Some(counted) = counted.first() else { return Ok(OutboxDepth::default()) };
        Ok(OutboxDepth {
            count: counted.whole("count")?.unsigned_abs(),
            oldest: Duration::from_micros(counted.whole("oldest")?.unsigned_abs()),
        })
    }
}
