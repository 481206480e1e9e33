//! One request from its arrival to its answer.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use tracing::Span;

use super::arrival::{Arrival, Subscriber};
use super::asks::{Asks, RarelyAsked};
use super::forwarded::{self, Client};
use super::{Inner, compression, conditional, cors};
use crate::health::is_probe;
use crate::metrics::{ActiveRequest, Metrics};
use crate::web::problem::{PROBLEM_JSON, Problem};
use crate::web::reply::NextPage;
use crate::web::server::{BodyFault, BodyLimit};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const ASK_ALWAYS: HeaderValue = HeaderValue::from_static("private, no-cache");
/// What is kept for one caller is not what another gets.
const BY_CALLER: HeaderValue = HeaderValue::from_static("authorization, cookie");

/// What a page of ours may do unless it says otherwise: use what comes from here, and be framed by nobody.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);

/// What the edge remembers of a request while the router has it.
pub(super) struct Visit {
    edge: Arc<Inner>,
    arrival: Arrival,
    method: Method,
    target: Option<PathAndQuery>,
    gzip: bool,
    rarely: Option<Box<RarelyAsked>>,
    body_limit: Option<BodyLimit>,
    span: Span,
    started: Instant,
    _active: Option<ActiveRequest>,
}

impl Visit {
    pub(super) fn begin<B>(edge: &Arc<Inner>, request: &Request<B>, peer: Option<SocketAddr>) -> Self {
        let settings = &edge.settings;
        let mut asks = Asks::of(request.headers(), settings);
        let followed = asks.traceparent.take().and_then(|parent| edge.trace_ids.follow(parent.as_bytes()));
        let trace = followed.unwrap_or_else(|| edge.trace_ids.begin());
        let client = peer.map(|peer| client(edge, &asks, request.headers(), peer));
        let arrival = Arrival::new(
            trace,
            asks.request_id.take(),
            client.map(|client| client.address),
            client.is_some_and(|client| client.is_https),
            settings.content,
        );
        let span =
            tracing::error_span!("request", request.id = arrival.request_id(), trace.id = arrival.trace_id());
        let visit = Self {
            edge: Arc::clone(edge),
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            body_limit: request.extensions().get::<BodyLimit>().cloned(),
            started: Instant::now(),
            _active: edge.metrics.as_ref().map(Metrics::active_request),
            gzip: asks.gzip,
            rarely: asks.rarely,
            arrival,
            span,
        };
        visit.span.in_scope(|| {
            tracing::debug!(
                http.method = visit.method.as_str(),
                url.path = visit.shown_path(),
                client.address = visit.arrival.client_address().map(display),
                "request started"
            );
        });
        visit
    }

    pub(super) fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Whether it is a probe: whoever asks for the health has to get an answer, and leaves no trace in the log.
    fn is_probe(&self) -> bool {
        self.target.as_ref().is_some_and(|target| is_probe(target.path()))
    }

    /// Whose quota the request counts for, if it counts.
    pub(super) fn limited(&self) -> Option<Subscriber> {
        self.arrival.subscriber().filter(|_| !self.is_probe())
    }

    /// Gives the answer its form, and records the end of the request.
    pub(super) fn finish(self, mut response: Response) -> Response {
        let _entered = self.span.enter();
        // A handler may have made anything of a body that it could not read, even a success. The server does not let
        // that pass, so it must not be what is logged.
        let fault = self.body_limit.as_ref().and_then(BodyLimit::fault);
        let refused = response.status().as_u16() >= 400 || fault.is_some();
        let code = if refused { self.explain(&mut response, fault) } else { None };
        if !response.extensions().is_empty() {
            self.link_next_page(&mut response);
        }
        if self.method != Method::HEAD && response.body().size_hint().exact().is_some() {
            // The server tells the length of a body that is there, and with one header less the map need not grow.
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        self.dress(response.headers_mut());
        let settings = &self.edge.settings;
        compression::compress(&mut response, self.gzip, settings.compression_bytes_min);
        if let Some(asks) = &self.rarely {
            conditional::spare(&mut response, &self.method, asks.if_none_match.as_ref());
        }
        self.record_end(response.status(), code.as_deref());
        response
    }

    /// Logs that nobody waits for the answer any more.
    pub(super) fn cancel(&self) {
        let _entered = self.span.enter();
        tracing::info!(
            http.method = self.method.as_str(),
            http.route = self.arrival.route(),
            url.path = self.shown_path(),
            duration_ms = millis(self.started.elapsed()),
            client.address = self.arrival.client_address().map(display),
            "request cancelled"
        );
    }

    /// The path, where the log shall have it.
    fn shown_path(&self) -> Option<&str> {
        let path = || self.target.as_ref().map(PathAndQuery::path);
        self.edge.settings.log_path.then(path).flatten()
    }

    fn record_end(&self, status: StatusCode, error_code: Option<&str>) {
        let duration = self.started.elapsed();
        if let Some(metrics) = &self.edge.metrics {
            metrics.request(&self.method, self.arrival.route(), status, duration);
        }
        let settings = &self.edge.settings;
        if settings.log_quietly || self.is_probe() {
            // Whether the process is well is told when it changes, and not several times a minute.
            tracing::debug!(
                http.method = self.method.as_str(),
                http.route = self.arrival.route(),
                url.path = self.shown_path(),
                http.status = status.as_u16(),
                error.code = error_code,
                duration_ms = millis(duration),
                client.address = self.arrival.client_address().map(display),
                "request completed"
            );
            return;
        }
        let query = || self.target.as_ref().and_then(PathAndQuery::query);
        let user_agent = || self.rarely.as_ref()?.user_agent.as_ref()?.to_str().ok();
        tracing::info!(
            http.method = self.method.as_str(),
            http.route = self.arrival.route(),
            url.path = self.shown_path(),
            http.status = status.as_u16(),
            error.code = error_code,
            duration_ms = millis(duration),
            client.address = self.arrival.client_address().map(display),
            http.query = settings.log_query.then(query).flatten(),
            http.user_agent = settings.log_user_agent.then(user_agent).flatten(),
            "request completed"
        );
    }

    /// Makes a problem document of an answer of 400 and above, or to a body that was refused; gives its code.
    #[cold]
    fn explain(&self, response: &mut Response, fault: Option<BodyFault>) -> Option<String> {
        let anywhere = self.target.as_ref().is_some_and(|target| target == "*");
        let asks_methods = anywhere || response.status() == StatusCode::METHOD_NOT_ALLOWED;
        if self.method == Method::OPTIONS && asks_methods && fault.is_none() {
            self.tell_methods(response);
            return None;
        }
        let problem = self.problem(response, fault)?;
        let code = problem.code().to_owned();
        if let Some(cause) = problem.cause() {
            let error = cause as &(dyn StdError + 'static);
            if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
                tracing::warn!(error, error.code = cause.code(), "request failed");
            } else {
                tracing::error!(error, error.code = cause.code(), "request failed");
            }
        }
        let headers = response.headers_mut();
        for described in
            [header::CONTENT_ENCODING, header::TRANSFER_ENCODING, header::ETAG, header::LAST_MODIFIED]
        {
            headers.remove(described);
        }
        for (name, value) in problem.headers() {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        let document = problem.located(path, self.arrival.trace_id()).to_json();
        headers.insert(header::CONTENT_LENGTH, document.len().into());
        let is_head = self.method == Method::HEAD;
        *response.body_mut() = if is_head { Body::empty() } else { Body::from(document) };
        Some(code)
    }

    /// What the answer says, or what its status and the request's body say for it. None when it is a document that
    /// the application wrote without our type.
    fn problem(&self, response: &mut Response, fault: Option<BodyFault>) -> Option<Problem> {
        let told = response.extensions_mut().remove::<Problem>();
        if let Some(refusal) = fault.map(BodyFault::refusal) {
            *response.status_mut() = refusal.status;
            let told = told.filter(|problem| problem.status() == refusal.status);
            return Some(told.unwrap_or_else(|| refusal.into()));
        }
        if told.is_some() {
            return told;
        }
        if is_foreign_document(response) && response.status().is_client_error() {
            return None;
        }
        Some(match response.status() {
            StatusCode::NOT_FOUND if self.arrival.route().is_none() => {
                Problem::new(StatusCode::NOT_FOUND, "route.not_found", "there is nothing at this path")
            }
            status => Problem::of_status(status),
        })
    }

    /// Answers OPTIONS for a route that has no answer of its own.
    fn tell_methods(&self, response: &mut Response) {
        let mut told = StatusCode::NO_CONTENT.into_response();
        if let Some(methods) = response.headers_mut().remove(header::ALLOW) {
            let with_options = [methods.as_bytes(), b",OPTIONS"].concat();
            let methods = HeaderValue::from_bytes(&with_options).unwrap_or(methods);
            told.headers_mut().insert(header::ALLOW, methods);
        }
        *response = told;
    }

    /// Makes the `Link` header of a page that has a next one.
    fn link_next_page(&self, response: &mut Response) {
        let Some(NextPage(cursor)) = response.extensions_mut().remove() else { return };
        let Some(target) = &self.target else { return };
        let mut link = format!("<{}?", target.path());
        for pair in target.query().unwrap_or_default().split('&') {
            if !pair.is_empty() && pair != "cursor" && !pair.starts_with("cursor=") {
                link.push_str(pair);
                link.push('&');
            }
        }
        link.extend(["cursor=", &cursor, ">; rel=\"next\""]);
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().append(header::LINK, link);
        }
    }

    /// Adds the headers that every answer has.
    fn dress(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.arrival.request_id_header());
        headers.insert(TRACEPARENT, self.arrival.traceparent_header());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.insert(header::REFERRER_POLICY, NO_REFERRER);
        if !headers.contains_key(header::CACHE_CONTROL) {
            let is_tagged = headers.contains_key(header::ETAG);
            headers.insert(header::CACHE_CONTROL, if is_tagged { ASK_ALWAYS } else { NO_STORE });
            if is_tagged {
                headers.append(header::VARY, BY_CALLER);
            }
        }
        let is_page =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page && !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
            headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
        }
        if let Some(policy) = &self.edge.strict_transport
            && self.arrival.is_https()
        {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, policy.clone());
        }
        for allowance in self.arrival.take_allowances() {
            for (name, item) in [(RATE_LIMIT_POLICY, allowance.policy()), (RATE_LIMIT, allowance.state())] {
                headers.append(
                    name,
                    HeaderValue::try_from(item).expect("a name and numbers are a header value"),
                );
            }
        }
        cors::allow(headers, self.rarely.as_deref(), &self.edge.settings.allowed_origins);
    }
}

fn client(edge: &Inner, asks: &Asks, headers: &HeaderMap, peer: SocketAddr) -> Client {
    if asks.forwards {
        let settings = &edge.settings;
        forwarded::client(peer.ip(), headers, &settings.trusted_proxies, settings.forwarded_header)
    } else {
        Client { address: peer.ip().to_canonical(), is_https: false }
    }
}

/// Whether the application wrote a problem document by itself, without our type.
fn is_foreign_document(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE) == Some(&PROBLEM_JSON) && !response.body().is_end_stream()
}

fn millis(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}
