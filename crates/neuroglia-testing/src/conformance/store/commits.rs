//! Batches: all or nothing, unique values, concurrency, the end of a store.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::{Completion, NativeStep, Reservation, Reserve, Store};
use neuroglia::error::ErrorKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::workbench::LONG;
use super::{NOTES, SHELVES, batch, delete, get, insert, json, message, put, refused, update};

fn reserve(key: &str) -> Reserve {
    Reserve { key: key.to_owned(), fingerprint: "f".to_owned(), token: "t".to_owned(), hold: LONG }
}

pub(super) async fn a_batch_is_kept_whole_or_not_at_all(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "old", &json!({ "is": "old" })), insert(SHELVES, "gone", &json!({}))]).await;
    assert_eq!(store.reserve(&reserve("key")).await.expect("a key is taken"), Reservation::Taken);
    let everything = |last_expected| {
        let mut everything = batch([
            insert(NOTES, "new", &json!({})),
            update(NOTES, "old", 0, &json!({ "is": "new" })),
            delete(SHELVES, "gone", 0),
            insert(SHELVES, "last", &json!({})),
            update(SHELVES, "last", last_expected, &json!({})),
        ]);
        everything.outbox = vec![message("note.created", "new")];
        let token = "t".to_owned();
        let response = "{}".to_owned();
        everything.completion = Some(Completion { key: "key".to_owned(), token, response, keep: LONG });
        everything
    };

    refused(
        store.commit(everything(9)).await,
        ErrorKind::Conflict,
        "a batch whose last write meets a conflict",
    );
    assert_eq!(get(&*store, NOTES, "new").await, None, "nothing was inserted");
    assert_eq!(get(&*store, NOTES, "old").await.map(|found| json(&found)), Some(json!({ "is": "old" })));
    assert!(get(&*store, SHELVES, "gone").await.is_some(), "nothing was deleted");
    assert_eq!(store.outbox(10).await.expect("the outbox is read"), [], "nothing was sent");
    let running = Reservation::Running { fingerprint: "f".to_owned() };
    assert_eq!(
        store.reserve(&reserve("key")).await.expect("a key is looked up"),
        running,
        "nothing was answered"
    );

    store.commit(everything(0)).await.expect("the same batch without a conflict is committed");
    assert!(get(&*store, NOTES, "new").await.is_some());
    assert_eq!(get(&*store, NOTES, "old").await.map(|found| found.version), Some(1));
    assert_eq!(get(&*store, SHELVES, "gone").await, None);
    assert_eq!(get(&*store, SHELVES, "last").await.map(|found| found.version), Some(1));
    assert_eq!(store.outbox(10).await.expect("the outbox is read").len(), 1);
    let answered = store.reserve(&reserve("key")).await.expect("a key is looked up");
    assert!(matches!(answered, Reservation::Done { .. }), "{answered:?}");
}

pub(super) async fn writes_are_carried_out_in_order(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "a", &json!({ "code": "one" }))]).await;
    put(&*store, [delete(NOTES, "a", 0), insert(NOTES, "b", &json!({ "code": "one" }))]).await;
    let wrong = batch([insert(NOTES, "c", &json!({ "code": "one" })), delete(NOTES, "b", 0)]);
    refused(
        store.commit(wrong).await,
        ErrorKind::Conflict,
        "a value that is still taken when its turn comes",
    );
    assert_eq!(get(&*store, NOTES, "c").await, None);
}

pub(super) async fn a_unique_value_is_taken_once(store: Arc<dyn Store>) {
    put(
        &*store,
        [insert(NOTES, "a", &json!({ "code": "one" })), insert(NOTES, "b", &json!({ "code": "two" }))],
    )
    .await;
    let inserted = store.commit(batch([insert(NOTES, "c", &json!({ "code": "one" }))])).await;
    let error = refused(inserted, ErrorKind::Conflict, "an insert of a taken value");
    assert_eq!(error.code(), "notes.duplicate", "{error:?}");
    assert!(error.detail().ends_with("same code"), "the index is named by its short name: {error:?}");
    assert!(error.as_version_conflict().is_none(), "trying again would not help: {error:?}");
    let updated = store.commit(batch([update(NOTES, "b", 0, &json!({ "code": "one" }))])).await;
    assert_eq!(refused(updated, ErrorKind::Conflict, "an update to a taken value").code(), "notes.duplicate");
    put(&*store, [update(NOTES, "a", 0, &json!({ "code": "one", "rank": 1 }))]).await;
    put(&*store, [insert(SHELVES, "a", &json!({ "code": "one" }))]).await;
    put(
        &*store,
        [insert(NOTES, "d", &json!({ "code": "ONE" })), insert(NOTES, "e", &json!({ "code": "one " }))],
    )
    .await;
}

pub(super) async fn a_unique_value_is_free_again_when_its_document_lets_go(store: Arc<dyn Store>) {
    put(
        &*store,
        [insert(NOTES, "a", &json!({ "code": "one" })), insert(NOTES, "b", &json!({ "code": "two" }))],
    )
    .await;
    put(&*store, [update(NOTES, "a", 0, &json!({ "code": "three" })), delete(NOTES, "b", 0)]).await;
    put(
        &*store,
        [insert(NOTES, "c", &json!({ "code": "one" })), insert(NOTES, "d", &json!({ "code": "two" }))],
    )
    .await;
    // A batch that fails gives back what it had taken, and takes again what it had let go.
    let failing = [
        insert(NOTES, "e", &json!({ "code": "four" })),
        update(NOTES, "c", 0, &json!({ "code": "five" })),
        delete(NOTES, "nowhere", 0),
    ];
    refused(store.commit(batch(failing)).await, ErrorKind::NotFound, "a batch that deletes nothing");
    put(
        &*store,
        [insert(NOTES, "f", &json!({ "code": "four" })), insert(NOTES, "g", &json!({ "code": "five" }))],
    )
    .await;
    let taken = store.commit(batch([insert(NOTES, "h", &json!({ "code": "one" }))])).await;
    refused(taken, ErrorKind::Conflict, "a value that is taken again");
}

pub(super) async fn unset_fields_never_collide(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "a", &json!({})), insert(NOTES, "b", &json!({}))]).await;
    put(
        &*store,
        [insert(NOTES, "c", &json!({ "code": null })), insert(NOTES, "d", &json!({ "code": null }))],
    )
    .await;
    let half = json!({ "place": { "shelf": "top" } });
    put(&*store, [insert(NOTES, "e", &half), insert(NOTES, "f", &half)]).await;
}

pub(super) async fn a_unique_index_over_two_fields_forbids_only_both(store: Arc<dyn Store>) {
    let place = |shelf: &str, slot: i64| json!({ "place": { "shelf": shelf, "slot": slot } });
    put(&*store, [insert(NOTES, "a", &place("top", 1)), insert(NOTES, "b", &place("top", 2))]).await;
    put(&*store, [insert(NOTES, "c", &place("low", 1))]).await;
    let outcome = store.commit(batch([insert(NOTES, "d", &place("top", 2))])).await;
    let error = refused(outcome, ErrorKind::Conflict, "a pair of values that is taken");
    assert!(error.detail().ends_with("same place"), "{error:?}");
}

pub(super) async fn concurrent_commits_lose_no_update(store: Arc<dyn Store>) {
    const TASKS: u64 = 8;
    const TURNS: u64 = 10;
    put(&*store, [insert(NOTES, "count", &json!({ "value": 0 }))]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..TURNS {
                loop {
                    let found = get(&*store, NOTES, "count").await.expect("it is there");
                    // Others read the same version meanwhile, on any runtime.
                    tokio::task::yield_now().await;
                    let value = json(&found).get("value").and_then(Value::as_u64).expect("it is a number");
                    let next = update(NOTES, "count", found.version, &json!({ "value": value + 1 }));
                    match store.commit(batch([next])).await {
                        Ok(()) => break,
                        Err(error) => assert!(error.as_version_conflict().is_some(), "{error:?}"),
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    let found = get(&*store, NOTES, "count").await.expect("it is there");
    assert_eq!((found.version, json(&found)), (TASKS * TURNS, json!({ "value": TASKS * TURNS })));
}

pub(super) async fn of_concurrent_inserts_one_wins(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let outcome = store.commit(batch([insert(NOTES, "n-1", &json!({ "by": writer }))])).await;
            outcome.map(|()| writer).map_err(|error| error.as_version_conflict().cloned())
        });
    }
    let outcomes = tasks.join_all().await;
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    assert!(
        outcomes.iter().all(|outcome| !matches!(outcome, Err(None))),
        "the others meet a conflict: {outcomes:?}"
    );
    let found = get(&*store, NOTES, "n-1").await.expect("it is there");
    assert_eq!(json(&found), json!({ "by": winners[0] }), "the winner's content is kept");
}

pub(super) async fn a_commit_that_is_dropped_leaves_nothing_open(store: Arc<dyn Store>) {
    for polls in 0..12 {
        let (note, shelf) = (format!("n-{polls}"), format!("s-{polls}"));
        let mut both = batch([insert(NOTES, &note, &json!({})), insert(SHELVES, &shelf, &json!({}))]);
        both.outbox = vec![message("note.created", &note)];
        {
            let mut commit = pin!(store.commit(both));
            for _ in 0..polls {
                let step = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(commit.as_mut().poll(context).is_ready())
                });
                if step.await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        put(&*store, [insert(NOTES, &format!("after-{polls}"), &json!({}))]).await;
        // An engine may still be at it. What it began is there in all its parts, or in none, once it has ended.
        let settled = async {
            loop {
                let note_is_there = get(&*store, NOTES, &note).await.is_some();
                let shelf_is_there = get(&*store, SHELVES, &shelf).await.is_some();
                let sent = store.outbox(100).await.expect("the outbox is read");
                let is_sent = sent.iter().any(|message| message.subject == note);
                if note_is_there == shelf_is_there && shelf_is_there == is_sent {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let settled = timeout(Duration::from_secs(5), settled).await;
        settled.expect("a dropped commit is kept whole, with its messages, or not at all");
    }
}

pub(super) async fn a_step_for_another_engine_refuses_the_batch(store: Arc<dyn Store>) {
    let mut foreign = batch([insert(NOTES, "n-1", &json!({}))]);
    foreign.native = vec![NativeStep { engine: "another", step: Box::new(()) }];
    refused(store.commit(foreign).await, ErrorKind::Internal, "a step for another engine");
    assert_eq!(get(&*store, NOTES, "n-1").await, None);
}

pub(super) async fn a_store_answers_pings_until_it_is_closed(store: Arc<dyn Store>) {
    store.ping().await.expect("an open store answers");
    store.close().await;
    refused(store.ping().await, ErrorKind::Unavailable, "a ping of a closed store");
}

pub(super) async fn a_closed_store_is_unavailable(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    store.close().await;
    store.close().await;
    let all = super::select(neuroglia::data::Condition::All(Vec::new()), &[]);
    let away = ErrorKind::Unavailable;
    refused(store.load(NOTES, "n-1").await, away, "loading from a closed store");
    refused(store.load(NOTES, "n-2").await, away, "loading an unknown id from a closed store");
    refused(store.query(&all).await, away, "a query of a closed store");
    refused(store.count(&all).await, away, "a count in a closed store");
    refused(store.commit(batch([delete(NOTES, "n-1", 0)])).await, away, "a commit to a closed store");
    refused(store.outbox(1).await, away, "the outbox of a closed store");
    refused(store.reserve(&reserve("key")).await, away, "a key of a closed store");
    refused(store.release("key", "t").await, away, "a release in a closed store");
    refused(store.purge_expired(1).await, away, "a purge of a closed store");
    refused(store.applied_migrations().await, away, "the migrations of a closed store");
}
