//! Ends of work that are committed together: each is kept or refused by itself all the same.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, NativeStep, Store, Write};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia::work::{Claimed, Finish, LOST, Settlement, WorkFilter, WorkState, WorkStore};
use neuroglia_backing::postgres::{self, PostgresOptions, PostgresStore, sqlx};
use neuroglia_testing::services::Database;
use neuroglia_testing::workbench::{asking, enqueue, job};
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{batch, history, order};

const MANY: usize = 40;

/// Shorter than the engine's own limits, and longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store with much work, all of it claimed.
async fn busy() -> (Arc<PostgresStore>, Database, Vec<Claimed>) {
    busy_with(PostgresOptions::default()).await
}

async fn busy_with(options: PostgresOptions) -> (Arc<PostgresStore>, Database, Vec<Claimed>) {
    let database = Database::create();
    let url = database.url().parse().expect("a URL");
    let store = PostgresStore::open(&url, options).await.expect("the database is there");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    enqueue(&*store, (0..MANY).map(|_| job("kind"))).await;
    let claim = asking(&*store, &["kind"], u32::MAX).await;
    let claimed = store.claim(&claim).await.expect("work is claimed");
    assert_eq!(claimed.len(), MANY);
    (store, database, claimed)
}

fn ending(claimed: &Claimed, writes: impl IntoIterator<Item = Write>) -> Batch {
    let keep = Duration::from_secs(600);
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
    all_but_one_end(&store, &mut tasks).await;
    holder.rollback().await.expect("it is free");
    tasks.join_next().await.expect("the last one").expect("no panic").expect("it is committed as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_piece_of_work_that_another_one_ends() {
    let (store, database, claimed) = busy().await;
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let mut holder = connection.begin().await.expect("a transaction");
    // As whoever comes into its lane holds it.
    let hold = "SELECT 1 FROM ng_work WHERE id = $1 FOR SHARE";
    sqlx::query(hold).bind(claimed[20].ticket.id).execute(&mut *holder).await.expect("it is locked");
    let mut tasks = JoinSet::new();
    for claimed in &claimed {
        let (store, ending) = (Arc::clone(&store), ending(claimed, []));
        tasks.spawn(async move { store.commit(ending).await });
    }
    all_but_one_end(&store, &mut tasks).await;
    holder.rollback().await.expect("it is free");
    tasks.join_next().await.expect("the last one").expect("no panic").expect("it is committed as well");
}

async fn all_but_one_end(store: &PostgresStore, tasks: &mut JoinSet<Result<()>>) {
    for _ in 1..MANY {
        let kept = timeout(PATIENCE, tasks.join_next()).await.expect("nobody waits that long");
        let kept = kept.expect("all but one end").expect("no panic");
        kept.expect("a batch that breaks no rule is committed");
    }
    assert_eq!(done(store).await, MANY - 1);
}

#[tokio::test]
async fn attempts_are_settled_all_or_none() {
    let options = PostgresOptions { lock_timeout: Duration::from_millis(20), ..PostgresOptions::default() };
    let (store, database, claimed) = busy_with(options).await;
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let mut holder = connection.begin().await.expect("a transaction");
    let hold = "SELECT 1 FROM ng_work WHERE id = $1 FOR SHARE";
    sqlx::query(hold).bind(claimed[1].ticket.id).execute(&mut *holder).await.expect("it is locked");
    let settlements: Vec<_> =
        claimed.iter().take(3).map(|claimed| (claimed.ticket, Settlement::Release)).collect();
    let refused = store.settle(&settlements).await.expect_err("one of them is locked");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let filter = WorkFilter { states: vec![WorkState::Running], limit: 1_000, ..WorkFilter::default() };
    assert_eq!(store.list_work(&filter).await.expect("work is listed").len(), MANY);
    holder.rollback().await.expect("it is free");
    assert_eq!(store.settle(&settlements).await.expect("attempts are settled"), [true; 3]);
    assert_eq!(store.settle(&settlements).await.expect("their tickets are void"), [false; 3]);
}

#[tokio::test]
async fn a_connection_that_does_not_become_free_is_waited_for_once() {
    let options = PostgresOptions { connections_max: 1, ..PostgresOptions::default() };
    let acquire_timeout = options.acquire_timeout;
    let (store, _database, claimed) = busy_with(options).await;
    let (holds, is_held) = oneshot::channel::<()>();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let parts = Mutex::new(Some((holds, may_go_on)));
    let step = postgres::statement(move |_| {
        Box::pin(async move {
            let parts = parts.into_inner().ok().flatten();
            let (holds, may_go_on) = parts.ok_or_else(|| Error::internal("a step runs once"))?;
            holds.send(()).map_err(|()| Error::internal("nobody listens"))?;
            may_go_on.await.map_err(Error::internal)
        })
    });
    let native = vec![NativeStep { engine: postgres::ENGINE, step: Box::new(step) }];
    let holder = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(Batch { native, ..batch([]) }).await })
    };
    is_held.await.expect("the step runs");
    // From here on nobody speaks to the server, so that the time may pass at once.
    tokio::time::pause();
    let began = Instant::now();
    for outcome in commit(&store, claimed.iter().map(|claimed| ending(claimed, [])).collect()).await {
        assert_eq!(outcome.expect_err("there is no connection").kind(), ErrorKind::Unavailable);
    }
    assert!(began.elapsed() < 2 * acquire_timeout, "each group waits once, and nobody after it again");
    tokio::time::resume();
    go_on.send(()).expect("the step waits");
    holder.await.expect("no panic").expect("a batch without writes is committed");
}
