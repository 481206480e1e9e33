//! The mail that customers get, as it waits in the store.

use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, guest_order};

async fn waiting(shop: &Shop) -> Vec<Value> {
    shop.settled().await;
    shop.documents("outgoing_mail").await
}

#[tokio::test]
async fn a_guest_with_an_address_gets_one_message_for_each_notification() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("MAIL_FROM", "mario@pizza.example").open().await;
        let order = shop.guest_order().await.id;
        shop.bring_to(&order, "delivered").await;
        let mail = waiting(&shop).await;
        let mut ids: Vec<_> = mail.iter().map(|mail| mail["message_id"].clone()).collect();
        ids.sort_by_key(ToString::to_string);
        let expected = ["cooking", "delivered", "delivering", "ready"]
            .map(|kind| json!(format!("<{order}.{kind}@pizza.example>")));
        assert_eq!(ids, expected, "{engine:?}");
        for mail in &mail {
            assert_eq!(
                (&mail["from"], &mail["to"]),
                (&json!("mario@pizza.example"), &json!("ada@example.com"))
            );
            assert_eq!(mail["state"], "waiting");
            assert!(mail["subject"].as_str().is_some_and(|subject| subject.ends_with(&order)), "{mail}");
            assert!(mail["text"].as_str().is_some_and(|text| text.contains("Dear Ada")), "{mail}");
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn mail_about_a_cancelled_order_gives_the_reason() {
    let shop = Shop::open().await;
    let order = shop.guest_order().await.id;
    shop.done(&order, "cancel").await;
    let mail = waiting(&shop).await;
    assert_eq!(mail.len(), 1);
    assert!(mail[0]["text"].as_str().is_some_and(|text| text.contains("changed my mind")), "{mail:?}");
    shop.close().await;
}

#[tokio::test]
async fn nobody_gets_mail_without_an_address() {
    let shop = Shop::open().await;
    let mut order = guest_order();
    order["customer"]["email"] = Value::Null;
    let placed = shop.post("/api/v1/orders").json(&order).send().await.assert_status(201).json();
    shop.bring_to(placed["id"].as_str().expect("an id"), "ready").await;
    assert_eq!(waiting(&shop).await, [] as [Value; 0]);
    shop.close().await;
}
