//! A request's body as bytes, within its limits.

use std::error::Error as StdError;
use std::io::Read;

use axum::body::Body;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::web::edge::Arrival;
use crate::web::problem::Problem;
use crate::web::server::{BodyFault, BodyLimit, Refusal};

/// What a request's content may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// The largest body that does not come through our own server, which has its own, finer limit.
    pub body_bytes: usize,
    /// The largest body after inflating it.
    pub inflated_bytes: usize,
    /// How deep arrays and objects may be nested.
    pub json_depth: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        Self { body_bytes: 2 * 1024 * 1024, inflated_bytes: 8 * 1024 * 1024, json_depth: 64 }
    }
}

impl ContentLimits {
    /// Those of the edge that the request came through, or the default ones.
    pub(in crate::web) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Arrival>().map_or_else(Self::default, Arrival::content_limits)
    }
}

/// Reads the body as it was sent.
pub(in crate::web) async fn read(extensions: &Extensions, body: Body) -> Result<Bytes, Problem> {
    // The server counts already, and a route may have raised its limit.
    let counted = extensions.get::<BodyLimit>().is_some();
    let most = if counted { usize::MAX } else { ContentLimits::of(extensions).body_bytes };
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(refused(error.as_ref())),
    }
}

/// Undoes the content encoding.
pub(in crate::web) fn decoded(
    headers: &HeaderMap,
    body: Bytes,
    limits: ContentLimits,
) -> Result<Bytes, Problem> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    let encoding = encoding.as_bytes().trim_ascii();
    if encoding.eq_ignore_ascii_case(b"identity") {
        Ok(body)
    } else if encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip") {
        inflated(&body, limits.inflated_bytes)
    } else {
        let problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "encoding.unsupported",
            "the content encoding is not supported; send it plain or as gzip",
        );
        Err(problem.with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
    }
}

fn inflated(body: &[u8], most: usize) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(one_more).read_to_end(&mut plain);
    if read.is_err() {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "encoding.malformed",
            "the body is not valid gzip",
        ));
    }
    if plain.len() > most {
        return Err(Problem::from(Refusal::BODY_TOO_LARGE));
    }
    Ok(plain.into())
}

/// Why a body could not be read to its end.
fn refused(error: &(dyn StdError + 'static)) -> Problem {
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        if let Some(fault) = cause.downcast_ref::<BodyFault>() {
            return Problem::from(fault.refusal());
        }
        if cause.is::<LengthLimitError>() {
            return Problem::from(Refusal::BODY_TOO_LARGE);
        }
    }
    Problem::new(StatusCode::BAD_REQUEST, "body.incomplete", "the body ended before its end")
}
