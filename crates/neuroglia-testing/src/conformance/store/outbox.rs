//! Messages for outside, kept with the change that raised them.

use std::sync::Arc;

use neuroglia::data::{OutboxMessage, Store};
use neuroglia::error::ErrorKind;
use serde_json::json;
use tokio::task::JoinSet;

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
