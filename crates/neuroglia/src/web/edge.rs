//! The application's edge: one service around the router that gives every request its ids and every answer its form.
//!
//! What other frameworks stack up as a dozen layers is here one future, written by hand: request id and trace
//! context, the request's log and metrics, panics, problem documents, conditional requests, CORS, security headers,
//! compression, quotas. A layer costs an allocation or two and a few moves of the request each; the whole edge costs less than
//! two of them.
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use http::Request;
//! use neuroglia::web::{Edge, EdgeSettings};
//! use neuroglia::{clock::Clock, id::Ids};
//! use tower::ServiceExt;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let router = Router::new().route("/", get(async || "hello"));
//! let edge = Edge::new(router, EdgeSettings::default(), &Ids::random(), &Clock::system());
//!
//! let request = Request::get("/nowhere").body(Body::empty()).unwrap();
//! let response = edge.oneshot(request).await.unwrap();
//! assert_eq!(response.status(), 404);
//! assert_eq!(response.headers()["content-type"], "application/problem+json");
//! # });
//! ```
//!
//! # Who does what
//! - [`visit`]: one request from its arrival to its answer; [`answer`]: the future that carries it.
//! - [`arrival`]: what everybody behind the edge may know of the request; [`asks`]: what its headers want of the edge.
//! - [`trace`], [`forwarded`], [`conditional`], [`cors`], [`compression`], [`idempotency`]: one matter each.
//!
//! # Design notes
//! - **The time-out is the server's**, which has the timers; the edge is told ([`Answering::refuse`]) and writes the
//!   problem, so that every answer has its ids, its form and its line in the log.
//! - **A span lies around every request** whenever anything at all is logged, so that each line below it has the
//!   request's and the trace's id. Its own lines are `request started` (debug), and one of `request completed` and
//!   `request cancelled` (info; debug when a probe asked for the health). Neither shows a path, a query, a body or a user
//!   agent unless the settings ask for it. What was refused has the problem's code there, as `error.code`.
//! - **`Cache-Control` is `no-store`** unless the action says otherwise: what is answered to one caller must not be
//!   shown to the next. With an entity tag it is `private, no-cache`: keep it, but ask every time.
//!
//! [`Answering::refuse`]: super::server::Answering::refuse

mod answer;
mod arrival;
mod asks;
mod compression;
mod conditional;
mod cors;
mod forwarded;
mod idempotency;
mod settings;
mod trace;
mod visit;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Request};
use neuroglia_core::cache::{Keyspace, SharedLimits};
use neuroglia_core::clock::Clock;
use neuroglia_core::id::Ids;
use tower::Service;

use self::trace::TraceIds;
use self::visit::Visit;
use super::problem::Problem;
use super::rate_limit::RateLimit;
use super::routing::Routing;
use super::server::{Application, Refusal};
use crate::metrics::Metrics;

pub use super::server::IDEMPOTENCY_KEY;
pub use answer::Answer;
pub(super) use answer::Routed;
pub use arrival::{Arrival, Subscriber, noting_route};
pub(in crate::web) use asks::accepts_gzip;
pub use idempotency::{IDEMPOTENCY_REPLAYED, buffer_and_fingerprint, mark_replayed};
pub use settings::{
    EdgeSettings, ForwardedHeader, InvalidNetwork, InvalidOrigin, Network, Origin, UnknownForwardedHeader,
};

/// The service around an application's router. A clone is one reference count.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    routing: Routing,
    settings: EdgeSettings,
    metrics: Option<Metrics>,
    trace_ids: TraceIds,
    rate_limit: Option<RateLimit>,
    strict_transport: Option<HeaderValue>,
}

impl Edge {
    /// An edge around these routes, or around an axum router. The ids are those of traces, the clock is that of quotas.
    pub fn new(routing: impl Into<Routing>, settings: EdgeSettings, ids: &Ids, clock: &Clock) -> Self {
        let max_age_s = settings.hsts_max_age.as_secs();
        let strict_transport = (max_age_s > 0).then(|| {
            HeaderValue::try_from(format!("max-age={max_age_s}")).expect("digits are a header value")
        });
        Self(Arc::new(Inner {
            routing: routing.into(),
            trace_ids: TraceIds::new(ids),
            rate_limit: settings.rate_limit.map(|quota| RateLimit::new("requests", quota, clock.clone())),
            strict_transport,
            metrics: None,
            settings,
        }))
    }

    /// This edge, counting its requests.
    ///
    /// # Panics
    /// When the edge has been cloned already.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("an edge is completed before it is shared");
        inner.metrics = Some(metrics);
        self
    }

    /// This edge, whose quota counts for all processes that share these limits.
    ///
    /// # Panics
    /// When the edge has been cloned already.
    #[must_use]
    pub(crate) fn with_shared_limits(
        mut self,
        limits: Option<Arc<dyn SharedLimits>>,
        keyspace: &Keyspace,
    ) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("an edge is completed before it is shared");
        inner.rate_limit = inner.rate_limit.take().map(|limit| limit.shared_by(limits, keyspace));
        self
    }

    fn answer(&self, request: Request<Body>, peer: Option<SocketAddr>) -> Answer {
        let visit = Visit::begin(&self.0, &request, peer);
        match self.0.rate_limit.as_ref().zip(visit.limited()) {
            Some((limit, subscriber)) if limit.is_shared() => {
                let (edge, arrival) = (Arc::clone(&self.0), visit.arrival().clone());
                let asked = async move { edge.ask_and_route(&arrival, peer, subscriber, request).await };
                return Answer::new(visit, Routed::Action(Box::pin(asked)));
            }
            Some((limit, subscriber)) => {
                if let Err(error) = limit.admit_here(visit.arrival(), subscriber) {
                    return Answer::new(visit, Routed::Ready(Problem::from(error).into_response()));
                }
            }
            None => {}
        }
        // A layer of the application's may run, and panic, before there is a future.
        let call = AssertUnwindSafe(|| self.0.routing.call(visit.arrival(), peer, request));
        let routed = catch_unwind(call).unwrap_or(Routed::Panicked);
        Answer::new(visit, routed)
    }
}

impl Inner {
    /// Asks whoever counts for all processes, and then the router.
    async fn ask_and_route(
        &self,
        arrival: &Arrival,
        peer: Option<SocketAddr>,
        subscriber: Subscriber,
        request: Request<Body>,
    ) -> Result<Response, Infallible> {
        if let Some(limit) = &self.rate_limit
            && let Err(error) = limit.admit(arrival, subscriber).await
        {
            return Ok(Problem::from(error).into_response());
        }
        self.routing.call(arrival, peer, request).answer().await
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Edge
where
    B: HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|&ConnectInfo(peer)| peer);
        self.answer(request.map(Body::new), peer)
    }
}

impl Application for Edge {
    type Answer = Answer;

    fn call(&self, request: Request<Body>, peer: SocketAddr) -> Answer {
        self.answer(request, Some(peer))
    }

    fn refuse(&self, request: &Request<()>, peer: SocketAddr, refusal: Refusal) -> Option<Response> {
        Some(Visit::begin(&self.0, request, Some(peer)).finish(Problem::from(refusal).into_response()))
    }
}
