//! Customers: who is the same, what they have under way, and what they are told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Person, Shop, guest_order, order_with_phone};

async fn customer_of(shop: &Shop, body: &Value) -> String {
    let placed = shop.post("/api/v1/orders").json(body).send().await.assert_status(201).json();
    placed["customer"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_returning_phone_is_the_same_customer_and_a_new_one_is_not() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let first = customer_of(&shop, &order_with_phone("+1 555 0100")).await;
        for same in ["+1-555-0100", "+1 (555) 01.00", "001 555 0100", "+15550100"] {
            assert_eq!(customer_of(&shop, &order_with_phone(same)).await, first, "{same}");
        }
        assert_ne!(customer_of(&shop, &order_with_phone("+1 555 0199")).await, first);
        let outbox = shop.events().await;
        let registered = outbox.iter().filter(|message| message.name == "customer.registered").count();
        assert_eq!(registered, 2);
        shop.close().await;
    }
}

#[tokio::test]
async fn an_order_keeps_the_contact_that_it_was_placed_with() {
    let shop = Shop::open().await;
    let first = shop.guest_order().await;
    let mut moved = guest_order();
    moved["customer"]["address"] = json!("2 Side St");
    customer_of(&shop, &moved).await;
    assert_eq!(shop.order(&first.id).await.json()["customer"]["address"], "1 Main St");
    shop.close().await;
}

#[tokio::test]
async fn a_customer_has_a_profile() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let nothing_yet = json!({
            "id": null, "name": "Daisy", "phone": null, "email": null, "address": null,
            "active_orders": [], "version": 0
        });
        assert_eq!(shop.read(customer, "/api/v1/me").await, nothing_yet);

        let contact = json!({
            "name": "Daisy", "phone": "+1 555 0101", "email": "daisy@Example.com", "address": "3 Garden Rd"
        });
        let me = || shop.put("/api/v1/me").bearer(&customer.token);
        let mut profile = me().json(&contact).send().await.assert_status(200).json();
        assert_eq!(profile, shop.read(customer, "/api/v1/me").await);
        let id = profile["id"].take();
        assert!(id.is_string());
        let expected = json!({
            "id": null, "name": "Daisy", "phone": "+15550101", "email": "daisy@example.com",
            "address": "3 Garden Rd", "active_orders": [], "version": 1
        });
        assert_eq!(profile, expected);

        // What the profile has need not be said again.
        let mut order = guest_order();
        order["customer"] = json!({});
        let request = shop.post("/api/v1/orders").bearer(&customer.token).json(&order);
        let placed = request.send().await.assert_status(201).json();
        assert_eq!(placed["customer"]["id"], id);
        assert_eq!(placed["customer"]["address"], "3 Garden Rd");
        assert_eq!(placed["history"][0]["by"], json!(customer.id));
        assert!(placed.get("tracking_token").is_none(), "a customer needs none: {placed}");

        let refused = me().json(&json!({"name": "", "phone": "1", "email": "?"})).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), ["/name required", "/phone format", "/email format"]);
        assert_eq!(shop.read(customer, "/api/v1/me").await["name"], "Daisy");
        shop.close().await;
    }
}

#[tokio::test]
async fn an_order_that_says_nothing_new_leaves_its_customer_alone() {
    let shop = Shop::open().await;
    let customer = &shop.people.customer;
    let contact = json!({"name": "Daisy", "phone": customer.phone, "address": "3 Garden Rd"});
    shop.put("/api/v1/me").bearer(&customer.token).json(&contact).send().await.assert_status(200);
    let profile = shop.read(customer, "/api/v1/me").await;

    // A guest who knows the number of somebody with an account.
    let id = customer_of(&shop, &order_with_phone(customer.phone)).await;
    assert_eq!(profile["id"], json!(id));
    shop.settled().await;
    assert_eq!(shop.read(customer, "/api/v1/me").await, profile, "not even its version is another");
    shop.close().await;
}

#[tokio::test]
async fn what_is_replaced_as_a_whole_has_no_parts_that_nobody_knows() {
    let shop = Shop::open().await;
    let (customer, manager) = (&shop.people.customer, &shop.people.manager);
    let price = json!({"amount": "10.00", "currency": "USD"});
    let order = format!("/api/v1/orders/{}", shop.order_of(customer).await);
    let before = shop.read(customer, "/api/v1/me").await;
    for (person, path, body, violation) in [
        (
            customer,
            "/api/v1/me",
            json!({"name": "Daisy", "phone": "+15550101", "adress": "x"}),
            "/adress unknown",
        ),
        (
            manager,
            "/api/v1/pizzas/margherita",
            json!({"name": "Margherita", "base_price": price, "topings": ["ham"]}),
            "/topings unknown",
        ),
        (
            manager,
            &format!("{order}/payment"),
            json!({"payment_method": "cash", "source": "x"}),
            "/source unknown",
        ),
        (manager, &format!("{order}/driver"), json!({"drivr": "toad"}), "/drivr unknown"),
    ] {
        let refused = shop.put(path).bearer(&person.token).json(&body).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), [violation], "{path}");
    }
    assert_eq!(shop.read(customer, "/api/v1/me").await, before);

    // What was read can be sent back, changed or not.
    for (person, path) in [(customer, "/api/v1/me"), (manager, "/api/v1/pizzas/margherita")] {
        let read = shop.read(person, path).await;
        let mut again =
            shop.put(path).bearer(&person.token).json(&read).send().await.assert_status(200).json();
        again["version"] = read["version"].clone();
        assert_eq!(again, read);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_guest_who_opens_an_account_is_the_same_customer_and_others_are_not() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let (customer, other) = (&shop.people.customer, &shop.people.other_customer);
        let guest = customer_of(&shop, &order_with_phone(customer.phone)).await;
        shop.order_of(customer).await;
        assert_eq!(shop.read(customer, "/api/v1/me").await["id"], json!(guest));

        // Somebody else's number does not make one that customer.
        let order = order_with_phone(customer.phone);
        let refused = shop.post("/api/v1/orders").bearer(&other.token).json(&order).send().await;
        refused.problem(409, "customer.linked");
        let taken = json!({"name": "Wario", "phone": customer.phone, "address": "x"});
        let refused = shop.put("/api/v1/me").bearer(&other.token).json(&taken).send().await;
        assert_eq!(refused.status, 409, "{engine:?}: {}", refused.text());
        assert_eq!(shop.read(other, "/api/v1/me").await["id"], Value::Null);

        // A guest with the number of an account orders for that customer, and changes nothing of the profile.
        let mut cuckoo = order_with_phone(customer.phone);
        cuckoo["customer"]["address"] = json!("elsewhere");
        assert_eq!(customer_of(&shop, &cuckoo).await, guest);
        assert_eq!(shop.read(customer, "/api/v1/me").await["address"], "1 Main St");
        shop.close().await;
    }
}

async fn active_orders(shop: &Shop, customer: &Person) -> BTreeSet<String> {
    let profile = shop.read(customer, "/api/v1/me").await;
    serde_json::from_value(profile["active_orders"].clone()).expect("ids")
}

#[tokio::test]
async fn active_orders_follow_from_what_happens_to_orders() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let first = shop.order_of(customer).await;
        let second = shop.order_of(customer).await;
        assert_eq!(active_orders(&shop, customer).await, BTreeSet::from([first.clone(), second.clone()]));
        shop.done(&first, "cancel").await;
        assert_eq!(active_orders(&shop, customer).await, BTreeSet::from([second.clone()]));
        for step in ["confirm", "cook", "ready", "deliver"] {
            shop.done(&second, step).await;
            assert_eq!(active_orders(&shop, customer).await.len(), 1, "{step}");
        }
        shop.done(&second, "complete").await;
        assert!(active_orders(&shop, customer).await.is_empty());
        shop.close().await;
    }
}

/// Order, kind and status of what the customer was told, the newest first.
async fn told(shop: &Shop, customer: &Person) -> Vec<(String, String, String)> {
    shop.settled().await;
    let page = shop.read(customer, "/api/v1/me/notifications").await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let items = page["items"].as_array().expect("a list");
    items.iter().map(|item| (text(&item["order_id"]), text(&item["kind"]), text(&item["status"]))).collect()
}

#[tokio::test]
async fn a_customer_is_told_what_happens() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let (eaten, given_up) = (shop.order_of(customer).await, shop.order_of(customer).await);
        shop.done(&eaten, "confirm").await;
        assert!(told(&shop, customer).await.is_empty(), "nothing to tell yet");
        for step in ["cook", "ready", "deliver", "complete"] {
            shop.done(&eaten, step).await;
        }
        shop.settled().await;
        shop.done(&given_up, "cancel").await;

        let expected = [
            (&given_up, "cancelled"),
            (&eaten, "delivered"),
            (&eaten, "delivering"),
            (&eaten, "ready"),
            (&eaten, "cooking"),
        ];
        let expected = expected.map(|(order, kind)| (order.clone(), kind.to_owned(), "unread".to_owned()));
        assert_eq!(told(&shop, customer).await, expected);
        assert!(told(&shop, &shop.people.other_customer).await.is_empty());

        let page = shop.read(customer, "/api/v1/me/notifications?limit=1").await;
        let members: Vec<_> = page["items"][0].as_object().expect("an object").keys().cloned().collect();
        assert_eq!(members, ["at", "id", "kind", "order_id", "status"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_notification_is_read_and_put_away_once() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let (customer, other) = (&shop.people.customer, &shop.people.other_customer);
        let order = shop.order_of(customer).await;
        shop.bring_to(&order, "ready").await;
        shop.settled().await;
        let page = shop.read(customer, "/api/v1/me/notifications").await;
        let [first, second] = [0, 1].map(|index| page["items"][index]["id"].as_str().expect("an id"));

        let act = async |person: &Person, id: &str, action: &str| {
            let path = format!("/api/v1/me/notifications/{id}/{action}");
            shop.post(&path).bearer(&person.token).send().await
        };
        for (action, status) in [("read", "read"), ("read", "read"), ("dismiss", "dismissed")] {
            let answer = act(customer, first, action).await.assert_status(200).json();
            assert_eq!((&answer["id"], &answer["status"]), (&json!(first), &json!(status)));
        }
        let again = act(customer, first, "dismiss").await.assert_status(200).json();
        assert_eq!(again["status"], "dismissed", "a second time changes nothing");
        act(customer, first, "read").await.problem(409, "notification.wrong_state");
        assert_eq!(act(customer, second, "dismiss").await.assert_status(200).json()["status"], "dismissed");

        // Somebody else's does not exist.
        let unknown = "0199aaaa-0000-7000-8000-000000000000";
        for (person, id) in [(other, first), (customer, unknown)] {
            for action in ["read", "dismiss"] {
                let problem = act(person, id, action).await.problem(404, "notification.not_found");
                assert_eq!(problem["detail"], format!("there is no notification {id}"));
            }
        }
        shop.close().await;
    }
}
