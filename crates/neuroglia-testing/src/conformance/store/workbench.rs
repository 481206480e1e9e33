//! What the rules about durable work are written in.

use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Store};
use neuroglia::work::{Claimed, Finish, Settlement, Ticket, WorkFilter, WorkRecord, WorkState};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::batch;
pub(super) use crate::workbench::{QUEUE, asking, asking_as, enqueue, job, named, new_id, node};

/// Longer than any rule takes.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// A span of the store's own time that a rule waits for.
pub(super) const SHORT: Duration = Duration::from_millis(60);

/// How long something is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long many may be in each other's way.
pub(super) const CROWDED: Duration = Duration::from_secs(30);

pub(super) async fn claim(store: &dyn Store, kinds: &[&str], limit: u32) -> Vec<Claimed> {
    store.claim(&asking(store, kinds, limit).await).await.expect("work is claimed")
}

/// The one piece of this kind that can be claimed.
pub(super) async fn claim_one(store: &dyn Store, kind: &str) -> Claimed {
    one(claim(store, &[kind], 10).await, kind)
}

/// The one piece of this kind that can be claimed, as this node.
pub(super) async fn claim_as(store: &dyn Store, owner: Uuid, kind: &str) -> Claimed {
    one(store.claim(&asking_as(owner, &[kind], 10)).await.expect("work is claimed"), kind)
}

fn one(mut claimed: Vec<Claimed>, kind: &str) -> Claimed {
    assert_eq!(claimed.len(), 1, "one piece of {kind} can be claimed: {claimed:?}");
    claimed.remove(0)
}

/// The names in the payloads of what was claimed.
pub(super) fn names(claimed: &[Claimed]) -> String {
    let name = |claimed: &Claimed| claimed.payload.trim_matches('"').to_owned();
    claimed.iter().map(name).collect::<Vec<_>>().join(" ")
}

pub(super) async fn settle(store: &dyn Store, ticket: Ticket, settlement: Settlement) -> bool {
    let held = store.settle(&[(ticket, settlement)]).await.expect("an attempt is settled");
    assert_eq!(held.len(), 1, "each settlement has its answer");
    held[0]
}

pub(super) fn retry(after: Duration, failure: &str) -> Settlement {
    Settlement::Retry { after, failure: failure.to_owned() }
}

pub(super) fn dead(failure: &str) -> Settlement {
    Settlement::Dead { failure: failure.to_owned() }
}

/// A batch with nothing but the end of this piece of work.
pub(super) fn finishing(ticket: Ticket) -> Batch {
    Batch { finish: Some(Finish { ticket, result: None, keep: LONG }), ..batch([]) }
}

pub(super) async fn finish(store: &dyn Store, ticket: Ticket) {
    store.commit(finishing(ticket)).await.expect("the holder of the ticket finishes");
}

/// All pieces of work, in the order in which they were stored.
pub(super) async fn records(store: &dyn Store) -> Vec<WorkRecord> {
    let all = WorkFilter { limit: 1_000, ..WorkFilter::default() };
    store.list_work(&all).await.expect("work is listed")
}

pub(super) async fn record(store: &dyn Store, id: Uuid) -> WorkRecord {
    let this = WorkFilter { id: Some(id), limit: 10, ..WorkFilter::default() };
    let mut found = store.list_work(&this).await.expect("work is listed");
    assert_eq!(found.len(), 1, "the piece of work is there once: {found:?}");
    found.remove(0)
}

pub(super) async fn state(store: &dyn Store, id: Uuid) -> WorkState {
    record(store, id).await.state
}

pub(super) async fn now(store: &dyn Store) -> Timestamp {
    store.now().await.expect("the store tells its time")
}

/// Asks again and again until there is an answer.
pub(super) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let answer = async {
        loop {
            match ask().await {
                Some(answer) => return answer,
                None => sleep(Duration::from_millis(3)).await,
            }
        }
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{what}, but not within {PATIENCE:?}"))
}

/// Waits until the store's clock is past this moment.
pub(super) async fn is_past(store: &dyn Store, moment: Timestamp) {
    eventually("the store's clock goes on", || async move { (now(store).await > moment).then_some(()) })
        .await;
}

/// Claims until there is something, and gives it with the store's time just after.
pub(super) async fn claim_later(store: &dyn Store, kind: &str) -> (Claimed, Timestamp) {
    eventually("a piece of work can be claimed when its time has come", || async move {
        let claimed = claim(store, &[kind], 10).await;
        let at = now(store).await;
        (!claimed.is_empty()).then(|| (one(claimed, kind), at))
    })
    .await
}
