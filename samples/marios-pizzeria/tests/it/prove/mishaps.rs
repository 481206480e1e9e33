//! A consumer that fails in every way there is, and everybody else, who goes on.

use std::time::Instant;

use neuroglia::work::{WorkRecord, WorkState};

use super::{Customers, Engine, RECOVERY_MAX, Town, at_once, report};
use crate::process::{Process, eventually, guest_order};

/// What the notes of an order make of it, for a consumer that tries again until it may not any more.
const FAILURES: [&str; 3] = ["panic", "hang", "huge"];

/// How much of a failure's text is kept, in bytes.
const FAILURE_MAX: usize = 4 * 2_000;

#[test]
fn one_consumer_that_fails_in_every_way_keeps_nobody_from_anything() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], |engine| {
        let mut town = Town::found(engine);
        // What dies with the poison for the second time comes back one piece after another.
        town.premises = town.premises.set("WORKER_CONCURRENCY", "4");
        let (web, mut worker) = (town.open("web"), town.open("worker"));
        let customers = Customers::come(&[web.address()]);
        customers.wait_for_more(10);
        let mut orders = FAILURES.map(|notes| place(&web, notes)).to_vec();
        for (order, notes) in orders.iter().zip(FAILURES) {
            let end = eventually(notes, || end_of(&town, order));
            assert_eq!((end.state, end.attempt), (WorkState::Dead, end.attempts_max), "{notes}: {end:?}");
            for failure in &end.failures {
                assert!(failure.error.len() <= FAILURE_MAX, "{notes}: {} bytes", failure.error.len());
            }
        }

        // The poison takes along one process after another, until it is taken for what it is.
        let poison = place(&web, "poison");
        customers.wait_for_more(10);
        let accepted = customers.leave();
        let mut deaths = 0;
        let end = loop {
            let end = eventually("the poison has ended, or the worker has", || {
                let end = end_of(&town, &poison).map(Some);
                end.or_else(|| (!worker.is_running()).then_some(None))
            });
            match end {
                Some(end) => break end,
                None => deaths += 1,
            }
            worker = town.open("worker");
        };
        assert_eq!((deaths, end.crashes, end.state), (3, 3, WorkState::Parked), "{end:?}");
        orders.push(poison);
        // The other consumer of the same events was kept from nothing, and neither was anybody else.
        for order in &orders {
            for effect in ["order.created", "proof"] {
                town.books.wait_for(&format!("{effect}:{order}"));
            }
        }
        town.books.wait_for_effects(&accepted, Instant::now(), RECOVERY_MAX);
        report(&format!(
            "{engine:?}: beside a panic, a handler without end, an error of 50 MB and a poison message that killed \
             {deaths} processes: {} orders with all effects",
            accepted.len()
        ));
        for process in [web, worker] {
            process.close().assert_code(0);
        }
    });
}

fn place(web: &Process, notes: &str) -> String {
    let answer = web.post("/api/v1/orders", &[], &guest_order("+1 555 9999", notes));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// The delivery of this order to the consumer that fails, once nobody tries any more.
fn end_of(town: &Town, order: &str) -> Option<WorkRecord> {
    let ended = [WorkState::Dead, WorkState::Parked];
    let mut work = town.books.work_of("mishaps", &ended).into_iter();
    work.find(|work| work.payload.contains(order))
}
