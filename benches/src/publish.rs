//! What a confirmed event costs: by the bare client of a broker, and by the relay, in batches of the same size.
//!
//! `EVENT_BUS_URL` names the broker. Both send the same documents to the same queue of a consumer, in turns; the relay
//! takes them from an outbox in memory. The figures are printed as one JSON object: the medians, and that of the ratios.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::hosting::HostedService;
use neuroglia::id::Ids;
use neuroglia::messaging::{
    self, CloudEvent, EventBus, Origin, Relay, RelayMeter, Subscription, Subscriptions,
};
use neuroglia_backing::bus::{self, EventBusSettings};
use neuroglia_core as neuroglia;
use tokio_util::sync::CancellationToken;
use url::Url;

const MESSAGES: usize = 3_000;
const ROUNDS: usize = 5;

/// How many a relay sends together.
const BATCH: usize = 100;

fn messages(ids: &Ids) -> Vec<OutboxMessage> {
    let message = |number: usize| OutboxMessage {
        id: ids.next_uuid(),
        name: "order.created".to_owned(),
        version: 1,
        subject: format!("o-{number}"),
        data: format!(r#"{{"order_id":"{number}","total":"38.78","notes":"{}"}}"#, "n".repeat(200)),
        correlation_id: None,
        traceparent: None,
        at: Timestamp::UNIX_EPOCH,
    };
    (0..MESSAGES).map(message).collect()
}

/// A bare client of either broker.
enum Bare {
    Rabbit { channel: lapin::Channel, exchange: String, _connection: Connection },
    Nats { context: jetstream::Context, application: String },
}

impl Bare {
    async fn connect(url: &Url, origin: &Origin) -> Self {
        let application = origin.application().to_owned();
        if url.scheme() == "nats" {
            let client = async_nats::connect(url.as_str()).await.expect("the server is there");
            return Self::Nats { context: jetstream::new(client), application };
        }
        let connection = Connection::connect(url.as_str(), ConnectionProperties::default()).await;
        let connection = connection.expect("the broker is there");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("it confirms");
        Self::Rabbit { channel, exchange: format!("{application}.events"), _connection: connection }
    }

    async fn publish(&self, batch: &[(String, String, Vec<u8>)]) {
        match self {
            Self::Rabbit { channel, exchange, .. } => {
                let mut confirmations = Vec::with_capacity(batch.len());
                for (id, event_type, body) in batch {
                    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                    let properties =
                        BasicProperties::default().with_delivery_mode(2).with_message_id(id.as_str().into());
                    let (exchange, key) = (exchange.as_str().into(), event_type.as_str().into());
                    let sent = channel.basic_publish(exchange, key, options, body, properties).await;
                    confirmations.push(sent.expect("it is sent"));
                }
                for confirmation in confirmations {
                    assert!(confirmation.await.expect("it answers").is_ack(), "it is kept");
                }
            }
            Self::Nats { context, application } => {
                let mut acknowledgements = Vec::with_capacity(batch.len());
                for (id, event_type, body) in batch {
                    let subject = format!("{application}.events.{event_type}");
                    let message = PublishMessage::build().payload(body.clone().into()).message_id(id);
                    let sent = context.send_publish(subject, message).await;
                    acknowledgements.push(std::future::IntoFuture::into_future(sent.expect("it is sent")));
                }
                for acknowledged in join_all(acknowledgements).await {
                    acknowledged.expect("it is kept");
                }
            }
        }
    }
}

#[tokio::main]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement is its own host")]
async fn main() {
    let url: Url = std::env::var("EVENT_BUS_URL").expect("a broker").parse().expect("a URL");
    let ids = Ids::random();
    let application = format!("bench-{}", ids.next_uuid().simple());
    let wanted = Subscription {
        consumer: "books".to_owned(),
        event: "order.created".to_owned(),
        queue: "default".to_owned(),
        is_ordered: true,
        attempts_max: 3,
    };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&store)));
    services.add_instance(ids.clone());
    services.add_instance(Clock::system());
    bus::attach(&mut services, &EventBusSettings::at(url.clone()));
    messaging::register(&mut services, &application, vec![wanted]);
    services.enter_root::<Relay>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let (origin, meter) = (services.get::<Origin>(), services.get::<RelayMeter>());
    let (origin, meter) = (origin.expect("registered"), meter.expect("registered"));
    let attached = services.get::<dyn EventBus>().expect("registered");
    assert!(!services.get::<Subscriptions>().expect("registered").0.is_empty(), "somebody wants the events");

    // Everything is declared, and both connections are made, before anything is measured.
    let warm = CloudEvent::of(messages(&ids).remove(0), &origin).expect("JSON");
    while attached.publish(std::slice::from_ref(&warm)).await.iter().any(Result::is_err) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bare = Bare::connect(&url, &origin).await;
    let (mut bares, mut relays, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let events =
            messages(&ids).into_iter().map(|message| CloudEvent::of(message, &origin).expect("JSON"));
        let ready: Vec<_> = events
            .map(|event| {
                (event.id.clone(), event.event_type.clone(), serde_json::to_vec(&event).expect("JSON"))
            })
            .collect();
        let began = Instant::now();
        for batch in ready.chunks(BATCH) {
            bare.publish(batch).await;
        }
        let bare_rate = MESSAGES as f64 / began.elapsed().as_secs_f64();

        store.commit(Batch { outbox: messages(&ids), ..Batch::default() }).await.expect("it is stored");
        let relay: Relay = services.scope().inject().expect("it was entered");
        let (stop, before) = (CancellationToken::new(), meter.sent.load(Ordering::Relaxed));
        let began = Instant::now();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { relay.run(stop).await }
        });
        while meter.sent.load(Ordering::Relaxed) < before + MESSAGES as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let relay_rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
        stop.cancel();
        running.await.expect("no panic").expect("it ends well");
        bares.push(bare_rate);
        relays.push(relay_rate);
        ratios.push(relay_rate / bare_rate);
    }
    let figures = serde_json::json!({
        "engine": EventBus::name(&*attached),
        "bare_per_s": median(bares).round(),
        "relay_per_s": median(relays).round(),
        "ratio": (median(ratios) * 1000.0).round() / 1000.0,
    });
    println!("{figures}");
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
