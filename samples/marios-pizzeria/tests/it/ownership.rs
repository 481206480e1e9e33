//! Whose an order is: a telephone number is no proof of who somebody is.

use neuroglia::clock::Clock;
use neuroglia::data::{Batch, Change, Condition, Document, Select, Store, Write};
use neuroglia_testing::TestResponse;
use serde_json::{Value, json};
use url::Url;

use crate::shop::{Engine, GuestOrder, Opening, Person, Shop, ids, order_with_phone, sqlite_url};

/// Every document of a collection.
async fn documents(store: &dyn Store, collection: &'static str) -> Vec<Document> {
    let select = Select { collection, condition: Condition::All(Vec::new()), sort: Vec::new(), limit: 1000 };
    store.query(&select).await.expect("the documents")
}

/// A guest's order with this telephone number, which cooks already.
async fn cooking_order_of_a_guest(shop: &Shop, phone: &str) -> GuestOrder {
    let placed = shop.post("/api/v1/orders").json(&order_with_phone(phone)).send().await;
    let placed = placed.assert_status(201).json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let order = GuestOrder { id: text(&placed["id"]), token: text(&placed["tracking_token"]) };
    shop.bring_to(&order.id, "cooking").await;
    order
}

async fn follow(shop: &Shop, order: &GuestOrder) -> TestResponse {
    shop.get(&format!("/api/v1/orders/{}", order.id)).header("x-tracking-token", &order.token).send().await
}

/// Checks that the guest's order is for the person as if it did not exist, and that the guest still has it.
async fn assert_hidden(shop: &Shop, person: &Person, order: &GuestOrder) {
    let path = format!("/api/v1/orders/{}", order.id);
    let seen = shop.get(&path).bearer(&person.token).send().await;
    let problem = seen.problem(404, "order.not_found");
    assert_eq!(problem["detail"], format!("there is no order {}", order.id));
    shop.step(&order.id, "cancel").bearer(&person.token).send().await.problem(404, "order.not_found");
    for list in ["/api/v1/orders", "/api/v1/me/orders"] {
        assert!(!ids(&shop.read(person, list).await).contains(&&*order.id), "{list}");
    }
    shop.settled().await;
    for path in ["/api/v1/me", "/api/v1/me/notifications"] {
        let told = shop.read(person, path).await.to_string();
        assert!(!told.contains(&order.id), "{path}: {told}");
    }
    for notification in documents(&*shop.store(), "notifications").await {
        if notification.body.contains(&order.id) {
            let path = format!("/api/v1/me/notifications/{}/read", notification.id);
            let read = shop.post(&path).bearer(&person.token).send().await;
            read.problem(404, "notification.not_found");
        }
    }
    follow(shop, order).await.assert_status(200);
}

#[tokio::test]
async fn who_orders_with_the_number_of_a_guest_does_not_get_the_guests_orders() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let customer = &shop.people.customer;
        let before = cooking_order_of_a_guest(&shop, customer.phone).await;
        let own = shop.order_of(customer).await;
        let after = cooking_order_of_a_guest(&shop, customer.phone).await;
        for order in [&before, &after] {
            assert_hidden(&shop, customer, order).await;
        }
        shop.bring_to(&own, "ready").await;
        assert_eq!(ids(&shop.read(customer, "/api/v1/me/orders").await), [&*own]);
        assert_eq!(shop.read(customer, "/api/v1/me").await["active_orders"], json!([own]));
        shop.settled().await;
        let told = shop.read(customer, "/api/v1/me/notifications").await;
        assert_eq!(ids(&told).len(), 2, "{engine:?}: {told}");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_profile_with_the_number_of_a_guest_is_the_same_customer_and_shows_nothing_of_it() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let (customer, other) = (&shop.people.customer, &shop.people.other_customer);
        let guest = cooking_order_of_a_guest(&shop, customer.phone).await;
        let counts_for = shop.order(&guest.id).await.json()["customer"]["id"].clone();

        let contact = json!({ "name": "Daisy", "phone": customer.phone });
        let me = |person: &Person| shop.put("/api/v1/me").bearer(&person.token).json(&contact);
        let profile = me(customer).send().await.assert_status(200).json();
        assert_eq!(profile["id"], counts_for);
        assert_eq!((&profile["email"], &profile["address"]), (&Value::Null, &Value::Null));
        assert_eq!(profile["active_orders"], json!([]));
        assert_hidden(&shop, customer, &guest).await;

        // From now on the number is that of an account.
        me(other).send().await.problem(409, "customer.linked");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_customer_who_takes_the_number_of_a_guest_is_that_customer_and_is_shown_nothing_of_it() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        let (customer, other) = (&shop.people.customer, &shop.people.other_customer);
        let me = |person: &Person, phone: &str| {
            let contact = json!({ "name": "Daisy", "phone": phone });
            shop.put("/api/v1/me").bearer(&person.token).json(&contact)
        };
        let before = me(customer, customer.phone).send().await.assert_status(200).json();
        let (number, free) = ("+15550199", customer.phone);
        let guest = cooking_order_of_a_guest(&shop, number).await;
        let guest_id = shop.order(&guest.id).await.json()["customer"]["id"].clone();

        let profile = me(customer, number).send().await.assert_status(200).json();
        assert_eq!((&profile["id"], &profile["phone"]), (&before["id"], &json!(number)), "{engine:?}");
        assert_eq!((&profile["version"], &profile["active_orders"]), (&json!(2), &json!([])));
        assert_hidden(&shop, customer, &guest).await;
        for step in ["ready", "deliver", "complete"] {
            shop.done(&guest.id, step).await;
        }
        follow(&shop, &guest).await.assert_status(200);
        let merged = shop.events_of(guest_id.as_str().expect("an id")).await.pop().expect("an event");
        assert_eq!(merged.name, "customer.merged");
        assert!(merged.data.contains(before["id"].as_str().expect("an id")), "{}", merged.data);

        // From now on the number is the account's, and the former one is anybody's.
        let counts_for = async |phone: &str| {
            let order = cooking_order_of_a_guest(&shop, phone).await;
            shop.order(&order.id).await.json()["customer"]["id"].clone()
        };
        assert_eq!(counts_for(number).await, before["id"]);
        assert_ne!(counts_for(free).await, before["id"]);
        me(other, other.phone).send().await.assert_status(200);
        me(other, number).send().await.problem(409, "customer.linked");
        assert_eq!(shop.read(other, "/api/v1/me").await["phone"], other.phone);
        assert_eq!(documents(&*shop.store(), "customers").await.len(), 3);
        shop.close().await;
    }
}

#[tokio::test]
async fn the_orders_of_an_older_database_belong_to_those_who_placed_them() {
    let shop = Shop::open().await;
    let customer = &shop.people.customer;
    let own = shop.order_of(customer).await;
    shop.bring_to(&own, "cooking").await;
    let others = cooking_order_of_a_guest(&shop, customer.phone).await;

    let folder = tempfile::tempdir().expect("a folder");
    let url: Url = sqlite_url(&folder).parse().expect("a URL");
    let old = neuroglia_backing::store::connect(&url).await.expect("a store");
    let migrations = pizzeria_application::migrations();
    let now = Clock::system().now();
    old.migrate(&migrations[..2], now).await.expect("an empty database");
    let mut current = Vec::new();
    for collection in ["orders", "notifications", "customers"] {
        for document in documents(&*shop.store(), collection).await {
            let today: Value = serde_json::from_str(&document.body).expect("JSON");
            let mut earlier = today.clone();
            let members = earlier.as_object_mut().expect("an object");
            match collection {
                "orders" => drop(members.remove("placed_by")),
                "notifications" => drop(members.remove("user_id")),
                _ => drop(members.insert("active_orders".to_owned(), json!([own, others.id]))),
            }
            let change = Change::Insert { body: earlier.to_string() };
            let write = Write { collection, id: document.id.clone(), change };
            old.commit(Batch { at: now, writes: vec![write], ..Batch::default() }).await.expect("a document");
            current.push((collection, document.id, today));
        }
    }
    assert_eq!(current.len(), 5, "two orders, two notifications and their customer");

    old.migrate(&migrations, now).await.expect("migrations that apply");
    for (collection, id, today) in current {
        let document = old.load(collection, &id).await.expect("the store answers").expect("it is kept");
        let migrated: Value = serde_json::from_str(&document.body).expect("JSON");
        assert_eq!(migrated, today, "{collection}");
    }
    old.close().await;
    shop.close().await;
}
