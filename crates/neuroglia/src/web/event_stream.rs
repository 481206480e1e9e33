//! Event streams end when the process does.
//!
//! An event stream has no end of its own, so it would be cut at the deadline like work that was left undone. Instead it
//! ends as soon as [`Stopping`] has begun, between two events and after a last comment. A browser's `EventSource` then
//! connects again, to a process that stays.

use std::future::ready;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, header};
use neuroglia_core::hosting::Stopping;

/// A comment, which says to people what clients need not hear.
const FAREWELL: Bytes = Bytes::from_static(b": the server is stopping\n\n");

/// Whether the answer is an event stream.
pub(super) fn is_event_stream(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The event stream, with an end when the process begins to stop.
pub(super) fn end_with(stopping: &Stopping, events: Response<Body>) -> Response<Body> {
    let (begun, asked) = (stopping.clone(), stopping.clone());
    let farewell = stream::once(ready(())).filter_map(move |()| {
        let ended_by_us = asked.has_begun();
        ready(ended_by_us.then_some(Ok::<_, BoxError>(FAREWELL)))
    });
    events.map(|body| {
        let events = body.into_data_stream().map(|data| data.map_err(BoxError::from));
        Body::from_stream(events.take_until(async move { begun.begun().await }).chain(farewell))
    })
}
