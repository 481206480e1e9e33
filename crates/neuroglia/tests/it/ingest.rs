//! Events that come over HTTP: who may send them, in which forms, and how often they are kept.

use std::sync::Arc;

use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::di::{Inject, Service};
use neuroglia::domain::DomainEvent;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use neuroglia::messaging::CloudEvent;
use neuroglia::settings::{Environment, Settings};
use neuroglia::web::{EventIngestion, IngestKeys, IngestSettings};
use neuroglia::webhook::WebhookKey;
use neuroglia::work::{Consumer, WorkFilter, WorkRecord};
use neuroglia::{App, Role, Running};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Client, Reply};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PREVIOUS_KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

#[derive(Settings)]
struct ShopSettings {
    /// Who may send events.
    #[setting(section)]
    event_ingest: IngestSettings,
}

#[derive(Serialize, Deserialize)]
struct OrderReady {}

impl DomainEvent for OrderReady {
    const NAME: &'static str = "order.ready";
}

#[derive(Inject)]
struct RingBell {}

impl EventHandler<OrderReady> for RingBell {
    async fn handle(&self, _: &OrderReady) -> Result<()> {
        Ok(())
    }
}

/// A shop that answers HTTP, and whose consumers work elsewhere.
struct Shop {
    running: Running,
    key: &'static str,
}

impl Shop {
    async fn open(variables: &[(&str, &str)]) -> Self {
        let app = App::<ShopSettings>::new("shop")
            .services(|services, settings: &ShopSettings| {
                services.add(Service::shared::<dyn Store>(Arc::new(MemoryStore::new())));
                services.add_instance(IngestKeys::of(&settings.event_ingest));
            })
            .web(|web| web.controller::<EventIngestion>())
            .worker(|worker| worker.consumer(Consumer::new("bell").on::<OrderReady, RingBell>()));
        let own = [("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), ("HTTP_BODY_MAX", "4KiB")];
        let environment = Environment::from_pairs(own.into_iter().chain(variables.iter().copied()));
        let running = app.start_as(Role::Web, &environment).await.expect("it starts");
        Self { running, key: KEY }
    }

    /// Sends a request that is signed.
    async fn post(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        self.post_at(Clock::system().now(), headers, body).await
    }

    async fn post_at(&self, at: Timestamp, headers: &[(&str, &str)], body: &str) -> Reply {
        let key: WebhookKey = self.key.parse().expect("a key");
        let (seconds, signature) = (at.unix_seconds().to_string(), key.sign("msg-1", at, body.as_bytes()));
        let signed =
            [("webhook-id", "msg-1"), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)];
        self.post_plain(&[headers, &signed].concat(), body).await
    }

    async fn post_plain(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut client = Client::connect(self.running.address()).await;
        let mut request =
            format!("POST /events/ingest HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        client.send(format!("{request}\r\n{body}")).await;
        client.reply().await
    }

    /// What was kept for the consumer, in order.
    async fn kept(&self) -> Vec<WorkRecord> {
        let store = self.running.services().get::<dyn Store>().expect("registered");
        let all = WorkFilter { limit: 100, ..WorkFilter::default() };
        store.list_work(&all).await.expect("work is listed")
    }
}

fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/kitchen", "type": "io.shop.order.ready.v1", "subject": "o-1",
        "myextension": "kept", "data": {"number": 7},
    })
}

#[tokio::test]
async fn an_event_is_kept_once_in_whatever_form_it_comes() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let structured = shop.post(&[("content-type", STRUCTURED)], &event("1").to_string()).await;
    assert_eq!((structured.status, structured.body.len()), (202, 0));
    let again = shop
        .post(&[("content-type", "application/cloudevents+json; charset=utf-8")], &event("1").to_string())
        .await;
    assert_eq!(again.status, 202, "a second one is as welcome, and known");
    let attributes = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/kitchen"),
        ("ce-type", "io.shop.order.ready.v1"),
        ("ce-subject", "%C5%81%20o-1"),
        ("ce-myextension", "kept"),
    ];
    assert_eq!(shop.post(&attributes, r#"{"number":7}"#).await.status, 202);
    let batch = json!([event("1"), event("2"), event("3"), event("3")]).to_string();
    assert_eq!(shop.post(&[("content-type", BATCH)], &batch).await.status, 202);
    let kept = shop.kept().await;
    let keys: Vec<_> = kept.iter().filter_map(|work| work.key.as_deref()).collect();
    assert_eq!(keys, ["/kitchen 1", "/kitchen 2", "/kitchen 3"]);
    for work in &kept {
        let envelope: Value = serde_json::from_str(&work.payload).expect("an envelope is JSON");
        assert_eq!((&envelope["myextension"], &envelope["data"]["number"]), (&"kept".into(), &7.into()));
    }
    let envelope: Value = serde_json::from_str(&kept[1].payload).expect("an envelope is JSON");
    assert_eq!(
        (&envelope["subject"], &envelope["datacontenttype"]),
        (&"Ł o-1".into(), &"application/json".into())
    );
    assert!(shop.running.stop().await);
}

#[tokio::test]
async fn data_that_comes_as_bytes_is_what_a_consumer_gets() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let mut event = event("1");
    event.as_object_mut().expect("an object").remove("data");
    for (wrong, why) in [
        (json!({"data_base64": "!"}), "not base64"),
        (json!({"data_base64": "RGVhciBNYXJpbw=="}), "not JSON"),
        (json!({"data_base64": "eyJudW1iZXIiOjd9", "datacontenttype": "image/png"}), "datacontenttype"),
        (json!({"data_base64": "eyJudW1iZXIiOjd9", "data": {"number": 8}}), "both"),
    ] {
        let mut event = event.clone();
        event.as_object_mut().expect("an object").extend(wrong.as_object().expect("an object").clone());
        let reply = shop.post(&[("content-type", STRUCTURED)], &event.to_string()).await;
        assert_eq!((reply.status, reply.problem_code().as_str()), (400, "event.malformed"), "{wrong}");
        assert!(reply.text().contains(why), "{}", reply.text());
    }
    assert_eq!(shop.kept().await, []);
    event["data_base64"] = "eyJudW1iZXIiOjd9".into();
    assert_eq!(shop.post(&[("content-type", STRUCTURED)], &event.to_string()).await.status, 202);
    let kept = shop.kept().await;
    let read: CloudEvent = serde_json::from_str(&kept[0].payload).expect("an envelope is an event");
    assert_eq!(read.data.get(), r#"{"number":7}"#);
}

#[tokio::test]
async fn two_events_are_never_taken_for_one() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let post = async |source: &str, id: &str| {
        let mut event = event(id);
        event["source"] = source.into();
        shop.post(&[("content-type", STRUCTURED)], &event.to_string()).await
    };
    for (source, id) in [("/shop", "/x 1"), ("/x", "1"), ("/x", "y z")] {
        assert_eq!(post(source, id).await.status, 202, "{source} {id}");
    }
    let reply = post("/x y", "z").await;
    assert_eq!((reply.status, reply.problem_code().as_str()), (400, "event.malformed"));
    assert!(reply.text().contains("`source` has white space"), "{}", reply.text());
    let kept = shop.kept().await;
    let keys: Vec<_> = kept.iter().filter_map(|work| work.key.as_deref()).collect();
    assert_eq!(keys, ["/shop /x 1", "/x 1", "/x y z"]);
}

#[tokio::test]
async fn events_that_nobody_here_wants_are_taken_and_passed_over() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    for event_type in ["io.other.order.ready.v1", "io.shop.order.paid.v1", "thing"] {
        let mut event = event("1");
        event["type"] = event_type.into();
        assert_eq!(shop.post(&[("content-type", STRUCTURED)], &event.to_string()).await.status, 202);
    }
    assert_eq!(shop.kept().await, []);
}

#[tokio::test]
async fn who_does_not_show_a_key_is_nobody() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let (json, body) = (("content-type", STRUCTURED), event("1").to_string());
    let plain = shop.post_plain(&[json], &body).await;
    assert_eq!((plain.status, plain.problem_code().as_str()), (401, "webhook.malformed"));
    let stranger = Shop { key: PREVIOUS_KEY, ..shop };
    let reply = stranger.post(&[json], &body).await;
    assert_eq!((reply.status, reply.problem_code().as_str()), (401, "webhook.signature"));
    let shop = Shop { key: KEY, ..stranger };
    let now = Clock::system().now();
    for minutes in [-6, 6] {
        let at = Timestamp::from_unix_micros(now.unix_micros() + minutes * 60_000_000);
        let reply = shop.post_at(at, &[json], &body).await;
        assert_eq!((reply.status, reply.problem_code().as_str()), (401, "webhook.untimely"));
    }
    // What is wrong with it is told to those only who may send it.
    assert_eq!(shop.post_plain(&[json], "{").await.status, 401);
    assert_eq!(shop.kept().await, []);
}

#[tokio::test]
async fn a_key_is_replaced_while_both_are_known() {
    let both = [("EVENT_INGEST_KEY", KEY), ("EVENT_INGEST_PREVIOUS_KEY", PREVIOUS_KEY)];
    let shop = Shop::open(&both).await;
    for (number, key) in [KEY, PREVIOUS_KEY].into_iter().enumerate() {
        let shop = Shop { key, running: Shop::open(&both).await.running };
        let body = event(&number.to_string()).to_string();
        assert_eq!(shop.post(&[("content-type", STRUCTURED)], &body).await.status, 202);
    }
    // The sender may sign with several, while the receiver knows only one of them.
    let (now, body) = (Clock::system().now(), event("9").to_string());
    let sign = |key: &str| key.parse::<WebhookKey>().expect("a key").sign("msg-9", now, body.as_bytes());
    let signatures = format!("v1,AAAA {} {}", sign("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), sign(KEY));
    let seconds = now.unix_seconds().to_string();
    let headers = [
        ("content-type", STRUCTURED),
        ("webhook-id", "msg-9"),
        ("webhook-timestamp", &seconds),
        ("webhook-signature", &signatures),
    ];
    assert_eq!(shop.post_plain(&headers, &body).await.status, 202);
}

#[tokio::test]
async fn without_a_key_the_route_is_not_there() {
    let shop = Shop::open(&[]).await;
    let reply = shop.post(&[("content-type", STRUCTURED)], &event("1").to_string()).await;
    assert_eq!((reply.status, reply.problem_code().as_str()), (404, "ingest.off"));
    assert!(reply.text().contains("EVENT_INGEST_KEY"), "{}", reply.text());
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_nothing_of_its_batch_is_kept() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let structured = [("content-type", STRUCTURED)];
    for name in ["id", "source", "type", "specversion"] {
        let mut event = event("1");
        event.as_object_mut().expect("an object").remove(name);
        let reply = shop.post(&structured, &event.to_string()).await;
        assert_eq!((reply.status, reply.problem_code().as_str()), (400, "event.malformed"), "{name}");
        assert!(reply.text().contains(name), "{}", reply.text());
    }
    let mut second = event("2");
    second.as_object_mut().expect("an object").remove("id");
    let batch = json!([event("1"), second]).to_string();
    let reply = shop.post(&[("content-type", BATCH)], &batch).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("/1"), "{}", reply.text());
    let attributes =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/kitchen"), ("ce-type", "thing")];
    for (headers, body, status) in [
        (&structured[..], "no JSON", 400),
        (&[("content-type", BATCH)], "{}", 400),
        (&[("content-type", "application/json"), ("ce-id", "1")], "{}", 400),
        (&[("content-type", "application/json"), ("ce-id", "%ff")], "{}", 400),
        // The signature covers the body alone.
        (&[&attributes[..], &[("ce-data", "7")]].concat(), "", 400),
        (&[&attributes[..], &[("ce-data_base64", "Nw==")]].concat(), "", 400),
        (&[("content-type", "text/plain"), ("ce-id", "1")], "text", 415),
        (&[("content-type", "application/json")], "{}", 415),
        (&[], "{}", 415),
    ] {
        assert_eq!(shop.post(headers, body).await.status, status, "{headers:?} {body}");
    }
    let large = json!({"specversion": "1.0", "data": "x".repeat(5_000)}).to_string();
    assert_eq!(shop.post(&structured, &large).await.status, 413);
    assert_eq!(shop.kept().await, []);
}

#[tokio::test]
async fn what_another_application_means_by_its_event_is_not_asked() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    let picture = json!({
        "specversion": "1.0", "id": "p-1", "source": "/camera", "type": "com.example.picture.taken",
        "datacontenttype": "image/png", "data_base64": "iVBORw0KGgo=",
    });
    let batch = json!([picture, event("1")]).to_string();
    assert_eq!(shop.post(&[("content-type", BATCH)], &batch).await.status, 202);
    assert_eq!(shop.kept().await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_taken() {
    let shop = Shop::open(&[("EVENT_INGEST_KEY", KEY)]).await;
    shop.running.services().get::<dyn Store>().expect("registered").close().await;
    let reply = shop.post(&[("content-type", STRUCTURED)], &event("1").to_string()).await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
}
