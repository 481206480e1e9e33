//! The surface for operators, on a port of its own: metrics, and health with every detail.
//!
//! It is bound to a loopback address unless told otherwise. There it needs no token, but a web page that somebody on
//! the machine opens could reach it too, by a name that resolves to that address; so the `Host` of a request must be
//! a name of the loopback. On any other address each request must carry the admin token; a token that is set is
//! required on the loopback as well.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, Response, StatusCode, header};
use neuroglia_core::error::Error;
use ring::hmac;

use crate::auth::bearer;
use crate::health::Health;
use crate::host_settings::AdminSettings;
use crate::metrics::Metrics;
use crate::web::Problem;

/// `/metrics` and `/health…` for operators. Whoever may not use the surface does not learn what is there.
pub(crate) fn router(health: &Health, metrics: &Metrics, settings: &AdminSettings) -> Router {
    let metrics = metrics.clone();
    health
        .detailed_router()
        .route("/metrics", get(move || async move { exposition(&metrics) }))
        .layer(from_fn_with_state(Arc::new(Guard::new(settings)), guard))
}

fn exposition(metrics: &Metrics) -> Response<Body> {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(Metrics::CONTENT_TYPE));
    let cache_control = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([content_type, cache_control], metrics.expose()).into_response()
}

/// Who may use the surface.
struct Guard {
    loopback: bool,
    /// The token, as the key that only it is.
    token: Option<hmac::Key>,
}

async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response<Body> {
    if guard.loopback && !host(&request).is_some_and(is_loopback_name) {
        let detail = "this host is not served here";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "admin.host", detail).into_response()
    } else if !guard.admits_token(request.headers().get(header::AUTHORIZATION)) {
        Problem::from(Error::unauthenticated()).into_response()
    } else {
        next.run(request).await
    }
}

impl Guard {
    fn new(settings: &AdminSettings) -> Self {
        let token = settings.token.as_ref();
        Self {
            loopback: settings.host.is_loopback(),
            token: token.map(|token| hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes())),
        }
    }

    fn admits_token(&self, authorization: Option<&HeaderValue>) -> bool {
        // The settings want a token off the loopback; without one, nobody is admitted there.
        let Some(expected) = &self.token else { return self.loopback };
        let given =
            authorization.and_then(bearer).map(|token| hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()));
        // Two keys are the same when they sign alike; comparing signatures takes the same time wherever they differ.
        given.is_some_and(|given| {
            hmac::verify(expected, b"admin", hmac::sign(&given, b"admin").as_ref()).is_ok()
        })
    }
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name that a request is for, without its port.
fn host(request: &Request) -> Option<&str> {
    let from_uri = request.uri().host();
    let from_header = || request.headers().get(header::HOST)?.to_str().ok();
    from_uri.or_else(from_header).map(without_port)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use http_body_util::BodyExt;
    use neuroglia_core::clock::Clock;
    use neuroglia_core::error::Result;
    use neuroglia_core::id::Ids;
    use neuroglia_core::settings::Secret;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::health::{Details, Indicator};
    use crate::web::edge::{Edge, EdgeSettings, noting_route};

    const TOKEN: &str = "kR2vX9mQ4tB7wZ1n";

    struct Away;

    #[async_trait]
    impl Indicator for Away {
        fn name(&self) -> &str {
            "orders-db"
        }

        fn kind(&self) -> &str {
            "sqlite"
        }

        async fn check(&self) -> Result<Details> {
            Err(Error::unavailable("sqlite:///secret/place is away"))
        }
    }

    fn surface(host: &str, token: Option<&str>) -> (Health, Edge) {
        let health = Health::new(Arc::new(Clock::system()));
        let metrics = Metrics::new("pizzeria", "1.4.0", None);
        metrics.request(&http::Method::GET, Some("/pizzas"), StatusCode::OK, Duration::ZERO);
        let settings = AdminSettings {
            port: Some(0),
            host: host.parse().expect("an address"),
            token: token.map(|token| Secret::new(token.to_owned())),
        };
        let router = noting_route(router(&health, &metrics, &settings));
        health.ready();
        (health, Edge::new(router, EdgeSettings::default(), &Ids::random(), &Clock::system()))
    }

    async fn ask(
        edge: &Edge,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Response<Body>, String) {
        let request =
            headers.iter().fold(Request::builder().method(method).uri(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let request = request.body(Body::empty()).expect("a request");
        let (parts, body) = edge.clone().oneshot(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(body.to_vec()).expect("text");
        if parts.status.is_client_error() || parts.status.is_server_error() {
            assert_eq!(parts.headers[header::CONTENT_TYPE], "application/problem+json", "{method} {path}");
            let problem: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(problem["status"], parts.status.as_u16());
        }
        assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        (Response::from_parts(parts, Body::empty()), text)
    }

    const LOCAL: &[(&str, &str)] = &[("host", "localhost:9100")];

    #[tokio::test]
    async fn operators_read_metrics_and_every_check() {
        let (health, edge) = surface("127.0.0.1", None);
        let (response, text) = ask(&edge, "GET", "/metrics", LOCAL).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], Metrics::CONTENT_TYPE);
        assert!(text.contains("route=\"/pizzas\"") && text.ends_with("# EOF\n"));

        let (response, text) = ask(&edge, "GET", "/health", LOCAL).await;
        assert_eq!(response.status(), StatusCode::OK, "{text}");

        health.add(Away);
        tokio::time::pause();
        tokio::time::advance(Health::CACHE_AGE_MAX).await;
        let (response, text) = ask(&edge, "GET", "/health/ready", LOCAL).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem: Value = serde_json::from_str(&text).expect("JSON");
        let check = &problem["checks"][0];
        assert_eq!(
            (&check["name"], &check["kind"], &check["up"]),
            (&json!("orders-db"), &json!("sqlite"), &json!(false))
        );
        assert_eq!(check["error"], "service.unavailable");
        assert!(check["latency_ms"].is_number());
        assert!(!text.contains("secret"), "the cause is for the log");
    }

    #[tokio::test]
    async fn everything_else_is_a_problem() {
        let (_, edge) = surface("127.0.0.1", None);
        for path in ["/", "/admin", "/metrics/", "/shutdown", "/health/", "/debug/heap"] {
            assert_eq!(ask(&edge, "GET", path, LOCAL).await.0.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["/metrics", "/health", "/health/ready"] {
            let (response, _) = ask(&edge, "POST", path, LOCAL).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
        }
    }

    #[tokio::test]
    async fn on_the_loopback_a_page_from_elsewhere_has_no_way_in() {
        let (_, edge) = surface("::1", None);
        for host in ["localhost", "127.0.0.1:9100", "[::1]:9100"] {
            assert_eq!(
                ask(&edge, "GET", "/metrics", &[("host", host)]).await.0.status(),
                StatusCode::OK,
                "{host}"
            );
        }
        for headers in [&[("host", "rebound.example:9100")][..], &[("host", "192.168.0.7")], &[]] {
            let (response, text) = ask(&edge, "GET", "/metrics", headers).await;
            assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{headers:?}");
            assert!(!text.contains("pizzas"));
        }
        let (response, _) = ask(&edge, "GET", "http://rebound.example/metrics", LOCAL).await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn where_there_is_a_token_it_is_required() {
        let bearer = format!("Bearer {TOKEN}");
        for address in ["0.0.0.0", "127.0.0.1"] {
            let (_, edge) = surface(address, Some(TOKEN));
            let with = async |value: &str| {
                ask(&edge, "GET", "/metrics", &[("host", "localhost"), ("authorization", value)]).await.0
            };
            assert_eq!(with(&bearer).await.status(), StatusCode::OK);
            for wrong in
                [TOKEN, "Bearer", "Bearer x", &format!("{bearer}x"), &format!("Basic {TOKEN}"), &bearer[..22]]
            {
                let refused = with(wrong).await;
                assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{wrong}");
                assert_eq!(refused.headers()[header::WWW_AUTHENTICATE], "Bearer");
            }
            for path in ["/metrics", "/health", "/health/live", "/nothing"] {
                let refused = ask(&edge, "GET", path, LOCAL).await.0;
                assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn without_a_token_nobody_is_admitted_from_the_network() {
        let (_, edge) = surface("0.0.0.0", None);
        let headers = [("host", "localhost"), ("authorization", "Bearer ")];
        assert_eq!(ask(&edge, "GET", "/metrics", &headers).await.0.status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_host_has_its_port_taken_off() {
        let table = [
            ("localhost:9100", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:9100", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:1", "127.0.0.1"),
        ];
        for (authority, name) in table {
            assert_eq!(without_port(authority), name);
        }
    }

    #[test]
    fn only_loopback_names_are_admitted() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["evil.example", "10.0.0.1", "localhost.evil.example", "0.0.0.0", ""] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
