//! The menu: read by anyone, kept by the manager.

use pizzeria_application::menu::SeedMenu;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, guest_order, ids};

fn dollars(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

#[tokio::test]
async fn anybody_reads_the_menu_with_the_price_of_each_size() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let menu = shop.get("/api/v1/pizzas").send().await.assert_status(200).json();
        let expected = ["capricciosa", "hawaiian", "margherita", "marinara", "pepperoni", "quattro-formaggi"];
        assert_eq!(ids(&menu), expected, "by name");
        assert_eq!(menu["next"], Value::Null);
        let margherita = json!({
            "id": "margherita",
            "name": "Margherita",
            "description": "Tomato, mozzarella and basil",
            "available": true,
            "toppings": ["olives", "mushrooms", "onions", "peppers", "ham", "extra cheese"],
            "base_price": dollars("12.99"),
            // 12.99 × 1.3 = 16.887 and 12.99 × 1.6 = 20.784, rounded once.
            "prices": {"small": dollars("12.99"), "medium": dollars("16.89"), "large": dollars("20.78")},
            "version": 0,
        });
        assert_eq!(menu["items"][2], margherita);
        for (index, price) in [(1, "15.99"), (4, "14.99")] {
            assert_eq!(menu["items"][index]["base_price"], dollars(price), "{}", menu["items"][index]["id"]);
        }
        let shown = shop.get("/api/v1/pizzas/margherita").send().await.assert_status(200);
        assert_eq!(shown.json(), margherita);
        assert!(shown.header("etag").is_some_and(|tag| tag.starts_with("\"0.")));
        shop.close().await;
    }
}

#[tokio::test]
async fn seeding_again_changes_nothing_of_what_the_manager_did() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let manager = &shop.people.manager.token;
        shop.request(http::Method::DELETE, "/api/v1/pizzas/hawaiian")
            .bearer(manager)
            .send()
            .await
            .assert_status(204);
        let renamed = json!({ "name": "Regina", "base_price": dollars("10.00") });
        shop.put("/api/v1/pizzas/margherita").bearer(manager).json(&renamed).send().await.assert_status(200);
        let menu = shop.get("/api/v1/pizzas").send().await.json();
        for _ in 0..2 {
            let seeded = shop.send(SeedMenu {}).await.expect("a menu");
            assert_eq!((seeded.added, seeded.present), (0, 6));
        }
        assert_eq!(shop.get("/api/v1/pizzas").send().await.json(), menu);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_seeding_leaves_out_what_has_a_name_of_the_house() {
    for engine in Engine::ALL {
        // The manager is quicker than the first seeding.
        let shop = Opening::new().on(engine).without_menu().open().await;
        let manager = &shop.people.manager.token;
        let named = |name: &str| json!({ "name": name, "base_price": dollars("10.00") });
        let own = shop.post("/api/v1/pizzas").bearer(manager).json(&named("Classic")).send().await;
        own.assert_status(201);
        let path = "/api/v1/pizzas/classic";
        shop.put(path).bearer(manager).json(&named("Margherita")).send().await.assert_status(200);

        let seeded = shop.send(SeedMenu {}).await.expect("a menu");
        assert_eq!((seeded.added, seeded.present), (5, 1), "{engine:?}");
        let menu = shop.get("/api/v1/pizzas").send().await.json();
        assert_eq!(ids(&menu).len(), 6);
        assert!(!ids(&menu).contains(&"margherita"));
        shop.close().await;
    }
}

#[tokio::test]
async fn the_manager_adds_changes_and_removes_a_pizza() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let manager = &shop.people.manager.token;
        let diavola = json!({
            "name": "Diavola Rosé", "base_price": dollars("15.50"), "description": "Hot", "available": true,
            "toppings": ["Olives", "extra  cheese"],
        });
        let added =
            shop.post("/api/v1/pizzas").bearer(manager).json(&diavola).send().await.assert_status(201);
        assert_eq!(added.header("location"), Some("/api/v1/pizzas/diavola-rose"));
        assert!(added.header("etag").is_some_and(|tag| tag.starts_with("\"0.")));
        let body = added.json();
        assert_eq!((&body["id"], &body["name"]), (&json!("diavola-rose"), &json!("Diavola Rosé")));
        assert_eq!(body["toppings"], json!(["olives", "extra cheese"]), "in one spelling");

        let again = shop.post("/api/v1/pizzas").bearer(manager).json(&diavola).send().await;
        again.problem(409, "pizza.exists");

        let mut dearer = diavola.clone();
        dearer["base_price"] = dollars("16.00");
        let path = "/api/v1/pizzas/diavola-rose";
        let changed = shop.put(path).bearer(manager).json(&dearer).send().await.assert_status(200);
        assert!(changed.header("etag").is_some_and(|tag| tag.starts_with("\"1.")));
        assert_eq!(changed.json()["prices"]["medium"], dollars("20.80"));
        let late = shop.put(path).bearer(manager).header("if-match", "\"0\"").json(&diavola).send().await;
        assert_eq!(late.status, 412, "{}", late.text());
        assert_eq!(shop.get(path).send().await.json()["base_price"], dollars("16.00"));

        let remove = || shop.request(http::Method::DELETE, path).bearer(manager);
        remove().header("if-match", "\"0\"").send().await.problem(412, "version.mismatch");
        shop.get(path).send().await.assert_status(200);
        remove().header("if-match", "\"1\"").send().await.assert_status(204);
        shop.get(path).send().await.problem(404, "pizza.not_found");
        let outbox = shop.events_of("diavola-rose").await;
        let names: Vec<_> = outbox.iter().map(|message| &*message.name).collect();
        assert_eq!(names, ["pizza.created", "pizza.price.changed", "pizza.removed"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn two_names_that_read_alike_are_one_pizza_also_after_a_rename() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let manager = &shop.people.manager.token;
        let named = |name: &str| json!({ "name": name, "base_price": dollars("10.00") });
        let add = |name: &str| shop.post("/api/v1/pizzas").bearer(manager).json(&named(name));
        add("MARGHERITA!").send().await.problem(409, "pizza.exists");

        // The id stays with the pizza, and the new name is taken as well.
        let renamed = named("Regina");
        shop.put("/api/v1/pizzas/margherita").bearer(manager).json(&renamed).send().await.assert_status(200);
        let taken = add("Regina").send().await;
        assert_eq!(taken.status, 409, "{engine:?}: {}", taken.text());
        let kept = add("Margherita").send().await;
        assert_eq!(kept.status, 409, "{engine:?}: {}", kept.text());
        shop.close().await;
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_pizza_is_told_at_once() {
    let shop = Shop::open().await;
    let manager = &shop.people.manager.token;
    let add = |body: Value| shop.post("/api/v1/pizzas").bearer(manager).json(&body);
    let wrong = json!({
        "name": " ", "base_price": dollars("0.00"), "description": "x".repeat(1001),
        "toppings": ["ham", "Ham", "\u{7}"],
    });
    let refused = add(wrong).send().await;
    refused.problem(422, "request.invalid");
    let expected = [
        "/name required",
        "/base_price/amount range",
        "/description max_length",
        "/toppings/1 duplicate",
        "/toppings/2 format",
    ];
    assert_eq!(refused.violations(), expected);
    for (price, violation) in [
        (json!({"amount": "12.999", "currency": "USD"}), "/base_price/amount format"),
        (json!({"amount": "-1.00", "currency": "USD"}), "/base_price/amount format"),
        (json!({"amount": "1e3", "currency": "USD"}), "/base_price/amount format"),
        (json!({"amount": "12.99", "currency": "dollars"}), "/base_price/currency format"),
        (json!({"amount": "12.99", "currency": "EUR"}), "/base_price/currency currency"),
        (json!({"amount": 12.99, "currency": "USD"}), "/base_price/amount type"),
    ] {
        let refused = add(json!({ "name": "Diavola", "base_price": price })).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), [violation], "{price}");
    }
    // A price that is none hides nothing of the rest.
    for (price, of_price) in [
        (dollars("1e3"), &["/base_price/amount format"][..]),
        (json!({"amount": "12.99", "currency": "EUR"}), &["/base_price/currency currency"]),
        (
            json!({"amount": "x", "currency": "?"}),
            &["/base_price/currency format", "/base_price/amount format"],
        ),
    ] {
        let refused = add(json!({ "name": " ", "base_price": price, "toppings": ["\u{7}"] })).send().await;
        refused.problem(422, "request.invalid");
        let expected = [&["/name required"], of_price, &["/toppings/0 format"]].concat();
        assert_eq!(refused.violations(), expected, "{price}");
    }
    let menu = shop.get("/api/v1/pizzas").send().await.json();
    assert_eq!(ids(&menu).len(), 6, "nothing was stored");
    shop.close().await;
}

#[tokio::test]
async fn an_order_keeps_its_prices_when_the_menu_changes() {
    let shop = Shop::open().await;
    let manager = &shop.people.manager.token;
    let order = shop.guest_order().await;
    let dearer = json!({ "name": "Margherita", "base_price": dollars("99.00"), "toppings": ["olives"] });
    shop.put("/api/v1/pizzas/margherita").bearer(manager).json(&dearer).send().await.assert_status(200);
    assert_eq!(shop.order(&order.id).await.json()["total"], dollars("38.78"));

    shop.request(http::Method::DELETE, "/api/v1/pizzas/margherita")
        .bearer(manager)
        .send()
        .await
        .assert_status(204);
    assert_eq!(shop.order(&order.id).await.json()["lines"][0]["name"], "Margherita");
    let refused = shop.post("/api/v1/orders").json(&guest_order()).send().await;
    refused.problem(422, "request.invalid");
    assert_eq!(refused.violations(), ["/lines/0/pizza_id pizza.unknown"]);
    shop.close().await;
}
