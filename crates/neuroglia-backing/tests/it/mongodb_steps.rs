//! MongoDB: an application's own operations in a batch, conflicts of transactions, and what the documents look like.

use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Migration, NativeStep, Step, Store, Write};
use neuroglia::error::{Error, ErrorKind};
use neuroglia_backing::mongodb::driver::bson::{Bson, Document, doc};
use neuroglia_backing::mongodb::driver::{Client, Database};
use neuroglia_backing::mongodb::{self, MongoStep, MongoStore};
use neuroglia_testing::services::MongoDatabase;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{batch, history, mongodb as new_store, order};

/// A new store with a collection `orders`.
async fn orders() -> (Arc<MongoStore>, MongoDatabase) {
    let (store, database) = new_store().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    (store, database)
}

/// A way into the database past the store.
async fn behind(database: &MongoDatabase) -> Database {
    let client = Client::with_uri_str(database.url()).await.expect("a sound URI");
    client.default_database().expect("the URL names a database")
}

fn with(step: MongoStep, mut batch: Batch) -> Batch {
    batch.native.push(NativeStep { engine: mongodb::ENGINE, step: Box::new(step) });
    batch
}

/// Notes a sale; the second one of a pizza breaks the collection's key.
fn sale(pizza: &'static str) -> MongoStep {
    mongodb::step(move |database, session| {
        Box::pin(async move {
            let sales = database.collection::<Document>("sales");
            let sale = sales.insert_one(doc! { "_id": pizza, "sold": 1 });
            sale.session(session).await.map_err(mongodb::error)?;
            Ok(())
        })
    })
}

fn update(id: &str, expected: u64, body: &serde_json::Value) -> Write {
    let change = Change::Update { expected, body: body.to_string() };
    Write { collection: "orders", id: id.to_owned(), change }
}

fn insert(id: &str, body: &serde_json::Value) -> Write {
    let change = Change::Insert { body: body.to_string() };
    Write { collection: "orders", id: id.to_owned(), change }
}

async fn is_there(store: &MongoStore, id: &str) -> bool {
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
    let refusing =
        mongodb::step(|_, _| Box::pin(async { Err(Error::conflict("sales.closed", "the shop is closed")) }));
    let error = store.commit(with(refusing, batch([order("o-1", "new")]))).await.expect_err("it refuses");
    assert_eq!(error.code(), "sales.closed");

    let panicking = mongodb::step(|_, _| Box::pin(async { panic!("a defect in a step") }));
    let error = store.commit(with(panicking, batch([order("o-2", "new")]))).await.expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Internal);

    // The server has ended the transaction, and says so at the commit.
    store.commit(with(sale("marinara"), batch([]))).await.expect("a sale");
    let swallowing = mongodb::step(|database, session| {
        Box::pin(async move {
            let sales = database.collection::<Document>("sales");
            let twice = sales.insert_one(doc! { "_id": "marinara" }).session(session).await;
            assert!(twice.is_err());
            Ok(())
        })
    });
    store.commit(with(swallowing, batch([order("o-3", "new")]))).await.expect_err("nothing was kept");
    for id in ["o-1", "o-2", "o-3"] {
        assert!(!is_there(&store, id).await, "{id}");
    }
    store.commit(batch([order("o-4", "new")])).await.expect("the store is as good as before");
}

#[tokio::test]
async fn something_else_is_no_step() {
    let (store, _database) = orders().await;
    let mut odd = batch([order("o-1", "new")]);
    odd.native.push(NativeStep { engine: mongodb::ENGINE, step: Box::new("db.sales.drop()") });
    assert_eq!(store.commit(odd).await.expect_err("a text is no step").kind(), ErrorKind::Internal);
    assert!(!is_there(&store, "o-1").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_get_in_each_others_way_are_tried_again() {
    let (store, _database) = orders().await;
    store.commit(batch([order("a", "new"), order("b", "new")])).await.expect("two orders");
    let mut tasks = JoinSet::new();
    const TURNS: u64 = 5;
    for way in [["a", "b"], ["b", "a"], ["a", "b"]] {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut kept = 0_u64;
            while kept < TURNS {
                let mut writes = Vec::new();
                for id in way {
                    let found = store.load("orders", id).await.expect("it is read").expect("it is there");
                    writes.push(update(id, found.version, &json!({ "status": "moved" })));
                }
                match store.commit(batch(writes)).await {
                    Ok(()) => kept += 1,
                    Err(error) => assert!(error.as_version_conflict().is_some(), "{error:?}"),
                }
            }
        });
    }
    tasks.join_all().await;
    for id in ["a", "b"] {
        let found = store.load("orders", id).await.expect("it is read").expect("it is there");
        assert_eq!(found.version, 3 * TURNS, "each batch was kept once");
    }
}

#[tokio::test]
async fn a_document_reads_like_any_other_of_the_database() {
    let (store, database) = orders().await;
    let body = json!({
        "status": "new", "number": 7, "note": null, "lines": [{ "pizza": "marinara", "at": null }], "big": u64::MAX
    });
    store.commit(batch([insert("o-1", &body)])).await.expect("an order");
    let orders = behind(&database).await.collection::<Document>("orders");
    let by_line = doc! { "body.lines.pizza": "marinara", "body.note": { "$exists": false } };
    let found = orders.find_one(by_line).await.expect("it answers").expect("it is there");
    assert_eq!(found.get_str("_id").ok(), Some("o-1"));
    assert_eq!(found.get("version"), Some(&Bson::Int64(0)));
    let stored = found.get_document("body").expect("a document");
    assert_eq!(stored.get("number"), Some(&Bson::Int32(7)));
    assert!(matches!(stored.get("big"), Some(Bson::Decimal128(_))), "{stored}");
    let loaded = store.load("orders", "o-1").await.expect("it is read").expect("it is there");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&loaded.body).ok(), Some(body));
}

#[tokio::test]
async fn an_error_shows_no_value_and_names_the_index() {
    let (store, _database) = orders().await;
    let phone = json!({ "number": "+15550101" });
    store.commit(batch([insert("a", &phone)])).await.expect("an order");
    for writes in [vec![insert("b", &phone)], vec![insert("b", &phone), order("c", "new")]] {
        let error = store.commit(batch(writes)).await.expect_err("the number is taken");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "orders.duplicate"));
        assert!(error.detail().ends_with("same number"), "{error:?}");
        let all = format!("{error:?} {}", neuroglia::error::chain(&error));
        assert!(!all.contains("5550101"), "the number may be somebody's telephone: {all}");
    }
    let large = json!({ "text": "x".repeat(17 << 20) });
    let error = store.commit(batch([insert("large", &large)])).await.expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}

#[tokio::test]
async fn a_migration_runs_a_command_and_a_broken_one_is_taken_back_by_the_next() {
    let (store, database) = orders().await;
    let other = behind(&database).await;
    // As a process leaves it that died between two steps.
    let lock = doc! { "$set": { "migration": "application/2", "takes_back": [{ "drop": "half" }] } };
    other.run_command(doc! { "create": "half" }).await.expect("a collection");
    let migrations = other.collection::<Document>("ng_migration");
    migrations.update_one(doc! { "_id": "lock" }, lock).await.expect("a note");

    let command = r#"{"create": "tills", "validator": {"number": {"$type": "int"}}}"#;
    let mut history = history();
    history.push(Migration {
        version: 2,
        name: "tills",
        steps: vec![
            Step::CreateCollection("half"),
            Step::Sql { engine: mongodb::ENGINE, statement: command },
        ],
    });
    let run = store.migrate(&history, Timestamp::UNIX_EPOCH).await.expect("what was left is taken back");
    assert_eq!(run.applied, [2]);
    let lock = migrations.find_one(doc! { "_id": "lock" }).await.expect("it answers").expect("it is there");
    assert!(!lock.contains_key("holder") && !lock.contains_key("takes_back"), "{lock}");
    let tills = other.collection::<Document>("tills").insert_one(doc! { "number": 1 }).await;
    tills.expect("the collection is there");
}

#[tokio::test]
async fn who_has_lost_the_lock_of_the_schema_does_nothing_more_to_it() {
    let (store, database) = orders().await;
    // By the time that this step is done, somebody else may have the lock.
    let lose =
        r#"{"update": "ng_migration", "updates": [{"q": {"_id": "lock"}, "u": {"$unset": {"holder": ""}}}]}"#;
    let lose = || Step::Sql { engine: mongodb::ENGINE, statement: lose };
    let (early, late) = (|| Step::CreateCollection("early"), || Step::CreateCollection("late"));
    let with = |steps| {
        let mut history = history();
        history.push(Migration { version: 2, name: "two collections", steps });
        history
    };
    for steps in [vec![early(), lose(), late()], vec![early(), lose()]] {
        let lost = store.migrate(&with(steps), Timestamp::UNIX_EPOCH).await;
        assert_eq!(lost.expect_err("the lock is lost").kind(), ErrorKind::Unavailable);
        let there = behind(&database).await.list_collection_names().await.expect("it answers");
        assert!(there.iter().any(|name| name == "early"), "nothing was taken back: {there:?}");
        assert!(!there.iter().any(|name| name == "late"), "the next step was not begun: {there:?}");
        let applied = store.applied_migrations().await.expect("they are read");
        assert_eq!(applied.len(), 1, "nor was it written that it was applied");
    }
    let run = store.migrate(&with(vec![early(), late()]), Timestamp::UNIX_EPOCH).await;
    assert_eq!(run.expect("whoever is next takes back what was done").applied, [2]);
}

#[tokio::test]
async fn expired_keys_are_purged_so_many_at_a_time() {
    let (store, database) = orders().await;
    let expires_at = |key: i64| if key < 2_201 { key } else { i64::MAX };
    let keys = (0..2_500).map(|key| doc! { "_id": key.to_string(), "expires_at": expires_at(key) });
    let all = behind(&database).await.collection::<Document>("ng_idempotency").insert_many(keys).await;
    all.expect("keys are filled in");
    let mut purged = Vec::new();
    for _ in 0..4 {
        purged.push(store.purge_expired(1_000).await.expect("keys are purged"));
    }
    assert_eq!(purged, [1_000, 1_000, 201, 0]);
}
