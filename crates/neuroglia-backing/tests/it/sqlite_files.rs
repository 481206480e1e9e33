//! Files: created for their owner, refused with a reason, shared between processes, closed in order.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{ClusterStore, LOOKS_APART, NODE_TTL};
use neuroglia::data::{Batch, Store};
use neuroglia::error::{Error, ErrorKind};
use neuroglia::messaging::OutboxStore;
use neuroglia::work::WorkStore;
use neuroglia_backing::sqlite::{SqliteOptions, SqliteStore};
use neuroglia_testing::workbench::{asking, message, named, new_id};
use tokio::task::JoinSet;

use crate::support::{batch, history, open, order, orders, sqlite, url};

/// Longer than the test.
const LEASE: Duration = Duration::from_secs(60);

async fn refusal(path: &std::path::Path) -> Error {
    let opened = SqliteStore::open(&url(path), SqliteOptions::default()).await;
    opened.expect_err("the file must be refused")
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_and_its_log_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (store, folder) = orders().await;
    store.commit(batch([order("o-1", "new")])).await.expect("a batch that breaks no rule is committed");
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let mode = fs::metadata(folder.path().join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("not").join("there");
    let error = refusal(&missing.join("store.db")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let expected = format!("the directory {} of the database does not exist; create it", missing.display());
    assert_eq!(error.detail(), expected);
    assert!(!missing.exists(), "no directory is made up");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_directory_that_takes_no_files_is_named() {
    // Even the superuser cannot create files there.
    let error = refusal("/proc/store.db".as_ref()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.detail().contains("/proc/store.db cannot be created"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("notes.txt");
    let content = "these are not the pages you are looking for\n".repeat(100);
    fs::write(&file, &content).expect("a file is written");
    let error = refusal(&file).await;
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.detail().contains("is not a SQLite database"), "{error:?}");
    assert_eq!(fs::read_to_string(&file).expect("it is still there"), content);
    let error = refusal(folder.path()).await;
    assert!(error.detail().contains("is a directory"), "{error:?}");
    let error = refusal(&file.join("store.db")).await;
    assert!(error.detail().contains("is no directory"), "{error:?}");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_an_absence() {
    let (store, folder) = orders().await;
    let file = folder.path().join("store.db");
    let many = (0..200).map(|place| order(&format!("o-{place}"), &"x".repeat(500)));
    store.commit(batch(many)).await.expect("a batch that breaks no rule is committed");
    store.close().await;
    let mut content = fs::read(&file).expect("the file is read");
    let length = content.len();
    content[4096..length].fill(0xAA);
    fs::write(&file, content).expect("the file is written");
    let answer = match SqliteStore::open(&url(&file), SqliteOptions::default()).await {
        Ok(store) => store.load("orders", "o-1").await.map(|found| found.is_some()),
        Err(error) => Err(error),
    };
    assert_eq!(answer.expect_err("a damaged file does not answer").kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn what_was_committed_is_there_after_the_file_is_opened_again() {
    let (store, folder) = orders().await;
    let file = folder.path().join("store.db");
    store.commit(batch([order("o-1", "new")])).await.expect("a batch that breaks no rule is committed");
    store.close().await;
    let mut files: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder is read")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    assert_eq!(files, ["store.db", "store.db-presence"], "closing moves the log into the file");
    let store = open(&file).await;
    let run = store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    assert_eq!(run.applied, Vec::<u32>::new());
    assert!(store.load("orders", "o-1").await.expect("it is read").is_some());

    // Not closed at all, as after a crash: the log holds the last commit.
    store.commit(batch([order("o-2", "new")])).await.expect("a batch that breaks no rule is committed");
    let beside = open(&file).await;
    assert!(beside.load("orders", "o-2").await.expect("it is read").is_some());
}

/// The work of a node, and the messages in a relay's hands, after their process is gone.
#[tokio::test]
async fn what_the_dead_had_is_free_at_once_for_who_comes_alone_and_not_for_who_comes_beside_others() {
    let (store, folder) = sqlite().await;
    let file = folder.path().join("store.db");
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own tables are made");
    let (work, outbox) = (vec![named("kind", "first")], vec![message("order.ready", "o-1")]);
    store.commit(Batch { work, outbox, ..batch([]) }).await.expect("it is committed");
    let claim = asking(&*store, &["kind"], 1).await;
    assert_eq!(store.claim(&claim).await.expect("work is claimed").len(), 1);
    let taken = store.claim_outbox(new_id(), 10, LEASE).await.expect("messages are claimed");
    assert_eq!(taken.len(), 1);
    assert!(store.lease("planner", new_id(), LEASE).await.expect("it answers").is_some());

    let free = async |store: &SqliteStore| {
        let buried = store.bury(NODE_TTL, LOOKS_APART, 10).await.expect("it answers");
        let messages = store.claim_outbox(new_id(), 10, LEASE).await.expect("it answers");
        let lease = store.lease("planner", new_id(), LEASE).await.expect("it answers");
        (buried.iter().map(|burial| burial.released).sum::<u64>(), messages.len(), lease.is_some())
    };
    let beside = open(&file).await;
    assert_eq!(free(&beside).await, (0, 0, false), "the other may live");
    drop((store, beside));
    // Its files are closed by threads of its own.
    let alone = async {
        loop {
            let alone = open(&file).await;
            let free = free(&alone).await;
            if free != (0, 0, false) {
                break free;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LEASE, alone).await.expect("both are gone"), (1, 1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_open_and_migrate_a_new_file_at_once_apply_each_migration_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("store.db");
    let mut runs = JoinSet::new();
    for _ in 0..6 {
        let file = file.clone();
        runs.spawn(async move {
            let store = open(&file).await;
            let run =
                store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
            (run.applied, store)
        });
    }
    let outcomes = runs.join_all().await;
    let applied: Vec<_> = outcomes.iter().flat_map(|(applied, _)| applied.clone()).collect();
    assert_eq!(applied, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_write_to_one_file_wait_for_each_other() {
    let (store, folder) = orders().await;
    let other = open(&folder.path().join("store.db")).await;
    let mut writers = JoinSet::new();
    for (name, store) in [("a", Arc::clone(&store)), ("b", other)] {
        writers.spawn(async move {
            for place in 0..20 {
                let write = order(&format!("{name}-{place}"), "new");
                store.commit(batch([write])).await.expect("a batch waits for its turn");
            }
        });
    }
    writers.join_all().await;
    let all = neuroglia::data::Select {
        collection: "orders",
        condition: neuroglia::data::Condition::All(Vec::new()),
        sort: Vec::new(),
        limit: 1,
    };
    assert_eq!(store.count(&all).await.expect("a count is answered"), 40);
}

#[tokio::test]
async fn a_relative_path_does_not_follow_the_working_directory() {
    // The path is made absolute when the store is opened; what is seen of it is the file's full name.
    let (store, folder) = sqlite().await;
    let shown = format!("{store:?}");
    assert!(shown.contains(&folder.path().display().to_string()), "{shown}");
}

#[tokio::test]
async fn the_url_chooses_the_engine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite =
        neuroglia_backing::store::connect(&url(&folder.path().join("store.db"))).await.expect("a file");
    assert_eq!((sqlite.engine(), sqlite.is_ephemeral()), ("sqlite", false));
    let memory = neuroglia_backing::store::connect(&"memory:".parse().expect("a URL")).await.expect("memory");
    assert_eq!((memory.engine(), memory.is_ephemeral()), ("memory", true));
    let unknown = neuroglia_backing::store::connect(&"oracle://db/shop".parse().expect("a URL")).await;
    let error = unknown.err().expect("an unknown engine is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.detail().contains("no store engine oracle"), "{error:?}");
}
