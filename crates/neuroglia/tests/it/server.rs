//! The HTTP server over real sockets: what it does every day, and in the parts below, its limits, its
//! end, and the same for HTTP/2.

mod end;
mod http2;
mod limits;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::routing::{any, get, post};
use neuroglia::web::server::Limits;
use tokio::sync::Notify;

use super::wire::{Client, Running};

/// A handler that says when it has begun and ends when it may.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    async fn pass(self) -> &'static str {
        self.entered.notify_one();
        self.open.notified().await;
        "passed"
    }
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .route("/forever", any(async || pending::<&'static str>().await))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route("/echo", post(async |body: Bytes| body))
        .route("/ignore", post(async || "not read"))
        .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

/// Limits that a test can cross in a moment.
fn small() -> Limits {
    Limits {
        request_line_bytes: 128,
        header_bytes: 512,
        header_count: 10,
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(300),
        body_bytes: 1000,
        body_rate: 1000,
        body_rate_grace: Duration::from_millis(300),
        write_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

/// A connection with one answered request behind it.
async fn kept(server: &Running) -> Client {
    let mut client = server.connect().await;
    let reply = client.get("/").await;
    assert_eq!((reply.status, reply.closes()), (200, false));
    client
}

#[tokio::test]
async fn a_connection_is_kept_and_pipelined() {
    let server = Running::start(app(), Limits::default());
    let mut client = kept(&server).await;
    assert_eq!(client.get("/").await.text(), "hello");

    let one = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    client.send(one.repeat(20)).await;
    for _ in 0..20 {
        assert_eq!(client.reply().await.text(), "hello");
    }

    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let head = client.reply_to_head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));

    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("3\r\nabc\r\n").await;
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(client.reply().await.text(), "abcde");

    let peer = client.stream.local_addr().expect("connected").to_string();
    assert_eq!(client.get("/peer").await.text(), peer);

    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await;
    assert!(client.reply().await.closes());
    client.ends().await;
}

#[tokio::test]
async fn a_client_of_1_0_is_served_and_closed() {
    let server = Running::start(app(), Limits::default());
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.reply().await.text(), "hello");
    client.ends().await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Running::start(app(), small());
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .await;
    assert_eq!(client.reply().await.status, 100);
    client.send("abc").await;
    assert_eq!(client.reply().await.text(), "abc");
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let server = Running::start(app(), Limits::default());
    let mut bystander = kept(&server).await;
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(client.next_reply(true).await.is_none());
    assert_eq!(bystander.get("/").await.status, 200);
    assert_eq!(kept(&server).await.get("/").await.status, 200);
}
