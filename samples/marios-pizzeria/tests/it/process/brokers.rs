//! Events through a broker: from the order to the customer's notification, by processes that share no more than settings.

use std::collections::BTreeSet;

use neuroglia_testing::services::{Nats, RabbitMq};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::{Answer, Premises, Process, eventually};

/// The pizzeria in two processes, with somebody for each step of an order.
struct Town {
    web: Process,
    worker: Process,
    customer: String,
    manager: String,
}

impl Town {
    fn open(premises: &Premises) -> Self {
        premises.hire("daisy@example.com", "customer", "a long password");
        premises.hire("peach@example.com", "manager", "a long password");
        let (web, worker) = (premises.open(), premises.open_as("worker"));
        let bearer = |name: &str| format!("Bearer {}", web.log_in(name, "a long password"));
        let (customer, manager) = (bearer("daisy@example.com"), bearer("peach@example.com"));
        Self { web, worker, customer, manager }
    }

    fn ask(&self, method: &str, path: &str, bearer: &str, body: &[u8]) -> Answer {
        let headers = [("authorization", bearer), ("content-type", "application/json")];
        self.web.connect().request(method, path, &headers, body).expect("an answer")
    }

    /// Has an order placed and cooked; gives its id.
    fn cook(&self) -> String {
        let order = json!({
            "customer": {"name": "Daisy", "phone": "+1 555 0101", "address": "1 Main St"},
            "lines": [{"pizza_id": "margherita", "size": "medium", "toppings": [], "quantity": 1}],
            "payment_method": "cash",
        });
        let placed = self.ask("POST", "/api/v1/orders", &self.customer, order.to_string().as_bytes());
        assert_eq!(placed.status, 201, "{}", placed.text());
        let id = placed.json()["id"].as_str().expect("an id").to_owned();
        for step in ["confirm", "cook", "ready"] {
            let path = format!("/api/v1/orders/{id}/{step}");
            assert_eq!(self.ask("POST", &path, &self.manager, b"").status, 200, "{step}");
        }
        id
    }

    /// What the customer was told of an order, the oldest first.
    fn told_of(&self, order: &str) -> Vec<Value> {
        let answer = self.ask("GET", "/api/v1/me/notifications", &self.customer, b"").json();
        let mut items = answer["items"].as_array().expect("a list").clone();
        items.retain(|item| item["order_id"] == order);
        items.sort_by_key(|item| item["at"].to_string());
        items.into_iter().map(|item| item["kind"].clone()).collect()
    }

    fn await_told(&self, order: &str) {
        eventually("the customer is told", || (self.told_of(order) == ["cooking", "ready"]).then_some(()));
    }

    fn close(self) {
        self.web.close().assert_code(0);
        self.worker.close().assert_code(0);
    }
}

#[test]
fn an_order_becomes_a_notification_through_rabbitmq() {
    let _turn = crate::prove::Bus::RabbitMq.take_turns();
    let premises = Premises::furnished().set("RABBITMQ_URL", RabbitMq::shared().url()).set("ADMIN_PORT", "0");
    let town = Town::open(&premises);
    let order = town.cook();
    town.await_told(&order);
    town.close();
}

#[test]
fn an_order_becomes_a_notification_through_nats_which_may_be_away_meanwhile() {
    let mut server = Nats::start();
    let premises = Premises::furnished().set("EVENT_BUS_URL", server.url()).set("ADMIN_PORT", "0");
    let town = Town::open(&premises);
    let first = town.cook();
    town.await_told(&first);
    server.stop();
    let second = town.cook();
    let ready = town.web.get("/health/ready");
    assert_eq!(ready.status, 200, "orders are taken all the same: {}", ready.text());
    assert_eq!(town.told_of(&second), [] as [Value; 0]);
    server.start_again();
    town.await_told(&second);
    town.close();
}

#[test]
fn a_broker_that_is_away_holds_no_boot() {
    let premises =
        Premises::furnished().set("EVENT_BUS_URL", "amqp://mario:hunter2@127.0.0.1:9").set("ADMIN_PORT", "0");
    for role in ["web", "worker"] {
        let process = premises.open_as(role);
        let finished = process.close();
        finished.assert_code(0);
        assert!(!finished.stdout.contains("hunter2") && !finished.stderr.contains("hunter2"));
    }
}

/// What the one signs with, and the other knows it by.
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn another_pizzeria_takes_each_event_once_whatever_form_it_comes_in() {
    for content in ["structured", "binary", "batch"] {
        let there = Premises::furnished().set("EVENT_INGEST_KEY", KEY);
        // Without a worker what it takes stays as it came.
        let other = there.open();
        let sink = format!("http://{}/events/ingest", other.address());
        let here = Premises::furnished().set("EVENT_BUS_URL", sink).set("EVENT_BUS_CONTENT", content);
        let here = here.set("EVENT_BUS_SIGNING_KEY", KEY).set("ADMIN_PORT", "0");
        let town = Town::open(&here);
        let order = town.cook();
        town.await_told(&order);
        let taken = eventually("the other has what this one has", || {
            let sent = Ledger::read(&here).deliveries()?;
            (Ledger::read(&there).deliveries()? == sent).then_some(sent)
        });
        let events: BTreeSet<_> = taken.iter().map(|(_, event)| event).collect();
        assert!(events.len() >= 4, "placed, confirmed, cooking, ready: {taken:?}");
        town.close();
        let other = other.close();
        other.assert_code(0);
        let lines = other.json_lines();
        let asked = lines.iter().filter(|line| line["http.route"] == "/events/ingest");
        let asked: Vec<_> = asked.map(|line| &line["http.status"]).collect();
        assert!(asked.iter().all(|status| **status == 202), "{content}: {asked:?}");
        // Of some nobody wants to know; they are sent as well, and passed over there.
        let fewest = if content == "batch" { 1 } else { events.len() };
        assert!(asked.len() >= fewest, "{content}: {asked:?} for {events:?}");
    }
}
