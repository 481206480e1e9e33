//! Each limit, crossed.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use http_body_util::StreamBody;
use neuroglia::web::server::{BodyLimit, Limits};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::super::wire::{Client, Running, soon};
use super::{app, kept, small};

#[tokio::test]
async fn a_long_request_line_is_414() {
    let server = Running::start(app(), small());
    // Just too long, longer than hyper takes, and longer than that without an end.
    for (length, end) in
        [(128, " HTTP/1.1\r\nHost: test\r\n\r\n"), (70_000, " HTTP/1.1\r\n\r\n"), (8_000, "")]
    {
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
    let silent = server.connect().await;
    let mut fresh = server.connect().await;
    fresh.send("GET / HT").await;
    let mut preface = server.connect().await;
    preface.send("PRI * HT").await;
    let mut second = kept(&server).await;
    second.send("GET / HTTP/1.1\r\nHost:").await;
    for mut client in [fresh, preface, second] {
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (408, true));
        assert_eq!(reply.problem_code(), "request.head_timeout");
        client.ends().await;
    }
    silent.ends().await;
}

#[tokio::test]
async fn half_a_head_behind_a_request_is_408_too() {
    const HALF: &str = "GET / HTTP/1.1\r\nHost:";
    let limits = Limits { idle_timeout: Duration::from_secs(86_400), ..small() };
    let server = Running::start(app(), Limits { body_rate_grace: Duration::from_secs(60), ..limits });
    let get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let sized = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\na\n\r\nbc";
    let chunked =
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for whole in [get.to_owned(), sized.to_owned(), chunked.to_owned(), get.repeat(3)] {
        let mut client = server.connect().await;
        client.send(format!("{whole}{HALF}")).await;
        for _ in 0..whole.matches("HTTP/1.1").count() {
            assert_eq!(client.reply().await.status, 200, "{whole}");
        }
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.problem_code().as_str()), (408, "request.head_timeout"), "{whole}");
        client.ends().await;
    }
    // Half a head while the one before it is still being answered, or within the same read as the end of its body.
    for rest in [&sized[sized.len() - 3..], "c"] {
        let (head, rest) = sized.split_at(sized.len() - rest.len());
        let mut client = server.connect().await;
        client.send(head).await;
        client.send(format!("{rest}{HALF}")).await;
        assert_eq!(client.reply().await.status, 200);
        assert_eq!(client.reply().await.status, 408, "{rest:?}");
    }
}

#[tokio::test]
async fn a_request_that_leaves_nothing_over_leaves_an_idle_connection() {
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = Running::start(app(), Limits { idle_timeout: Duration::from_millis(400), ..limits });
    for whole in [
        "GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET / HTTP/1.1\nHost: test\n\n",
        "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        let begun = Instant::now();
        // Whole, and with a last byte that comes alone.
        let (most, last) = whole.split_at(whole.len() - 1);
        client.send(whole).await;
        client.send(most).await;
        assert_eq!(client.reply().await.status, 200, "{whole}");
        client.send(last).await;
        assert_eq!(client.reply().await.status, 200, "{whole}");
        client.ends().await;
        assert!(begun.elapsed() >= Duration::from_millis(400), "{whole}");
    }
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
    let client = kept(&server).await;
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
async fn who_must_not_simply_ask_again_is_told_so() {
    let server = Running::start(app(), small());
    for (head, code) in [
        ("POST /forever HTTP/1.1\r\nHost: test\r\n", "request.outcome_unknown"),
        ("POST /forever HTTP/1.1\r\nHost: test\r\nIdempotency-Key: 7\r\n", "request.timeout"),
        ("PUT /forever HTTP/1.1\r\nHost: test\r\n", "request.timeout"),
    ] {
        let mut client = server.connect().await;
        client.send(format!("{head}Content-Length: 0\r\n\r\n")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.problem_code()), (503, code.into()), "{head}");
    }
}

#[tokio::test]
async fn a_body_that_is_still_coming_when_time_is_up_is_408() {
    let server = Running::start(app(), Limits { body_rate: 0, ..small() });
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 900\r\n\r\nabc").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.closes()), (408, true), "the server could not have done better");
    assert_eq!(reply.problem_code(), "request.body_timeout");
    client.ends().await;
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
        client.send(format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")).await;
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
    let reply = client.reply().await;
    assert_eq!((reply.text(), reply.closes()), ("not read", true));
    client.ends().await;
}

#[tokio::test]
async fn an_answer_says_whether_the_connection_outlives_the_body() {
    let server = Running::start(app(), Limits::default());
    let sized = "POST /ignore HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n";
    let chunked = "POST /ignore HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let awaited = "POST /ignore HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    for (head, body, closes) in [
        (sized, "abc", false),
        (sized, "ab", true),
        (sized, "", true),
        (chunked, "3\r\nabc\r\n", true),
        (awaited, "", true),
    ] {
        let mut client = server.connect().await;
        client.send(format!("{head}{body}")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.closes()), (200, closes), "{head}{body}");
        if closes {
            client.ends().await;
        } else {
            assert_eq!(client.get("/").await.status, 200, "{head}{body}");
        }
    }
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

#[tokio::test]
async fn an_idle_connection_makes_room_for_one_that_waits() {
    let server = Running::start(app(), Limits { connections: 1, ..Limits::default() });
    let idle = kept(&server).await;
    let mut waiting = server.connect().await;
    waiting.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_eq!(waiting.reply().await.status, 200, "long before `idle_timeout`");
    idle.ends().await;
}
