//! A process that was stopped for longer than its life: alive, and out of date.

use std::time::Instant;

use rustix::process::Signal;

use super::{Books, Customers, Engine, RECOVERY_MAX, Town, at_once, report};
use crate::process::{Process, eventually};

#[test]
fn an_awakened_worker_finishes_nothing_that_another_has_taken_over() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], |engine| {
        let town = Town::found(engine);
        let (web, other) = (town.open("web"), town.open("worker"));
        let customers = Customers::come(&[web.address()]);
        let victim = loop {
            // It stops itself when the effect is complete, and its commit is all that is missing.
            let victim = town.open_perilous("worker", "finish.before:5:stop");
            wait_until_stopped(&victim);
            if town.books.can_be_written() {
                break victim;
            }
            victim.signal(Signal::CONT);
            victim.close().assert_code(0);
        };
        let since = Instant::now();
        let accepted = customers.accepted();
        town.books.wait_for_effects(&accepted, since, RECOVERY_MAX);
        // What it has may be work that has none of these effects.
        eventually("it is taken for dead", || (town.books.workers() == 1).then_some(()));

        victim.signal(Signal::CONT);
        victim.wait_for_line("lost", |line| {
            line["message"].as_str().is_some_and(|text| text.contains("no longer this node's"))
        });
        // Nobody else is there to do what comes now.
        other.close().assert_code(0);
        customers.wait_for_more(10);
        town.books.wait_for_effects(&customers.accepted(), Instant::now(), RECOVERY_MAX);
        let orders = town.books.assert_exactly_once(&customers.leave());
        report(&format!(
            "{engine:?}: a worker stopped before its commit and awakened after its life: {orders} orders, no \
             effect doubled, and it went on as a new node"
        ));
        for process in [web, victim] {
            process.close().assert_code(0);
        }
    });
}

/// Stops a process, at a moment at which it holds nothing that all others need.
pub(super) fn stop(process: &Process, books: &Books) {
    loop {
        process.signal(Signal::STOP);
        wait_until_stopped(process);
        if books.can_be_written() {
            return;
        }
        process.signal(Signal::CONT);
    }
}

/// Waits until a signal has stopped it.
fn wait_until_stopped(process: &Process) {
    let stat = format!("/proc/{}/stat", process.pid().as_raw_nonzero());
    eventually("it is stopped", || {
        let stat = std::fs::read_to_string(&stat).ok()?;
        let (_, state) = stat.rsplit_once(") ")?;
        state.starts_with('T').then_some(())
    });
}
