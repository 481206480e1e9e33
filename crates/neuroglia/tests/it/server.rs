//! The HTTP server at its limits and at its end, over real sockets.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use http::Method;
use http_body_util::StreamBody;
use neuroglia::web::server::{Abandoned, BodyLimit, Drain, Limits};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::wire::{Client, Running, bind, soon};

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
        .route("/forever", get(async || pending::<&'static str>().await))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route("/echo", post(async |body: Bytes| body))
        .route("/ignore", post(async || "not read"))
        .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

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

// ---- the ordinary -----------------------------------------------------------------------------

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

// ---- limits -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_long_request_line_is_414() {
    let server = Running::start(app(), small());
    // Just too long, longer than hyper takes, and longer than that without an end.
    for (length, end) in [(128, " HTTP/1.1\r\nHost: test\r\n\r\n"), (70_000, " HTTP/1.1\r\n\r\n"), (8_000, "")] {
        let mut client = server.connect().await;
        client.send(format!("GET /{}{end}", "a".repeat(length))).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (414, true), "{length}");
        assert_eq!(reply.problem_code(), "request.uri_too_long");
        client.ends().await;
    }
    // The longest that is admitted.
    let mut client = server.connect().await;
    let line = format!("GET /{} HTTP/1.1\r\n", "a".repeat(128 - "GET / HTTP/1.1\r\n".len()));
    client.send(format!("{line}Host: test\r\n\r\n")).await;
    assert_eq!(client.reply().await.status, 404);
}

#[tokio::test]
async fn large_headers_are_431() {
    let server = Running::start(app(), small());
    let many: String = (0..10).map(|n| format!("X-{n}: y\r\n")).collect();
    let very_many: String = (0..300).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X: {}\r\n", "y".repeat(512));
    let very_large = format!("X: {}\r\n", "y".repeat(100_000));
    for fields in [many, very_many, large, very_large] {
        let mut client = server.connect().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (431, true));
        assert_eq!(reply.problem_code(), "request.headers_too_large");
        client.ends().await;
    }
}

#[tokio::test]
async fn a_refusal_on_a_kept_connection_is_a_document_too() {
    let server = Running::start(app(), small());
    let mut client = kept(&server).await;
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\nnonsense\r\n\r\n").await;
    assert_eq!(client.reply().await.text(), "hello");
    let reply = client.reply().await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.problem_code(), "request.malformed");
    assert!(reply.header("date").is_some());
    client.ends().await;
}

#[tokio::test]
async fn half_a_head_is_408_and_silence_is_closed() {
    let server = Running::start(app(), small());
    let mut silent = server.connect().await;
    let mut fresh = server.connect().await;
    fresh.send("GET / HT").await;
    let mut preface = server.connect().await;
    preface.send("PRI * HT").await;
    let mut second = kept(&server).await;
    second.send("GET / HTTP/1.1\r\nHost:").await;
    for client in [&mut fresh, &mut preface, &mut second] {
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (408, true));
        assert_eq!(reply.problem_code(), "request.head_timeout");
        client.ends().await;
    }
    silent.ends().await;
}

#[tokio::test]
async fn a_drip_of_bytes_does_not_extend_the_head_timeout() {
    let server = Running::start(app(), small());
    let mut client = server.connect().await;
    let (mut reading, mut writing) = {
        client.send("G").await;
        client.stream.split()
    };
    let mut answer = vec![0; 1024];
    let mut drip = tokio::time::interval(Duration::from_millis(20));
    let count = soon("408", async {
        loop {
            tokio::select! {
                count = reading.read(&mut answer) => break count.expect("an answer"),
                _ = drip.tick() => {
                    tokio::io::AsyncWriteExt::write_all(&mut writing, b"X").await.ok();
                }
            }
        }
    })
    .await;
    assert!(answer[..count].starts_with(b"HTTP/1.1 408 "));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Running::start(app(), small());
    let mut client = kept(&server).await;
    client.ends().await;
}

#[tokio::test]
async fn a_late_answer_is_503() {
    let server = Running::start(app(), small());
    let mut client = server.connect().await;
    let reply = client.get("/forever").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.problem_code(), "request.timeout");
    assert_eq!(client.get("/").await.status, 200, "the connection is as good as before");
}

#[tokio::test]
async fn a_large_body_is_413_even_while_it_is_sent() {
    let server = Running::start(app(), small());
    for head in ["Content-Length: 700000", "Transfer-Encoding: chunked"] {
        let client = server.connect().await;
        let (reading, mut writing) = client.stream.into_split();
        let sending = tokio::spawn(async move {
            let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut writing, head.as_bytes()).await.expect("sent");
            // Each of these is a chunk; what they are when they are not does not matter.
            let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
            for _ in 0..70 {
                if tokio::io::AsyncWriteExt::write_all(&mut writing, chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
            writing
        });
        let writing = soon("the body to be sent", sending).await.expect("sent");
        let mut client = Client::connect(server.address).await;
        client.stream = reading.reunite(writing).expect("the same");
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (413, true));
        assert_eq!(reply.problem_code(), "request.body_too_large");
    }
}

#[tokio::test]
async fn a_large_body_is_not_asked_for() {
    let server = Running::start(app(), small());
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        .await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.problem_code(), "request.body_too_large");
    client.ends().await;
}

#[tokio::test]
async fn a_route_may_raise_the_body_limit() {
    async fn raise(request: Request, next: Next) -> Response {
        request.extensions().get::<BodyLimit>().expect("a body").set(5000);
        next.run(request).await
    }
    let server = Running::start(app().layer(from_fn(raise)), small());
    for (length, status) in [(1000, 200), (5000, 200), (5001, 413)] {
        let mut client = server.connect().await;
        client
            .send(format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"))
            .await;
        client.send("x".repeat(length)).await;
        assert_eq!(client.reply().await.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_slow_body_is_408() {
    let server = Running::start(app(), Limits { request_timeout: Duration::from_secs(60), ..small() });
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 900\r\n\r\nabc").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.closes()), (408, true));
    assert_eq!(reply.problem_code(), "request.body_too_slow");
    client.ends().await;
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_is_readable() {
    let server = Running::start(app(), Limits::default());
    let mut client = server.connect().await;
    client.send("POST /ignore HTTP/1.1\r\nHost: test\r\nContent-Length: 500000\r\n\r\n").await;
    client.send(vec![b'x'; 400_000]).await;
    assert_eq!(client.reply().await.text(), "not read");
    client.ends().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut() {
    let (dropped, mut ended) = mpsc::unbounded_channel::<Infallible>();
    let endless = get(async move || {
        let stream = futures_util::stream::repeat_with(move || {
            // Held by the body, so that the channel ends with it.
            let _held = &dropped;
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(&[b'x'; 4096])))
        });
        Body::new(StreamBody::new(stream))
    });
    let server = Running::start(Router::new().route("/endless", endless), small());
    let mut client = server.connect().await;
    client.send("GET /endless HTTP/1.1\r\nHost: test\r\n\r\n").await;
    // The sender is in the router too, which lives as long as the server.
    let begun = Instant::now();
    soon("the cut", client.stream.readable()).await.expect("an answer begins");
    server.drain.begin.cancel();
    server.drain.close.cancel();
    let drained = server.ended().await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(drained.abandoned.is_empty(), "it was the client's fault: {drained:?}");
    assert!(ended.recv().await.is_none());
}

#[tokio::test]
async fn connections_beyond_the_cap_wait() {
    let server = Running::start(app(), Limits { connections: 1, ..Limits::default() });
    let first = kept(&server).await;
    let mut second = server.connect().await;
    second.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    drop(first);
    assert_eq!(second.reply().await.status, 200);
}

// ---- the end ----------------------------------------------------------------------------------

#[tokio::test]
async fn a_drain_that_begins_is_announced_with_the_door_open() {
    let server = Running::start(app(), Limits::default());
    let mut kept_before = kept(&server).await;
    server.drain.begin.cancel();
    let mut fresh = soon("the announcement", async {
        loop {
            let mut fresh = server.connect().await;
            if fresh.get("/").await.closes() {
                break fresh;
            }
        }
    })
    .await;
    fresh.ends().await;
    let reply = kept_before.get("/").await;
    assert_eq!((reply.status, reply.closes()), (200, true));
    kept_before.ends().await;

    server.drain.close.cancel();
    let address = server.address;
    assert!(server.ended().await.is_clean());
    assert!(TcpStream::connect(address).await.is_err(), "the door is closed");
}

#[tokio::test]
async fn what_is_in_flight_finishes() {
    let gate = Gate::default();
    let handler = gate.clone();
    let server = Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
    let mut client = server.connect().await;
    client.send("GET /gate HTTP/1.1\r\nHost: test\r\n\r\n").await;
    gate.entered.notified().await;
    server.drain.begin.cancel();
    server.drain.close.cancel();
    soon("the door to close", async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open.notify_one();
    let reply = client.reply().await;
    assert_eq!((reply.text(), reply.closes()), ("passed", true));
    client.ends().await;
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn an_idle_connection_still_gets_an_answer_after_the_door_closed() {
    let limits = Limits { drain_linger: Duration::from_secs(60), ..Limits::default() };
    let server = Running::start(app(), limits);
    let mut client = kept(&server).await;
    server.drain.begin.cancel();
    server.drain.close.cancel();
    soon("the door to close", async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let reply = client.get("/").await;
    assert_eq!((reply.status, reply.closes()), (200, true));
    client.ends().await;
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end() {
    let server = Running::start(app(), Limits { drain_linger: Duration::from_millis(100), ..Limits::default() });
    let mut idle = kept(&server).await;
    let mut silent = server.connect().await;
    server.drain.begin.cancel();
    server.drain.close.cancel();
    idle.ends().await;
    silent.ends().await;
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn nothing_holds_the_end_beyond_the_deadline() {
    let gate = Gate::default();
    let handler = gate.clone();
    let router = app()
        .route("/gate", get(async move || handler.pass().await))
        .route("/numbers", get(async || Body::new(StreamBody::new(futures_util::stream::pending::<Frame>()))));
    // Nothing but the deadline ends these.
    let day = Duration::from_secs(86_400);
    let limits = Limits {
        header_timeout: day,
        idle_timeout: day,
        request_timeout: day,
        body_rate_grace: day,
        write_timeout: day,
        drain_linger: day,
        ..Limits::default()
    };
    let server = Running::start(router, limits);

    let mut half = kept(&server).await;
    half.send("GET /half HTT").await;
    let idle = kept(&server).await;
    let mut slow = kept(&server).await;
    slow.send("POST /echo?secret=1 HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc").await;
    let mut stalled = kept(&server).await;
    stalled.send("GET /large HTTP/1.1\r\nHost: test\r\n\r\n").await;
    soon("the large answer", stalled.stream.readable()).await.expect("begins");
    let mut stream = kept(&server).await;
    stream.send("GET /numbers HTTP/1.1\r\nHost: test\r\n\r\n").await;
    soon("the stream", stream.stream.readable()).await.expect("begins");
    let mut working = kept(&server).await;
    working.send("GET /gate HTTP/1.1\r\nHost: test\r\n\r\n").await;
    gate.entered.notified().await;

    server.drain.begin.cancel();
    server.drain.close.cancel();
    server.drain.abort.cancel();
    let begun = Instant::now();
    let mut drained = server.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    drained.abandoned.sort_by(|one, other| one.path.cmp(&other.path));
    let abandoned = |method: Method, path: &str| Abandoned { method, path: path.to_owned() };
    assert_eq!(drained.stuck, 0);
    assert_eq!(drained.unsent, 1, "the large answer was handed over, but not taken");
    assert_eq!(
        drained.abandoned,
        [
            abandoned(Method::POST, "/echo"),
            abandoned(Method::GET, "/gate"),
            abandoned(Method::GET, "/numbers"),
        ]
    );
    drop((half, idle, slow, stalled, stream, working));
}

#[tokio::test]
async fn the_backlog_is_served_before_the_door_closes() {
    let server = bind(Limits::default());
    let address = server.local_addr();
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(address).await;
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
        clients.push(client);
    }
    let drain = Drain::new();
    drain.begin.cancel();
    drain.close.cancel();
    let server = Running::serve(server, app(), drain);
    for mut client in clients {
        let reply = client.reply().await;
        assert_eq!((reply.text(), reply.closes()), ("hello", true));
        client.ends().await;
    }
    assert!(server.ended().await.is_clean());
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_nobody_behind() {
    let server = Running::start(app(), Limits::default());
    let mut client = kept(&server).await;
    client.send("GET /forever HTTP/1.1\r\nHost: test\r\n\r\n").await;
    server.kill();
    assert!(client.next_reply(true).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_does_not_hold_the_end() {
    let (entered, mut inside) = mpsc::unbounded_channel();
    let (release, released) = std::sync::mpsc::channel::<Infallible>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let blocking = get(async move || {
        entered.send(()).expect("the test waits");
        released.lock().expect("not poisoned").recv().err();
        "late"
    });
    let server = Running::start(Router::new().route("/block", blocking), Limits::default());
    let mut client = server.connect().await;
    client.send("GET /block HTTP/1.1\r\nHost: test\r\n\r\n").await;
    soon("the handler", inside.recv()).await.expect("entered");
    server.drain.abort.cancel();
    let drained = server.ended().await;
    assert_eq!((drained.stuck, drained.is_clean()), (1, false));
    drop(release);
}

// ---- HTTP/2 -----------------------------------------------------------------------------------

type H2 = h2::client::SendRequest<Bytes>;
type Frame = Result<http_body::Frame<Bytes>, Infallible>;

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
    let server = Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
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
    let server = Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
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
        let Ok((answer, _)) = client.send_request(h2_get("/counted"), true) else { break };
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
    let server = Running::start(app(), Limits { write_timeout: Duration::from_millis(300), ..Limits::default() });
    let (mut client, connection) = h2(&server).await;
    let (answer, _) = client.send_request(h2_get("/large"), true).expect("sent");
    let reply = soon("the head", answer).await.expect("an answer");
    // The window is soon full and nobody makes room, though the connection as such is alive.
    soon("the cut", connection).await.expect("no panic").ok();
    let mut body = reply.into_body();
    soon("the failure", async { while let Some(Ok(_)) = body.data().await {} }).await;
}
