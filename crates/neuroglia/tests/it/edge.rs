//! The edge around small routers, without a socket: what every request gets and what every answer looks like.

mod answers;
mod content;
mod logs;
mod requests;
mod served;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use neuroglia::clock::Clock;
use neuroglia::id::Ids;
use neuroglia::web::{Edge, EdgeSettings};
use serde_json::Value;
use std::net::SocketAddr;
use tower::ServiceExt;

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body ends").to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem document, after a look at everything that each of them must have.
    fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        assert!(problem["instance"].as_str().is_some_and(|path| !path.contains('?')), "{problem}");
        let traceparent = self.header("traceparent").expect("every answer has its trace");
        assert_eq!(problem["trace_id"], traceparent[3..35], "{problem}");
        let length = self.header("content-length").map(|length| length.parse().expect("digits"));
        assert!(length.is_none_or(|length: usize| length == self.body.len()), "{self:?}");
        problem
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

fn edge_with(router: Router, settings: EdgeSettings) -> Edge {
    Edge::new(router, settings, &Ids::random(), &Clock::system())
}

fn edge(router: Router) -> Edge {
    edge_with(router, EdgeSettings::default())
}

/// A request with these headers.
fn request(method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let builder =
        headers.iter().fold(Request::builder().method(method).uri(target), |builder, (name, value)| {
            builder.header(*name, *value)
        });
    builder.body(body.into()).expect("a request")
}

async fn ask(edge: &Edge, request: Request<Body>) -> Answer {
    Answer::read(edge.clone().oneshot(request).await.expect("infallible")).await
}

async fn get(edge: &Edge, target: &str, headers: &[(&str, &str)]) -> Answer {
    ask(edge, request("GET", target, headers, "")).await
}

async fn post_json(edge: &Edge, target: &str, body: impl Into<Body>) -> Answer {
    ask(edge, request("POST", target, &[("content-type", "application/json")], body)).await
}

/// The request as if it came from this address.
fn from_peer(mut request: Request<Body>, peer: &str) -> Request<Body> {
    let peer: SocketAddr = format!("{peer}:40000").parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}
