//! Staff and customers whose accounts are at an OpenID provider that others have written.

use neuroglia_testing::services::OpenId;
use serde_json::json;

use crate::shop::{Opening, Shop};

async fn shop_of(provider: &OpenId) -> Shop {
    let opening =
        Opening::new().set("AUTH_ISSUER", &provider.issuer()).set("AUTH_AUDIENCE", OpenId::AUDIENCE);
    opening.set("AUTH_ROLES_CLAIM", "realm_access.roles").set("ADMIN_PORT", "0").open().await
}

#[tokio::test]
async fn a_token_of_the_provider_opens_what_its_roles_allow() {
    let provider = OpenId::start();
    let shop = shop_of(&provider).await;
    let (chef, customer) = (provider.token("luigi", "chef"), provider.token("daisy", "customer"));
    shop.get("/api/v1/kitchen").bearer(&chef).send().await.assert_status(200);
    shop.get("/api/v1/kitchen").bearer(&customer).send().await.assert_status(403);
    shop.get("/api/v1/kitchen").bearer(&shop.people.chef.token).send().await.assert_status(200);
    let order = shop.order_of(&crate::shop::Person { token: customer, ..shop.people.customer.clone() }).await;
    let order = shop.order(&order).await.json();
    let by = order["history"][0]["by"].as_str().expect("somebody").to_owned();
    assert!(by.starts_with("daisy@127.0.0.1:"), "{by}");
    shop.close().await;
}

#[tokio::test]
async fn drivers_and_managers_of_the_provider_drive_orders() {
    let provider = OpenId::start();
    let shop = shop_of(&provider).await;
    let (toad, peach) = (provider.token("toad", "driver"), provider.token("peach", "manager"));
    let ready = async || {
        let id = shop.guest_order().await.id;
        shop.bring_to(&id, "ready").await;
        id
    };
    let assign = |order: &str, token: &str, driver: &str| {
        let path = format!("/api/v1/orders/{order}/driver");
        shop.put(&path).bearer(token).json(&json!({ "driver": driver }))
    };
    let deliver = async |order: &str, token: &str| {
        for step in ["deliver", "complete"] {
            shop.step(order, step).bearer(token).send().await.assert_status(200);
        }
    };

    // A driver takes an order, and is known by that id from then on.
    let taken = ready().await;
    let order = shop.step(&taken, "driver").bearer(&toad).send().await.assert_status(200).json();
    let toad_id = order["driver"].as_str().expect("a driver").to_owned();
    deliver(&taken, &toad).await;
    for manager in [&shop.people.manager.token, &peach] {
        let order = ready().await;
        let assigned = assign(&order, manager, &toad_id).send().await.assert_status(200).json();
        assert_eq!(assigned["driver"], json!(toad_id));
        deliver(&order, &toad).await;
    }

    // A manager drives herself, whether she says who that is or not.
    let order = ready().await;
    let own = shop.step(&order, "driver").bearer(&peach).send().await.assert_status(200).json();
    let peach_id = own["driver"].as_str().expect("a driver");
    assert!(peach_id.starts_with("peach@127.0.0.1:"), "{peach_id}");
    assign(&order, &peach, peach_id).send().await.assert_status(200);
    deliver(&order, &peach).await;

    // Whoever has no account anywhere, or one of ours with another role, drives nothing.
    let order = ready().await;
    let place = toad_id.strip_prefix("toad").expect("the name of the issuer");
    for nobody in [place, "toad@elsewhere.example", "toad", &format!("{toad_id}/x"), &shop.people.chef.id] {
        let refused = assign(&order, &peach, nobody).send().await;
        refused.problem(422, "request.invalid");
        assert_eq!(refused.violations(), ["/driver driver.unknown"], "{nobody}");
    }
    // And who is no driver there gets no further.
    let luigi = provider.token("luigi", "chef");
    assign(&order, &peach, &format!("luigi{place}")).send().await.assert_status(200);
    shop.step(&order, "deliver").bearer(&luigi).send().await.problem(403, "auth.forbidden");
    shop.close().await;
}

#[tokio::test]
async fn a_provider_that_goes_away_takes_nobody_with_it_and_lets_nobody_new_in() {
    let mut provider = OpenId::start();
    let (chef, stranger) = (provider.token("luigi", "chef"), OpenId::start().token("eve", "manager"));
    let shop = shop_of(&provider).await;
    shop.get("/api/v1/kitchen").bearer(&chef).send().await.assert_status(200);
    shop.get("/api/v1/kitchen").bearer(&stranger).send().await.assert_status(401);
    provider.crash();
    shop.get("/api/v1/kitchen").bearer(&chef).send().await.assert_status(200);
    shop.get("/health/ready").send().await.assert_status(200);
    shop.close().await;

    // It is away at the start: the pizzeria opens all the same.
    let shop = shop_of(&provider).await;
    let answer = shop.get("/api/v1/kitchen").bearer(&chef).send().await.assert_status(503);
    assert!(answer.header("retry-after").is_some());
    shop.get("/api/v1/pizzas").send().await.assert_status(200);
    shop.get("/api/v1/kitchen").bearer(&shop.people.chef.token).send().await.assert_status(200);
    shop.close().await;
}
