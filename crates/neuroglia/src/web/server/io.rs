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
    head: HeadMeter,
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

/// How far the request head that is coming in has come.
#[derive(Default)]
struct HeadMeter {
    /// How many requests there were before it.
    requests: u32,
    /// Whether there was more than line ends, which may come first.
    begun: bool,
    /// Whether its first line has ended.
    line_ended: bool,
    /// Whether the last line so far is empty, which is how a head ends.
    at_blank_line: bool,
    /// The last three bytes of the connection.
    tail: u32,
}

impl HeadMeter {
    fn see_end(&mut self, bytes: &[u8]) {
        for byte in &bytes[bytes.len().saturating_sub(3)..] {
            self.tail = (self.tail << 8 | u32::from(*byte)) & 0x00ff_ffff;
        }
    }

    /// Whether the connection is at the end of a message, if that is one with a head and no body, or with chunks:
    /// both end with an empty line.
    fn is_message_end(&self) -> bool {
        self.tail == 0x0a_0d_0a || self.tail & 0xffff == 0x0a_0a
    }

    /// How many of the bytes come after the end of the head; none when it has not ended.
    fn read(&mut self, requests: u32, bytes: &[u8]) -> Option<usize> {
        if requests != self.requests {
            *self = Self { requests, tail: self.tail, ..Self::default() };
        }
        // Most heads come whole and alone, so that nothing has to be searched.
        if bytes.ends_with(b"\r\n\r\n") {
            self.line_ended = true;
            return Some(0);
        }
        for (position, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.at_blank_line => return Some(bytes.len() - position - 1),
                b'\n' if self.begun => (self.at_blank_line, self.line_ended) = (true, true),
                b'\n' | b'\r' => (),
                _ => (self.begun, self.at_blank_line) = (true, false),
            }
        }
        None
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
            head: HeadMeter::default(),
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
            note_read(&self.connection, &mut self.head, &said[said.len() - read..]);
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
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if !self.head.line_ended => Refusal::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::HEADERS_TOO_LARGE,
            _ => Refusal { status, ..Refusal::MALFORMED },
        };
        tracing::debug!(code = refusal.code, "request refused");
        let rest = refusal.bytes(&fields);
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

/// Tells the connection what the bytes belong to.
fn note_read(connection: &Connection, head: &mut HeadMeter, bytes: &[u8]) {
    if connection.multiplexed() {
        return;
    }
    head.see_end(bytes);
    if connection.in_flight() > 0 {
        connection.read_body(bytes.len() as u64, head.is_message_end());
    } else {
        let after = head.read(connection.requests(), bytes);
        connection.read_head(after.map(|count| count as u64), head.is_message_end());
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
        } else {
            note_read(&this.connection, &mut this.head, read);
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
    fn the_head_is_metered_for_each_request() {
        let mut head = HeadMeter::default();
        assert_eq!((head.read(0, b"GET / HT"), head.line_ended), (None, false));
        assert_eq!((head.read(0, b"TP/1.1\r\n"), head.line_ended), (None, true));
        assert_eq!(head.read(0, b"Host: a\r\n\r"), None);
        assert_eq!(head.read(0, b"\nGET"), Some(3));
        assert_eq!((head.read(1, b"GET /"), head.line_ended), (None, false));
        assert_eq!(head.read(1, b" HTTP/1.1\n\nabc"), Some(3));
        assert_eq!(head.read(2, b"\r\nGET / HTTP/1.1\r\n\r\nGET"), Some(3), "an empty line may come first");
        assert_eq!(head.read(3, b"GET / HTTP/1.1\r\n\r\n"), Some(0));
    }
}
