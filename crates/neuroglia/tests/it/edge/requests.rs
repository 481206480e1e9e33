//! What a request gets on its way in: ids, its client, a scope, a key.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get as on_get, post as on_post};
use http::{Request, StatusCode};
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::identity::Identity;
use neuroglia::web::edge::{Arrival, buffer_and_fingerprint, mark_replayed};
use neuroglia::web::{EdgeSettings, IfMatch, Injected, Problem};

use super::{ask, edge, edge_with, from_peer, get, request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn arrivals() -> Router {
    Router::new().route(
        "/",
        on_get(async |arrival: Arrival| {
            let client = arrival.client_address().map_or_else(String::new, |address| address.to_string());
            format!("{} {} {} {client}", arrival.request_id(), arrival.trace_id(), arrival.traceparent())
        }),
    )
}

#[tokio::test]
async fn a_trace_goes_on_and_the_answer_names_our_span() {
    let edge = edge(arrivals());
    let answer = get(&edge, "/", &[("traceparent", PARENT)]).await;
    let traceparent = answer.header("traceparent").expect("a trace").to_owned();
    assert!(
        traceparent.starts_with(&format!("00-{TRACE}-")) && traceparent.ends_with("-01"),
        "{traceparent}"
    );
    assert!(!traceparent.contains("b7ad6b7169203331"), "{traceparent}");
    let told = String::from_utf8(answer.body).expect("UTF-8");
    assert_eq!(told, format!("{TRACE} {TRACE} {traceparent} "));
}

#[tokio::test]
async fn a_trace_that_is_none_is_begun_anew() {
    let edge = edge(arrivals());
    for parent in
        ["nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01", &PARENT.to_uppercase()]
    {
        let answer = get(&edge, "/", &[("traceparent", parent)]).await;
        let traceparent = answer.header("traceparent").expect("a trace");
        assert_eq!((traceparent.len(), traceparent.contains(TRACE)), (55, false), "{parent}");
    }
    let twice = get(&edge, "/", &[("traceparent", PARENT), ("traceparent", PARENT)]).await;
    assert!(twice.header("traceparent").is_some_and(|traceparent| !traceparent.contains(TRACE)));
    let two = [get(&edge, "/", &[]).await, get(&edge, "/", &[]).await];
    assert_ne!(two[0].header("traceparent"), two[1].header("traceparent"));
}

#[tokio::test]
async fn a_request_id_comes_back_as_it_was_sent_if_it_is_harmless() {
    let edge = edge(arrivals());
    let long = "x".repeat(128);
    for id in ["7c2f", "order:7/retry+1", &long] {
        let answer = get(&edge, "/", &[("x-request-id", id)]).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
        assert!(answer.body.starts_with(id.as_bytes()));
    }
    let too_long = "x".repeat(129);
    for id in ["", "two words", "{\"a\":1}", "\\n", &too_long] {
        let answer = get(&edge, "/", &[("x-request-id", id)]).await;
        let own = answer.header("x-request-id").expect("an id of ours");
        assert_ne!(own, id);
        assert_eq!(own, &answer.header("traceparent").expect("a trace")[3..35]);
    }
    assert_eq!(
        get(&edge, "/nowhere", &[("x-request-id", "7c2f")]).await.header("x-request-id"),
        Some("7c2f")
    );
}

#[tokio::test]
async fn who_the_client_is_only_our_proxies_may_say() {
    let settings = EdgeSettings {
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        ..EdgeSettings::default()
    };
    let edge = edge_with(arrivals(), settings);
    let table = [
        ("203.0.113.1", "198.51.100.7", "203.0.113.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
    ];
    for (peer, forwarded, client) in table {
        // Our proxy passes on what a stranger wrote in the spelling that it does not use.
        let headers = [("x-forwarded-for", forwarded), ("forwarded", "for=6.6.6.6")];
        let answer = ask(&edge, from_peer(request("GET", "/", &headers, ""), peer)).await;
        assert!(answer.body.ends_with(format!(" {client}").as_bytes()), "{answer:?}");
    }
}

#[tokio::test]
async fn services_come_from_the_scope_of_the_request() {
    let mut services = ServiceCollection::new();
    services.add(Service::per_scope::<Identity>());
    let services = services.build().expect("a graph").start().await.expect("services");
    let whoami = async |Injected(caller): Injected<Identity>| caller.name().unwrap_or("nobody").to_owned();
    let router = Router::new().route("/", on_get(whoami));
    let edge = edge(router);
    get(&edge, "/", &[]).await.problem(500, "internal");
    for (caller, name) in [(Identity::known("1", "Ada", ["chef"]), "Ada"), (Identity::anonymous(), "nobody")]
    {
        let mut request = request("GET", "/", &[], "");
        let scope = services.scope();
        if caller.is_known() {
            scope.provide(caller).expect("an identity may be provided");
        }
        request.extensions_mut().insert(scope);
        assert_eq!(ask(&edge, request).await.body, name.as_bytes());
    }
}

#[tokio::test]
async fn a_version_is_demanded_by_if_match() {
    let action = async |expected: IfMatch| -> Result<&'static str, Problem> {
        expected.check(3)?;
        Ok("done")
    };
    let edge = edge(Router::new().route("/", on_get(action)));
    assert_eq!(get(&edge, "/", &[]).await.status, 200);
    assert_eq!(get(&edge, "/", &[("if-match", "\"3\"")]).await.status, 200);
    get(&edge, "/", &[("if-match", "\"2\"")]).await.problem(412, "version.mismatch");
    get(&edge, "/", &[("if-match", "W/\"3\"")]).await.problem(412, "version.mismatch");
    get(&edge, "/", &[("if-match", "3")]).await.problem(400, "if_match.malformed");
}

/// Tells the key and the fingerprint, and what is left of the body.
async fn fingerprint(request: Request<Body>) -> Result<(StatusCode, String), Problem> {
    let caller = match request.headers().get("x-user") {
        Some(user) => Identity::known(user.to_str().expect("ASCII"), "", [""; 0]),
        None => Identity::anonymous(),
    };
    let (parts, body) = request.into_parts();
    let (body, key) = buffer_and_fingerprint(&parts, body, &caller).await?;
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("it is buffered");
    Ok((StatusCode::OK, format!("{}\n{}\n{}", key.key, key.fingerprint, String::from_utf8_lossy(&body))))
}

#[tokio::test]
async fn a_repeated_request_is_recognised_by_key_caller_and_content() {
    let edge = edge(Router::new().route("/orders", on_post(fingerprint)));
    let tell = async |target: &str, headers: &[(&str, &str)], body: &'static str| {
        let answer = ask(&edge, request("POST", target, headers, body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = String::from_utf8(answer.body).expect("UTF-8");
        let [key, fingerprint, body] =
            text.splitn(3, '\n').map(str::to_owned).collect::<Vec<_>>().try_into().expect("three");
        (key, fingerprint, body)
    };
    let key = ("idempotency-key", "k-1");
    let first = tell("/orders", &[key], "{}").await;
    assert_eq!(first, tell("/orders", &[key], "{}").await);
    assert_eq!((first.1.len(), first.2.as_str()), (64, "{}"));
    assert_ne!(first.1, tell("/orders", &[key], "{ }").await.1);
    assert_ne!(first.1, tell("/orders?dry", &[key], "{}").await.1);
    let ada = tell("/orders", &[key, ("x-user", "ada")], "{}").await;
    assert_ne!(first.0, ada.0);
    assert_eq!(first.1, ada.1);
    // No user can be named so that their keys meet those of guests.
    assert_ne!(tell("/orders", &[key, ("x-user", "guest")], "").await.0, first.0);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let edge = edge(Router::new().route("/orders", on_post(fingerprint)));
    let long = "x".repeat(256);
    for key in ["", "two words", "é", &long] {
        let answer = ask(&edge, request("POST", "/orders", &[("idempotency-key", key)], "")).await;
        answer.problem(400, "idempotency.key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    ask(&edge, request("POST", "/orders", &twice, "")).await.problem(400, "idempotency.key");
    let longest = "x".repeat(255);
    assert_eq!(
        ask(&edge, request("POST", "/orders", &[("idempotency-key", &longest)], "")).await.status,
        200
    );
}

#[tokio::test]
async fn an_answer_that_was_given_before_says_so() {
    let replayed = async || {
        let mut response = Response::new(Body::from("again"));
        mark_replayed(&mut response);
        response
    };
    let edge = edge(Router::new().route("/", on_get(replayed)));
    assert_eq!(get(&edge, "/", &[]).await.header("idempotency-replayed"), Some("true"));
}
