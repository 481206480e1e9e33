//! An order from the menu to the door, and what may be ordered at all.

use neuroglia::clock::Timestamp;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, guest_order, ids};

fn dollars(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    assert!(text.ends_with('Z'), "{text} is UTC");
    text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

/// Takes what differs from run to run out of an answer, after a look at it.
fn settled(mut order: Value) -> Value {
    for pointer in ["/id", "/customer/id", "/lines/0/id"] {
        let id = order.pointer_mut(pointer).expect(pointer);
        let text = id.as_str().expect("an id is a text");
        assert!(text.len() == 36 && &text[14..15] == "7", "{pointer}: {text} is a UUIDv7");
        *id = json!("…");
    }
    let placed_at = time(&order["placed_at"]);
    assert_eq!(time(&order["history"][0]["at"]), placed_at);
    order["placed_at"] = json!("…");
    order["history"][0]["at"] = json!("…");
    order
}

#[tokio::test]
async fn an_order_has_the_documented_wire_format() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let placed = shop.post("/api/v1/orders").json(&guest_order()).send().await.assert_status(201);
        let mut body = placed.json();
        let id = body["id"].as_str().expect("an id").to_owned();
        assert_eq!(placed.header("location"), Some(&*format!("/api/v1/orders/{id}")));
        assert_eq!(placed.header("etag"), Some("\"0\""));
        assert_eq!(placed.header("content-type"), Some("application/json"));

        let token = body.as_object_mut().and_then(|body| body.remove("tracking_token"));
        let token = token.as_ref().and_then(Value::as_str).expect("a guest gets a token");
        assert!(token.len() >= 22, "{token} is hard to guess");
        let expected = json!({
            "id": "…",
            "status": "pending",
            "version": 0,
            "customer": {
                "id": "…", "name": "Ada", "phone": "+15550100", "email": "ada@example.com", "address": "1 Main St"
            },
            "lines": [{
                "id": "…", "pizza_id": "margherita", "name": "Margherita", "size": "medium", "toppings": ["olives"],
                "quantity": 2, "unit_price": dollars("19.39"), "line_total": dollars("38.78")
            }],
            "total": dollars("38.78"),
            "payment": {"method": "cash", "status": "due"},
            "notes": "ring twice",
            "history": [{"status": "pending", "at": "…", "by": null}],
            "placed_at": "…",
            "estimated_ready_at": null,
            "late_at": null,
            "driver": null,
            "cancel_reason": null,
        });
        assert_eq!(settled(body), expected);

        // The token is in that answer and nowhere else.
        let followed =
            shop.get(&format!("/api/v1/orders/{id}")).header("x-tracking-token", token).send().await;
        assert_eq!(followed.header("etag"), Some("\"0\""));
        assert_eq!(settled(followed.assert_status(200).json()), expected);
        let messages = shop.events().await;
        assert!(!format!("{messages:?}").contains(token));
        shop.close().await;
    }
}

#[tokio::test]
async fn an_order_lives_from_the_menu_to_the_door() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let people = &shop.people;
        let guest = shop.guest_order().await;
        let id = &guest.id;

        let life = [
            ("confirm", &people.manager, "confirmed", 1),
            ("cook", &people.chef, "cooking", 2),
            ("ready", &people.chef, "ready", 3),
            ("driver", &people.driver, "ready", 4),
            ("deliver", &people.driver, "delivering", 5),
            ("complete", &people.driver, "delivered", 6),
        ];
        let mut history = vec![("pending".to_owned(), Value::Null)];
        let mut known_times: Vec<Value> = Vec::new();
        for (step, person, status, version) in life {
            let answer = shop.step(id, step).bearer(&person.token).send().await.assert_status(200);
            assert_eq!(answer.header("etag"), Some(&*format!("\"{version}\"")), "{step}");
            let order = answer.json();
            assert_eq!((&order["status"], &order["version"]), (&json!(status), &json!(version)), "{step}");
            if step != "driver" {
                history.push((status.to_owned(), json!(person.id)));
            }

            // Who did what, and every time that was told before, is still there.
            let entries = order["history"].as_array().expect("a list");
            let told: Vec<_> = entries
                .iter()
                .map(|entry| (entry["status"].as_str().expect("a status").to_owned(), entry["by"].clone()))
                .collect();
            assert_eq!(told, history, "{step}");
            let times: Vec<_> = entries.iter().map(|entry| entry["at"].clone()).collect();
            assert!(times.starts_with(&known_times), "{step}: {times:?}");
            assert!(times.is_sorted_by_key(time), "{step}: {times:?}");
            known_times = times;

            // The guest follows it, and sees the same.
            let path = format!("/api/v1/orders/{id}");
            let seen = shop.get(&path).header("x-tracking-token", &guest.token).send().await;
            assert_eq!(seen.assert_status(200).json(), order, "{step}");
        }

        let order = shop.order(id).await.json();
        assert_eq!(order["driver"], json!(people.driver.id));
        assert_eq!(order["payment"], json!({"method": "cash", "status": "captured"}));
        assert_eq!(order["total"], dollars("38.78"));
        // 15 minutes for the first pizza and 2 for the second.
        let cooking_for =
            time(&order["estimated_ready_at"]).since(time(&order["history"][2]["at"])).as_secs();
        assert_eq!(cooking_for, 17 * 60);

        let outbox = shop.events_of(id).await;
        let names: Vec<_> = outbox.iter().map(|message| &*message.name).collect();
        let expected = [
            "order.created",
            "order.confirmed",
            "order.cooking.started",
            "order.ready",
            "order.driver.assigned",
            "order.delivery.started",
            "order.delivered",
        ];
        assert_eq!(names, expected);
        for message in &outbox {
            assert!(message.correlation_id.is_some() && message.traceparent.is_some(), "{message:?}");
            for private in ["Ada", "5550100", "ada@", "Main St", "ring twice"] {
                assert!(!message.data.contains(private), "{private} in {message:?}");
            }
        }

        let overview = shop.read(&people.manager, "/api/v1/statistics/overview").await;
        assert_eq!(overview["orders"]["total"], 1);
        assert_eq!(overview["orders"]["delivered"], 1);
        assert_eq!(overview["revenue"], dollars("38.78"));
        time(&overview["as_of"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_change_is_traced_to_the_request_that_made_it() {
    let shop = Shop::open().await;
    let order = shop.guest_order().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    shop.step(&order.id, "confirm")
        .bearer(&shop.people.manager.token)
        .header("x-request-id", "req-7")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .send()
        .await
        .assert_status(200);
    let outbox = shop.events_of(&order.id).await;
    let confirmed = outbox.last().expect("a message");
    assert_eq!((&*confirmed.name, confirmed.correlation_id.as_deref()), ("order.confirmed", Some("req-7")));
    assert!(confirmed.traceparent.as_deref().is_some_and(|parent| parent.contains(trace)), "{confirmed:?}");
    shop.close().await;
}

#[tokio::test]
async fn money_is_exact_to_the_cent() {
    let shop = Shop::open().await;
    // Base × size, half-even at the unit price, and 2.50 for each topping.
    let table = [
        ("margherita", "small", 0, 1, "12.99", "12.99"),
        ("margherita", "large", 6, 20, "35.78", "715.60"),
        ("pepperoni", "medium", 1, 3, "21.99", "65.97"),
        ("hawaiian", "medium", 0, 7, "20.79", "145.53"),
        ("capricciosa", "large", 2, 1, "32.98", "32.98"),
    ];
    let toppings = ["olives", "mushrooms", "onions", "peppers", "ham", "extra cheese"];
    let lines: Vec<_> = table
        .iter()
        .map(|(pizza, size, count, quantity, ..)| {
            json!({"pizza_id": pizza, "size": size, "toppings": toppings[..*count], "quantity": quantity})
        })
        .collect();
    let mut order = guest_order();
    order["lines"] = json!(lines);
    let placed = shop.post("/api/v1/orders").json(&order).send().await.assert_status(201).json();
    for (index, (pizza, _, _, _, unit, total)) in table.iter().enumerate() {
        let line = &placed["lines"][index];
        assert_eq!((&line["unit_price"], &line["line_total"]), (&dollars(unit), &dollars(total)), "{pizza}");
    }
    assert_eq!(placed["total"], dollars("973.07"));
    shop.close().await;
}

/// A place in the order of the documentation, what stands there, and what is said about it.
type Refused = (&'static str, Value, &'static [&'static str]);

#[tokio::test]
async fn what_cannot_be_ordered_is_refused_with_its_place_and_rule() {
    let shop = Shop::open().await;
    let eleven: Vec<_> = (0..11).map(|index| format!("topping {index}")).collect();
    let table: [Refused; 22] = [
        ("/lines", json!([]), &["/lines order.empty"]),
        ("/lines/0/pizza_id", json!("calzone"), &["/lines/0/pizza_id pizza.unknown"]),
        ("/lines/0/pizza_id", json!("../etc/passwd"), &["/lines/0/pizza_id pizza.unknown"]),
        ("/lines/0/size", json!("huge"), &["/lines/0/size size.unknown"]),
        ("/lines/0/size", json!("Medium"), &["/lines/0/size size.unknown"]),
        ("/lines/0/toppings", json!(["gold"]), &["/lines/0/toppings/0 topping.unknown"]),
        ("/lines/0/toppings", json!(["ham", "ham"]), &["/lines/0/toppings/1 duplicate"]),
        ("/lines/0/toppings", json!(["ham", " HAM"]), &["/lines/0/toppings/1 duplicate"]),
        ("/lines/0/toppings", json!(eleven), &["/lines/0/toppings max_items"]),
        ("/lines/0/quantity", json!(0), &["/lines/0/quantity range"]),
        ("/lines/0/quantity", json!(21), &["/lines/0/quantity range"]),
        ("/lines/0/quantity", json!(-1), &["/lines/0/quantity range"]),
        ("/lines/0/quantity", json!(9_000_000_000_i64), &["/lines/0/quantity range"]),
        ("/notes", json!("x".repeat(501)), &["/notes max_length"]),
        ("/payment_method", json!("bitcoin"), &["/payment_method payment.unknown"]),
        ("/payment_method", json!("credit_card"), &["/payment_method payment.not_accepted"]),
        ("/payment_method", json!("debit_card"), &["/payment_method payment.not_accepted"]),
        ("/customer/name", json!(""), &["/customer/name required"]),
        ("/customer/phone", json!("call me"), &["/customer/phone format"]),
        ("/customer/email", json!("ada"), &["/customer/email format"]),
        ("/customer/address", json!(null), &["/customer/address required"]),
        (
            "/customer",
            json!({}),
            &["/customer/name required", "/customer/phone required", "/customer/address required"],
        ),
    ];
    for (pointer, value, expected) in table {
        let mut order = guest_order();
        *order.pointer_mut(pointer).expect(pointer) = value.clone();
        let refused = shop.post("/api/v1/orders").json(&order).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), expected, "{pointer} {value}");
    }
    assert!(
        shop.read(&shop.people.manager, "/api/v1/orders").await["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    let outbox = shop.events().await;
    assert!(!outbox.iter().any(|message| message.name.starts_with("order.")), "nothing was stored");
    assert!(!outbox.iter().any(|message| message.name.starts_with("customer.")), "nobody was registered");
    shop.close().await;
}

#[tokio::test]
async fn the_bounds_themselves_can_be_ordered() {
    let shop = Shop::open().await;
    for (pointer, value) in [
        ("/lines/0/quantity", json!(1)),
        ("/lines/0/quantity", json!(20)),
        ("/lines/0/toppings", json!([])),
        ("/notes", json!("x".repeat(500))),
        ("/notes", json!(null)),
        ("/customer/email", json!(null)),
    ] {
        let mut order = guest_order();
        *order.pointer_mut(pointer).expect(pointer) = value;
        shop.post("/api/v1/orders").json(&order).send().await.assert_status(201);
    }
    shop.close().await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let shop = Shop::open().await;
    let wrong = json!({
        "customer": {"name": "", "phone": "12", "email": "nobody", "address": " "},
        "lines": [
            {"pizza_id": "calzone", "size": "huge", "toppings": ["ham", "ham"], "quantity": 0},
            {"pizza_id": "margherita", "size": "small", "toppings": ["gold"], "quantity": 21},
        ],
        "payment_method": "credit_card",
        "notes": "x".repeat(501),
    });
    let refused = shop.post("/api/v1/orders").json(&wrong).send().await;
    refused.problem(422, "request.invalid");
    let mut told = refused.violations();
    told.sort();
    let expected = [
        "/customer/address required",
        "/customer/email format",
        "/customer/name required",
        "/customer/phone format",
        "/lines/0/pizza_id pizza.unknown",
        "/lines/0/quantity range",
        "/lines/0/size size.unknown",
        "/lines/0/toppings/1 duplicate",
        "/lines/1/quantity range",
        "/lines/1/toppings/0 topping.unknown",
        "/notes max_length",
        "/payment_method payment.not_accepted",
    ];
    assert_eq!(told, expected);
    shop.close().await;
}

#[tokio::test]
async fn a_pizza_that_is_not_available_cannot_be_ordered() {
    let shop = Shop::open().await;
    let sold_out = json!({
        "name": "Margherita", "base_price": dollars("12.99"), "available": false, "toppings": ["olives"]
    });
    let change = shop.put("/api/v1/pizzas/margherita").bearer(&shop.people.manager.token).json(&sold_out);
    change.send().await.assert_status(200);
    let refused = shop.post("/api/v1/orders").json(&guest_order()).send().await;
    refused.problem(422, "request.invalid");
    assert_eq!(refused.violations(), ["/lines/0/pizza_id pizza.unavailable"]);
    shop.close().await;
}

#[tokio::test]
async fn a_guest_follows_an_order_by_its_own_token_only() {
    let shop = Shop::open().await;
    let (first, second) = (shop.guest_order().await, shop.guest_order().await);
    assert_ne!(first.token, second.token);
    let look = async |order: &str, token: Option<&str>| {
        let request = shop.get(&format!("/api/v1/orders/{order}"));
        let request = token.iter().fold(request, |request, token| request.header("x-tracking-token", token));
        request.send().await
    };
    look(&first.id, Some(&first.token)).await.assert_status(200);
    let unknown = "0199aaaa-0000-7000-8000-000000000000";
    for (order, token) in [
        (&*first.id, None),
        (&first.id, Some("")),
        (&first.id, Some("guess")),
        (&first.id, Some(&*second.token)),
        (unknown, Some(&first.token)),
    ] {
        let refused = look(order, token).await;
        let problem = refused.problem(404, "order.not_found");
        assert_eq!(problem["detail"], format!("there is no order {order}"), "{token:?}");
    }

    let cancel = |token: &str| shop.step(&first.id, "cancel").header("x-tracking-token", token);
    cancel(&second.token).send().await.problem(404, "order.not_found");
    let cancelled = cancel(&first.token).send().await.assert_status(200).json();
    assert_eq!(
        (&cancelled["status"], &cancelled["cancel_reason"]),
        (&json!("cancelled"), &json!("changed my mind"))
    );
    assert_eq!(cancelled["history"][1]["by"], Value::Null);
    shop.close().await;
}

#[tokio::test]
async fn staff_see_all_orders_and_customers_their_own() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let people = &shop.people;
        let guest = shop.guest_order().await.id;
        let own = shop.order_of(&people.customer).await;
        let other = shop.order_of(&people.other_customer).await;
        shop.done(&own, "confirm").await;

        let all = [&*other, &own, &guest];
        for person in [&people.chef, &people.driver, &people.manager, &people.admin] {
            assert_eq!(ids(&shop.read(person, "/api/v1/orders").await), all, "the newest first");
        }
        assert_eq!(ids(&shop.read(&people.customer, "/api/v1/orders").await), [&*own]);
        assert_eq!(ids(&shop.read(&people.customer, "/api/v1/me/orders").await), [&*own]);
        assert_eq!(ids(&shop.read(&people.other_customer, "/api/v1/orders").await), [&*other]);
        let filtered = |status: &str| format!("/api/v1/orders?status={status}");
        assert_eq!(ids(&shop.read(&people.chef, &filtered("confirmed")).await), [&*own]);
        assert!(ids(&shop.read(&people.other_customer, &filtered("confirmed")).await).is_empty());
        let refused = shop.get(&filtered("eaten")).bearer(&people.chef.token).send().await;
        refused.problem(422, "query.invalid");
        shop.close().await;
    }
}
