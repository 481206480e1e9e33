//! A sink of CloudEvents over HTTP, as it sees its publisher and as the suite examines it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode};
use neuroglia::clock::Clock;
use neuroglia::id::Ids;
use neuroglia::messaging::{Inbox, LocalBus, Origin, Subscriptions};
use neuroglia::webhook::WebhookKey;
use neuroglia_backing::bus::{BusOptions, Content};
use neuroglia_backing::sink::Sink;
use neuroglia_testing::conformance::bus::{Attached, Bench};
use neuroglia_testing::{Strait, Weather};
use tokio::net::TcpListener;

pub(crate) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a sink was sent, and what it answers next.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<(HeaderMap, Bytes)>,
    pub(crate) answers: Vec<Response>,
}

pub(crate) type Notes = Arc<Mutex<Seen>>;

/// A server that takes everything and notes it.
pub(crate) async fn server() -> (u16, Notes) {
    let notes = Notes::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    let router = Router::new().route("/events", any(take)).with_state(Arc::clone(&notes));
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

pub(crate) fn sink(port: u16, content: Content, inbox: Inbox) -> Sink {
    let key: WebhookKey = KEY.parse().expect("a key");
    let url = format!("http://127.0.0.1:{port}/events").parse().expect("a URL");
    let options = BusOptions { signing_key: Some(key), content };
    Sink::new(&url, options, LocalBus::new(inbox), Clock::system()).expect("a sound URL")
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

    fn turn(&self, weather: Weather) -> bool {
        self.strait.turn(weather);
        true
    }
}
