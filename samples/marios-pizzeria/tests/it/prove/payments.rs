//! Whatever dies and whatever the gateway does wrong, its ledger and the orders agree.
//!
//! A pizzeria and the sandbox are processes of their own, each behind a strait, so that what is started again is found
//! at the same address. Guests order by card, some change their minds, and some whose card was declined take another; now the pizzeria is killed, now the gateway,
//! while the gateway misbehaves in every way that it knows. In the end each order has exactly the movements that its
//! payment's status tells of, and there is no movement of anything else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use neuroglia::work::WorkRecord;
use neuroglia_testing::Strait;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::town::built;
use super::{Books, report, times};
use crate::process::{PATIENCE, Premises, Process, eventually, guest_order};

const API_KEY: &str = "d2hvIHBheXMgZm9yIHRoaXM";
const WEBHOOK_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FAULTS: [&str; 5] = ["slow", "error", "lost_answer", "duplicate_webhook", "reordered_webhooks"];

/// How long everything may take to come right after the last death: a dead node's work is given back after some 15 s,
/// and a gateway that was away, or times out on a busy machine, is called again after pauses of half a minute at most.
const QUIET_MAX: Duration = Duration::from_secs(150);

/// How many orders are placed in each round.
const ORDERS: usize = 8;

/// A side of the trade: the premises, the process while it lives, and the way to it.
struct Side {
    premises: Premises,
    /// How the process is started.
    arguments: &'static [&'static str],
    strait: Strait,
    process: Process,
}

impl Side {
    fn open(premises: Premises, arguments: &'static [&'static str], strait: Strait) -> Self {
        let mut process = premises.start(arguments);
        process.wait_until_ready();
        strait.lead_to(process.address().port());
        Self { premises, arguments, strait, process }
    }

    /// With another setting, for the processes to come.
    fn set(self, name: &'static str, value: &str) -> Self {
        Self { premises: self.premises.set(name, value), ..self }
    }

    /// Sudden death, and a new process.
    fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.strait.cut();
        let mut next = self.premises.start(self.arguments);
        next.wait_until_ready();
        self.strait.lead_to(next.address().port());
        self.process = next;
    }
}

/// A pizzeria and its gateway.
struct Trade {
    pizzeria: Side,
    gateway: Side,
    books: Books,
    manager: String,
}

impl Trade {
    /// With a gateway that knows this key.
    fn open(key: &str) -> Self {
        let (to_pizzeria, to_gateway) = (Strait::to(1), Strait::to(1));
        let gateway = Premises::new()
            .of_executable(built("examples/payment_gateway"))
            .set("API_KEY", key)
            .set("WEBHOOK_URL", format!("http://127.0.0.1:{}/api/v1/payments/webhook", to_pizzeria.port()))
            .set("WEBHOOK_KEY", WEBHOOK_KEY);
        let pizzeria = Premises::furnished()
            .set("KITCHEN_CAPACITY", "1000")
            .set("PAYMENT_URL", format!("http://127.0.0.1:{}", to_gateway.port()))
            .set("PAYMENT_API_KEY", API_KEY)
            .set("PAYMENT_WEBHOOK_KEY", WEBHOOK_KEY)
            .set("PAYMENT_TIMEOUT", "1s");
        pizzeria.hire("peach@example.com", "manager", "a mushroom a day");
        let books = Books::open(pizzeria.setting("DATABASE_URL"));
        let gateway = Side::open(gateway, &[], to_gateway);
        let pizzeria = Side::open(pizzeria, &["all"], to_pizzeria);
        let manager = pizzeria.process.log_in("peach@example.com", "a mushroom a day");
        Self { pizzeria, gateway, books, manager }
    }

    fn misbehave(&self, kind: &str, count: usize) {
        let answer = self.gateway.process.post("/v1/faults", &[], &json!({"kind": kind, "count": count}));
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Places orders by card; every fifth card is declined, and every third order is cancelled at once.
    fn place(&self, round: usize) {
        for number in 0..ORDERS {
            let mut order = guest_order(&format!("+1 555 {round:03} {number:04}"), "by card");
            let declined = number % 5 == 4;
            order["payment_method"] = json!("credit_card");
            order["payment_source"] = json!(if declined { "tok_declined" } else { "tok_visa" });
            let placed = self.pizzeria.process.post("/api/v1/orders", &[], &order);
            assert_eq!(placed.status, 201, "{}", placed.text());
            if number % 3 == 2 {
                let placed = placed.json();
                let text = |name: &str| placed[name].as_str().expect("a text").to_owned();
                let path = format!("/api/v1/orders/{}/cancel", text("id"));
                let token = text("tracking_token");
                let headers = [("x-tracking-token", token.as_str())];
                let answer = self.pizzeria.process.post(&path, &headers, &json!({"reason": "not hungry"}));
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
    }

    fn orders(&self) -> Vec<Value> {
        self.books.documents("orders")
    }

    /// Waits until nobody has anything to do, on either side.
    fn wait_until_quiet(&self) {
        let deadline = Instant::now() + QUIET_MAX;
        while !self.books.is_quiet() {
            assert!(Instant::now() < deadline, "it does not become quiet: {:#?}", self.books.live());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Has every order whose card was declined paid by another one; how many there are.
    fn pay_otherwise(&self) -> usize {
        let authorization = format!("Bearer {}", self.manager);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = json!({"payment_method": "debit_card", "payment_source": "tok_visa"}).to_string();
        let is_declined =
            |order: &&Value| order["status"] == "pending" && order["payment"]["status"] == "failed";
        let orders = self.orders();
        let declined: Vec<_> = orders.iter().filter(is_declined).collect();
        for order in &declined {
            let path = format!("/api/v1/orders/{}/payment", order["id"].as_str().expect("an id"));
            let mut client = self.pizzeria.process.connect();
            let answer = client.request("PUT", &path, &headers, body.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        declined.len()
    }

    /// Brings half of the confirmed orders to the door, and gives the others up, as the manager may.
    fn conclude(&self) -> usize {
        let authorization = format!("Bearer {}", self.manager);
        let headers = [("authorization", authorization.as_str())];
        let step = |order: &Value, step: &str, body: &Value| {
            let path = format!("/api/v1/orders/{}/{step}", order["id"].as_str().expect("an id"));
            let answer = self.pizzeria.process.post(&path, &headers, body);
            assert_eq!(answer.status, 200, "{step}: {}", answer.text());
        };
        let confirmed: Vec<_> =
            self.orders().into_iter().filter(|order| order["status"] == "confirmed").collect();
        for (number, order) in confirmed.iter().enumerate() {
            if number % 2 == 0 {
                for name in ["cook", "ready", "deliver", "complete"] {
                    step(order, name, &Value::Null);
                }
            } else {
                step(order, "cancel", &json!({"reason": "out of cheese"}));
            }
        }
        confirmed.len()
    }

    /// Checks that ledger and orders agree, and gives how many movements there are.
    #[track_caller]
    fn assert_agreement(&self) -> usize {
        let ledger = eventually("the gateway answers", || {
            let answer = self.gateway.process.get("/v1/ledger");
            (answer.status == 200).then(|| answer.json())
        });
        let ledger = ledger["items"].as_array().expect("a list").clone();
        let mut movements: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for movement in &ledger {
            let text = |name: &str| movement[name].as_str().expect("a text").to_owned();
            movements.entry(text("reference")).or_default().push(text("kind"));
        }
        for order in self.orders() {
            let id = order["id"].as_str().expect("an id");
            let found = movements.remove(id).unwrap_or_default();
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            // Every attempt to pay but the last was declined.
            let before = order["payment"]["attempt"].as_u64().expect("a number") - 1;
            let before = usize::try_from(before).expect("few attempts");
            let (declined, last) = found.split_at(before.min(found.len()));
            let is_declined = |kinds: &[&str]| kinds.iter().all(|kind| *kind == "decline");
            let (status, payment) =
                (&order["status"], order["payment"]["status"].as_str().unwrap_or_default());
            let agrees = match payment {
                "authorized" => status == "confirmed" && last == ["authorize"],
                "captured" => status == "delivered" && last == ["authorize", "capture"],
                "refunded" => status == "cancelled" && (last.is_empty() || last == ["authorize", "refund"]),
                "failed" => last == ["decline"],
                _ => false,
            };
            assert!(
                agrees && is_declined(declined) && declined.len() == before,
                "the order {id} is {status} and its payment {payment}; the ledger has {found:?}; given up: {:#?}",
                self.books.given_up()
            );
        }
        assert!(movements.is_empty(), "movements of no order: {movements:?}");
        ledger.len()
    }
}

#[test]
fn the_ledger_and_the_orders_agree_after_deaths_on_both_sides_and_every_fault() {
    let mut trade = Trade::open(API_KEY);
    let rounds = times(2, 10);
    let mut deaths = 0;
    for round in 0..rounds {
        for fault in FAULTS {
            trade.misbehave(fault, 2);
        }
        trade.place(round * 2);
        trade.gateway.kill();
        for fault in FAULTS {
            trade.misbehave(fault, 2);
        }
        trade.place(round * 2 + 1);
        trade.pizzeria.kill();
        deaths += 2;
    }
    trade.wait_until_quiet();
    trade.assert_agreement();

    // Those whose card was declined take another.
    for fault in FAULTS {
        trade.misbehave(fault, 2);
    }
    let otherwise = trade.pay_otherwise();
    assert!(otherwise >= rounds, "some cards are declined: {otherwise}");
    trade.gateway.kill();
    trade.pizzeria.kill();
    deaths += 2;
    trade.wait_until_quiet();
    let authorised = trade.assert_agreement();

    // The same at the other end of an order's life.
    for fault in FAULTS {
        trade.misbehave(fault, 2);
    }
    let concluded = trade.conclude();
    assert!(concluded >= rounds, "most cards are good: {concluded}");
    trade.pizzeria.kill();
    trade.gateway.kill();
    deaths += 2;
    trade.wait_until_quiet();
    let movements = trade.assert_agreement();
    assert!(movements > authorised, "{authorised} movements, and no more than {movements} in the end");
    let orders = trade.orders();
    let count = |payment: &str| orders.iter().filter(|order| order["payment"]["status"] == payment).count();
    report(&format!(
        "payments: {} orders by card, {otherwise} by another one after a decline, {deaths} deaths on both sides, {movements} \
         movements: {} captured, {} refunded, {} declined, and the ledger agrees with each",
        orders.len(),
        count("captured"),
        count("refunded"),
        count("failed"),
    ));
    for side in [trade.pizzeria, trade.gateway] {
        side.process.signal(Signal::TERM);
        side.process.end_within(PATIENCE);
    }
}

#[test]
fn a_gateway_that_does_not_know_our_key_is_asked_until_it_does() {
    let mut trade = Trade::open("c29tZWJvZHkgZWxzZSdzIGtleQ");
    trade.place(0);
    eventually("every order by card that is not cancelled is refused", || {
        let was_refused = |work: &WorkRecord| {
            work.failures.iter().any(|failure| failure.error.contains("answered with 401"))
        };
        let refused =
            trade.books.work_of("payment.authorise", &[]).iter().filter(|work| was_refused(work)).count();
        // Two are cancelled, and may have been tried before.
        (refused >= ORDERS - ORDERS / 3).then_some(())
    });
    assert_eq!(trade.pizzeria.process.get("/health/live").status, 200);
    let was_declined = |order: &Value| order["payment"]["status"] == "failed";
    assert!(!trade.orders().iter().any(was_declined), "who does not know us says nothing of a card");

    trade.gateway = trade.gateway.set("API_KEY", API_KEY);
    trade.gateway.kill();
    trade.wait_until_quiet();
    let movements = trade.assert_agreement();
    assert!(trade.books.given_up().is_empty(), "{:#?}", trade.books.given_up());
    report(&format!(
        "payments: {ORDERS} orders by card while the gateway refused our key: none given up, {movements} movements when it \
         knew us, and the ledger agrees with each"
    ));
    trade.pizzeria.process.signal(Signal::TERM);
    let finished = trade.pizzeria.process.end_within(PATIENCE);
    assert!(!finished.stdout.contains(API_KEY) && !finished.stderr.contains(API_KEY), "{}", finished.stdout);
}
