//! A sink of CloudEvents over HTTP, as it sees its publisher and as the suite examines it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode};
use neuroglia::clock::Clock;
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::di::{Lifetime, Service, ServiceCollection};
use neuroglia::error::{ErrorKind, Result};
use neuroglia::hosting::HostedService;
use neuroglia::id::Ids;
use neuroglia::messaging::{
    CloudEvent, EventBus, Inbox, LocalBus, Origin, OutboxStore, Relay, Subscriptions, Wake, register,
};
use neuroglia::webhook::WebhookKey;
use neuroglia_backing::bus::{BusOptions, Content};
use neuroglia_backing::sink::Sink;
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::workbench::message;
use neuroglia_testing::{Layered, StoreLayer, Strait, Weather};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::encrypted::Encrypted;
use crate::letters::{
    PATIENCE, assert_authorities_are_read, assert_certificate_is_verified, event, origin, publish,
    read_by_sdk, send, wants,
};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a sink was sent, and what it answers next.
#[derive(Default)]
struct Seen {
    requests: Vec<(HeaderMap, Bytes)>,
    answers: Vec<Response>,
}

type Notes = Arc<Mutex<Seen>>;

/// A server that takes everything and notes it.
async fn server() -> (u16, Notes) {
    let notes = Notes::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let router = Router::new().fallback(any(take)).with_state(Arc::clone(&notes));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, notes)
}

async fn take(State(notes): State<Notes>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = notes.lock().expect("no panic while held");
    if method == Method::POST {
        seen.requests.push((headers, body));
        if !seen.answers.is_empty() {
            return seen.answers.remove(0);
        }
    }
    StatusCode::ACCEPTED.into_response()
}

fn sink(port: u16, content: Content, inbox: Inbox) -> Sink {
    sink_at(&format!("http://127.0.0.1:{port}/events"), content, inbox).expect("a sound URL")
}

fn sink_at(url: &str, content: Content, inbox: Inbox) -> Result<Sink> {
    let key: WebhookKey = KEY.parse().expect("a key");
    let options = BusOptions { signing_key: Some(key), content };
    Sink::new(&url.parse().expect("a URL"), options, LocalBus::new(inbox), Clock::system())
}

/// A sink behind a strait.
pub(crate) struct SinkBench {
    application: String,
    strait: Strait,
}

impl SinkBench {
    pub(crate) async fn new() -> Self {
        let application = format!("shop-{}", Ids::random().next_uuid().simple());
        let (port, _) = server().await;
        Self { application, strait: Strait::to(port) }
    }
}

#[async_trait]
impl Bench for SinkBench {
    fn application(&self) -> &str {
        &self.application
    }

    async fn attach(&self, inbox: Inbox, _: Arc<Origin>, _: Arc<Subscriptions>) -> Attached {
        Attached { bus: Arc::new(sink(self.strait.port(), Content::Structured, inbox)), source: None }
    }

    fn has_weather(&self) -> bool {
        true
    }

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}

/// The services of an application of this origin that has this store.
fn services_of(store: Arc<dyn Store>, origin: &Origin) -> ServiceCollection {
    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(store));
    services.add_instance(Ids::sequence());
    register(&mut services, origin.application(), wants().0.clone());
    services
}

/// A sink, and what it notes.
async fn office(content: Content) -> (Sink, Notes, Arc<Origin>) {
    let (port, notes) = server().await;
    let origin = origin();
    (sink(port, content, inbox_of(&origin).await), notes, origin)
}

/// The application's own inbox, in memory.
async fn inbox_of(origin: &Origin) -> Inbox {
    let mut services = services_of(Arc::new(MemoryStore::new()), origin);
    services.enter_root::<Inbox>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    services.scope().inject().expect("registered")
}

fn requests(notes: &Notes) -> Vec<(HeaderMap, Bytes)> {
    std::mem::take(&mut notes.lock().expect("no panic while held").requests)
}

/// Has the sink answer this next.
fn answer(notes: &Notes, status: StatusCode, header: Option<(&'static str, &'static str)>) {
    let mut answer = status.into_response();
    if let Some((name, value)) = header {
        answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    notes.lock().expect("no panic while held").answers.push(answer);
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether a request is signed as the specification says, for who knows the key.
fn assert_signed(headers: &HeaderMap, body: &[u8]) {
    let key: WebhookKey = KEY.parse().expect("a key");
    let [id, at, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| text(headers, name));
    key.verify(id, at, signature, body, Clock::system().now()).expect("it is signed");
}

#[tokio::test]
async fn an_event_is_posted_as_one_signed_document() {
    let (sink, notes, origin) = office(Content::Structured).await;
    let sent = event(&origin, r#"{"number":7}"#);
    send(&sink, &sent).await;
    let (headers, body) = requests(&notes).remove(0);
    assert_eq!(text(&headers, "content-type"), "application/cloudevents+json");
    assert_eq!(text(&headers, "webhook-id"), sent.id);
    assert_signed(&headers, &body);
    let read = read_by_sdk(&[body.to_vec()]).remove(0);
    assert_eq!((&read["attributes"]["id"], &read["data"]["number"]), (&sent.id.as_str().into(), &7.into()));
}

#[tokio::test]
async fn an_event_is_posted_in_headers_and_body() {
    let (sink, notes, origin) = office(Content::Binary).await;
    let sent = event(&origin, r#"{"number":7}"#);
    send(&sink, &sent).await;
    let (headers, body) = requests(&notes).remove(0);
    assert_eq!(&body[..], br#"{"number":7}"#);
    assert_signed(&headers, &body);
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", &sent.id),
        ("ce-source", &origin.source),
        ("ce-type", &sent.event_type),
        ("ce-subject", "o-1"),
        ("ce-correlationid", "request-7"),
    ] {
        assert_eq!(text(&headers, name), value, "{name}");
    }
}

#[tokio::test]
async fn events_that_leave_together_are_posted_together() {
    let (sink, notes, origin) = office(Content::Batch).await;
    let events = [event(&origin, "1"), event(&origin, "2")];
    assert!(sink.publish(&events).await.iter().all(Result::is_ok));
    let seen = requests(&notes);
    assert_eq!(seen.len(), 1);
    assert_eq!(text(&seen[0].0, "content-type"), "application/cloudevents-batch+json");
    assert_signed(&seen[0].0, &seen[0].1);
    let batch: Vec<serde_json::Value> = serde_json::from_slice(&seen[0].1).expect("an array");
    let lines: Vec<_> = batch.iter().map(|event| event.to_string().into_bytes()).collect();
    assert_eq!(read_by_sdk(&lines).len(), 2);
}

#[tokio::test]
async fn a_batch_is_known_by_all_that_is_in_it() {
    let (sink, notes, origin) = office(Content::Batch).await;
    let [one, two, three] = ["1", "2", "3"].map(|data| event(&origin, data));
    let pair = |second: &CloudEvent| [one.clone(), second.clone()];
    for batch in [pair(&two), pair(&three), pair(&two)] {
        assert!(sink.publish(&batch).await.iter().all(Result::is_ok));
    }
    let ids: Vec<_> =
        requests(&notes).iter().map(|(headers, _)| text(headers, "webhook-id").to_owned()).collect();
    assert_ne!(ids[0], ids[1], "another batch with the same beginning");
    assert_eq!(ids[0], ids[2], "the same batch again");
}

#[tokio::test]
async fn a_sink_that_asks_to_be_left_alone_is() {
    let (sink, notes, origin) = office(Content::Structured).await;
    let sent = event(&origin, "1");
    answer(&notes, StatusCode::SERVICE_UNAVAILABLE, Some(("retry-after", "1")));
    for _ in 0..5 {
        let outcome = publish(&sink, &sent).await;
        assert!(outcome.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
    }
    assert_eq!(requests(&notes).len(), 1, "nothing is sent before the second is over");
    send(&sink, &sent).await;
    assert_eq!(requests(&notes).len(), 1);
}

#[tokio::test]
async fn what_a_sink_refuses_is_refused_and_no_other_address_is_asked() {
    let (sink, notes, origin) = office(Content::Structured).await;
    let sent = event(&origin, "1");
    for (status, kind) in [
        (StatusCode::BAD_REQUEST, ErrorKind::Invalid),
        (StatusCode::MOVED_PERMANENTLY, ErrorKind::Invalid),
        (StatusCode::TEMPORARY_REDIRECT, ErrorKind::Invalid),
        (StatusCode::TOO_MANY_REQUESTS, ErrorKind::Unavailable),
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorKind::Unavailable),
    ] {
        answer(&notes, status, Some(("location", "/elsewhere")));
        let error = publish(&sink, &sent).await.expect_err("it is not taken");
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(requests(&notes).len(), 1, "{status}");
    }
    send(&sink, &sent).await;
}

/// A store that tells for how long messages are held.
struct Telling {
    store: MemoryStore,
    pauses: UnboundedSender<Duration>,
}

#[async_trait]
impl StoreLayer for Telling {
    fn behind(&self) -> &dyn Store {
        &self.store
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        self.store.return_outbox(token, ids, pause).await?;
        // The test may be over.
        let _ = self.pauses.send(pause);
        Ok(())
    }
}

#[tokio::test]
async fn what_a_sink_does_not_take_is_sent_again_ever_later_and_in_its_order() {
    let (port, notes) = server().await;
    for _ in 0..2 {
        answer(&notes, StatusCode::SERVICE_UNAVAILABLE, None);
    }
    let (origin, clock) = (origin(), Clock::manual(Clock::system().now()));
    let (pauses, mut told) = unbounded_channel();
    let store: Arc<dyn Store> =
        Arc::new(Layered(Telling { store: MemoryStore::with_clock(clock.clone()), pauses }));
    let mut services = services_of(Arc::clone(&store), &origin);
    services.add_instance(clock.clone());
    services.enter_root::<Inbox>();
    services.replace(Service::factory::<dyn EventBus, (Inbox,), _>(Lifetime::Singleton, move |(inbox,)| {
        Ok(Arc::new(sink(port, Content::Structured, inbox)) as Arc<dyn EventBus>)
    }));
    services.enter_root::<Relay>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let relay: Relay = services.scope().inject().expect("registered");
    let wake = services.get::<Wake>().expect("registered");
    let [first, second] = ["1", "2"].map(|data| OutboxMessage {
        data: data.to_owned(),
        at: clock.now(),
        ..message("order.ready", "o-1")
    });
    let ids = [&first, &second].map(|message| message.id.to_string());
    store.commit(Batch { outbox: vec![first, second], ..Batch::default() }).await.expect("it is stored");
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { relay.run(stop).await }
    });

    let mut pause = async || timeout(PATIENCE, told.recv()).await.expect("it is held").expect("it runs");
    for expected in [250, 500].map(Duration::from_millis) {
        assert_eq!(pause().await, expected);
        // Who looks comes as late again as the pause was long.
        clock.advance(expected * 2);
        wake.outbox();
    }
    let arriving = async {
        while store.outbox_depth().await.expect("it answers").count > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, arriving).await.expect("all arrive");
    let sent: Vec<_> =
        requests(&notes).iter().map(|(headers, _)| text(headers, "webhook-id").to_owned()).collect();
    let [first, second] = ids;
    assert_eq!(sent, [first.clone(), first.clone(), first, second], "one behind the other");
    stop.cancel();
    running.await.expect("no panic").expect("it ends");
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let (port, notes) = server().await;
    let server = Encrypted::before(port).await;
    let origin = origin();
    let inbox = inbox_of(&origin).await;
    let tell = async |url: &str| {
        let sink = sink_at(url, Content::Structured, inbox.clone())?;
        publish(&sink, &event(&origin, "0")).await
    };
    assert_certificate_is_verified(server.port(), &server.authority(), ["https", "http"], tell).await;
    assert_eq!(requests(&notes).len(), 1, "nobody else was let in");
}

#[tokio::test]
async fn a_file_of_authorities_that_cannot_be_used_is_refused() {
    let inbox = inbox_of(&origin()).await;
    assert_authorities_are_read("https", |url| sink_at(url, Content::Structured, inbox.clone()));
}
