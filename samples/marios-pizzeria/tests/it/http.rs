//! What every route has in common on the wire.

use std::io::Read;

use flate2::read::GzDecoder;
use http::Method;
use neuroglia::identity::Identity;
use neuroglia::web::axum::http::{HeaderValue, Response};
use neuroglia::web::axum::{Router, middleware, routing};
use neuroglia::web::{Injected, Policy, Web};
use neuroglia_testing::TestRequest;
use serde_json::{Value, json};

use crate::shop::{Opening, Shop, guest_order};

#[tokio::test]
async fn nothing_is_at_an_unknown_path() {
    let shop = Shop::open().await;
    for path in ["/", "/api", "/api/v1", "/api/v1/pizza", "/api/v2/pizzas", "/api/v1/pizzas/margherita/x"] {
        let answer = shop.get(path).send().await;
        assert_eq!(answer.problem(404, "route.not_found")["instance"], path);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let shop = Shop::open().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/pizzas", ["GET", "HEAD", "POST"].as_slice()),
        (Method::POST, "/api/v1/pizzas/margherita", &["DELETE", "GET", "HEAD", "PUT"]),
        (Method::GET, "/api/v1/auth/token", &["POST"]),
        (Method::PATCH, "/api/v1/kitchen", &["GET", "HEAD"]),
        (Method::POST, "/health/live", &["GET", "HEAD"]),
    ] {
        let answer = shop.request(method.clone(), path).send().await;
        answer.problem(405, "method.not_allowed");
        let mut told: Vec<_> = answer.header("allow").expect("Allow").split(',').map(str::trim).collect();
        told.sort_unstable();
        assert_eq!(told, allowed, "{method} {path}");
    }
    shop.close().await;
}

#[tokio::test]
async fn head_is_get_without_the_body_and_options_tells_the_methods() {
    let shop = Shop::open().await;
    for path in ["/api/v1/pizzas", "/api/v1/pizzas/margherita", "/health/ready", "/openapi.json"] {
        let get = shop.get(path).send().await.assert_status(200);
        let head = shop.request(Method::HEAD, path).send().await.assert_status(200);
        assert!(head.body.is_empty(), "{path}");
        for name in ["content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
        let length = get.body.len().to_string();
        assert!(head.header("content-length").is_none_or(|told| told == length), "{path}");
    }
    let missing = shop.request(Method::HEAD, "/api/v1/pizzas/calzone").send().await.assert_status(404);
    assert!(missing.body.is_empty());

    let options = shop.request(Method::OPTIONS, "/api/v1/pizzas").send().await.assert_status(204);
    let mut told: Vec<_> = options.header("allow").expect("Allow").split(',').map(str::trim).collect();
    told.sort_unstable();
    assert_eq!(told, ["GET", "HEAD", "OPTIONS", "POST"]);
    shop.close().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_is_not_read_as_such() {
    let shop = Shop::open().await;
    let order = guest_order().to_string();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data"]
    {
        let request = shop.post("/api/v1/orders").header("content-type", content_type);
        request.body(order.clone()).send().await.problem(415, "media_type.unsupported");
    }
    shop.post("/api/v1/orders").body(order.clone()).send().await.problem(415, "media_type.unsupported");

    let post = |body: Vec<u8>| {
        shop.post("/api/v1/orders").header("content-type", "application/json; charset=utf-8").body(body)
    };
    for malformed in ["", "{", "{]", "{\"lines\": [}", "nonsense", "{\"a\": 1,}", "[1] [2]", "{\"a\": 01}"] {
        post(malformed.into()).send().await.problem(400, "json.malformed");
    }
    post(vec![b'"', 0xff, b'"']).send().await.problem(400, "json.malformed");
    for wrong in ["null", "[]", "\"order\"", "7", "{}"] {
        post(wrong.into()).send().await.problem(422, "request.invalid");
    }
    post(order.into_bytes()).send().await.assert_status(201);
    shop.close().await;
}

#[tokio::test]
async fn a_wrong_type_is_told_with_its_place() {
    let shop = Shop::open().await;
    for (pointer, value) in [
        ("/lines", json!("many")),
        ("/lines/0/quantity", json!("2")),
        ("/lines/0/quantity", json!(1.5)),
        ("/lines/0/toppings", json!({"0": "ham"})),
        ("/customer/name", json!(7)),
        ("/notes", json!(["a"])),
        ("/payment_method", json!(null)),
    ] {
        let mut order = guest_order();
        *order.pointer_mut(pointer).expect(pointer) = value;
        let refused = shop.post("/api/v1/orders").json(&order).send().await;
        refused.problem(422, "request.invalid");
        let told = refused.violations();
        assert!(told.len() == 1 && told[0].starts_with(&format!("{pointer} ")), "{pointer}: {told:?}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_body_has_its_bounds() {
    let shop = Opening::new().set("HTTP_BODY_MAX", "4KiB").set("HTTP_JSON_DEPTH_MAX", "8").open().await;
    let post =
        |body: String| shop.post("/api/v1/orders").header("content-type", "application/json").body(body);
    let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
    post(deep).send().await.problem(400, "json.too_deep");
    let large = post(format!("\"{}\"", "x".repeat(4096))).send().await;
    assert_eq!(large.status, 413, "{}", large.text());
    assert_eq!(large.header("content-type"), Some("application/problem+json"));
    let mut order = guest_order();
    order["padding"] = json!("x".repeat(3000));
    shop.post("/api/v1/orders").json(&order).send().await.assert_status(201);
    shop.close().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_wants_that() {
    let shop = Shop::open().await;
    let plain = shop.get("/api/v1/pizzas").send().await.assert_status(200);
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.header("vary").is_some_and(|vary| vary.contains("accept-encoding")));
    let small = shop.get("/api/v1/pizzas").header("accept-encoding", "gzip").send().await.assert_status(200);
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert!(small.body.len() < plain.body.len() / 2);
    let mut inflated = Vec::new();
    GzDecoder::new(&*small.body).read_to_end(&mut inflated).expect("gzip");
    assert_eq!(inflated, plain.body);
    shop.close().await;
}

#[tokio::test]
async fn pages_of_other_origins_read_nothing_unless_they_are_named() {
    fn preflight(shop: &Shop) -> TestRequest<'_> {
        let request =
            shop.request(Method::OPTIONS, "/api/v1/orders").header("origin", "https://shop.example");
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "content-type, idempotency-key")
    }
    let shop = Shop::open().await;
    for answer in [
        shop.get("/api/v1/pizzas").header("origin", "https://shop.example").send().await,
        preflight(&shop).send().await,
    ] {
        let told = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(told, None);
    }
    shop.close().await;

    let shop = Opening::new().set("HTTP_CORS_ORIGINS", "https://shop.example").open().await;
    let answer = preflight(&shop).send().await.assert_status(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(answer.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    let answer = shop.get("/api/v1/pizzas").header("origin", "https://evil.example").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    shop.close().await;
}

#[tokio::test]
async fn every_answer_has_its_ids_and_its_security_headers() {
    let shop = Shop::open().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let paths = ["/api/v1/pizzas", "/api/v1/pizzas/calzone", "/nowhere", "/api/v1/me", "/health", "/docs"];
    for path in paths {
        let answer = shop
            .get(path)
            .header("x-request-id", "7c2f-a.b")
            .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
            .send()
            .await;
        assert_eq!(answer.header("x-request-id"), Some("7c2f-a.b"), "{path}: as it was sent");
        let parent = answer.header("traceparent").expect("a trace");
        assert!(parent.contains(trace) && !parent.contains("b7ad6b7169203331"), "{path}: {parent}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("cache-control").is_some(), "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
        if answer.status.as_u16() >= 400 {
            assert_eq!(answer.json()["trace_id"], trace, "{path}");
        }
    }
    let docs = shop.get("/docs").send().await;
    assert!(docs.header("content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors")));

    // What cannot go into a log is not taken over.
    let answer =
        shop.get("/nowhere").header("x-request-id", "a b\"").header("traceparent", "junk").send().await;
    let id = answer.header("x-request-id").expect("one of ours");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    answer.problem(404, "route.not_found");
    shop.close().await;
}

#[tokio::test]
async fn probes_get_a_word_and_no_detail() {
    let shop = Shop::open().await;
    for (path, word) in [
        ("/health", "healthy"),
        ("/health/live", "alive"),
        ("/health/ready", "ready"),
        ("/health/startup", "started"),
    ] {
        let answer = shop.get(path).send().await.assert_status(200).json();
        assert_eq!(answer["status"], word);
        let members = answer.as_object().expect("an object").keys().filter(|key| *key != "timestamp");
        assert_eq!(members.collect::<Vec<_>>(), ["status"], "{path}");
    }
    shop.get("/metrics").send().await.problem(404, "route.not_found");
    shop.close().await;
}

#[tokio::test]
async fn operators_see_metrics_and_detail_on_the_admin_port() {
    let shop = Opening::new().set("ADMIN_PORT", "0").open().await;
    shop.guest_order().await;
    shop.get("/api/v1/pizzas/calzone").send().await.assert_status(404);
    shop.get("/health/live").send().await.assert_status(200);
    let metrics = shop.get_admin("/metrics").send().await.assert_status(200).text();
    for (route, class) in [("/api/v1/orders", "2xx"), ("/api/v1/pizzas/{id}", "4xx"), ("/health/live", "2xx")]
    {
        let counted = metrics.lines().any(|line| {
            line.contains("_count{") && line.contains(&format!("\"{route}\"")) && line.contains(class)
        });
        assert!(counted, "{route} {class} in {metrics}");
    }
    let health: Value = shop.get_admin("/health/ready").send().await.assert_status(200).json();
    assert!(health.to_string().contains("store"), "{health}");
    shop.get_admin("/api/v1/pizzas").send().await.assert_status(404);
    shop.close().await;
}

#[tokio::test]
async fn a_client_may_be_held_to_a_quota() {
    let shop = Opening::new().set("HTTP_RATE_LIMIT", "3/60s").open().await;
    for left in [2, 1, 0] {
        let answer = shop.get("/api/v1/pizzas").send().await.assert_status(200);
        let state = answer.header("ratelimit").expect("what is left");
        assert!(state.contains(&format!("r={left}")), "{state}");
    }
    let refused = shop.get("/api/v1/pizzas").send().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    shop.close().await;
}

#[tokio::test]
async fn the_documentation_can_be_switched_off() {
    let shop = Opening::new().set("HTTP_DOCS", "off").open().await;
    for path in ["/docs", "/docs/", "/openapi.json"] {
        shop.get(path).send().await.problem(404, "route.not_found");
    }
    shop.get("/api/v1/pizzas").send().await.assert_status(200);
    shop.close().await;
}

async fn whoami(Injected(caller): Injected<Identity>) -> String {
    caller.name().unwrap_or("a guest").to_owned()
}

/// The pizzeria's controllers, and beside them handlers that know no controller, behind a layer of their own.
fn with_plain_handlers(web: Web) -> Web {
    let stamped = middleware::map_response(async |mut response: Response<_>| -> Response<_> {
        response.headers_mut().insert("x-layer", HeaderValue::from_static("plain"));
        response
    });
    let plain = Router::new().route("/whoami", routing::get(whoami)).layer(stamped);
    let staff = Router::new().route("/whoami", routing::get(whoami));
    web.plain("/plain", Policy::Public, plain).plain("/staff", Policy::roles(["manager"]), staff)
}

#[tokio::test]
async fn plain_handlers_and_layers_stand_beside_controllers() {
    let shop = Opening::new().web(with_plain_handlers).open().await;
    let guest = shop.get("/plain/whoami").send().await.assert_status(200);
    assert_eq!((guest.text().as_str(), guest.header("x-layer")), ("a guest", Some("plain")));
    assert!(guest.header("x-request-id").is_some(), "the edge is around them too");
    let known = shop.get("/plain/whoami").bearer(&shop.people.customer.token).send().await;
    assert_eq!(known.text(), "Daisy");

    shop.get("/staff/whoami").send().await.problem(401, "auth.required");
    shop.get("/staff/whoami").bearer(&shop.people.chef.token).send().await.problem(403, "auth.forbidden");
    let manager = shop.get("/staff/whoami").bearer(&shop.people.manager.token).send().await;
    assert_eq!((manager.text().as_str(), manager.header("x-layer")), ("Peach", None));

    let pizza = shop.get("/api/v1/pizzas/margherita").send().await.assert_status(200);
    assert_eq!(pizza.header("x-layer"), None, "a layer stays with its router");
    shop.close().await;
}
