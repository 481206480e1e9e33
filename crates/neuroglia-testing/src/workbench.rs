//! Pieces of work, messages, nodes and claims, of which a test writes only what it is about.
//!
//! ```
//! use neuroglia::data::memory::MemoryStore;
//! use neuroglia::work::{Due, NewWork, WorkStore};
//! use neuroglia_testing::workbench::{asking, enqueue, job};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! let urgent = NewWork { priority: 9, ..job("bake") };
//! enqueue(&store, [job("bake"), urgent.clone()]).await;
//! let asked = asking(&store, &["bake"], 1).await;
//! assert_eq!(store.claim(&asked).await.unwrap()[0].ticket.id, urgent.id);
//! # });
//! ```

use neuroglia::clock::Timestamp;
use neuroglia::cluster::Node;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::id::Ids;
use neuroglia::work::{Claim, Due, NewWork, OnCrash, QueueRoom, WorkClass};
use uuid::Uuid;

/// The queue that everything here is about.
pub const QUEUE: &str = "default";

/// A new id: of a node, a claim, a piece of work.
pub fn new_id() -> Uuid {
    Ids::random().next_uuid()
}

/// A job of this kind that may begin at once.
pub fn job(kind: &str) -> NewWork {
    NewWork {
        id: new_id(),
        class: WorkClass::Job,
        queue: QUEUE.to_owned(),
        kind: kind.to_owned(),
        lane: None,
        key: None,
        payload: "{}".to_owned(),
        priority: 0,
        due: Due::Now,
        attempts_max: 10,
        on_crash: OnCrash::Retry,
        correlation_id: None,
        traceparent: None,
    }
}

/// A job whose payload is this name as JSON text, so that its claim shows which one it is.
pub fn named(kind: &str, name: &str) -> NewWork {
    NewWork { payload: format!("\"{name}\""), ..job(kind) }
}

/// A message of this name about this subject, as the outbox has it.
pub fn message(name: &str, subject: &str) -> OutboxMessage {
    OutboxMessage {
        id: new_id(),
        name: name.to_owned(),
        version: 1,
        subject: subject.to_owned(),
        data: "{}".to_owned(),
        correlation_id: None,
        traceparent: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

/// Stores pieces of work.
///
/// # Panics
/// When the store refuses them.
pub async fn enqueue(store: &dyn Store, work: impl IntoIterator<Item = NewWork>) {
    let asking = Batch { work: work.into_iter().collect(), ..Batch::default() };
    store.commit(asking).await.expect("a batch that breaks no rule is committed");
}

/// A node that is to be, in this role.
pub fn node(role: &str) -> Node {
    Node {
        id: new_id(),
        role: role.to_owned(),
        host: "oven-1".to_owned(),
        version: "1.2.3".to_owned(),
        is_draining: false,
    }
}

/// Asks for at most so much of [`QUEUE`], as a new node that has said that it lives.
///
/// # Panics
/// When the store does not hear of the node.
pub async fn asking(store: &dyn Store, kinds: &[&str], limit: u32) -> Claim {
    let worker = node("worker");
    store.beat(&worker).await.expect("a node says that it lives");
    asking_as(worker.id, kinds, limit)
}

/// Asks for at most so much of [`QUEUE`], as this node.
pub fn asking_as(owner: Uuid, kinds: &[&str], limit: u32) -> Claim {
    Claim {
        owner,
        token: new_id(),
        rooms: vec![QueueRoom { queue: QUEUE.to_owned(), limit }],
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}
