//! Which pages of other origins may read our answers: none, unless an operator names them.

use http::{HeaderMap, HeaderValue, header};

use super::asks::RarelyAsked;
use super::settings::Origin;

/// What of an answer's headers a page may see.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, traceparent, x-request-id",
);

/// For how long a browser need not ask again, in seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Tells the page's browser what it may do.
///
/// Credentials are never allowed: pages of other origins send tokens in a header, and sessions are for pages of our own.
pub(super) fn allow(headers: &mut HeaderMap, asks: Option<&RarelyAsked>, allowed: &[Origin]) {
    if allowed.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some((asks, origin)) = asks.and_then(|asks| Some((asks, asks.origin.as_ref()?))) else { return };
    if !allowed.iter().any(|own| own.admits(origin)) {
        return;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if asks.preflight_method.is_none() {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        return;
    }
    if let Some(methods) = headers.get(header::ALLOW).cloned() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    // Our API knows no header that a page of an allowed origin must not send.
    if let Some(names) = &asks.preflight_headers {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
}
