//! Leases: one leads at a time, and whoever led before can be told apart.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::cluster::Lease;
use neuroglia::data::Store;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::workbench::{LONG, SHORT, eventually, is_past, new_id, now};

async fn take(store: &dyn Store, name: &str, holder: Uuid, ttl: Duration) -> Option<Lease> {
    store.lease(name, holder, ttl).await.expect("a lease is asked for")
}

async fn held(store: &dyn Store, name: &str, holder: Uuid, ttl: Duration) -> Lease {
    take(store, name, holder, ttl).await.expect("nobody else has the lease")
}

async fn resign(store: &dyn Store, name: &str, holder: Uuid) {
    store.resign(name, holder).await.expect("a lease is given back");
}

pub(super) async fn a_lease_has_one_holder_at_a_time(store: Arc<dyn Store>) {
    let (one, other) = (new_id(), new_id());
    let before = now(&*store).await;
    let lease = held(&*store, "planner", one, LONG).await;
    assert!(lease.expires_at >= before + LONG && lease.expires_at <= now(&*store).await + LONG, "{lease:?}");
    assert_eq!(take(&*store, "planner", other, LONG).await, None);
    assert_eq!(held(&*store, "planner", one, LONG).await.epoch, lease.epoch, "asking does not take it away");
}

pub(super) async fn a_renewal_keeps_the_epoch_and_moves_the_end(store: Arc<dyn Store>) {
    let holder = new_id();
    let first = held(&*store, "planner", holder, LONG).await;
    is_past(&*store, first.expires_at - LONG).await;
    let second = held(&*store, "planner", holder, LONG).await;
    assert_eq!(second.epoch, first.epoch);
    assert!(second.expires_at > first.expires_at);
    assert!(
        held(&*store, "planner", holder, SHORT).await.expires_at < second.expires_at,
        "it may be shortened"
    );
}

pub(super) async fn a_lease_that_is_over_goes_to_another_with_a_larger_epoch(store: Arc<dyn Store>) {
    let (one, other) = (new_id(), new_id());
    let first = held(&*store, "planner", one, SHORT).await;
    let next = |holder| {
        let store = &*store;
        eventually("a lease that is over can be taken", move || async move {
            let lease = take(store, "planner", holder, LONG).await;
            let at = now(store).await;
            lease.map(|lease| (lease, at))
        })
    };
    let (second, at) = next(other).await;
    assert!(at >= first.expires_at, "the lease was not over");
    assert!(second.epoch > first.epoch, "{first:?}, then {second:?}");
    assert_eq!(take(&*store, "planner", one, LONG).await, None, "who led before does not any more");
}

pub(super) async fn a_resigned_lease_is_free_at_once(store: Arc<dyn Store>) {
    let (one, other) = (new_id(), new_id());
    let first = held(&*store, "planner", one, LONG).await;
    resign(&*store, "planner", one).await;
    let second = held(&*store, "planner", other, LONG).await;
    assert!(second.epoch > first.epoch, "{first:?}, then {second:?}");
    resign(&*store, "planner", other).await;
    assert!(held(&*store, "planner", one, LONG).await.epoch > second.epoch);
}

pub(super) async fn a_strangers_resignation_changes_nothing(store: Arc<dyn Store>) {
    let (one, other) = (new_id(), new_id());
    resign(&*store, "planner", other).await;
    let first = held(&*store, "planner", one, LONG).await;
    resign(&*store, "planner", other).await;
    assert_eq!(take(&*store, "planner", other, LONG).await, None);
    assert_eq!(held(&*store, "planner", one, LONG).await.epoch, first.epoch);
}

pub(super) async fn leases_do_not_touch_each_other(store: Arc<dyn Store>) {
    for name in ["planner", "Planner", "planner ", "'; --", "🍕"] {
        held(&*store, name, new_id(), LONG).await;
    }
    assert_eq!(take(&*store, "planner", new_id(), LONG).await, None);
}

pub(super) async fn of_concurrent_candidates_one_leads(store: Arc<dyn Store>) {
    let mut candidates = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        candidates.spawn(async move { take(&*store, "planner", new_id(), LONG).await });
    }
    let outcomes = candidates.join_all().await;
    assert_eq!(outcomes.iter().flatten().count(), 1, "{outcomes:?}");
}
