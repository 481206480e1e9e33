//! Units of work that wait for SQLite's writer at the same time: one commit for all, and each for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use neuroglia::cluster::ClusterStore;
use neuroglia::data::{Batch, Change, Store, Write};
use neuroglia::error::{ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia_backing::sqlite::{self, SqliteOptions, SqliteStep, SqliteStore, sqlx};
use tempfile::TempDir;

use crate::support::{batch, held, is_there, order, orders_with, sale, with};

/// Longer than any of these groups takes, however busy the machine is.
const AMPLE: Duration = Duration::from_secs(60);

async fn orders(group_time_max: Duration) -> (Arc<SqliteStore>, TempDir) {
    orders_with(SqliteOptions { group_time_max, ..SqliteOptions::default() }).await
}

/// Statements of an application, one after another.
fn sql(statements: &'static [&'static str]) -> SqliteStep {
    sqlite::statement(move |connection| {
        Box::pin(async move {
            for statement in statements {
                sqlx::query(*statement).execute(&mut *connection).await.map_err(sqlite::error)?;
            }
            Ok(())
        })
    })
}

/// Commits all of them at once: they come while another commit, without writes, is under way.
async fn together(store: &SqliteStore, batches: impl IntoIterator<Item = Batch>) -> Vec<Result<()>> {
    let (step, is_running, go_on) = held();
    let others = async {
        is_running.await.expect("the step runs");
        // Each is asked once, and so in the queue, before the first goes on.
        let commits = join_all(batches.into_iter().map(|batch| store.commit(batch)));
        tokio::join!(biased; commits, async { go_on.send(()).expect("the step waits") }).0
    };
    let (first, outcomes) = tokio::join!(store.commit(with(step, batch([]))), others);
    first.expect("a batch without writes is committed");
    outcomes
}

/// Counts the commits of the connection that writes, from the one of this call on.
async fn count_commits(store: &SqliteStore) -> Arc<AtomicU64> {
    let commits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commits);
    let step = sqlite::statement(move |connection| {
        Box::pin(async move {
            let mut handle = connection.lock_handle().await.map_err(sqlite::error)?;
            handle.set_commit_hook(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                true
            });
            Ok(())
        })
    });
    store.commit(with(step, batch([order("counted", "new")]))).await.expect("it is committed");
    assert_eq!(commits.swap(0, Ordering::SeqCst), 1, "each commit is counted");
    commits
}

fn kinds(outcomes: Vec<Result<()>>) -> Vec<Option<ErrorKind>> {
    outcomes.into_iter().map(|outcome| outcome.err().map(|error| error.kind())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_that_wait_at_the_same_time_share_one_commit() {
    let (store, _folder) = orders(AMPLE).await;
    let commits = count_commits(&store).await;
    let outcomes = together(&store, (0..16).map(|n| batch([order(&format!("o-{n}"), "new")]))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(commits.swap(0, Ordering::SeqCst), 2, "the one that they waited for, and one of sixteen");
    for n in 0..16 {
        assert!(is_there(&store, &format!("o-{n}")).await);
    }
    let more = (16..116).map(|n| batch([order(&format!("o-{n}"), "new")]));
    assert!(together(&store, more).await.iter().all(Result::is_ok));
    assert_eq!(commits.load(Ordering::SeqCst), 3, "a group has at most sixty-four");
}

#[tokio::test]
async fn a_group_takes_nobody_in_after_its_time() {
    let (store, _folder) = orders(Duration::ZERO).await;
    let commits = count_commits(&store).await;
    let batches = [batch([order("o-1", "new")]), batch([order("o-2", "new")])];
    assert!(together(&store, batches).await.iter().all(Result::is_ok));
    assert_eq!(commits.load(Ordering::SeqCst), 3, "each is committed by itself");
}

#[tokio::test]
async fn one_that_conflicts_is_taken_back_alone() {
    let (store, _folder) = orders(AMPLE).await;
    let commits = count_commits(&store).await;
    let outcomes = together(
        &store,
        [
            batch([order("o-1", "new")]),
            batch([order("o-2", "new"), order("counted", "again")]),
            batch([order("o-3", "new")]),
            with(sale("margherita"), batch([])),
            with(sale("margherita"), batch([order("o-4", "new")])),
            batch([order("o-5", "new")]),
        ],
    )
    .await;
    let conflict = outcomes[1].as_ref().expect_err("the id is taken").as_version_conflict();
    assert_eq!(conflict.map(|conflict| conflict.id.as_str()), Some("counted"));
    assert_eq!(outcomes[4].as_ref().expect_err("the key is taken").code(), "sales.duplicate");
    let conflict = Some(ErrorKind::Conflict);
    assert_eq!(kinds(outcomes), [None, conflict, None, None, conflict, None]);
    assert_eq!(commits.load(Ordering::SeqCst), 2);
    for (id, kept) in [("o-1", true), ("o-2", false), ("o-3", true), ("o-4", false), ("o-5", true)] {
        assert_eq!(is_there(&store, id).await, kept, "{id}");
    }
}

#[tokio::test]
async fn one_whose_own_statements_fail_or_panic_is_taken_back_alone() {
    let (store, _folder) = orders(AMPLE).await;
    let commits = count_commits(&store).await;
    let failing = sql(&["INSERT INTO sales VALUES ('diavola', 1)", "SAVEPOINT mine", "INSERT INTO nothing"]);
    let panicking = sqlite::statement(|connection| {
        Box::pin(async move {
            use sqlx::Connection;
            let mut inner = connection.begin().await.map_err(sqlite::error)?;
            let sale = sqlx::query("INSERT INTO sales VALUES ('marinara', 1)");
            sale.execute(&mut *inner).await.map_err(sqlite::error)?;
            panic!("a defect in a step")
        })
    });
    let outcomes = together(
        &store,
        [
            batch([order("o-1", "new")]),
            with(failing, batch([order("o-2", "new")])),
            with(sale("diavola"), batch([])),
            with(panicking, batch([order("o-3", "new")])),
            with(sale("marinara"), batch([])),
        ],
    )
    .await;
    let internal = Some(ErrorKind::Internal);
    assert_eq!(kinds(outcomes), [None, internal, None, internal, None]);
    assert_eq!(commits.load(Ordering::SeqCst), 2);
    assert!(
        is_there(&store, "o-1").await && !is_there(&store, "o-2").await && !is_there(&store, "o-3").await
    );
}

#[tokio::test]
async fn who_comes_later_builds_on_what_came_before() {
    let (store, _folder) = orders(AMPLE).await;
    let cooked = Change::Update { expected: 0, body: r#"{"status":"cooked"}"#.to_owned() };
    let outcomes = together(
        &store,
        [
            batch([order("o-1", "new")]),
            batch([Write { collection: "orders", id: "o-1".to_owned(), change: cooked }]),
        ],
    )
    .await;
    assert_eq!(kinds(outcomes), [None, None]);
    let order = store.load("orders", "o-1").await.expect("it is read").expect("it is there");
    assert_eq!(order.version, 1);
}

/// A unit that breaks a reference, which SQLite finds at the commit.
fn broken_reference() -> Batch {
    let step = sql(&[
        "CREATE TABLE slips (of_order TEXT REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO slips VALUES ('no such order')",
    ]);
    with(step, batch([order("broken", "new")]))
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_all_and_nothing_is_kept() {
    let (store, _folder) = orders(AMPLE).await;
    // The second of o-1 is refused because of what is not kept either.
    let outcomes = together(
        &store,
        [
            batch([order("o-1", "new")]),
            batch([order("o-1", "again")]),
            broken_reference(),
            batch([order("o-2", "new")]),
        ],
    )
    .await;
    for outcome in &outcomes {
        let error = outcome.as_ref().expect_err("nothing was committed");
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        assert!(cause.contains("FOREIGN KEY"), "the log says why: {cause}");
    }
    assert_eq!(kinds(outcomes), [Some(ErrorKind::Unavailable); 4]);
    for id in ["o-1", "broken", "o-2"] {
        assert!(!is_there(&store, id).await, "{id}");
    }
    let alone = store.commit(broken_reference()).await.expect_err("it breaks a reference");
    assert_eq!(alone.kind(), ErrorKind::Internal, "by itself it is told what it did");
    store.commit(batch([order("o-1", "new")])).await.expect("the store is as good as before");
}

#[tokio::test]
async fn a_transaction_that_is_lost_on_the_way_fails_who_was_in_it_and_nobody_else() {
    let (store, _folder) = orders(AMPLE).await;
    let commit = store.commit(with(sale("margherita"), batch([])));
    commit.await.expect("it is committed");
    let losing = sql(&["INSERT OR ROLLBACK INTO sales VALUES ('margherita', 1)"]);
    let outcomes = together(
        &store,
        [
            batch([order("o-1", "new")]),
            batch([order("o-1", "again")]),
            with(losing, batch([order("o-2", "new")])),
            batch([order("o-3", "new")]),
        ],
    )
    .await;
    let away = Some(ErrorKind::Unavailable);
    assert_eq!(kinds(outcomes), [away, away, Some(ErrorKind::Conflict), None]);
    for (id, kept) in [("o-1", false), ("o-2", false), ("o-3", true)] {
        assert_eq!(is_there(&store, id).await, kept, "{id}");
    }
}

#[tokio::test]
async fn what_comes_after_a_swallowed_loss_is_not_kept_by_itself() {
    let (store, _folder) = orders(AMPLE).await;
    store.commit(with(sale("margherita"), batch([]))).await.expect("it is committed");
    let swallowing = || {
        sqlite::statement(|connection| {
            Box::pin(async move {
                let losing = sqlx::query("INSERT OR ROLLBACK INTO sales VALUES ('margherita', 1)");
                assert!(losing.execute(connection).await.is_err());
                Ok(())
            })
        })
    };
    let swallowed = || with(sale("marinara"), with(swallowing(), batch([order("o-1", "new")])));
    store.commit(swallowed()).await.expect_err("by itself it ended its transaction");
    let outcomes = together(&store, [batch([order("o-2", "new")]), swallowed()]).await;
    assert_eq!(kinds(outcomes), [Some(ErrorKind::Unavailable), Some(ErrorKind::Internal)]);
    store.commit(with(sale("marinara"), batch([]))).await.expect("the later step noted nothing");
}

#[tokio::test]
async fn a_time_begins_when_the_turn_comes() {
    let (store, _folder) = orders(AMPLE).await;
    let (step, is_running, go_on) = held();
    let ttl = Duration::from_secs(60);
    let holder = Ids::random().next_uuid();
    let (first, taken, before) =
        tokio::join!(store.commit(with(step, batch([]))), store.lease("scheduler", holder, ttl), async {
            is_running.await.expect("the step runs");
            let before = ClusterStore::now(&*store).await.expect("there is a clock");
            go_on.send(()).expect("the step waits");
            before
        },);
    first.expect("a batch without writes is committed");
    let lease = taken.expect("the store answers").expect("nobody has it");
    assert!(lease.expires_at >= before + ttl, "what waited for its turn lost nothing of its time");
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit_and_who_goes_away_undoes_nobody() {
    let (store, _folder) = orders(AMPLE).await;
    let (first, first_runs, first_may_go_on) = held();
    let (last, last_runs, last_may_go_on) = held();
    let mut under_way = Box::pin(store.commit(with(first, batch([]))));
    let mut told = Box::pin(store.commit(batch([order("told", "new")])));
    let mut leaving = Box::pin(store.commit(batch([order("left early", "new")])));
    let mut gone = Box::pin(store.commit(batch([order("gone", "new")])));
    let mut end = Box::pin(store.commit(with(last, batch([order("end", "new")]))));
    assert!(under_way.as_mut().now_or_never().is_none(), "it is held");
    first_runs.await.expect("the step runs");
    for commit in [&mut told, &mut leaving, &mut gone] {
        assert!(commit.as_mut().now_or_never().is_none(), "it waits");
    }
    assert!(end.as_mut().now_or_never().is_none(), "it waits");
    drop(leaving);
    first_may_go_on.send(()).expect("the step waits");
    last_runs.await.expect("the step runs");
    // What comes before the last one has run, and its commit is still to come.
    drop(gone);
    under_way.await.expect("it was committed by itself");
    assert!(told.as_mut().now_or_never().is_none(), "nothing is answered that is not on the disk");
    assert!(!is_there(&store, "told").await);
    last_may_go_on.send(()).expect("the step waits");
    told.await.expect("it is committed");
    end.await.expect("it is committed");
    for (id, kept) in [("told", true), ("left early", false), ("gone", true), ("end", true)] {
        assert_eq!(is_there(&store, id).await, kept, "{id}");
    }
}

#[tokio::test]
async fn what_waits_when_the_store_is_closed_is_still_done() {
    let (store, folder) = orders(AMPLE).await;
    let (step, is_running, go_on) = held();
    let (first, second, (), third) = tokio::join!(
        store.commit(with(step, batch([order("o-1", "new")]))),
        store.commit(batch([order("o-2", "new")])),
        store.close(),
        async {
            is_running.await.expect("the step runs");
            let late = store.commit(batch([order("o-3", "new")])).await;
            go_on.send(()).expect("the step waits");
            late
        },
    );
    assert_eq!(kinds(vec![first, second, third]), [None, None, Some(ErrorKind::Unavailable)]);
    let again = crate::support::open(&folder.path().join("store.db")).await;
    assert!(is_there(&again, "o-1").await && is_there(&again, "o-2").await);
}
