//! Idempotency keys: taken, answered, given back, lost, forgotten.

use std::sync::Arc;

use neuroglia::data::{Batch, Completion, Reservation, Reserve, Store};
use neuroglia::error::ErrorKind;
use serde_json::json;
use tokio::task::JoinSet;

use super::{NOTES, at, batch, get, insert, refused, update};

/// A key taken at one moment until another.
fn taking(key: &str, token: &str, now: i64, until: i64) -> Reserve {
    Reserve {
        key: key.to_owned(),
        fingerprint: format!("asked by {token}"),
        token: token.to_owned(),
        now: at(now),
        running_until: at(until),
    }
}

async fn take(store: &dyn Store, key: &str, token: &str, now: i64) -> Reservation {
    store.reserve(&taking(key, token, now, now + 10)).await.expect("a key is looked up")
}

fn answer(key: &str, token: &str, until: i64) -> Batch {
    let mut answer = batch([insert(NOTES, &format!("by {token}"), &json!({}))]);
    let response = json!({ "by": token }).to_string();
    answer.completion =
        Some(Completion { key: key.to_owned(), token: token.to_owned(), response, keep_until: at(until) });
    answer
}

fn running(token: &str) -> Reservation {
    Reservation::Running { fingerprint: format!("asked by {token}") }
}

fn done(token: &str) -> Reservation {
    let response = json!({ "by": token }).to_string();
    Reservation::Done { fingerprint: format!("asked by {token}"), response }
}

pub(super) async fn a_key_is_taken_once(store: Arc<dyn Store>) {
    assert_eq!(take(&*store, "k", "one", 0).await, Reservation::Taken);
    assert_eq!(take(&*store, "k", "two", 1).await, running("one"), "the first taker's request is told");
    assert_eq!(take(&*store, "k", "one", 2).await, running("one"), "a taker cannot take its key twice");
}

pub(super) async fn of_concurrent_takers_one_gets_the_key(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for taker in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { take(&*store, "k", &format!("taker {taker}"), 0).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Reservation::Taken).count(), 1, "{outcomes:?}");
}

pub(super) async fn keys_do_not_touch_each_other(store: Arc<dyn Store>) {
    for key in ["k", "K", "k ", "k%", "'; --", "🍕"] {
        assert_eq!(take(&*store, key, "one", 0).await, Reservation::Taken, "{key:?}");
    }
    store.release("k", "one").await.expect("a key is given back");
    assert_eq!(take(&*store, "K", "two", 1).await, running("one"));
}

pub(super) async fn an_answer_is_committed_with_the_change(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    store.commit(answer("k", "one", 100)).await.expect("the holder of the key commits");
    assert!(get(&*store, NOTES, "by one").await.is_some());
    assert_eq!(take(&*store, "k", "two", 1).await, done("one"));
    assert_eq!(
        take(&*store, "k", "three", 50).await,
        done("one"),
        "the time of a running request has no part in it"
    );
}

pub(super) async fn an_answer_is_kept_until_its_time(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    store.commit(answer("k", "one", 100)).await.expect("the holder of the key commits");
    assert_eq!(take(&*store, "k", "two", 99).await, done("one"));
    assert_eq!(take(&*store, "k", "two", 100).await, Reservation::Taken);
    assert_eq!(take(&*store, "k", "three", 101).await, running("two"), "the old answer is gone");
}

pub(super) async fn a_failed_batch_keeps_no_answer(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    let mut failing = answer("k", "one", 100);
    failing.writes.push(update(NOTES, "nowhere", 0, &json!({})));
    refused(store.commit(failing).await, ErrorKind::NotFound, "an update of nothing");
    assert_eq!(take(&*store, "k", "two", 1).await, running("one"));
    store.commit(answer("k", "one", 100)).await.expect("the key is still held, so a retry commits");
}

pub(super) async fn a_released_key_is_free(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    store.release("k", "one").await.expect("a key is given back");
    store.release("k", "one").await.expect("giving back twice is no error");
    assert_eq!(take(&*store, "k", "two", 1).await, Reservation::Taken);
}

pub(super) async fn only_the_holder_releases_a_key(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    store.release("k", "two").await.expect("a release without effect is no error");
    store.release("unknown", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "three", 1).await, running("one"));
}

pub(super) async fn an_answered_key_is_not_released(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    store.commit(answer("k", "one", 100)).await.expect("the holder of the key commits");
    store.release("k", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "two", 1).await, done("one"));
}

pub(super) async fn a_taker_that_was_never_heard_of_again_loses_the_key(store: Arc<dyn Store>) {
    take(&*store, "k", "one", 0).await;
    assert_eq!(take(&*store, "k", "two", 9).await, running("one"));
    assert_eq!(take(&*store, "k", "two", 10).await, Reservation::Taken);
    // The first taker comes back, late: it must neither answer nor free what is not its own any more.
    let late =
        refused(store.commit(answer("k", "one", 100)).await, ErrorKind::Conflict, "a commit with a lost key");
    assert_eq!(late.code(), "idempotency.lost", "{late:?}");
    assert!(late.as_version_conflict().is_none(), "trying again would not help: {late:?}");
    assert_eq!(get(&*store, NOTES, "by one").await, None, "its change is not kept either");
    store.release("k", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "three", 11).await, running("two"));
    store.commit(answer("k", "two", 100)).await.expect("the new holder commits");
}

pub(super) async fn expired_records_are_purged_and_no_others(store: Arc<dyn Store>) {
    take(&*store, "running", "one", 0).await;
    take(&*store, "answered", "one", 0).await;
    store.commit(answer("answered", "one", 50)).await.expect("the holder of the key commits");
    assert_eq!(store.purge_expired(at(9)).await.expect("a purge"), 0);
    assert_eq!(store.purge_expired(at(10)).await.expect("a purge"), 1, "the running one has expired");
    assert_eq!(take(&*store, "answered", "two", 11).await, done("one"));
    assert_eq!(store.purge_expired(at(50)).await.expect("a purge"), 1, "the answer has expired");
    assert_eq!(take(&*store, "answered", "two", 0).await, Reservation::Taken);
}
