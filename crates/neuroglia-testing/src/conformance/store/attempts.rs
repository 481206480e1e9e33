//! How an attempt ends: with its effects, or without any.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::{Batch, Store};
use neuroglia::error::ErrorKind;
use neuroglia::work::{FAILURES_MAX, Finish, LOST, Revision, Settlement, Ticket, WorkRecord, WorkState};
use serde_json::json;

use super::workbench::{
    LONG, SHORT, claim, claim_later, claim_one, dead, enqueue, finish, finishing, job, named, new_id, now,
    record, records, retry, settle, state,
};
use super::{NOTES, get, insert, message, refused, update};

/// A batch with effects of each sort, and the end of the work that has them.
fn with_effects(ticket: Ticket) -> Batch {
    Batch {
        writes: vec![insert(NOTES, "effect", &json!({}))],
        outbox: vec![message("note.created", "effect")],
        work: vec![job("follow-up")],
        finish: Some(Finish { ticket, result: Some("12".to_owned()), keep: LONG }),
        ..finishing(ticket)
    }
}

async fn assert_no_effects(store: &dyn Store) {
    assert_eq!(get(store, NOTES, "effect").await, None, "no document");
    assert_eq!(store.outbox(10).await.expect("the outbox is read"), [], "no message");
    assert_eq!(claim(store, &["follow-up"], 10).await, [], "no job");
}

pub(super) async fn a_finish_commits_effects_messages_and_jobs_with_the_end(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let ticket = claim_one(&*store, "kind").await.ticket;
    store.commit(with_effects(ticket)).await.expect("the holder of the ticket finishes");
    assert!(get(&*store, NOTES, "effect").await.is_some());
    assert_eq!(store.outbox(10).await.expect("the outbox is read").len(), 1);
    claim_one(&*store, "follow-up").await;
    let done = record(&*store, ticket.id).await;
    assert_eq!((done.state, done.attempt, done.owner), (WorkState::Done, 1, None));
    assert_eq!(done.result.as_deref(), Some("12"));
    assert_eq!(claim(&*store, &["kind"], 10).await, []);
}

pub(super) async fn a_finish_with_a_lost_ticket_changes_nothing(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    assert!(settle(&*store, first, Settlement::Release).await);
    let late = async |ticket: Ticket, what: &str| {
        let lost = refused(store.commit(with_effects(ticket)).await, ErrorKind::Conflict, what);
        assert_eq!(lost.code(), LOST, "{what}: {lost:?}");
        assert_no_effects(&*store).await;
    };
    late(first, "a finish of what was given back").await;
    let second = claim_one(&*store, "kind").await.ticket;
    late(first, "a finish of what somebody else is at").await;
    late(Ticket { id: second.id, token: new_id() }, "a finish with a ticket that never was").await;
    late(Ticket { id: new_id(), token: second.token }, "a finish of what is not there").await;
    finish(&*store, second).await;
    late(second, "a second finish").await;
    assert_eq!(record(&*store, second.id).await.result, None, "the result is that of the holder");
}

pub(super) async fn a_failed_batch_leaves_the_work_running(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let ticket = claim_one(&*store, "kind").await.ticket;
    let mut failing = with_effects(ticket);
    failing.writes.push(update(NOTES, "nowhere", 0, &json!({})));
    refused(store.commit(failing).await, ErrorKind::NotFound, "an update of nothing");
    assert_no_effects(&*store).await;
    assert_eq!(state(&*store, ticket.id).await, WorkState::Running);
    store.commit(with_effects(ticket)).await.expect("the ticket still holds, so a second try finishes");
}

pub(super) async fn a_retry_waits_for_its_pause_and_keeps_the_failure(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    let failed_at = now(&*store).await;
    assert!(settle(&*store, first, retry(SHORT, "the oven is cold")).await);
    let waiting = record(&*store, first.id).await;
    assert_eq!((waiting.state, waiting.attempt, waiting.owner), (WorkState::Scheduled, 1, None));
    assert!(waiting.run_at >= failed_at + SHORT);
    let [failure] = waiting.failures.as_slice() else { panic!("one failure is kept: {waiting:?}") };
    assert_eq!((failure.attempt, failure.error.as_str()), (1, "the oven is cold"));
    assert!(failure.at >= failed_at);
    let (again, at) = claim_later(&*store, "kind").await;
    assert!(at >= failed_at + SHORT, "its pause was not over");
    assert_eq!((again.ticket.id, again.attempt), (first.id, 2));
    assert_ne!(again.ticket.token, first.token);
}

pub(super) async fn a_release_does_not_count_the_attempt(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    for _ in 0..3 {
        let claimed = claim_one(&*store, "kind").await;
        assert_eq!(claimed.attempt, 1);
        assert!(settle(&*store, claimed.ticket, Settlement::Release).await);
    }
    let [released] = records(&*store).await.try_into().expect("there is one piece of work");
    let WorkRecord { state, attempt, owner, failures, .. } = released;
    assert_eq!((state, attempt, owner, failures), (WorkState::Waiting, 0, None, Vec::new()));
}

pub(super) async fn dead_work_keeps_its_last_failures_each_of_bounded_size(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let failures = FAILURES_MAX + 3;
    for place in 1..failures {
        let claimed = claim_later(&*store, "kind").await.0;
        assert!(settle(&*store, claimed.ticket, retry(Duration::ZERO, &format!("failure {place}"))).await);
    }
    let last = claim_later(&*store, "kind").await.0.ticket;
    assert!(settle(&*store, last, dead(&"🍕".repeat(1_000_000))).await);
    let dead = record(&*store, last.id).await;
    assert_eq!((dead.state, dead.failures.len()), (WorkState::Dead, FAILURES_MAX));
    assert_eq!(dead.failures[0].error, "failure 4", "the oldest are let go");
    let last = dead.failures.last().expect("it has failures");
    assert_eq!(last.attempt as usize, failures);
    assert!(
        last.error.starts_with('🍕') && last.error.len() < 100_000,
        "{} bytes are kept",
        last.error.len()
    );
    assert_eq!(claim(&*store, &["kind"], 10).await, [], "nobody tries it again");
}

pub(super) async fn parked_work_waits_for_an_operator(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let ticket = claim_one(&*store, "kind").await.ticket;
    assert!(settle(&*store, ticket, Settlement::Park { failure: "its type is unknown".to_owned() }).await);
    let parked = record(&*store, ticket.id).await;
    assert_eq!((parked.state, parked.owner), (WorkState::Parked, None));
    assert_eq!(parked.failures.last().map(|failure| failure.error.as_str()), Some("its type is unknown"));
    assert_eq!(claim(&*store, &["kind"], 10).await, []);
}

pub(super) async fn a_settlement_with_a_lost_ticket_changes_nothing(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind"), job("other")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    assert!(settle(&*store, first, Settlement::Release).await);
    let held = claim_one(&*store, "kind").await.ticket;
    let before = record(&*store, held.id).await;
    let ends = [
        retry(Duration::ZERO, "late"),
        dead("late"),
        Settlement::Park { failure: "late".to_owned() },
        Settlement::Release,
        Settlement::Cancelled,
    ];
    for end in ends {
        assert!(!settle(&*store, first, end.clone()).await, "{end:?} with a lost ticket");
        assert_eq!(record(&*store, held.id).await, before);
    }
    // One that is lost does not keep its neighbours from their end.
    let other = claim_one(&*store, "other").await.ticket;
    let both = [(first, dead("late")), (other, dead("in time")), (held, dead("in time"))];
    assert_eq!(store.settle(&both).await.expect("attempts are settled"), [false, true, true]);
    assert!(!settle(&*store, held, Settlement::Release).await, "an end is the end");
    assert_eq!(state(&*store, held.id).await, WorkState::Dead);
}

pub(super) async fn progress_is_noted_with_a_valid_ticket_only(store: Arc<dyn Store>) {
    enqueue(&*store, [named("kind", "n")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    assert!(store.note_progress(first, "1").await.expect("progress is noted"));
    assert_eq!(record(&*store, first.id).await.progress.as_deref(), Some("1"));
    assert!(settle(&*store, first, Settlement::Release).await);
    assert!(!store.note_progress(first, "2").await.expect("progress is refused"));
    let second = claim_one(&*store, "kind").await.ticket;
    assert!(!store.note_progress(first, "3").await.expect("progress is refused"));
    assert!(store.note_progress(second, "4").await.expect("progress is noted"));
    assert_eq!(record(&*store, first.id).await.progress.as_deref(), Some("4"));
}

pub(super) async fn work_that_was_called_off_is_not_tried_again(store: Arc<dyn Store>) {
    enqueue(&*store, [job("released"), job("failed"), job("succeeded")]).await;
    let mut tickets = Vec::new();
    for kind in ["released", "failed", "succeeded"] {
        let ticket = claim_one(&*store, kind).await.ticket;
        assert!(store.revise(ticket.id, &Revision::Cancel).await.expect("work is called off"));
        tickets.push(ticket);
    }
    assert!(settle(&*store, tickets[0], Settlement::Release).await);
    assert!(settle(&*store, tickets[1], retry(Duration::ZERO, "it was told to end")).await);
    finish(&*store, tickets[2]).await;
    let mut ends = Vec::new();
    for ticket in &tickets {
        ends.push(state(&*store, ticket.id).await);
    }
    assert_eq!(ends, [WorkState::Cancelled, WorkState::Cancelled, WorkState::Done]);
    assert_eq!(record(&*store, tickets[1].id).await.failures.len(), 1, "why it failed is kept");
}
