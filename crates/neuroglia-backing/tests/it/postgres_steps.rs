//! An application's own statements in a batch, the one round trip, and what a batch does when others are in its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Completion, NativeStep, Reserve, Store, Write};
use neuroglia::error::{Error, ErrorKind};
use neuroglia::id::Ids;
use neuroglia_backing::postgres::{self, PostgresStep, PostgresStore, sqlx};
use neuroglia_testing::services::Database;
use neuroglia_testing::workbench::message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{batch, history, order, postgres as new_store};

/// A new store with a collection `orders`.
async fn orders() -> (Arc<PostgresStore>, Database) {
    let (store, database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    (store, database)
}

fn with(step: PostgresStep, mut batch: Batch) -> Batch {
    batch.native.push(NativeStep { engine: postgres::ENGINE, step: Box::new(step) });
    batch
}

/// Notes a sale; the second one of a pizza breaks the table's key.
fn sale(pizza: &'static str) -> PostgresStep {
    postgres::statement(move |connection| {
        Box::pin(async move {
            let sale = sqlx::query("INSERT INTO sales (pizza, sold) VALUES ($1, 1)").bind(pizza);
            sale.execute(connection).await.map_err(postgres::error)?;
            Ok(())
        })
    })
}

fn update(id: &str, expected: u64, body: &serde_json::Value) -> Write {
    let change = Change::Update { expected, body: body.to_string() };
    Write { collection: "orders", id: id.to_owned(), change }
}

async fn is_there(store: &PostgresStore, id: &str) -> bool {
    store.load("orders", id).await.expect("it is read").is_some()
}

#[tokio::test]
async fn a_step_is_committed_or_taken_back_with_its_batch() {
    let (store, _database) = orders().await;
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
async fn a_step_that_refuses_panics_or_swallows_an_error_keeps_nothing() {
    let (store, _database) = orders().await;
    let refusing = postgres::statement(|_| {
        Box::pin(async { Err(Error::conflict("sales.closed", "the shop is closed")) })
    });
    let error = store.commit(with(refusing, batch([order("o-1", "new")]))).await.expect_err("it refuses");
    assert_eq!(error.code(), "sales.closed");

    let panicking = postgres::statement(|_| Box::pin(async { panic!("a defect in a step") }));
    let error = store.commit(with(panicking, batch([order("o-2", "new")]))).await.expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Internal);

    // The server answers the commit of a failed transaction with a rollback, and calls neither an error.
    let swallowing = postgres::statement(|connection| {
        Box::pin(async move {
            let failed = sqlx::query("INSERT INTO nowhere VALUES (1)").execute(connection).await;
            assert!(failed.is_err());
            Ok(())
        })
    });
    let outcome = store.commit(with(swallowing, batch([order("o-3", "new")]))).await;
    assert_eq!(outcome.expect_err("nothing was kept").kind(), ErrorKind::Internal);

    for id in ["o-1", "o-2", "o-3"] {
        assert!(!is_there(&store, id).await, "{id}");
    }
    store.commit(batch([order("o-4", "new")])).await.expect("the store is as good as before");
}

#[tokio::test]
async fn something_else_is_no_step() {
    let (store, _database) = orders().await;
    let mut odd = batch([order("o-1", "new")]);
    odd.native.push(NativeStep { engine: postgres::ENGINE, step: Box::new("SELECT 1") });
    assert_eq!(store.commit(odd).await.expect_err("a text is no step").kind(), ErrorKind::Internal);
    assert!(!is_there(&store, "o-1").await);
}

/// Passes bytes on to a server, and counts how often the client spoke after the server had.
async fn counting(server: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it has an address").port();
    let trips = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&trips);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&server).await.expect("the server is there");
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let (mut asked, mut answered) = ([0; 8192], [0; 8192]);
                let mut client_speaks = false;
                loop {
                    tokio::select! {
                        Ok(many @ 1..) = client.read(&mut asked) => {
                            counter.fetch_add(usize::from(!client_speaks), Ordering::Relaxed);
                            client_speaks = true;
                            server.write_all(&asked[..many]).await.expect("the server reads");
                        }
                        Ok(many @ 1..) = server.read(&mut answered) => {
                            client_speaks = false;
                            client.write_all(&answered[..many]).await.expect("the client reads");
                        }
                        else => break,
                    }
                }
            });
        }
    });
    (port, trips)
}

#[tokio::test]
async fn documents_messages_and_an_answer_are_one_round_trip() {
    let (store, database) = orders().await;
    let direct: url::Url = database.url().parse().expect("a URL");
    let port = direct.port().expect("the server's port is named");
    let (between, trips) = counting(format!("127.0.0.1:{port}")).await;
    let counted = database.url().replace(&port.to_string(), &between.to_string());
    let counted = crate::support::connect(&format!("{counted}?sslmode=disable")).await;

    let mut spent = Vec::new();
    for number in 0..4 {
        let (key, token) = (format!("k-{number}"), "t".to_owned());
        let reserve = Reserve { key, fingerprint: String::new(), token, hold: Duration::from_secs(60) };
        store.reserve(&reserve).await.expect("a key is taken");
        let mut whole = batch([order(&format!("a-{number}"), "new"), order(&format!("b-{number}"), "new")]);
        whole.outbox = ["order.created", "order.paid"].map(|name| message(name, "o-1")).to_vec();
        let Reserve { key, token, .. } = reserve;
        whole.completion =
            Some(Completion { key, token, response: "{}".to_owned(), keep: Duration::from_secs(60) });
        let before = trips.load(Ordering::Relaxed);
        counted.commit(whole).await.expect("a batch that breaks no rule is committed");
        spent.push(trips.load(Ordering::Relaxed) - before);
    }
    // The first one tells the server the statement.
    assert_eq!(spent[1..], [1, 1, 1], "{spent:?}");

    let before = trips.load(Ordering::Relaxed);
    let outdated = batch([update("a-1", 7, &json!({})), update("b-1", 0, &json!({}))]);
    counted.commit(outdated).await.expect_err("the first version was never there");
    assert!(trips.load(Ordering::Relaxed) - before > 1, "a refused batch is looked at step by step");
}

#[tokio::test]
async fn documents_may_swap_a_unique_value_and_the_refused_step_is_named() {
    let (store, _database) = orders().await;
    let number = |number: i64| json!({ "number": number });
    let insert = |id: &str, body: serde_json::Value| Write {
        collection: "orders",
        id: id.to_owned(),
        change: Change::Insert { body: body.to_string() },
    };
    store.commit(batch([insert("a", number(1)), insert("b", number(2))])).await.expect("two orders");
    // In order, the first lets go of what the second takes; whichever way the server goes, it is kept.
    store.commit(batch([update("a", 0, &number(3)), update("b", 0, &number(1))])).await.expect("moved on");

    let refused = store.commit(batch([update("a", 1, &number(1)), update("b", 0, &number(4))])).await;
    let error = refused.expect_err("the first value is taken, and the second version is old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let refused = store.commit(batch([update("a", 1, &number(5)), update("b", 0, &number(4))])).await;
    let conflict = refused.expect_err("the second version is old");
    let conflict = conflict.as_version_conflict().expect("it carries its versions");
    assert_eq!((&*conflict.id, conflict.expected, conflict.actual), ("b", Some(0), Some(1)));
    let found = store.load("orders", "a").await.expect("it is read").expect("it is there");
    assert_eq!(found.version, 1, "nothing of a refused batch is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_lock_each_other_out_are_tried_again() {
    let (store, _database) = orders().await;
    store.commit(batch([order("a", "new"), order("b", "new")])).await.expect("two orders");
    let mut tasks = JoinSet::new();
    // The server takes a second to find that two wait for each other.
    const TURNS: u64 = 3;
    for way in [["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"]] {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut kept = 0_u64;
            while kept < TURNS {
                let mut writes = Vec::new();
                for id in way {
                    let found = store.load("orders", id).await.expect("it is read").expect("it is there");
                    writes.push(update(id, found.version, &json!({ "status": "moved" })));
                }
                // A third write makes it a transaction of several statements, which can lock each other out.
                let last = &writes[1];
                let expected = last.change.expected().expect("an update expects a version");
                let again = update(&last.id, expected + 1, &json!({ "status": "settled" }));
                writes.push(again);
                match store.commit(batch(writes)).await {
                    Ok(()) => kept += 1,
                    Err(error) => assert!(error.as_version_conflict().is_some(), "{error:?}"),
                }
            }
        });
    }
    tasks.join_all().await;
    let found = store.load("orders", "a").await.expect("it is read").expect("it is there");
    assert_eq!(found.version, 4 * TURNS + 2 * TURNS, "each batch was kept once");
}

#[tokio::test]
async fn a_nul_and_a_field_too_long_for_its_index_are_the_callers_faults() {
    let (store, _database) = orders().await;
    let refused = store.commit(batch([order("o-1", "a\0b")])).await.expect_err("JSONB has no NUL");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Invalid, "store.nul"));
    let refused = store.commit(batch([order("o\0", "new")])).await.expect_err("nor has a text");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Invalid, "store.nul"));
    assert_eq!(store.load("orders", "o\0").await.expect_err("likewise").kind(), ErrorKind::Invalid);

    // What the server can compress fits; random text does not.
    let ids = Ids::random();
    let long: String = (0..400).map(|_| ids.token()).collect();
    let refused = store.commit(batch([order("o-2", &long)])).await.expect_err("an index entry has its limit");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Invalid, "store.too_long"));
}
