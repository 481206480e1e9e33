//! From what an action returns to an answer.
//!
//! The return type is the reply: `Json<T>` is 200, `Created<…>` 201, `()` 204, and an [`Error`] the
//! [`Problem`] of its kind. Replies nest: `Created<Tagged<Json<T>>>` is a 201 with `Location`, `ETag` and a body.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::{Body, HttpBody as _};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyStream, StreamBody};
use neuroglia_core::data::Page;
use neuroglia_core::error::Error;
use serde::Serialize;

use super::extract::Json;
use super::problem::Problem;
use crate::auth::SetCookie;

/// Something that an action can answer with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer",
    label = "an action cannot return this",
    note = "an answer is `Json<T>` of a `Serialize` type, `Page<T>`, `Created<…>`, `Accepted<…>`, `Tagged<…>`, `NoContent`, `()`, `Html<…>`, `Sse<…>`, an axum `Response`, or a `Result` of one of these"
)]
pub trait Reply {
    /// The answer.
    fn reply(self) -> Response;
}

/// 201: something new, and where it is.
///
/// ```
/// use neuroglia::web::{Created, Json, Reply, Tagged};
///
/// let reply = Created { location: "/orders/7".into(), body: Tagged::by_version(0, Json("an order")) };
/// let response = reply.reply();
/// assert_eq!(response.status(), 201);
/// assert_eq!(response.headers()["location"], "/orders/7");
/// assert_eq!(response.headers()["etag"], "\"0\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<R> {
    /// The path of what was created.
    pub location: String,
    /// What the body says about it.
    pub body: R,
}

/// 202: it will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted<R>(pub R);

/// 204: it is done, and there is nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoContent;

/// An answer with an `ETag`: the version of what it shows, and a digest of how it shows it.
///
/// The tag is a strong one, `"3.5bd1e995a1b2c3d4"`. The edge answers `If-None-Match` by the whole of it, and a later
/// [`IfMatch`](super::extract::IfMatch) takes the version from it. The digest is there because one path may show different
/// things at one version: `/me` to each who asks, what was removed and made anew, the same after a release that shows more.
///
/// A body that is a stream has no tag, since nobody can know its digest before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged<R> {
    version: u64,
    by: TaggedBy,
    body: R,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaggedBy {
    Content,
    Version,
}

impl<R> Tagged<R> {
    /// The body at this version.
    pub const fn new(version: u64, body: R) -> Self {
        Self { version, by: TaggedBy::Content, body }
    }

    /// The body at this version, which alone is its tag: `"3"`.
    ///
    /// For an API that promised so. It holds only for a path that never shows anything else at the same version: to no
    /// other caller, nor after what is there was removed.
    pub const fn by_version(version: u64, body: R) -> Self {
        Self { version, by: TaggedBy::Version, body }
    }
}

/// An answer that has a browser keep a session, or forget it.
#[derive(Debug)]
pub struct WithCookie<R> {
    /// What [`SessionCookies`](crate::auth::SessionCookies) gave.
    pub cookie: SetCookie,
    /// What else is answered.
    pub body: R,
}

/// Where the next page begins: a response extension from which the edge, which knows the request's path and query,
/// makes the `Link` header.
#[derive(Debug, Clone)]
pub(super) struct NextPage(pub(super) String);

impl<T: Serialize> Reply for Json<T> {
    fn reply(self) -> Response {
        json(&self.0)
    }
}

impl<T: Serialize> Reply for Page<T> {
    fn reply(self) -> Response {
        let mut response = json(&self);
        if let Some(next) = &self.next {
            response.extensions_mut().insert(NextPage(next.to_string()));
        }
        response
    }
}

impl<R: Reply> Reply for Created<R> {
    fn reply(self) -> Response {
        let Ok(location) = HeaderValue::try_from(self.location) else {
            return Problem::internal("the location of what was created is not a header value")
                .into_response();
        };
        let mut response = self.body.reply();
        if response.status().is_success() {
            *response.status_mut() = StatusCode::CREATED;
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl<R: Reply> Reply for Accepted<R> {
    fn reply(self) -> Response {
        let mut response = self.0.reply();
        if response.status().is_success() {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        response
    }
}

impl<R: Reply> Reply for Tagged<R> {
    fn reply(self) -> Response {
        let mut response = self.body.reply();
        if !response.status().is_success() {
            return response;
        }
        let tag = match self.by {
            TaggedBy::Version => Some(format!("\"{}\"", self.version)),
            TaggedBy::Content => {
                digest(response.body_mut()).map(|digest| format!("\"{}.{digest:016x}\"", self.version))
            }
        };
        if let Some(tag) = tag {
            let tag = HeaderValue::try_from(tag).expect("digits are a header value");
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

impl<R: Reply> Reply for WithCookie<R> {
    fn reply(self) -> Response {
        let mut response = self.body.reply();
        if response.status().is_success() {
            response.headers_mut().append(header::SET_COOKIE, self.cookie.into_header());
        }
        response
    }
}

impl Reply for NoContent {
    fn reply(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }
}

impl Reply for () {
    fn reply(self) -> Response {
        NoContent.reply()
    }
}

impl Reply for Response {
    fn reply(self) -> Response {
        self
    }
}

impl Reply for Problem {
    fn reply(self) -> Response {
        self.into_response()
    }
}

impl Reply for Redirect {
    fn reply(self) -> Response {
        self.into_response()
    }
}

impl<T: IntoResponse> Reply for Html<T> {
    fn reply(self) -> Response {
        self.into_response()
    }
}

/// An event stream. It ends when the process begins to stop, after a last comment.
impl<S, E> Reply for Sse<S>
where
    S: Stream<Item = Result<Event, E>> + Send + 'static,
    E: Into<axum::BoxError>,
{
    fn reply(self) -> Response {
        self.into_response()
    }
}

impl<R: Reply> Reply for Result<R, Error> {
    fn reply(self) -> Response {
        match self {
            Ok(reply) => reply.reply(),
            Err(error) => Problem::from(error).into_response(),
        }
    }
}

impl<R: Reply> Reply for Result<R, Problem> {
    fn reply(self) -> Response {
        match self {
            Ok(reply) => reply.reply(),
            Err(problem) => problem.into_response(),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        self.reply()
    }
}

impl<R: Reply> IntoResponse for Created<R> {
    fn into_response(self) -> Response {
        self.reply()
    }
}

impl<R: Reply> IntoResponse for Accepted<R> {
    fn into_response(self) -> Response {
        self.reply()
    }
}

impl<R: Reply> IntoResponse for Tagged<R> {
    fn into_response(self) -> Response {
        self.reply()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        self.reply()
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    // Most answers fit, and the few larger ones grow in two or three steps.
    const SIZE_HINT: usize = 1_024;
    let mut bytes = Vec::with_capacity(SIZE_HINT);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => {
            let mut response = Response::new(Body::from(Bytes::from(bytes)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => unserializable(&error),
    }
}

/// A digest of a body that is there as a whole; it tells bodies apart, and is no protection against anybody. It may differ
/// between builds, after which a client is sent once what it has.
fn digest(body: &mut Body) -> Option<u64> {
    let size = body.size_hint().exact()?;
    let mut hasher = DefaultHasher::new();
    if size == 0 {
        return Some(hasher.finish());
    }
    // What is not ready yet is asked again by whoever sends it.
    let first = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Some(first)) = first else { return None };
    match first {
        Ok(frame) if frame.data_ref().is_some_and(|data| data.len() as u64 == size) => {
            let bytes = frame.into_data().unwrap_or_default();
            hasher.write(&bytes);
            *body = Body::from(bytes);
            Some(hasher.finish())
        }
        // There is more to come, or nothing any more: it stays as it was.
        first => {
            let rest = BodyStream::new(std::mem::take(body));
            *body = Body::new(StreamBody::new(stream::iter([first]).chain(rest)));
            None
        }
    }
}

#[cold]
fn unserializable(error: &dyn fmt::Display) -> Response {
    Problem::internal(format!("the answer cannot be written as JSON: {error}")).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// Five bytes in two frames, whose number is known; the first may come late.
    struct Parts(Vec<Poll<&'static str>>);

    impl axum::body::HttpBody for Parts {
        type Data = Bytes;
        type Error = axum::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
            cx.waker().wake_by_ref();
            match self.0.pop() {
                None => Poll::Ready(None),
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(text)) => Poll::Ready(Some(Ok(http_body::Frame::data(text.into())))),
            }
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(5)
        }
    }

    struct Streamed(Parts);

    impl Reply for Streamed {
        fn reply(self) -> Response {
            Response::new(Body::new(self.0))
        }
    }

    #[tokio::test]
    async fn a_body_that_comes_in_parts_is_sent_whole_and_has_no_tag() {
        let late = vec![Poll::Ready("o"), Poll::Ready("hell"), Poll::Pending];
        for parts in [late, vec![Poll::Ready("o"), Poll::Ready("hell")]] {
            let response = Tagged::new(3, Streamed(Parts(parts))).reply();
            assert!(!response.headers().contains_key(header::ETAG));
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, "hello");
        }
    }
}
