//! What an operator puts right: documents that do not agree, spoilt behind the application's back.

use pizzeria_application::kitchen::FixPlaces;
use pizzeria_application::orders::{CorruptedOrders, FixCorruptedOrders};
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop};

async fn load(shop: &Shop, collection: &'static str, id: &str) -> (u64, Value) {
    let document = shop.store().load(collection, id).await.expect("it answers").expect("it is there");
    (document.version, serde_json::from_str(&document.body).expect("JSON"))
}

async fn fix(shop: &Shop, dry_run: bool) -> (CorruptedOrders, Vec<String>) {
    let orders = shop.send(FixCorruptedOrders { dry_run, cursor: None }).await.expect("an answer");
    (orders, shop.send(FixPlaces { dry_run }).await.expect("an answer"))
}

fn order(id: &str, what: &str) -> String {
    format!("order {id}: {what}")
}

#[tokio::test]
async fn totals_and_statuses_that_do_not_agree_are_put_right_and_nothing_else() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let [sound, total, line, status] =
            [shop.guest_order().await.id, shop.guest_order().await.id, shop.guest_order().await.id, {
                let order = shop.guest_order().await.id;
                shop.bring_to(&order, "delivered").await;
                order
            }];
        let before = [&total, &line, &status].map(|id| load(&shop, "orders", id));
        let before = futures_util::future::join_all(before).await;
        shop.change_one("orders", &total, |order| order["total"]["amount"] = json!("1.00")).await;
        shop.change_one("orders", &line, |order| order["lines"][0]["line_total"]["amount"] = json!("2.00"))
            .await;
        shop.change_one("orders", &status, |order| order["status"] = json!("ready")).await;

        let expected = [
            order(&total, "its total is 1.00 USD instead of 38.78 USD"),
            order(&line, "the total of line 1 is 2.00 USD instead of 38.78 USD"),
            order(&status, "its status is ready instead of delivered"),
        ];
        // A dry run tells the same, and changes nothing.
        let spoilt = shop.documents("orders").await;
        for _ in 0..2 {
            let (found, places) = fix(&shop, true).await;
            assert_eq!(found.fixable, expected, "{engine:?}");
            assert_eq!((found.unfixable, places), (vec![], vec![]));
        }
        assert_eq!(shop.documents("orders").await, spoilt);

        assert_eq!(fix(&shop, false).await.0.fixable, expected);
        for (id, (_, body)) in [&total, &line, &status].into_iter().zip(before) {
            assert_eq!(load(&shop, "orders", id).await.1, body, "{id}");
            let events = shop.events_of(id).await;
            assert_eq!(events.last().map(|event| &*event.name), Some("order.corrected"));
        }
        assert_eq!(load(&shop, "orders", &sound).await.0, 0, "what is sound is not touched");
        let (found, places) = fix(&shop, false).await;
        assert_eq!((found, places), (CorruptedOrders::default(), vec![]), "a second time there is nothing");
        let overview = shop.read(&shop.people.manager, "/api/v1/statistics/overview").await;
        assert_eq!(overview["orders"]["delivered"], 1);
        shop.close().await;
    }
}

#[tokio::test]
async fn places_in_the_kitchen_are_those_of_the_orders_that_cook() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let [cooking, forgotten, waiting] =
            [shop.guest_order().await.id, shop.guest_order().await.id, shop.guest_order().await.id];
        shop.bring_to(&cooking, "cooking").await;
        shop.bring_to(&forgotten, "cooking").await;
        let nobody = "0199aaaa-0000-7000-8000-000000000000";
        shop.change_one("kitchens", "kitchen", |kitchen| {
            kitchen["cooking"] = json!([waiting, cooking, nobody, cooking]);
        })
        .await;

        let expected = [
            order(&forgotten, "it cooks without a place in the kitchen"),
            order(&waiting, "it has a place in the kitchen too many"),
            order(nobody, "it has a place in the kitchen too many"),
            order(&cooking, "it has a place in the kitchen too many"),
        ];
        let spoilt = shop.documents("kitchens").await;
        assert_eq!(fix(&shop, true).await.1, expected, "{engine:?}");
        assert_eq!(shop.documents("kitchens").await, spoilt);
        assert_eq!(fix(&shop, false).await.1, expected);
        let kitchen = shop.read(&shop.people.chef, "/api/v1/kitchen").await;
        assert_eq!(kitchen["cooking"], json!([cooking, forgotten]));
        assert_eq!(fix(&shop, false).await.1, [] as [String; 0]);
        shop.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_added_up_is_left_to_a_person() {
    let shop = Shop::open().await;
    let id = shop.guest_order().await.id;
    shop.change_one("orders", &id, |order| {
        let mut second = order["lines"][0].clone();
        second["unit_price"]["currency"] = json!("EUR");
        order["lines"].as_array_mut().expect("a list").push(second);
    })
    .await;
    let before = shop.documents("orders").await;
    let (found, _) = fix(&shop, false).await;
    assert_eq!(found.fixable, [] as [String; 0]);
    assert!(found.unfixable[0].starts_with(&format!("order {id}: ")), "{found:?}");
    assert_eq!(shop.documents("orders").await, before);
    shop.close().await;
}
