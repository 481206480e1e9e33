//! The role matrix: every operation of the API and everybody who may call it, in one table.

use std::collections::BTreeSet;

use http::Method;
use neuroglia::clock::Clock;
use neuroglia_testing::{TestRequest, TestResponse};
use serde_json::{Value, json};

use crate::payments::{WEBHOOK_KEY, Webhook};
use crate::shop::{Opening, Person, Shop, guest_order, order_with_phone};

/// The columns of the matrix: the first has no credentials, the last the least to do with pizzas. The orders and
/// notifications are those of `customer`, and `driver` is the one who is assigned.
const CALLERS: [&str; 8] =
    ["anonymous", "customer", "other customer", "chef", "driver", "other driver", "manager", "admin"];

/// Each operation with the statuses that it answers to [`CALLERS`], on something whose state allows it.
#[rustfmt::skip]
const MATRIX: [(&str, &str, [u16; 8]); 36] = [
    //                                                     anon cust othr chef drvr odrv mngr admn
    ("POST",   "/api/v1/auth/token",                      [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST",   "/api/v1/auth/session",                    [204, 204, 204, 204, 204, 204, 204, 204]),
    ("DELETE", "/api/v1/auth/session",                    [204, 204, 204, 204, 204, 204, 204, 204]),
    ("GET",    "/api/v1/pizzas",                          [200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET",    "/api/v1/pizzas/{id}",                     [200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST",   "/api/v1/pizzas",                          [401, 403, 403, 403, 403, 403, 201, 403]),
    ("PUT",    "/api/v1/pizzas/{id}",                     [401, 403, 403, 403, 403, 403, 200, 403]),
    ("DELETE", "/api/v1/pizzas/{id}",                     [401, 403, 403, 403, 403, 403, 204, 403]),
    ("POST",   "/api/v1/orders",                          [201, 201, 201, 403, 403, 403, 403, 403]),
    ("GET",    "/api/v1/orders",                          [401, 200, 200, 200, 200, 200, 200, 200]),
    ("GET",    "/api/v1/orders/{id}",                     [404, 200, 404, 200, 200, 200, 200, 200]),
    ("POST",   "/api/v1/orders/{id}/confirm",             [401, 403, 403, 403, 403, 403, 200, 403]),
    ("POST",   "/api/v1/orders/{id}/cook",                [401, 403, 403, 200, 403, 403, 200, 403]),
    ("POST",   "/api/v1/orders/{id}/ready",               [401, 403, 403, 200, 403, 403, 200, 403]),
    ("POST",   "/api/v1/orders/{id}/deliver",             [401, 403, 403, 403, 200, 403, 200, 403]),
    ("POST",   "/api/v1/orders/{id}/complete",            [401, 403, 403, 403, 200, 403, 200, 403]),
    ("POST",   "/api/v1/orders/{id}/cancel",              [401, 200, 404, 403, 403, 403, 200, 403]),
    ("PUT",    "/api/v1/orders/{id}/payment",             [401, 200, 404, 403, 403, 403, 200, 403]),
    ("PUT",    "/api/v1/orders/{id}/driver",              [401, 403, 403, 403, 200, 409, 200, 403]),
    ("GET",    "/api/v1/kitchen",                         [401, 403, 403, 200, 403, 403, 200, 403]),
    ("GET",    "/api/v1/kitchen/queue",                   [401, 403, 403, 200, 403, 403, 200, 403]),
    ("GET",    "/api/v1/deliveries",                      [401, 403, 403, 403, 200, 200, 200, 403]),
    ("GET",    "/api/v1/me",                              [401, 200, 200, 403, 403, 403, 403, 403]),
    ("PUT",    "/api/v1/me",                              [401, 200, 200, 403, 403, 403, 403, 403]),
    ("GET",    "/api/v1/me/orders",                       [401, 200, 200, 403, 403, 403, 403, 403]),
    ("GET",    "/api/v1/me/notifications",                [401, 200, 200, 403, 403, 403, 403, 403]),
    ("POST",   "/api/v1/me/notifications/{id}/read",      [401, 200, 404, 403, 403, 403, 403, 403]),
    ("POST",   "/api/v1/me/notifications/{id}/dismiss",   [401, 200, 404, 403, 403, 403, 403, 403]),
    ("GET",    "/api/v1/events",                          [401, 200, 200, 200, 200, 200, 200, 200]),
    ("POST",   "/api/v1/payments/webhook",                [204, 204, 204, 204, 204, 204, 204, 204]),
    // Nobody's key is set.
    ("POST",   "/events/ingest",                          [404, 404, 404, 404, 404, 404, 404, 404]),
    ("GET",    "/api/v1/statistics/overview",             [401, 403, 403, 403, 403, 403, 200, 403]),
    ("GET",    "/api/v1/statistics/timeseries",          [401, 403, 403, 403, 403, 403, 200, 403]),
    ("GET",    "/api/v1/statistics/pizzas",              [401, 403, 403, 403, 403, 403, 200, 403]),
    ("GET",    "/api/v1/statistics/kitchen",             [401, 403, 403, 403, 403, 403, 200, 403]),
    ("GET",    "/api/v1/statistics/staff",               [401, 403, 403, 403, 403, 403, 200, 403]),
];

const PASSWORD: &str = "correct horse battery staple";

fn callers(shop: &Shop) -> [Option<&Person>; 8] {
    let people = &shop.people;
    [
        None,
        Some(&people.customer),
        Some(&people.other_customer),
        Some(&people.chef),
        Some(&people.driver),
        Some(&people.other_driver),
        Some(&people.manager),
        Some(&people.admin),
    ]
}

/// An order of `customer` in a status that the operation needs, with `driver` assigned.
async fn order_for(shop: &Shop, path: &str) -> String {
    let id = shop.order_of(&shop.people.customer).await;
    let status = match path.rsplit('/').next() {
        Some("cook" | "driver") => "confirmed",
        Some("ready") => "cooking",
        Some("deliver") => "ready",
        Some("complete") => "delivering",
        _ => "pending",
    };
    if path.ends_with("/payment") {
        let declined =
            json!({"method": "credit_card", "status": "failed", "source": "tok_declined", "reference": null});
        shop.change_one("orders", &id, |order| order["payment"] = declined.clone()).await;
    }
    if status != "pending" {
        shop.done(&id, "confirm").await;
        let driver = json!({ "driver": shop.people.driver.id });
        let assign = shop.put(&format!("/api/v1/orders/{id}/driver")).bearer(&shop.people.manager.token);
        assign.json(&driver).send().await.assert_status(200);
    }
    let steps: &[&str] = match status {
        "cooking" => &["cook"],
        "ready" => &["cook", "ready"],
        "delivering" => &["cook", "ready", "deliver"],
        _ => &[],
    };
    for step in steps {
        shop.done(&id, step).await;
    }
    id
}

fn pizza(name: &str) -> Value {
    json!({ "name": name, "base_price": {"amount": "10.00", "currency": "USD"} })
}

/// The operation on something of its own, so that no cell depends on another.
async fn request<'a>(
    shop: &'a Shop,
    method: &str,
    path: &str,
    cell: usize,
    caller: Option<&Person>,
) -> TestRequest<'a> {
    let id = if path.starts_with("/api/v1/orders/{id}") {
        order_for(shop, path).await
    } else if path.starts_with("/api/v1/pizzas/{id}") {
        let manager = &shop.people.manager.token;
        let body = pizza(&format!("Pizza {cell}"));
        shop.post("/api/v1/pizzas").bearer(manager).json(&body).send().await.assert_status(201);
        format!("pizza-{cell}")
    } else if path.contains("/notifications/{id}") {
        let order = shop.order_of(&shop.people.customer).await;
        shop.bring_to(&order, "cooking").await;
        shop.settled().await;
        let page = shop.read(&shop.people.customer, "/api/v1/me/notifications?limit=1").await;
        page["items"][0]["id"].as_str().expect("an id").to_owned()
    } else {
        String::new()
    };
    if path == "/api/v1/payments/webhook" {
        let webhook = Webhook { shop, id: "msg_1", at: Clock::system().now(), key: WEBHOOK_KEY };
        return webhook.request("payment.captured", "of nobody", "p-1");
    }
    let verb = Method::from_bytes(method.as_bytes()).expect("a method");
    let request = shop.request(verb, &path.replace("{id}", &id));
    let phone = caller.map_or("+15550100", |caller| caller.phone);
    match (method, path) {
        ("POST", "/api/v1/auth/token") => {
            request.json(&json!({ "username": "mario@example.com", "password": PASSWORD }))
        }
        ("POST", "/api/v1/auth/session") => {
            request.json(&json!({ "username": "visitor@example.com", "password": PASSWORD }))
        }
        ("POST", "/api/v1/pizzas") => request.json(&pizza(&format!("New {cell}"))),
        ("PUT", "/api/v1/pizzas/{id}") => request.json(&pizza(&format!("Other {cell}"))),
        ("POST", "/api/v1/orders") => request.json(&order_with_phone(phone)),
        ("POST", "/api/v1/orders/{id}/cancel") => request.json(&json!({ "reason": "no time" })),
        ("PUT", "/api/v1/orders/{id}/payment") => request.json(&json!({ "payment_method": "cash" })),
        ("PUT", "/api/v1/orders/{id}/driver") => request.json(&json!({})),
        ("PUT", "/api/v1/me") => request.json(&json!({ "name": "Somebody", "phone": phone })),
        _ => request,
    }
}

#[tokio::test]
async fn every_operation_answers_every_role_as_the_matrix_says() {
    let shop =
        Opening::new().set("KITCHEN_CAPACITY", "1000").set("PAYMENT_WEBHOOK_KEY", WEBHOOK_KEY).open().await;
    // Either way to log in counts for the quota of its account.
    for name in ["mario@example.com", "visitor@example.com"] {
        crate::security::open_account(&shop, name, PASSWORD).await;
    }
    let mut wrong = Vec::new();
    let mut cell = 0;
    for (method, path, expected) in &MATRIX {
        for (((name, caller), status), column) in
            CALLERS.iter().zip(callers(&shop)).zip(expected).zip(0_usize..)
        {
            cell += 1;
            let request = request(&shop, method, path, cell, caller).await;
            let request = caller.iter().fold(request, |request, caller| request.bearer(&caller.token));
            let answer = request.open().await;
            // A stream of events has no end.
            let answer = if answer.head().header("content-type") == Some("text/event-stream") {
                answer.head().clone()
            } else {
                answer.whole().await
            };
            if answer.status != *status {
                wrong.push(format!("{method} {path} for {name}: {}, not {status}", answer.status));
            }
            if answer.status.as_u16() >= 400 {
                check_refusal(&answer, column == 0);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    shop.close().await;
}

fn check_refusal(answer: &TestResponse, is_anonymous: bool) {
    match answer.status.as_u16() {
        401 => {
            answer.problem(401, "auth.required");
            assert!(is_anonymous, "who has a token is known");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        403 => {
            let code = answer.json()["code"].clone();
            let code = code.as_str().expect("a code");
            assert!(["auth.forbidden", "order.not_assigned"].contains(&code), "{code}");
            answer.problem(403, code);
        }
        _ => assert_eq!(answer.header("content-type"), Some("application/problem+json")),
    }
}

#[tokio::test]
async fn the_matrix_has_every_operation_of_the_document() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").send().await.assert_status(200).json();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys().filter(|key| *key != "parameters") {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let listed: BTreeSet<_> =
        MATRIX.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let difference: Vec<_> = documented.symmetric_difference(&listed).collect();
    assert!(difference.is_empty(), "in one and not in the other: {difference:?}");
    assert_eq!(listed.len(), MATRIX.len(), "each operation once");
    shop.close().await;
}

/// An answer without what differs between any two requests.
fn told(answer: &TestResponse, id: &str) -> (u16, Vec<(String, String)>, Value) {
    let passing = ["traceparent", "x-request-id", "date"];
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !passing.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
        .collect();
    headers.sort();
    let mut problem = answer.json();
    problem["trace_id"].take();
    let problem = serde_json::from_str(&problem.to_string().replace(id, "<id>")).expect("JSON");
    (answer.status.as_u16(), headers, problem)
}

#[tokio::test]
async fn the_order_of_somebody_else_cannot_be_told_from_one_that_does_not_exist() {
    let shop = Shop::open().await;
    let order = shop.order_of(&shop.people.customer).await;
    let unknown = "0199aaaa-0000-7000-8000-000000000000";
    let other = &shop.people.other_customer.token;
    let look = |id: &str| shop.get(&format!("/api/v1/orders/{id}"));
    let pairs = [
        (look(&order).bearer(other).send().await, look(unknown).bearer(other).send().await),
        (look(&order).send().await, look(unknown).send().await),
        (
            look(&order).header("x-tracking-token", "guess").send().await,
            look(unknown).header("x-tracking-token", "guess").send().await,
        ),
        (
            look(&order).bearer(other).header("if-none-match", "\"0\"").send().await,
            look(unknown).bearer(other).header("if-none-match", "\"0\"").send().await,
        ),
        (
            shop.step(&order, "cancel").bearer(other).send().await,
            shop.step(unknown, "cancel").bearer(other).send().await,
        ),
        (
            shop.step(&order, "payment").bearer(other).send().await,
            shop.step(unknown, "payment").bearer(other).send().await,
        ),
        (
            shop.step(&order, "cancel").bearer(other).header("if-match", "\"7\"").send().await,
            shop.step(unknown, "cancel").bearer(other).header("if-match", "\"7\"").send().await,
        ),
        (
            shop.post(&format!("/api/v1/orders/{order}/cancel"))
                .bearer(other)
                .json(&json!({"reason": ""}))
                .send()
                .await,
            shop.post(&format!("/api/v1/orders/{unknown}/cancel"))
                .bearer(other)
                .json(&json!({"reason": ""}))
                .send()
                .await,
        ),
    ];
    for (others, missing) in pairs {
        others.problem(404, "order.not_found");
        assert_eq!(told(&others, &order), told(&missing, unknown));
    }
    shop.close().await;
}

#[tokio::test]
async fn a_role_that_the_pizzeria_does_not_know_is_nothing() {
    let shop = Shop::open().await;
    let stranger = crate::security::token_of(&shop, "stranger", &["emperor"]);
    let order = shop.order_of(&shop.people.customer).await;
    shop.get(&format!("/api/v1/orders/{order}"))
        .bearer(&stranger)
        .send()
        .await
        .problem(404, "order.not_found");
    shop.step(&order, "cancel").bearer(&stranger).send().await.problem(404, "order.not_found");
    shop.post("/api/v1/orders")
        .bearer(&stranger)
        .json(&guest_order())
        .send()
        .await
        .problem(403, "auth.forbidden");
    shop.get("/api/v1/kitchen").bearer(&stranger).send().await.problem(403, "auth.forbidden");
    let list = shop.get("/api/v1/orders").bearer(&stranger).send().await.assert_status(200).json();
    assert_eq!(list["items"], json!([]));
    shop.close().await;
}
