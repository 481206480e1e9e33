//! What operators see of durable work, and what they do to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::{Batch, Store};
use neuroglia::work::{
    DEPTH_MAX, Due, Finish, NewWork, Revision, Settlement, Ticket, WorkClass, WorkFilter, WorkRecord,
    WorkState,
};
use uuid::Uuid;

use super::workbench::{
    LONG, QUEUE, SHORT, claim, claim_as, claim_later, claim_one, dead, enqueue, finish, finishing, is_past,
    job, named, new_id, node, now, record, records, retry, settle, state,
};

async fn revise(store: &dyn Store, id: Uuid, revision: &Revision) -> bool {
    store.revise(id, revision).await.expect("work is revised")
}

/// A piece of work in each state, by the state.
async fn one_in_each_state(store: &dyn Store) -> BTreeMap<&'static str, Uuid> {
    let kinds = ["done", "dead", "cancelled", "parked", "running", "waiting", "scheduled"];
    enqueue(store, kinds.map(|kind| named(kind, kind))).await;
    for (kind, end) in [
        ("dead", dead("no use")),
        ("cancelled", Settlement::Cancelled),
        ("parked", Settlement::Park { failure: "nobody knows it".to_owned() }),
        ("scheduled", retry(LONG, "not yet")),
    ] {
        assert!(settle(store, claim_one(store, kind).await.ticket, end).await);
    }
    finish(store, claim_one(store, "done").await.ticket).await;
    claim_one(store, "running").await;
    let all = records(store).await;
    assert!(all.iter().all(|record| record.kind == record.state.name()), "{all:?}");
    all.into_iter().map(|record| (record.state.name(), record.id)).collect()
}

pub(super) async fn a_list_filters_and_pages(store: Arc<dyn Store>) {
    one_in_each_state(&*store).await;
    let slow = NewWork { queue: "slow".to_owned(), ..job("waiting") };
    let delivery = NewWork { class: WorkClass::Delivery, ..job("waiting") };
    enqueue(&*store, [slow.clone(), delivery.clone()]).await;
    let list = async |filter: WorkFilter| {
        let listed = store.list_work(&filter).await.expect("work is listed");
        listed.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let all = || WorkFilter { limit: 100, ..WorkFilter::default() };
    let everything = records(&*store).await;
    assert_eq!(everything.len(), 9);
    assert!(everything.windows(2).all(|pair| pair[0].seq < pair[1].seq), "in the order of their places");
    let matching = |keeps: &dyn Fn(&WorkRecord) -> bool| {
        everything.iter().filter(|record| keeps(record)).map(|record| record.id).collect::<Vec<_>>()
    };
    assert_eq!(list(WorkFilter { id: Some(slow.id), ..all() }).await, [slow.id]);
    assert_eq!(list(WorkFilter { id: Some(new_id()), ..all() }).await, Vec::<Uuid>::new());
    assert_eq!(list(WorkFilter { class: Some(WorkClass::Delivery), ..all() }).await, [delivery.id]);
    assert_eq!(list(WorkFilter { queue: Some("slow".to_owned()), ..all() }).await, [slow.id]);
    let waiting = matching(&|record| record.kind == "waiting");
    assert_eq!(waiting.len(), 3);
    assert_eq!(list(WorkFilter { kind: Some("waiting".to_owned()), ..all() }).await, waiting);
    for one in WorkState::ALL {
        let found = list(WorkFilter { states: vec![one], ..all() }).await;
        assert_eq!(found, matching(&|record| record.state == one), "{one:?}");
    }
    let ended = vec![WorkState::Dead, WorkState::Parked];
    let found = list(WorkFilter { states: ended.clone(), queue: Some(QUEUE.to_owned()), ..all() }).await;
    assert_eq!(found, matching(&|record| ended.contains(&record.state)));
    let mut paged = Vec::new();
    let mut after = 0;
    loop {
        let page = WorkFilter { after, limit: 4, ..WorkFilter::default() };
        let page = store.list_work(&page).await.expect("work is listed");
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = last.seq;
        paged.extend(page);
    }
    assert_eq!(paged, everything, "pages show each piece once");
}

pub(super) async fn a_replay_begins_at_the_first_attempt(store: Arc<dyn Store>) {
    let all = one_in_each_state(&*store).await;
    for (name, id) in &all {
        let can = ["dead", "parked", "cancelled"].contains(name);
        assert_eq!(revise(&*store, *id, &Revision::Replay).await, can, "a replay of work that is {name}");
    }
    let again = claim_one(&*store, "dead").await;
    assert_eq!((again.ticket.id, again.attempt), (all["dead"], 1));
    assert_eq!(record(&*store, all["dead"]).await.failures.len(), 1, "what happened before is still told");
    assert_eq!(claim_one(&*store, "parked").await.attempt, 1);
    assert_eq!(claim_one(&*store, "cancelled").await.attempt, 1);
    assert!(!revise(&*store, new_id(), &Revision::Replay).await, "a replay of what is not there");
}

pub(super) async fn an_edit_changes_the_payload(store: Arc<dyn Store>) {
    let edit = Revision::Edit { payload: "\"edited\"".to_owned() };
    for (name, id) in one_in_each_state(&*store).await {
        let can = ["dead", "parked"].contains(&name);
        assert_eq!(revise(&*store, id, &edit).await, can, "an edit of work that is {name}");
        let payload = if can { "\"edited\"".to_owned() } else { format!("\"{name}\"") };
        assert_eq!(record(&*store, id).await.payload, payload);
        assert_eq!(state(&*store, id).await.name(), name, "an edit is no replay");
    }
}

pub(super) async fn deleted_work_is_forgotten(store: Arc<dyn Store>) {
    let all = one_in_each_state(&*store).await;
    for (name, id) in &all {
        let can = ["dead", "parked", "cancelled"].contains(name);
        assert_eq!(revise(&*store, *id, &Revision::Delete).await, can, "a deletion of work that is {name}");
    }
    assert_eq!(records(&*store).await.len(), 4);
    assert!(!revise(&*store, all["dead"], &Revision::Replay).await);
}

pub(super) async fn waiting_work_is_called_off_at_once(store: Arc<dyn Store>) {
    let all = one_in_each_state(&*store).await;
    for (name, id) in &all {
        let can = ["waiting", "scheduled", "running"].contains(name);
        assert_eq!(revise(&*store, *id, &Revision::Cancel).await, can, "calling off work that is {name}");
    }
    assert_eq!(state(&*store, all["waiting"]).await, WorkState::Cancelled);
    assert_eq!(state(&*store, all["scheduled"]).await, WorkState::Cancelled);
    assert_eq!(state(&*store, all["running"]).await, WorkState::Running, "its node ends it");
    assert_eq!(claim(&*store, &["waiting", "scheduled"], 10).await, []);
}

pub(super) async fn running_work_that_is_called_off_is_told_to_its_node(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind"), job("other")]).await;
    let [node, other] = [node("worker"), node("worker")];
    for node in [&node, &other] {
        store.beat(node).await.expect("a node says that it lives");
    }
    let ticket = claim_as(&*store, node.id, "kind").await.ticket;
    claim_as(&*store, other.id, "other").await;
    let cancelled = async |node| store.beat(node).await.expect("a node says that it lives").cancelled;
    assert_eq!(cancelled(&node).await, Vec::<Uuid>::new());
    assert!(revise(&*store, ticket.id, &Revision::Cancel).await);
    assert_eq!(cancelled(&node).await, [ticket.id]);
    assert_eq!(cancelled(&other).await, Vec::<Uuid>::new(), "it is not in this one's hands");
    assert!(settle(&*store, ticket, Settlement::Cancelled).await);
    assert_eq!(cancelled(&node).await, Vec::<Uuid>::new());
    assert_eq!(state(&*store, ticket.id).await, WorkState::Cancelled);
}

pub(super) async fn a_purge_deletes_what_is_over_and_nothing_else(store: Arc<dyn Store>) {
    let kept = one_in_each_state(&*store).await;
    enqueue(&*store, ["1", "2", "3"].map(|name| named("over", name))).await;
    for claimed in claim(&*store, &["over"], 10).await {
        let finish = Finish { ticket: claimed.ticket, result: None, keep: Duration::ZERO };
        let over = Batch { finish: Some(finish), ..finishing(claimed.ticket) };
        store.commit(over).await.expect("the holder of the ticket finishes");
    }
    let purge = async |limit| store.purge_work(limit).await.expect("work is purged");
    assert_eq!((purge(2).await, purge(2).await, purge(2).await), (2, 1, 0));
    let left: BTreeMap<_, _> =
        records(&*store).await.into_iter().map(|record| (record.state.name(), record.id)).collect();
    assert_eq!(left, kept);
}

pub(super) async fn depths_count_by_queue_kind_and_state(store: Arc<dyn Store>) {
    assert_eq!(store.depths().await.expect("work is counted"), []);
    let slow = NewWork { queue: "slow".to_owned(), ..job("a") };
    let later = NewWork { due: Due::After(LONG), ..job("b") };
    let before = now(&*store).await;
    enqueue(&*store, [job("a"), job("a"), job("b"), later, slow]).await;
    is_past(&*store, before + Duration::from_millis(2)).await;
    claim_one(&*store, "b").await;
    let mut depths = store.depths().await.expect("work is counted");
    depths.sort_by_key(|depth| (depth.queue.clone(), depth.kind.clone(), depth.state.name()));
    let counted: Vec<_> = depths
        .iter()
        .map(|depth| format!("{} {} {} {}", depth.queue, depth.kind, depth.state.name(), depth.count))
        .collect();
    assert_eq!(
        counted,
        ["default a waiting 2", "default b running 1", "default b scheduled 1", "slow a waiting 1"]
    );
    let age = now(&*store).await.since(before);
    for depth in &depths {
        let is_due = depth.state != WorkState::Scheduled;
        assert!(depth.oldest <= age && is_due == (depth.oldest > Duration::ZERO), "{depth:?}");
    }
}

pub(super) async fn depths_tell_since_when_work_is_due(store: Arc<dyn Store>) {
    let depth = async |kind: &str| {
        let mut depths = store.depths().await.expect("work is counted");
        depths.retain(|depth| depth.kind == kind);
        assert_eq!(depths.len(), 1, "{kind} is in one state: {depths:?}");
        depths.remove(0)
    };
    let began = now(&*store).await;
    enqueue(&*store, [NewWork { due: Due::After(SHORT), ..job("delayed") }, job("replayed")]).await;
    let soon = depth("delayed").await;
    assert!(soon.state == WorkState::Waiting || soon.oldest == Duration::ZERO, "{soon:?}");
    is_past(&*store, began + SHORT * 2).await;
    // Nobody has claimed anything, so nobody has made it wait.
    let waiting = depth("delayed").await;
    assert_eq!((waiting.state, waiting.count), (WorkState::Waiting, 1));
    let age = now(&*store).await.since(began);
    assert!(waiting.oldest > Duration::ZERO && waiting.oldest <= age - SHORT, "{waiting:?} after {age:?}");

    let dead_one = claim_one(&*store, "replayed").await.ticket;
    assert!(settle(&*store, dead_one, dead("no use")).await);
    let replayed_at = now(&*store).await;
    assert!(revise(&*store, dead_one.id, &Revision::Replay).await);
    let replayed = depth("replayed").await;
    let since = now(&*store).await.since(replayed_at);
    assert!(replayed.oldest <= since, "it waits since it was replayed: {replayed:?} after {since:?}");
    let late = NewWork { due: Due::At(began - LONG), ..job("late") };
    enqueue(&*store, [late]).await;
    assert!(depth("late").await.oldest >= LONG, "its time was long ago");
}

pub(super) async fn depths_count_what_is_left_to_do_or_to_look_at(store: Arc<dyn Store>) {
    enqueue(&*store, (0..4).map(|_| job("ends"))).await;
    let ends = claim(&*store, &["ends"], 10).await;
    let [done, cancelled, dead_one, parked] = ends.try_into().expect("four were asked for");
    finish(&*store, done.ticket).await;
    assert!(settle(&*store, cancelled.ticket, Settlement::Cancelled).await);
    assert!(settle(&*store, dead_one.ticket, dead("no use")).await);
    let parking = Settlement::Park { failure: "nobody knows it".to_owned() };
    assert!(settle(&*store, parked.ticket, parking).await);
    // One lane is held up by a failure, one goes on; a job of no lane holds up nobody.
    for lane in ["held", "moving"] {
        enqueue(&*store, (0..3).map(|_| NewWork { lane: Some(lane.to_owned()), ..job("lanes") })).await;
    }
    enqueue(&*store, [job("lanes")]).await;
    let heads = claim(&*store, &["lanes"], 10).await;
    assert_eq!(heads.len(), 3);
    assert!(settle(&*store, heads[0].ticket, retry(LONG, "not yet")).await);
    assert!(settle(&*store, heads[2].ticket, retry(LONG, "not yet")).await);
    let depths = store.depths().await.expect("work is counted");
    let counted: BTreeMap<_, _> = depths
        .iter()
        .map(|depth| ((&*depth.kind, depth.state.name()), (depth.count, depth.lanes_held)))
        .collect();
    let expected = [
        (("ends", "dead"), (1, 0)),
        (("ends", "parked"), (1, 0)),
        (("lanes", "running"), (1, 0)),
        (("lanes", "scheduled"), (2, 1)),
        (("lanes", "waiting"), (4, 0)),
    ];
    assert_eq!(counted, BTreeMap::from(expected));
}

pub(super) async fn depths_count_up_to_a_limit_of_each_kind(store: Arc<dyn Store>) {
    // More than is counted, in batches of a size that every engine takes.
    for _ in 0..11 {
        enqueue(&*store, (0..DEPTH_MAX / 10).map(|_| job("many"))).await;
    }
    enqueue(&*store, [job("few")]).await;
    let depths = store.depths().await.expect("work is counted");
    let counted: BTreeMap<_, _> = depths.iter().map(|depth| (&*depth.kind, depth.count)).collect();
    let expected = BTreeMap::from([("few", 1), ("many", u64::from(DEPTH_MAX))]);
    assert_eq!(counted, expected, "to know that there are more is worth no scan, and many hide no others");
}

pub(super) async fn replayed_work_is_purged_no_earlier_than_other_work(store: Arc<dyn Store>) {
    enqueue(&*store, [job("kind")]).await;
    let first = claim_one(&*store, "kind").await.ticket;
    assert!(settle(&*store, first, dead("no use")).await);
    assert!(revise(&*store, first.id, &Revision::Replay).await);
    let again: Ticket = claim_later(&*store, "kind").await.0.ticket;
    assert!(!settle(&*store, first, Settlement::Release).await, "the ticket from before holds no more");
    finish(&*store, again).await;
    assert_eq!(store.purge_work(10).await.expect("work is purged"), 0);
}
