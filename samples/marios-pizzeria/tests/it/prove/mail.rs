//! Mail that waited is sent when a server is attached, also by workers that die at it: each at least once, and whatever
//! comes twice is recognised by its `Message-ID`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use neuroglia_testing::services::Smtp;
use serde_json::{Value, json};

use super::town::killed;
use super::{Engine, Town, at_once, report};
use crate::process::{Finished, PATIENCE, Process, eventually, guest_order};

/// More than a worker sends at once, so that the death of one finds some on their way.
const ORDERS: usize = 24;

/// Until the sweep, which comes every minute, and the end of a dead node's life after it.
const SENT_MAX: Duration = Duration::from_secs(120);

#[test]
fn mail_that_waited_is_sent_through_deaths() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], send_through_deaths);
}

fn send_through_deaths(engine: Engine) {
    let mut town = Town::found(engine);
    let expected = orders_that_wait(&town);
    let server = Smtp::start();
    town.premises = town.premises.set("SMTP_URL", server.url());

    let scheduler = town.open("scheduler");
    let began = Instant::now();
    // Messages have been taken of which the store does not know. The first to be finished may all be
    // scheduled tasks.
    drop(killed_within(town.open_perilous("worker", "finish.before:14")));
    drop(killed_within(town.open_perilous("worker", "finish.after:3")));
    let worker = town.open("worker");
    within(SENT_MAX, || (outgoing(&town, "sent") == ORDERS).then_some(()));
    let took = began.elapsed();

    let mut arrived: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for one in server.arrived() {
        arrived.entry(one.headers("Message-ID").concat()).or_default().push(one);
    }
    assert_eq!(arrived.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    for copies in arrived.values() {
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
    }
    let twice = arrived.values().filter(|copies| copies.len() > 1).count();
    assert!(twice > 0, "nobody died between the server's word and the commit");
    report(&format!(
        "{engine:?}: {ORDERS} mails waited and were sent in {took:.1?} through two deaths; none lost, {twice} came twice \
         with the same Message-ID"
    ));
    for process in [scheduler, worker] {
        process.close().assert_code(0);
    }
}

/// Orders that were cancelled while no server was attached; gives the `Message-ID` of each mail, in order.
fn orders_that_wait(town: &Town) -> Vec<String> {
    let all = town.open("all");
    let mut ids: Vec<_> = (0..ORDERS).map(|number| cancelled(&all, number)).collect();
    ids.sort_unstable();
    eventually("the mail waits", || (outgoing(town, "waiting") == ORDERS).then_some(()));
    all.close().assert_code(0);
    ids.iter().map(|id| format!("<{id}.cancelled@marios-pizzeria.example>")).collect()
}

/// The id of an order that its guest has cancelled.
fn cancelled(process: &Process, number: usize) -> String {
    let mut order = guest_order(&format!("+1 555 0200 {number:02}"), "never mind");
    order["customer"]["email"] = json!(format!("guest-{number}@example.com"));
    let placed = process.post("/api/v1/orders", &[], &order).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (id, token) = (text(&placed["id"]), text(&placed["tracking_token"]));
    let path = format!("/api/v1/orders/{id}/cancel");
    let answer = process.post(&path, &[("x-tracking-token", &token)], &json!({ "reason": "never mind" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    id
}

/// How much mail the store has in this state.
fn outgoing(town: &Town, state: &str) -> usize {
    let listed = town.premises.run(&["admin", "mail", "--state", state, "--limit", "100"]);
    listed.assert_code(0);
    listed.stdout.lines().count()
}

/// Waits for the end of a worker that dies at its mail, for which it may have to wait a minute.
fn killed_within(process: Process) -> Finished {
    within(SENT_MAX, || (!process.is_running()).then_some(()));
    killed(process)
}

fn within<T>(span: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + span;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain waited {span:?}");
        std::thread::park_timeout(PATIENCE / 300);
    }
}
