//! Ends of work that are committed together: each is kept or refused by itself all the same.

use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{ClusterStore, Node};
use neuroglia::data::{Batch, Change, Store, Write};
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::work::{
    Claim, Claimed, Due, Finish, LOST, NewWork, OnCrash, QueueRoom, WorkClass, WorkFilter, WorkState,
    WorkStore,
};
use neuroglia_backing::postgres::{PostgresStore, sqlx};
use neuroglia_testing::services::Database;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::support::{batch, history, order, postgres as new_store};

const MANY: usize = 40;

/// A store with much work, all of it claimed.
async fn busy() -> (Arc<PostgresStore>, Database, Vec<Claimed>) {
    let (store, database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let ids = Ids::random();
    let work = || NewWork {
        id: ids.next_uuid(),
        class: WorkClass::Job,
        queue: "default".to_owned(),
        kind: "kind".to_owned(),
        lane: None,
        key: None,
        payload: "{}".to_owned(),
        priority: 0,
        due: Due::Now,
        attempts_max: 10,
        on_crash: OnCrash::Retry,
        correlation_id: None,
        traceparent: None,
    };
    let asking = Batch { work: (0..MANY).map(|_| work()).collect(), ..batch([]) };
    store.commit(asking).await.expect("a batch that breaks no rule is committed");
    let node = Node {
        id: ids.next_uuid(),
        role: "worker".to_owned(),
        host: "oven-1".to_owned(),
        version: "1".to_owned(),
        is_draining: false,
    };
    store.beat(&node).await.expect("a node says that it lives");
    let claim = Claim {
        owner: node.id,
        token: ids.next_uuid(),
        rooms: vec![QueueRoom { queue: "default".to_owned(), limit: u32::MAX }],
        kinds: vec!["kind".to_owned()],
    };
    let claimed = store.claim(&claim).await.expect("work is claimed");
    assert_eq!(claimed.len(), MANY);
    (store, database, claimed)
}

fn ending(claimed: &Claimed, writes: impl IntoIterator<Item = Write>) -> Batch {
    let keep = std::time::Duration::from_secs(600);
    let result = Some(format!("\"{}\"", claimed.ticket.id));
    Batch { finish: Some(Finish { ticket: claimed.ticket, result, keep }), ..batch(writes) }
}

/// Commits all at once; gives the outcomes in the order of the batches.
async fn commit(store: &Arc<PostgresStore>, batches: Vec<Batch>) -> Vec<Result<()>> {
    let mut tasks = JoinSet::new();
    for (place, batch) in batches.into_iter().enumerate() {
        let store = Arc::clone(store);
        tasks.spawn(async move { (place, store.commit(batch).await) });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn done(store: &PostgresStore) -> usize {
    let filter = WorkFilter { states: vec![WorkState::Done], limit: 1_000, ..WorkFilter::default() };
    let done = store.list_work(&filter).await.expect("work is listed");
    for record in &done {
        assert_eq!(record.result, Some(format!("\"{}\"", record.id)), "each has its own result");
    }
    done.len()
}

fn update(id: &str, expected: u64) -> Write {
    let change = Change::Update { expected, body: r#"{"status":"moved"}"#.to_owned() };
    Write { collection: "orders", id: id.to_owned(), change }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_ends_take_few_transactions_and_all_are_kept() {
    let (store, database, claimed) = busy().await;
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let batches = claimed.iter().enumerate();
    let batches = batches.map(|(place, claimed)| ending(claimed, [order(&format!("o-{place}"), "new")]));
    for outcome in commit(&store, batches.collect()).await {
        outcome.expect("a batch that breaks no rule is committed");
    }
    assert_eq!(done(&store).await, MANY);
    for place in 0..MANY {
        assert!(store.load("orders", &format!("o-{place}")).await.expect("it is read").is_some());
    }
    let same = "SELECT count(DISTINCT xmin::text) FROM orders";
    let transactions: i64 =
        sqlx::query_scalar(same).fetch_one(&mut connection).await.expect("the server counts");
    assert!(transactions < 20, "{transactions} transactions for {MANY} ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_refused_does_not_take_the_others_along() {
    let (store, _database, mut claimed) = busy().await;
    store.commit(batch([order("o-1", "new")])).await.expect("an order");
    // A ticket that is lost, a version that is old, a document that is there, and one that two write.
    claimed[7].ticket.token = Ids::random().next_uuid();
    let batches = claimed.iter().enumerate().map(|(place, claimed)| match place {
        9 => ending(claimed, [update("o-1", 5)]),
        11 => ending(claimed, [order("o-1", "new")]),
        13 | 14 => ending(claimed, [order("twins", "new")]),
        place => ending(claimed, [order(&format!("n-{place}"), "new")]),
    });
    let outcomes = commit(&store, batches.collect()).await;
    let refused =
        outcomes.iter().enumerate().filter_map(|(place, outcome)| outcome.as_ref().err().map(|e| (place, e)));
    let refused = refused.collect::<Vec<_>>();
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert_eq!((refused[0].0, refused[0].1.code()), (7, LOST));
    assert_eq!((refused[1].0, refused[2].0), (9, 11));
    let conflict = refused[1].1.as_version_conflict().expect("it carries its versions");
    assert_eq!((conflict.expected, conflict.actual), (Some(5), Some(0)));
    assert!(matches!(refused[3].0, 13 | 14));
    assert_eq!(done(&store).await, MANY - 4);
    assert!(store.load("orders", "n-7").await.expect("it is read").is_none(), "nothing of a refused batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_what_another_one_waits_for() {
    let (store, database, claimed) = busy().await;
    store.commit(batch([order("held", "new")])).await.expect("an order");
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let mut holder = connection.begin().await.expect("a transaction");
    let hold = "SELECT 1 FROM orders WHERE id = 'held' FOR UPDATE";
    sqlx::query(hold).execute(&mut *holder).await.expect("it is locked");
    let mut tasks = JoinSet::new();
    for (place, claimed) in claimed.iter().enumerate() {
        let store = Arc::clone(&store);
        let ending = match place {
            3 => ending(claimed, [update("held", 0)]),
            place => ending(claimed, [order(&format!("n-{place}"), "new")]),
        };
        tasks.spawn(async move { store.commit(ending).await });
    }
    for _ in 1..MANY {
        let kept = tasks.join_next().await.expect("all but one end").expect("no panic");
        kept.expect("a batch that breaks no rule is committed");
    }
    assert_eq!(done(&store).await, MANY - 1);
    holder.rollback().await.expect("it is free");
    tasks.join_next().await.expect("the last one").expect("no panic").expect("it is committed as well");
}
