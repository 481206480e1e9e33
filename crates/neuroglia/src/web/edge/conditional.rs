//! `If-None-Match`: an answer that the client has already is not sent again.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};

/// Makes the answer a 304 when its entity tag is one that the client has.
pub(super) fn spare(response: &mut Response, method: &Method, if_none_match: Option<&HeaderValue>) {
    let Some(condition) = if_none_match else { return };
    if response.status() != StatusCode::OK || !(method == Method::GET || method == Method::HEAD) {
        return;
    }
    let Some(tag) = response.headers().get(header::ETAG) else { return };
    if !matches(condition.as_bytes(), tag.as_bytes()) {
        return;
    }
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::empty();
    for described in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        response.headers_mut().remove(described);
    }
}

/// Weak comparison, as RFC 9110 demands here.
fn matches(condition: &[u8], tag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| -> Vec<u8> { tag.strip_prefix(b"W/").unwrap_or(tag).to_vec() };
    let own = opaque(tag);
    // Our tags have no comma inside, so that a list may simply be split.
    condition
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|other| other == b"*" || opaque(other) == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        for condition in ["\"3\"", "W/\"3\"", "\"1\", \"3\"", "*", "\"1\",W/\"3\""] {
            assert!(matches(condition.as_bytes(), b"\"3\""), "{condition}");
        }
        for condition in ["\"4\"", "3", "", "\"3", "\"33\""] {
            assert!(!matches(condition.as_bytes(), b"\"3\""), "{condition}");
        }
        assert!(matches(b"\"3\"", b"W/\"3\""));
    }
}
