//! Layers around a whole application.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing;
use http::{HeaderValue, StatusCode};
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::settings::Environment;
use neuroglia::telemetry::{Capture, Telemetry, TelemetryOptions};
use neuroglia::web::{Json, Path, Policy, Web, controller};
use neuroglia::{App, Running};
use serde_json::Value;

use super::wire::Client;

#[derive(Inject)]
struct Pizzas {}

#[controller("/pizzas")]
impl Pizzas {
    /// Every pizza.
    #[get("", public)]
    async fn list(&self) -> Result<Json<&'static str>> {
        Ok(Json("all"))
    }

    /// One pizza.
    #[get("/{id}", public)]
    async fn show(&self, Path(id): Path<String>) -> Result<Json<String>> {
        Ok(Json(id))
    }
}

/// Answers by itself who is not welcome, and signs all other answers.
async fn doorman(request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-banned") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().append("x-layer", HeaderValue::from_static("doorman"));
    response
}

/// Signs after whoever is behind it.
async fn street(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().append("x-layer", HeaderValue::from_static("street"));
    response
}

fn web(web: Web) -> Web {
    web.controller::<Pizzas>().layer(from_fn(doorman)).layer(from_fn(street))
}

fn with_plain(web: Web) -> Web {
    let plain = Router::new().route("/whoami", routing::get(async || "a guest"));
    web.plain("/plain", Policy::Public, plain)
}

async fn start(app: App) -> (Running, Client) {
    let environment = Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]);
    let running = app.start(&environment).await.expect("it starts");
    let client = Client::connect(running.address()).await;
    (running, client)
}

#[tokio::test]
async fn they_are_around_controllers_and_plain_routers_and_not_the_host() {
    for app in [App::new("shop").web(web), App::new("shop").web(web).web(with_plain)] {
        let (running, mut client) = start(app).await;
        for (path, status, body) in
            [("/pizzas/7", 200, Some("\"7\"")), ("/pizzas", 200, Some("\"all\"")), ("/nowhere", 404, None)]
        {
            let reply = client.get(path).await;
            assert_eq!(reply.status, status, "{path}");
            assert!(body.is_none_or(|body| body == reply.text()), "{path}: {}", reply.text());
            let signs = reply.headers.iter().filter(|(name, _)| name == "x-layer");
            let signs: Vec<_> = signs.map(|(_, value)| value.as_str()).collect();
            assert_eq!(signs, ["doorman", "street"], "{path}");
        }
        for path in ["/health/live", "/openapi.json"] {
            let reply = client.get(path).await;
            assert_eq!((reply.status, reply.header("x-layer")), (200, None), "{path}");
        }
        running.stop().await;
    }

    let (running, mut client) = start(App::new("shop").web(web).web(with_plain)).await;
    let reply = client.get("/plain/whoami").await;
    assert_eq!((reply.text(), reply.header("x-layer")), ("a guest", Some("doorman")));
    running.stop().await;
}

#[tokio::test]
async fn they_are_around_what_the_host_does_not_answer_after_all() {
    let everything =
        |web: Web| web.plain("/", Policy::Public, Router::new().fallback(async || "from the application"));
    let environment =
        Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), ("HTTP_DOCS", "off")]);
    let app = App::<()>::new("shop").web(web).web(everything);
    let running = app.start(&environment).await.expect("it starts");
    let mut client = Client::connect(running.address()).await;
    let reply = client.get("/docs").await;
    assert_eq!((reply.text(), reply.header("x-layer")), ("from the application", Some("doorman")));
    assert_eq!(client.get("/health/live").await.header("x-layer"), None);
    running.stop().await;
}

#[tokio::test]
async fn a_preflight_is_the_edges_to_answer() {
    let (running, mut client) = start(App::new("shop").web(web)).await;
    let ask = "OPTIONS /pizzas/7 HTTP/1.1\r\nHost: shop\r\nOrigin: https://page.example\r\n\
               Access-Control-Request-Method: GET\r\nX-Banned: yes\r\n\r\n";
    client.send(ask).await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.header("x-layer")), (204, None));
    running.stop().await;
}

#[tokio::test]
async fn an_early_answer_has_the_form_of_every_answer() {
    let (running, mut client) = start(App::new("shop").web(web)).await;
    // What is first logged while nobody listens, by a test beside this one, may be taken for what nobody wants: it has
    // been logged before somebody listens here.
    assert_eq!(client.get("/pizzas").await.status, 200);
    let log = Capture::default();
    let dispatch = Telemetry::subscriber(&TelemetryOptions::default(), log.clone()).expect("directives");
    let listening = tracing::dispatcher::set_default(&dispatch);
    client.send("GET /pizzas/7 HTTP/1.1\r\nHost: shop\r\nX-Banned: yes\r\nX-Request-Id: 7c2f\r\n\r\n").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.header("x-layer")), (403, Some("street")));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-type", "application/problem+json"),
        ("x-request-id", "7c2f"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    running.stop().await;
    drop(listening);
    let lines: Vec<Value> =
        log.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let completed = lines.iter().find(|line| line["message"] == "request completed");
    let completed = completed.unwrap_or_else(|| panic!("it is not logged: {lines:?}"));
    assert_eq!(completed["http.status"], 403);
    assert_eq!(completed["error.code"], "auth.forbidden");
    assert_eq!(completed["request.id"], "7c2f");
}
