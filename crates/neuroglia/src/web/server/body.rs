//! Bodies that count: size and speed on the way in, the end on the way out.
//!
//! A limit on request bodies is enforced where the body is read, not before the router: a route may
//! raise it, and a request that is refused for another reason is not worth measuring. A body whose
//! announced length is too large fails at the first look, before a byte of it is read and before a
//! client that asks (`Expect: 100-continue`) is told to send it.
//!
//! The handler sees a failed body as an error. Whatever it makes of that, the answer becomes the
//! 413 or 408 that the fault stands for.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::flight::{InFlight, LastPiece};
use super::limits::Limits;
use super::refusal::Refusal;
use super::watch::later;

/// The limit on the body of this request; a request extension, so that a route can move it.
///
/// It has to be moved before the body is read: in a layer, or by an extractor that comes before the
/// one that reads. The body of a request with an `Idempotency-Key` is read before either, because its
/// digest belongs to the key: for such a request [`Limits::body_bytes`] holds on every route.
///
/// ```
/// # use axum::{extract::Request, middleware::Next, response::Response};
/// # use neuroglia::web::server::BodyLimit;
/// async fn uploads(request: Request, next: Next) -> Response {
///     if let Some(limit) = request.extensions().get::<BodyLimit>() {
///         limit.set(64 * 1024 * 1024);
///     }
///     next.run(request).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct BodyLimit(Arc<BodyMeter>);

impl BodyLimit {
    /// Sets the limit for this one request.
    pub fn set(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// Why reading the body failed, if it did by the server's decision.
    pub fn fault(&self) -> Option<BodyFault> {
        self.0.fault()
    }
}

/// Why reading a request body failed, as far as it was the server's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is larger than [`Limits::body_bytes`].
    TooLarge,
    /// It is slower than [`Limits::body_rate`].
    TooSlow,
}

impl BodyFault {
    /// What the client is told.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Self::TooLarge => Refusal::BODY_TOO_LARGE,
            Self::TooSlow => Refusal::BODY_TOO_SLOW,
        }
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "request body is too large",
            Self::TooSlow => "request body arrives too slowly",
        })
    }
}

impl Error for BodyFault {}

/// What the body, the front and the route know of one request body.
#[derive(Debug)]
pub(super) struct BodyMeter {
    limit: AtomicU64,
    fault: AtomicU8,
    ended: AtomicBool,
    awaited: AtomicBool,
}

impl BodyMeter {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU64::new(limit),
            fault: AtomicU8::new(0),
            ended: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
        })
    }

    pub(super) fn handle(self: &Arc<Self>) -> BodyLimit {
        BodyLimit(Arc::clone(self))
    }

    pub(super) fn fault(&self) -> Option<BodyFault> {
        match self.fault.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(BodyFault::TooLarge),
            _ => Some(BodyFault::TooSlow),
        }
    }

    /// Whether the body was read to its end.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for more of it.
    pub(super) fn awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    fn fail(&self, fault: BodyFault) {
        let code = match fault {
            BodyFault::TooLarge => 1,
            BodyFault::TooSlow => 2,
        };
        self.fault.store(code, Ordering::Relaxed);
    }
}

/// A request body under its limits.
pub(super) struct RequestBody {
    inner: Incoming,
    meter: Arc<BodyMeter>,
    read: u64,
    pace: Pace,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, meter: Arc<BodyMeter>, limits: &Limits) -> Self {
        Self { inner, meter, read: 0, pace: Pace::new(limits) }
    }

    fn fail(&mut self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        self.meter.fail(fault);
        Poll::Ready(Some(Err(Box::new(fault))))
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.meter.fault().is_some() {
            return Poll::Ready(None);
        }
        let limit = self.meter.limit.load(Ordering::Relaxed);
        if self.read.saturating_add(self.inner.size_hint().lower()) > limit {
            return self.fail(BodyFault::TooLarge);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.meter.awaited.store(polled.is_pending(), Ordering::Relaxed);
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.pace.resume();
                if let Some(data) = frame.data_ref() {
                    self.read = self.read.saturating_add(data.len() as u64);
                    if self.read > limit {
                        return self.fail(BodyFault::TooLarge);
                    }
                }
                if self.inner.is_end_stream() {
                    self.meter.ended.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.meter.ended.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let read = self.read;
                match self.pace.poll_too_slow(cx, read) {
                    Poll::Ready(()) => self.fail(BodyFault::TooSlow),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.meter.awaited.store(false, Ordering::Relaxed);
    }
}

/// The speed of a body, over the time in which someone waited for it.
///
/// Time that the handler spends elsewhere is not the client's fault and does not count.
struct Pace {
    rate: u32,
    grace: Duration,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self {
            rate: limits.body_rate,
            grace: limits.body_rate_grace,
            waited: Duration::ZERO,
            waiting_since: None,
            timer: None,
        }
    }

    fn resume(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// How long one may have waited for `read` bytes.
    fn allowance(&self, read: u64) -> Duration {
        let millis = read.saturating_mul(1000) / u64::from(self.rate.max(1));
        Duration::from_millis(millis).max(self.grace)
    }

    fn poll_too_slow(&mut self, cx: &mut Context<'_>, read: u64) -> Poll<()> {
        if self.rate == 0 {
            return Poll::Pending;
        }
        let now = Instant::now();
        let since = *self.waiting_since.get_or_insert(now);
        let due = later(since, self.allowance(read).saturating_sub(self.waited));
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != due {
                    timer.as_mut().reset(due);
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep_until(due))),
        };
        timer.as_mut().poll(cx)
    }
}

/// The most that is given to HTTP/2 at once.
///
/// h2 takes whatever it is given and keeps it until the client makes room. A large answer would then
/// look finished while most of it lies in our memory.
const PIECE: usize = 64 * 1024;

/// The body of an answer; it keeps its request in flight until the end.
pub(super) struct ReplyBody {
    inner: Body,
    /// What is left of a frame that was too large for HTTP/2.
    rest: Bytes,
    flight: InFlight,
    ended: bool,
    /// For HTTP/2: data was given, or could be, and the client has not made room for more.
    unread: bool,
}

impl ReplyBody {
    pub(super) fn new(inner: Body, flight: InFlight) -> Self {
        let unread = flight.connection().multiplexed() && !inner.is_end_stream();
        if unread {
            flight.connection().offer();
        }
        Self { inner, rest: Bytes::new(), flight, ended: false, unread }
    }

    fn set_unread(&mut self, unread: bool) {
        if std::mem::replace(&mut self.unread, unread) != unread {
            let connection = self.flight.connection();
            if unread { connection.offer() } else { connection.taken() }
        }
    }
}

impl HttpBody for ReplyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.flight.connection().multiplexed() {
            let frame = Pin::new(&mut self.inner).poll_frame(cx);
            self.ended = ends(&frame);
            return frame;
        }
        let frame = if self.rest.is_empty() {
            Pin::new(&mut self.inner).poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
        };
        self.flight.connection().progress();
        self.set_unread(matches!(frame, Poll::Ready(Some(Ok(_)))));
        self.ended = ends(&frame);
        match frame {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame.map_data(|mut data| {
                if data.len() > PIECE {
                    self.rest = data.split_off(PIECE);
                }
                if self.is_end_stream() { LastPiece::watched(self.flight.connection(), data) } else { data }
            })))),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Whether nothing comes after this. A body that failed is as finished as it will ever be: it was
/// not cut by the server.
fn ends(frame: &Poll<Option<Result<Frame<Bytes>, axum::Error>>>) -> bool {
    matches!(frame, Poll::Ready(None | Some(Err(_))))
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        self.set_unread(false);
        if self.ended || self.is_end_stream() {
            self.flight.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_time_by_what_it_brings() {
        let limits = Limits { body_rate: 100, body_rate_grace: Duration::from_secs(5), ..Limits::default() };
        let pace = Pace::new(&limits);
        assert_eq!(pace.allowance(0), Duration::from_secs(5));
        assert_eq!(pace.allowance(499), Duration::from_secs(5));
        assert_eq!(pace.allowance(1000), Duration::from_secs(10));
        assert!(pace.allowance(u64::MAX) > Duration::from_secs(1_000_000));
    }
}
