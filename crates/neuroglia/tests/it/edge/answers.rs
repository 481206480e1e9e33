//! The form of answers: problems, headers, conditions, compression.

use std::io::Read;

use axum::Router;
use axum::body::Body;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get as on_get, post as on_post};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use neuroglia::data::Page;
use neuroglia::error::{Error, ErrorKind, Violation};
use neuroglia::web::{
    Accepted, Created, EdgeSettings, Json, NoContent, Problem, RateLimit, Reply, Tagged, edge::Arrival,
};
use serde_json::json;

use super::{ask, edge, edge_with, from_peer, get, post_json, request};

/// A handler that fails with this.
fn failing(error: fn() -> Error) -> axum::routing::MethodRouter {
    on_get(async move || Err::<(), Error>(error()).reply())
}

#[tokio::test]
async fn every_kind_of_error_is_a_problem() {
    type Case = (fn() -> Error, u16, &'static str);
    let table: [Case; 10] = [
        (|| Error::new(ErrorKind::Malformed, "cursor.invalid", "the cursor is none"), 400, "cursor.invalid"),
        (Error::unauthenticated, 401, "auth.required"),
        (Error::forbidden, 403, "auth.forbidden"),
        (|| Error::not_found("order", "o-1"), 404, "order.not_found"),
        (|| Error::conflict("order.wrong_state", "the order must be confirmed"), 409, "order.wrong_state"),
        (
            || Error::new(ErrorKind::PreconditionFailed, "version.mismatch", "it changed"),
            412,
            "version.mismatch",
        ),
        (|| Error::invalid("pizza.unknown", "there is no such pizza"), 422, "pizza.unknown"),
        (|| Error::new(ErrorKind::RateLimited, "rate.limited", "too many"), 429, "rate.limited"),
        (|| Error::internal("hunter2"), 500, "internal"),
        (|| Error::unavailable("hunter2"), 503, "service.unavailable"),
    ];
    for (error, status, code) in table {
        let edge = edge(Router::new().route("/orders/{id}", failing(error)));
        let answer = get(&edge, "/orders/7?token=hunter2", &[]).await;
        let problem = answer.problem(status, code);
        assert_eq!(problem["instance"], "/orders/7");
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"), "{problem}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
        assert_eq!(answer.header("retry-after"), matches!(status, 429 | 503).then_some("1"));
    }
}

#[tokio::test]
async fn violations_are_listed_with_their_places() {
    let error = || {
        Error::violations(vec![Violation {
            pointer: "/lines/0/quantity".to_owned(),
            code: "range".into(),
            detail: "must be between 1 and 20".into(),
        }])
    };
    let edge = edge(Router::new().route("/", failing(error)));
    let problem = get(&edge, "/", &[]).await.problem(422, "request.invalid");
    assert_eq!(
        problem["errors"],
        json!([{"pointer": "/lines/0/quantity", "code": "range", "detail": "must be between 1 and 20"}])
    );
    assert_eq!(problem["title"], "Unprocessable Content");
}

fn plain() -> Router {
    Router::new()
        .route("/", on_get(async || "hello"))
        .route("/json", on_post(async |axum::Json(_): axum::Json<u32>| "never"))
        .route("/gone", on_get(async || (StatusCode::GONE, "the handler's words")))
        .route(
            "/missing",
            on_get(async || StatusCode::NOT_FOUND).layer(tower::layer::layer_fn(|inner| inner)),
        )
        .route("/upstream", on_get(async || (StatusCode::BAD_GATEWAY, "10.1.2.3 refused, password hunter2")))
        .route(
            "/own",
            on_get(async || {
                let headers = [(header::CONTENT_TYPE, "application/problem+json")];
                (StatusCode::CONFLICT, headers, r#"{"title":"mine"}"#)
            }),
        )
        .route(
            "/own-500",
            on_get(async || {
                let headers = [(header::CONTENT_TYPE, "application/problem+json")];
                (StatusCode::INTERNAL_SERVER_ERROR, headers, r#"{"detail":"hunter2"}"#)
            }),
        )
        .route("/panic", on_get(async || -> &'static str { panic!("hunter2") }))
}

#[tokio::test]
async fn what_axum_and_plain_handlers_refuse_is_a_problem_too() {
    let edge = edge(neuroglia::web::edge::noting_route(plain()));
    get(&edge, "/nowhere", &[]).await.problem(404, "route.not_found");
    get(&edge, "/missing", &[]).await.problem(404, "resource.not_found");
    get(&edge, "/gone", &[]).await.problem(410, "http.gone");
    let refused = ask(&edge, request("DELETE", "/", &[], "")).await;
    refused.problem(405, "method.not_allowed");
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    ask(&edge, request("POST", "/json", &[], "1")).await.problem(415, "media_type.unsupported");
    for (target, status) in [("/upstream", 502), ("/own-500", 500), ("/panic", 500)] {
        let answer = get(&edge, target, &[]).await;
        let code = if status == 502 { "http.bad_gateway" } else { "internal" };
        let problem = answer.problem(status, code);
        assert_eq!(problem["detail"], "an internal error occurred");
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
    }
    let own = get(&edge, "/own", &[]).await;
    assert_eq!((own.status.as_u16(), own.json()), (409, json!({"title": "mine"})));
}

#[tokio::test]
async fn a_head_request_has_the_headers_of_a_get_and_no_body() {
    let edge = edge(plain());
    for target in ["/", "/nowhere", "/panic"] {
        let got = get(&edge, target, &[]).await;
        let head = ask(&edge, request("HEAD", target, &[], "")).await;
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{target}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{target}");
        assert_eq!(head.header("content-length"), Some(got.body.len().to_string().as_str()), "{target}");
    }
}

#[tokio::test]
async fn options_tells_the_methods() {
    let edge = edge(plain());
    let told = ask(&edge, request("OPTIONS", "/", &[], "")).await;
    assert_eq!(
        (told.status.as_u16(), told.header("allow"), told.body.len()),
        (204, Some("GET,HEAD,OPTIONS"), 0)
    );
    assert_eq!(ask(&edge, request("OPTIONS", "*", &[], "")).await.status, 204);
    ask(&edge, request("OPTIONS", "/nowhere", &[], "")).await.problem(404, "route.not_found");
}

#[tokio::test]
async fn every_answer_has_safe_headers() {
    let router = plain()
        .route("/page", on_get(async || Html("<p>hello</p>")))
        .route("/asset", on_get(async || ([(header::CACHE_CONTROL, "max-age=60")], "body { }")));
    let edge = edge(router);
    for target in ["/", "/nowhere", "/panic", "/page"] {
        let answer = get(&edge, target, &[]).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(answer.header("server"), None, "{target}");
        assert_eq!(answer.header("strict-transport-security"), None, "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{target}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy.is_some_and(|policy| policy.contains("default-src 'self'")), target == "/page");
    }
    assert_eq!(get(&edge, "/asset", &[]).await.header("cache-control"), Some("max-age=60"));
}

#[tokio::test]
async fn browsers_are_told_to_keep_to_https_when_a_trusted_proxy_says_so() {
    let settings = EdgeSettings {
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        ..EdgeSettings::default()
    };
    let edge = edge_with(plain(), settings);
    let https = &[("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.1")];
    let trusted = ask(&edge, from_peer(request("GET", "/", https, ""), "10.1.1.1")).await;
    assert_eq!(trusted.header("strict-transport-security"), Some("max-age=31536000"));
    let stranger = ask(&edge, from_peer(request("GET", "/", https, ""), "203.0.113.1")).await;
    assert_eq!(stranger.header("strict-transport-security"), None);
}

#[tokio::test]
async fn what_one_caller_keeps_is_not_what_another_gets() {
    let me = async |headers: HeaderMap| {
        let name = headers[header::AUTHORIZATION].to_str().expect("text").to_owned();
        Tagged::new(0, Json(name))
    };
    let edge = edge(Router::new().route("/me", on_get(me)));
    let ada = get(&edge, "/me", &[("authorization", "ada")]).await;
    let tag = ada.header("etag").expect("a tag");
    for (caller, status) in [("ada", 304), ("bob", 200)] {
        let again = get(&edge, "/me", &[("authorization", caller), ("if-none-match", tag)]).await;
        assert_eq!(again.status, status, "{caller}");
    }
}

#[tokio::test]
async fn an_entity_tag_spares_the_body() {
    let edge = edge(
        Router::new()
            .route("/order", on_get(async || Tagged::new(3, Json("an order"))))
            .route("/new", on_post(async || Tagged::new(0, Json("an order")))),
    );
    let first = get(&edge, "/order", &[]).await;
    let tag = first.header("etag").expect("a tag");
    assert!(tag.starts_with("\"3."), "{tag}");
    assert_eq!((first.status.as_u16(), first.header("cache-control")), (200, Some("private, no-cache")));
    assert_eq!(first.header("vary"), Some("authorization, cookie"));
    for condition in [tag, &format!("W/{tag}"), &format!("\"1\", {tag}"), "*"] {
        let again = get(&edge, "/order", &[("if-none-match", condition)]).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{condition}");
        assert_eq!(again.header("etag"), Some(tag));
        assert_eq!(again.header("vary"), first.header("vary"));
        assert_eq!(again.header("content-type"), None);
        assert!(again.header("traceparent").is_some());
    }
    let list = get(&edge, "/order", &[("if-none-match", "\"1\""), ("if-none-match", tag)]).await;
    assert_eq!(list.status, 304);
    assert_eq!(get(&edge, "/order", &[("if-none-match", "\"2\"")]).await.status, 200);
    assert_eq!(ask(&edge, request("POST", "/new", &[("if-none-match", "*")], "")).await.status, 200);
    assert_eq!(ask(&edge, request("HEAD", "/order", &[("if-none-match", tag)], "")).await.status, 304);
}

#[tokio::test]
async fn replies_say_what_happened() {
    let router = Router::new()
        .route("/created", on_post(async || Created { location: "/orders/7".to_owned(), body: Json(7) }))
        .route("/accepted", on_post(async || Accepted(Json("later"))))
        .route("/empty", on_post(async || NoContent))
        .route("/unit", on_post(async || Ok::<(), Error>(()).reply()))
        .route("/failed", on_post(async || Err::<Json<u8>, _>(Error::forbidden()).reply()))
        .route("/bad-location", on_post(async || Created { location: "a\nb".to_owned(), body: NoContent }))
        .route("/failed-creation", on_post(async || Created { location: "/x".to_owned(), body: refused() }));
    let edge = edge(router);
    let post = async |target: &'static str| post_json(&edge, target, "").await;
    let created = post("/created").await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, Some("/orders/7")));
    assert_eq!((created.header("content-type"), created.json()), (Some("application/json"), json!(7)));
    assert_eq!(
        (post("/accepted").await.status.as_u16(), post("/accepted").await.json()),
        (202, json!("later"))
    );
    for target in ["/empty", "/unit"] {
        let empty = post(target).await;
        assert_eq!((empty.status.as_u16(), empty.body.len(), empty.header("content-type")), (204, 0, None));
    }
    post("/failed").await.problem(403, "auth.forbidden");
    post("/bad-location").await.problem(500, "internal");
    let failed = post("/failed-creation").await;
    assert_eq!(
        (failed.problem(403, "auth.forbidden")["status"].clone(), failed.header("location")),
        (json!(403), None)
    );
}

fn refused() -> Problem {
    Error::forbidden().into()
}

#[tokio::test]
async fn a_page_links_to_the_next_one() {
    let next = async || {
        let text = "WzEsW11d"; // the cursor of an empty order
        Page { items: vec![1, 2], next: Some(text.parse().expect("a cursor")) }.reply()
    };
    let last = async || Page::<u8> { items: vec![], next: None }.reply();
    let edge = edge(Router::new().route("/next", on_get(next)).route("/last", on_get(last)));
    let table = [
        ("/next", "</next?cursor=WzEsW11d>; rel=\"next\""),
        ("/next?limit=2", "</next?limit=2&cursor=WzEsW11d>; rel=\"next\""),
        ("/next?cursor=old&status=a%20b&", "</next?status=a%20b&cursor=WzEsW11d>; rel=\"next\""),
    ];
    for (target, link) in table {
        let page = get(&edge, target, &[]).await;
        assert_eq!(page.header("link"), Some(link));
        assert_eq!(page.json(), json!({"items": [1, 2], "next": "WzEsW11d"}));
    }
    let page = get(&edge, "/last", &[]).await;
    assert_eq!((page.header("link"), page.json()), (None, json!({"items": [], "next": null})));
}

#[tokio::test]
async fn large_texts_are_compressed_for_who_asks() {
    const TEXT: &str = "all work and no play makes jack a dull boy ";
    fn of_kind(kind: &'static str, size: usize) -> Response {
        let mut response = TEXT.repeat(size / TEXT.len() + 1).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
    let streamed = async || {
        let pieces = futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(TEXT)));
        ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(pieces))
    };
    let encoded = async || {
        let mut response = of_kind("text/plain", 5000);
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        response
    };
    let router = Router::new()
        .route("/large", on_get(async || of_kind("application/json", 500_000)))
        .route("/small", on_get(async || of_kind("application/json", 500)))
        .route("/picture", on_get(async || of_kind("image/png", 5000)))
        .route("/streamed", on_get(streamed))
        .route("/encoded", on_get(encoded));
    let edge = edge(router);
    let gzip = &[("accept-encoding", "gzip, br")];

    let plain = get(&edge, "/large", &[]).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let small = get(&edge, "/large", gzip).await;
    assert_eq!(
        (small.header("content-encoding"), small.header("vary")),
        (Some("gzip"), Some("accept-encoding"))
    );
    assert_eq!(small.header("content-length"), None);
    assert!(small.body.len() < plain.body.len() / 10, "{} of {}", small.body.len(), plain.body.len());
    let mut inflated = Vec::new();
    GzDecoder::new(small.body.as_slice()).read_to_end(&mut inflated).expect("gzip");
    assert_eq!(inflated, plain.body);

    for target in ["/small", "/picture", "/streamed"] {
        let answer = get(&edge, target, gzip).await;
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, None), "{target}");
    }
    assert_eq!(get(&edge, "/encoded", gzip).await.header("content-encoding"), Some("br"));
    let unwilling = get(&edge, "/large", &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(unwilling.header("content-encoding"), None);
    assert_eq!(ask(&edge, request("HEAD", "/large", gzip, "")).await.body.len(), 0);
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_only_by_name() {
    let origins = ["https://shop.example".parse().expect("an origin")];
    let router = || Router::new().route("/", on_get(async || "hello").put(async || "changed"));
    let open =
        edge_with(router(), EdgeSettings { allowed_origins: origins.to_vec(), ..EdgeSettings::default() });
    let closed = edge(router());
    let ours = ("origin", "https://shop.example");
    let theirs = ("origin", "https://evil.example");

    let answer = get(&open, "/", &[ours]).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(answer.header("access-control-expose-headers").is_some_and(|names| names.contains("etag")));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    for (edge, header, vary) in [(&open, theirs, Some("origin")), (&closed, ours, None)] {
        let answer = get(edge, "/", &[header]).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, None));
        assert_eq!(answer.header("vary"), vary);
    }

    let wants =
        [("access-control-request-method", "PUT"), ("access-control-request-headers", "authorization")];
    let preflight = ask(&open, request("OPTIONS", "/", &[ours, wants[0], wants[1]], "")).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET,HEAD,PUT,OPTIONS"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("authorization"));
    assert_eq!(preflight.header("access-control-max-age"), Some("600"));
    let refused = ask(&open, request("OPTIONS", "/", &[theirs, wants[0]], "")).await;
    assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-methods")), (204, None));
    // A page must be able to read what went wrong, too.
    let missing = get(&open, "/nowhere", &[ours]).await;
    assert_eq!(missing.header("access-control-allow-origin"), Some("https://shop.example"));
}

#[tokio::test]
async fn quotas_are_told_and_kept() {
    let settings =
        EdgeSettings { rate_limit: Some("3/60s".parse().expect("a quota")), ..EdgeSettings::default() };
    let edge = edge_with(plain(), settings);
    let ask_from = async |peer: &'static str| ask(&edge, from_peer(request("GET", "/", &[], ""), peer)).await;
    for remaining in ["\"requests\";r=2", "\"requests\";r=1", "\"requests\";r=0"] {
        let answer = ask_from("203.0.113.1").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("ratelimit-policy")),
            (200, Some("\"requests\";q=3;w=60"))
        );
        assert!(answer.header("ratelimit").is_some_and(|state| state.starts_with(remaining)), "{answer:?}");
    }
    let refused = ask_from("203.0.113.1").await;
    refused.problem(429, "rate.limited");
    let wait: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").is_some_and(|state| state.starts_with("\"requests\";r=0")));
    assert_eq!(ask_from("203.0.113.2").await.status, 200);
    // One subscriber has a whole /64.
    for peer in ["[2001:db8::1]", "[2001:db8::2]", "[2001:db8::3]"] {
        assert_eq!(ask_from(peer).await.status, 200);
    }
    assert_eq!(ask_from("[2001:db8::4]").await.status, 429);
    // Whoever asks for the health may ask as often as it likes, and uses up nobody's quota.
    for path in ["/health", "/health/live", "/health/ready", "/health/startup"] {
        let probe = ask(&edge, from_peer(request("GET", path, &[], ""), "203.0.113.1")).await;
        assert_eq!((probe.status.as_u16(), probe.header("ratelimit")), (404, None), "{path}");
    }
}

#[tokio::test]
async fn an_action_has_a_quota_of_its_own() {
    let limit = std::sync::Arc::new(RateLimit::new(
        "auth",
        "1/1h".parse().expect("a quota"),
        neuroglia::clock::Clock::system(),
    ));
    let action = async move |arrival: Arrival| -> Result<&'static str, Problem> {
        limit.admit(&arrival, "ada").await?;
        Ok("token")
    };
    let edge = edge(Router::new().route("/token", on_post(action)));
    let first = post_json(&edge, "/token", "").await;
    assert_eq!((first.status.as_u16(), first.header("ratelimit-policy")), (200, Some("\"auth\";q=1;w=3600")));
    let second = post_json(&edge, "/token", "").await;
    second.problem(429, "rate.limited");
    assert_eq!(second.header("retry-after"), Some("3600"));
}
