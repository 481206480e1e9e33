//! What a server serves, and how it tells the application of its own refusals.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use http::{Request, Response};

use super::refusal::Refusal;

/// What a server serves: something that answers requests, such as an [`axum::Router`].
///
/// An application that gives all of its answers a form of its own also words the server's refusals, as far as there is
/// a request to answer.
pub trait Application: Clone + Send + Sync + 'static {
    /// The future of an answer.
    type Answer: Answering;

    /// Begins to answer.
    fn call(&self, request: Request<Body>) -> Self::Answer;

    /// The answer to a request that the server refuses for its head; `None` leaves the words to the server.
    fn refuse(&self, request: &Request<()>, refusal: Refusal) -> Option<Response<Body>> {
        let _ = (request, refusal);
        None
    }
}

/// The future of an answer, which the server may stop waiting for.
pub trait Answering: Future<Output = Result<Response<Body>, Infallible>> + Send + Unpin + 'static {
    /// Gives up, and answers with the refusal instead; `None` leaves the words to the server. The future is not
    /// polled again.
    fn refuse(&mut self, refusal: Refusal) -> Option<Response<Body>> {
        let _ = refusal;
        None
    }
}

impl Application for Router {
    type Answer = RouteFuture<Infallible>;

    fn call(&self, request: Request<Body>) -> Self::Answer {
        tower::Service::call(&mut self.clone(), request)
    }
}

impl Answering for RouteFuture<Infallible> {}
