//! Who gets which work, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuroglia::data::Store;
use neuroglia::work::{Claim, NewWork, OnCrash, QueueRoom, Revision, Settlement, WorkClass, WorkState};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::workbench::{
    CROWDED, LONG, SHORT, asking, asking_as, claim, claim_later, claim_one, dead, enqueue, finish, job,
    named, names, node, now, record, retry, settle,
};

fn in_lane(kind: &str, lane: &str, name: &str) -> NewWork {
    NewWork { lane: Some(lane.to_owned()), ..named(kind, name) }
}

pub(super) async fn a_claim_counts_the_attempt_and_gives_what_was_stored(store: Arc<dyn Store>) {
    let full = NewWork {
        key: Some("k-1".to_owned()),
        payload: r#"{"text":"Ünïcødé 🍕 'quotes'"}"#.to_owned(),
        attempts_max: 3,
        on_crash: OnCrash::Fail,
        correlation_id: Some("request-1".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..job("full")
    };
    let before = now(&*store).await;
    enqueue(&*store, [full.clone()]).await;
    assert_eq!(record(&*store, full.id).await.attempt, 0, "it was not tried yet");
    let asked = asking(&*store, &["full"], 1).await;
    let claimed = store.claim(&asked).await.expect("work is claimed");
    let claimed = &claimed[0];
    assert_eq!((claimed.ticket.id, claimed.ticket.token), (full.id, asked.token));
    assert_eq!((claimed.class, claimed.attempt, claimed.attempts_max), (WorkClass::Job, 1, 3));
    assert_eq!((&claimed.queue, &claimed.kind, &claimed.key), (&full.queue, &full.kind, &full.key));
    assert_eq!((&claimed.payload, claimed.on_crash), (&full.payload, full.on_crash));
    assert_eq!((&claimed.correlation_id, &claimed.traceparent), (&full.correlation_id, &full.traceparent));
    assert!(claimed.created_at >= before && claimed.created_at <= now(&*store).await);
    let listed = record(&*store, full.id).await;
    assert_eq!((listed.state, listed.attempt, listed.owner), (WorkState::Running, 1, Some(asked.owner)));
    assert!(settle(&*store, claimed.ticket, retry(std::time::Duration::ZERO, "once more")).await);
    assert_eq!(claim_later(&*store, "full").await.0.attempt, 2);
}

pub(super) async fn a_higher_priority_comes_before_an_older_age(store: Arc<dyn Store>) {
    let work = [("first", 0), ("second", 0), ("urgent", 5), ("idle", -5), ("most", i16::MAX)];
    for (name, priority) in work {
        enqueue(&*store, [NewWork { priority, ..named("kind", name) }]).await;
    }
    assert_eq!(names(&claim(&*store, &["kind"], 3).await), "most urgent first");
    assert_eq!(names(&claim(&*store, &["kind"], 3).await), "second idle");
}

pub(super) async fn the_kinds_of_a_queue_share_one_order(store: Arc<dyn Store>) {
    let work = [("a", "1", 0), ("b", "2", 0), ("c", "3", 0), ("a", "4", 0), ("b", "5", 5), ("c", "6", 5)];
    for (kind, name, priority) in work {
        enqueue(&*store, [NewWork { priority, ..named(kind, name) }]).await;
    }
    assert_eq!(names(&claim(&*store, &["c", "b", "a"], 4).await), "5 6 1 2");
    assert_eq!(names(&claim(&*store, &["c", "b", "a"], 4).await), "3 4");
}

pub(super) async fn a_claim_takes_from_its_queues_and_kinds_only(store: Arc<dyn Store>) {
    let elsewhere = NewWork { queue: "elsewhere".to_owned(), ..named("known", "elsewhere") };
    enqueue(&*store, [named("unknown", "unknown"), elsewhere, named("known", "here")]).await;
    assert_eq!(names(&claim(&*store, &["known", "unheard of"], 10).await), "here");
    assert_eq!(claim(&*store, &[], 10).await, [], "who knows no kind gets nothing");
    let nowhere = Claim { rooms: Vec::new(), ..asking(&*store, &["known", "unknown"], 10).await };
    assert_eq!(store.claim(&nowhere).await.expect("work is claimed"), [], "who names no queue gets nothing");
    assert_eq!(names(&claim(&*store, &["unknown"], 10).await), "unknown");
}

pub(super) async fn a_claim_takes_no_more_than_its_room(store: Arc<dyn Store>) {
    for queue in ["large", "small"] {
        let work = ["1", "2", "3"]
            .map(|place| NewWork { queue: queue.to_owned(), ..named("kind", &format!("{queue}-{place}")) });
        enqueue(&*store, work).await;
    }
    let room = |queue: &str, limit| QueueRoom { queue: queue.to_owned(), limit };
    let asked =
        Claim { rooms: vec![room("large", 2), room("small", 1)], ..asking(&*store, &["kind"], 0).await };
    let mut found: Vec<_> = store
        .claim(&asked)
        .await
        .expect("work is claimed")
        .iter()
        .map(|c| names(std::slice::from_ref(c)))
        .collect();
    found.sort_unstable();
    assert_eq!(found, ["large-1", "large-2", "small-1"]);
    let full = Claim { rooms: vec![room("large", 0)], ..asking(&*store, &["kind"], 0).await };
    assert_eq!(store.claim(&full).await.expect("work is claimed"), []);
}

pub(super) async fn of_a_lane_only_the_head_is_claimed(store: Arc<dyn Store>) {
    // A priority has no part in the order of a lane.
    let urgent = NewWork { priority: 9, ..in_lane("kind", "lane", "third") };
    enqueue(&*store, [in_lane("kind", "lane", "first"), in_lane("kind", "lane", "second"), urgent]).await;
    for name in ["first", "second", "third"] {
        let head = claim_one(&*store, "kind").await;
        assert_eq!(names(std::slice::from_ref(&head)), name);
        assert_eq!(claim(&*store, &["kind"], 10).await, [], "its successors wait for {name}");
        finish(&*store, head.ticket).await;
    }
}

pub(super) async fn a_failed_head_holds_up_its_lane_until_its_time(store: Arc<dyn Store>) {
    enqueue(&*store, [in_lane("kind", "lane", "first"), in_lane("kind", "lane", "second")]).await;
    let head = claim_one(&*store, "kind").await;
    let failed_at = now(&*store).await;
    assert!(settle(&*store, head.ticket, retry(SHORT, "not yet")).await);
    let (head, at) = claim_later(&*store, "kind").await;
    assert_eq!((names(std::slice::from_ref(&head)).as_str(), head.attempt), ("first", 2));
    assert!(at >= failed_at + SHORT, "its pause was not over");
    assert!(settle(&*store, head.ticket, Settlement::Release).await);
    assert_eq!(names(&claim(&*store, &["kind"], 10).await), "first", "it was given back, and is first again");
}

pub(super) async fn a_head_that_has_failed_for_good_lets_the_next_go(store: Arc<dyn Store>) {
    let work = ["first", "second", "third", "fourth"].map(|name| in_lane("kind", "lane", name));
    enqueue(&*store, work).await;
    let parked = Settlement::Park { failure: "nobody knows it".to_owned() };
    for (name, end) in [("first", dead("no use")), ("second", parked), ("third", Settlement::Cancelled)] {
        let head = claim_one(&*store, "kind").await;
        assert_eq!(names(std::slice::from_ref(&head)), name);
        assert!(settle(&*store, head.ticket, end).await);
    }
    assert_eq!(names(&claim(&*store, &["kind"], 10).await), "fourth");
}

pub(super) async fn a_lane_follows_what_operators_do(store: Arc<dyn Store>) {
    let work = ["first", "second", "third"].map(|name| in_lane("kind", "lane", name));
    let ids = work.each_ref().map(|work| work.id);
    enqueue(&*store, work).await;
    let revise = async |id, revision| assert!(store.revise(id, &revision).await.expect("work is revised"));
    revise(ids[0], Revision::Cancel).await;
    let second = claim_one(&*store, "kind").await;
    assert_eq!(names(std::slice::from_ref(&second)), "second", "what was called off holds up nobody");
    assert!(settle(&*store, second.ticket, dead("no use")).await);
    revise(ids[0], Revision::Replay).await;
    revise(ids[1], Revision::Replay).await;
    for name in ["third", "first", "second"] {
        let head = claim_one(&*store, "kind").await;
        assert_eq!(names(std::slice::from_ref(&head)), name, "what is replayed comes last");
        finish(&*store, head.ticket).await;
    }
}

pub(super) async fn what_is_replayed_never_runs_beside_another_of_its_lane(store: Arc<dyn Store>) {
    let work = ["first", "second", "third"].map(|name| in_lane("kind", "lane", name));
    let first = work[0].id;
    enqueue(&*store, work).await;
    let head = claim_one(&*store, "kind").await;
    assert!(settle(&*store, head.ticket, dead("no use")).await);
    let second = claim_one(&*store, "kind").await;
    assert!(store.revise(first, &Revision::Replay).await.expect("work is revised"));
    assert_eq!(names(&claim(&*store, &["kind"], 10).await), "", "its successor is under way");
    finish(&*store, second.ticket).await;
    enqueue(&*store, [in_lane("kind", "lane", "fourth")]).await;
    for name in ["third", "first", "fourth"] {
        let head = claim_one(&*store, "kind").await;
        assert_eq!(names(std::slice::from_ref(&head)), name);
        finish(&*store, head.ticket).await;
    }
}

pub(super) async fn lanes_and_kinds_do_not_hold_each_other_up(store: Arc<dyn Store>) {
    let stuck = [in_lane("a", "lane", "stuck"), in_lane("a", "lane", "waits")];
    let others =
        [in_lane("a", "other lane", "a-other"), in_lane("b", "lane", "b-same"), named("a", "a-none")];
    enqueue(&*store, stuck.into_iter().chain(others)).await;
    let head = store.claim(&asking(&*store, &["a"], 1).await).await.expect("work is claimed");
    assert!(settle(&*store, head[0].ticket, retry(LONG, "stuck")).await);
    assert_eq!(names(&claim(&*store, &["a", "b"], 10).await), "a-other b-same a-none");
}

pub(super) async fn concurrent_claimers_never_get_the_same_work(store: Arc<dyn Store>) {
    enqueue(&*store, (0..60).map(|_| job("kind"))).await;
    enqueue(&*store, (0..5).map(|place| in_lane("kind", "lane", &place.to_string()))).await;
    let mut claimers = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        claimers.spawn(async move {
            let mut found = Vec::new();
            // As often as it takes when each claim gives one piece.
            for _ in 0..65 {
                let claimed = claim(&*store, &["kind"], 4).await;
                if claimed.is_empty() {
                    break;
                }
                found.extend(claimed.into_iter().map(|claimed| claimed.ticket.id));
            }
            found
        });
    }
    let mut found = claimers.join_all().await.concat();
    assert_eq!(found.len(), 61, "each was given once, and of the lane the head");
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 61, "none was given to two");
}

pub(super) async fn a_lane_that_many_come_to_and_leave_loses_nobody(store: Arc<dyn Store>) {
    const COMERS: usize = 4;
    const EACH: usize = 15;
    let left = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for comer in 0..COMERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for place in 0..EACH {
                let lane = if place % 3 == 0 { "a" } else { "b" };
                enqueue(&*store, [in_lane("kind", lane, &format!("{comer}-{place}"))]).await;
            }
        });
    }
    for _ in 0..COMERS {
        let (store, left) = (Arc::clone(&store), Arc::clone(&left));
        tasks.spawn(async move {
            let worker = node("worker");
            store.beat(&worker).await.expect("a node says that it lives");
            while left.load(Ordering::Acquire) < COMERS * EACH {
                let asked = asking_as(worker.id, &["kind"], 2);
                for head in store.claim(&asked).await.expect("work is claimed") {
                    finish(&*store, head.ticket).await;
                    left.fetch_add(1, Ordering::AcqRel);
                }
                // An engine that never waits would keep the others from running.
                tokio::task::yield_now().await;
            }
        });
    }
    let done = timeout(CROWDED, tasks.join_all()).await;
    assert!(done.is_ok(), "{} of {} were claimed", left.load(Ordering::Acquire), COMERS * EACH);
}
