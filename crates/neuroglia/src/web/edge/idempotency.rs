//! `Idempotency-Key`: what makes a repeated request recognisable.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use neuroglia_core::identity::{IdempotencyKey, Identity, Replayed};
use sha2::{Digest, Sha256};

use crate::web::extract;
use crate::web::problem::Problem;
use crate::web::server::IDEMPOTENCY_KEY;

/// The header by which we say that an answer was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const KEY_BYTES_MAX: usize = 255;

/// Reads the body of a request with an `Idempotency-Key` and makes of both what the mediator's pipeline needs.
///
/// Keys belong to who used them. All guests are one caller, whose keys must therefore be hard to guess. The
/// fingerprint is a digest of the method, the path with its query, and the body.
///
/// # Errors
/// 400 when the key is not 1 to 255 visible ASCII characters or is there twice; those of a body that cannot be read.
pub async fn buffer_and_fingerprint(
    parts: &Parts,
    body: Body,
    caller: &Identity,
) -> Result<(Body, IdempotencyKey), Problem> {
    let key = match caller.subject() {
        Some(subject) => format!("user {subject} {}", key(&parts.headers)?),
        None => format!("guest {}", key(&parts.headers)?),
    };
    let body = extract::read(&parts.extensions, body).await?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let mut digest = Sha256::new();
    // Neither a method nor a target has a line end in it.
    for part in [parts.method.as_str().as_bytes(), b"\n", target.as_bytes(), b"\n", &body] {
        digest.update(part);
    }
    let fingerprint = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let key = IdempotencyKey { key, fingerprint, replayed: Replayed::default() };
    Ok((Body::from(body), key))
}

/// Says that the answer was given before.
pub fn mark_replayed(response: &mut Response) {
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
}

fn key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    match key {
        Some(key)
            if (1..=KEY_BYTES_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(key)
        }
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency.key",
            "the idempotency key must be one header of 1 to 255 visible ASCII characters",
        )),
    }
}
