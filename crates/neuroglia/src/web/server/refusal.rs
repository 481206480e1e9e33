//! What the server says when it refuses a request before, or in spite of, the application.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// The media type of RFC 9457.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The header by which clients promise that two requests are one.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A refusal by the server itself: a status, a stable code for programs and a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The answer's status.
    pub status: StatusCode,
    /// The code that clients may match on; it never changes.
    pub code: &'static str,
    /// What was wrong, without anything that the client sent.
    pub detail: &'static str,
}

impl Refusal {
    /// The bytes are not an HTTP request.
    pub const MALFORMED: Self =
        Self::new(StatusCode::BAD_REQUEST, "request.malformed", "The request is not well-formed HTTP.");
    /// HTTP/1.1 wants exactly one `Host`.
    pub const HOST: Self =
        Self::new(StatusCode::BAD_REQUEST, "request.host", "The request must have exactly one Host header.");
    /// The head did not arrive in time.
    pub const HEAD_TIMEOUT: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request.head_timeout",
        "The head of the request did not arrive in time.",
    );
    /// The body arrives too slowly.
    pub const BODY_TOO_SLOW: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request.body_too_slow",
        "The body of the request arrives too slowly.",
    );
    /// The body is larger than the route admits.
    pub const BODY_TOO_LARGE: Self = Self::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request.body_too_large",
        "The body of the request is larger than this server accepts.",
    );
    /// The request line is too long.
    pub const URI_TOO_LONG: Self = Self::new(
        StatusCode::URI_TOO_LONG,
        "request.uri_too_long",
        "The request line is longer than this server accepts.",
    );
    /// The header fields are too large or too many.
    pub const HEADERS_TOO_LARGE: Self = Self::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "request.headers_too_large",
        "The header fields are larger or more than this server accepts.",
    );
    /// The body was still arriving when the request had to be answered.
    pub const BODY_TIMEOUT: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "request.body_timeout",
        "The body of the request did not arrive in time.",
    );
    /// The application did not answer in time, and asking it twice does no harm.
    pub const TIMEOUT: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "request.timeout",
        "The request was not answered in time. It may be tried again.",
    );
    /// The application did not answer in time, and what was asked for may have been done.
    pub const OUTCOME_UNKNOWN: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "request.outcome_unknown",
        "The request was not answered in time. It may have been carried out: look before it is sent again, or send it with \
         an Idempotency-Key.",
    );

    const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail }
    }

    /// The refusal as an answer of its own.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        self.overwrite(&mut response);
        response
    }

    /// Puts the refusal in the place of what the application answered, and keeps the headers that do
    /// not describe the body, such as a request id.
    pub(super) fn overwrite(&self, response: &mut Response<Body>) {
        *response.status_mut() = self.status;
        *response.body_mut() = Body::from(self.document());
        let headers = response.headers_mut();
        for described in [
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
            header::ETAG,
            header::LAST_MODIFIED,
        ] {
            headers.remove(described);
        }
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }

    /// The refusal as the last bytes of an HTTP/1.1 connection. `fields` are further header lines,
    /// each with its line end.
    pub(super) fn bytes(&self, fields: &str) -> Bytes {
        let body = self.document();
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
             cache-control: no-store\r\nconnection: close\r\n{fields}\r\n",
            self.status.as_str(),
            self.status.canonical_reason().unwrap_or_default(),
            body.len(),
        )
        .into_bytes();
        bytes.extend_from_slice(body.as_bytes());
        bytes.into()
    }

    /// The refusal as a document.
    fn document(&self) -> String {
        // The parts are ours and hold nothing that JSON would have to escape.
        format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"detail":"{}","code":"{}"}}"#,
            self.status.canonical_reason().unwrap_or_default(),
            self.status.as_str(),
            self.detail,
            self.code,
        )
    }
}
