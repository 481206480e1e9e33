//! What the manager watches.

use pizzeria_application::statistics::RebuildStatistics;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, guest_order};

async fn statistics(shop: &Shop, of: &str) -> Value {
    shop.settled().await;
    shop.read(&shop.people.manager, &format!("/api/v1/statistics/{of}")).await
}

/// Everything that the statistics say, but the time at which they say it.
async fn everything(shop: &Shop) -> Value {
    let mut overview = statistics(shop, "overview").await;
    overview["as_of"].take();
    let mut parts = vec![overview];
    for part in ["timeseries", "timeseries?by=hour", "pizzas", "kitchen", "staff"] {
        parts.push(statistics(shop, part).await);
    }
    json!(parts)
}

/// An order of so many pizzas of a kind, brought to this status; its id.
async fn order(shop: &Shop, pizza: &str, quantity: u32, status: &str) -> String {
    let mut order = guest_order();
    order["lines"] = json!([{"pizza_id": pizza, "size": "small", "quantity": quantity}]);
    let placed = shop.post("/api/v1/orders").json(&order).send().await.assert_status(201).json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    shop.bring_to(&id, status).await;
    id
}

/// Two margheritas and three pepperonis delivered, one hawaiian cancelled, one pending and one cooking.
async fn a_fixed_day(shop: &Shop) {
    for (pizza, quantity, status) in [
        ("margherita", 2, "delivered"),
        ("pepperoni", 3, "delivered"),
        ("hawaiian", 1, "cancelled"),
        ("hawaiian", 1, "pending"),
        ("hawaiian", 1, "cooking"),
    ] {
        order(shop, pizza, quantity, status).await;
    }
}

fn dollars(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

#[tokio::test]
async fn the_statistics_of_a_fixed_day_are_the_expected_numbers() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("TIME_ZONE", "Europe/Rome").open().await;
        a_fixed_day(&shop).await;

        let overview = statistics(&shop, "overview").await;
        let counts = json!({
            "total": 5, "pending": 1, "confirmed": 0, "cooking": 1, "ready": 0, "delivering": 0,
            "delivered": 2, "cancelled": 1
        });
        assert_eq!(overview["orders"], counts, "{engine:?}");
        // 2 × 12.99 + 3 × 14.99.
        assert_eq!(overview["revenue"], dollars("70.95"));

        let pizzas = json!([
            {"pizza_id": "pepperoni", "name": "Pepperoni", "sold": 3, "revenue": dollars("44.97")},
            {"pizza_id": "margherita", "name": "Margherita", "sold": 2, "revenue": dollars("25.98")},
        ]);
        assert_eq!(statistics(&shop, "pizzas").await["items"], pizzas);

        let kitchen = statistics(&shop, "kitchen").await;
        let stretches: Vec<_> = kitchen["items"].as_array().expect("a list").iter().collect();
        let orders: Vec<_> = stretches.iter().map(|item| (&item["stretch"], &item["orders"])).collect();
        let expected = [("waiting", 3), ("cooking", 2), ("collecting", 2), ("delivering", 2)]
            .map(|(stretch, orders)| (json!(stretch), json!(orders)));
        assert_eq!(orders, expected.iter().map(|(stretch, orders)| (stretch, orders)).collect::<Vec<_>>());
        assert!(stretches.iter().all(|item| item["average_ms"].is_u64()), "{kitchen}");

        let peach = &shop.people.manager.id;
        let staff = json!([
            {"user_id": peach, "name": "Peach", "confirmed": 3, "cooked": 2, "delivered": 2}
        ]);
        assert_eq!(statistics(&shop, "staff").await["items"], staff);

        // Midnight may be in between, so the steps are added up.
        for (by, width) in [("day", 10), ("hour", 13)] {
            let series = statistics(&shop, &format!("timeseries?by={by}")).await;
            let steps = series["items"].as_array().expect("a list");
            assert!(steps.iter().all(|step| step["at"].as_str().is_some_and(|at| at.len() == width)));
            let sum = |name: &str| steps.iter().filter_map(|step| step[name].as_u64()).sum::<u64>();
            assert_eq!((sum("orders"), sum("delivered"), sum("cancelled")), (5, 2, 1), "{series}");
        }

        let before = everything(&shop).await;
        shop.rebuild_statistics().await;
        assert_eq!(everything(&shop).await, before, "{engine:?}: rebuilt");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_rebuild_mends_the_books_while_orders_go_on() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("KITCHEN_CAPACITY", "100").open().await;
        a_fixed_day(&shop).await;
        shop.settled().await;
        let Some(RebuildStatistics::Enter { edition, .. }) =
            shop.send(RebuildStatistics::Begin).await.expect("it begins")
        else {
            panic!("orders are entered next")
        };
        // What happens in the middle of it is in both editions.
        order(&shop, "margherita", 1, "delivered").await;
        assert_eq!(statistics(&shop, "overview").await["orders"]["total"], 6);
        let (rebuilding, ordering) = (
            async {
                let mut next = Some(RebuildStatistics::Enter { edition, cursor: None });
                while let Some(stage) = next {
                    next = shop.send(stage).await.expect("a stage that succeeds");
                }
            },
            async {
                for _ in 0..5 {
                    order(&shop, "pepperoni", 1, "delivered").await;
                }
            },
        );
        futures_util::future::join(rebuilding, ordering).await;
        let after = everything(&shop).await;
        assert_eq!(after[0]["orders"]["delivered"], 8, "{engine:?}");
        // 70.95 + 12.99 + 5 × 14.99.
        assert_eq!(after[0]["revenue"], dollars("158.89"));
        shop.rebuild_statistics().await;
        assert_eq!(everything(&shop).await, after);
        for collection in ["statistics_entries", "statistics_tallies"] {
            let documents = shop.documents(collection).await;
            let is_new = |document: &Value| document["edition"] == json!(edition + 1);
            assert!(documents.iter().all(is_new), "{collection}: {documents:?}");
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn of_two_rebuilds_the_later_one_counts() {
    let shop = Shop::open().await;
    order(&shop, "margherita", 1, "delivered").await;
    let first = shop.send(RebuildStatistics::Begin).await.expect("it begins");
    shop.rebuild_statistics().await;
    let late =
        shop.send(first.expect("orders are entered next")).await.expect("it changes nothing that is read");
    let refused = shop.send(late.expect("it is published next")).await.expect_err("another was published");
    assert_eq!(refused.code(), "statistics.rebuilt_elsewhere");
    assert_eq!(statistics(&shop, "overview").await["orders"]["total"], 1);
    shop.close().await;
}

#[tokio::test]
async fn a_series_has_its_bounds() {
    let shop = Shop::open().await;
    let manager = &shop.people.manager.token;
    let path = |query: &str| format!("/api/v1/statistics/timeseries?{query}");
    let none = shop.read(&shop.people.manager, &path("from=2026-01-01&to=2026-12-31")).await;
    assert_eq!(none, json!({"items": []}));
    for (query, violation) in [
        ("from=2026-01-02&to=2026-01-01", "/to range"),
        ("from=2025-01-01&to=2026-01-02", "/from range"),
        ("by=hour&from=2026-01-01&to=2026-02-01", "/from range"),
    ] {
        let refused = shop.get(&path(query)).bearer(manager).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), [violation], "{query}");
    }
    for wrong in ["from=2026-02-30", "from=today", "by=week"] {
        let status = shop.get(&path(wrong)).bearer(manager).send().await.status.as_u16();
        assert!(matches!(status, 400 | 422), "{wrong}: {status}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_house_that_changes_its_currency_counts_from_then_on() {
    let shop = Opening::new().on(Engine::Sqlite).open().await;
    let order = shop.guest_order().await;
    shop.bring_to(&order.id, "delivered").await;
    assert_eq!(statistics(&shop, "overview").await["revenue"], dollars("38.78"));

    let shop = shop.reopen_with("CURRENCY", "EUR").await;
    let manager = &shop.people.manager;
    let overview = statistics(&shop, "overview").await;
    assert_eq!(overview["revenue"], json!({"amount": "0.00", "currency": "EUR"}));
    assert_eq!(overview["orders"]["delivered"], 1);

    let price = json!({"amount": "10.00", "currency": "EUR"});
    let margherita = json!({ "name": "Margherita", "base_price": price, "toppings": ["olives"] });
    let change = shop.put("/api/v1/pizzas/margherita").bearer(&manager.token).json(&margherita);
    change.send().await.assert_status(200);
    let order = shop.guest_order().await;
    shop.bring_to(&order.id, "delivered").await;
    // Twice 10.00 × 1.3 + 2.50.
    let revenue = json!({"amount": "31.00", "currency": "EUR"});
    assert_eq!(statistics(&shop, "overview").await["revenue"], revenue);
    shop.close().await;
}
