//! What a server serves, and how it tells the application of its own refusals.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
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

    /// Begins to answer whoever is at this address, which may be a proxy.
    fn call(&self, request: Request<Body>, peer: SocketAddr) -> Self::Answer;

    /// The answer to a request that the server refuses for its head; `None` leaves the words to the server.
    fn refuse(&self, request: &Request<()>, peer: SocketAddr, refusal: Refusal) -> Option<Response<Body>> {
        let _ = (request, peer, refusal);
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

    fn call(&self, mut request: Request<Body>, peer: SocketAddr) -> Self::Answer {
        request.extensions_mut().insert(ConnectInfo(peer));
        tower::Service::call(&mut self.clone(), request)
    }
}

impl Answering for RouteFuture<Infallible> {}
