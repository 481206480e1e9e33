//! Malformed requests: every one is answered with a problem document or closed, and none of them
//! costs the next client anything.
//!
//! Many of these shapes are known from request smuggling: two parties on the way read the same bytes
//! as different requests. What matters for those is that the server never sees a second request where
//! another reader sees a body; so the table names each answer that comes, in order.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use neuroglia::web::server::Limits;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::wire::Running;

/// What is sent, and the statuses that come back before the connection ends.
type Case = (&'static str, &'static [u8], &'static [u16]);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // The request line.
    ("no request at all", b"nonsense\r\n\r\n", &[400]),
    ("only line ends", b"\r\n\r\n\r\n", &[408]),
    ("line ends before a request", b"\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a method and nothing else", b"GET\r\n\r\n", &[400]),
    ("HTTP/0.9", b"GET /\r\n\r\n", &[400]),
    ("no target", b"GET  HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a tab for a space", b"GET\t/\tHTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a leading space", b" GET / HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a control character in the target", b"GET /\x01 HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("NUL in the target", b"GET /\0 HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a target that is no path", b"GET nowhere HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a broken absolute target", b"GET http:// HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("an asterisk for GET", b"GET * HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a port out of range", b"GET http://t:99999999/ HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a path that climbs", b"GET /../../etc/passwd HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("an escaped path that climbs", b"GET /%2e%2e%2f%00 HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("a broken escape", b"GET /%zz HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("an absurd method", b"BREW / HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("a method in lower case", b"get / HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("a method with a comma", b"GET, / HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a method with NUL", b"G\0T / HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("a method that is not ASCII", b"G\xc3\x89T / HTTP/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("CONNECT to a host", b"CONNECT t:443 HTTP/1.1\r\nHost: t\r\n\r\n", &[404]),
    ("CONNECT to a path", b"CONNECT / HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: t\r\n\r\n", &[405]),
    // Versions.
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: t\r\n\r\n", &[400]),
    ("HTTP/2.0 in the line", b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", &[400]),
    ("HTTP/9", b"GET / HTTP/9\r\nHost: t\r\n\r\n", &[400]),
    ("a version in lower case", b"GET / http/1.1\r\nHost: t\r\n\r\n", &[400]),
    ("another protocol", b"GET / RTSP/1.0\r\nHost: t\r\n\r\n", &[400]),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400]),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.9\r\n", &[400]),
    ("a broken HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &[400]),
    ("a late HTTP/2 preface", b"GET / HTTP/1.1\r\nHost: t\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[200]),
    ("HTTP/2 that sends no settings", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n", &[]),
    ("an HTTP/2 frame too large", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x04\0\0\0\0\0", &[]),
    // Line ends and folding.
    ("bare line feeds", b"GET / HTTP/1.1\nHost: t\n\n", &[200]),
    ("bare carriage returns", b"GET / HTTP/1.1\rHost: t\r\r", &[400]),
    ("a bare carriage return in a value", b"GET / HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n", &[400]),
    ("a folded field", b"GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n", &[400]),
    ("a folded first field", b"GET / HTTP/1.1\r\n Host: t\r\n\r\n", &[400]),
    // Header fields.
    ("a field without a colon", b"GET / HTTP/1.1\r\nHost: t\r\nX\r\n\r\n", &[400]),
    ("a field without a name", b"GET / HTTP/1.1\r\nHost: t\r\n: x\r\n\r\n", &[400]),
    ("a space before the colon", b"GET / HTTP/1.1\r\nHost: t\r\nX : y\r\n\r\n", &[400]),
    ("a space in a name", b"GET / HTTP/1.1\r\nHost: t\r\nX Y: z\r\n\r\n", &[400]),
    ("NUL in a name", b"GET / HTTP/1.1\r\nHost: t\r\nX\0: y\r\n\r\n", &[400]),
    ("NUL in a value", b"GET / HTTP/1.1\r\nHost: t\r\nX: \0\r\n\r\n", &[400]),
    ("a control character in a value", b"GET / HTTP/1.1\r\nHost: t\r\nX: \x08\r\n\r\n", &[400]),
    ("DEL in a value", b"GET / HTTP/1.1\r\nHost: t\r\nX: \x7f\r\n\r\n", &[400]),
    ("a name that is not ASCII", b"GET / HTTP/1.1\r\nHost: t\r\n\xc3\xa9: y\r\n\r\n", &[400]),
    ("a value that is not ASCII", b"GET / HTTP/1.1\r\nHost: t\r\nX: \xff\xfe\r\n\r\n", &[200]),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", &[400]),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n", &[400]),
    ("half a head", b"GET / HTTP/1.1\r\nHost: t\r\n", &[408]),
    // The length of the body.
    ("two lengths", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", &[400]),
    ("a list of lengths", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3, 4\r\n\r\nabcd", &[400]),
    ("a negative length", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n", &[400]),
    ("a signed length", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: +3\r\n\r\nabc", &[400]),
    ("a length in hex", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 0x3\r\n\r\nabc", &[400]),
    ("a fractional length", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3.0\r\n\r\nabc", &[400]),
    ("an empty length", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\n", &[400]),
    ("a length beyond 64 bits", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999999999999\r\n\r\n", &[400]),
    ("a length that hyper reserves for itself", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 18446744073709551615\r\n\r\n", &[431]),
    ("a very large length", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9223372036854775807\r\n\r\n", &[413]),
    ("a length that is a word", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: many\r\n\r\n", &[400]),
    ("a body that does not come", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc", &[408]),
    // Two ways to say the length: the chunks count, and the connection ends.
    ("a length, then chunks", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("chunks, then a length", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("chunks over HTTP/1.0", b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("an unknown coding", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("chunked, but not last", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", &[400]),
    ("chunked and then another", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", &[400]),
    ("a coding with a vertical tab", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", &[400]),
    ("a coding with a space before its colon", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("an empty coding", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", &[400]),
    // Chunks.
    ("a chunk size that is none", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", &[400]),
    ("a negative chunk", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", &[400]),
    ("a chunk size with a prefix", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", &[400]),
    ("a chunk size beyond 64 bits", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", &[400]),
    ("an enormous chunk", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc", &[408]),
    ("a chunk with a wrong end", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n", &[400]),
    ("a chunk size ended by a line feed", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", &[400]),
    ("a line feed in a chunk extension", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n", &[400]),
    ("a chunk without a size", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", &[400]),
    ("chunks without an end", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", &[408]),
    ("a broken trailer", b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", &[400]),
    // What follows a request.
    ("rubbish after a body", b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabcrubbish\r\n\r\n", &[200, 400]),
    ("a request after an end", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n", &[200]),
    ("a strange expectation", b"POST /echo HTTP/1.1\r\nHost: t\r\nExpect: miracles\r\nContent-Length: 3\r\n\r\nabc", &[200]),
    ("an upgrade to nothing", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: \r\n\r\n", &[200]),
    ("an upgrade to h2c", b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", &[200]),
];

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: Bytes| body))
        .fallback(async || problem(http::StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || problem(http::StatusCode::METHOD_NOT_ALLOWED))
}

/// Stands for what the layers above the server do for their own refusals.
fn problem(status: http::StatusCode) -> http::Response<String> {
    let document = serde_json::json!({
        "type": "about:blank", "title": "", "status": status.as_u16(), "detail": "", "code": "routing",
    });
    http::Response::builder()
        .status(status)
        .header("content-type", "application/problem+json")
        .body(document.to_string())
        .expect("a response")
}

/// Sends one case, checks each answer, and returns the statuses.
async fn play(server: &Running, name: &str, bytes: &[u8]) -> Vec<u16> {
    let mut client = server.connect().await;
    // The server may refuse, and close, before it has everything.
    client.stream.write_all(bytes).await.ok();
    let mut statuses = Vec::new();
    if bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
        // It answers in frames, if at all; what counts is that it ends.
        client.drained().await;
        return statuses;
    }
    while let Some(reply) = client.next_reply(true).await {
        // A body that cannot be decoded is refused by axum's extractor, in plain text.
        if reply.status >= 400 && !reply.text().starts_with("Failed to") {
            assert!(!reply.problem_code().is_empty(), "{name}");
        }
        statuses.push(reply.status);
    }
    statuses
}

#[tokio::test]
async fn malformed_requests_are_refused_and_cost_nobody_else_anything() {
    assert!(CASES.len() >= 60);
    let short = Duration::from_millis(500);
    let limits = Limits {
        header_timeout: short,
        idle_timeout: short,
        body_rate_grace: short,
        body_rate: 1_000_000,
        ..Limits::default()
    };
    let server = std::sync::Arc::new(Running::start(app(), limits));
    let mut playing = JoinSet::new();
    for &(name, bytes, expected) in CASES {
        let server = std::sync::Arc::clone(&server);
        playing.spawn(async move {
            let statuses = play(&server, name, bytes).await;
            let mut next = server.connect().await;
            assert_eq!(next.get("/").await.text(), "hello", "after {name}");
            (statuses != expected).then(|| format!("{name}: {statuses:?} and not {expected:?}"))
        });
    }
    let mut surprises = Vec::new();
    while let Some(played) = playing.join_next().await {
        surprises.extend(played.expect("no panic"));
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}
