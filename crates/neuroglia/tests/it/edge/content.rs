//! What a request may contain: JSON, parameters, and the ways in which they can be wrong.

use std::io::Write;

use axum::Router;
use axum::body::Body;
use axum::routing::{get as on_get, post as on_post};
use flate2::Compression;
use flate2::write::GzEncoder;
use neuroglia::web::extract::ContentLimits;
use neuroglia::web::{Edge, EdgeSettings, Json, Path, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, ask, edge, edge_with, get, post_json, request};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Size {
    Small,
    Large,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    pizza: String,
    size: Size,
    quantity: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place {
    lines: Vec<Line>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    anything: Value,
}

fn orders() -> Router {
    Router::new()
        .route("/orders", on_post(async |Json(order): Json<Place>| Json(order)))
        .route("/any", on_post(async |Json(value): Json<Value>| Json(value)))
        .route("/optional", on_post(async |body: Option<Json<Value>>| Json(body.map(|Json(value)| value))))
}

fn refusal(answer: &Answer, status: u16, code: &str) -> Vec<(String, String)> {
    let problem = answer.problem(status, code);
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    errors.iter().map(|error| (text(error, "pointer"), text(error, "code"))).collect()
}

#[tokio::test]
async fn json_of_the_wrong_shape_is_422_with_its_place() {
    let edge = edge(orders());
    let line =
        |line: Value| json!({"lines": [{"pizza": "p", "size": "small", "quantity": 1}, line]}).to_string();
    let table = [
        ("{}".to_owned(), "/lines", "required"),
        (json!({"lines": {}}).to_string(), "/lines", "type"),
        (json!({"lines": null}).to_string(), "/lines", "type"),
        (json!([]).to_string(), "", "length"),
        (json!("hunter2").to_string(), "", "type"),
        (line(json!({"size": "small", "quantity": 1})), "/lines/1/pizza", "required"),
        (line(json!({"pizza": 7, "size": "small", "quantity": 1})), "/lines/1/pizza", "type"),
        (line(json!({"pizza": "p", "size": "hunter2", "quantity": 1})), "/lines/1/size", "variant"),
        (line(json!({"pizza": "p", "size": "small", "quantity": 256})), "/lines/1/quantity", "value"),
        (line(json!({"pizza": "p", "size": "small", "quantity": -1})), "/lines/1/quantity", "value"),
        (line(json!({"pizza": "p", "size": "small", "quantity": 1.5})), "/lines/1/quantity", "type"),
        (line(json!({"pizza": "p", "size": "small", "quantity": "hunter2"})), "/lines/1/quantity", "type"),
        (
            line(json!({"pizza": "p", "size": "small", "quantity": 1, "extra": 1})),
            "/lines/1/extra",
            "unknown",
        ),
        (json!({"lines": [], "password": ["hunter2"]}).to_string(), "/password", "type"),
        (r#"{"lines": [], "lines": []}"#.to_owned(), "/lines", "duplicate"),
        (r#"{"lines": [{"pizza": "a", "pizza": "b"}]}"#.to_owned(), "/lines/0/pizza", "duplicate"),
        (r#"{"lines": [], "password": "a\u0000b"}"#.to_owned(), "", "nul"),
    ];
    for (body, pointer, code) in table {
        let answer = post_json(&edge, "/orders", body.clone()).await;
        let places = refusal(&answer, 422, "request.invalid");
        assert_eq!(places, [(pointer.to_owned(), code.to_owned())], "{body}");
        let text = String::from_utf8_lossy(&answer.body);
        for told in ["hunter2", "Place", "Line", "Size", "struct", "u8"] {
            assert!(!text.contains(told), "{text}");
        }
    }
}

#[tokio::test]
async fn what_is_not_json_is_400() {
    let edge = edge(orders());
    let table: [&[u8]; 22] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{\"lines\": [}",
        b"{\"lines\": []} trailing",
        b"{\"lines\": []}{\"lines\": []}",
        b"{'lines': []}",
        b"{lines: []}",
        b"{\"lines\": [],}",
        b"\xef\xbb\xbf{\"lines\": []}",
        b"\xff\xfe{\x00}\x00",
        b"{\"lines\": [], \"x\": \"\xff\"}",
        b"{\"lines\": [], \"password\": \"\x00\"}",
        b"{\"lines\": [], \"password\": \"line\nbreak\"}",
        b"{\"lines\": [], \"password\": \"\\ud800\"}",
        b"{\"lines\": [], \"password\": \"\\x41\"}",
        b"{\"lines\": [], \"anything\": NaN}",
        b"{\"lines\": [], \"anything\": 01}",
        b"{\"lines\": [], \"anything\": 1e999}",
        b"{\"lines\": [], \"anything\": .5}",
        b"lines=hunter2",
    ];
    for body in table {
        let answer = post_json(&edge, "/orders", body).await;
        let detail = answer.problem(400, "json.malformed")["detail"].to_string();
        assert!(!detail.contains("hunter2"), "{detail}");
    }
}

#[tokio::test]
async fn json_that_is_strange_but_right_is_taken() {
    let edge = edge(orders());
    let long_number = "9".repeat(300);
    let table = [
        " \r\n\t[1] ".to_owned(),
        r#"{"a":1,"a":2}"#.to_owned(),
        r#""\\u0000""#.to_owned(),
        r#""\ud83c\udf55""#.to_owned(),
        r#""[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[""#.to_owned(),
        long_number,
        "-0.0".to_owned(),
        "null".to_owned(),
        format!("[{}1{}]", "[".repeat(63), "]".repeat(63)),
        format!("[{}[]]", "{},".repeat(1000)),
    ];
    for body in table {
        let answer = post_json(&edge, "/any", body.clone()).await;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn json_that_is_nested_too_deeply_is_refused_before_it_is_decoded() {
    let edge = edge(orders());
    for depth in [65, 129, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            post_json(&edge, "/any", body).await.problem(400, "json.too_deep");
        }
        post_json(&edge, "/any", "[".repeat(depth)).await.problem(400, "json.too_deep");
    }
    let flat = EdgeSettings {
        content: ContentLimits { json_depth: 1, ..ContentLimits::default() },
        ..EdgeSettings::default()
    };
    let edge = edge_with(orders(), flat);
    post_json(&edge, "/any", "[[]]").await.problem(400, "json.too_deep");
    assert_eq!(post_json(&edge, "/any", "[1]").await.status, 200);
}

#[tokio::test]
async fn only_json_is_taken_for_json() {
    let edge = edge(orders());
    let send = async |headers: &[(&str, &str)]| ask(&edge, request("POST", "/any", headers, "1")).await;
    for kind in ["application/json", "application/json; charset=UTF-8", "application/merge-patch+json"] {
        assert_eq!(send(&[("content-type", kind)]).await.status, 200, "{kind}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""] {
        let refused = send(&[("content-type", kind)]).await;
        refused.problem(415, "media_type.unsupported");
        assert_eq!(refused.header("accept"), Some("application/json"));
    }
    send(&[]).await.problem(415, "media_type.unsupported");
}

#[tokio::test]
async fn a_body_may_be_left_out_where_the_action_says_so() {
    let edge = edge(orders());
    let none = ask(&edge, request("POST", "/optional", &[], Body::empty())).await;
    assert_eq!((none.status.as_u16(), none.json()), (200, Value::Null));
    assert_eq!(post_json(&edge, "/optional", "{}").await.json(), json!({}));
    post_json(&edge, "/optional", Body::empty()).await.problem(400, "json.malformed");
    ask(&edge, request("POST", "/optional", &[], "{}")).await.problem(415, "media_type.unsupported");
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_compressed_body_is_inflated_up_to_a_limit() {
    let limits = ContentLimits { body_bytes: 10_000, inflated_bytes: 100_000, ..ContentLimits::default() };
    let edge = edge_with(orders(), EdgeSettings { content: limits, ..EdgeSettings::default() });
    let send = async |encoding: &str, body: Vec<u8>| {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        ask(&edge, request("POST", "/any", &headers, body)).await
    };
    let text = |size: usize| format!("\"{}\"", "x".repeat(size)).into_bytes();
    assert_eq!(send("gzip", gzip(&text(90_000))).await.status, 200);
    assert_eq!(send("GZIP", gzip(b"1")).await.json(), json!(1));
    assert_eq!(send("identity", b"1".to_vec()).await.json(), json!(1));
    let bomb = gzip(&text(5_000_000));
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    send("gzip", bomb).await.problem(413, "request.body_too_large");
    send("gzip", b"not gzip".to_vec()).await.problem(400, "encoding.malformed");
    let cut = gzip(&text(1000));
    send("gzip", cut[..cut.len() - 9].to_vec()).await.problem(400, "encoding.malformed");
    for encoding in ["br", "deflate", "gzip, gzip"] {
        let refused = send(encoding, gzip(b"1")).await;
        refused.problem(415, "encoding.unsupported");
        assert_eq!(refused.header("accept-encoding"), Some("gzip"));
    }
    post_json(&edge, "/any", text(20_000)).await.problem(413, "request.body_too_large");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let edge = edge(orders());
    let pieces = [Ok("[1,"), Err(std::io::Error::other("connection reset by 10.1.2.3"))];
    let answer = post_json(&edge, "/any", Body::from_stream(futures_util::stream::iter(pieces))).await;
    answer.problem(400, "body.incomplete");
    assert!(!String::from_utf8_lossy(&answer.body).contains("10.1.2.3"));
}

#[derive(Debug, Deserialize)]
struct Listing {
    status: String,
    limit: Option<u32>,
}

fn parameters() -> Edge {
    let list = async |Query(listing): Query<Listing>| format!("{} {:?}", listing.status, listing.limit);
    let show = async |Path(id): Path<u32>| id.to_string();
    let two = async |Path((order, line)): Path<(u32, String)>| format!("{order} {line}");
    let mismatch = async |Path((order, _)): Path<(u32, u32)>| order.to_string();
    edge(
        Router::new()
            .route("/orders", on_get(list))
            .route("/orders/{id}", on_get(show))
            .route("/orders/{id}/lines/{line}", on_get(two))
            .route("/mismatch/{id}", on_get(mismatch)),
    )
}

#[tokio::test]
async fn a_query_of_the_wrong_shape_is_422_with_the_parameter() {
    let edge = parameters();
    assert_eq!(get(&edge, "/orders?status=open&limit=7", &[]).await.body, b"open Some(7)");
    assert_eq!(get(&edge, "/orders?status=a%20b%2Bc&other=1", &[]).await.body, b"a b+c None");
    let table = [
        ("/orders", "/status", "required"),
        ("/orders?limit=1", "/status", "required"),
        ("/orders?status=open&limit=hunter2", "/limit", "invalid"),
        ("/orders?status=open&limit=-1", "/limit", "invalid"),
        ("/orders?status=open&limit=", "/limit", "invalid"),
        ("/orders?status=a&status=b", "/status", "duplicate"),
    ];
    for (target, pointer, code) in table {
        let answer = get(&edge, target, &[]).await;
        assert_eq!(
            refusal(&answer, 422, "query.invalid"),
            [(pointer.to_owned(), code.to_owned())],
            "{target}"
        );
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_path_of_the_wrong_shape_leads_nowhere() {
    let edge = parameters();
    assert_eq!(get(&edge, "/orders/7", &[]).await.body, b"7");
    assert_eq!(get(&edge, "/orders/7/lines/a%2Fb", &[]).await.body, b"7 a/b");
    for target in ["/orders/hunter2", "/orders/-1", "/orders/4294967296", "/orders/7%00", "/orders/x/lines/1"]
    {
        let problem = get(&edge, target, &[]).await.problem(404, "path.invalid");
        assert!(!problem["detail"].to_string().contains("hunter2"));
    }
    get(&edge, "/orders/%ff", &[]).await.problem(400, "path.malformed");
    get(&edge, "/mismatch/1", &[]).await.problem(500, "internal");
}
