//! Jobs: asked for with the change, not before their time, once for each key.

use std::sync::Arc;

use neuroglia::data::{Batch, Store};
use neuroglia::error::ErrorKind;
use neuroglia::work::{Due, Finish, NewWork, Revision, Settlement, WorkFilter, WorkState};
use serde_json::json;

use super::workbench::{
    LONG, SHORT, claim, claim_later, claim_one, dead, enqueue, finish, finishing, job, now, record, records,
    retry, settle, state,
};
use super::{NOTES, batch, get, insert, refused, update};

fn keyed(kind: &str, key: &str) -> NewWork {
    NewWork { key: Some(key.to_owned()), ..job(kind) }
}

async fn count(store: &dyn Store, kind: &str) -> usize {
    let of_kind = WorkFilter { kind: Some(kind.to_owned()), limit: 100, ..WorkFilter::default() };
    store.list_work(&of_kind).await.expect("work is listed").len()
}

pub(super) async fn a_job_comes_with_its_batch_or_not_at_all(store: Arc<dyn Store>) {
    let failing = Batch { work: vec![job("kind")], ..batch([update(NOTES, "nowhere", 0, &json!({}))]) };
    refused(store.commit(failing).await, ErrorKind::NotFound, "an update of nothing");
    assert_eq!(records(&*store).await, []);
    let sound = Batch { work: vec![job("kind")], ..batch([insert(NOTES, "n", &json!({}))]) };
    let id = sound.work[0].id;
    store.commit(sound).await.expect("a batch that breaks no rule is committed");
    assert_eq!(claim_one(&*store, "kind").await.ticket.id, id);
}

pub(super) async fn a_job_is_not_claimed_before_its_time(store: Arc<dyn Store>) {
    let before = now(&*store).await;
    let moment = before + SHORT;
    let dues = [("after", Due::After(SHORT)), ("at", Due::At(moment)), ("past", Due::At(before - LONG))];
    let work = dues.map(|(kind, due)| NewWork { due, ..job(kind) });
    let ids = work.each_ref().map(|work| work.id);
    enqueue(&*store, work).await;
    assert_eq!(state(&*store, ids[2]).await, WorkState::Waiting, "its time is over already");
    claim_one(&*store, "past").await;
    for kind in ["after", "at"] {
        let (_, at) = claim_later(&*store, kind).await;
        assert!(at >= moment, "{kind} came {:?} early", moment.since(at));
    }
    let far = NewWork { due: Due::At(before + LONG), ..job("far") };
    enqueue(&*store, [far.clone()]).await;
    let listed = record(&*store, far.id).await;
    assert_eq!((listed.state, listed.run_at), (WorkState::Scheduled, before + LONG));
    assert_eq!(claim(&*store, &["far"], 10).await, []);
}

pub(super) async fn a_unique_key_keeps_an_equal_live_job_out(store: Arc<dyn Store>) {
    enqueue(&*store, [keyed("kind", "k"), keyed("kind", "k")]).await;
    let again = async |id: &str, what: &str| {
        let both = Batch { work: vec![keyed("kind", "k")], ..batch([insert(NOTES, id, &json!({}))]) };
        store.commit(both).await.expect("a job that is there already does not fail the batch");
        assert!(get(&*store, NOTES, id).await.is_some(), "the rest of the batch is kept");
        assert_eq!(count(&*store, "kind").await, 1, "{what}");
    };
    again("n-1", "while it waits").await;
    let ticket = claim_one(&*store, "kind").await.ticket;
    again("n-2", "while it runs").await;
    assert!(settle(&*store, ticket, retry(LONG, "not yet")).await);
    again("n-3", "while it is to be tried again").await;
    enqueue(&*store, [keyed("other", "k"), keyed("kind", "K"), job("kind"), job("kind")]).await;
    assert_eq!(count(&*store, "other").await, 1, "the keys of two kinds do not touch");
    assert_eq!(count(&*store, "kind").await, 4, "nor do two keys, nor jobs without a key");
}

pub(super) async fn a_unique_key_is_free_when_its_job_has_ended(store: Arc<dyn Store>) {
    let ends = [
        ("done", None),
        ("dead", Some(dead("no use"))),
        ("cancelled", Some(Settlement::Cancelled)),
        ("parked", Some(Settlement::Park { failure: "nobody knows it".to_owned() })),
    ];
    for (kind, end) in ends {
        enqueue(&*store, [keyed(kind, "k")]).await;
        let ticket = claim_one(&*store, kind).await.ticket;
        match end {
            None => finish(&*store, ticket).await,
            Some(end) => assert!(settle(&*store, ticket, end).await),
        }
        enqueue(&*store, [keyed(kind, "k"), keyed(kind, "k")]).await;
        assert_eq!(count(&*store, kind).await, 2, "after one that is {kind}, one more comes in");
    }
    enqueue(&*store, [keyed("called off", "k")]).await;
    let waiting = records(&*store).await.pop().expect("it was stored");
    assert!(store.revise(waiting.id, &Revision::Cancel).await.expect("work is called off"));
    enqueue(&*store, [keyed("called off", "k")]).await;
    assert_eq!(count(&*store, "called off").await, 2);
}

pub(super) async fn a_job_may_ask_for_its_own_successor(store: Arc<dyn Store>) {
    enqueue(&*store, [keyed("kind", "k")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    let next = Batch { work: vec![keyed("kind", "k")], ..finishing(first) };
    store.commit(next).await.expect("the holder of the ticket finishes");
    assert_eq!(state(&*store, first.id).await, WorkState::Done);
    assert_ne!(claim_one(&*store, "kind").await.ticket.id, first.id);
}

pub(super) async fn a_replay_whose_key_is_taken_is_a_conflict(store: Arc<dyn Store>) {
    enqueue(&*store, [keyed("kind", "k")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    assert!(settle(&*store, first, dead("no use")).await);
    enqueue(&*store, [keyed("kind", "k")]).await;
    let taken = store.revise(first.id, &Revision::Replay).await;
    let taken = refused(taken, ErrorKind::Conflict, "a replay beside a job with the same key");
    assert_eq!((taken.code(), taken.detail()), ("work.duplicate", "another of work has the same key"));
    assert_eq!(state(&*store, first.id).await, WorkState::Dead);
    finish(&*store, claim_one(&*store, "kind").await.ticket).await;
    assert!(store.revise(first.id, &Revision::Replay).await.expect("the key is free"));
    assert_eq!(claim_one(&*store, "kind").await.ticket.id, first.id);
    enqueue(&*store, [keyed("kind", "k")]).await;
    assert_eq!(count(&*store, "kind").await, 2, "what is replayed has its key again");
}

pub(super) async fn a_result_is_kept(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let ticket = claim_one(&*store, "kind").await.ticket;
    let result = json!({ "pizzas": 12, "note": "Ünïcødé 🍕" }).to_string();
    let finish = Finish { ticket, result: Some(result.clone()), keep: LONG };
    let done = Batch { finish: Some(finish), ..finishing(ticket) };
    store.commit(done).await.expect("the holder of the ticket finishes");
    assert_eq!(store.purge_work(10).await.expect("work is purged"), 0);
    let kept = record(&*store, ticket.id).await;
    assert_eq!((kept.state, kept.result), (WorkState::Done, Some(result)));
}

pub(super) async fn a_job_is_stored_once_by_its_id(store: Arc<dyn Store>) {
    let job = job("kind");
    enqueue(&*store, [job.clone(), job.clone()]).await;
    enqueue(&*store, [job.clone()]).await;
    assert_eq!(count(&*store, "kind").await, 1);
    finish(&*store, claim_one(&*store, "kind").await.ticket).await;
    enqueue(&*store, [job.clone()]).await;
    assert_eq!(state(&*store, job.id).await, WorkState::Done);
}
