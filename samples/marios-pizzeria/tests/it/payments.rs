//! Cards, with the sandbox as the gateway: its ledger and the orders agree, whatever it does wrong.

use std::time::Duration;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::webhook::WebhookKey;
use neuroglia::work::{Job, NewWork, WorkFilter, WorkState};
use neuroglia_testing::workbench::{enqueue, named};
use neuroglia_testing::{Strait, TestApp, TestRequest, TestResponse, Weather};
use pizzeria_application::orders::ExpireUnpaidOrders;
use pizzeria_application::payments::{AuthorisePayment, ForgetWebhooks, GiveBackPayment};
use serde_json::{Value, json};

use crate::process::Premises;
use crate::shop::{Opening, Shop, eventually, guest_order};

const API_KEY: &str = "d2hvIHBheXMgZm9yIHRoaXM";
pub(crate) const WEBHOOK_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A pizzeria that takes cards, and its gateway.
struct Counter {
    shop: Shop,
    sandbox: TestApp,
}

impl Counter {
    async fn open() -> Self {
        Self::open_with("PAYMENT_TIMEOUT", "5s").await
    }

    async fn open_with(name: &str, value: &str) -> Self {
        let sandbox = sandbox().await;
        let port = sandbox.address().port();
        Self::open_at(port, sandbox, name, value).await
    }

    /// One whose gateway is found at another port.
    async fn open_at(port: u16, sandbox: TestApp, name: &str, value: &str) -> Self {
        let shop = Opening::new()
            .set("PAYMENT_URL", &format!("http://127.0.0.1:{port}"))
            .set("PAYMENT_API_KEY", API_KEY)
            .set("PAYMENT_WEBHOOK_KEY", WEBHOOK_KEY)
            .set(name, value)
            .open()
            .await;
        Self { shop, sandbox }
    }

    /// A guest's order by card; its id.
    async fn order(&self, source: &str) -> String {
        let placed = self.shop.post("/api/v1/orders").json(&card_order(source)).send().await;
        let placed = placed.assert_status(201).json();
        assert_eq!(placed["payment"], json!({"method": "credit_card", "status": "authorizing"}));
        placed["id"].as_str().expect("an id").to_owned()
    }

    /// The manager's request to pay an order in another way.
    fn pay_otherwise(&self, order: &str, method: &str, source: Option<&str>) -> TestRequest<'_> {
        let mut body = json!({ "payment_method": method });
        if let Some(source) = source {
            body["payment_source"] = json!(source);
        }
        let request = self.shop.put(&format!("/api/v1/orders/{order}/payment"));
        request.bearer(&self.shop.people.manager.token).json(&body)
    }

    /// An order whose card was declined, and the gateway's id of the payment that was none.
    async fn declined_order(&self) -> (String, String) {
        let order = self.order("tok_declined").await;
        self.wait_for(&order, "pending", "failed").await;
        let ledger = self.sandbox.get("/v1/ledger").send().await.assert_status(200).json();
        let items = ledger["items"].as_array().expect("a list");
        let decline = items.iter().find(|item| item["reference"] == order).expect("a movement");
        (order, decline["payment_id"].as_str().expect("an id").to_owned())
    }

    async fn misbehave(&self, kind: &str, count: u32) {
        let order = json!({"kind": kind, "count": count});
        self.sandbox.post("/v1/faults").json(&order).send().await.assert_status(204);
    }

    /// What the ledger has of an order, oldest first.
    async fn ledger(&self, order: &str) -> Vec<String> {
        let ledger = self.sandbox.get("/v1/ledger").send().await.assert_status(200).json();
        let items = ledger["items"].as_array().expect("a list").iter();
        let of_order = items.filter(|item| item["reference"] == order);
        of_order.map(|item| item["kind"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Charges a card for an order, as an attempt does of which nothing was written down; the gateway's id of it.
    async fn charge(&self, order: &str) -> String {
        self.try_to_charge(order).await.expect("the sandbox behaves")
    }

    /// The same, unless the sandbox misbehaves.
    async fn try_to_charge(&self, order: &str) -> Option<String> {
        let charge = json!({"amount": "38.78", "currency": "USD", "reference": order, "source": "tok_visa"});
        let charged = self.sandbox.post("/v1/payments").bearer(API_KEY).json(&charge).send().await;
        (charged.status == 201).then(|| charged.json()["id"].as_str().expect("an id").to_owned())
    }

    /// Waits until an order has this status, and its payment that one.
    async fn wait_for(&self, order: &str, status: &str, payment: &str) {
        eventually(&format!("the order is {status} and its payment {payment}"), async || {
            let order = self.shop.order(order).await.json();
            order["status"] == status && order["payment"]["status"] == payment
        })
        .await;
    }

    /// The gateway's webhook with this id, of this moment.
    async fn hear(&self, id: &str, kind: &str, order: &str) {
        self.hear_of(id, kind, order, "p-1").await;
    }

    /// The same about the payment with this id.
    async fn hear_of(&self, id: &str, kind: &str, order: &str, payment: &str) {
        let webhook = Webhook { shop: &self.shop, id, at: Clock::system().now(), key: WEBHOOK_KEY };
        webhook.send(kind, order, payment).await.assert_status(204);
    }

    /// What came in, and how many pizzas went out, as the manager sees it once everything is counted.
    async fn takings(&self) -> (Value, Value) {
        self.shop.worked_off().await;
        let manager = &self.shop.people.manager;
        let overview = self.shop.read(manager, "/api/v1/statistics/overview").await;
        let pizzas = self.shop.read(manager, "/api/v1/statistics/pizzas").await;
        (overview["revenue"]["amount"].clone(), pizzas["items"].clone())
    }

    async fn close(self) {
        self.shop.close().await;
        self.sandbox.stop().await;
    }
}

async fn sandbox() -> TestApp {
    let settings = [("DATABASE_URL", "memory:"), ("API_KEY", API_KEY)];
    TestApp::start(payment_sandbox::app(), settings).await
}

fn card_order(source: &str) -> Value {
    let mut order = guest_order();
    order["payment_method"] = json!("credit_card");
    order["payment_source"] = json!(source);
    order
}

#[tokio::test]
async fn a_card_is_authorised_when_placed_and_captured_when_delivered() {
    let counter = Counter::open().await;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    let history = counter.shop.order(&order).await.json()["history"].clone();
    assert_eq!((&history[1]["status"], &history[1]["by"]), (&json!("confirmed"), &Value::Null));
    for step in ["cook", "ready", "deliver", "complete"] {
        counter.shop.done(&order, step).await;
    }
    counter.wait_for(&order, "delivered", "captured").await;
    assert_eq!(counter.ledger(&order).await, ["authorize", "capture"]);
    let ledger = counter.sandbox.get("/v1/ledger").send().await.json();
    assert_eq!(
        (&ledger["items"][0]["amount"], &ledger["items"][0]["currency"]),
        (&json!("38.78"), &json!("USD"))
    );
    counter.close().await;
}

#[tokio::test]
async fn what_an_attempt_that_nobody_counted_has_charged_is_found_by_the_first() {
    let sandbox = sandbox().await;
    let strait = Strait::to(sandbox.address().port());
    let counter = Counter::open_at(strait.port(), sandbox, "PAYMENT_TIMEOUT", "30s").await;
    strait.turn(Weather::Silent);
    let order = counter.order("tok_visa").await;
    counter.charge(&order).await;
    strait.turn(Weather::Fair);
    counter.wait_for(&order, "confirmed", "authorized").await;
    assert_eq!(counter.ledger(&order).await, ["authorize"]);
    counter.close().await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_pending() {
    let counter = Counter::open().await;
    let order = counter.order("tok_declined").await;
    counter.wait_for(&order, "pending", "failed").await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "failed").await;
    assert_eq!(counter.ledger(&order).await, ["decline"]);
    counter.close().await;
}

#[tokio::test]
async fn a_declined_order_is_paid_by_another_card_and_what_comes_late_of_the_first_spoils_nothing() {
    let counter = Counter::open().await;
    let (order, declined) = counter.declined_order().await;
    let seen = counter.shop.order(&order).await;
    let paid = counter.pay_otherwise(&order, "debit_card", Some("tok_visa"));
    let paid = paid.header("if-match", seen.header("etag").expect("a tag")).send().await.assert_status(200);
    assert_eq!(paid.json()["payment"], json!({"method": "debit_card", "status": "authorizing"}));
    assert_eq!(paid.json()["status"], "pending");
    assert_ne!(paid.header("etag"), seen.header("etag"));

    counter.wait_for(&order, "confirmed", "authorized").await;
    counter.hear_of("m-1", "payment.failed", &order, &declined).await;
    counter.shop.worked_off().await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    for step in ["cook", "ready", "deliver", "complete"] {
        counter.shop.done(&order, step).await;
    }
    counter.wait_for(&order, "delivered", "captured").await;
    assert_eq!(counter.ledger(&order).await, ["decline", "authorize", "capture"]);
    counter.close().await;
}

#[tokio::test]
async fn a_decline_that_is_told_late_is_no_answer_to_another_card() {
    let counter = Counter::open().await;
    let (order, declined) = counter.declined_order().await;
    counter.misbehave("error", 2).await;
    counter.pay_otherwise(&order, "credit_card", Some("tok_visa")).send().await.assert_status(200);
    // The gateway has not answered yet.
    counter.hear_of("m-1", "payment.failed", &order, &declined).await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    assert_eq!(counter.ledger(&order).await, ["decline", "authorize"]);
    counter.close().await;
}

#[tokio::test]
async fn another_card_is_charged_once_whatever_is_lost() {
    let counter = Counter::open_with("PAYMENT_TIMEOUT", "300ms").await;
    let (order, _) = counter.declined_order().await;
    counter.misbehave("lost_answer", 1).await;
    counter.pay_otherwise(&order, "credit_card", Some("tok_visa")).send().await.assert_status(200);
    counter.wait_for(&order, "confirmed", "authorized").await;
    assert_eq!(counter.ledger(&order).await, ["decline", "authorize"]);

    // Declined again, and the answer to that is lost: it is not taken for the decline before.
    let (order, _) = counter.declined_order().await;
    counter.misbehave("lost_answer", 1).await;
    counter.pay_otherwise(&order, "credit_card", Some("tok_declined")).send().await.assert_status(200);
    counter.wait_for(&order, "pending", "failed").await;
    assert_eq!(counter.ledger(&order).await, ["decline", "decline"]);
    counter.close().await;
}

#[tokio::test]
async fn a_declined_order_is_paid_in_cash_by_its_guest() {
    let counter = Counter::open().await;
    let placed = counter.shop.post("/api/v1/orders").json(&card_order("tok_declined")).send().await;
    let placed = placed.assert_status(201).json();
    let (order, token) = (placed["id"].as_str().expect("an id"), &placed["tracking_token"]);
    let token = token.as_str().expect("a token");
    counter.wait_for(order, "pending", "failed").await;
    let pay = || counter.shop.step(order, "payment");
    pay().send().await.problem(401, "auth.required");
    pay().header("x-tracking-token", "guess").send().await.problem(404, "order.not_found");
    let paid = pay().header("x-tracking-token", token).send().await.assert_status(200).json();
    assert_eq!(paid["payment"], json!({"method": "cash", "status": "due"}));

    counter.hear("m-1", "payment.failed", order).await;
    counter.shop.worked_off().await;
    counter.shop.bring_to(order, "delivered").await;
    counter.wait_for(order, "delivered", "captured").await;
    assert_eq!(counter.ledger(order).await, ["decline"]);
    assert_eq!(counter.takings().await.0, "38.78");
    counter.close().await;
}

#[tokio::test]
async fn only_what_was_declined_is_paid_otherwise_and_only_as_orders_are_paid() {
    let counter = Counter::open().await;
    let (order, _) = counter.declined_order().await;
    let before = counter.shop.order(&order).await.json();
    for (method, source, violation) in [
        ("bitcoin", None, "/payment_method payment.unknown"),
        ("credit_card", None, "/payment_source required"),
        ("credit_card", Some("4242 4242 4242 4242"), "/payment_source payment.card_number"),
        ("debit_card", Some("tok visa"), "/payment_source format"),
        ("cash", Some("tok_visa"), "/payment_source format"),
    ] {
        let refused = counter.pay_otherwise(&order, method, source).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), [violation], "{method} {source:?}");
    }
    let stale = counter.pay_otherwise(&order, "cash", None).header("if-match", "\"0\"").send().await;
    stale.problem(412, "version.mismatch");
    assert_eq!(counter.shop.order(&order).await.json(), before);

    counter.shop.done(&order, "cancel").await;
    let confirmed = counter.order("tok_visa").await;
    counter.wait_for(&confirmed, "confirmed", "authorized").await;
    let in_cash = counter.shop.guest_order().await.id;
    for (order, told) in [
        (&order, "the order is cancelled and its payment failed"),
        (&confirmed, "the order is confirmed and its payment authorized"),
        (&in_cash, "the order is pending and its payment due"),
    ] {
        let refused = counter.pay_otherwise(order, "credit_card", Some("tok_visa")).send().await;
        let problem = refused.problem(409, "order.wrong_payment_state");
        let needed = "it must be pending and its payment failed to be paid otherwise";
        assert_eq!(problem["detail"], format!("{told}; {needed}"));
    }
    counter.shop.worked_off().await;
    assert_eq!(counter.ledger(&confirmed).await, ["authorize"]);
    counter.close().await;
}

#[tokio::test]
async fn an_order_that_is_paid_otherwise_still_expires_and_is_given_back() {
    let counter = Counter::open().await;
    let (order, _) = counter.declined_order().await;
    counter.misbehave("slow", 1).await;
    counter.pay_otherwise(&order, "credit_card", Some("tok_visa")).send().await.assert_status(200);
    eventually("the gateway has charged", async || counter.ledger(&order).await == ["decline", "authorize"])
        .await;
    let at = Clock::system().now() - Duration::from_secs(15 * 60);
    counter.shop.change_one("orders", &order, |order| order["placed_at"] = json!(at)).await;
    assert_eq!(
        counter.shop.send(ExpireUnpaidOrders { now: Clock::system().now() }).await.expect("an answer"),
        1
    );
    counter.wait_for(&order, "cancelled", "refunded").await;
    eventually("the money is back", async || {
        counter.ledger(&order).await == ["decline", "authorize", "refund"]
    })
    .await;
    counter.close().await;
}

#[tokio::test]
async fn a_cancelled_order_is_given_back() {
    let counter = Counter::open().await;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "refunded").await;
    assert_eq!(counter.ledger(&order).await, ["authorize", "refund"]);
    counter.close().await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_before_the_answer_is_given_back_all_the_same() {
    let counter = Counter::open().await;
    counter.misbehave("slow", 1).await;
    let order = counter.order("tok_visa").await;
    eventually("the gateway has charged", async || counter.ledger(&order).await == ["authorize"]).await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "refunded").await;
    eventually("the money is back", async || counter.ledger(&order).await == ["authorize", "refund"]).await;
    counter.close().await;
}

#[tokio::test]
async fn a_charge_that_is_carried_out_long_after_the_order_was_cancelled_is_given_back() {
    let counter = Counter::open().await;
    counter.misbehave("error", 50).await;
    let order = counter.order("tok_visa").await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "refunded").await;
    // The gateway had nothing, and is to be asked again.
    let store = counter.shop.store();
    let work = async |kind: &str, states: &[WorkState]| {
        let (kind, states) = (Some(kind.to_owned()), states.to_vec());
        let filter = WorkFilter { kind, states, limit: 10, ..WorkFilter::default() };
        store.list_work(&filter).await.expect("the store answers")
    };
    let again = async || {
        let planned = work(GiveBackPayment::KIND, &[WorkState::Scheduled]).await;
        planned.into_iter().find(|look| look.payload.contains(r#""looks":1"#))
    };
    eventually("another look is planned", async || again().await.is_some()).await;
    eventually("nobody tries to charge any more", async || {
        work(AuthorisePayment::KIND, &[WorkState::Done]).await.len() == 1
    })
    .await;
    let again = again().await.expect("it is planned for later");

    eventually("the charge is carried out", async || counter.try_to_charge(&order).await.is_some()).await;
    let now =
        NewWork { queue: again.queue, payload: again.payload, ..named(GiveBackPayment::KIND, "replaced") };
    enqueue(&*store, [now]).await;
    eventually("the money is back", async || counter.ledger(&order).await == ["authorize", "refund"]).await;
    counter.close().await;
}

#[tokio::test]
async fn a_gateway_that_lost_its_answer_is_asked_and_not_charged_again() {
    let counter = Counter::open_with("PAYMENT_TIMEOUT", "300ms").await;
    counter.misbehave("lost_answer", 1).await;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    assert_eq!(counter.ledger(&order).await, ["authorize"]);
    counter.misbehave("lost_answer", 1).await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "refunded").await;
    assert_eq!(counter.ledger(&order).await, ["authorize", "refund"]);
    counter.close().await;
}

#[tokio::test]
async fn a_gateway_that_fails_is_called_again() {
    let counter = Counter::open().await;
    counter.misbehave("error", 2).await;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    assert_eq!(counter.ledger(&order).await, ["authorize"]);
    counter.close().await;
}

#[tokio::test]
async fn a_gateway_that_is_away_keeps_nobody_from_ordering() {
    let counter = Counter::open_with("ADMIN_PORT", "0").await;
    let Counter { shop, sandbox } = counter;
    let health = shop.get_admin("/health").send().await.json().to_string();
    assert!(health.contains("payments"), "{health}");
    sandbox.stop().await;
    let placed = shop.post("/api/v1/orders").json(&card_order("tok_visa")).send().await.assert_status(201);
    assert_eq!(placed.json()["payment"]["status"], "authorizing");
    shop.get("/health/ready").send().await.assert_status(200);
    shop.close().await;
}

/// A webhook of the gateway's.
pub(crate) struct Webhook<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) id: &'a str,
    pub(crate) at: Timestamp,
    /// What it is signed with.
    pub(crate) key: &'a str,
}

impl<'a> Webhook<'a> {
    pub(crate) fn request(&self, kind: &str, order: &str, payment: &str) -> TestRequest<'a> {
        let data = json!({"id": payment, "reference": order, "amount": "38.78", "currency": "USD"});
        self.with_body(&json!({"type": kind, "timestamp": self.at, "data": data}))
    }

    fn with_body(&self, body: &Value) -> TestRequest<'a> {
        let body = body.to_string();
        let key: WebhookKey = self.key.parse().expect("a key");
        let post = self.shop.post("/api/v1/payments/webhook").header("content-type", "application/json");
        post.header("webhook-id", self.id)
            .header("webhook-timestamp", self.at.unix_seconds().to_string())
            .header("webhook-signature", key.sign(self.id, self.at, body.as_bytes()))
            .body(body)
    }

    async fn send(&self, kind: &str, order: &str, payment: &str) -> TestResponse {
        self.request(kind, order, payment).send().await
    }
}

#[tokio::test]
async fn a_webhook_is_heard_when_it_is_signed_and_of_today() {
    // The gateway does not say anything by itself.
    let counter = Counter::open().await;
    counter.misbehave("error", 100).await;
    let (shop, now) = (&counter.shop, Clock::system().now());
    let order = counter.order("tok_visa").await;
    let own = Webhook { shop, id: "msg_1", at: now, key: WEBHOOK_KEY };

    let strange = Webhook { key: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", ..own };
    strange.send("payment.authorized", &order, "p-1").await.problem(401, "webhook.signature");
    let old = Webhook { at: now - Duration::from_secs(301), ..own };
    old.send("payment.authorized", &order, "p-1").await.problem(401, "webhook.untimely");
    let unsigned =
        shop.post("/api/v1/payments/webhook").json(&json!({"type": "payment.authorized"})).send().await;
    unsigned.problem(401, "webhook.malformed");
    assert_eq!(shop.order(&order).await.json()["payment"]["status"], "authorizing");

    own.send("payment.authorized", &order, "p-1").await.assert_status(204);
    counter.wait_for(&order, "confirmed", "authorized").await;
    counter.close().await;
}

#[tokio::test]
async fn a_webhook_about_something_else_is_answered_whatever_it_looks_like() {
    let shop = Opening::new().set("PAYMENT_WEBHOOK_KEY", WEBHOOK_KEY).open().await;
    let webhook = Webhook { shop: &shop, id: "msg_1", at: Clock::system().now(), key: WEBHOOK_KEY };
    for strange in [
        json!({"type": "ping", "data": {}}),
        json!({"type": "ping"}),
        json!({"type": "payout.paid", "data": [1, 2]}),
        json!({"type": "account.updated", "data": "everything", "more": null}),
    ] {
        webhook.with_body(&strange).send().await.assert_status(204);
    }
    for wrong in [
        json!({"type": "payment.captured", "data": {}}),
        json!({"type": "payment.captured"}),
        json!({"type": 7, "data": {}}),
        json!({"data": {"reference": "x"}}),
        json!("ping"),
    ] {
        webhook.with_body(&wrong).send().await.problem(400, "webhook.body");
    }
    assert_eq!(shop.documents("payment_webhooks").await, [] as [Value; 0]);
    shop.close().await;
}

#[tokio::test]
async fn webhooks_that_come_twice_and_out_of_order_change_nothing() {
    let counter = Counter::open().await;
    let shop = &counter.shop;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    for step in ["cook", "ready", "deliver", "complete"] {
        shop.done(&order, step).await;
    }
    counter.wait_for(&order, "delivered", "captured").await;
    let version = shop.order(&order).await.json()["version"].clone();
    let now = Clock::system().now();
    for (id, kind) in [
        ("m-1", "captured"),
        ("m-1", "captured"),
        ("m-2", "authorized"),
        ("m-2", "authorized"),
        ("m-3", "failed"),
    ] {
        let webhook = Webhook { shop, id, at: now, key: WEBHOOK_KEY };
        webhook.send(&format!("payment.{kind}"), &order, "p-1").await.assert_status(204);
    }
    let elsewhere = Webhook { shop, id: "m-4", at: now, key: WEBHOOK_KEY };
    elsewhere.send("payout.paid", &order, "p-1").await.assert_status(204);
    elsewhere.send("payment.captured", "somebody else's", "p-2").await.assert_status(204);
    eventually("every webhook was heard", async || shop.documents("payment_webhooks").await.len() == 3).await;
    shop.worked_off().await;
    assert_eq!(shop.order(&order).await.json()["version"], version);

    // A week later nobody remembers.
    let heard_at = now - Duration::from_secs(8 * 24 * 60 * 60);
    shop.change("payment_webhooks", |webhook| webhook["at"] = json!(heard_at)).await;
    assert_eq!(shop.send(ForgetWebhooks {}).await.expect("an answer"), 3);
    counter.close().await;
}

#[tokio::test]
async fn a_webhook_about_a_cancelled_order_has_the_money_given_back() {
    let counter = Counter::open().await;
    counter.misbehave("error", 1).await;
    let order = counter.order("tok_visa").await;
    counter.shop.done(&order, "cancel").await;
    counter.wait_for(&order, "cancelled", "refunded").await;
    // Somebody charged the card after all.
    let payment = counter.charge(&order).await;
    let webhook = Webhook { shop: &counter.shop, id: "m-1", at: Clock::system().now(), key: WEBHOOK_KEY };
    webhook.send("payment.authorized", &order, &payment).await.assert_status(204);
    eventually("the money is back", async || counter.ledger(&order).await == ["authorize", "refund"]).await;
    counter.close().await;
}

#[tokio::test]
async fn what_is_not_paid_any_more_is_neither_cooked_nor_taken_out() {
    let counter = Counter::open().await;
    let manager = &counter.shop.people.manager.token;
    for (before, after, steps, refused, purpose) in [
        ("confirmed", "refunded", &[][..], "cook", "be cooked"),
        ("ready", "failed", &["cook", "ready"], "deliver", "be taken out"),
    ] {
        let order = counter.order("tok_visa").await;
        counter.wait_for(&order, "confirmed", "authorized").await;
        for step in steps {
            counter.shop.done(&order, step).await;
        }
        counter.hear(&format!("m-{after}"), &format!("payment.{after}"), &order).await;
        counter.wait_for(&order, before, after).await;
        let answer = counter.shop.step(&order, refused).bearer(manager).send().await;
        let problem = answer.problem(409, "order.unpaid");
        let sentence =
            format!("the order's payment is {after}; it must be authorized or captured to {purpose}");
        assert_eq!(problem["detail"], sentence);
        counter.wait_for(&order, before, after).await;
        let kitchen = counter.shop.read(&counter.shop.people.chef, "/api/v1/kitchen").await;
        assert_eq!(kitchen["in_use"], 0, "it got no place");
    }
    counter.close().await;
}

#[tokio::test]
async fn what_was_given_back_is_no_revenue() {
    let counter = Counter::open().await;
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    for step in ["cook", "ready", "deliver", "complete"] {
        counter.shop.done(&order, step).await;
    }
    counter.wait_for(&order, "delivered", "captured").await;
    let (revenue, pizzas) = counter.takings().await;
    assert_eq!((&revenue, &pizzas[0]["sold"]), (&json!("38.78"), &json!(2)));
    assert_eq!(pizzas[0]["revenue"]["amount"], "38.78");
    counter.hear("m-1", "payment.refunded", &order).await;
    counter.wait_for(&order, "delivered", "refunded").await;
    let nothing = counter.takings().await;
    assert_eq!((&nothing.0, &nothing.1[0]["sold"]), (&json!("0.00"), &json!(2)), "the pizzas went out");
    assert_eq!(nothing.1[0]["revenue"]["amount"], "0.00");

    // A payment that fails on the way does not keep the pizza from the door.
    let order = counter.order("tok_visa").await;
    counter.wait_for(&order, "confirmed", "authorized").await;
    for step in ["cook", "ready", "deliver"] {
        counter.shop.done(&order, step).await;
    }
    counter.hear("m-2", "payment.failed", &order).await;
    counter.wait_for(&order, "delivering", "failed").await;
    counter.shop.done(&order, "complete").await;
    let told = counter.takings().await;
    assert_eq!((&told.0, &told.1[0]["sold"]), (&json!("0.00"), &json!(4)));
    counter.wait_for(&order, "delivered", "failed").await;
    assert_eq!(counter.ledger(&order).await, ["authorize"], "nothing was captured");

    counter.shop.rebuild_statistics().await;
    assert_eq!(counter.takings().await, told, "rebuilt");
    counter.close().await;
}

#[test]
fn a_gateway_is_not_attached_by_half() {
    let faults = |premises: Premises| premises.run(&["config", "--check"]).assert_code(78).stderr.clone();
    let attached = || Premises::new().set("PAYMENT_URL", "https://payments.example");
    assert!(faults(attached()).contains("`PAYMENT_API_KEY` must be set when PAYMENT_URL is"));
    let in_url = Premises::new().set("PAYMENT_URL", "https://u:hunter2-8fZ@payments.example");
    let said = faults(in_url.set("PAYMENT_API_KEY", API_KEY));
    assert!(said.contains("in a variable of their own") && !said.contains("hunter2-8fZ"), "{said}");
    let said =
        faults(attached().set("PAYMENT_API_KEY", API_KEY).set("PAYMENT_WEBHOOK_KEY", "c2VjcmV0LWtleQ"));
    assert!(said.contains("PAYMENT_WEBHOOK_KEY") && !said.contains("c2VjcmV0LWtleQ"), "{said}");
    attached()
        .set("PAYMENT_API_KEY", API_KEY)
        .set("PAYMENT_WEBHOOK_KEY", WEBHOOK_KEY)
        .run(&["config", "--check"])
        .assert_code(0);
}
