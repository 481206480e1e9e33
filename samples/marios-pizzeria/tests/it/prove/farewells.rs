//! A process that has to end with work in its hands says which, and leaves it to others.

use neuroglia::work::WorkState;
use rustix::process::Signal;

use super::{Engine, Town, at_once, report};
use crate::process::{PATIENCE, guest_order};

#[test]
fn work_that_does_not_end_is_broken_off_named_and_given_back() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], |engine| {
        let mut town = Town::found(engine);
        town.premises = town.premises.set("SHUTDOWN_TIMEOUT", "5s");
        let (web, worker) = (town.open("web"), town.open("worker"));
        for number in 0..2 {
            let order = guest_order(&format!("+1 555 010{number}"), "stay");
            let placed = web.post("/api/v1/orders", &[], &order);
            assert_eq!(placed.status, 201);
            // What was claimed and has not begun would be given back in silence.
            let id = placed.json()["id"].clone();
            worker.wait_for_line("staying", |line| line["message"] == "staying" && line["order.id"] == id);
        }
        let held = town.books.work_of("patience", &[WorkState::Running]);
        worker.signal(Signal::TERM);
        let ended = worker.end_within(PATIENCE);
        ended.assert_code(75);
        for work in &held {
            let named = ended.json_lines().into_iter().any(|line| {
                line["message"] == "work was broken off at the deadline and given back"
                    && line["work"] == format!("patience {}", work.id)
            });
            assert!(named, "it does not say what became of {}:\n{}", work.id, ended.stdout);
        }
        let waiting = town.books.work_of("patience", &[WorkState::Waiting]);
        assert_eq!(waiting.len(), held.len(), "it is given back: {waiting:?}");
        assert!(waiting.iter().all(|work| work.attempt == 0), "and the attempt does not count: {waiting:?}");
        web.close().assert_code(0);
        report(&format!(
            "{engine:?}: a worker that had to break off {} pieces of work ended with code 75 and named them",
            held.len()
        ));
    });
}
