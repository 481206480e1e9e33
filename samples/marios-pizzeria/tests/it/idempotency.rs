//! `Idempotency-Key`: a request that is repeated happens once.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::di::Service;
use neuroglia_testing::{StoreControl, TestRequest, UnsteadyStore};
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, guest_order, ids, order_with_phone};

const KEY: &str = "7c2f0e9a-55d1-4b6e";

fn place<'a>(shop: &'a Shop, key: &str) -> TestRequest<'a> {
    shop.post("/api/v1/orders").header("idempotency-key", key).json(&guest_order())
}

async fn order_count(shop: &Shop) -> usize {
    ids(&shop.read(&shop.people.manager, "/api/v1/orders?limit=100").await).len()
}

/// A pizzeria on a store that the test can hold.
async fn unsteady_shop() -> (Shop, StoreControl) {
    let (store, control) = UnsteadyStore::around(Arc::new(MemoryStore::new()));
    let store: Arc<dyn Store> = Arc::new(store);
    let opening = Opening::new().services(move |services| {
        services.replace(Service::shared::<dyn Store>(Arc::clone(&store)));
    });
    (opening.open().await, control)
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_again() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let first = place(&shop, KEY).send().await.assert_status(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        assert!(first.json()["tracking_token"].is_string());
        // What has happened to the order since then does not change the answer.
        let id = first.json()["id"].as_str().expect("an id").to_owned();
        shop.done(&id, "confirm").await;
        for _ in 0..2 {
            let again = place(&shop, KEY).send().await.assert_status(201);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(again.body, first.body, "the tracking token is in it as well");
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(again.header("etag"), first.header("etag"));
        }
        assert_eq!(order_count(&shop).await, 1);
        assert_eq!(shop.events_of(&id).await.len(), 2);
        shop.close().await;
    }
}

#[tokio::test]
async fn steps_are_repeatable_as_well() {
    let shop = Shop::open().await;
    let order = shop.guest_order().await;
    let confirm =
        || shop.step(&order.id, "confirm").bearer(&shop.people.manager.token).header("idempotency-key", KEY);
    let first = confirm().send().await.assert_status(200);
    let again = confirm().send().await.assert_status(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    // Without the key it is another request.
    let manager = &shop.people.manager.token;
    shop.step(&order.id, "confirm").bearer(manager).send().await.problem(409, "order.wrong_state");
    shop.close().await;
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        place(&shop, KEY).send().await.assert_status(201);
        let other = shop.post("/api/v1/orders").header("idempotency-key", KEY);
        let refused = other.json(&order_with_phone("+1 555 0199")).send().await;
        refused.problem(422, "idempotency.reused");
        assert_eq!(refused.header("idempotency-replayed"), None);
        assert_eq!(order_count(&shop).await, 1);
        shop.close().await;
    }
}

#[tokio::test]
async fn keys_of_different_callers_never_meet() {
    let shop = Shop::open().await;
    let (customer, other) = (&shop.people.customer, &shop.people.other_customer);
    let mut placed: Vec<Value> = Vec::new();
    for person in [customer, other] {
        let request = shop.post("/api/v1/orders").bearer(&person.token).header("idempotency-key", KEY);
        let answer = request.json(&order_with_phone(person.phone)).send().await.assert_status(201);
        assert_eq!(answer.header("idempotency-replayed"), None);
        placed.push(answer.json()["customer"]["id"].clone());
    }
    assert_ne!(placed[0], placed[1]);
    // A subject that ends in somebody else's key, or is called like the guests, is another caller all the same.
    place(&shop, KEY).send().await.assert_status(201);
    let body = order_with_phone("+1 555 0142");
    let guest = crate::security::token_of(&shop, "guest", &["customer"]);
    let request = shop.post("/api/v1/orders").bearer(&guest).header("idempotency-key", KEY).json(&body);
    let answer = request.send().await.assert_status(201);
    assert_eq!(answer.header("idempotency-replayed"), None);
    assert_eq!(order_count(&shop).await, 4);
    shop.close().await;
}

#[tokio::test]
async fn an_answer_survives_a_restart() {
    let shop = Opening::new().on(Engine::Sqlite).open().await;
    let first = place(&shop, KEY).send().await.assert_status(201);
    let shop = shop.reopen().await;
    let again = place(&shop, KEY).send().await.assert_status(201);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    let path = format!("/api/v1/orders/{}", first.json()["id"].as_str().expect("an id"));
    let token = first.json()["tracking_token"].as_str().expect("a token").to_owned();
    shop.get(&path).header("x-tracking-token", token).send().await.assert_status(200);
    assert_eq!(order_count(&shop).await, 1);
    shop.close().await;
}

#[tokio::test]
async fn errors_are_not_kept() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let manager = &shop.people.manager.token;
        let margherita = |available: bool| {
            let price = json!({"amount": "12.99", "currency": "USD"});
            let pizza = json!({
                "name": "Margherita", "base_price": price, "available": available, "toppings": ["olives"]
            });
            shop.put("/api/v1/pizzas/margherita").bearer(manager).json(&pizza)
        };
        margherita(false).send().await.assert_status(200);
        for _ in 0..2 {
            let refused = place(&shop, KEY).send().await;
            refused.problem(422, "request.invalid");
            assert_eq!(refused.header("idempotency-replayed"), None);
        }
        margherita(true).send().await.assert_status(200);
        let placed = place(&shop, KEY).send().await.assert_status(201);
        assert_eq!(placed.header("idempotency-replayed"), None);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let shop = Shop::open().await;
    for key in ["", " ", "two words", &"x".repeat(256), "tab\there"] {
        place(&shop, key).send().await.problem(400, "idempotency.key");
    }
    let twice = place(&shop, "one").header("idempotency-key", "two").send().await;
    twice.problem(400, "idempotency.key");
    place(&shop, &"x".repeat(255)).send().await.assert_status(201);
    assert_eq!(order_count(&shop).await, 1);
    shop.close().await;
}

#[tokio::test]
async fn while_the_first_request_runs_the_second_is_told_so() {
    let (shop, control) = unsteady_shop().await;
    control.hold_commits();
    let meanwhile = async {
        control.commits_held(1).await;
        let running = place(&shop, KEY).send().await;
        let other = shop.post("/api/v1/orders").header("idempotency-key", KEY);
        let other = other.json(&order_with_phone("+1 555 0199")).send().await;
        control.release_commits();
        (running, other)
    };
    let (first, (running, other)) = join(place(&shop, KEY).send(), meanwhile).await;
    running.problem(409, "idempotency.running");
    assert_eq!(running.header("retry-after"), Some("1"));
    other.problem(422, "idempotency.reused");
    first.clone().assert_status(201);

    let again = place(&shop, KEY).send().await.assert_status(201);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(order_count(&shop).await, 1);
    shop.close().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_no_answer_to_keep() {
    let (shop, control) = unsteady_shop().await;
    control.go_away();
    let away = place(&shop, KEY).send().await;
    let problem = away.problem(503, "service.unavailable");
    assert_eq!(problem["detail"], "service temporarily unavailable", "and nothing of the cause");
    assert!(away.header("retry-after").is_some());
    // Away is not the same as not found, and the process itself is well.
    shop.get("/api/v1/pizzas/margherita").send().await.problem(503, "service.unavailable");
    shop.get("/health/ready").send().await.assert_status(503);
    shop.get("/health/live").send().await.assert_status(200);

    control.come_back();
    let placed = place(&shop, KEY).send().await.assert_status(201);
    assert_eq!(placed.header("idempotency-replayed"), None);
    assert_eq!(order_count(&shop).await, 1);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_requests_at_once_with_one_key_place_one_order() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let answers = join_all((0..20).map(|_| place(&shop, KEY).send())).await;
        let (mut placed, mut replayed) = (0, 0);
        for answer in &answers {
            if answer.status == 201 {
                let again = answer.header("idempotency-replayed") == Some("true");
                *(if again { &mut replayed } else { &mut placed }) += 1;
            } else {
                answer.problem(409, "idempotency.running");
            }
        }
        assert_eq!(placed, 1, "{engine:?}; {replayed} were replayed");
        assert_eq!(order_count(&shop).await, 1, "{engine:?}");
        let last = place(&shop, KEY).send().await.assert_status(201);
        let bodies = answers.iter().filter(|answer| answer.status == 201).map(|answer| &answer.body);
        assert!(bodies.into_iter().all(|body| *body == last.body), "{engine:?}");
        shop.close().await;
    }
}
