//! Each attached resource, ill in each way: the pizzeria stands, answers in bounded time, loses nothing that it has
//! accepted, and is well again without a restart.
//!
//! The effect that is waited for is an e-mail to who ordered. On its way are the store, the bus, a handler, a job and the
//! mail server, so whichever of them was ill, it arrives when all of them are well.

mod servers;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use neuroglia::id::Ids;
use neuroglia_testing::services::{Database, Smtp};
use neuroglia_testing::{Strait, Weather};
use serde_json::{Value, json};
use url::Url;

use super::{Books, at_once, is_full, report};
use crate::process::{Answer, Client, Premises, Process, eventually, guest_order};
use servers::Server;

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
    /// It is stopped, and started again on the same port with the same data.
    Restarted,
    /// The password is changed, and later changed back.
    WrongCredentials,
}

const ILLNESSES: [Illness; 7] = [
    Illness::Refused,
    Illness::Reset,
    Illness::Silent,
    Illness::Slow,
    Illness::HalfOpen,
    Illness::Restarted,
    Illness::WrongCredentials,
];

impl Illness {
    const fn weather(self) -> Weather {
        match self {
            Self::Refused => Weather::Closed,
            Self::Reset | Self::Restarted | Self::WrongCredentials => Weather::Fair,
            Self::Silent => Weather::Silent,
            Self::Slow => Weather::Slow(Duration::from_millis(100)),
            Self::HalfOpen => Weather::HalfOpen,
        }
    }

    /// Whether it is the server that is ill, and not the way to it.
    const fn is_of_the_server(self) -> bool {
        matches!(self, Self::Restarted | Self::WrongCredentials)
    }
}

impl Resource {
    /// What it suffers in this form. Those that start in no time suffer everything in any.
    fn illnesses(self) -> impl Iterator<Item = Illness> {
        let has_all = is_full() || matches!(self, Self::Redis | Self::Nats | Self::Smtp);
        ILLNESSES.into_iter().filter(move |illness| has_all || !illness.is_of_the_server())
    }

    /// The setting that leads to it.
    const fn variable(self) -> &'static str {
        match self {
            Self::Postgres | Self::Mongo => "DATABASE_URL",
            Self::Redis => "CACHE_URL",
            Self::RabbitMq | Self::Nats => "EVENT_BUS_URL",
            Self::Smtp => "SMTP_URL",
        }
    }

    /// What health calls it.
    const fn kind(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mongo => "mongodb",
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
            Self::Nats => "nats",
            Self::Smtp => "smtp",
        }
    }
}

#[test]
fn whatever_ails_a_resource_nothing_is_lost_and_nobody_starts_again() {
    at_once(RESOURCES.len(), RESOURCES, |resource| {
        let mut ward = Ward::open(resource);
        let asked: usize = resource.illnesses().map(|illness| ward.suffer(illness)).sum();
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
    /// Where mail goes, unless the mail server is the one that is ill.
    smtp: Smtp,
    /// Where the orders are, by the straight way.
    database: String,
    _premises: Premises,
    /// Deleted while its server still runs.
    _postgres: Option<Database>,
    server: Server,
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
        let (smtp, server) = (Smtp::start(), Server::start(resource));
        let postgres = (resource == Resource::Postgres).then(|| Database::create_on(&server.url));
        let there = postgres.as_ref().map_or_else(|| server.url.clone(), Database::url);
        let premises = Premises::new().set("SMTP_URL", smtp.url()).set("HTTP_RATE_LIMIT", "10000/1s");
        let premises = premises.set("HTTP_REQUEST_TIMEOUT", REQUEST_TIMEOUT).set("ADMIN_PORT", "0");
        let premises = premises.set(resource.variable(), there.as_str());
        premises.run(&["admin", "migrate"]).assert_code(0);
        premises.run(&["admin", "seed"]).assert_code(0);

        let database = premises.setting("DATABASE_URL").to_owned();
        let mut url: Url = there.parse().expect("a URL");
        let strait = Strait::to(url.port().expect("it names a port"));
        url.set_port(Some(strait.port())).expect("it has a host");
        let premises = premises.set(resource.variable(), url.as_str());
        let pizzeria = premises.open_as("all");
        Self { resource, pizzeria, strait, smtp, database, _premises: premises, _postgres: postgres, server }
    }

    /// Gives how many orders were asked for.
    fn suffer(&mut self, illness: Illness) -> usize {
        // What it tells of is on its way when the illness begins.
        let before = Asked::new();
        let accepted = self.order(&before).expect("all are well");
        self.cancel(&accepted).expect("all are well");
        // That the way leads through the strait shows when it is cut.
        eventually("somebody is on the way", || (self.strait.cut() > 0).then_some(()));

        let began = Instant::now();
        self.fall_ill(illness);
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
        if illness.is_of_the_server() {
            eventually("operators see that it is ill", || (!self.is_up()?).then_some(()));
        }

        self.recover(illness);
        let well = Instant::now();
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

    fn fall_ill(&mut self, illness: Illness) {
        self.strait.turn(illness.weather());
        match illness {
            Illness::Restarted => self.server.stop(),
            Illness::WrongCredentials => {
                self.server.change_password(true);
                // Who is in stays in, until he has to come in again.
                self.strait.cut();
            }
            _ => {}
        }
    }

    fn recover(&mut self, illness: Illness) {
        match illness {
            Illness::Restarted => self.server.start_again(),
            Illness::WrongCredentials => self.server.change_password(false),
            _ => self.strait.turn(Weather::Fair),
        }
    }

    /// What health says of the resource.
    fn is_up(&self) -> Option<bool> {
        let mut client = Client::connect(self.pizzeria.admin_address()).ok()?;
        let health = client.request("GET", "/health/ready", &[], b"").ok()?.json();
        let kind = self.resource.kind();
        health["checks"].as_array()?.iter().find(|check| check["kind"] == kind)?["up"].as_bool()
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
        let smtp = self.server.as_smtp().unwrap_or(&self.smtp);
        let arrived = smtp.arrived().into_iter().filter(|mail| mail.to == [address]);
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
