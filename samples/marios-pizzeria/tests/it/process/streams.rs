//! Live events, followed from one process to another.

use neuroglia_testing::services::Database;
use serde_json::Value;

use super::{Premises, Process, eventually, guest_order};

/// What a process tells after this event until its stream ends: number and order of each.
fn told(process: &Process, bearer: &str, after: &str) -> Vec<(i64, String)> {
    let headers = [("authorization", bearer), ("last-event-id", after)];
    let answer = process.connect().request("GET", "/api/v1/events", &headers, b"").expect("a stream");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    let text = answer.text();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let event = |event: &str| {
        let data: Value = serde_json::from_str(&field(event, "data:")?).expect("JSON");
        let order = data["order_id"].as_str().expect("an id").to_owned();
        Some((field(event, "id:")?.parse().expect("a number"), order))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[test]
fn a_stream_goes_on_at_another_process_after_the_last_event() {
    let database = Database::create();
    let premises = Premises::new().set("DATABASE_URL", database.url()).set("EVENTS_LIFETIME", "1s");
    for command in ["migrate", "seed"] {
        premises.run(&["admin", command]).assert_code(0);
    }
    premises.hire("peach@example.com", "manager", "a long password");
    let (one, other, worker) = (premises.open(), premises.open(), premises.open_as("worker"));
    let bearer = format!("Bearer {}", one.log_in("peach@example.com", "a long password"));
    let order = |at: &Process, number: u32| {
        let placed = at.post("/api/v1/orders", &[], &guest_order(&format!("+1 555 01{number:02}"), ""));
        assert_eq!(placed.status, 201, "{}", placed.text());
        placed.json()["id"].as_str().expect("an id").to_owned()
    };

    let first: Vec<_> = (0..3).map(|number| order(&one, number)).collect();
    let before = eventually("all are told", || {
        let events = told(&one, &bearer, "0");
        (events.len() == first.len()).then_some(events)
    });
    let (last, _) = before.last().expect("there are some");
    let second: Vec<_> = (3..5).map(|number| order(&one, number)).collect();
    let after = eventually("the rest is told", || {
        let events = told(&other, &bearer, &last.to_string());
        (events.len() == second.len()).then_some(events)
    });
    let mut about: Vec<_> = before.iter().chain(&after).map(|(_, order)| order.clone()).collect();
    about.sort();
    let mut orders = [first, second].concat();
    orders.sort();
    assert_eq!(about, orders, "each event is told once, by the one or the other");
    assert!(after.iter().all(|(number, _)| number > last), "what comes later has a larger number: {after:?}");
    for process in [one, other, worker] {
        process.close().assert_code(0);
    }
}
