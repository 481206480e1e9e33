//! What the manager watches.

use serde_json::json;

use crate::shop::{Engine, Opening};

#[tokio::test]
async fn a_house_that_changes_its_currency_counts_from_then_on() {
    let shop = Opening::new().on(Engine::Sqlite).open().await;
    let order = shop.guest_order().await;
    shop.bring_to(&order.id, "delivered").await;
    let path = "/api/v1/statistics/overview";
    let overview = shop.read(&shop.people.manager, path).await;
    assert_eq!(overview["revenue"], json!({"amount": "38.78", "currency": "USD"}));

    let shop = shop.reopen_with("CURRENCY", "EUR").await;
    let manager = &shop.people.manager;
    let overview = shop.read(manager, path).await;
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
    assert_eq!(shop.read(manager, path).await["revenue"], revenue);
    shop.close().await;
}
