//! The edge behind the server: what the server refuses has the edge's form, ids and words.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use http::StatusCode;
use neuroglia::web::server::Limits;
use neuroglia::web::{Json, Reply as _, Tagged};
use serde_json::Value;

use super::edge;
use super::logs::Lines;
use crate::wire::{Reply, Running};

fn start() -> Running {
    let limits = Limits {
        request_line_bytes: 128,
        header_bytes: 1024,
        body_bytes: 100,
        request_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let router = Router::new()
        .route("/order", get(async || Tagged::by_version(3, Json("an order")).reply()))
        .route("/forever", get(async || pending::<&'static str>().await))
        .route("/json", post(async |Json(value): Json<Value>| Json(value)))
        .route(
            "/careless",
            post(async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| {
                body.map_or(StatusCode::IM_A_TEAPOT, |_| StatusCode::OK)
            }),
        )
        .route("/carefree", post(async |_: Result<Bytes, axum::extract::rejection::BytesRejection>| "fine"));
    Running::start(edge(router), limits)
}

/// Everything that a refusal of this request must have.
fn assert_refused(reply: &Reply, status: u16, code: &str, path: &str) {
    assert_eq!((reply.status, reply.problem_code().as_str()), (status, code), "{reply:?}");
    let problem: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(problem["instance"], path);
    assert_eq!(problem["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(reply.header("x-request-id"), Some("7c2f"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

const IDS: &str = "Host: test\r\nX-Request-Id: 7c2f\r\n\
                   Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_problem_with_ids() {
    let server = start();
    let mut client = server.connect().await;
    client.send(format!("GET /forever?secret HTTP/1.1\r\n{IDS}\r\n")).await;
    let reply = client.reply().await;
    assert_refused(&reply, 503, "request.timeout", "/forever");
    assert_eq!((reply.header("retry-after"), reply.closes()), (Some("1"), false));
    assert_eq!(client.get("/order").await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_refused_has_ids() {
    let server = start();
    let mut client = server.connect().await;
    client.send(format!("GET /order?{} HTTP/1.1\r\n{IDS}\r\n", "x".repeat(200))).await;
    assert_refused(&client.reply().await, 414, "request.uri_too_long", "/order");
    let mut client = server.connect().await;
    client.send(format!("GET /order HTTP/1.1\r\n{IDS}X-Large: {}\r\n\r\n", "x".repeat(1500))).await;
    assert_refused(&client.reply().await, 431, "request.headers_too_large", "/order");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_whatever_the_handler_makes_of_it() {
    let server = start();
    for path in ["/json", "/careless", "/carefree"] {
        let mut client = server.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\n{IDS}Content-Type: application/json\r\nContent-Length: 101\r\n\r\n"
        );
        client.send(format!("{head}\"{}\"", "x".repeat(99))).await;
        assert_refused(&client.reply().await, 413, "request.body_too_large", path);
    }
}

#[tokio::test]
async fn what_is_logged_is_what_was_answered() {
    let lines = Lines::default();
    let _listening = lines.listen("info");
    let server = start();
    let mut client = server.connect().await;
    let head = format!("POST /carefree HTTP/1.1\r\n{IDS}Content-Length: 101\r\n\r\n");
    client.send(format!("{head}{}", "x".repeat(101))).await;
    assert_refused(&client.reply().await, 413, "request.body_too_large", "/carefree");
    let completed = lines.read().into_iter().find(|line| line["message"] == "request completed");
    assert_eq!(completed.expect("a line")["http.status"], 413);
}

#[tokio::test]
async fn a_spared_answer_says_nothing_of_a_body() {
    let server = start();
    let mut client = server.connect().await;
    client.send(format!("GET /order HTTP/1.1\r\n{IDS}If-None-Match: \"3\"\r\n\r\n")).await;
    let reply = client.reply().await;
    assert_eq!(
        (reply.status, reply.header("etag"), reply.header("content-type")),
        (304, Some("\"3\""), None)
    );
    assert!(reply.header("content-length").is_none_or(|length| length != "0"), "{reply:?}");
    assert_eq!(client.get("/order").await.text(), "\"an order\"");
}
