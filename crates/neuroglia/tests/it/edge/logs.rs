//! What the log says of a request, and what it keeps to itself.

use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get as on_get;
use http::StatusCode;
use neuroglia::error::Error;
use neuroglia::telemetry::{LineSink, Telemetry, TelemetryOptions};
use neuroglia::web::edge::noting_route;
use neuroglia::web::{EdgeSettings, Reply};
use serde_json::Value;
use tower::ServiceExt;
use tracing::dispatcher::DefaultGuard;

use super::{ask, edge_with, from_peer, request};

/// What was logged.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl LineSink for Lines {
    fn write_line(&self, line: &[u8]) {
        self.0.lock().expect("not poisoned").extend_from_slice(line);
    }
}

impl Lines {
    /// Takes what this thread logs at this level, until the guard is dropped.
    pub(super) fn listen(&self, level: &str) -> DefaultGuard {
        let options = TelemetryOptions { directives: level.to_owned(), ..TelemetryOptions::default() };
        let dispatch = Telemetry::subscriber(&options, self.clone()).expect("directives");
        tracing::dispatcher::set_default(&dispatch)
    }

    pub(super) fn read(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// Sends a request to a small application that logs at this level, and gives back the lines.
async fn logged(level: &str, settings: EdgeSettings, target: &str) -> Vec<Value> {
    let lines = Lines::default();
    let guard = lines.listen(level);
    let router = Router::new()
        .route(
            "/orders/{id}",
            on_get(async || {
                tracing::info!("inside");
                "hello"
            }),
        )
        .route("/internal", on_get(async || Err::<(), _>(Error::internal("the disk is full")).reply()))
        .route("/away", on_get(async || Err::<(), _>(Error::unavailable("connection refused")).reply()))
        .route(
            "/full",
            on_get(async || Err::<(), _>(Error::conflict("oven.full", "no room for Ada")).reply()),
        )
        .route("/teapot", on_get(async || StatusCode::IM_A_TEAPOT))
        .route("/panic", on_get(async || -> &'static str { panic!("on purpose") }))
        .route("/health/live", on_get(async || "alive"))
        .route("/forever", on_get(async || pending::<&'static str>().await));
    let edge = edge_with(noting_route(router), settings);
    let headers = [
        ("x-request-id", "7c2f"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("user-agent", "curl/8 hunter2"),
        ("authorization", "Bearer hunter2"),
    ];
    let request = from_peer(request("GET", target, &headers, "hunter2"), "203.0.113.1");
    if target == "/forever" {
        let mut answer = edge.oneshot(request);
        assert!(futures_util::poll!(&mut answer).is_pending());
    } else {
        ask(&edge, request).await;
    }
    drop(guard);
    lines.read()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().expect("a message")).collect()
}

#[tokio::test]
async fn a_request_is_one_line_with_its_ids() {
    let lines = logged("info", EdgeSettings::default(), "/orders/7?token=hunter2").await;
    assert_eq!(messages(&lines), ["inside", "request completed"]);
    for line in &lines {
        assert_eq!(
            (&line["request.id"], &line["trace.id"]),
            (&"7c2f".into(), &"0af7651916cd43dd8448eb211c80319c".into())
        );
    }
    let line = &lines[1];
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["http.method"], "GET");
    assert_eq!(line["http.route"], "/orders/{id}");
    assert_eq!(line["http.status"], 200);
    assert_eq!(line["client.address"], "203.0.113.1");
    assert!(
        line["duration_ms"].as_f64().is_some_and(|duration| (0.0..60_000.0).contains(&duration)),
        "{line}"
    );
    let text = format!("{lines:?}");
    assert!(!text.contains("hunter2") && !text.contains("/orders/7"), "{text}");
}

#[tokio::test]
async fn the_query_and_the_user_agent_are_shown_on_demand() {
    let settings = EdgeSettings { log_query: true, log_user_agent: true, ..EdgeSettings::default() };
    let lines = logged("info", settings, "/orders/7?token=hunter2").await;
    assert_eq!(
        (&lines[1]["http.query"], &lines[1]["http.user_agent"]),
        (&"token=hunter2".into(), &"curl/8 hunter2".into())
    );
}

#[tokio::test]
async fn the_path_is_shown_on_demand() {
    for target in ["/orders/7?token=hunter2", "/nowhere/7?token=hunter2", "/forever"] {
        let path = target.split('?').next().expect("there is one");
        let lines = logged("debug", EdgeSettings { log_path: true, ..EdgeSettings::default() }, target).await;
        let ends = [lines.first(), lines.last()].map(|line| &line.expect("a line")["url.path"]);
        assert_eq!(ends, [path, path]);
        assert!(!format!("{lines:?}").contains("hunter2"), "{lines:?}");
        let lines = logged("debug", EdgeSettings::default(), target).await;
        assert!(lines.iter().all(|line| line["url.path"].is_null()), "{lines:?}");
    }
}

#[tokio::test]
async fn what_was_refused_is_logged_with_the_code_that_the_client_got() {
    for (target, status, code) in [
        ("/full", 409, "oven.full"),
        ("/teapot", 418, "http.im_a_teapot"),
        ("/nowhere", 404, "route.not_found"),
        ("/internal", 500, "internal"),
        ("/away", 503, "service.unavailable"),
        ("/panic", 500, "internal"),
    ] {
        let lines = logged("info", EdgeSettings::default(), target).await;
        let last = lines.last().expect("a line");
        assert_eq!(last["message"], "request completed", "{target}");
        assert_eq!((&last["http.status"], &last["error.code"]), (&status.into(), &code.into()), "{target}");
        assert!(!last.to_string().contains("Ada"), "what is told to people may be about them: {last}");
    }
    let lines = logged("info", EdgeSettings::default(), "/orders/7").await;
    assert_eq!(lines[1]["error.code"], Value::Null);
}

#[tokio::test]
async fn the_beginning_is_for_who_debugs() {
    let lines = logged("debug", EdgeSettings::default(), "/nowhere").await;
    assert_eq!(messages(&lines), ["request started", "request completed"]);
    assert_eq!((&lines[1]["http.status"], &lines[1]["http.route"]), (&404.into(), &Value::Null));
    assert!(logged("off", EdgeSettings::default(), "/panic").await.is_empty());
}

#[tokio::test]
async fn what_probes_ask_is_no_news() {
    assert!(logged("info", EdgeSettings::default(), "/health/live").await.is_empty());
    let lines = logged("debug", EdgeSettings::default(), "/health/live").await;
    assert_eq!(messages(&lines), ["request started", "request completed"]);
    assert_eq!((&lines[1]["level"], &lines[1]["http.route"]), (&"DEBUG".into(), &"/health/live".into()));
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_cause_and_the_ids() {
    for (target, level, cause) in
        [("/internal", "ERROR", "the disk is full"), ("/away", "WARN", "connection refused")]
    {
        let lines = logged("warn", EdgeSettings::default(), target).await;
        assert_eq!(messages(&lines), ["request failed"], "{target}");
        assert_eq!((&lines[0]["level"], &lines[0]["request.id"]), (&level.into(), &"7c2f".into()));
        assert!(lines[0]["error"].as_str().is_some_and(|error| error.ends_with(cause)), "{}", lines[0]);
    }
}

#[tokio::test]
async fn a_panic_still_ends_the_request() {
    let lines = logged("info", EdgeSettings::default(), "/panic").await;
    let last = lines.last().expect("a line");
    assert_eq!((&last["message"], &last["http.status"]), (&"request completed".into(), &500.into()));
}

#[tokio::test]
async fn a_client_that_goes_away_is_told() {
    let lines = logged("info", EdgeSettings::default(), "/forever").await;
    assert_eq!(messages(&lines), ["request cancelled"]);
    assert_eq!((&lines[0]["http.route"], &lines[0]["request.id"]), (&"/forever".into(), &"7c2f".into()));
}
