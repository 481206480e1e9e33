//! Limits and end once more, for a client that speaks HTTP/2 without asking.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::get;
use http::Method;
use neuroglia::App;
use neuroglia::settings::Environment;
use neuroglia::web::server::{Abandoned, Limits};
use neuroglia::web::{Injected, Policy, Web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::wire::{Running, soon};
use super::{Gate, app, kept, small};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A client that sends frame by frame, and does nothing by itself.
struct Frames(TcpStream);

impl Frames {
    /// Says hello, and grants what HTTP/2 grants when nothing is said.
    async fn open(address: SocketAddr) -> Self {
        let mut frames = Self(TcpStream::connect(address).await.expect("connects"));
        frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await;
        frames
    }

    async fn send(&mut self, bytes: &[u8]) {
        soon("a write", self.0.write_all(bytes)).await.expect("the server takes it");
    }

    /// Sends a request, which has no body.
    async fn get(&mut self, stream: u8, path: &str) {
        // GET, http, a path and the authority `test`, by the static table.
        let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(b"\x41\x04test");
        let length = u8::try_from(block.len()).expect("short");
        self.send(&[0, 0, length, HEADERS, 0x05, 0, 0, 0, stream]).await;
        self.send(&block).await;
    }

    /// The next frame of this kind, and its stream; `None` when the connection ends first.
    async fn next(&mut self, kind: u8) -> Option<(u8, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            soon("a frame", self.0.read_exact(&mut head)).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("it fits")];
            soon("its payload", self.0.read_exact(&mut payload)).await.ok()?;
            if head[3] == kind {
                return Some((head[8], payload));
            }
        }
    }
}

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
async fn http_2_headers_are_refused_by_us_long_before_h2_would() {
    let server = Running::start(app(), small());
    let (client, _connection) = h2(&server).await;
    let request = |bytes: usize, fields: usize| {
        let mut request = h2_get("/");
        let value: http::HeaderValue = "y".repeat(bytes / fields).parse().expect("a value");
        for _ in 0..fields {
            request.headers_mut().append("x", value.clone());
        }
        request
    };
    // h2 refuses from about 10,000 on, which it has told the client; there it has no words.
    for (bytes, fields) in [(512, 1), (1000, 20), (5000, 1), (9000, 1), (5000, 100)] {
        let (head, body) = h2_fetch(&client, request(bytes, fields), Bytes::new()).await;
        assert_eq!(head.status, 431, "{bytes} in {fields}");
        assert_eq!(head.headers["content-type"], "application/problem+json", "{bytes} in {fields}");
        assert!(body.starts_with(b"{"));
    }
    let (head, body) = h2_fetch(&client, request(12_000, 1), Bytes::new()).await;
    assert_eq!((head.status.as_u16(), body.len()), (431, 0));
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

#[tokio::test]
async fn http_2_that_opens_while_the_server_drains_is_told() {
    let server = Running::start(app(), Limits::default());
    let mut late = Frames(TcpStream::connect(server.address).await.expect("connects"));
    late.send(b"PRI * HTTP").await;
    server.drain.begin.cancel();
    soon("the announcement", async { while !server.connect().await.get("/").await.closes() {} }).await;
    late.send(b"/2.0\r\n\r\nSM\r\n\r\n").await;
    late.send(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await;
    late.get(1, "/").await;
    assert!(late.next(GOAWAY).await.is_some(), "it is asked to leave");
    assert!(late.next(DATA).await.is_some(), "and yet answered");
    drop(late);
    server.drain.close.cancel();
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn http_2_that_is_idle_may_still_ask_what_was_on_its_way() {
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = Running::start(app(), Limits { drain_linger: Duration::from_secs(60), ..limits });
    let mut idle = Frames::open(server.address).await;
    idle.get(1, "/").await;
    assert!(idle.next(DATA).await.is_some());
    assert!(idle.next(GOAWAY).await.is_some(), "nothing was asked for a while");
    idle.get(3, "/").await;
    assert_eq!(idle.next(HEADERS).await.map(|(stream, _)| stream), Some(3));
}

#[tokio::test]
async fn http_2_that_is_idle_and_does_not_leave_is_cut() {
    let short = Duration::from_millis(100);
    let limits = Limits { idle_timeout: short, drain_linger: short, ..Limits::default() };
    let server = Running::start(app(), limits);
    let mut idle = Frames::open(server.address).await;
    idle.get(1, "/").await;
    assert!(idle.next(GOAWAY).await.is_some());
    assert_eq!(idle.next(DATA).await, None, "it says no goodbye, and is cut");
}

#[tokio::test]
async fn http_2_answers_that_are_not_taken_at_the_deadline_are_counted() {
    let (entered, mut inside) = mpsc::unbounded_channel();
    let piece = get(async move || {
        entered.send(()).expect("the test waits");
        vec![b'x'; 64 * 1024]
    });
    let server = Running::start(app().route("/piece", piece), Limits::default());
    // The window of the connection has room for one byte less than one answer.
    let mut stalled = Frames::open(server.address).await;
    stalled.get(1, "/piece").await;
    stalled.get(3, "/piece").await;
    for _ in 0..2 {
        soon("the handler", inside.recv()).await.expect("entered");
        assert!(stalled.next(HEADERS).await.is_some());
    }
    let mut taken = 0;
    while taken < 65_535 {
        taken += stalled.next(DATA).await.expect("what there is room for").1.len();
    }
    // This one has all of its answer.
    let mut whole = Frames::open(server.address).await;
    whole.get(1, "/").await;
    assert!(whole.next(DATA).await.is_some());
    server.drain.abort.cancel();
    let drained = server.ended().await;
    assert_eq!((drained.unsent, drained.abandoned.len()), (2, 0), "{drained:?}");
    assert!(!drained.is_clean());
}

/// Says that a request has begun.
struct Entered(mpsc::UnboundedSender<()>);

async fn wait(Injected(entered): Injected<Arc<Entered>>) -> &'static str {
    entered.0.send(()).expect("the test waits");
    pending().await
}

fn waiting(web: Web) -> Web {
    web.plain("/", Policy::Public, axum::Router::new().route("/wait", get(wait)))
}

/// An application with one more setting, whose only route says when it begins and never ends.
async fn waiting_with(setting: (&str, &str)) -> (neuroglia::Running, mpsc::UnboundedReceiver<()>) {
    let (entered, inside) = mpsc::unbounded_channel();
    let app = App::<()>::new("waiting").web(waiting).services(move |services, ()| {
        services.add_instance(Entered(entered.clone()));
    });
    let settings = [("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), setting];
    (app.start(&Environment::from_pairs(settings)).await.expect("it starts"), inside)
}

#[tokio::test]
async fn http_2_has_as_many_requests_open_as_the_setting_says() {
    let (running, mut inside) = waiting_with(("HTTP_H2_STREAMS_MAX", "2")).await;
    let mut client = Frames::open(running.address()).await;
    let (_, settings) = client.next(SETTINGS).await.expect("the server's settings");
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for stream in [1, 3] {
        client.get(stream, "/wait").await;
        soon("the handler", inside.recv()).await.expect("entered");
    }
    client.get(5, "/wait").await;
    let refused = client.next(RST_STREAM).await.expect("a refusal");
    assert_eq!(refused, (5, vec![0, 0, 0, 7]), "REFUSED_STREAM: it may be tried again");
    client.send(&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, 8]).await;
    client.get(7, "/wait").await;
    soon("the handler", inside.recv()).await.expect("there is room again");
}

#[tokio::test]
async fn http_2_may_cancel_as_many_requests_as_the_setting_says() {
    let (running, mut inside) = waiting_with(("HTTP_H2_RESETS_MAX", "5")).await;
    let mut client = Frames::open(running.address()).await;
    for stream in [1, 3, 5, 7, 9, 11] {
        client.get(stream, "/wait").await;
        soon("the handler", inside.recv()).await.expect("entered");
        client.send(&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, stream, 0, 0, 0, 8]).await;
    }
    assert_eq!(client.next(HEADERS).await, None, "it is cut, and nobody has to wait");
}
