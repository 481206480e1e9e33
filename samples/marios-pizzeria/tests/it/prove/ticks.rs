//! Every tick of a schedule once, whatever becomes of those who plan it.

use std::collections::BTreeSet;

use neuroglia::clock::Timestamp;
use neuroglia::work::WorkState;
use rustix::process::Signal;

use super::pauses::stop;
use super::town::killed;
use super::{Books, Engine, Town, at_once, report, times};
use crate::process::{Process, eventually};

/// The interval of the task, in microseconds.
const INTERVAL: i64 = 100_000;

#[test]
fn three_schedulers_of_which_leaders_die_and_sleep_do_each_tick_once() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], |engine| {
        let town = Town::ticking(engine);
        let mut schedulers: Vec<_> = (0..3).map(|_| town.open("scheduler")).collect();
        let rounds = times(1, 3);
        for _ in 0..rounds {
            let leader = take_leader(&mut schedulers);
            leader.signal(Signal::KILL);
            killed(leader);
            schedulers.push(town.open("scheduler"));

            let sleeper = take_leader(&mut schedulers);
            stop(&sleeper, &town.books);
            let successor = take_leader(&mut schedulers);
            sleeper.signal(Signal::CONT);
            // It hears that somebody else leads, and stands in line.
            eventually("it stands back", || (!leads(&sleeper)).then_some(()));

            // One that ends gives leadership away at once.
            successor.close().assert_code(0);
            schedulers.extend([sleeper, town.open("scheduler")]);
        }
        let enough = 200.max(town.books.ticks().len() + 20);
        eventually("enough ticks", || (town.books.ticks().len() >= enough).then_some(()));
        for scheduler in schedulers {
            scheduler.close().assert_code(0);
        }
        let ticks = assert_each_once(&town.books);
        report(&format!(
            "{engine:?}: 3 schedulers, {rounds} leaders killed, {rounds} paused, {rounds} ended: {ticks} ticks, \
             each once, none early"
        ));
    });
}

/// Waits until one of them leads, and takes it out.
fn take_leader(schedulers: &mut Vec<Process>) -> Process {
    let index = eventually("somebody leads", || schedulers.iter().position(leads));
    schedulers.remove(index)
}

fn leads(scheduler: &Process) -> bool {
    let changed = |line: &serde_json::Value| line["message"] == "leadership of the schedule changed";
    scheduler.last_line(changed).is_some_and(|line| line["leads"] == true)
}

/// Checks that between the first and the last tick none is missing, twice, or early; how many there are.
#[track_caller]
pub(super) fn assert_each_once(books: &Books) -> usize {
    let ticks = books.ticks();
    for tick in &ticks {
        assert_eq!(tick.runs, 1, "the tick {} was done more than once", tick.due);
        assert!(tick.at >= tick.due, "the tick {} was done at {}", tick.due, tick.at);
    }
    // What the last of them handed back when they ended is planned, and not done.
    let live = [WorkState::Waiting, WorkState::Scheduled, WorkState::Running];
    let planned = books.work_of("schedule:tick", &live).into_iter();
    let planned = planned.filter_map(|work| work.key?.parse::<Timestamp>().ok());
    let all: BTreeSet<i64> =
        ticks.iter().map(|tick| tick.due).chain(planned).map(Timestamp::unix_micros).collect();
    let all: Vec<i64> = all.into_iter().collect();
    for pair in all.windows(2) {
        assert_eq!(
            pair[1] - pair[0],
            INTERVAL,
            "a tick is missing after {}",
            Timestamp::from_unix_micros(pair[0])
        );
    }
    ticks.len()
}
