//! The menu out of the cache: never older than the request, at every replica, whatever becomes of the cache.

use std::time::Duration;

use http::Method;
use neuroglia::cache::Cache;
use neuroglia::data::Page;
use neuroglia_testing::TestApp;
use neuroglia_testing::services::Redis;
use pizzeria_application::menu::PizzaDto;
use pizzeria_domain::menu::MenuEdition;
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Shop, ids};

async fn menu(app: &TestApp) -> Value {
    app.get("/api/v1/pizzas").send().await.assert_status(200).json()
}

fn price(menu: &Value, id: &str) -> String {
    let items = menu["items"].as_array().expect("a list");
    let pizza = items.iter().find(|pizza| pizza["id"] == id).expect("it is on the menu");
    pizza["base_price"]["amount"].as_str().expect("an amount").to_owned()
}

async fn reprice(shop: &Shop, app: &TestApp, id: &str, amount: &str) {
    let body = json!({ "name": "Margherita", "base_price": { "amount": amount, "currency": "USD" } });
    let change = app.put(&format!("/api/v1/pizzas/{id}")).bearer(&shop.people.manager.token).json(&body);
    change.send().await.assert_status(200);
}

#[tokio::test]
async fn a_change_shows_at_every_replica_with_the_next_request() {
    let redis = Redis::start();
    for (engine, cache) in
        [(Engine::Sqlite, "memory:"), (Engine::Postgres, "memory:"), (Engine::Postgres, &redis.url())]
    {
        let shop = Opening::new().on(engine).set("CACHE_URL", cache).open().await;
        let other = shop.beside().await;
        let replicas: [&TestApp; 2] = [&shop, &other];
        for round in 0..3 {
            let amount = format!("1{round}.50");
            for app in replicas {
                menu(app).await;
            }
            reprice(&shop, replicas[round % 2], "margherita", &amount).await;
            for app in replicas {
                assert_eq!(price(&menu(app).await, "margherita"), amount, "{engine:?} {cache}");
            }
        }
        let gone = shop.request(Method::DELETE, "/api/v1/pizzas/hawaiian");
        gone.bearer(&shop.people.manager.token).send().await.assert_status(204);
        assert!(!ids(&menu(&other).await).contains(&"hawaiian"));
        other.stop().await;
        shop.close().await;
    }
}

/// The name of the edition that holds.
async fn edition(shop: &Shop) -> String {
    let found = shop.store().load("menu_editions", "menu").await.expect("the store answers");
    let body = found.expect("a menu was printed").body;
    let edition: MenuEdition = serde_json::from_str(&body).expect("it is one");
    edition.name().to_owned()
}

#[tokio::test]
async fn the_menu_is_read_from_the_cache_and_an_order_is_priced_from_the_store() {
    let redis = Redis::start();
    for cache in ["memory:", &redis.url()] {
        let shop = Opening::new().set("CACHE_URL", cache).set("ADMIN_PORT", "0").open().await;
        menu(&shop).await;
        // Whoever could write to the cache could show a wrong price, and sell nothing by it.
        let kept = shop.running().services().get::<Cache>().expect("registered").namespace("menu");
        let key = format!("{}:20:", edition(&shop).await);
        let mut page: Page<PizzaDto> = kept.get(&key).await.expect("the menu is cached");
        for pizza in &mut page.items {
            pizza.base_price.amount = "0.01".to_owned();
        }
        kept.set(&key, &page, Duration::from_secs(60)).await;
        assert_eq!(price(&menu(&shop).await, "margherita"), "0.01", "it is read from the cache");
        let order = shop.guest_order().await;
        let shown = shop.order(&order.id).await.json();
        assert_eq!(shown["lines"][0]["unit_price"]["amount"], "19.39", "{shown}");

        for family in ["cache_hits_total", "cache_misses_total", "cache_computed_total"] {
            assert!(counted(&shop, family).await > 0.0, "{family}");
        }
        // Of a cache in the process' own memory no time is taken.
        let is_timed = counted(&shop, "cache_duration_seconds_count").await > 0.0;
        assert_eq!(is_timed, cache != "memory:", "{cache}");
        assert_eq!(is_timed, counted(&shop, "cache_duration_seconds_sum").await > 0.0, "{cache}");
        shop.close().await;
    }
}

/// One figure of the metrics.
async fn counted(shop: &Shop, name: &str) -> f64 {
    let metrics = shop.get_admin("/metrics").send().await.text();
    let figure = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    figure.expect(name).parse().expect("a number")
}

#[tokio::test]
async fn a_cache_that_does_not_answer_is_counted() {
    let mut redis = Redis::start();
    let shop = Opening::new().set("CACHE_URL", &redis.url()).set("ADMIN_PORT", "0").open().await;
    menu(&shop).await;
    let before = counted(&shop, "cache_failures_total").await;
    redis.stop();
    menu(&shop).await;
    assert!(counted(&shop, "cache_failures_total").await > before);
    shop.close().await;
}

#[tokio::test]
async fn another_database_behind_the_same_cache_has_its_own_menu() {
    let redis = Redis::start();
    let here = Opening::new().on(Engine::Sqlite).set("CACHE_URL", &redis.url()).open().await;
    let there = Opening::new().on(Engine::Sqlite).set("CACHE_URL", &redis.url()).open().await;
    reprice(&here, &here, "margherita", "11.11").await;
    assert_eq!(price(&menu(&here).await, "margherita"), "11.11");
    assert_eq!(price(&menu(&there).await, "margherita"), "12.99");
    here.close().await;
    there.close().await;
}
