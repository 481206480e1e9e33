//! NATS JetStream, as a stock client sees it and as the suite examines it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull;
use async_trait::async_trait;
use futures_util::StreamExt;
use neuroglia::error::{ErrorKind, chain};
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::messaging::{EventBus, EventSource, Inbox, Origin, Subscriptions};
use neuroglia_backing::nats::{NatsBus, NatsOptions};
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::services::Nats;
use tokio::time::{interval, sleep, timeout};

use crate::letters::{
    PATIENCE, assert_authorities_are_read, assert_bus_is_verified, event, origin, publish, read_by_sdk, send,
    take_until, wants,
};
use neuroglia_testing::{Strait, Weather};

/// Short, so that what died is missed soon; longer than it takes until who holds a message says so again.
pub(crate) const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(6);

/// NATS behind a strait, and another way to it for strangers.
pub(crate) struct NatsBench {
    application: String,
    strait: Strait,
}

impl NatsBench {
    pub(crate) fn new() -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        Self { application, strait: Strait::to(Nats::shared().port()) }
    }
}

/// A client that knows nothing of this project.
pub(crate) async fn stranger() -> jetstream::Context {
    jetstream::new(async_nats::connect(Nats::shared().url()).await.expect("the server is there"))
}

#[async_trait]
impl Bench for NatsBench {
    fn application(&self) -> &str {
        &self.application
    }

    async fn attach(&self, _: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached {
        let url = format!("nats://127.0.0.1:{}", self.strait.port()).parse().expect("a URL");
        let options = NatsOptions { acknowledgement_wait: ACKNOWLEDGEMENT_WAIT };
        let bus = Arc::new(NatsBus::new(&url, options, origin, subscriptions).expect("a sound URL"));
        Attached { bus: Arc::clone(&bus) as _, source: Some(bus) }
    }

    fn lets_strangers_send(&self) -> bool {
        true
    }

    fn has_weather(&self) -> bool {
        true
    }

    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        let subject = format!("{}.events.{event_type}", self.application);
        let context = stranger().await;
        let sent = context.publish(subject, body.to_vec().into()).await.expect("it is sent");
        assert_eq!(sent.await.expect("a stream takes it").stream, self.application);
        true
    }

    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        let stream = stranger().await.get_stream(format!("{}-dead", self.application)).await;
        let Ok(mut stream) = stream else { return Vec::new() };
        let last = stream.info().await.expect("the stream answers").state.last_sequence;
        let mut letters = Vec::new();
        for number in 1..=last {
            let letter = stream.get_raw_message(number).await.expect("a dead letter is kept");
            if *letter.subject == *format!("{}.dead.{consumer}", self.application) {
                letters.push(letter.payload.to_vec());
            }
        }
        letters
    }

    async fn waiting(&self, consumer: &str) -> Option<usize> {
        let context = stranger().await;
        let found: Result<jetstream::consumer::Consumer<pull::Config>, _> =
            context.get_consumer_from_stream(consumer, self.application.as_str()).await;
        Some(usize::try_from(found.ok()?.cached_info().num_pending).unwrap_or(usize::MAX))
    }

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}

fn bus(url: &str, origin: &Arc<Origin>) -> NatsBus {
    let options = NatsOptions { acknowledgement_wait: ACKNOWLEDGEMENT_WAIT };
    NatsBus::new(&url.parse().expect("a URL"), options, Arc::clone(origin), wants()).expect("a sound URL")
}

#[tokio::test]
async fn a_stock_client_reads_what_leaves() {
    let origin = origin();
    let bus = bus(&Nats::shared().url(), &origin);
    let sent = event(&origin, r#"{"number":7}"#);
    send(&bus, &sent).await;
    send(&bus, &sent).await;
    let context = stranger().await;
    let mut stream =
        context.get_stream(origin.application()).await.expect("the stream has the application's name");
    let info = stream.info().await.expect("it answers");
    assert_eq!(info.config.retention, jetstream::stream::RetentionPolicy::Limits);
    assert_eq!(info.state.messages, 1, "the server knows the second by its id");
    let subject = format!("{}.events.{}", origin.application(), sent.event_type);
    let message = stream.get_last_raw_message_by_subject(&subject).await.expect("it is there");
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("Nats-Msg-Id").as_deref(), Some(sent.id.as_str()));
    assert_eq!(header("Content-Type").as_deref(), Some("application/cloudevents+json"));
    let read = read_by_sdk(&[message.payload.to_vec()]).remove(0);
    assert_eq!(read["data"]["number"], 7);
    assert_eq!(read["attributes"]["type"], sent.event_type);
    assert_eq!(read["attributes"]["partitionkey"], "o-1");
}

#[tokio::test]
async fn an_event_that_is_larger_than_the_server_takes_is_refused_alone() {
    let origin = origin();
    let bus = bus(&Nats::shared().url(), &origin);
    let large = event(&origin, &format!("\"{}\"", "x".repeat(2_000_000)));
    let outcomes = bus.publish(&[event(&origin, "1"), large, event(&origin, "2")]).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert!(outcomes[1].as_ref().is_err_and(|error| error.kind() == ErrorKind::Invalid), "{outcomes:?}");
}

#[tokio::test]
async fn a_stream_that_somebody_deletes_is_declared_again() {
    let origin = origin();
    let bus = bus(&Nats::shared().url(), &origin);
    send(&bus, &event(&origin, "0")).await;
    stranger().await.delete_stream(origin.application()).await.expect("an operator may");
    let sent = event(&origin, "1");
    assert!(publish(&bus, &sent).await.is_err(), "nobody keeps it");
    send(&bus, &sent).await;
    let mut queue = bus.open("bell").await.expect("it is there again");
    assert_eq!(queue.take(10).await.map(|taken| taken.len()).ok(), Some(1));
}

#[tokio::test]
async fn what_is_held_is_given_to_nobody_until_its_holder_is_gone() {
    const WAIT: Duration = Duration::from_secs(4);
    let origin = origin();
    let (url, options) = (Nats::shared().url(), NatsOptions { acknowledgement_wait: WAIT });
    let bus = NatsBus::new(&url.parse().expect("a URL"), options, Arc::clone(&origin), wants());
    let bus = bus.expect("a sound URL");
    send(&bus, &event(&origin, "0")).await;
    let mut queue = bus.open("bell").await.expect("the queue is there");
    assert_eq!(queue.take(10).await.map(|taken| taken.len()).ok(), Some(1));
    let bell: Result<jetstream::consumer::Consumer<pull::Config>, _> =
        stranger().await.get_consumer_from_stream("bell", origin.application()).await;
    let bell = bell.expect("it is declared");
    let (began, mut again) = (Instant::now(), interval(WAIT / 16));
    while began.elapsed() < WAIT * 2 {
        again.tick().await;
        queue.hold().await.expect("the server is told");
        let info = bell.get_info().await.expect("it answers");
        assert_eq!(info.delivered.consumer_sequence, 1, "what is held was given once more");
    }
    drop(queue);
    let asked = bell.batch().max_messages(1).expires(PATIENCE).messages().await;
    let mut messages = asked.expect("the server is asked");
    let given = timeout(PATIENCE, messages.next()).await.expect("it comes again");
    let given = given.expect("there is one").expect("it is given");
    assert_eq!(given.info().expect("it is JetStream's").delivered, 2);
}

#[tokio::test]
async fn what_is_tried_while_the_server_is_away_is_not_sent_when_it_is_back() {
    let origin = origin();
    let strait = Strait::to(Nats::shared().port());
    let bus = bus(&format!("nats://127.0.0.1:{}", strait.port()), &origin);
    send(&bus, &event(&origin, "0")).await;
    strait.turn(Weather::Closed);
    // The client may learn of it with the first try.
    let mut tries = 0;
    loop {
        let began = Instant::now();
        publish(&bus, &event(&origin, "1")).await.expect_err("it is away");
        tries += 1;
        if began.elapsed() < Duration::from_secs(1) {
            break;
        }
    }
    let began = Instant::now();
    for number in 0..20 {
        let refused = publish(&bus, &event(&origin, &number.to_string())).await.expect_err("it is away");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
    }
    bus.open("bell").await.map(drop).expect_err("it is away");
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for it: {:?}", began.elapsed());
    strait.turn(Weather::Fair);
    send(&bus, &event(&origin, "2")).await;
    let mut stream = stranger().await.get_stream(origin.application()).await.expect("the application's");
    let kept = stream.info().await.expect("it answers").state.messages;
    assert!(kept <= 2 + tries, "{kept} are kept");
}

#[tokio::test]
async fn what_a_server_confirmed_outlives_its_crash() {
    let mut server = Nats::start();
    let origin = origin();
    let bus = bus(&server.url(), &origin);
    for number in 0..20 {
        send(&bus, &event(&origin, &number.to_string())).await;
    }
    server.crash();
    let outcome = publish(&bus, &event(&origin, "99")).await;
    assert!(outcome.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    server.start_again();
    let opening = async {
        loop {
            match bus.open("bell").await {
                Ok(queue) => break queue,
                // What is refused at once would keep the client from connecting again.
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let mut queue = timeout(PATIENCE, opening).await.expect("the server is there again");
    let mut numbers = take_until(&mut *queue, |all| all.len() >= 20).await;
    numbers.truncate(20);
    assert_eq!(numbers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_without_room_confirms_nothing_and_takes_what_comes_when_there_is_some() {
    let server = Nats::start_with_room(64 * 1024);
    let origin = origin();
    let bus = bus(&server.url(), &origin);
    let page = format!("\"{}\"", "x".repeat(8 * 1024));
    send(&bus, &event(&origin, &page)).await;
    let mut confirmed = 1;
    let refused = loop {
        match publish(&bus, &event(&origin, &page)).await {
            Ok(()) => confirmed += 1,
            Err(error) => break error,
        }
        assert!(confirmed < 100, "there is no room for so many");
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    assert!(chain(&refused).contains("resource"), "{refused:?}");
    let operator = jetstream::new(async_nats::connect(server.url()).await.expect("the server is there"));
    let mut stream = operator.get_stream(origin.application()).await.expect("the application's");
    let kept = stream.info().await.expect("it answers").state.messages;
    assert_eq!(kept, confirmed, "what was confirmed is kept, and nothing else");
    stream.purge().await.expect("an operator may");
    send(&bus, &event(&origin, "1")).await;
}

#[tokio::test]
async fn credentials_are_shown_to_the_server_and_to_nobody_else() {
    let server = Nats::start_for("mario", "it's a me");
    let origin = origin();
    let url = |password: &str| format!("nats://mario:{password}@127.0.0.1:{}", server.port());
    send(&bus(&url("it%27s%20a%20me"), &origin), &event(&origin, "0")).await;
    let error =
        publish(&bus(&url("hunter2"), &origin), &event(&origin, "0")).await.expect_err("nobody is let in");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = format!("{error:?} {}", chain(&error));
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = Nats::start_certified("localhost");
    let open = |url: &str, origin: &Arc<Origin>| -> Box<dyn EventBus> { Box::new(bus(url, origin)) };
    assert_bus_is_verified(server.port(), &server.authority(), ["tls", "nats"], open).await;
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_refused() {
    assert_authorities_are_read("tls", |url| {
        NatsBus::new(&url.parse().expect("a URL"), NatsOptions::default(), origin(), wants())
    });
}

#[tokio::test]
async fn an_operator_sees_the_servers_version_or_that_it_does_not_answer() {
    let origin = origin();
    let strait = Strait::to(Nats::shared().port());
    let bus = bus(&format!("nats://127.0.0.1:{}", strait.port()), &origin);
    let indicator: &dyn Indicator = &bus;
    assert_eq!((indicator.name(), indicator.kind(), indicator.required()), ("event-bus", "nats", false));
    let details = serde_json::to_value(indicator.check().await.expect("it answers")).expect("JSON");
    assert!(details["version"].as_str().is_some_and(|version| version.starts_with("2.")), "{details}");
    strait.turn(Weather::Closed);
    indicator.check().await.expect_err("it does not answer");
}
