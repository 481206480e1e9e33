//! Each attached resource, ill in each way: the pizzeria stands, answers in bounded time, loses nothing that it has
//! accepted, and is well again without a restart.
//!
//! The effect that is waited for is an e-mail to who ordered. On its way are the store, the bus, a handler, a job and the
//! mail server, so whichever of them was ill, it arrives when all of them are well.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use neuroglia::id::Ids;
use neuroglia_testing::services::{Mongo, Redis, Smtp};
use neuroglia_testing::{Strait, Weather};
use serde_json::{Value, json};
use url::Url;

use super::matrix::Bus;
use super::town::Ground;
use super::{Books, Engine, at_once, report};
use crate::process::{Answer, Premises, Process, eventually, guest_order};

/// How long an illness lasts.
const ILL: Duration = Duration::from_secs(3);

/// What passes between two orders.
const PAUSE: Duration = Duration::from_millis(200);

/// The limit of a request, and what may pass until its answer has arrived.
const REQUEST_TIMEOUT: &str = "5s";
const ANSWER_MAX: Duration = Duration::from_secs(6);

/// How long the process itself may take to say that it lives.
const ALIVE_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Postgres,
    /// Or what stands in for it.
    Mongo,
    Redis,
    RabbitMq,
    Nats,
    Smtp,
}

const RESOURCES: [Resource; 6] = [
    Resource::Postgres,
    Resource::Mongo,
    Resource::Redis,
    Resource::RabbitMq,
    Resource::Nats,
    Resource::Smtp,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Illness {
    Refused,
    Reset,
    Silent,
    Slow,
    HalfOpen,
}

const ILLNESSES: [Illness; 5] =
    [Illness::Refused, Illness::Reset, Illness::Silent, Illness::Slow, Illness::HalfOpen];

impl Illness {
    const fn weather(self) -> Weather {
        match self {
            Self::Refused => Weather::Closed,
            Self::Reset => Weather::Fair,
            Self::Silent => Weather::Silent,
            Self::Slow => Weather::Slow(Duration::from_millis(100)),
            Self::HalfOpen => Weather::HalfOpen,
        }
    }
}

#[test]
fn whatever_ails_a_resource_nothing_is_lost_and_nobody_starts_again() {
    at_once(RESOURCES.len(), RESOURCES, |resource| {
        let _turn = match resource {
            Resource::RabbitMq => Bus::RabbitMq.take_turns(),
            Resource::Nats => Bus::Nats.take_turns(),
            Resource::Postgres | Resource::Mongo | Resource::Redis | Resource::Smtp => None,
        };
        let ward = Ward::open(resource);
        let asked: usize = ILLNESSES.into_iter().map(|illness| ward.suffer(illness)).sum();
        ward.pizzeria.close().assert_code(0);
        let orders = Books::open(&ward.database).documents("orders").len();
        assert_eq!(orders, asked, "{resource:?}: each that was asked for is there once");
    });
}

/// A pizzeria with a resource that may fall ill.
struct Ward {
    resource: Resource,
    pizzeria: Process,
    strait: Strait,
    smtp: Smtp,
    /// Where the orders are, by the straight way.
    database: String,
    _premises: Premises,
    _ground: Ground,
    _redis: Option<Redis>,
    _mongo: Option<Mongo>,
}

/// A guest's order: the key that it is asked for by, and who is told of it.
struct Asked {
    key: String,
    address: String,
    body: Value,
}

/// An order that was accepted, and what its guest cancels it with.
#[derive(PartialEq, Eq)]
struct Accepted {
    id: String,
    token: String,
}

impl Asked {
    fn new() -> Self {
        let id = Ids::random().next_uuid();
        let key = id.simple().to_string();
        let address = format!("{key}@example.com");
        // A customer is known by the phone, and keeps the address that came first.
        let mut body = guest_order(&format!("+1 555 {:07}", id.as_u128() % 10_000_000), "");
        body["customer"]["email"] = json!(address);
        Self { key, address, body }
    }
}

impl Ward {
    fn open(resource: Resource) -> Self {
        let smtp = Smtp::start();
        let redis = (resource == Resource::Redis).then(Redis::start);
        // Not one that the environment names: that is elsewhere, and the way through the strait leads to this machine.
        let mongo = (resource == Resource::Mongo).then(Mongo::start);
        let engine = if resource == Resource::Postgres { Engine::Postgres } else { Engine::Sqlite };
        let (premises, ground) = engine.attach(Premises::new());
        let premises = match &mongo {
            // The server names itself to a driver that looks for the others of its set.
            Some(mongo) => premises.set("DATABASE_URL", format!("{}shop?directConnection=true", mongo.url())),
            None => premises,
        };
        let premises = premises.set("SMTP_URL", smtp.url()).set("HTTP_RATE_LIMIT", "10000/1s");
        let premises = premises.set("HTTP_REQUEST_TIMEOUT", REQUEST_TIMEOUT);
        let premises = match resource {
            Resource::RabbitMq => Bus::RabbitMq.attach(premises),
            Resource::Nats => Bus::Nats.attach(premises),
            _ => premises,
        };
        let premises = match &redis {
            Some(redis) => premises.set("CACHE_URL", redis.url()),
            None => premises,
        };
        premises.run(&["admin", "migrate"]).assert_code(0);
        premises.run(&["admin", "seed"]).assert_code(0);

        let database = premises.setting("DATABASE_URL").to_owned();
        let variable = match resource {
            Resource::Postgres | Resource::Mongo => "DATABASE_URL",
            Resource::Redis => "CACHE_URL",
            Resource::RabbitMq | Resource::Nats => "EVENT_BUS_URL",
            Resource::Smtp => "SMTP_URL",
        };
        let mut url: Url = premises.setting(variable).parse().expect("a URL");
        let strait = Strait::to(url.port().expect("it names a port"));
        url.set_port(Some(strait.port())).expect("it has a host");
        let premises = premises.set(variable, url.as_str());
        let pizzeria = premises.open_as("all");
        Self {
            resource,
            pizzeria,
            strait,
            smtp,
            database,
            _premises: premises,
            _ground: ground,
            _redis: redis,
            _mongo: mongo,
        }
    }

    /// Gives how many orders were asked for.
    fn suffer(&self, illness: Illness) -> usize {
        // What it tells of is on its way when the illness begins.
        let before = Asked::new();
        let accepted = self.order(&before).expect("all are well");
        self.cancel(&accepted).expect("all are well");
        // That the way leads through the strait shows when it is cut.
        eventually("somebody is on the way", || (self.strait.cut() > 0).then_some(()));

        let began = Instant::now();
        self.strait.turn(illness.weather());
        let (mut slowest, mut during) = (Duration::ZERO, Vec::new());
        while began.elapsed() < ILL {
            if illness == Illness::Reset {
                self.strait.cut();
            }
            let (alive, took) = timed(|| self.get("/health/live"));
            assert!(alive.is_some_and(|answer| answer.status == 200), "{self:?} {illness:?}: it is dead");
            assert!(took < ALIVE_MAX, "{self:?} {illness:?}: {took:?} until it said that it lives");
            let (menu, took) = timed(|| self.get("/api/v1/pizzas"));
            assert!(
                menu.is_some_and(|answer| [200, 503, 504].contains(&answer.status)),
                "{self:?} {illness:?}"
            );
            slowest = slowest.max(took);
            let asked = Asked::new();
            let (order, took) = timed(|| self.order(&asked));
            slowest = slowest.max(took);
            during.push((asked, order));
            std::thread::park_timeout(PAUSE);
        }
        assert!(slowest < ANSWER_MAX, "{self:?} {illness:?}: somebody waited {slowest:?}");

        let well = Instant::now();
        self.strait.turn(Weather::Fair);
        // Who was not answered, or was told "later", asks again: nobody gets a second order.
        for (asked, order) in &during {
            let again = eventually("an order is accepted", || self.order(asked));
            assert!(
                order.as_ref().is_none_or(|order| *order == again),
                "{self:?} {illness:?}: a second order"
            );
            eventually("an order is cancelled", || self.cancel(&again));
        }
        for asked in during.iter().map(|(asked, _)| asked).chain([&before]) {
            let what = format!("{self:?} {illness:?}: the mail of each order");
            let ids = eventually(&what, || {
                let ids = self.mail_to(&asked.address);
                (!ids.is_empty()).then_some(ids)
            });
            // A server that has taken it and could not say so gets the same message again.
            assert_eq!(ids.len(), 1, "{self:?} {illness:?}: two messages of one order");
        }
        let recovered = well.elapsed();
        let resource = self.resource;
        let orders = during.len();
        report(&format!(
            "{resource:?} {illness:?}: {orders} orders, the slowest answer after {slowest:.1?}, all done {recovered:.1?} after it was well"
        ));
        orders + 1
    }

    fn get(&self, path: &str) -> Option<Answer> {
        self.pizzeria.connect().request("GET", path, &[], b"").ok()
    }

    /// The order, when it was accepted.
    fn order(&self, asked: &Asked) -> Option<Accepted> {
        let key = [("idempotency-key", asked.key.as_str())];
        let answer = self.pizzeria.connect().post("/api/v1/orders", &key, &asked.body).ok()?;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        match answer.status {
            201 => {
                let order = answer.json();
                Some(Accepted { id: text(&order["id"]), token: text(&order["tracking_token"]) })
            }
            409 | 503 | 504 => None,
            status => panic!("{self:?}: an order was answered with {status}: {}", answer.text()),
        }
    }

    /// Has the guest cancel an order, which is told by mail; nothing when there was no answer, or it was "later".
    fn cancel(&self, Accepted { id, token }: &Accepted) -> Option<()> {
        let path = format!("/api/v1/orders/{id}/cancel");
        let token = [("x-tracking-token", token.as_str())];
        let answer = self.pizzeria.connect().post(&path, &token, &json!({ "reason": "never mind" })).ok()?;
        match answer.status {
            // It was cancelled already, by a try that nobody heard of.
            200 | 422 => Some(()),
            409 | 503 | 504 => None,
            status => panic!("{self:?}: a cancellation was answered with {status}: {}", answer.text()),
        }
    }

    /// The ids of the messages to an address.
    fn mail_to(&self, address: &str) -> BTreeSet<String> {
        let arrived = self.smtp.arrived().into_iter().filter(|mail| mail.to == [address]);
        let id = |headers: Vec<(String, String)>| {
            headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("message-id")).expect("an id").1
        };
        arrived.map(|mail| id(mail.headers)).collect()
    }
}

impl std::fmt::Debug for Ward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.resource)
    }
}

fn timed<T>(ask: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (ask(), began.elapsed())
}
