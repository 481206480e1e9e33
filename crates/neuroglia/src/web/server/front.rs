//! The service that hyper calls: judges the head, asks the application, answers in time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::application::{Answering, Application};
use super::body::{BodyMeter, ReplyBody, RequestBody};
use super::drain::Phase;
use super::flight::{Connection, InFlight};
use super::limits::Limits;
use super::refusal::{IDEMPOTENCY_KEY, Refusal};
use super::watch::later;

/// One connection's way into the application.
pub(super) struct Front<A> {
    pub(super) connection: Arc<Connection>,
    pub(super) application: A,
    pub(super) peer: SocketAddr,
}

impl<A: Application> hyper::service::Service<Request<Incoming>> for Front<A> {
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Answer<A::Answer>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let limits = &self.connection.shared().limits;
        let flight = Some(InFlight::enter(&self.connection, &request));
        let verdict = judge(&request, limits);
        let (mut head, incoming) = request.into_parts();
        let may_repeat = head.method.is_idempotent() || head.headers.contains_key(&IDEMPOTENCY_KEY);
        if let Err(refusal) = verdict {
            let response = self.application.refuse(&Request::from_parts(head, ()), self.peer, refusal);
            return Answer {
                work: Work::Refused(refusal, response),
                flight,
                meter: None,
                timer: None,
                may_repeat,
            };
        }
        let (body, meter) = if incoming.is_end_stream() {
            (Body::empty(), None)
        } else {
            let meter = BodyMeter::new(limits.body_bytes);
            head.extensions.insert(meter.handle());
            (Body::new(RequestBody::new(incoming, Arc::clone(&meter), limits)), Some(meter))
        };
        let answer = self.application.call(Request::from_parts(head, body), self.peer);
        Answer { work: Work::Pending(answer), flight, meter, timer: None, may_repeat }
    }
}

/// What the head alone is enough to refuse for.
fn judge<B>(request: &Request<B>, limits: &Limits) -> Result<(), Refusal> {
    // The method, the target, the version, two spaces and a line end.
    let uri = request.uri();
    let line = request.method().as_str().len()
        + uri.path_and_query().map_or(0, |target| target.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len())
        + " HTTP/1.1\r\n".len()
        + 1;
    if line > limits.request_line_bytes {
        return Err(Refusal::URI_TOO_LONG);
    }
    let headers = request.headers();
    if headers.len() > limits.header_count {
        return Err(Refusal::HEADERS_TOO_LARGE);
    }
    let (mut bytes, mut hosts) = (0, 0);
    for (name, value) in headers {
        // Each field has a colon, a space and a line end besides.
        bytes += name.as_str().len() + value.len() + 4;
        hosts += usize::from(name == HOST);
    }
    if bytes > limits.header_bytes {
        return Err(Refusal::HEADERS_TOO_LARGE);
    }
    // Two parties that disagree on the host of a request can be played off against each other.
    if request.version() == Version::HTTP_11 && hosts != 1 {
        return Err(Refusal::HOST);
    }
    Ok(())
}

/// What an answer comes from: the application, or a refusal and what the application says to it.
enum Work<F> {
    Pending(F),
    Refused(Refusal, Option<Response<Body>>),
}

/// The future of one answer's head.
pub(super) struct Answer<F> {
    work: Work<F>,
    flight: Option<InFlight>,
    meter: Option<Arc<BodyMeter>>,
    /// Only there once the application has made us wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the request may be sent again by somebody who does not know what became of it.
    may_repeat: bool,
}

impl<F> Answer<F> {
    /// What a client is told whose request took too long.
    fn lateness(&self) -> Refusal {
        match &self.meter {
            Some(meter) if meter.awaited() => Refusal::BODY_TIMEOUT,
            _ if self.may_repeat => Refusal::TIMEOUT,
            _ => Refusal::OUTCOME_UNKNOWN,
        }
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(flight) = &self.flight else {
            return Poll::Pending;
        };
        let limits = &flight.connection().shared().limits;
        let timer = self.timer.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(later(tokio::time::Instant::now(), limits.request_timeout)))
        });
        timer.as_mut().poll(cx)
    }
}

impl<F: Answering> Future for Answer<F> {
    type Output = Result<Response<ReplyBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let routed = match &mut this.work {
            Work::Refused(refusal, response) => Err((*refusal, response.take())),
            Work::Pending(answer) => match Pin::new(answer).poll(cx) {
                Poll::Ready(Ok(response)) => Ok(response),
                Poll::Pending => match this.poll_timeout(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => {
                        let refusal = this.lateness();
                        let response = match &mut this.work {
                            Work::Pending(answer) => answer.refuse(refusal),
                            Work::Refused(..) => None,
                        };
                        // Dropping the handler here, and not with the answer, frees what it holds.
                        this.work = Work::Refused(refusal, None);
                        Err((refusal, response))
                    }
                },
            },
        };
        let mut flight = this.flight.take().expect("a future is not polled after it was ready");
        flight.answer();
        Poll::Ready(Ok(finish(routed, flight, this.meter.as_deref())))
    }
}

/// Gives the answer its last touches: the limits' word, and the connection's end.
fn finish(
    routed: Result<Response<Body>, (Refusal, Option<Response<Body>>)>,
    flight: InFlight,
    meter: Option<&BodyMeter>,
) -> Response<ReplyBody> {
    let connection = flight.connection();
    let shared = connection.shared();
    let mut close = shared.phase() >= Phase::Draining;
    let mut response = match routed {
        Ok(response) => response,
        Err((refusal, response)) => {
            tracing::debug!(code = refusal.code, "request refused");
            close |= refusal.status.is_client_error();
            response.unwrap_or_else(|| refusal.response())
        }
    };
    if let Some(fault) = meter.and_then(BodyMeter::fault) {
        tracing::debug!(%fault, "request refused");
        close = true;
        let refusal = fault.refusal();
        if response.status() != refusal.status {
            refusal.overwrite(&mut response);
        }
    }
    // The rest of a body that nobody wants is not waited for, so that no further request can be told from it.
    close |= meter.is_some_and(|meter| !meter.ended()) && connection.awaits_body();
    if close && !connection.multiplexed() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| ReplyBody::new(body, flight))
}
