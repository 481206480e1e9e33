//! A server that answers as it is told, and remembers what it was asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use url::Url;

/// One answer. When there is none left, the answer is 503.
#[derive(Debug, Clone)]
pub(crate) struct Say {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
    is_endless: bool,
}

impl Say {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), after: Duration::ZERO, is_endless: false }
    }

    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self { body: body.to_owned(), ..Self::status(status).header("content-type", content_type) }
    }

    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// It thinks for so long before.
    pub(crate) fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Its body goes on and on.
    pub(crate) fn without_end(self) -> Self {
        Self { is_endless: true, ..self }
    }

    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = match self.is_endless {
            false => Body::from(self.body),
            true => Body::from_stream(stream::repeat_with(|| {
                Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1_024]))
            })),
        };
        response.body(body).expect("a response")
    }
}

/// What it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) uri: String,
    pub(crate) body: String,
    headers: HeaderMap,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug, Default)]
struct Kept {
    script: VecDeque<Say>,
    asked: Vec<Asked>,
    at_once: usize,
    most_at_once: usize,
}

/// A server on a free port; it ends with the test's runtime.
pub(crate) struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    was_asked: Notify,
}

impl Service {
    /// One that says this, then 503 for ever.
    pub(crate) async fn start(script: impl IntoIterator<Item = Say>) -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(axum::serve(listener, router).into_future());
        let service = Self { address, shared };
        service.say(script);
        service
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().expect("a URL")
    }

    /// It says this as well, after everything else.
    pub(crate) fn say(&self, further: impl IntoIterator<Item = Say>) {
        self.kept().script.extend(further);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.kept().asked.clone()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.kept().most_at_once
    }

    /// Waits until it was asked so often.
    pub(crate) async fn wait_for(&self, count: usize) {
        let waiting = async {
            loop {
                let was_asked = self.shared.was_asked.notified();
                if self.kept().asked.len() >= count {
                    return;
                }
                was_asked.await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.expect("it is asked");
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept()
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.expect("a small body");
    let say = {
        let mut kept = shared.kept();
        kept.at_once += 1;
        kept.most_at_once = kept.most_at_once.max(kept.at_once);
        kept.asked.push(Asked {
            uri: head.uri.to_string(),
            body: String::from_utf8_lossy(&body).into_owned(),
            headers: head.headers,
        });
        kept.script.pop_front().unwrap_or_else(|| Say::status(503))
    };
    shared.was_asked.notify_waiters();
    sleep(say.after).await;
    shared.kept().at_once -= 1;
    say.into_response()
}
