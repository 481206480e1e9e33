//! An application's own statements in a batch, and what cancelling leaves behind.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::{NativeStep, Store};
use neuroglia::error::{Error, ErrorKind};
use neuroglia_backing::sqlite::{self, SqliteOptions, SqliteStore, sqlx};

use crate::support::{batch, held, is_there, order, orders, sale, sqlite as new_store, url, with};

#[tokio::test]
async fn a_step_is_committed_or_taken_back_with_its_batch() {
    let (store, _folder) = orders().await;
    store.commit(with(sale("margherita"), batch([order("o-1", "new")]))).await.expect("both are committed");
    assert!(is_there(&store, "o-1").await);

    let again = store.commit(with(sale("margherita"), batch([order("o-2", "new")]))).await;
    let error = again.expect_err("the key is taken");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "sales.duplicate"));
    assert!(!is_there(&store, "o-2").await, "its documents are taken back");

    let conflict = store.commit(with(sale("marinara"), batch([order("o-1", "new")]))).await;
    assert!(conflict.expect_err("the id is taken").as_version_conflict().is_some());
    store.commit(with(sale("marinara"), batch([]))).await.expect("the failed batch had noted no sale");
}

#[tokio::test]
async fn a_step_may_have_savepoints_and_fail_as_it_likes() {
    let (store, _folder) = orders().await;
    let careful = sqlite::statement(|connection| {
        Box::pin(async move {
            use sqlx::Connection;
            let mut savepoint = connection.begin().await.map_err(sqlite::error)?;
            let sale = sqlx::query("INSERT INTO sales VALUES ('diavola', 1)");
            sale.execute(&mut *savepoint).await.map_err(sqlite::error)?;
            savepoint.rollback().await.map_err(sqlite::error)
        })
    });
    store
        .commit(with(careful, batch([order("o-1", "new")])))
        .await
        .expect("the savepoint ends within the batch");
    store.commit(with(sale("diavola"), batch([]))).await.expect("the savepoint was rolled back");

    let refusing =
        sqlite::statement(|_| Box::pin(async { Err(Error::conflict("sales.closed", "the shop is closed")) }));
    let error =
        store.commit(with(refusing, batch([order("o-2", "new")]))).await.expect_err("the step refuses");
    assert_eq!(error.code(), "sales.closed");
    assert!(!is_there(&store, "o-2").await);

    let panicking = sqlite::statement(|_| Box::pin(async { panic!("a defect in a step") }));
    let error =
        store.commit(with(panicking, batch([order("o-3", "new")]))).await.expect_err("the step panics");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(!is_there(&store, "o-3").await);
    store.commit(batch([order("o-4", "new")])).await.expect("the store is as good as before");
}

#[tokio::test]
async fn something_else_is_no_step() {
    let (store, _folder) = orders().await;
    let mut odd = batch([order("o-1", "new")]);
    odd.native.push(NativeStep { engine: sqlite::ENGINE, step: Box::new("SELECT 1") });
    assert_eq!(store.commit(odd).await.expect_err("a text is no step").kind(), ErrorKind::Internal);
    assert!(!is_there(&store, "o-1").await);
}

#[tokio::test]
async fn what_has_no_room_is_refused_whole_and_taken_when_there_is_some() {
    let (store, _folder) = orders().await;
    let no_more_room = || {
        sqlite::statement(|connection| {
            Box::pin(async move {
                let limit = sqlx::query("PRAGMA max_page_count = 1");
                limit.execute(connection).await.map(drop).map_err(sqlite::error)
            })
        })
    };
    store.commit(batch([order("o-1", "new")])).await.expect("there is room");

    let large = || order("o-3", &"new".repeat(100_000));
    for _ in 0..2 {
        store.commit(with(no_more_room(), batch([]))).await.expect("what is there keeps its room");
        // SQLite takes the transaction back by itself, and the driver does not know; so the writer goes on with a new
        // connection, which has no limit.
        let refused = store.commit(batch([order("o-2", "new"), large()])).await;
        assert_eq!(refused.expect_err("there is no room").kind(), ErrorKind::Unavailable);
        assert!(!is_there(&store, "o-2").await && !is_there(&store, "o-3").await, "nothing of it is kept");
    }
    assert!(is_there(&store, "o-1").await, "what was there still is");
    store.commit(batch([order("o-2", "new"), large()])).await.expect("there is room again");
    assert!(is_there(&store, "o-2").await && is_there(&store, "o-3").await);
}

#[tokio::test]
async fn a_commit_whose_caller_goes_away_is_completed() {
    let (store, _folder) = orders().await;
    let (step, is_running, go_on) = held();
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(with(step, batch([order("o-1", "new")]))).await }
    });
    is_running.await.expect("the step runs");
    commit.abort();
    assert!(commit.await.expect_err("the caller is gone").is_cancelled());
    assert!(!is_there(&store, "o-1").await, "readers see the last commit meanwhile, without waiting");
    go_on.send(()).expect("the step waits");
    // The next batch waits for its turn, so the first has ended when it is through.
    store.commit(batch([order("o-2", "new")])).await.expect("no transaction was left open");
    assert!(is_there(&store, "o-1").await);
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_for_its_turn_has_changed_nothing() {
    let (store, _folder) = orders().await;
    let (step, is_running, go_on) = held();
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(with(step, batch([order("o-1", "new")]))).await }
    });
    is_running.await.expect("the step runs");
    let waiting =
        tokio::time::timeout(Duration::from_millis(20), store.commit(batch([order("o-2", "new")]))).await;
    assert!(waiting.is_err(), "the second waits for the first");
    go_on.send(()).expect("the step waits");
    first.await.expect("the first is not cancelled").expect("the first is committed");
    store.commit(batch([order("o-3", "new")])).await.expect("the queue goes on");
    assert!(is_there(&store, "o-1").await && !is_there(&store, "o-2").await);
}

#[tokio::test]
async fn whoever_waits_too_long_is_told_that_the_store_is_unavailable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let short = Duration::from_millis(20);
    let options = SqliteOptions { busy_timeout: short, acquire_timeout: short, ..SqliteOptions::default() };
    let file = url(&folder.path().join("store.db"));
    let store = SqliteStore::open(&file, options.clone()).await.expect("a file");
    let beside = SqliteStore::open(&file, options).await.expect("the same file");
    let history = crate::support::history();
    store
        .migrate(&history, neuroglia::clock::Timestamp::UNIX_EPOCH)
        .await
        .expect("sound migrations are applied");

    let (step, is_running, go_on) = held();
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(with(step, batch([order("o-1", "new")]))).await }
    });
    is_running.await.expect("the step runs");
    for (other, why) in [(&store, "the queue"), (&beside, "the file's lock")] {
        let error = other.commit(batch([order("o-2", "new")])).await.expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{why}: {error:?}");
    }
    assert!(!is_there(&beside, "o-1").await, "reading goes on");
    go_on.send(()).expect("the step waits");
    first.await.expect("the first is not cancelled").expect("the first is committed");
    beside.commit(batch([order("o-2", "new")])).await.expect("the lock is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_are_cancelled_cost_no_connection() {
    let (store, folder) = orders().await;
    let many = (0..500).map(|place| order(&format!("o-{place}"), &"x".repeat(1_000)));
    store.commit(batch(many)).await.expect("a batch that breaks no rule is committed");
    let all = neuroglia::data::Select {
        collection: "orders",
        condition: neuroglia::data::Condition::All(Vec::new()),
        sort: Vec::new(),
        limit: 500,
    };
    for _ in 0..50 {
        let cancelled = tokio::time::timeout(Duration::from_micros(50), store.query(&all)).await;
        drop(cancelled);
    }
    assert_eq!(store.query(&all).await.expect("a sound query is answered").len(), 500);
    let connections = fs_handles(&folder.path().join("store.db"));
    assert!(connections <= 5, "one writes and at most four read, and {connections} are open");
}

/// How often this process has the file open.
fn fs_handles(file: &std::path::Path) -> usize {
    let Ok(handles) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    handles
        .flatten()
        .filter(|handle| std::fs::read_link(handle.path()).is_ok_and(|target| target == file))
        .count()
}

#[tokio::test]
async fn a_failing_statement_in_a_migration_takes_all_of_it_back() {
    use neuroglia::data::{Migration, Step};
    let (store, _folder) = new_store().await;
    let sql = |statement| Step::Sql { engine: "sqlite", statement };
    let steps =
        vec![sql("CREATE TABLE one (id INTEGER); CREATE TABLE two (id INTEGER)"), sql("CREATE TABEL three")];
    let failing = Migration { version: 1, name: "own tables", steps };
    let now = neuroglia::clock::Timestamp::UNIX_EPOCH;
    let error = store.migrate(&[failing], now).await.expect_err("a statement that is no SQL");
    assert!(error.detail().contains("1 (own tables)"), "{error:?}");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("TABEL"), "the log gets SQLite's own words: {cause}");
    let mended =
        Migration { version: 1, name: "own tables", steps: vec![sql("CREATE TABLE one (id INTEGER)")] };
    assert_eq!(store.migrate(&[mended], now).await.expect("nothing was left of the first").applied, [1]);
}
