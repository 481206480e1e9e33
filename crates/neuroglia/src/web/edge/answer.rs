//! The future of an answer.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use futures_util::future::BoxFuture;
use http::StatusCode;

use super::visit::Visit;
use crate::web::problem::Problem;
use crate::web::server::{Answering, Refusal};

/// The future of an answer. When it is dropped before it is ready, the request was cancelled, and the log says so.
pub struct Answer {
    routed: Routed,
    /// None once it is answered.
    visit: Option<Visit>,
}

/// How far an answer has come.
pub(in crate::web) enum Routed {
    /// An action is at work.
    Action(BoxFuture<'static, Result<Response, Infallible>>),
    /// axum's router is at work.
    Router(RouteFuture<Infallible>),
    /// It is there.
    Ready(Response),
    /// There is none.
    Panicked,
}

impl Routed {
    /// Waits for it, for those who do not poll.
    pub(in crate::web) async fn answer(self) -> Result<Response, Infallible> {
        match self {
            Self::Action(action) => action.await,
            Self::Router(route) => route.await,
            Self::Ready(response) => Ok(response),
            Self::Panicked => Ok(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()),
        }
    }

    /// None when there is nothing to wait for.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Poll<Result<Response, Infallible>>> {
        match self {
            Self::Action(action) => Some(action.as_mut().poll(cx)),
            Self::Router(route) => Some(Pin::new(route).poll(cx)),
            Self::Ready(_) | Self::Panicked => None,
        }
    }
}

impl Answer {
    pub(super) fn new(visit: Visit, routed: Routed) -> Self {
        Self { routed, visit: Some(visit) }
    }
}

impl Future for Answer {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { routed, visit } = self.get_mut();
        let entered = visit.as_ref().expect("a future is not polled after it was ready").span().enter();
        match catch_unwind(AssertUnwindSafe(|| routed.poll(cx))) {
            Ok(Some(Poll::Pending)) => return Poll::Pending,
            Ok(Some(Poll::Ready(Ok(response)))) => replace(routed, Routed::Ready(response)),
            Ok(None) => {}
            Err(_) => replace(routed, Routed::Panicked),
        }
        drop(entered);
        let response = match std::mem::replace(routed, Routed::Panicked) {
            Routed::Ready(response) => response,
            // The panic hook has told what happened.
            _ => Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
        };
        let visit = visit.take().expect("it was there above");
        Poll::Ready(Ok(visit.finish(response)))
    }
}

impl Answering for Answer {
    fn refuse(&mut self, refusal: Refusal) -> Option<Response> {
        let visit = self.visit.take()?;
        {
            let _entered = visit.span().enter();
            replace(&mut self.routed, Routed::Panicked);
        }
        Some(visit.finish(Problem::from(refusal).into_response()))
    }
}

/// Drops what was there before, which is the application's and may panic.
fn replace(routed: &mut Routed, next: Routed) {
    let before = std::mem::replace(routed, next);
    if catch_unwind(AssertUnwindSafe(|| drop(before))).is_err() {
        *routed = Routed::Panicked;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(visit) = &self.visit {
            visit.cancel();
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("is_ready", &self.visit.is_none()).finish_non_exhaustive()
    }
}
