//! Nodes whose clocks are wrong by five minutes, in both directions.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use neuroglia::clock::Timestamp;

use super::ticks::assert_each_once;
use super::{Customers, Engine, RECOVERY_MAX, Town, report};
use crate::process::{Process, eventually};

#[test]
fn clocks_that_are_wrong_make_no_tick_early_and_nobody_dead() {
    let town = Town::ticking(Engine::Postgres);
    let library = libfaketime();
    let open = |role: &str, skew: &str| {
        let mut command = town.premises.command(&[role]);
        // Timers follow the monotonic clock, which nobody sets.
        command.env("LD_PRELOAD", &library).env("FAKETIME", skew).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let mut process = town.premises.spawn(&mut command);
        process.wait_until_ready();
        process
    };
    let (web, late_web) = (town.open("web"), open("web", "-300"));
    let staff: Vec<Process> = vec![
        town.open("worker"),
        open("worker", "+300"),
        town.open("scheduler"),
        open("scheduler", "+300"),
        open("scheduler", "-300"),
    ];
    // What each says of the time shows that its clock is wrong.
    let [fast, slow] = [&staff[3], &staff[4]].map(said_at);
    assert!(fast.since(slow) > Duration::from_secs(9 * 60), "{fast} and {slow}");
    let customers = Customers::come(&[web.address(), late_web.address()]);
    // Longer than a node lives that nobody hears of.
    eventually("enough ticks", || (town.books.ticks().len() >= 150).then_some(()));
    let accepted = customers.leave();
    town.books.wait_for_effects(&accepted, Instant::now(), RECOVERY_MAX);
    town.books.assert_exactly_once(&accepted);
    for process in &staff {
        let burial = process.last_line(|line| {
            let text = line["message"].as_str().unwrap_or_default();
            text.contains("dead")
        });
        assert_eq!(burial, None, "nobody had died");
    }
    for process in staff.into_iter().chain([web, late_web]) {
        process.close().assert_code(0);
    }
    let ticks = assert_each_once(&town.books);
    report(&format!(
        "Postgres: clocks 5 minutes fast and slow: {} orders, {ticks} ticks, none early, nobody taken for dead",
        accepted.len()
    ));
}

/// When a process became ready, by its own clock.
fn said_at(process: &Process) -> Timestamp {
    let line = process.last_line(|line| line["message"] == "ready").expect("it was waited for");
    line["timestamp"].as_str().and_then(|text| text.parse().ok()).expect("a line has its time")
}

/// What gives a process another clock; Debian's package `libfaketime` brings it.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found
        .find(|library| library.exists())
        .expect("install the package libfaketime, as `cargo xtask test` does")
}
