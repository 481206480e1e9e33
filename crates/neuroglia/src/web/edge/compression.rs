//! gzip for bodies that are worth it.
//!
//! # Design notes
//! - Only bodies of a known length are compressed: what has none is a stream, and a stream wants to arrive, not to
//!   be small.
//! - The work is done in pieces as the connection takes them, so that a large body holds up nobody else's.
//! - The entity tag stays as it is, though the bytes differ: ours are about what is shown. Nobody can tell the difference,
//!   since byte ranges are not offered.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

/// What is compressed in one go.
const PIECE_BYTES: usize = 32 * 1024;

/// More gains little and costs much.
const LEVEL: Compression = Compression::new(4);

/// Compresses the body of an answer if it is worth it and the client accepts that.
pub(super) fn compress(response: &mut Response, accepted: bool, bytes_min: u64) {
    if response.body().size_hint().exact().is_none_or(|size| size < bytes_min) || !is_eligible(response) {
        return;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if accepted {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        let plain = std::mem::take(response.body_mut());
        *response.body_mut() = Body::new(Gzip::new(plain));
    }
}

fn is_eligible(response: &Response) -> bool {
    let headers = response.headers();
    response.status() != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(header::CONTENT_ENCODING)
        && headers.get(header::CONTENT_TYPE).is_some_and(is_compressible)
        && !forbids_transform(headers)
}

/// Text of all kinds; pictures and archives are compressed already.
fn is_compressible(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    match kind {
        "text" => subtype != "event-stream",
        "application" => {
            matches!(subtype, "json" | "javascript" | "xml" | "wasm" | "x-ndjson" | "yaml")
                || subtype.ends_with("+json")
                || subtype.ends_with("+xml")
        }
        "image" => subtype == "svg+xml",
        _ => false,
    }
}

fn forbids_transform(headers: &HeaderMap) -> bool {
    headers
        .get(header::CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("no-transform"))
}

/// A body that is compressed while it is read.
struct Gzip {
    plain: Body,
    rest: Bytes,
    /// None once its end has been written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    fn new(plain: Body) -> Self {
        Self { plain, rest: Bytes::new(), encoder: Some(GzEncoder::new(Vec::new(), LEVEL)) }
    }
}

impl HttpBody for Gzip {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
            if !this.rest.is_empty() {
                let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
                encoder.write_all(&piece).map_err(axum::Error::new)?;
                let compressed = std::mem::take(encoder.get_mut());
                if compressed.is_empty() {
                    continue;
                }
                return Poll::Ready(Some(Ok(Frame::data(compressed.into()))));
            }
            match ready!(Pin::new(&mut this.plain).poll_frame(cx)?) {
                // A body of known length has no trailers to keep.
                Some(frame) => this.rest = frame.into_data().unwrap_or_default(),
                None => {
                    let Some(encoder) = this.encoder.take() else { return Poll::Ready(None) };
                    let last = encoder.finish().map_err(axum::Error::new)?;
                    return Poll::Ready(Some(Ok(Frame::data(last.into()))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressible() {
        let table = [
            ("application/json", true),
            ("application/problem+json", true),
            ("text/html; charset=utf-8", true),
            ("image/svg+xml", true),
            ("text/event-stream", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("", false),
        ];
        for (content_type, compressible) in table {
            assert_eq!(
                is_compressible(&HeaderValue::from_static(content_type)),
                compressible,
                "{content_type}"
            );
        }
    }
}
