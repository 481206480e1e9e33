//! Sudden death, at every point at which it could lose or double something, and at random ones.

use std::time::{Duration, Instant};

use neuroglia::id::Ids;
use rustix::process::Signal;

use super::ticks::assert_each_once;
use super::town::{ground, killed, perilous};
use super::{
    Bus, Customers, Engine, RECOVERY_MAX, RECOVERY_P99, Town, at_once, is_full, percentiles, report, times,
};
use crate::process::{Process, eventually};

/// Where who dies.
const CASES: [(&str, &str); 9] = [
    ("web", "commit.before:7"),
    ("web", "commit.after:7"),
    ("web", "relay.sent:5"),
    ("worker", "finish.before:9"),
    ("worker", "finish.after:9"),
    ("worker", "work.claimed:5"),
    ("worker", "job.middle:7"),
    ("worker", "settle.release:1"),
    ("scheduler", "lease.renew:2"),
];

#[test]
fn killed_at_each_point_on_sqlite_nothing_is_lost_or_doubled() {
    at_once(3, CASES, |(role, point)| kill_at(Engine::Sqlite, Bus::Local, role, point));
}

#[test]
fn killed_at_each_point_on_postgres_nothing_is_lost_or_doubled() {
    at_once(3, CASES, |(role, point)| kill_at(Engine::Postgres, Bus::Local, role, point));
}

/// One place for each role, for what has no time for all of them.
const PLACES: [(&str, &str); 3] =
    [("web", "commit.after:7"), ("worker", "finish.before:9"), ("scheduler", "lease.renew:2")];

/// What stands in for MongoDB computes in one thread: beside other proofs it bears one kill of each role.
#[test]
fn killed_at_each_point_on_mongodb_nothing_is_lost_or_doubled() {
    let cases = if is_full() { &CASES[..] } else { &PLACES };
    at_once(1, cases.iter().copied(), |(role, point)| kill_at(Engine::Mongo, Bus::Local, role, point));
}

/// Where who dies while a broker carries the events; the first of them are for what has no time for all.
const BROKER_CASES: [(&str, &str); 4] = [
    ("worker", "finish.before:9"),
    ("worker", "intake.stored:5"),
    ("worker", "finish.after:9"),
    ("web", "relay.sent:5"),
];

#[test]
fn killed_while_rabbitmq_carries_the_events_nothing_is_lost_or_doubled() {
    kill_beside(Bus::RabbitMq, Engine::Postgres, times(2, BROKER_CASES.len()));
}

/// Who takes over from a dead taker waits for what that had in hand, so that such a death is for the full form.
#[test]
fn killed_while_nats_carries_the_events_nothing_is_lost_or_doubled() {
    kill_beside(Bus::Nats, Engine::Sqlite, times(1, BROKER_CASES.len()));
}

fn kill_beside(bus: Bus, engine: Engine, count: usize) {
    at_once(2, BROKER_CASES.into_iter().take(count), |(role, point)| kill_at(engine, bus, role, point));
}

/// How long MongoDB keeps what was written in a transaction whose process is dead, unless it is told otherwise.
const TRANSACTION_LIFE: Duration = Duration::from_secs(60);

/// How long NATS keeps for a dead taker what that had in hand, once another one has its turn.
const IN_HAND: Duration = Duration::from_secs(20);

fn kill_at(engine: Engine, bus: Bus, role: &str, point: &str) {
    // The first to ask for the lease leads, and the second time that it asks it renews it: nobody else is there.
    let leads = role == "scheduler";
    let mut town = if leads { Town::ticking(engine) } else { Town::found(engine) };
    let (premises, _broker) = bus.attach_apart(town.premises);
    town.premises = premises;
    let drains = point.starts_with("settle.release");
    // What a broker has for a consumer one process takes, which then finds most of the work first.
    let takes_in = bus != Bus::Local && role == "worker";
    let mut staff = vec![town.open("web")];
    if !leads {
        staff.push(town.open("scheduler"));
    }
    if !drains && !takes_in {
        staff.push(town.open("worker"));
    }
    let victim = town.open_perilous(role, point);
    let mut doors = vec![staff[0].address()];
    if role == "web" {
        doors.push(victim.address());
    }
    let customers = Customers::come(&doors);
    let recovery_max = match (engine, bus) {
        (Engine::Mongo, _) => RECOVERY_MAX + TRANSACTION_LIFE,
        (_, Bus::Nats) => RECOVERY_MAX + IN_HAND,
        _ => RECOVERY_MAX,
    };
    if drains {
        // Nobody else could be at it.
        town.books.wait_for_running("proof", 1);
        victim.signal(Signal::TERM);
    }
    let dead = killed(victim);
    if leads {
        assert!(dead.stdout.contains(r#""leads":true"#), "who was killed did not lead: {}", dead.stdout);
    }
    let accepted = customers.accepted();
    let successor = town.open(role);
    let took = town.books.wait_for_effects(&accepted, dead.at, recovery_max);
    customers.wait_for_more(20);
    if leads {
        let before = town.books.ticks().len();
        eventually("the successor leads", || (town.books.ticks().len() > before + 10).then_some(()));
    }
    let orders = town.books.assert_exactly_once(&customers.leave());
    let place = match bus {
        Bus::Local => format!("{engine:?}"),
        Bus::RabbitMq | Bus::Nats => format!("{engine:?} with {bus:?}"),
    };
    report(&format!(
        "{place}: {role} killed at {point}: {orders} orders, none lost, no effect doubled, recovered in {took:.1?}"
    ));
    for process in staff.into_iter().chain([successor]) {
        process.close().assert_code(0);
    }
    if leads {
        assert_each_once(&town.books);
    }
}

#[test]
fn a_migration_killed_between_two_is_finished_by_the_next() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mongo] {
        for nth in 1..=2 {
            let (premises, _database) = ground(engine);
            killed(perilous(&premises, &["admin", "migrate"], &format!("migrate.middle:{nth}")));
            let status = premises.run(&["admin", "migrate", "--status"]);
            assert!(status.stdout.contains("pending"), "{}", status.stdout);
            premises.run(&["admin", "migrate"]).assert_code(0);
            let status = premises.run(&["admin", "migrate", "--status"]);
            assert!(!status.stdout.contains("pending"), "{}", status.stdout);
            premises.run(&["admin", "seed"]).assert_code(0);
            premises.open().close().assert_code(0);
            report(&format!("{engine:?}: a migration killed after step {nth} was finished by the next run"));
        }
    }
}

#[test]
fn killed_at_random_moments_nothing_is_lost_or_doubled() {
    at_once(2, [Engine::Sqlite, Engine::Postgres], |engine| kill_at_random(engine, times(10, 50)));
}

fn kill_at_random(engine: Engine, kills: usize) {
    let ids = Ids::random();
    let town = Town::ticking(engine);
    let mut staff: Vec<(&str, Process)> =
        ["web", "web", "worker", "worker", "scheduler"].map(|role| (role, town.open(role))).into();
    let doors = |staff: &[(&str, Process)]| -> Vec<_> {
        staff.iter().filter(|(role, _)| *role == "web").map(|(_, process)| process.address()).collect()
    };
    let customers = Customers::come(&doors(&staff));
    let mut spans = Vec::with_capacity(kills);
    for _ in 0..kills {
        customers.wait_for_more(1 + ids.jitter(Duration::from_nanos(30)).subsec_nanos() as usize);
        // In turn, so that each dies equally often.
        let (role, victim) = staff.remove(0);
        victim.signal(Signal::KILL);
        let since = Instant::now();
        drop(killed(victim));
        let accepted = customers.accepted();
        staff.push((role, town.open(role)));
        customers.go_to(&doors(&staff));
        spans.push(town.books.wait_for_effects(&accepted, since, RECOVERY_MAX));
    }
    let orders = town.books.assert_exactly_once(&customers.leave());
    for (_, process) in staff {
        process.close().assert_code(0);
    }
    let ticks = assert_each_once(&town.books);
    let (p50, p99) = percentiles(&mut spans);
    report(&format!(
        "{engine:?}: {kills} kills at random moments: {orders} orders and {ticks} ticks, none lost, no effect doubled, \
         recovered in p50 {p50:.1?}, p99 {p99:.1?}"
    ));
    assert!(!is_full() || p99 <= RECOVERY_P99, "{engine:?}: p99 is {p99:.1?}");
}
