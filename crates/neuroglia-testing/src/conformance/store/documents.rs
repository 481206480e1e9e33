//! Single documents: identity, versions, times, content.

use std::sync::Arc;

use neuroglia::data::{Change, Store, Write};
use neuroglia::error::ErrorKind;
use serde_json::json;

use super::{
    NOTES, SHELVES, at, batch, conflicting, delete, get, insert, json, put, refused, select, sorted, update,
};

pub(super) async fn an_inserted_document_is_loaded_as_it_was(store: Arc<dyn Store>) {
    let body = json!({ "text": "buy flour", "rank": 3, "done": false, "tags": ["a", "b"], "note": null });
    put(&*store, [insert(NOTES, "n-1", &body)]).await;
    let found = get(&*store, NOTES, "n-1").await.expect("what was inserted is there");
    assert_eq!((found.id.as_str(), found.version), ("n-1", 0));
    assert_eq!((found.created_at, found.updated_at), (at(1), at(1)), "both times are the batch's");
    assert_eq!(json(&found), body);
}

pub(super) async fn an_unknown_id_is_none(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    for id in ["n-2", "", "N-1", "n-1 ", "n%"] {
        assert_eq!(get(&*store, NOTES, id).await, None, "{id:?}");
    }
}

pub(super) async fn an_unknown_collection_is_an_error_and_not_none(store: Arc<dyn Store>) {
    let mut select = select(neuroglia::data::Condition::All(Vec::new()), &[]);
    select.collection = "nowhere";
    refused(store.load("nowhere", "n-1").await, ErrorKind::Internal, "loading from an unknown collection");
    refused(store.query(&select).await, ErrorKind::Internal, "a query in an unknown collection");
    refused(store.count(&select).await, ErrorKind::Internal, "a count in an unknown collection");
    let commit = store.commit(batch([insert("nowhere", "n-1", &json!({}))])).await;
    refused(commit, ErrorKind::Internal, "a write to an unknown collection");
}

pub(super) async fn one_id_in_two_collections_is_two_documents(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "x", &json!({ "in": 1 })), insert(SHELVES, "x", &json!({ "in": 2 }))]).await;
    put(&*store, [delete(NOTES, "x", 0)]).await;
    assert_eq!(get(&*store, NOTES, "x").await, None);
    assert_eq!(get(&*store, SHELVES, "x").await.map(|found| json(&found)), Some(json!({ "in": 2 })));
}

pub(super) async fn a_second_insert_of_an_id_is_a_conflict(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({ "text": "first" }))]).await;
    put(&*store, [update(NOTES, "n-1", 0, &json!({ "text": "second" }))]).await;
    let again = store.commit(batch([insert(NOTES, "n-1", &json!({ "text": "third" }))])).await;
    conflicting(again, ErrorKind::Conflict, None, Some(1));
    assert_eq!(get(&*store, NOTES, "n-1").await.map(|found| json(&found)), Some(json!({ "text": "second" })));
}

pub(super) async fn an_update_of_nothing_is_not_found(store: Arc<dyn Store>) {
    let outcome = store.commit(batch([update(NOTES, "n-1", 0, &json!({}))])).await;
    conflicting(outcome, ErrorKind::NotFound, Some(0), None);
    assert_eq!(get(&*store, NOTES, "n-1").await, None, "it is not created");
}

pub(super) async fn a_delete_of_nothing_is_not_found(store: Arc<dyn Store>) {
    conflicting(store.commit(batch([delete(NOTES, "n-1", 4)])).await, ErrorKind::NotFound, Some(4), None);
}

pub(super) async fn a_deleted_document_is_gone_and_its_id_is_free(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    put(&*store, [update(NOTES, "n-1", 0, &json!({}))]).await;
    put(&*store, [delete(NOTES, "n-1", 1)]).await;
    assert_eq!(get(&*store, NOTES, "n-1").await, None);
    assert_eq!(sorted(&*store, select(neuroglia::data::Condition::All(Vec::new()), &[])).await, "");
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    assert_eq!(get(&*store, NOTES, "n-1").await.map(|found| found.version), Some(0), "it begins anew");
}

pub(super) async fn a_version_begins_at_zero_and_grows_by_one(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    for version in 0..5 {
        assert_eq!(get(&*store, NOTES, "n-1").await.map(|found| found.version), Some(version));
        put(&*store, [update(NOTES, "n-1", version, &json!({ "rank": version }))]).await;
    }
}

pub(super) async fn an_update_of_an_old_version_is_a_conflict_and_changes_nothing(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({ "by": "nobody" }))]).await;
    put(&*store, [update(NOTES, "n-1", 0, &json!({ "by": "first" }))]).await;
    for (expected, what) in [(0, "an old version"), (7, "a version that was never there")] {
        let outcome = store.commit(batch([update(NOTES, "n-1", expected, &json!({ "by": what }))])).await;
        let error = conflicting(outcome, ErrorKind::Conflict, Some(expected), Some(1));
        let conflict = error.as_version_conflict().expect("checked above");
        assert_eq!((&*conflict.collection, &*conflict.id), (NOTES, "n-1"), "the conflict names its document");
    }
    let found = get(&*store, NOTES, "n-1").await.expect("it is still there");
    assert_eq!((found.version, json(&found)), (1, json!({ "by": "first" })));
}

pub(super) async fn a_delete_of_an_old_version_is_a_conflict_and_changes_nothing(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    put(&*store, [update(NOTES, "n-1", 0, &json!({}))]).await;
    let outcome = store.commit(batch([delete(NOTES, "n-1", 0)])).await;
    conflicting(outcome, ErrorKind::Conflict, Some(0), Some(1));
    assert!(get(&*store, NOTES, "n-1").await.is_some());
}

pub(super) async fn an_update_moves_updated_at_and_not_created_at(store: Arc<dyn Store>) {
    put(&*store, [insert(NOTES, "n-1", &json!({}))]).await;
    let mut later = batch([update(NOTES, "n-1", 0, &json!({}))]);
    later.at = at(60);
    store.commit(later).await.expect("a batch that breaks no rule is committed");
    let found = get(&*store, NOTES, "n-1").await.expect("it is there");
    assert_eq!((found.created_at, found.updated_at), (at(1), at(60)));
}

pub(super) async fn unicode_and_large_bodies_come_back_as_they_were(store: Arc<dyn Store>) {
    let odd = json!({ "text": "Ünïcødé 🍕 \u{202e}rtl \"quotes\" \\ back\tslash\n\u{1}", "ключ": "значение", "n": -0.5 });
    let large = json!({ "text": "x🍕".repeat(400_000) });
    put(&*store, [insert(NOTES, "odd", &odd), insert(NOTES, "large", &large)]).await;
    assert_eq!(get(&*store, NOTES, "odd").await.map(|found| json(&found)), Some(odd));
    let found = get(&*store, NOTES, "large").await.map(|found| json(&found));
    assert!(found == Some(large), "a body of two megabytes comes back as it was");
}

pub(super) async fn ids_are_plain_text_compared_by_their_bytes(store: Arc<dyn Store>) {
    let ids =
        ["", " ", "%", "'; DROP TABLE notes; --", "A", "Z", "\"", "\\", "_", "a", "a ", "é", "ｚ", "🍕"];
    put(&*store, ids.map(|id| insert(NOTES, id, &json!({ "own": id })))).await;
    for id in ids {
        let found = get(&*store, NOTES, id).await.map(|found| (found.id.clone(), json(&found)));
        assert_eq!(found, Some((id.to_owned(), json!({ "own": id }))));
    }
    let mut sorted = ids;
    sorted.sort_unstable();
    let select = select(neuroglia::data::Condition::All(Vec::new()), &[]);
    let found = store.query(&select).await.expect("a sound query is answered");
    assert_eq!(found.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(), sorted);
}

pub(super) async fn a_body_that_is_not_json_is_refused(store: Arc<dyn Store>) {
    let change = Change::Insert { body: "{\"cut off\":".to_owned() };
    let outcome = store.commit(batch([Write { collection: NOTES, id: "n-1".to_owned(), change }])).await;
    refused(outcome, ErrorKind::Internal, "a body that is not JSON");
    assert_eq!(get(&*store, NOTES, "n-1").await, None);
}
