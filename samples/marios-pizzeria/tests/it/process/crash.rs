//! Sudden death: what was acknowledged is there, what was not is there whole or not at all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use super::ledger::Ledger;
use super::{Client, PATIENCE, Premises, Process, eventually, guest_order};

const ROUNDS: usize = 10;
const CLIENTS: usize = 6;

/// The order of a key, always the same. Some customers come for the first time.
fn order_of(key: &str, client: usize, number: usize) -> serde_json::Value {
    guest_order(&format!("+1 555 {client:03} {:04}", number / 5), key)
}

/// What one client knows at the moment of death.
#[derive(Default)]
struct Known {
    /// The id of each acknowledged order, by its key.
    acknowledged: BTreeMap<String, String>,
    /// All keys that were sent, with what makes their orders again.
    sent: Vec<(String, usize, usize)>,
}

/// Places orders until the process is dead.
fn place_orders(process: &Process, round: usize, client: usize, acknowledged: &AtomicUsize) -> Known {
    let mut known = Known::default();
    let mut connection = process.connect();
    for number in 0.. {
        let key = format!("crash-{round}-{client}-{number}");
        known.sent.push((key.clone(), client, number));
        let order = order_of(&key, client, number);
        match connection.post("/api/v1/orders", &[("idempotency-key", &key)], &order) {
            Ok(answer) => {
                assert_eq!(answer.status, 201, "{key}: {}", answer.text());
                known.acknowledged.insert(key, answer.json()["id"].as_str().expect("an id").to_owned());
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => break,
        }
    }
    known
}

#[test]
fn killed_under_write_load_ten_times_it_loses_nothing_it_acknowledged() {
    let premises = Premises::furnished();
    let mut acknowledged_before: BTreeMap<String, String> = BTreeMap::new();
    let mut unacknowledged = 0;
    for round in 0..ROUNDS {
        let process = premises.open();
        let acknowledged = AtomicUsize::new(0);
        let known: Vec<Known> = std::thread::scope(|scope| {
            let (process, acknowledged) = (&process, &acknowledged);
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| scope.spawn(move || place_orders(process, round, client, acknowledged)))
                .collect();
            // Each round dies at another moment.
            let enough = 20 + 7 * round;
            eventually("orders are placed", || {
                (acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            });
            process.signal(Signal::KILL);
            clients.into_iter().map(|client| client.join().expect("every answer was 201")).collect()
        });
        assert_eq!(process.end_within(PATIENCE).signal(), Some(9));

        let found = Ledger::read(&premises);
        found.assert_sound();
        for (key, id) in known.iter().flat_map(|known| &known.acknowledged).chain(&acknowledged_before) {
            assert_eq!(found.id_of(key), Some(id.as_str()), "the acknowledged order {key} is lost");
        }

        // Whoever did not hear an answer asks again, and so may those who did.
        let process = premises.open();
        let mut connection = process.connect();
        for known in &known {
            // The last ones are enough: death came to them.
            for (key, client, number) in known.sent.iter().rev().take(3) {
                let answer = connection
                    .post("/api/v1/orders", &[("idempotency-key", key)], &order_of(key, *client, *number))
                    .expect("an answer");
                assert_eq!(answer.status, 201, "{key}: {}", answer.text());
                let body = answer.json();
                let id = body["id"].as_str().expect("an id");
                let was_there = found.id_of(key);
                assert!(was_there.is_none_or(|known| known == id), "{key} was executed twice");
                let is_replayed = answer.header("idempotency-replayed") == Some("true");
                assert_eq!(is_replayed, was_there.is_some(), "{key}");
                unacknowledged += usize::from(!known.acknowledged.contains_key(key));
            }
        }
        process.close().assert_code(0);
        let after = Ledger::read(&premises);
        after.assert_sound();
        for known in known {
            for (key, ..) in &known.sent {
                assert!(after.id_of(key).is_some(), "{key} was neither kept nor executed");
            }
            acknowledged_before.extend(known.acknowledged);
        }
    }
    assert!(unacknowledged >= ROUNDS, "death came between requests: {unacknowledged}");
}

#[test]
fn two_migrations_at_once_apply_once() {
    for _ in 0..3 {
        let premises = Premises::new();
        let running: Vec<_> = (0..4).map(|_| premises.start(&["admin", "migrate"])).collect();
        let outputs: Vec<_> = running.into_iter().map(|process| process.end_within(PATIENCE)).collect();
        // The processes take turns, a migration each.
        let mut applied: Vec<&str> = Vec::new();
        for output in &outputs {
            match output.assert_code(0).stdout.trim_end().strip_prefix("applied ") {
                Some(versions) => applied.extend(versions.split(", ")),
                None => assert_eq!(output.stdout, "the schema is up to date\n"),
            }
        }
        applied.sort_unstable();
        assert_eq!(applied, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        premises.run(&["admin", "seed"]).assert_code(0);
        premises.open().close().assert_code(0);
    }
}

#[test]
fn two_seedings_at_once_make_one_menu() {
    let premises = Premises::new();
    premises.run(&["admin", "migrate"]).assert_code(0);
    let running: Vec<_> = (0..2).map(|_| premises.start(&["admin", "seed"])).collect();
    let outputs: Vec<_> = running.into_iter().map(|process| process.end_within(PATIENCE)).collect();
    let mut said: Vec<_> = outputs.iter().map(|output| &*output.assert_code(0).stdout).collect();
    said.sort_unstable();
    assert_eq!(said, ["0 pizzas added, 6 were there\n", "6 pizzas added, 0 were there\n"]);
    let process = premises.open();
    assert_eq!(process.get("/api/v1/pizzas").json()["items"].as_array().map(Vec::len), Some(6));
    process.close().assert_code(0);
}

#[test]
fn a_migration_that_was_killed_is_made_by_the_next() {
    for moment in ["pizzeria.db", "pizzeria.db-wal", "pizzeria.db-shm"] {
        for _ in 0..3 {
            let premises = Premises::new();
            let process = premises.start(&["admin", "migrate"]);
            eventually(moment, || (premises.path(moment).exists() || !process.is_running()).then_some(()));
            process.signal(Signal::KILL);
            let killed = process.end_within(PATIENCE);
            assert!(killed.signal() == Some(9) || killed.code() == Some(0), "{}", killed.stderr);
            premises.run(&["admin", "migrate"]).assert_code(0);
            let status = premises.run(&["admin", "migrate", "--status"]);
            assert!(!status.stdout.contains("pending"), "{}", status.stdout);
            premises.run(&["admin", "seed"]).assert_code(0);
        }
    }
}

#[test]
fn a_key_survives_a_restart_and_belongs_to_one_body() {
    let premises = Premises::furnished();
    let key = [("idempotency-key", "0c9d3e61-restart")];
    let order = guest_order("+1 555 0100", "once");
    let process = premises.open();
    let first = process.post("/api/v1/orders", &key, &order);
    assert_eq!(first.status, 201, "{}", first.text());
    process.close().assert_code(0);

    let process = premises.open();
    let again = process.post("/api/v1/orders", &key, &order);
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.header("location"), first.header("location"));
    let other = process.post("/api/v1/orders", &key, &guest_order("+1 555 0100", "twice"));
    other.assert_problem(422, "idempotency.reused");
    process.close().assert_code(0);
    assert_eq!(Ledger::read(&premises).notes().count(), 1);
}

/// A second process on the same file sees what the first one wrote, and neither disturbs the other.
#[test]
fn two_processes_share_one_database() {
    let premises = Premises::furnished();
    let houses = [premises.open(), premises.open()];
    std::thread::scope(|scope| {
        for (number, house) in houses.iter().enumerate() {
            scope.spawn(move || {
                let mut client: Client = house.connect();
                for order in 0..20 {
                    let notes = format!("{number}-{order}");
                    let order = guest_order(&format!("+1 555 010{number}"), &notes);
                    let answer = client.post("/api/v1/orders", &[], &order).expect("an answer");
                    assert_eq!(answer.status, 201, "{notes}: {}", answer.text());
                }
            });
        }
    });
    for house in houses {
        house.close().assert_code(0);
    }
    let ledger = Ledger::read(&premises);
    ledger.assert_sound();
    assert_eq!(ledger.notes().count(), 40);
}
