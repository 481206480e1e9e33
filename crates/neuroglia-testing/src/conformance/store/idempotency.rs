//! Idempotency keys: taken, answered, given back, lost, forgotten.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Completion, Reservation, Reserve, Store};
use neuroglia::error::ErrorKind;
use serde_json::json;
use tokio::task::JoinSet;

use super::workbench::{LONG, SHORT, eventually, is_past, now};
use super::{NOTES, at, batch, get, insert, refused, update};

/// Takes a key for so long.
async fn take_for(store: &dyn Store, hold: Duration, key: &str, token: &str) -> Reservation {
    let reserve = Reserve {
        key: key.to_owned(),
        fingerprint: format!("asked by {token}"),
        token: token.to_owned(),
        hold,
    };
    store.reserve(&reserve).await.expect("a key is looked up")
}

async fn take(store: &dyn Store, key: &str, token: &str) -> Reservation {
    take_for(store, LONG, key, token).await
}

/// Takes a key as soon as it is free; gives the store's time just after.
async fn take_later(store: &dyn Store, key: &str, token: &str) -> Timestamp {
    eventually("a key is free when its time is over", || async move {
        let taken = take(store, key, token).await;
        let at = now(store).await;
        (taken == Reservation::Taken).then_some(at)
    })
    .await
}

/// The answer of a holder, kept for so long. What time its node has is of no account.
fn answer(key: &str, token: &str, keep: Duration) -> Batch {
    let mut answer = batch([insert(NOTES, &format!("by {token}"), &json!({}))]);
    let response = json!({ "by": token }).to_string();
    answer.completion = Some(Completion { key: key.to_owned(), token: token.to_owned(), response, keep });
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
    assert_eq!(take(&*store, "k", "one").await, Reservation::Taken);
    assert_eq!(take(&*store, "k", "two").await, running("one"), "the first taker's request is told");
    assert_eq!(take(&*store, "k", "one").await, running("one"), "a taker cannot take its key twice");
}

pub(super) async fn of_concurrent_takers_one_gets_the_key(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for taker in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { take(&*store, "k", &format!("taker {taker}")).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Reservation::Taken).count(), 1, "{outcomes:?}");
}

pub(super) async fn keys_do_not_touch_each_other(store: Arc<dyn Store>) {
    for key in ["k", "K", "k ", "k%", "'; --", "🍕"] {
        assert_eq!(take(&*store, key, "one").await, Reservation::Taken, "{key:?}");
    }
    store.release("k", "one").await.expect("a key is given back");
    assert_eq!(take(&*store, "K", "two").await, running("one"));
}

pub(super) async fn an_answer_is_committed_with_the_change(store: Arc<dyn Store>) {
    take_for(&*store, SHORT, "k", "one").await;
    let before = now(&*store).await;
    store.commit(answer("k", "one", LONG)).await.expect("the holder of the key commits");
    assert!(get(&*store, NOTES, "by one").await.is_some());
    assert_eq!(take(&*store, "k", "two").await, done("one"));
    is_past(&*store, before + SHORT).await;
    assert_eq!(
        take(&*store, "k", "three").await,
        done("one"),
        "the time of a running request has no part in it"
    );
}

pub(super) async fn an_answer_is_kept_until_its_time(store: Arc<dyn Store>) {
    take(&*store, "k", "one").await;
    let before = now(&*store).await;
    store.commit(answer("k", "one", SHORT)).await.expect("the holder of the key commits");
    let at = take_later(&*store, "k", "two").await;
    assert!(at >= before + SHORT, "its time was not over");
    assert_eq!(take(&*store, "k", "three").await, running("two"), "the old answer is gone");
}

pub(super) async fn a_failed_batch_keeps_no_answer(store: Arc<dyn Store>) {
    take(&*store, "k", "one").await;
    let mut failing = answer("k", "one", LONG);
    failing.writes.push(update(NOTES, "nowhere", 0, &json!({})));
    refused(store.commit(failing).await, ErrorKind::NotFound, "an update of nothing");
    assert_eq!(take(&*store, "k", "two").await, running("one"));
    store.commit(answer("k", "one", LONG)).await.expect("the key is still held, so a retry commits");
}

pub(super) async fn a_released_key_is_free(store: Arc<dyn Store>) {
    take(&*store, "k", "one").await;
    store.release("k", "one").await.expect("a key is given back");
    store.release("k", "one").await.expect("giving back twice is no error");
    assert_eq!(take(&*store, "k", "two").await, Reservation::Taken);
}

pub(super) async fn only_the_holder_releases_a_key(store: Arc<dyn Store>) {
    take(&*store, "k", "one").await;
    store.release("k", "two").await.expect("a release without effect is no error");
    store.release("unknown", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "three").await, running("one"));
}

pub(super) async fn an_answered_key_is_not_released(store: Arc<dyn Store>) {
    take(&*store, "k", "one").await;
    store.commit(answer("k", "one", LONG)).await.expect("the holder of the key commits");
    store.release("k", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "two").await, done("one"));
}

pub(super) async fn a_taker_that_was_never_heard_of_again_loses_the_key(store: Arc<dyn Store>) {
    let before = now(&*store).await;
    take_for(&*store, SHORT, "k", "one").await;
    let at = take_later(&*store, "k", "two").await;
    assert!(at >= before + SHORT, "its time was not over");
    // The first taker comes back, late: it must neither answer nor free what is not its own any more.
    let late = refused(
        store.commit(answer("k", "one", LONG)).await,
        ErrorKind::Conflict,
        "a commit with a lost key",
    );
    assert_eq!(late.code(), "idempotency.lost", "{late:?}");
    assert!(late.as_version_conflict().is_none(), "trying again would not help: {late:?}");
    assert_eq!(get(&*store, NOTES, "by one").await, None, "its change is not kept either");
    store.release("k", "one").await.expect("a release without effect is no error");
    assert_eq!(take(&*store, "k", "three").await, running("two"));
    store.commit(answer("k", "two", LONG)).await.expect("the new holder commits");
}

pub(super) async fn a_nodes_clock_has_no_part_in_the_life_of_a_key(store: Arc<dyn Store>) {
    for (key, years) in [("slow", 0), ("fast", 100)] {
        take(&*store, key, "one").await;
        let mut answer = answer(key, "one", LONG);
        answer.writes.clear();
        answer.at = at(years * 365 * 24 * 60 * 60);
        store.commit(answer).await.expect("the holder of the key commits");
        assert_eq!(take(&*store, key, "two").await, done("one"), "the clock of its node was {key}");
    }
    assert_eq!(store.purge_expired(10).await.expect("a purge"), 0);
}

pub(super) async fn expired_records_are_purged_and_no_others(store: Arc<dyn Store>) {
    for (key, time) in [("over", Duration::ZERO), ("fresh", LONG)] {
        take_for(&*store, time, &format!("running {key}"), "one").await;
        let key = format!("answered {key}");
        take(&*store, &key, "one").await;
        let mut answer = answer(&key, "one", time);
        answer.writes.clear();
        store.commit(answer).await.expect("the holder of the key commits");
    }
    let purge = async |limit| store.purge_expired(limit).await.expect("a purge");
    assert_eq!(
        (purge(1).await, purge(5).await, purge(5).await),
        (1, 1, 0),
        "in steps, the two that are over"
    );
    assert_eq!(take(&*store, "running fresh", "two").await, running("one"));
    assert_eq!(take(&*store, "answered fresh", "two").await, done("one"));
    assert_eq!(take(&*store, "running over", "two").await, Reservation::Taken);
    assert_eq!(take(&*store, "answered over", "two").await, Reservation::Taken);
}
