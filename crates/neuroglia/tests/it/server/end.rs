//! The three moments of a drain, and what they must not lose.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use http::Method;
use http_body_util::StreamBody;
use neuroglia::web::server::{Abandoned, Drain, Limits};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::wire::{Client, Running, bind, soon};
use super::{Gate, app, kept};

type Frame = Result<http_body::Frame<Bytes>, Infallible>;

#[tokio::test]
async fn a_drain_that_begins_is_announced_with_the_door_open() {
    let server = Running::start(app(), Limits::default());
    let mut kept_before = kept(&server).await;
    server.drain.begin.cancel();
    let fresh = soon("the announcement", async {
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
    let server =
        Running::start(app().route("/gate", get(async move || handler.pass().await)), Limits::default());
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
    let server =
        Running::start(app(), Limits { drain_linger: Duration::from_millis(100), ..Limits::default() });
    let idle = kept(&server).await;
    let silent = server.connect().await;
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
    let router = app().route("/gate", get(async move || handler.pass().await)).route(
        "/numbers",
        get(async || Body::new(StreamBody::new(futures_util::stream::pending::<Frame>()))),
    );
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request_of_a_kept_connection() {
    for _ in 0..5 {
        let server = Running::start(app(), Limits::default());
        let (address, answered) = (server.address, Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let answered = Arc::clone(&answered);
            clients.spawn(async move {
                // A new connection each time that the server asks for one, until it takes none.
                while let Ok(stream) = TcpStream::connect(address).await {
                    let mut client = Client::over(stream);
                    // The kernel may let in one more while the listener closes; it has seen no answer.
                    let Some(mut reply) = client.try_get("/").await else { break };
                    while !reply.closes() {
                        answered.fetch_add(1, Ordering::Relaxed);
                        reply = client.try_get("/").await.expect("no request on a kept connection is lost");
                    }
                    client.ends().await;
                }
            });
        }
        soon("some load", async {
            while answered.load(Ordering::Relaxed) < 200 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server.drain.begin.cancel();
        server.drain.close.cancel();
        soon("the clients", async {
            while let Some(client) = clients.join_next().await {
                client.expect("no request is lost");
            }
        })
        .await;
        assert!(server.ended().await.is_clean());
    }
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
    let named: Vec<_> = drained.abandoned.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(named, ["/block"], "who blocks is named although he does not notice the deadline");
    drop(release);
}
