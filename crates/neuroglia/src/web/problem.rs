//! Every answer of 400 and above is one document: RFC 9457, with a stable code and the trace id.
//!
//! A handler's [`Error`] becomes a [`Problem`] here, in one place. The text of an error reaches the client only
//! below 500; above, the detail is constant and the cause goes to the log. A problem is a complete answer where it
//! stands; it also travels in the response's extensions, so that the edge, which alone knows the request's path and
//! trace, can write the final document.
//!
//! # Design notes
//! - `type` is `about:blank`, which RFC 9457 defines as "what the status says"; what distinguishes problems of one
//!   status is `code`, a member of our own that programs may match on. A URL that leads nowhere would promise more.
//! - The cause of a 5xx is kept beside the document, not in it, and is logged once, by the edge.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use neuroglia_core::error::{Error, ErrorKind, Violation};
use serde::Serialize;
use serde_json::{Map, Value};

use super::server::Refusal;

/// The media type of RFC 9457.
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// After how many seconds to ask again, when nobody knows better.
const RETRY_AFTER_S: u64 = 1;

/// Why a request was not answered with what it asked for.
///
/// ```
/// use neuroglia::web::Problem;
/// use neuroglia_core::error::Error;
///
/// let problem = Problem::from(Error::conflict("order.wrong_state", "the order must be confirmed"));
/// assert_eq!(problem.status(), 409);
/// assert_eq!(problem.code(), "order.wrong_state");
/// ```
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Document>);

/// The members of the document, and what goes with it. Boxed, because a `Result` is as large as its error.
#[derive(Debug, Clone, Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    detail: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Violation>,
    #[serde(flatten)]
    members: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[serde(skip)]
    cause: Option<Arc<Error>>,
}

impl Problem {
    /// A problem with a stable code (`thing.rule`) and a text for people, a lowercase fragment.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut problem = Document {
            kind: "about:blank",
            title: title(status),
            status,
            detail: detail.into(),
            instance: None,
            code: code.into(),
            trace_id: None,
            errors: Vec::new(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        };
        match status {
            StatusCode::UNAUTHORIZED => {
                problem.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                problem.headers.push((header::RETRY_AFTER, RETRY_AFTER_S.into()));
            }
            _ => {}
        }
        Self(Box::new(problem))
    }

    /// A defect of this program. The cause reaches the log and never the client.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::from(Error::internal(cause))
    }

    /// What stands for a status that came without an explanation.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, detail): (Cow<'static, str>, &'static str) = match status {
            StatusCode::BAD_REQUEST => ("request.malformed".into(), "the request is not well-formed"),
            StatusCode::UNAUTHORIZED => ("auth.required".into(), "authentication required"),
            StatusCode::FORBIDDEN => ("auth.forbidden".into(), "access denied"),
            StatusCode::NOT_FOUND => ("resource.not_found".into(), "there is no such thing"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method.not_allowed".into(), "the method is not allowed here; see the header Allow")
            }
            StatusCode::PAYLOAD_TOO_LARGE => return Self::from(Refusal::BODY_TOO_LARGE),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("media_type.unsupported".into(), "the content type is not supported here")
            }
            StatusCode::INTERNAL_SERVER_ERROR => ("internal".into(), "an internal error occurred"),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("service.unavailable".into(), "service temporarily unavailable")
            }
            status if status.is_server_error() => (phrase_code(status).into(), "an internal error occurred"),
            status => (phrase_code(status).into(), "the request was refused"),
        };
        Self::new(status, code, detail)
    }

    /// This problem at these places of the request.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Violation>) -> Self {
        self.0.errors = errors;
        self
    }

    /// This problem with members of its own, which RFC 9457 calls extensions. The names must not be those that every problem
    /// has.
    #[must_use]
    pub fn with_members(mut self, members: Map<String, Value>) -> Self {
        self.0.members = members;
        self
    }

    /// This problem with a header that belongs to it, such as `Allow`. It takes the place of one that the status
    /// implies.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.retain(|(own, _)| *own != name);
        self.0.headers.push((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The text for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong at which place of the request.
    pub fn errors(&self) -> &[Violation] {
        &self.0.errors
    }

    /// What caused a 5xx; never part of the document.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_deref()
    }

    /// This problem of the request at `path` in this trace.
    pub(super) fn located(mut self, path: &str, trace_id: &str) -> Self {
        self.0.instance = Some(path.to_owned());
        self.0.trace_id = Some(trace_id.to_owned());
        self
    }

    /// The document.
    pub(super) fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("texts and numbers are always JSON").into()
    }

    /// The headers that belong to it, besides the content's.
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut problem = match kind {
            ErrorKind::Unavailable => {
                Self::new(status, error.code().to_owned(), "service temporarily unavailable")
            }
            _ if status.is_server_error() => Self::of_status(status),
            _ => Self::new(status, error.code().to_owned(), error.detail().to_owned())
                .with_errors(error.violation_list().to_vec()),
        };
        if let Some(seconds) = error.retry_after_s() {
            problem = problem.with_header(header::RETRY_AFTER, seconds.into());
        }
        if status.is_server_error() {
            problem.0.cause = Some(Arc::new(error));
        }
        problem
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let mut problem = Self::new(refusal.status, refusal.code, refusal.detail);
        if refusal == Refusal::OUTCOME_UNKNOWN {
            // Some clients and proxies repeat by themselves what has this header.
            problem.0.headers.retain(|(name, _)| name != header::RETRY_AFTER);
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.0.headers {
            headers.insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// The standard phrase, in the spelling of RFC 9110.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        status => status.canonical_reason().unwrap_or("Unknown"),
    }
}

/// The code of a status that nobody explained: `http.not_acceptable`.
fn phrase_code(status: StatusCode) -> String {
    let phrase = title(status).chars().filter_map(|letter| match letter {
        ' ' | '-' => Some('_'),
        letter => letter.is_ascii_alphanumeric().then(|| letter.to_ascii_lowercase()),
    });
    "http.".chars().chain(phrase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(error: Error, name: HeaderName) -> Option<String> {
        let response = Problem::from(error).into_response();
        response.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned())
    }

    #[test]
    fn the_status_brings_its_headers() {
        let limited = || Error::new(ErrorKind::RateLimited, "rate.limited", "too many");
        assert_eq!(header_of(Error::unauthenticated(), header::WWW_AUTHENTICATE).as_deref(), Some("Bearer"));
        assert_eq!(header_of(Error::unavailable("x"), header::RETRY_AFTER).as_deref(), Some("1"));
        assert_eq!(header_of(limited(), header::RETRY_AFTER).as_deref(), Some("1"));
        assert_eq!(header_of(limited().with_retry_after(7), header::RETRY_AFTER).as_deref(), Some("7"));
        assert_eq!(header_of(Error::forbidden(), header::RETRY_AFTER), None);
    }

    #[test]
    fn nobody_is_invited_to_do_a_thing_twice() {
        let retry_after = |refusal: Refusal| {
            Problem::from(refusal).into_response().headers().contains_key(header::RETRY_AFTER)
        };
        assert!(retry_after(Refusal::TIMEOUT));
        assert!(!retry_after(Refusal::OUTCOME_UNKNOWN));
    }

    #[test]
    fn above_500_the_document_says_nothing_of_the_cause() {
        let told = Error::new(ErrorKind::Internal, "events.circle", "the password is hunter2");
        for error in [told, Error::internal("hunter2"), Error::unavailable("hunter2")] {
            let problem = Problem::from(error);
            let document = String::from_utf8(problem.to_json().to_vec()).expect("UTF-8");
            assert!(!document.contains("hunter2"), "{document}");
            assert!(problem.cause().is_some());
        }
    }

    #[test]
    fn a_status_without_an_explanation_has_a_code_and_no_text_of_others() {
        assert_eq!(Problem::of_status(StatusCode::NOT_ACCEPTABLE).code(), "http.not_acceptable");
        assert_eq!(Problem::of_status(StatusCode::IM_A_TEAPOT).code(), "http.im_a_teapot");
        assert_eq!(Problem::of_status(StatusCode::BAD_GATEWAY).detail(), "an internal error occurred");
    }
}
