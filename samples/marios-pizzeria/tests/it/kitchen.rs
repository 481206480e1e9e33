//! The kitchen: so many orders at once, first confirmed, first shown.

use futures_util::future::join_all;
use serde_json::json;

use crate::shop::{Engine, Opening, Shop, ids};

async fn confirmed_orders(shop: &Shop, count: usize) -> Vec<String> {
    let mut orders = Vec::new();
    for _ in 0..count {
        let id = shop.guest_order().await.id;
        shop.done(&id, "confirm").await;
        orders.push(id);
    }
    orders
}

#[tokio::test]
async fn the_fourth_order_of_three_waits_until_one_is_ready() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let chef = &shop.people.chef;
        let empty = shop.read(chef, "/api/v1/kitchen").await;
        assert_eq!(empty, json!({"capacity": 3, "in_use": 0, "cooking": []}));

        let orders = confirmed_orders(&shop, 4).await;
        for order in &orders[..3] {
            shop.step(order, "cook").bearer(&chef.token).send().await.assert_status(200);
        }
        let full = shop.read(chef, "/api/v1/kitchen").await;
        assert_eq!(full, json!({"capacity": 3, "in_use": 3, "cooking": orders[..3]}));

        let before = shop.order(&orders[3]).await.json();
        let refused = shop.step(&orders[3], "cook").bearer(&chef.token).send().await;
        let problem = refused.problem(409, "kitchen.full");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("3 at once")), "{problem}");
        assert_eq!(shop.order(&orders[3]).await.json(), before, "nothing has changed");

        shop.step(&orders[1], "ready").bearer(&chef.token).send().await.assert_status(200);
        shop.step(&orders[3], "cook").bearer(&chef.token).send().await.assert_status(200);
        let kitchen = shop.read(chef, "/api/v1/kitchen").await;
        let cooking = json!([orders[0], orders[2], orders[3]]);
        assert_eq!(kitchen, json!({"capacity": 3, "in_use": 3, "cooking": cooking}));
        shop.close().await;
    }
}

#[tokio::test]
async fn the_queue_is_first_in_first_out_by_confirmation() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let mut orders = Vec::new();
        for _ in 0..4 {
            orders.push(shop.guest_order().await.id);
        }
        // Confirmed in another order than placed.
        for index in [2, 0, 3, 1] {
            shop.done(&orders[index], "confirm").await;
        }
        let expected: Vec<&str> = [2, 0, 3, 1].iter().map(|index| &*orders[*index]).collect();
        let queue = shop.read(&shop.people.chef, "/api/v1/kitchen/queue").await;
        assert_eq!(ids(&queue), expected);

        // Any confirmed order may be cooked; the others keep their places.
        shop.done(&orders[0], "cook").await;
        shop.done(&orders[3], "cancel").await;
        let queue = shop.read(&shop.people.chef, "/api/v1/kitchen/queue").await;
        assert_eq!(ids(&queue), [&*orders[2], &orders[1]]);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_cooks_at_once_as_many_succeed_as_there_are_places() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let chef = &shop.people.chef;
        let orders = confirmed_orders(&shop, 8).await;
        let answers =
            join_all(orders.iter().map(|order| shop.step(order, "cook").bearer(&chef.token).send())).await;
        let mut cooking = Vec::new();
        for (order, answer) in orders.iter().zip(&answers) {
            if answer.status == 200 {
                cooking.push(order.clone());
            } else {
                answer.problem(409, "kitchen.full");
                assert_eq!(shop.order(order).await.json()["status"], "confirmed");
            }
        }
        assert_eq!(cooking.len(), 3, "{engine:?}");
        let kitchen = shop.read(chef, "/api/v1/kitchen").await;
        let mut taken: Vec<String> = serde_json::from_value(kitchen["cooking"].clone()).expect("ids");
        taken.sort();
        cooking.sort();
        assert_eq!(taken, cooking, "{engine:?}");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_cancellation_frees_nothing_that_was_not_held() {
    let shop = Shop::open().await;
    let chef = &shop.people.chef;
    let orders = confirmed_orders(&shop, 5).await;
    for order in &orders[..3] {
        shop.done(order, "cook").await;
    }
    shop.done(&orders[3], "cancel").await;
    shop.step(&orders[4], "cook").bearer(&chef.token).send().await.problem(409, "kitchen.full");
    // What cooks cannot be cancelled, and keeps its place.
    let refused = shop.step(&orders[0], "cancel").bearer(&shop.people.manager.token).send().await;
    refused.problem(409, "order.wrong_state");
    assert_eq!(shop.read(chef, "/api/v1/kitchen").await["in_use"], 3);
    shop.close().await;
}

#[tokio::test]
async fn the_capacity_is_a_setting() {
    let shop = Opening::new().set("KITCHEN_CAPACITY", "1").open().await;
    let orders = confirmed_orders(&shop, 2).await;
    shop.done(&orders[0], "cook").await;
    let manager = &shop.people.manager.token;
    shop.step(&orders[1], "cook").bearer(manager).send().await.problem(409, "kitchen.full");
    assert_eq!(shop.read(&shop.people.chef, "/api/v1/kitchen").await["capacity"], 1);
    shop.close().await;
}
