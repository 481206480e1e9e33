//! Outages: connections that are cut, a server that restarts, hangs or is not there, a password that is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::ClusterStore;
use neuroglia::data::{Batch, NativeStep, Store};
use neuroglia::error::{Error, ErrorKind};
use neuroglia::messaging::Wake;
use neuroglia_backing::postgres::{self, PostgresOptions, PostgresStore, sqlx};
use neuroglia_testing::services::{Database, Postgres};
use neuroglia_testing::workbench::node;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{batch, connect, history, order, postgres as new_store};

async fn run(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.expect("the database is there");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("the server does it");
}

/// Cuts every other connection to the database, and waits until they are gone.
async fn cut(database: &Database) {
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let cut = format!("SELECT pg_terminate_backend(pid, 5000) {others}");
    sqlx::query(sqlx::AssertSqlSafe(cut)).execute(&mut connection).await.expect("they are ended");
}

async fn opened(url: &str, options: PostgresOptions) -> Result<Arc<PostgresStore>, Error> {
    PostgresStore::open(&url.parse().expect("a URL"), options).await
}

async fn refusal(url: &str, options: PostgresOptions) -> Error {
    opened(url, options).await.expect_err("the database must be refused")
}

fn impatient() -> PostgresOptions {
    PostgresOptions {
        acquire_timeout: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(300),
        startup_patience: Duration::from_millis(300),
        ..PostgresOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_survive_that_their_connections_are_cut() {
    let (store, database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch([order("o-1", "new")])).await.expect("a batch that breaks no rule is committed");
    for _ in 0..3 {
        let mut readers = JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(&store);
            readers.spawn(async move { store.load("orders", "o-1").await });
        }
        for found in readers.join_all().await {
            assert!(found.expect("a read is repeated on a new connection").is_some());
        }
        cut(&database).await;
    }
    store.load("orders", "o-1").await.expect("a dead connection takes the others with it");
    store.commit(batch([order("o-2", "new")])).await.expect("the new connection is good");
}

#[tokio::test]
async fn a_commit_that_is_cut_says_that_its_outcome_is_unknown() {
    let (store, database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.ping().await.expect("the server answers");
    cut(&database).await;
    let outcome = store.commit(batch([order("o-1", "new")])).await;
    let error = outcome.expect_err("the connection is dead");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store.outcome_unknown"));
    store
        .commit(batch([order("o-1", "new")]))
        .await
        .expect("it was not kept, and the next connection is good");
}

#[tokio::test]
async fn a_transaction_that_the_server_ended_may_be_tried_again() {
    let (_, database) = new_store().await;
    let options = PostgresOptions {
        idle_in_transaction_timeout: Duration::from_millis(20),
        ..PostgresOptions::default()
    };
    let store = opened(&database.url(), options).await.expect("it is there");
    let url = database.url();
    let idle = postgres::statement(move |connection| {
        Box::pin(async move {
            let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&mut *connection)
                .await
                .map_err(postgres::error)?;
            let mut other = PgConnection::connect(&url).await.map_err(postgres::error)?;
            let there = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = $1)";
            while sqlx::query_scalar(there).bind(own).fetch_one(&mut other).await.map_err(postgres::error)? {}
            sqlx::query("SELECT 1").execute(connection).await.map_err(postgres::error)?;
            Ok(())
        })
    });
    let native = vec![NativeStep { engine: postgres::ENGINE, step: Box::new(idle) }];
    let error = store.commit(Batch { native, ..batch([]) }).await.expect_err("the connection is gone");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut server = Postgres::start();
    let database = Database::create_on(&server.url());
    let store = opened(&database.url(), impatient()).await.expect("the database is there");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch([order("o-1", "new")])).await.expect("a batch that breaks no rule is committed");

    server.stop();
    let away = ErrorKind::Unavailable;
    assert_eq!(store.ping().await.expect_err("nobody answers").kind(), away);
    assert_eq!(store.load("orders", "o-1").await.expect_err("not found is something else").kind(), away);
    let error = store.commit(batch([order("o-2", "new")])).await.expect_err("nobody commits");
    assert_eq!(error.kind(), away);

    server.start_again();
    store.ping().await.expect("the server is back");
    assert!(store.load("orders", "o-1").await.expect("it is read").is_some());
    store.commit(batch([order("o-2", "new")])).await.expect("the store is as good as before");

    server.crash();
    server.start_again();
    assert!(store.load("orders", "o-2").await.expect("a read is repeated").is_some());
    store.close().await;
}

#[tokio::test]
async fn a_server_that_comes_up_late_is_waited_for() {
    let mut server = Postgres::start();
    let url = server.url();
    server.stop();
    let opening = tokio::spawn(async move { opened(&url, PostgresOptions::default()).await });
    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let _server = server.await.expect("the server starts");
    opening.await.expect("no panic").expect("it was waited for").ping().await.expect("the server answers");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_server_is_waited_for_is_for_the_caller_to_say() {
    let url = "postgres://mario@127.0.0.1:1/shop".parse().expect("a URL");
    let waited = timeout(Duration::from_secs(600), neuroglia_backing::store::connect(&url)).await;
    assert!(waited.is_err(), "it gave up before: {:?}", waited.map(|outcome| outcome.err()));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let (store, _database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let patient = postgres::statement(|connection| {
        Box::pin(async move {
            let limit = "SET LOCAL statement_timeout = 50";
            sqlx::raw_sql(limit).execute(&mut *connection).await.map_err(postgres::error)?;
            sqlx::query("SELECT pg_sleep(60)").execute(connection).await.map_err(postgres::error)?;
            Ok(())
        })
    });
    let mut slow = batch([order("o-1", "new")]);
    slow.native.push(NativeStep { engine: postgres::ENGINE, step: Box::new(patient) });
    assert_eq!(store.commit(slow).await.expect_err("it is cut").kind(), ErrorKind::Unavailable);
    assert!(store.load("orders", "o-1").await.expect("it is read").is_none());

    // A port that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("it has an address").port();
    let url = format!("postgres://mario@127.0.0.1:{port}/shop");
    let error =
        timeout(Duration::from_secs(5), refusal(&url, impatient())).await.expect("the attempt has its limit");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Passes bytes on to a server, or swallows them while it is told to, and from this word on.
async fn mutable(server: String, word: Option<&'static str>) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it has an address").port();
    let is_mute = Arc::new(AtomicBool::new(false));
    let mute = Arc::clone(&is_mute);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("the server is there");
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            for (mut from, mut to) in [(from_client, to_server), (from_server, to_client)] {
                let mute = Arc::clone(&mute);
                tokio::spawn(async move {
                    let mut bytes = [0; 8192];
                    while let Ok(many @ 1..) = from.read(&mut bytes).await {
                        let bytes = &bytes[..many];
                        if word.is_some_and(|word| String::from_utf8_lossy(bytes).contains(word)) {
                            mute.store(true, Ordering::Relaxed);
                        }
                        if !mute.load(Ordering::Relaxed) && to.write_all(bytes).await.is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    (port, is_mute)
}

#[tokio::test]
async fn a_server_that_falls_silent_costs_bounded_errors_and_is_found_again() {
    let (direct, database) = new_store().await;
    direct.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let port = database.url().parse::<url::Url>().ok().and_then(|url| url.port()).expect("a port is named");
    let (between, is_mute) = mutable(format!("127.0.0.1:{port}"), None).await;
    let url = database.url().replace(&port.to_string(), &between.to_string());
    let options = PostgresOptions { statement_timeout: Duration::from_millis(100), ..impatient() };
    let store = opened(&format!("{url}?sslmode=disable"), options).await.expect("it is there");
    store.commit(batch([order("o-1", "new")])).await.expect("a batch that breaks no rule is committed");

    is_mute.store(true, Ordering::Relaxed);
    let error = store.commit(batch([order("o-2", "new")])).await.expect_err("nobody answers");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store.outcome_unknown"));
    for _ in 0..2 {
        let error = store.load("orders", "o-1").await.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(store.ping().await.expect_err("nobody answers").kind(), ErrorKind::Unavailable);
    }
    is_mute.store(false, Ordering::Relaxed);
    assert!(store.load("orders", "o-1").await.expect("it is read").is_some());
    store.commit(batch([order("o-3", "new")])).await.expect("the store is as good as before");
}

#[tokio::test]
async fn a_server_that_falls_silent_while_one_begins_to_listen_is_given_up() {
    let database = Database::create();
    let port = database.url().parse::<url::Url>().ok().and_then(|url| url.port()).expect("a port is named");
    let (between, is_mute) = mutable(format!("127.0.0.1:{port}"), Some("LISTEN")).await;
    let url = database.url().replace(&port.to_string(), &between.to_string());
    let store = connect(&format!("{url}?sslmode=disable")).await;
    let listening = tokio::spawn(async move { store.listen(&Wake::default()).await });
    let asked = async {
        while !is_mute.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), asked).await.expect("it asks to listen");
    // From here on nobody speaks, so that the time may pass at once.
    tokio::time::pause();
    let given_up = timeout(Duration::from_secs(60), listening).await.expect("it is not waited for for ever");
    let error = given_up.expect("no panic").expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn who_waits_too_long_for_a_connection_is_told_so() {
    let (_, database) = new_store().await;
    let store = opened(&format!("{}?pool=1", database.url()), impatient()).await.expect("it is there");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let (running, is_running) = tokio::sync::oneshot::channel::<()>();
    let parts = std::sync::Mutex::new(Some((running, may_go_on)));
    let held = postgres::statement(move |_| {
        Box::pin(async move {
            let parts = parts.into_inner().ok().flatten();
            let (running, may_go_on) = parts.ok_or_else(|| Error::internal("a step runs once"))?;
            running.send(()).map_err(|()| Error::internal("nobody listens"))?;
            may_go_on.await.map_err(Error::internal)
        })
    });
    let mut long = batch([order("o-1", "new")]);
    long.native.push(NativeStep { engine: postgres::ENGINE, step: Box::new(held) });
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.commit(long).await }
    });
    is_running.await.expect("the step runs");
    assert_eq!(store.load("orders", "o-1").await.expect_err("none is free").kind(), ErrorKind::Unavailable);
    // That the process lives it says on a connection of its own.
    let node = node("worker");
    for is_new in [true, false] {
        let beat = timeout(impatient().acquire_timeout, store.beat(&node)).await.expect("it does not wait");
        assert_eq!(beat.expect("it is heard").is_new, is_new);
    }

    // Its caller goes away; the batch is carried out all the same, and its connection comes back.
    commit.abort();
    assert!(commit.await.expect_err("the caller is gone").is_cancelled());
    go_on.send(()).expect("the step waits");
    assert!(store.load("orders", "o-1").await.expect("one is free").is_some());
}

#[tokio::test]
async fn a_password_is_in_no_error_and_no_debug_form() {
    const CANARY: &str = "Gorgonzola7";
    let server = Postgres::start();
    let place = server.url().replace("postgres://postgres@", "");
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("it has an address").port()
    };
    for url in [
        format!("postgres://postgres:{CANARY}@127.0.0.1:{closed}/shop"),
        format!("postgres://nobody:{CANARY}@{place}"),
        format!("postgres://postgres:{CANARY}@{place}-not"),
        format!("postgres://postgres:{CANARY}@{place}?sslmode=require"),
        format!("postgres://postgres:{CANARY}@{place}?sslmode={CANARY}"),
        format!("postgres://postgres:{CANARY}@nowhere.invalid/shop"),
    ] {
        let error = refusal(&url, impatient()).await;
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Invalid), "{shown}");
    }
    let store = opened(&format!("postgres://postgres:{CANARY}@{place}"), impatient()).await;
    let store = store.expect("the server trusts everybody");
    assert!(!format!("{store:?}").contains(CANARY));
    assert!(format!("{store:?}").contains("postgres at 127.0.0.1"), "{store:?}");
}

#[tokio::test]
async fn what_will_not_change_is_told_at_once() {
    let database = Database::create();
    let missing = refusal(&format!("{}_not", database.url()), PostgresOptions::default()).await;
    assert!(missing.detail().starts_with("there is no database"), "{missing:?}");
    let stranger = database.url().replace("postgres@", "nobody@");
    let refused = refusal(&stranger, PostgresOptions::default()).await;
    assert!(refused.detail().contains("refuses the user or the password"), "{refused:?}");
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_is_told_what_to_grant() {
    let server = Postgres::start();
    run(&server.url(), "CREATE ROLE luigi LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let store = connect(&server.url().replace("postgres@", "luigi@")).await;
    let refused = store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect_err("it may not");
    assert_eq!(refused.code(), "migration.denied");
    assert!(refused.detail().contains("GRANT CREATE"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_migrate_a_new_database_at_once_apply_each_migration_once() {
    let database = Database::create();
    let mut runs = JoinSet::new();
    for _ in 0..6 {
        let url = database.url();
        runs.spawn(async move {
            let store = connect(&url).await;
            let run = store.migrate(&history(), Timestamp::UNIX_EPOCH).await;
            (run.expect("sound migrations are applied").applied, store)
        });
    }
    let applied: Vec<_> = runs.join_all().await.iter().flat_map(|(applied, _)| applied.clone()).collect();
    assert_eq!(applied, [1]);
}
