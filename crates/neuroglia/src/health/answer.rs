//! Answers of the operational surface: documents that nobody may keep.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderValue, Response, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::web::Problem;

/// A document.
pub(super) fn document(content: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(body(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A problem with members of its own, which RFC 9457 calls extensions.
pub(super) fn problem(problem: Problem, members: Map<String, Value>) -> Response<Body> {
    let mut content = json!(problem);
    let mut response = problem.into_response();
    if let (Value::Object(content), false) = (&mut content, members.is_empty()) {
        content.extend(members);
        *response.body_mut() = body(content);
    }
    response
}

fn body(content: &impl Serialize) -> Body {
    Body::from(serde_json::to_vec(content).expect("texts, numbers and maps of them are always JSON"))
}
