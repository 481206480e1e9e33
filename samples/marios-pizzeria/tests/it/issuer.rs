//! Staff and customers whose accounts are at an OpenID provider that others have written.

use neuroglia_testing::services::OpenId;

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
