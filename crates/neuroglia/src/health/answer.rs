//! Answers of the operational surface: documents that nobody may keep.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde::Serialize;

/// A document.
pub(super) fn document(content: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(content).expect("texts, numbers and maps of them are always JSON");
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
