//! The socket as hyper sees it.
//!
//! It tells the clock what moves, and does three things that hyper does not:
//!
//! - it has looked at the first bytes, because HTTP/1 and HTTP/2 come in by the same port;
//! - it puts a document in the place of the bare answer that hyper writes when it cannot parse;
//! - it closes gently. A socket that is closed while it holds unread bytes sends a reset, and a reset
//!   may overtake the answer. So the write side ends first, and what still comes is thrown away.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::flight::Connection;
use super::refusal::Refusal;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest answer that hyper makes by itself is about half of this.
const BARE_ANSWER_MOST: usize = 256;

/// The HTTP version that a client opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A client's socket.
pub(super) struct Io {
    stream: TcpStream,
    connection: Arc<Connection>,
    opening: Opening,
    line: LineMeter,
    substitute: Option<Substitute>,
    /// The client has said that it sends no more.
    ended: bool,
    /// What may still be read and thrown away.
    spill: usize,
}

/// The first bytes of a connection, read before hyper runs and given to it afterwards.
#[derive(Default)]
struct Opening {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    given: usize,
}

/// Whether the line of the request head that is coming in has ended.
#[derive(Default)]
struct LineMeter {
    /// How many requests there were before it.
    requests: u32,
    ended: bool,
}

impl LineMeter {
    fn read(&mut self, requests: u32, bytes: &[u8]) {
        if requests != self.requests {
            *self = Self { requests, ended: false };
        }
        // Most heads come whole and end with a line end, so that nothing has to be searched.
        self.ended = self.ended || bytes.last() == Some(&b'\n') || bytes.contains(&b'\n');
    }
}

/// A document that is written while hyper believes to write its own answer.
struct Substitute {
    rest: Bytes,
    /// What hyper believes to write.
    claimed: usize,
}

impl Io {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        let spill = connection.shared().limits.linger_bytes;
        Self {
            stream,
            connection,
            opening: Opening::default(),
            line: LineMeter::default(),
            substitute: None,
            ended: false,
            spill,
        }
    }

    /// Reads until it is clear what the client speaks. `None`: it said nothing and left.
    pub(super) fn poll_protocol(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Protocol>>> {
        let opening = &mut self.opening;
        loop {
            let mut buf = ReadBuf::new(&mut opening.bytes[opening.filled..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            let read = buf.filled().len();
            opening.filled += read;
            let said = &opening.bytes[..opening.filled];
            if read == 0 {
                self.ended = true;
                return Poll::Ready(Ok((!said.is_empty()).then_some(Protocol::Http1)));
            }
            self.connection.begin_head();
            self.line.read(0, said);
            if !PREFACE.starts_with(said) {
                return Poll::Ready(Ok(Some(Protocol::Http1)));
            }
            if said.len() == PREFACE.len() {
                self.connection.set_multiplexed();
                return Poll::Ready(Ok(Some(Protocol::Http2)));
            }
        }
    }

    /// What the outcome of a write says about the client.
    fn note(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(_) => self.connection.wrote(),
            Poll::Pending => self.connection.block_write(),
        }
        outcome
    }

    /// If `bufs` is an answer by hyper itself, prepares the document for its place.
    ///
    /// hyper answers by itself only after everything before was flushed, and only when no request
    /// is in flight, so its answer comes alone. That is what makes it recognisable, and why nothing
    /// that an application writes can be taken for it.
    fn recognise(&mut self, bufs: &[IoSlice<'_>]) {
        if self.connection.answers() || self.connection.multiplexed() {
            return;
        }
        let mut written = bufs.iter().filter(|buf| !buf.is_empty());
        let (Some(bare), None) = (written.next(), written.next()) else {
            return;
        };
        let Some((status, fields)) = bare_answer(bare) else {
            return;
        };
        let refusal = match status {
            StatusCode::URI_TOO_LONG => Refusal::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if !self.line.ended => Refusal::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::HEADERS_TOO_LARGE,
            _ => Refusal { status, ..Refusal::MALFORMED },
        };
        tracing::debug!(code = refusal.code, "request refused");
        let rest = refusal.bytes(self.connection.shared().document, &fields);
        self.substitute = Some(Substitute { rest, claimed: bare.len() });
    }

    fn poll_substitute(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(substitute) = &mut self.substitute {
            if substitute.rest.is_empty() {
                let claimed = substitute.claimed;
                self.substitute = None;
                return Poll::Ready(Ok(claimed));
            }
            let outcome = Pin::new(&mut self.stream).poll_write(cx, &substitute.rest);
            let written = ready!(self.note(outcome))?;
            if let Some(substitute) = &mut self.substitute {
                substitute.rest.advance(written);
            }
        }
        Poll::Pending
    }
}

/// The status and the date line of an answer without a body, if `bytes` is one and nothing else.
fn bare_answer(bytes: &[u8]) -> Option<(StatusCode, String)> {
    if bytes.len() > BARE_ANSWER_MOST {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let (_version, rest) = lines.next().filter(|line| line.starts_with("HTTP/1."))?.split_once(' ')?;
    let status: StatusCode = rest.get(..3)?.parse().ok()?;
    if !status.is_client_error() {
        return None;
    }
    let mut date = String::new();
    let mut empty = false;
    for line in lines {
        match line.split_once(':')? {
            ("date", value) => date = format!("date:{value}\r\n"),
            ("content-length", value) => empty = value.trim() == "0",
            _ => (),
        }
    }
    empty.then_some((status, date))
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Opening { bytes, filled, given } = &mut this.opening;
        if given < filled {
            let count = (*filled - *given).min(buf.remaining());
            buf.put_slice(&bytes[*given..*given + count]);
            *given += count;
            return Poll::Ready(Ok(()));
        }
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            this.ended = true;
        } else if !this.connection.multiplexed() && this.connection.in_flight() == 0 {
            this.connection.begin_head();
            this.line.read(this.connection.requests(), read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.substitute.is_none() {
            self.recognise(bufs);
        }
        if self.substitute.is_some() {
            return self.poll_substitute(cx);
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket has no buffer of its own that could be flushed.
        self.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.connection.lingering() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.connection.linger();
        }
        let mut waste = [0; 4096];
        while !this.ended && this.spill > 0 {
            let mut buf = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)) {
                Ok(()) => {
                    this.ended = buf.filled().is_empty();
                    this.spill = this.spill.saturating_sub(buf.filled().len());
                }
                Err(_) => this.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_answer_is_recognised_and_nothing_else() {
        let date = "date: Mon, 23 Nov 2026 22:47:38 GMT\r\n";
        let bare =
            format!("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n");
        assert_eq!(bare_answer(bare.as_bytes()), Some((StatusCode::BAD_REQUEST, date.to_owned())));
        for other in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
            "400 Bad Request\r\n\r\n",
            "",
        ] {
            assert_eq!(bare_answer(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_line_is_metered_for_each_request() {
        let mut line = LineMeter::default();
        line.read(0, b"GET / HT");
        assert!(!line.ended);
        line.read(0, b"TP/1.1\r\n");
        assert!(line.ended);
        line.read(1, b"GET /");
        assert!(!line.ended);
    }
}
