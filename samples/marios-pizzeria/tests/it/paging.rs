//! Lists in parts: by cursor, with a link to the next part.

use crate::shop::{Engine, Opening, Person, Shop, ids};

/// Walks all parts of a list by its links, and gives the ids in order.
async fn walk(shop: &Shop, person: &Person, path: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut target = format!("{path}{}limit={limit}", if path.contains('?') { '&' } else { '?' });
    loop {
        let answer = shop.get(&target).bearer(&person.token).send().await.assert_status(200);
        let page = answer.json();
        let items = ids(&page);
        assert!(items.len() <= limit);
        all.extend(items.iter().map(|id| (*id).to_owned()));
        let Some(cursor) = page["next"].as_str() else {
            assert_eq!(answer.header("link"), None, "{path}: the last part links to nothing");
            return all;
        };
        assert_eq!(items.len(), limit, "{path}: only the last part is short");
        let link = answer.header("link").expect("a link to the next part");
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect(link);
        assert!(
            next.ends_with(&format!("cursor={cursor}")) && next.contains(&format!("limit={limit}")),
            "{next}"
        );
        target = next.to_owned();
    }
}

#[tokio::test]
async fn every_list_is_walked_without_gaps_or_repeats() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).set("KITCHEN_CAPACITY", "100").open().await;
        let people = &shop.people;
        let mut orders = Vec::new();
        for _ in 0..7 {
            orders.push(shop.order_of(&people.customer).await);
        }
        let newest_first: Vec<_> = orders.iter().rev().cloned().collect();
        for limit in [1, 2, 3, 7, 8, 100] {
            assert_eq!(walk(&shop, &people.manager, "/api/v1/orders", limit).await, newest_first);
            assert_eq!(walk(&shop, &people.customer, "/api/v1/me/orders", limit).await, newest_first);
            let pending = walk(&shop, &people.manager, "/api/v1/orders?status=pending", limit).await;
            assert_eq!(pending, newest_first);
            assert_eq!(walk(&shop, &people.manager, "/api/v1/pizzas", limit).await.len(), 6);
        }
        for order in &orders {
            shop.done(order, "confirm").await;
        }
        assert_eq!(walk(&shop, &people.chef, "/api/v1/kitchen/queue", 2).await, orders);
        for order in orders.iter().rev() {
            shop.done(order, "cook").await;
            shop.done(order, "ready").await;
        }
        assert_eq!(walk(&shop, &people.driver, "/api/v1/deliveries", 3).await, newest_first);
        shop.settled().await;
        let notifications = walk(&shop, &people.customer, "/api/v1/me/notifications", 4).await;
        assert_eq!(notifications.len(), 14);
        assert!(notifications.is_sorted_by(|newer, older| newer > older), "the newest first");
        shop.close().await;
    }
}

#[tokio::test]
async fn what_comes_in_between_neither_repeats_nor_skips() {
    let shop = Shop::open().await;
    let manager = &shop.people.manager;
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(shop.guest_order().await.id);
    }
    let first = shop.read(manager, "/api/v1/orders?limit=2").await;
    shop.guest_order().await;
    let cursor = first["next"].as_str().expect("a cursor");
    let second = shop.read(manager, &format!("/api/v1/orders?limit=2&cursor={cursor}")).await;
    assert_eq!(ids(&first), [&*orders[3], &orders[2]]);
    assert_eq!(ids(&second), [&*orders[1], &orders[0]]);
    shop.close().await;
}

#[tokio::test]
async fn a_part_has_twenty_items_when_nobody_says() {
    let shop = Shop::open().await;
    for _ in 0..21 {
        shop.guest_order().await;
    }
    let page = shop.read(&shop.people.manager, "/api/v1/orders").await;
    assert_eq!(ids(&page).len(), 20);
    shop.close().await;
}

const LISTS: [&str; 6] = [
    "/api/v1/pizzas",
    "/api/v1/orders",
    "/api/v1/kitchen/queue",
    "/api/v1/deliveries",
    "/api/v1/me/orders",
    "/api/v1/me/notifications",
];

#[tokio::test]
async fn a_limit_has_its_bounds_and_a_cursor_its_list() {
    let shop = Shop::open().await;
    let people = &shop.people;
    for _ in 0..3 {
        shop.order_of(&people.customer).await;
    }
    let of_orders = shop.read(&people.manager, "/api/v1/orders?limit=1").await;
    let of_orders = of_orders["next"].as_str().expect("a cursor").to_owned();
    let of_pizzas = shop.read(&people.manager, "/api/v1/pizzas?limit=1").await;
    let of_pizzas = of_pizzas["next"].as_str().expect("a cursor").to_owned();
    for path in LISTS {
        let person = if path.starts_with("/api/v1/me") { &people.customer } else { &people.manager };
        let ask = |query: &str| shop.get(&format!("{path}?{query}")).bearer(&person.token).send();
        for query in ["limit=0", "limit=101", "limit=4294967295"] {
            let refused = ask(query).await;
            refused.problem(422, "request.invalid");
            assert_eq!(refused.violations(), ["/limit range"], "{path}?{query}");
        }
        for query in ["limit=many", "limit=-1", "limit=1.5", "limit=", "limit=99999999999"] {
            let refused = ask(query).await;
            refused.problem(422, "query.invalid");
            assert!(refused.violations()[0].starts_with("/limit "), "{path}?{query}");
        }
        let foreign = if path.contains("orders") { &of_pizzas } else { &of_orders };
        for cursor in [foreign, "x", "e30", "%00", "W10", "WzEsW11d"] {
            let refused = ask(&format!("cursor={cursor}")).await;
            refused.problem(400, "cursor.invalid");
        }
        ask("limit=100").await.assert_status(200);
    }
    shop.close().await;
}
