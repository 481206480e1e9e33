//! What is looked for has an index: MongoDB says how it would find it.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Condition, Direction, Op, Path, Select, Sort, Store, Value};
use neuroglia_backing::mongodb::driver::bson::{Document, doc};
use neuroglia_backing::mongodb::driver::{Client, Database};

use crate::support::{batch, history, mongodb, order};

/// The server's plan for a query, in one text.
async fn plan(database: &Database, find: Document) -> String {
    let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
    let plan = database.run_command(explain).await.expect("a sound query has a plan");
    plan.get_document("queryPlanner").expect("it has").get("winningPlan").expect("it has").to_string()
}

/// Every look of the engine's own, as `claim.rs`, `lines.rs`, `work.rs` and `outbox.rs` have it, and its index.
fn looks() -> Vec<(Document, &'static str)> {
    let there = || doc! { "$exists": true };
    let find =
        |collection: &str, filter: Document| doc! { "find": collection, "filter": filter, "limit": 10 };
    vec![
        (find("ng_work", doc! { "ready.queue": "q", "ready.kind": { "$in": ["a", "b"] } }), "ng_work_ready"),
        (find("ng_work", doc! { "line.key": "a" }), "ng_work_line"),
        (find("ng_work", doc! { "look": there() }), "ng_work_look"),
        (find("ng_work", doc! { "due_at": { "$lte": 5_i64 } }), "ng_work_due"),
        (find("ng_work", doc! { "owner": "o" }), "ng_work_owner"),
        (find("ng_work", doc! { "owner": "o", "token": "t" }), "ng_work_owner"),
        (find("ng_work", doc! { "stuck": there() }), "ng_work_stuck"),
        (find("ng_work", doc! { "behind": { "$eq": "q" } }), "ng_work_behind"),
        (find("ng_work", doc! { "forget_at": { "$lte": 5_i64 } }), "ng_work_forget"),
        (find("ng_outbox", doc! { "line.key": "a" }), "ng_outbox_line"),
        (find("ng_outbox", doc! { "look": there() }), "ng_outbox_look"),
        (find("ng_outbox", doc! { "ready": there() }), "ng_outbox_ready"),
        (find("ng_idempotency", doc! { "expires_at": { "$lte": 5_i64 } }), "ng_idempotency_expires_at"),
    ]
}

#[tokio::test]
async fn every_look_of_the_engine_follows_its_index() {
    let (store, url) = mongodb().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own collections are made");
    let client = Client::with_uri_str(url.url()).await.expect("a sound URI");
    let database = client.default_database().expect("the URL names a database");
    for (find, index) in looks() {
        let plan = plan(&database, find.clone()).await;
        assert!(plan.contains(index) && !plan.contains("COLLSCAN"), "{find} does not use {index}:\n{plan}");
    }
}

#[tokio::test]
async fn a_query_of_the_application_follows_a_declared_index() {
    let (store, _database) = mongodb().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch((0..50).map(|place| order(&place.to_string(), "new")))).await.expect("orders");
    let select = Select {
        collection: "orders",
        condition: Condition::Compare {
            path: Path::Body("status"),
            op: Op::Equal,
            value: Value::Text("new".to_owned()),
        },
        sort: vec![Sort { path: Path::Id, direction: Direction::Ascending }],
        limit: 10,
    };
    let plan = store.explain(&select).await.expect("a sound query has a plan");
    assert!(plan.contains("orders_status"), "{plan}");
}
