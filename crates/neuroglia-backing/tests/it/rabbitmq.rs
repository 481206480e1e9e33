//! RabbitMQ, as a stock client sees it and as the suite examines it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use neuroglia::error::{ErrorKind, chain};
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::messaging::{EventBus, EventSource, Inbox, Origin, Outcome, Subscription, Subscriptions};
use neuroglia_backing::amqp::AmqpBus;
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::services::RabbitMq;
use tokio::time::{Instant, sleep, timeout};

use crate::letters::{
    PATIENCE, assert_authorities_are_read, assert_bus_is_verified, event, origin, publish, read_by_sdk, send,
    take_until, wants,
};
use neuroglia_testing::{Strait, Weather};

/// RabbitMQ behind a strait, and another way to it for strangers.
pub(crate) struct RabbitBench {
    application: String,
    strait: Strait,
}

impl RabbitBench {
    pub(crate) fn new() -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        Self { application, strait: Strait::to(RabbitMq::shared().port()) }
    }

    fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.strait.port())
    }
}

/// A channel of a client that knows nothing of this project; the connection lives as long as it.
pub(crate) async fn stranger() -> (Connection, Channel) {
    let url = RabbitMq::shared().url();
    let connection =
        Connection::connect(&url, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
    (connection, channel)
}

#[async_trait]
impl Bench for RabbitBench {
    fn application(&self) -> &str {
        &self.application
    }

    async fn attach(&self, _: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached {
        let url = self.url().parse().expect("a URL");
        let bus = Arc::new(AmqpBus::new(&url, origin, subscriptions).expect("a sound URL"));
        Attached { bus: Arc::clone(&bus) as _, source: Some(bus) }
    }

    fn lets_strangers_send(&self) -> bool {
        true
    }

    fn has_weather(&self) -> bool {
        true
    }

    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        let (_connection, channel) = stranger().await;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let exchange = format!("{}.events", self.application);
        let declared = channel.exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        );
        declared.await.expect("the exchange has no arguments but that it is durable");
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = channel.basic_publish(
            exchange.into(),
            event_type.into(),
            options,
            body,
            BasicProperties::default(),
        );
        let confirmed = sent.await.expect("it is sent").await.expect("the broker answers");
        assert!(confirmed.is_ack() && confirmed.take_message().is_none(), "a queue takes it");
        true
    }

    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        let (_connection, channel) = stranger().await;
        let queue = format!("{}.{consumer}.dead", self.application);
        let mut letters = Vec::new();
        // They are not acknowledged, and wait again when the channel is closed.
        while let Some(message) = channel
            .basic_get(queue.as_str().into(), BasicGetOptions::default())
            .await
            .expect("the queue of dead letters is there")
        {
            letters.push(message.delivery.data);
        }
        letters
    }

    async fn waiting(&self, consumer: &str) -> Option<usize> {
        let (_connection, channel) = stranger().await;
        let queue = format!("{}.{consumer}", self.application);
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
        Some(queue.message_count() as usize)
    }

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}

fn bus(url: &str, origin: &Arc<Origin>) -> AmqpBus {
    AmqpBus::new(&url.parse().expect("a URL"), Arc::clone(origin), wants()).expect("a sound URL")
}

#[tokio::test]
async fn a_stock_client_reads_what_leaves() {
    let origin = origin();
    let bus = bus(&RabbitMq::shared().url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    let (_connection, channel) = stranger().await;
    let exclusive = QueueDeclareOptions::exclusive();
    let queue =
        channel.queue_declare("".into(), exclusive, FieldTable::default()).await.expect("a queue of its own");
    let exchange = format!("{}.events", origin.application());
    let (name, key) = (queue.name().clone(), format!("{}.#", origin.prefix));
    let bound = channel.queue_bind(
        name.clone(),
        exchange.into(),
        key.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.expect("everybody may listen");
    let sent = event(&origin, r#"{"number":7}"#);
    send(&bus, &sent).await;
    let got = channel.basic_get(name, BasicGetOptions { no_ack: true }).await.expect("it answers");
    let message = got.expect("it was confirmed, so it is there").delivery;
    assert_eq!(message.routing_key.as_str(), sent.event_type);
    let properties = &message.properties;
    assert_eq!(
        properties.content_type().as_ref().map(ShortString::as_str),
        Some("application/cloudevents+json")
    );
    assert_eq!(properties.message_id().as_ref().map(ShortString::as_str), Some(sent.id.as_str()));
    assert_eq!(*properties.delivery_mode(), Some(2), "it outlives the broker");
    let read = read_by_sdk(&[message.data]).remove(0);
    assert_eq!(read["data"]["number"], 7);
    for (name, value) in [
        ("id", sent.id.as_str()),
        ("source", &origin.source),
        ("type", &sent.event_type),
        ("subject", "o-1"),
        ("datacontenttype", "application/json"),
        ("correlationid", "request-7"),
        ("partitionkey", "o-1"),
    ] {
        assert_eq!(read["attributes"][name], value, "{name}");
    }
}

#[tokio::test]
async fn a_queue_that_somebody_deletes_is_declared_again() {
    let origin = origin();
    let bus = bus(&RabbitMq::shared().url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    assert_eq!(queue.take(10).await.map(|taken| taken.len()).ok(), Some(1));
    queue.settle(&[Outcome::Stored]).await.expect("it is settled");
    let (_connection, channel) = stranger().await;
    let name = format!("{}.bell", origin.application());
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("an operator may");
    let ended = timeout(PATIENCE, queue.take(10)).await.expect("the broker says that it has cancelled");
    assert!(ended.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    let sent = event(&origin, "1");
    let unrouted = publish(&bus, &sent).await;
    assert!(unrouted.is_err(), "what a consumer wants and no queue takes has not arrived");
    send(&bus, &sent).await;
    let mut queue = bus.open("bell").await.expect("the queue is there again");
    assert_eq!(queue.take(10).await.map(|taken| taken.len()).ok(), Some(1));
}

#[tokio::test]
async fn a_queue_that_an_operator_has_made_is_used_as_it_is() {
    let origin = origin();
    let (_connection, channel) = stranger().await;
    let name = format!("{}.bell", origin.application());
    let declare = async || {
        let (name, durable) = (name.as_str().into(), QueueDeclareOptions::durable());
        channel.queue_declare(name, durable, FieldTable::default()).await
    };
    declare().await.expect("an operator may, and it is a classic one");
    send(&bus(&RabbitMq::shared().url(), &origin), &event(&origin, "0")).await;
    let queue = declare().await.expect("it is as the operator made it");
    assert!(queue.message_count() > 0, "it is bound");
}

#[tokio::test]
async fn what_somebody_rejects_is_put_aside_by_the_broker() {
    let origin = origin();
    let sent = event(&origin, r#"{"number":7}"#);
    send(&bus(&RabbitMq::shared().url(), &origin), &sent).await;
    let (_connection, channel) = stranger().await;
    let name = format!("{}.bell", origin.application());
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consuming = channel.basic_consume(name.as_str().into(), "stranger".into(), options, arguments);
    let mut messages = consuming.await.expect("the queue is there");
    let taken = timeout(PATIENCE, messages.next()).await.expect("it is there");
    let taken = taken.expect("the queue stays").expect("it is given");
    let rejected = taken.acker.reject(BasicRejectOptions { requeue: false }).await;
    assert!(rejected.expect("the broker is told"));
    let dead_letters = format!("{name}.dead");
    let arriving = async {
        loop {
            let options = BasicGetOptions { no_ack: true };
            let got = channel.basic_get(dead_letters.as_str().into(), options).await.expect("it answers");
            match got {
                Some(letter) => break letter.delivery,
                None => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let letter = timeout(PATIENCE, arriving).await.expect("it is put aside");
    assert_eq!(letter.properties.message_id().as_ref().map(ShortString::as_str), Some(sent.id.as_str()));
}

/// A hundred wants: ten consumers, each of ten events.
fn many_wants() -> Arc<Subscriptions> {
    let want = |number: usize| Subscription {
        consumer: format!("consumer-{}", number / 10),
        event: match number % 10 {
            0 => "order.ready".to_owned(),
            step => format!("order.step-{step}"),
        },
        queue: "default".to_owned(),
        is_ordered: true,
        attempts_max: 3,
    };
    Arc::new(Subscriptions((0..100).map(want).collect()))
}

#[tokio::test]
async fn a_broker_far_away_is_published_to_in_the_first_try_however_much_is_declared() {
    let (origin, strait) = (origin(), Strait::to(RabbitMq::shared().port()));
    let bus = |port: u16| {
        let url = format!("amqp://127.0.0.1:{port}").parse().expect("a URL");
        AmqpBus::new(&url, Arc::clone(&origin), many_wants()).expect("a sound URL")
    };
    // How long a broker takes to make twenty queues is another question.
    send(&bus(RabbitMq::shared().port()), &event(&origin, "0")).await;
    strait.turn(Weather::Slow(Duration::from_millis(100)));
    publish(&bus(strait.port()), &event(&origin, "1")).await.expect("it takes few round trips");
}

#[tokio::test]
async fn a_connection_that_took_most_of_a_try_to_make_serves_the_next_one() {
    let (origin, strait) = (origin(), Strait::to(RabbitMq::shared().port()));
    send(&bus(&RabbitMq::shared().url(), &origin), &event(&origin, "0")).await;
    // With its three round trips there is no time left for the four that declare and publish.
    strait.turn(Weather::Slow(Duration::from_millis(300)));
    send(&bus(&format!("amqp://127.0.0.1:{}", strait.port()), &origin), &event(&origin, "1")).await;
}

#[tokio::test]
async fn a_broker_that_offers_no_quorum_queues_is_given_classic_ones() {
    let broker = RabbitMq::start_without_quorum_queues();
    let origin = origin();
    let bus = bus(&broker.url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    assert_eq!(take_until(&mut *queue, |all| !all.is_empty()).await.first().map(String::as_str), Some("0"));
    let is_taken = async |name: &str, kind: &str| {
        // Each time by another connection: this refusal ends it.
        let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await;
        let connection = connection.expect("the broker is there");
        let channel = connection.create_channel().await.expect("a channel");
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.is_ok()
    };
    // A broker whose version insists on them offers them all the same, and then they are used.
    let offered = if is_taken("any", "quorum").await { "quorum" } else { "classic" };
    let dead_letters = format!("{}.bell.dead", origin.application());
    assert!(is_taken(&dead_letters, offered).await, "the queues are {offered} ones");
}

#[tokio::test]
async fn poison_with_a_strangers_properties_is_put_aside_and_the_consumer_goes_on() {
    let broker = RabbitMq::shared();
    broker.add_user("stranger", "danger");
    let origin = origin();
    let bus = bus(&broker.url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    assert_eq!(take_until(&mut *queue, |all| !all.is_empty()).await, ["0"]);

    let url = format!("amqp://stranger:danger@127.0.0.1:{}", broker.port());
    let stranger = Connection::connect(&url, ConnectionProperties::default()).await.expect("it is known");
    let channel = stranger.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
    let note = |name: &str, text: &str| {
        let mut headers = FieldTable::default();
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
        BasicProperties::default().with_headers(headers)
    };
    // As much as just fits into a frame, a note, and a name that is not ours with an end.
    let poison = [
        note("padding", &"x".repeat(130_900)),
        note("x-delay", "7"),
        note("weight", "7").with_user_id("stranger".into()).with_expiration("3600000".into()),
    ];
    let exchange = format!("{}.events", origin.application());
    for (number, properties) in poison.into_iter().enumerate() {
        let properties =
            properties.with_message_id(number.to_string().into()).with_content_type("text/x".into());
        let (options, key) = (BasicPublishOptions::default(), origin.event_type("order.ready", 1));
        let sent =
            channel.basic_publish(exchange.as_str().into(), key.into(), options, b"no JSON", properties);
        let confirmed = sent.await.expect("it is sent").await;
        assert!(confirmed.is_ok_and(|confirmed| confirmed.is_ack()), "a stranger may send {number}");
    }
    let mut put_aside = 0;
    while put_aside < 3 {
        let taken = timeout(PATIENCE, queue.take(10)).await.expect("it is there").expect("it is given");
        put_aside += taken.len();
        let dead = vec![Outcome::Dead("it is no text".to_owned()); taken.len()];
        queue.settle(&dead).await.expect("the broker keeps it");
    }
    send(&bus, &event(&origin, "1")).await;
    assert_eq!(take_until(&mut *queue, |all| !all.is_empty()).await, ["1"], "on the channel that there was");

    let (_connection, channel) = self::stranger().await;
    let dead_letters = format!("{}.bell.dead", origin.application());
    for number in ["0", "1", "2"] {
        let options = BasicGetOptions { no_ack: true };
        let got = channel.basic_get(dead_letters.as_str().into(), options).await.expect("it answers");
        let letter = got.expect("each is kept").delivery;
        let properties = &letter.properties;
        assert_eq!(properties.message_id().as_ref().map(ShortString::as_str), Some(number));
        assert_eq!(properties.content_type().as_ref().map(ShortString::as_str), Some("text/x"));
        assert_eq!((properties.user_id(), properties.expiration()), (&None, &None));
        let headers = properties.headers().as_ref().expect("it says why").inner();
        assert_eq!(headers.get("x-reason"), Some(&AMQPValue::LongString("it is no text".into())));
        assert_eq!(
            headers.contains_key("x-headers"),
            number != "0",
            "headers go with it when they are small"
        );
    }
}

#[tokio::test]
async fn what_a_broker_confirmed_outlives_its_crash() {
    let mut broker = RabbitMq::start();
    let origin = origin();
    let bus = bus(&broker.url(), &origin);
    for number in 0..20 {
        send(&bus, &event(&origin, &number.to_string())).await;
    }
    broker.await_written(&format!("{}.bell", origin.application()));
    broker.crash();
    let outcome = publish(&bus, &event(&origin, "99")).await;
    assert!(outcome.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    broker.start_again();
    send(&bus, &event(&origin, "20")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    let numbers = take_until(&mut *queue, |all| all.len() >= 21).await;
    assert_eq!(numbers, (0..=20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_broker_whose_disk_is_full_confirms_nothing_and_takes_what_comes_when_there_is_room() {
    let broker = RabbitMq::start();
    let origin = origin();
    let bus = bus(&broker.url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    broker.fill_disk(true);
    let refused =
        timeout(PATIENCE, publish(&bus, &event(&origin, "1"))).await.expect("nobody waits for ever");
    assert!(refused.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    broker.fill_disk(false);
    send(&bus, &event(&origin, "2")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    let numbers = take_until(&mut *queue, |all| all.last().is_some_and(|last| last == "2")).await;
    // What was sent in vain may have been on its way.
    assert!(numbers == ["0", "2"] || numbers == ["0", "1", "2"], "{numbers:?}");
}

#[tokio::test]
async fn wrong_credentials_are_an_outage_that_shows_no_password() {
    let origin = origin();
    let url = format!("amqp://mario:hunter2@127.0.0.1:{}", RabbitMq::shared().port());
    let error = publish(&bus(&url, &origin), &event(&origin, "0")).await.expect_err("nobody is let in");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = format!("{error:?} {}", chain(&error));
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = RabbitMq::start_certified("localhost");
    let open = |url: &str, origin: &Arc<Origin>| -> Box<dyn EventBus> { Box::new(bus(url, origin)) };
    assert_bus_is_verified(server.port(), &server.authority(), ["amqps", "amqp"], open).await;
}

/// A listener that takes everybody in and says nothing, and how many sockets of this process lead there.
#[cfg(target_os = "linux")]
fn silent_broker() -> (std::net::TcpListener, impl Fn() -> usize) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let leading = move || {
        let sockets = std::fs::read_to_string("/proc/self/net/tcp").expect("the system tells");
        let there = format!("0100007F:{port:04X}");
        // Of what nobody holds any more the system keeps no inode.
        let is_held = |line: &&str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            fields.get(2) == Some(&there.as_str()) && fields.get(9).is_some_and(|inode| *inode != "0")
        };
        sockets.lines().filter(is_held).count()
    };
    (listener, leading)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_broker_that_says_nothing_is_given_up_without_leaving_anything_behind() {
    let (listener, leading) = silent_broker();
    let port = listener.local_addr().expect("it has an address").port();
    let origin = origin();
    for scheme in ["amqp", "amqps"] {
        let bus = bus(&format!("{scheme}://127.0.0.1:{port}?connection_timeout=300"), &origin);
        for _ in 0..4 {
            let began = Instant::now();
            let sent = event(&origin, "0");
            let (one, other) = tokio::join!(publish(&bus, &sent), bus.open("bell"));
            assert_eq!(one.expect_err("nobody confirms").kind(), ErrorKind::Unavailable);
            assert_eq!(other.map(drop).expect_err("nobody answers").kind(), ErrorKind::Unavailable);
            assert!(began.elapsed() < Duration::from_secs(2), "the URL says how long it may take");
            let indicator: &dyn Indicator = &bus;
            let asked = tokio::join!(indicator.check(), indicator.check(), publish(&bus, &sent));
            assert!(asked.0.is_err() && asked.1.is_err() && asked.2.is_err());
        }
    }
    // A thread of the driver ends a moment after its socket, and lets go of it.
    let ending = async {
        while leading() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ending).await.unwrap_or_else(|_| panic!("{} sockets are left", leading()));
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused() {
    assert_authorities_are_read("amqps", |url| AmqpBus::new(&url.parse().expect("a URL"), origin(), wants()));
}

#[tokio::test]
async fn an_operator_sees_whether_the_broker_answers() {
    let origin = origin();
    let strait = Strait::to(RabbitMq::shared().port());
    let bus = bus(&format!("amqp://127.0.0.1:{}", strait.port()), &origin);
    let indicator: &dyn Indicator = &bus;
    assert_eq!((indicator.name(), indicator.kind(), indicator.required()), ("event-bus", "rabbitmq", false));
    indicator.check().await.expect("it answers");
    strait.turn(Weather::Closed);
    indicator.check().await.expect_err("it does not answer");
    strait.turn(Weather::Fair);
    indicator.check().await.expect("it answers again");
}
