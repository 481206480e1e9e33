//! What operators do with orders and with work that failed, by the executable.

use std::time::{Duration, Instant};

use neuroglia::data::{Batch, Change, Write};
use neuroglia::id::Ids;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::{Settlement, WorkFilter, WorkState};
use neuroglia_testing::services::Database;
use neuroglia_testing::workbench::asking;
use serde_json::{Value, json};

use super::work::with_store;
use super::{PATIENCE, Premises, Process, eventually, guest_order};

#[test]
fn an_export_is_one_order_a_line_and_nothing_else() {
    let premises = Premises::furnished();
    assert_eq!(premises.run(&["admin", "export-orders"]).assert_code(0).stdout, "");
    let process = premises.open();
    let placed = place_more_than_a_page(&process);
    let exported = premises.run(&["admin", "export-orders"]);
    exported.assert_code(0);
    let lines = exported.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let orders: Vec<_> = lines.collect();
    let ids: Vec<_> = orders.iter().map(|order| order["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, placed);
    assert_eq!(orders[7]["notes"], "order 7");
    assert!(!exported.stdout.contains("tracking"), "no way into an order leaves with it");

    let checked = premises.run(&["admin", "fix-corrupted-orders", "--dry-run"]);
    let said = &checked.assert_code(0).stdout;
    assert_eq!(said.trim_end(), "0 would be put right, 0 for a person to look at");
    let rebuilt = premises.run(&["admin", "rebuild-statistics"]);
    assert_eq!(rebuilt.assert_code(0).stdout.trim_end(), "the statistics are rebuilt");
    process.close().assert_code(0);
}

/// Has more orders placed than the store has on a page; their ids, the oldest first.
fn place_more_than_a_page(process: &Process) -> Vec<String> {
    let place = |number: u32| {
        let order = guest_order(&format!("+1 555 {number:04}"), &format!("order {number}"));
        let answer = process.post("/api/v1/orders", &[], &order);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    };
    (0..101).map(place).collect()
}

/// Changes orders behind the application's back.
fn spoil(premises: &Premises, orders: &[String], change: impl Fn(&mut Value)) {
    with_store(premises, async |store| {
        let mut writes = Vec::new();
        for id in orders {
            let found = store.load("orders", id).await.expect("it answers").expect("it is there");
            let mut order = serde_json::from_str(&found.body).expect("JSON");
            change(&mut order);
            let change = Change::Update { expected: found.version, body: order.to_string() };
            writes.push(Write { collection: "orders", id: id.clone(), change });
        }
        let at = store.now().await.expect("it tells its time");
        store.commit(Batch { at, writes, ..Batch::default() }).await.expect("it is stored");
    });
}

/// What each order costs, the oldest first.
fn totals(premises: &Premises) -> Vec<Value> {
    let exported = premises.run(&["admin", "export-orders"]);
    let lines = exported.assert_code(0).stdout.lines();
    lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON")["total"].clone()).collect()
}

#[test]
fn corrupted_orders_are_named_put_right_and_then_gone() {
    let premises = Premises::furnished();
    let process = premises.open();
    let placed = place_more_than_a_page(&process);
    process.close().assert_code(0);
    let sound = totals(&premises);
    spoil(&premises, &placed, |order| order["total"]["amount"] = json!("1.00"));
    let spoilt = totals(&premises);
    assert_ne!(spoilt, sound);

    let fix = |arguments: &[&str]| premises.run(&[&["admin", "fix-corrupted-orders"], arguments].concat());
    let what = |id: &String| format!("order {id}: its total is 1.00 USD instead of 38.78 USD\n");
    let named: String = placed.iter().map(what).collect();
    // A dry run names the same each time, and changes nothing.
    for _ in 0..2 {
        let said = format!("{named}101 would be put right, 0 for a person to look at\n");
        assert_eq!(fix(&["--dry-run"]).assert_code(0).stdout, said);
        assert_eq!(totals(&premises), spoilt);
    }
    let said = format!("{named}101 put right, 0 for a person to look at\n");
    assert_eq!(fix(&[]).assert_code(0).stdout, said);
    assert_eq!(totals(&premises), sound);
    assert_eq!(fix(&[]).assert_code(0).stdout, "0 put right, 0 for a person to look at\n");
}

#[test]
fn an_order_that_a_person_has_to_look_at_is_told_by_the_exit_code() {
    let premises = Premises::furnished();
    let process = premises.open();
    let placed = process.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "")).json();
    process.close().assert_code(0);
    let id = placed["id"].as_str().expect("an id").to_owned();
    spoil(&premises, std::slice::from_ref(&id), |order| {
        let mut second = order["lines"][0].clone();
        second["unit_price"]["currency"] = json!("EUR");
        order["lines"].as_array_mut().expect("a list").push(second);
    });
    for (arguments, done) in [(&["--dry-run"][..], "would be put right"), (&[], "put right")] {
        let finished = premises.run(&[&["admin", "fix-corrupted-orders"], arguments].concat());
        let said = &finished.assert_code(65).stdout;
        assert!(said.starts_with(&format!("order {id}: ")), "{said}");
        assert!(said.ends_with(&format!("\n0 {done}, 1 for a person to look at\n")), "{said}");
        assert!(finished.stderr.contains("1 orders need a person"), "{}", finished.stderr);
    }
}

/// Two events that their consumers failed at for good.
async fn two_dead_letters(url: &str) {
    let store = neuroglia_backing::store::connect(&url.parse().expect("a URL")).await.expect("a store");
    let ids = Ids::random();
    let consumers = ["notifications", "statistics"];
    let subscriptions = consumers.map(|consumer| Subscription {
        consumer: consumer.to_owned(),
        event: "order.lost".to_owned(),
        queue: "default".to_owned(),
        is_ordered: false,
        attempts_max: 1,
    });
    store.subscribe(&subscriptions).await.expect("it is stored");
    let parcel = Parcel {
        key: ids.next_uuid().to_string(),
        name: "order.lost".to_owned(),
        subject: Some("o-1".to_owned()),
        envelope: "{}".to_owned(),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    assert_eq!(store.fan_out(&[parcel]).await.expect("it is stored"), 2);
    let claim = asking(&*store, &consumers, 10).await;
    let claimed = store.claim(&claim).await.expect("work");
    let dead = |ticket| (ticket, Settlement::Dead { failure: "the ink ran out".to_owned() });
    let settlements: Vec<_> = claimed.iter().map(|claimed| dead(claimed.ticket)).collect();
    assert_eq!(store.settle(&settlements).await.expect("it is settled"), [true, true]);
    store.leave(claim.owner).await.expect("it is heard");
    store.close().await;
}

async fn waiting(url: &str) -> Vec<String> {
    let store = neuroglia_backing::store::connect(&url.parse().expect("a URL")).await.expect("a store");
    let filter = WorkFilter { states: vec![WorkState::Waiting], limit: 10, ..WorkFilter::default() };
    let work = store.list_work(&filter).await.expect("a list");
    store.close().await;
    work.into_iter().map(|record| record.kind).collect()
}

#[test]
fn dead_letters_are_replayed_of_one_consumer_or_of_all() {
    let premises = Premises::furnished();
    let url = format!("sqlite://{}", premises.path("pizzeria.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(two_dead_letters(&url));

    let replay = |arguments: &[&str]| {
        let arguments = [&["admin", "replay-dead-letters"], arguments].concat();
        premises.run(&arguments).assert_code(0).stdout.trim_end().to_owned()
    };
    assert_eq!(replay(&["--consumer", "nobody"]), "replayed 0");
    assert_eq!(replay(&["--consumer", "notifications"]), "replayed 1");
    assert_eq!(runtime.block_on(waiting(&url)), ["notifications"]);
    assert_eq!(replay(&[]), "replayed 1");
    assert_eq!(replay(&[]), "replayed 0");
}

/// Well before a worker that hears of work looks by itself.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn what_a_command_replays_is_heard_by_a_worker_at_once() {
    let database = Database::create();
    let premises = Premises::new().set("DATABASE_URL", database.url());
    for command in ["migrate", "seed"] {
        premises.run(&["admin", command]).assert_code(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = database.url();
    runtime.block_on(two_dead_letters(&url));
    let worker = premises.open_as("worker");
    let store =
        runtime.block_on(neuroglia_backing::store::connect(&url.parse().expect("a URL"))).expect("a store");
    // One after another, so that a look now and then could not have found them all.
    for round in 1..=4 {
        let replay = ["admin", "replay-dead-letters", "--consumer", "notifications"];
        assert_eq!(premises.run(&replay).assert_code(0).stdout.trim_end(), "replayed 1");
        let replayed = Instant::now();
        // There is no event in the letter: it is parked as soon as somebody looks into it.
        let filter =
            WorkFilter { kind: Some("notifications".to_owned()), limit: 10, ..WorkFilter::default() };
        let is_parked = || {
            let found = runtime.block_on(store.list_work(&filter)).expect("a list");
            (found[0].state == WorkState::Parked && found[0].failures.len() > round).then_some(())
        };
        eventually("it was tried", is_parked);
        assert!(replayed.elapsed() < SOON, "round {round} took {:?}", replayed.elapsed());
    }
    runtime.block_on(store.close());
    worker.close().assert_code(0);
}

#[test]
fn seeding_and_migrating_at_once_is_done_once() {
    let database = Database::create();
    for premises in [Premises::new(), Premises::new().set("DATABASE_URL", database.url())] {
        for command in ["migrate", "seed"] {
            let together: Vec<_> = (0..4).map(|_| premises.start(&["admin", command])).collect();
            for process in together {
                process.end_within(PATIENCE).assert_code(0);
            }
        }
        let process = premises.open();
        let menu = process.get("/api/v1/pizzas").json();
        let mut names: Vec<_> =
            menu["items"].as_array().expect("a list").iter().map(|pizza| pizza["name"].to_string()).collect();
        let listed = names.len();
        names.sort();
        names.dedup();
        assert!(listed > 3 && names.len() == listed, "each pizza is on the menu once: {menu}");
        process.close().assert_code(0);
    }
}

#[test]
fn a_dead_letter_is_listed_shown_edited_replayed_and_deleted() {
    let premises = Premises::furnished();
    let url = format!("sqlite://{}", premises.path("pizzeria.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(two_dead_letters(&url));

    let run = |arguments: &[&str]| {
        premises.run(&[&["admin", "dead-letters"], arguments].concat()).assert_code(0).stdout.clone()
    };
    let listed = run(&["list", "--kind", "notifications", "--json"]);
    let record: Value = serde_json::from_str(listed.trim()).expect("one object a line");
    assert_eq!((&record["kind"], &record["state"]), (&"notifications".into(), &"dead".into()));
    let id = record["id"].as_str().expect("it has an id").to_owned();
    assert_eq!(run(&["list"]).lines().count(), 2);
    let shown: Value = serde_json::from_str(&run(&["show", &id])).expect("JSON");
    assert_eq!(shown["payload"], serde_json::json!({}), "the envelope as it came");
    assert_eq!(shown["failures"][0]["error"], "the ink ran out");

    let edited = r#"{"id": "again"}"#;
    premises.run_with_line(&["admin", "dead-letters", "edit", &id], edited).assert_code(0);
    let shown: Value = serde_json::from_str(&run(&["show", &id])).expect("JSON");
    assert_eq!(shown["payload"]["id"], "again");
    run(&["replay", &id]);
    assert_eq!(runtime.block_on(waiting(&url)), ["notifications"]);
    assert_eq!(run(&["list"]).lines().count(), 1, "the other one is still dead");
    run(&["delete", "--all"]);
    assert_eq!(run(&["list"]), "");
}
