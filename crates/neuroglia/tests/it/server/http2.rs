//! Limits and end once more, for a client that speaks HTTP/2 without asking.

use std::future::pending;
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::get;
use http::Method;
use neuroglia::web::server::{Abandoned, Limits};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::wire::{Running, soon};
use super::{Gate, app, kept, small};

type H2 = h2::client::SendRequest<Bytes>;

/// A client that knows beforehand that the server speaks HTTP/2, and the end of its connection.
async fn h2(server: &Running) -> (H2, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(server.address).await.expect("connects");
    let (client, connection) = h2::client::handshake(stream).await.expect("speaks HTTP/2");
    (client, tokio::spawn(connection))
}

fn h2_get(path: &str) -> http::Request<()> {
    http::Request::get(format!("http://test{path}")).body(()).expect("a request")
}

/// A request with a body, and what came back.
async fn h2_fetch(client: &H2, request: http::Request<()>, body: Bytes) -> (http::response::Parts, Bytes) {
    let mut client = client.clone().ready().await.expect("open");
    let (response, mut sending) = client.send_request(request, false).expect("sent");
    // The server may have answered, and reset the stream, before it took everything.
    sending.send_data(body, true).ok();
    let (head, mut receiving) = soon("an answer", response).await.expect("an answer").into_parts();
    let mut body = Vec::new();
    while let Some(data) = soon("a body", receiving.data()).await {
        body.extend_from_slice(&data.expect("a body"));
    }
    (head, body.into())
}

#[tokio::test]
async fn http_2_by_prior_knowledge() {
    let server = Running::start(app(), small());
    let (client, _connection) = h2(&server).await;
    let (head, body) = h2_fetch(&client, h2_get("/"), Bytes::new()).await;
    assert_eq!((head.status.as_u16(), &body[..]), (200, &b"hello"[..]));
    assert!(!head.headers.contains_key("connection"));

    let mut echo = h2_get("/echo");
    *echo.method_mut() = Method::POST;
    let (head, body) = h2_fetch(&client, echo.clone(), Bytes::from_static(b"abc")).await;
    assert_eq!((head.status.as_u16(), &body[..]), (200, &b"abc"[..]));
    let mut large = h2_get("/");
    large.headers_mut().insert("x", "y".repeat(600).parse().expect("a value"));
    for (request, body, status) in [
        (echo, "x".repeat(1001), 413),
        (h2_get(&format!("/{}", "a".repeat(128))), String::new(), 414),
        (large, String::new(), 431),
        (h2_get("/forever"), String::new(), 503),
    ] {
        let (head, body) = h2_fetch(&client, request, body.into()).await;
        assert_eq!(head.status.as_u16(), status);
        assert_eq!(head.headers["content-type"], "application/problem+json");
        assert!(body.starts_with(b"{"));
    }
}

#[tokio::test]
async fn http_2_drains() {
    let gate = Gate::default();
    let handler = gate.clone();
    let server =
        Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
    let (mut client, connection) = h2(&server).await;
    let (answer, _) = client.send_request(h2_get("/gate"), true).expect("sent");
    gate.entered.notified().await;
    server.drain.begin.cancel();
    soon("the goodbye", async {
        while let Ok(next) = client.clone().ready().await {
            drop(next);
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open.notify_one();
    let (head, mut body) = soon("the answer", answer).await.expect("an answer").into_parts();
    assert_eq!(head.status, 200);
    assert_eq!(body.data().await.expect("a body").expect("whole"), "passed");
    drop((body, client));
    soon("the connection to end", connection).await.expect("no panic").expect("a clean end");
    server.drain.close.cancel();
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn http_2_is_cut_at_the_deadline() {
    let gate = Gate::default();
    let handler = gate.clone();
    let server =
        Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
    let (mut client, _connection) = h2(&server).await;
    let (answer, _) = client.send_request(h2_get("/gate"), true).expect("sent");
    gate.entered.notified().await;
    server.drain.abort.cancel();
    let drained = server.ended().await;
    assert_eq!(drained.abandoned, [Abandoned { method: Method::GET, path: "/gate".to_owned() }]);
    assert!(soon("the cut", answer).await.is_err());
}

#[tokio::test]
async fn http_2_resets_are_counted() {
    let (entered, mut inside) = mpsc::unbounded_channel();
    let forever = get(async move || {
        entered.send(()).expect("the test waits");
        pending::<&'static str>().await
    });
    let router = app().route("/counted", forever);
    let server = Running::start(router, Limits { h2_resets: 10, ..Limits::default() });
    let (client, connection) = h2(&server).await;
    let mut resets = 0;
    while let Ok(mut client) = client.clone().ready().await {
        let Ok((answer, _)) = client.send_request(h2_get("/counted"), true) else {
            break;
        };
        tokio::select! {
            _ = inside.recv() => (),
            _ = soon("the handler or the cut", answer) => break,
        }
        // Dropping the answer has reset the stream.
        resets += 1;
        assert!(resets < 50, "the connection outlives its resets");
    }
    assert!(resets > 10, "cut too early");
    soon("the connection to end", connection).await.expect("no panic").ok();
    assert_eq!(kept(&server).await.get("/").await.status, 200);
}

#[tokio::test]
async fn http_2_answers_that_nobody_reads_are_cut() {
    let server =
        Running::start(app(), Limits { write_timeout: Duration::from_millis(300), ..Limits::default() });
    let (mut client, connection) = h2(&server).await;
    let (answer, _) = client.send_request(h2_get("/large"), true).expect("sent");
    let reply = soon("the head", answer).await.expect("an answer");
    // The window is soon full and nobody makes room, though the connection as such is alive.
    soon("the cut", connection).await.expect("no panic").ok();
    let mut body = reply.into_body();
    soon("the failure", async { while let Some(Ok(_)) = body.data().await {} }).await;
}
