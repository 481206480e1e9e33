//! A request as it arrived: its ids, its client, and what the edge has to hear of it before it answers.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use axum::extract::{FromRequestParts, MatchedPath};
use http::request::Parts;
use http::{Extensions, HeaderValue, Request};

use super::trace::TraceContext;
use crate::web::extract::ContentLimits;
use crate::web::problem::Problem;
use crate::web::rate_limit::Allowance;
use crate::web::routing::Matched;

/// A request as it arrived: an extension of every request that comes through the edge, and an extractor.
///
/// A clone is one reference count.
#[derive(Clone)]
pub struct Arrival(Arc<Inner>);

struct Inner {
    trace: TraceContext,
    request_id: HeaderValue,
    client: Option<IpAddr>,
    is_https: bool,
    content: ContentLimits,
    route: OnceLock<Found>,
    allowances: Mutex<Vec<Allowance>>,
}

/// What answers the request.
enum Found {
    Action(Matched),
    /// It was found by axum.
    Router(MatchedPath),
}

impl Arrival {
    pub(super) fn new(
        trace: TraceContext,
        request_id: Option<HeaderValue>,
        client: Option<IpAddr>,
        is_https: bool,
        content: ContentLimits,
    ) -> Self {
        // A request that brought no id is told by its trace.
        let request_id = request_id.unwrap_or_else(|| trace.trace_id_header());
        Self(Arc::new(Inner {
            trace,
            request_id,
            client,
            is_https,
            content,
            route: OnceLock::new(),
            allowances: Mutex::default(),
        }))
    }

    /// The id of the request: the client's `X-Request-Id`, or else one of ours.
    pub fn request_id(&self) -> &str {
        self.0.request_id.to_str().expect("only ids of ASCII are taken over")
    }

    /// The id of the trace that the request is part of.
    pub fn trace_id(&self) -> &str {
        self.0.trace.trace_id()
    }

    /// The id of the request's own span.
    pub fn span_id(&self) -> &str {
        self.0.trace.span_id()
    }

    /// The value of `traceparent` for whatever is done on behalf of the request.
    pub fn traceparent(&self) -> String {
        self.0.trace.as_str().to_owned()
    }

    /// The client's address; behind our own proxies the one that they tell. None when nobody knows, as in a test
    /// without a network.
    pub fn client_address(&self) -> Option<IpAddr> {
        self.0.client
    }

    /// What a limit by address counts as one client, such as [`RateLimit`](crate::web::RateLimit)'s key. None when nobody
    /// knows the address.
    pub fn subscriber(&self) -> Option<Subscriber> {
        self.0.client.map(Subscriber::of)
    }

    /// Whether the client reached us by https, as far as a trusted proxy tells.
    pub fn is_https(&self) -> bool {
        self.0.is_https
    }

    /// What the request's content may cost.
    pub fn content_limits(&self) -> ContentLimits {
        self.0.content
    }

    /// Notes which route answers, for the request log. Whatever runs behind the router calls it; for a router that
    /// is not part of the application's `Web`, [`noting_route`] does.
    pub fn note_route(extensions: &Extensions) {
        if let Some(arrival) = extensions.get::<Self>()
            && let Some(path) = extensions.get::<MatchedPath>()
        {
            // The first one is the innermost route's and stays.
            arrival.0.route.get_or_init(|| Found::Router(path.clone()));
        }
    }

    /// Notes the action that answers, and where its path's parameters are.
    pub(in crate::web) fn note_match(&self, matched: Matched) {
        self.0.route.get_or_init(|| Found::Action(matched));
    }

    /// What [`Arrival::note_match`] was told; none when axum has found what answers.
    pub(in crate::web) fn matched(&self) -> Option<&Matched> {
        match self.0.route.get()? {
            Found::Action(matched) => Some(matched),
            Found::Router(_) => None,
        }
    }

    /// The template of the route that answers, once it is known.
    pub fn route(&self) -> Option<&str> {
        Some(match self.0.route.get()? {
            Found::Action(matched) => matched.template(),
            Found::Router(path) => path.as_str(),
        })
    }

    /// Has the answer tell what is left of a quota.
    pub(in crate::web) fn note(&self, allowance: Allowance) {
        self.0.allowances.lock().unwrap_or_else(PoisonError::into_inner).push(allowance);
    }

    pub(super) fn take_allowances(&self) -> Vec<Allowance> {
        std::mem::take(&mut *self.0.allowances.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn request_id_header(&self) -> HeaderValue {
        self.0.request_id.clone()
    }

    pub(super) fn traceparent_header(&self) -> HeaderValue {
        self.0.trace.to_header()
    }
}

/// Who is on the other side of an address: the whole of what a provider gives to one subscriber, which with IPv6 is a
/// /64. Whoever counted single addresses there would let one client have as many quotas as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscriber(IpAddr);

impl Subscriber {
    /// The subscriber to whom the address was given.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("request_id", &self.0.request_id)
            .field("traceparent", &self.0.trace.as_str())
            .field("client", &self.0.client)
            .field("route", &self.route())
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Arrival {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Self>().cloned();
        arrival.ok_or_else(|| Problem::internal("the request did not come through the edge"))
    }
}

/// A router whose routes note themselves for the request log.
pub fn noting_route(router: axum::Router) -> axum::Router {
    if router.has_routes() { router.route_layer(NoteRouteLayer) } else { router }
}

#[derive(Debug, Clone, Copy)]
struct NoteRouteLayer;

impl<S> tower::Layer<S> for NoteRouteLayer {
    type Service = NoteRoute<S>;

    fn layer(&self, inner: S) -> NoteRoute<S> {
        NoteRoute(inner)
    }
}

#[derive(Debug, Clone)]
struct NoteRoute<S>(S);

impl<S, B> tower::Service<Request<B>> for NoteRoute<S>
where
    S: tower::Service<Request<B>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        Arrival::note_route(request.extensions());
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_one_subscriber() {
        let subscriber = |address: &str| Subscriber::of(address.parse().expect("an address"));
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::7", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("0.0.0.0", "::", false),
        ] {
            assert_eq!(subscriber(one) == subscriber(other), same, "{one} {other}");
        }
    }
}
