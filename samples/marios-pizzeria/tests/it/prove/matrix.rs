//! The whole pizzeria on whatever it is attached to, changed by nothing but its environment.
//!
//! One day from an order to the report of the day, once for each way to choose a store, a bus and a cache: in the short
//! form so that each pair of two occurs, in full all of them. And the swap: what was written to one store is not in
//! another, and is there again when the first comes back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use neuroglia::clock::{Clock, Timestamp};
use neuroglia_testing::services::{Nats, RabbitMq, Redis, Smtp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Engine, at_once, is_full, report};
use crate::process::{Client, Premises, Process, eventually, guest_order};

const STORES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mongo];
const BUSES: [Bus; 3] = [Bus::Local, Bus::RabbitMq, Bus::Nats];
const CACHES: [Cache; 2] = [Cache::Memory, Cache::Redis];

/// How many days pass at once.
const AT_ONCE: usize = 3;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// What the clock of the pizzeria shows when the order comes, in seconds of a day.
const EVENING_S: u64 = 23 * HOUR_S;

/// What it shows when the pizzeria is opened again: the report is written at four.
const MORNING_S: u64 = 4 * HOUR_S - 10;

pub(super) const PASSWORD: &str = "it is a me, mario";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    Local,
    RabbitMq,
    Nats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cache {
    Memory,
    Redis,
}

/// What a day is attached to.
#[derive(Debug, Clone, Copy)]
struct Choice {
    store: Engine,
    bus: Bus,
    cache: Cache,
}

impl Bus {
    pub(super) fn attach(self, premises: Premises) -> Premises {
        match self {
            Self::Local => premises,
            Self::RabbitMq => premises.set("EVENT_BUS_URL", RabbitMq::shared().url()),
            Self::Nats => premises.set("EVENT_BUS_URL", Nats::shared().url()),
        }
    }

    /// The same with a broker, or a part of one, that nobody else has: for processes with more consumers than others
    /// have, which would take in what others raise.
    pub(super) fn attach_apart(self, premises: Premises) -> (Premises, Option<Nats>) {
        match self {
            Self::Local => (premises, None),
            Self::RabbitMq => (premises.set("EVENT_BUS_URL", RabbitMq::shared().create_host()), None),
            Self::Nats => {
                let server = Nats::start();
                (premises.set("EVENT_BUS_URL", server.url()), Some(server))
            }
        }
    }

    /// What health calls it; the store is not called twice.
    fn kind(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::RabbitMq => Some("rabbitmq"),
            Self::Nats => Some("nats"),
        }
    }

    /// A broker serves one day at a time: its exchanges and queues have the pizzeria's name, not the day's.
    pub(crate) fn take_turns(self) -> Option<MutexGuard<'static, ()>> {
        static RABBITMQ: Mutex<()> = Mutex::new(());
        static NATS: Mutex<()> = Mutex::new(());
        let turn = match self {
            Self::Local => return None,
            Self::RabbitMq => &RABBITMQ,
            Self::Nats => &NATS,
        };
        Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All choices, or as few as have each pair of two.
fn choices() -> Vec<Choice> {
    let mut choices = Vec::new();
    for (row, store) in STORES.into_iter().enumerate() {
        for (column, bus) in BUSES.into_iter().enumerate() {
            let caches = CACHES.into_iter().enumerate();
            let chosen = caches.filter(|(place, _)| is_full() || *place == (row + column) % CACHES.len());
            choices.extend(chosen.map(|(_, cache)| Choice { store, bus, cache }));
        }
    }
    choices
}

#[test]
fn each_pair_of_choices_occurs_in_the_short_form() {
    let has = |wanted: &dyn Fn(&Choice) -> bool| choices().iter().any(wanted);
    for store in STORES {
        assert!(BUSES.iter().all(|bus| has(&|choice| choice.store == store && choice.bus == *bus)));
        assert!(CACHES.iter().all(|cache| has(&|choice| choice.store == store && choice.cache == *cache)));
    }
    for bus in BUSES {
        assert!(CACHES.iter().all(|cache| has(&|choice| choice.bus == bus && choice.cache == *cache)));
    }
}

#[test]
fn the_whole_pizzeria_runs_on_whatever_its_environment_names() {
    let choices = choices();
    let count = choices.len();
    at_once(AT_ONCE, choices, pass);
    report(&format!("{count} days from order to report, each on another store, bus or cache"));
}

/// A day: an order in the evening, and the report of the next morning, by another process.
fn pass(choice: Choice) {
    let Choice { store, bus, cache } = choice;
    let _turn = bus.take_turns();
    let smtp = Smtp::start();
    let redis = (cache == Cache::Redis).then(Redis::start);
    let (premises, _kept) = store.attach(Premises::new());
    let premises = match &redis {
        Some(redis) => bus.attach(premises).set("CACHE_URL", redis.url()),
        None => bus.attach(premises),
    };
    let premises = premises.set("SMTP_URL", smtp.url()).set("REPORT_TO", "mario@example.com");
    let premises = premises.set("ADMIN_PORT", "0");
    premises.run(&["admin", "migrate"]).assert_code(0);
    premises.run(&["admin", "seed"]).assert_code(0);
    premises.hire("mario", "manager", PASSWORD);
    let mail_to = |address: &str| {
        let mut arrived = smtp.arrived();
        arrived.retain(|mail| mail.to == [address]);
        arrived
    };

    let day = Clock::system().now().since(Timestamp::UNIX_EPOCH).as_secs() / DAY_S;
    let premises = premises.set("TIME_ZONE", zone_in_which_it_is(day, EVENING_S));
    let evening = premises.open_as("all");
    let manager = evening.log_in("mario", PASSWORD);
    order_is_delivered(&evening, &manager);
    eventually("each notification has arrived", || (mail_to("ada@example.com").len() == 4).then_some(()));
    eventually("the sale is counted", || {
        let overview = ask(&evening, "GET", "/api/v1/statistics/overview", &manager);
        (overview["orders"]["delivered"] == 1).then_some(())
    });
    assert_kinds(&evening, choice, redis.is_some());
    evening.close().assert_code(0);

    let premises = premises.set("TIME_ZONE", zone_in_which_it_is(day, MORNING_S));
    let morning = premises.open_as("all");
    let text = eventually("the report of the day has arrived", || mail_to("mario@example.com").pop()?.text);
    for fact in ["Orders: 1\n", "Delivered: 1\n"] {
        assert!(text.contains(fact), "{choice:?}: no {fact:?} in {text}");
    }
    morning.close().assert_code(0);
    assert_eq!(mail_to("ada@example.com").len(), 4, "{choice:?}: a message came twice");
}

/// A time zone whose clock shows this many seconds of a day now: of the day before this one for those after noon, of this
/// one otherwise.
fn zone_in_which_it_is(day: u64, local_s: u64) -> String {
    let now_s = Clock::system().now().since(Timestamp::UNIX_EPOCH).as_secs() - day * DAY_S;
    let local_s = if local_s > DAY_S / 2 { local_s } else { local_s + DAY_S };
    // POSIX writes what is added to the local time to have the universal one.
    let (sign, west_s) =
        if now_s + DAY_S >= local_s { ("", now_s + DAY_S - local_s) } else { ("-", local_s - now_s - DAY_S) };
    format!("<here>{sign}{}:{:02}:{:02}", west_s / HOUR_S, west_s / MINUTE_S % 60, west_s % MINUTE_S)
}

/// Has an order go all the way.
fn order_is_delivered(pizzeria: &Process, manager: &str) {
    assert_eq!(pizzeria.get("/api/v1/pizzas/margherita").status, 200);
    let id = place(pizzeria);
    let path = format!("/api/v1/orders/{id}");
    for step in ["confirm", "cook", "ready", "deliver", "complete"] {
        ask(pizzeria, "POST", &format!("{path}/{step}"), manager);
    }
    assert_eq!(ask(pizzeria, "GET", &path, manager)["status"], "delivered");
}

/// Places an order; gives its id.
fn place(pizzeria: &Process) -> String {
    let mut order = guest_order("+1 555 0100", "");
    order["customer"]["email"] = json!("ada@example.com");
    let placed = pizzeria.post("/api/v1/orders", &[], &order);
    assert_eq!(placed.status, 201, "{}", placed.text());
    placed.json()["id"].as_str().expect("an id").to_owned()
}

/// What is answered to somebody with this token.
#[track_caller]
fn ask(pizzeria: &Process, method: &str, path: &str, token: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let answer = pizzeria.connect().request(method, path, &[("authorization", &bearer)], b"");
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.json()
}

/// What health calls a store.
fn kind_of(store: Engine) -> &'static str {
    match store {
        Engine::Sqlite => "sqlite",
        Engine::Postgres => "postgres",
        Engine::Mongo => "mongodb",
    }
}

/// Health tells operators what is attached, and that all of it is well.
fn assert_kinds(pizzeria: &Process, choice: Choice, has_redis: bool) {
    let kinds = [Some(kind_of(choice.store)), choice.bus.kind(), has_redis.then_some("redis"), Some("smtp")];
    // One check takes a second at most, and may be too short for a server that is busy with three days.
    eventually(&format!("{choice:?}: {kinds:?} are well"), || {
        let mut client = Client::connect(pizzeria.admin_address()).ok()?;
        let health = client.request("GET", "/health/ready", &[], b"").ok()?.json();
        let checks = health["checks"].as_array()?;
        let is_up = |kind: &str| checks.iter().any(|check| check["kind"] == kind && check["up"] == true);
        kinds.into_iter().flatten().all(is_up).then_some(())
    });
}

#[test]
fn a_store_is_swapped_and_swapped_back_by_its_url_alone() {
    for (one, other) in [
        (Engine::Sqlite, Engine::Postgres),
        (Engine::Postgres, Engine::Mongo),
        (Engine::Mongo, Engine::Sqlite),
    ] {
        let ((here, _here), (there, _there)) = (one.attach(Premises::new()), other.attach(Premises::new()));
        for premises in [&here, &there] {
            premises.run(&["admin", "migrate"]).assert_code(0);
            premises.run(&["admin", "seed"]).assert_code(0);
            premises.hire("mario", "manager", PASSWORD);
        }
        let (order, digest) = with_pizzeria(&here, |pizzeria, _| (place(pizzeria), digest_of(pizzeria)));
        let path = format!("/api/v1/orders/{order}");
        for (premises, status) in [(&there, 404), (&here, 200)] {
            with_pizzeria(premises, |pizzeria, manager| {
                let bearer = format!("Bearer {manager}");
                let answer = pizzeria.connect().request("GET", &path, &[("authorization", &bearer)], b"");
                let found = answer.expect("an answer").status;
                assert_eq!(found, status, "from {one:?} to {other:?} and back");
                assert_eq!(digest_of(pizzeria), digest, "it is the same executable");
            });
        }
    }
    report("3 swaps of the store and back: what was written is where it was written, and nothing was built");
}

/// Opens the pizzeria for one visit of its manager.
fn with_pizzeria<T>(premises: &Premises, visit: impl FnOnce(&Process, &str) -> T) -> T {
    let pizzeria = premises.open();
    let seen = visit(&pizzeria, &pizzeria.log_in("mario", PASSWORD));
    pizzeria.close().assert_code(0);
    seen
}

/// The digest of what this process runs.
fn digest_of(pizzeria: &Process) -> Vec<u8> {
    let executable = format!("/proc/{}/exe", pizzeria.pid().as_raw_nonzero());
    Sha256::digest(std::fs::read(executable).expect("Linux shows it")).to_vec()
}
