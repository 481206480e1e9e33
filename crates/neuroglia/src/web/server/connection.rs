//! One connection from its first byte to its last.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::application::Application;
use super::drain::{Phase, Shared};
use super::flight::Connection;
use super::front::Front;
use super::io::{Io, Protocol};
use super::limits::Limits;
use super::refusal::Refusal;
use super::watch::{Verdict, Watch};

/// How often an idle HTTP/2 connection is asked whether its client is still there.
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// How many frames of cancelled or faulty HTTP/2 streams may wait to be looked at.
const H2_RESETS_PENDING: usize = 20;

/// What all connections are served with.
pub(super) struct Host<A> {
    shared: Arc<Shared>,
    application: A,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

impl<A: Application> Host<A> {
    pub(super) fn new(shared: Arc<Shared>, application: A) -> Self {
        let limits = &shared.limits;
        let mut http1 = http1::Builder::new();
        http1
            // Our clock covers this, without a timer for each request.
            .header_read_timeout(None)
            .max_header_size(limits.head_bytes());
        // hyper keeps up to its default of a hundred on the stack, and allocates for other values.
        if limits.header_count > 100 {
            http1.max_headers(limits.header_count);
        }
        let mut http2 = http2::Builder::new(Streams(Arc::clone(&shared)));
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(H2_PING_INTERVAL)
            .max_concurrent_streams(limits.h2_streams)
            .max_pending_accept_reset_streams(H2_RESETS_PENDING)
            .max_local_error_reset_streams(usize::try_from(limits.h2_resets).ok())
            .max_header_list_size(h2_header_list_bytes(limits));
        Self { shared, application, http1, http2 }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Says whether somebody waits for a place, and there is none.
    pub(super) fn crowd(&self, crowded: bool) {
        self.shared.crowd(crowded);
    }

    /// Serves a connection in a task of its own. The permit is given back at its end.
    pub(super) fn spawn(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let host = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            host.serve(stream, peer).await;
            drop(permit);
        });
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        // An answer that fits into one packet should leave at once. If this fails, the client is gone.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let connection = Connection::new(&self.shared);
        let mut watch = Watch::new(&connection);
        let mut io = Io::new(stream, Arc::clone(&connection));
        let front =
            Front { connection: Arc::clone(&connection), application: self.application.clone(), peer };

        match protocol(&mut io, &mut watch).await {
            Ok(Some(Protocol::Http1)) => self.serve_http1(io, front, &mut watch).await,
            Ok(Some(Protocol::Http2)) => self.serve_http2(io, front, &mut watch).await,
            Err(Verdict::HeadTimeout) => self.refuse_head(io, &mut watch).await,
            // Nothing is unread, so that closing the socket is a plain end and not a reset.
            Ok(None) | Err(_) => (),
        }
    }

    async fn serve_http1(&self, io: Io, front: Front<A>, watch: &mut Watch<'_>) {
        let connection = Arc::clone(&front.connection);
        let mut served = self.http1.serve_connection(TokioIo::new(io), front);
        let verdict = std::future::poll_fn(|cx| {
            loop {
                if Pin::new(&mut served).poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                match ready!(watch.poll(cx)) {
                    // HTTP/1 announces the end on each answer, and hyper would close at once.
                    Verdict::Announce => (),
                    Verdict::Close => Pin::new(&mut served).graceful_shutdown(),
                    verdict => return Poll::Ready(Some(verdict)),
                }
            }
        })
        .await;
        if verdict == Some(Verdict::HeadTimeout) {
            self.refuse_head(served.into_parts().io.into_inner(), watch).await;
        } else if verdict.is_some() && self.shared.phase() == Phase::Aborted {
            drop(served);
            connection.leave_withheld();
        }
    }

    async fn serve_http2(&self, io: Io, front: Front<A>, watch: &mut Watch<'_>) {
        let connection = Arc::clone(&front.connection);
        {
            let mut served = pin!(self.http2.serve_connection(TokioIo::new(io), front));
            std::future::poll_fn(|cx| {
                loop {
                    if served.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    match ready!(watch.poll(cx)) {
                        Verdict::Announce | Verdict::Close => served.as_mut().graceful_shutdown(),
                        Verdict::HeadTimeout | Verdict::Cut => return Poll::Ready(()),
                    }
                }
            })
            .await;
        }
        // What h2 held of answers has counted itself; this is what it had given to the socket.
        if self.shared.phase() == Phase::Aborted {
            connection.leave_withheld();
        }
    }

    /// Answers half a head, and closes.
    async fn refuse_head(&self, mut io: Io, watch: &mut Watch<'_>) {
        tracing::debug!(code = Refusal::HEAD_TIMEOUT.code, "request refused");
        let answer = Refusal::HEAD_TIMEOUT.bytes("");
        let mut closing = pin!(async {
            io.write_all(&answer).await?;
            io.shutdown().await
        });
        std::future::poll_fn(|cx| match closing.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => watch.poll_end(cx).map(drop),
        })
        .await;
    }
}

/// HTTP/2 counts 32 bytes for each field besides. Beyond twice our limit h2 refuses without a body.
fn h2_header_list_bytes(limits: &Limits) -> u32 {
    let ours = limits.head_bytes().saturating_add(limits.header_count.saturating_mul(32));
    u32::try_from(ours.saturating_mul(2)).unwrap_or(u32::MAX)
}

/// Finds out what the client speaks, as long as the clock allows.
async fn protocol(io: &mut Io, watch: &mut Watch<'_>) -> Result<Option<Protocol>, Verdict> {
    std::future::poll_fn(|cx| match io.poll_protocol(cx) {
        // A socket that fails this early has nobody at its other end.
        Poll::Ready(spoken) => Poll::Ready(Ok(spoken.unwrap_or(None))),
        Poll::Pending => watch.poll_end(cx).map(Err),
    })
    .await
}

/// Runs the requests of HTTP/2 connections, each in a task, up to the deadline.
#[derive(Clone)]
struct Streams(Arc<Shared>);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let shared = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            let mut stream = pin!(stream);
            let mut news = pin!(shared.news());
            std::future::poll_fn(|cx| match stream.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => loop {
                    if ready!(news.as_mut().poll_next(cx)) == Phase::Aborted {
                        return Poll::Ready(());
                    }
                },
            })
            .await;
        });
    }
}
