//! Messages for outside: kept with the change that raised them, taken by relays in the order of their subjects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::error::ErrorKind;
use neuroglia::messaging::OutboxDepth;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::workbench::{CROWDED, LONG, SHORT, eventually, new_id, now};
use super::{NOTES, at, batch, insert, message, refused, update};

async fn names(store: &dyn Store, limit: u32) -> Vec<String> {
    let messages = store.outbox(limit).await.expect("the outbox is read");
    messages.into_iter().map(|message| message.name).collect()
}

pub(super) async fn messages_are_kept_as_they_were_in_the_order_of_commits(store: Arc<dyn Store>) {
    let full = OutboxMessage {
        version: 3,
        data: json!({ "text": "Ünïcødé 🍕 'quotes'" }).to_string(),
        correlation_id: Some("request-1".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        at: at(7),
        ..message("note.created", "n-1")
    };
    let sent = [vec![full, message("note.moved", "n-1")], vec![message("note.done", "n-1")]];
    let mut first = batch([insert(NOTES, "n-1", &json!({}))]);
    first.outbox = sent[0].clone();
    store.commit(first).await.expect("a batch that breaks no rule is committed");
    // A batch may have nothing but messages.
    let mut second = batch([]);
    second.outbox = sent[1].clone();
    store.commit(second).await.expect("a batch that breaks no rule is committed");
    assert_eq!(store.outbox(10).await.expect("the outbox is read"), sent.concat());
}

pub(super) async fn a_failed_batch_sends_nothing(store: Arc<dyn Store>) {
    let mut failing = batch([update(NOTES, "nowhere", 0, &json!({}))]);
    failing.outbox = vec![message("note.moved", "nowhere")];
    refused(store.commit(failing).await, ErrorKind::NotFound, "an update of nothing");
    assert_eq!(names(&*store, 10).await, Vec::<String>::new());
    assert_eq!(claimed(&*store).await, "");
}

pub(super) async fn the_oldest_messages_come_first(store: Arc<dyn Store>) {
    for group in 0..3 {
        let mut messages = batch([]);
        messages.outbox = (0..20).map(|place| message(&format!("m{}", group * 20 + place), "n")).collect();
        store.commit(messages).await.expect("a batch that breaks no rule is committed");
    }
    assert_eq!(names(&*store, 2).await, ["m0", "m1"]);
    assert_eq!(names(&*store, 100).await, (0..60).map(|place| format!("m{place}")).collect::<Vec<_>>());
}

pub(super) async fn concurrent_batches_do_not_mix_their_messages(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for writer in 0..6 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut messages = batch([]);
            messages.outbox = (0..5).map(|place| message(&format!("{writer}.{place}"), "n")).collect();
            store.commit(messages).await
        });
    }
    for outcome in tasks.join_all().await {
        outcome.expect("a batch that breaks no rule is committed");
    }
    let found = names(&*store, 100).await;
    assert_eq!(found.len(), 30);
    for group in found.chunks(5) {
        let writer = group[0].split('.').next().expect("a split has a first part");
        assert_eq!(group, (0..5).map(|place| format!("{writer}.{place}")).collect::<Vec<_>>());
    }
}

/// Puts messages in: one batch for each pair of subject and name.
async fn send(store: &dyn Store, messages: &[(&str, &str)]) {
    for (subject, name) in messages {
        let sending = Batch { outbox: vec![message(name, subject)], ..batch([]) };
        store.commit(sending).await.expect("a batch that breaks no rule is committed");
    }
}

/// Claims as a relay that has this token; the names of what it got, and the ids.
async fn claim(store: &dyn Store, token: Uuid, limit: u32, lease: Duration) -> (String, Vec<Uuid>) {
    let claimed = store.claim_outbox(token, limit, lease).await.expect("messages are claimed");
    let names: Vec<_> = claimed.iter().map(|message| message.name.as_str()).collect();
    (names.join(" "), claimed.iter().map(|message| message.id).collect())
}

/// Claims for long as a relay of its own.
async fn claimed(store: &dyn Store) -> String {
    claim(store, new_id(), 100, LONG).await.0
}

async fn confirm(store: &dyn Store, token: Uuid, ids: &[Uuid]) {
    store.confirm_outbox(token, ids).await.expect("messages are confirmed");
}

async fn give_back(store: &dyn Store, token: Uuid, ids: &[Uuid], pause: Duration) {
    store.return_outbox(token, ids, pause).await.expect("messages are returned");
}

pub(super) async fn a_relay_gets_the_oldest_messages_first(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("b", "b1"), ("c", "c1"), ("d", "d1")]).await;
    let sent = store.outbox(10).await.expect("the outbox is read");
    let got = store.claim_outbox(new_id(), 2, LONG).await.expect("messages are claimed");
    assert_eq!(got, sent[..2], "as they were sent");
    assert_eq!(claim(&*store, new_id(), 0, LONG).await.0, "");
    assert_eq!(claimed(&*store).await, "c1 d1");
    assert_eq!(names(&*store, 10).await.len(), 4, "what is claimed is still there");
}

pub(super) async fn of_a_subject_only_the_first_message_is_given(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")]).await;
    let token = new_id();
    assert_eq!(claim(&*store, token, 100, LONG).await.0, "a1 b1");
    assert_eq!(claimed(&*store).await, "", "nor does another relay get what comes after");
    assert_eq!(claim(&*store, token, 100, LONG).await.0, "", "nor the same again");
    send(&*store, &[("a", "a4"), ("c", "c1")]).await;
    assert_eq!(claimed(&*store).await, "c1", "other subjects go on");
}

pub(super) async fn a_confirmed_message_is_gone_and_its_successor_can_go(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let token = new_id();
    let (_, ids) = claim(&*store, token, 100, LONG).await;
    confirm(&*store, token, &ids[..1]).await;
    confirm(&*store, token, &ids[..1]).await;
    assert_eq!(names(&*store, 10).await, ["a2", "b1"]);
    let (next, ids) = claim(&*store, new_id(), 100, LONG).await;
    assert_eq!(next, "a2");
    confirm(&*store, token, &ids).await;
    assert_eq!(names(&*store, 10).await, ["a2", "b1"], "a2 is not this relay's");
}

pub(super) async fn who_did_not_claim_a_message_neither_confirms_nor_returns_it(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("b", "b1")]).await;
    let (_, ids) = claim(&*store, new_id(), 1, LONG).await;
    let all: Vec<_> = store.outbox(10).await.expect("the outbox is read").iter().map(|m| m.id).collect();
    let stranger = new_id();
    confirm(&*store, stranger, &all).await;
    give_back(&*store, stranger, &ids, Duration::ZERO).await;
    assert_eq!(names(&*store, 10).await, ["a1", "b1"]);
    assert_eq!(claimed(&*store).await, "b1", "a1 is still with who claimed it");
}

pub(super) async fn a_returned_message_waits_for_its_pause_before_its_successors(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("a", "a2"), ("b", "b1")]).await;
    let token = new_id();
    let (_, ids) = claim(&*store, token, 1, LONG).await;
    let returned_at = now(&*store).await;
    give_back(&*store, token, &ids, SHORT).await;
    send(&*store, &[("a", "a3")]).await;
    let (mut got, mut at) = claim_later(&*store).await;
    if got == "b1" {
        (got, at) = claim_later(&*store).await;
        assert_eq!(got, "a1", "and not its successor");
    }
    assert!(got.starts_with("a1") && at >= returned_at + SHORT, "{got} came before the pause was over");
}

pub(super) async fn a_claim_whose_lease_is_over_is_free_again(store: Arc<dyn Store>) {
    send(&*store, &[("a", "a1"), ("a", "a2")]).await;
    let token = new_id();
    let claimed_at = now(&*store).await;
    let (_, ids) = claim(&*store, token, 1, SHORT).await;
    let (again, at) = claim_later(&*store).await;
    assert_eq!(again, "a1");
    assert!(at >= claimed_at + SHORT, "its lease was not over");
    confirm(&*store, token, &ids).await;
    assert_eq!(names(&*store, 10).await, ["a1", "a2"], "it is with somebody else by now");
}

/// Claims until there is something, and gives it with the store's time just after.
async fn claim_later(store: &dyn Store) -> (String, Timestamp) {
    eventually("a message can be claimed when its time has come", || async move {
        let names = claimed(store).await;
        let at = now(store).await;
        (!names.is_empty()).then_some((names, at))
    })
    .await
}

pub(super) async fn concurrent_relays_never_get_the_same_message(store: Arc<dyn Store>) {
    let subjects: Vec<_> = (0..40).map(|place| format!("s{place}")).collect();
    let twice = subjects.iter().chain(&subjects).map(|subject| (subject.as_str(), "m")).collect::<Vec<_>>();
    send(&*store, &twice).await;
    let mut relays = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        relays.spawn(async move {
            let (token, mut got) = (new_id(), Vec::new());
            // As often as it takes when each claim gives one message.
            for _ in 0..40 {
                let (_, ids) = claim(&*store, token, 3, LONG).await;
                if ids.is_empty() {
                    break;
                }
                got.extend(ids);
            }
            got
        });
    }
    let mut got = relays.join_all().await.concat();
    assert_eq!(got.len(), 40, "of each subject the first");
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), 40, "none was given to two");
}

pub(super) async fn a_subject_that_many_write_to_loses_no_message(store: Arc<dyn Store>) {
    const WRITERS: usize = 4;
    const EACH: usize = 15;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for place in 0..EACH {
                let name = format!("{writer}.{place}");
                // In either order, and still nobody may lock another out.
                let subjects = if writer % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                let outbox = subjects.map(|subject| message(&name, subject)).to_vec();
                store.commit(Batch { outbox, ..batch([]) }).await.expect("the batch is committed");
            }
        });
    }
    for _ in 0..WRITERS {
        let (store, sent) = (Arc::clone(&store), Arc::clone(&sent));
        tasks.spawn(async move {
            let token = new_id();
            while sent.load(Ordering::Acquire) < WRITERS * EACH * 2 {
                let (_, ids) = claim(&*store, token, 100, LONG).await;
                confirm(&*store, token, &ids).await;
                sent.fetch_add(ids.len(), Ordering::AcqRel);
                // An engine that never waits would keep the writers from running.
                tokio::task::yield_now().await;
            }
        });
    }
    let done = timeout(CROWDED, tasks.join_all()).await;
    assert!(done.is_ok(), "{} of {} were sent", sent.load(Ordering::Acquire), WRITERS * EACH * 2);
}

pub(super) async fn the_depth_tells_count_and_age(store: Arc<dyn Store>) {
    let depth = async || store.outbox_depth().await.expect("the outbox is measured");
    assert_eq!(depth().await, OutboxDepth::default());
    let young = now(&*store).await;
    let old = young - Duration::from_secs(3_600);
    let sending = [young, old].map(|at| OutboxMessage { at, ..message("m", &at.to_string()) });
    store.commit(Batch { outbox: sending.to_vec(), ..batch([]) }).await.expect("the batch is committed");
    let found = depth().await;
    assert_eq!(found.count, 2);
    assert!(found.oldest >= Duration::from_secs(3_600), "{found:?}");
    let token = new_id();
    claim(&*store, token, 100, LONG).await;
    assert_eq!(depth().await.count, 2, "what is claimed has not arrived");
    confirm(&*store, token, &[sending[1].id]).await;
    let found = depth().await;
    assert!(found.count == 1 && found.oldest < Duration::from_secs(3_600), "{found:?}");
}
