//! The kinds of process, each by itself on one database.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::{Batch, Change, Store, Write};
use neuroglia_testing::services::{Database, MongoDatabase};
use neuroglia_testing::workbench::job;
use serde_json::{Value, json};

use super::work::with_store;
use super::{Premises, eventually, guest_order};

#[test]
fn web_alone_takes_orders_and_worker_does_what_follows() {
    let premises = Premises::furnished();
    premises.hire("peach@example.com", "manager", "a long password");
    let web = premises.open();
    let bearer = format!("Bearer {}", web.log_in("peach@example.com", "a long password"));
    let counted = || {
        let headers = [("authorization", &*bearer)];
        let path = "/api/v1/statistics/overview";
        let answer = web.connect().request("GET", path, &headers, b"").expect("an answer");
        answer.json()["orders"]["total"].as_u64()
    };
    assert_eq!(web.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "")).status, 201);
    assert_eq!(counted(), Some(0), "nobody has counted it");

    let worker = premises.start(&["worker"]);
    eventually("the worker counts it", || (counted() == Some(1)).then_some(()));
    worker.close().assert_code(0);
    assert_eq!(web.post("/api/v1/orders", &[], &guest_order("+1 555 0101", "")).status, 201);
    web.close().assert_code(0);

    // What nobody was there for is done by the next.
    let all = premises.open_as("all");
    let answer = || {
        let headers = [("authorization", &*bearer)];
        all.connect().request("GET", "/api/v1/statistics/overview", &headers, b"").expect("an answer")
    };
    eventually("the rest is counted", || (answer().json()["orders"]["total"] == 2).then_some(()));
    all.close().assert_code(0);
}

#[test]
fn a_scheduler_runs_by_itself() {
    let premises = Premises::furnished();
    let scheduler = premises.start(&["scheduler"]);
    eventually("it says that it lives", || {
        let nodes = premises.run(&["admin", "nodes"]);
        nodes.assert_code(0).stdout.contains("scheduler").then_some(())
    });
    scheduler.close().assert_code(0);
}

const EXPIRY: &str = "expire-unpaid-orders";

#[test]
fn what_fell_due_while_no_scheduler_ran_is_made_up_for_by_the_next() {
    let database = Database::create();
    let on_postgres = Premises::new().set("DATABASE_URL", database.url());
    let mongo = MongoDatabase::create();
    let on_mongo = Premises::new().set("DATABASE_URL", mongo.url());
    for premises in [Premises::new(), on_postgres, on_mongo] {
        premises.run(&["admin", "migrate"]).assert_code(0);
        premises.run(&["admin", "seed"]).assert_code(0);
        let web = premises.open();
        let placed = web.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "unpaid")).json();
        web.close().assert_code(0);
        let id = placed["id"].as_str().expect("an id");
        with_store(&premises, async |store| leave_unpaid(store, id).await);

        let scheduler = premises.start(&["scheduler"]);
        let order = || with_store(&premises, async |store| load(&*store, id).await.1);
        eventually("the order has expired", || (order()["status"] == "cancelled").then_some(()));
        assert_eq!(order()["cancel_reason"], "not paid in time");
        scheduler.close().assert_code(0);
    }
}

async fn load(store: &dyn Store, id: &str) -> (u64, Value) {
    let found = store.load("orders", id).await.expect("it answers").expect("it is there");
    (found.version, serde_json::from_str(&found.body).expect("JSON"))
}

/// An order that a card was declined for, and a scheduler that last looked an hour ago.
async fn leave_unpaid(store: Arc<dyn Store>, id: &str) {
    let hour_ago = store.now().await.expect("it tells its time") - Duration::from_secs(60 * 60);
    let (expected, mut order) = load(&*store, id).await;
    order["placed_at"] = json!(hour_ago);
    order["payment"] =
        json!({"method": "credit_card", "status": "failed", "source": null, "reference": null});
    let change = Change::Update { expected, body: order.to_string() };
    let writes = vec![Write { collection: "orders", id: id.to_owned(), change }];
    store.commit(Batch { at: hour_ago, writes, ..Batch::default() }).await.expect("it is stored");
    assert!(store.plan(EXPIRY, hour_ago, &job("nobodys")).await.expect("it is planned"));
}
