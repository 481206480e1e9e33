//! Live events, as clients follow them.

use std::time::Duration;

use neuroglia::clock::Clock;
use neuroglia_testing::TestStream;
use pizzeria_application::feed::{NumberEvents, TrimFeed};
use serde_json::{Value, json};

use crate::shop::{Engine, Opening, Person, Shop, eventually, guest_order};

async fn follow(shop: &Shop, person: &Person, after: Option<&str>) -> TestStream {
    let request = shop.get("/api/v1/events").bearer(&person.token);
    let request = after.into_iter().fold(request, |request, id| request.header("last-event-id", id));
    let stream = request.open().await;
    let head = stream.head();
    assert_eq!((head.status.as_u16(), head.header("content-type")), (200, Some("text/event-stream")));
    stream
}

/// Id, name and order of each whole event that has come.
fn told(stream: &TestStream) -> Vec<(String, String, String)> {
    parse(&stream.head().text())
}

fn parse(text: &str) -> Vec<(String, String, String)> {
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let events = whole.split("\n\n").filter_map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let data: Value = serde_json::from_str(field("data:")?).expect("JSON");
        assert_eq!(data["type"].as_str(), field("event:"), "{event}");
        let order = data["order_id"].as_str().expect("an id").to_owned();
        Some((field("id:")?.to_owned(), field("event:")?.to_owned(), order))
    });
    events.collect()
}

/// Reads until so many events have come, and gives them.
async fn read(stream: &mut TestStream, count: usize) -> Vec<(String, String, String)> {
    assert!(stream.read_until(|text| parse(text).len() >= count).await, "it ended: {:?}", told(stream));
    told(stream)
}

fn names(events: &[(String, String, String)]) -> Vec<&str> {
    events.iter().map(|(_, name, _)| &**name).collect()
}

const TO_READY: [&str; 4] = ["order.created", "order.confirmed", "order.cooking.started", "order.ready"];

#[tokio::test]
async fn who_was_away_goes_on_after_the_last_event_also_after_a_restart() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mongo] {
        let shop = Opening::new().on(engine).open().await;
        let (manager, customer) = (shop.people.manager.clone(), shop.people.customer.clone());
        // What was before is not told without an id.
        shop.order_of(&customer).await;
        shop.settled().await;
        let mut stream = follow(&shop, &manager, None).await;
        let order = shop.order_of(&customer).await;
        shop.bring_to(&order, "ready").await;
        let events = read(&mut stream, 4).await;
        assert_eq!(names(&events), TO_READY, "{engine:?}");
        assert!(events.iter().all(|(_, _, about)| *about == order), "{events:?}");
        drop(stream);

        let after = events[1].0.clone();
        let mut stream = follow(&shop, &manager, Some(&after)).await;
        assert_eq!(read(&mut stream, 2).await, events[2..], "what came after it, with the same ids");
        drop(stream);

        shop.done(&order, "deliver").await;
        shop.settled().await;
        let shop = shop.reopen().await;
        shop.done(&order, "complete").await;
        let mut stream = follow(&shop, &manager, Some(&after)).await;
        let all = read(&mut stream, 4).await;
        assert_eq!(all[..2], events[2..]);
        assert_eq!(names(&all[2..]), ["order.delivery.started", "order.delivered"], "{engine:?}");
        let numbers: Vec<i64> = all.iter().map(|(id, ..)| id.parse().expect("a number")).collect();
        assert!(numbers.is_sorted_by(|earlier, later| earlier < later), "{numbers:?}");
        drop(stream);
        shop.close().await;
    }
}

#[tokio::test]
async fn customers_follow_their_own_orders_and_staff_all() {
    let shop = Shop::open().await;
    let people = &shop.people;
    let mut own = follow(&shop, &people.customer, None).await;
    let mut other = follow(&shop, &people.other_customer, None).await;
    let mut chef = follow(&shop, &people.chef, None).await;
    let orders = [
        shop.guest_order().await.id,
        shop.order_of(&people.other_customer).await,
        shop.order_of(&people.customer).await,
    ];
    let about = |events: Vec<(String, String, String)>| {
        let mut orders: Vec<_> = events.into_iter().map(|(_, _, order)| order).collect();
        orders.sort();
        orders
    };
    assert_eq!(about(read(&mut chef, 3).await), orders);
    assert_eq!(about(read(&mut own, 1).await), orders[2..]);
    assert_eq!(about(read(&mut other, 1).await), orders[1..2]);
    drop((own, other, chef));
    shop.get("/api/v1/events").send().await.problem(401, "auth.required");
    shop.close().await;
}

#[tokio::test]
async fn each_account_has_so_many_streams_and_no_more() {
    let shop = Opening::new().set("EVENTS_STREAMS_MAX", "2").open().await;
    let (chef, manager) = (&shop.people.chef, &shop.people.manager);
    let first = follow(&shop, chef, None).await;
    let second = follow(&shop, chef, None).await;
    let refused = shop.get("/api/v1/events").bearer(&chef.token).send().await;
    refused.problem(429, "events.too_many");
    assert!(refused.header("retry-after").is_some());
    // Others are not in the way, and who leaves makes room.
    let third = follow(&shop, manager, None).await;
    drop(first);
    eventually("there is room again", async || {
        shop.get("/api/v1/events").bearer(&chef.token).open().await.head().status == 200
    })
    .await;
    drop((second, third));
    shop.close().await;
}

#[tokio::test]
async fn a_stream_with_nothing_to_say_says_so_again_and_again() {
    let shop = Opening::new().set("EVENTS_HEARTBEAT", "500ms").open().await;
    let mut stream = follow(&shop, &shop.people.chef, None).await;
    let heartbeats = |text: &str| text.split("\n\n").filter(|event| event.starts_with(':')).count();
    assert!(stream.read_until(|text| heartbeats(text) >= 3).await, "it ended: {}", stream.head().text());
    assert_eq!(told(&stream), [], "a comment is no event");
    // It is heard that there is something to say all the same.
    let order = shop.guest_order().await.id;
    assert_eq!(read(&mut stream, 1).await[0].2, order);
    drop(stream);
    shop.close().await;
}

#[tokio::test]
async fn a_stream_ends_when_it_has_lived_long_enough_and_its_client_goes_on() {
    let shop = Opening::new().set("EVENTS_LIFETIME", "1s").open().await;
    let chef = &shop.people.chef;
    // What is to be read is there before the stream begins, whose life is short.
    let first = shop.guest_order().await.id;
    shop.settled().await;
    let mut stream = follow(&shop, chef, Some("0")).await;
    let before = read(&mut stream, 1).await;
    assert!(!stream.read_until(|_| false).await, "it ends by itself");
    let second = shop.guest_order().await.id;
    shop.settled().await;
    let mut stream = follow(&shop, chef, Some(&before[0].0)).await;
    assert_eq!((&before[0].2, &read(&mut stream, 1).await[0].2), (&first, &second));
    drop(stream);
    shop.close().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_process_does() {
    let shop = Shop::open().await;
    let mut stream = follow(&shop, &shop.people.chef, None).await;
    let ending = async { assert!(!stream.read_until(|_| false).await) };
    futures_util::future::join(ending, shop.close()).await;
}

#[tokio::test]
async fn numbers_are_given_once_however_many_readers_number() {
    for engine in Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        for _ in 0..10 {
            shop.guest_order().await;
        }
        shop.settled().await;
        let numbering = (0..4).map(|_| shop.send(NumberEvents {}));
        for last in futures_util::future::join_all(numbering).await {
            assert_eq!(last.expect("an answer"), 10, "{engine:?}");
        }
        let mut numbers: Vec<_> =
            shop.documents("feed_entries").await.iter().map(|entry| entry["number"].as_i64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=10).map(Some).collect::<Vec<_>>());
        shop.close().await;
    }
}

#[tokio::test]
async fn events_of_one_order_keep_their_order_whatever_the_clocks_of_processes_say() {
    let shop = Opening::new().on(Engine::Sqlite).open().await;
    let fast = shop.beside_with_clock(Clock::manual(Clock::system().now() + Duration::from_secs(300))).await;
    let placed = fast.post("/api/v1/orders").json(&guest_order()).send().await.assert_status(201).json();
    let order = placed["id"].as_str().expect("an id");
    // Each of these steps happens before the order was placed, by the clock of the process that takes it.
    shop.bring_to(order, "ready").await;
    shop.settled().await;
    fast.stop().await;
    let mut stream = follow(&shop, &shop.people.manager, Some("0")).await;
    assert_eq!(names(&read(&mut stream, 4).await), TO_READY);
    drop(stream);
    shop.close().await;
}

#[tokio::test]
async fn what_is_a_week_old_is_forgotten() {
    let shop = Shop::open().await;
    let order = shop.guest_order().await.id;
    shop.settled().await;
    assert_eq!(shop.send(TrimFeed {}).await.expect("an answer"), 0);
    shop.change("feed_entries", |entry| entry["at"] = json!("2026-01-01T00:00:00.000000Z")).await;
    shop.done(&order, "confirm").await;
    shop.settled().await;
    assert_eq!(shop.send(TrimFeed {}).await.expect("an answer"), 1);
    let left = shop.documents("feed_entries").await;
    assert_eq!((left.len(), &left[0]["event"]), (1, &json!("order.confirmed")));
    shop.close().await;
}

#[tokio::test]
async fn who_is_far_behind_catches_up() {
    let shop = Shop::open().await;
    for _ in 0..120 {
        shop.guest_order().await;
    }
    shop.settled().await;
    let mut stream = follow(&shop, &shop.people.chef, Some("0")).await;
    let events = read(&mut stream, 120).await;
    let numbers: Vec<i64> = events.iter().map(|(id, ..)| id.parse().expect("a number")).collect();
    assert_eq!(numbers, (1..=120).collect::<Vec<_>>());
    drop(stream);
    shop.close().await;
}
