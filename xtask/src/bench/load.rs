//! A load generator that costs little beside what it loads.
//!
//! One thread goes round over kept connections: it reads the answer of one, checks it, sends the
//! next request there and goes on to the next. So every connection has a request under way all the
//! time, the server never waits for more than one of them, and a request costs the generator two
//! system calls. The requests are bytes made before the clock starts, and of an answer it looks at
//! no more than the status, the length and the body.
//!
//! Every answer is checked: a server that is fast because it answers something else is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use crate::workspace::Result;

/// More than any answer here, so that one read takes it all.
const BUFFER_BYTES: usize = 16 * 1024;

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request and the answer that is right.
pub(super) struct Exchange {
    request: Vec<u8>,
    status: u16,
    body: Body,
}

/// The body that is right.
pub(super) enum Body {
    Exactly(Vec<u8>),
    /// A number that the server chooses, between two texts that are known.
    Numbered {
        before: &'static str,
        after: String,
    },
    /// Anything with this text in it.
    With(&'static str),
}

impl Exchange {
    pub(super) fn get(path: &str, body: String) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n");
        Self { request: request.into_bytes(), status: 200, body: Body::Exactly(body.into_bytes()) }
    }

    pub(super) fn post(path: &str, json: &str, body: Body) -> Self {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{json}",
            json.len()
        );
        Self { request: request.into_bytes(), status: 201, body }
    }

    fn check(&self, status: u16, body: &[u8]) -> Result<()> {
        if status == self.status && self.body.is(body) {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&self.request);
        Err(format!(
            "`{}` was answered with {status} instead of {}: {}",
            line.lines().next().unwrap_or_default(),
            self.status,
            String::from_utf8_lossy(body)
        ))
    }
}

impl Body {
    fn is(&self, body: &[u8]) -> bool {
        match self {
            Self::Exactly(right) => body == right,
            Self::Numbered { before, after } => body
                .strip_prefix(before.as_bytes())
                .and_then(|rest| rest.strip_suffix(after.as_bytes()))
                .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit)),
            Self::With(text) => body.windows(text.len()).any(|part| part == text.as_bytes()),
        }
    }
}

/// Sends `requests` requests, taking the exchanges in turn, and checks every answer.
///
/// # Errors
/// The first answer that is not right, or connection that fails.
pub(super) fn run(
    address: SocketAddr,
    connections: usize,
    exchanges: &[Exchange],
    requests: usize,
) -> Result<()> {
    let mut connections = (0..connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
    let mut upcoming = exchanges.iter().cycle().take(requests);
    loop {
        let mut idle = 0;
        for connection in &mut connections {
            connection.receive()?;
            match upcoming.next() {
                Some(exchange) => connection.send(exchange)?,
                None => idle += 1,
            }
        }
        if idle == connections.len() {
            return Ok(());
        }
    }
}

/// A kept connection with at most one request under way.
struct Connection<'a> {
    stream: TcpStream,
    buffer: Box<[u8]>,
    awaited: Option<&'a Exchange>,
}

impl<'a> Connection<'a> {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        let stream = stream.map_err(|error| format!("cannot connect to {address}: {error}"))?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES].into(), awaited: None })
    }

    fn send(&mut self, exchange: &'a Exchange) -> Result<()> {
        self.awaited = Some(exchange);
        self.stream
            .write_all(&exchange.request)
            .map_err(|error| format!("a request could not be sent: {error}"))
    }

    /// Takes the answer to the request under way, if there is one.
    fn receive(&mut self) -> Result<()> {
        let Some(exchange) = self.awaited.take() else {
            return Ok(());
        };
        let mut filled = 0;
        loop {
            let free = &mut self.buffer[filled..];
            if free.is_empty() {
                return Err(format!("an answer is larger than {BUFFER_BYTES} bytes"));
            }
            filled += match self.stream.read(free) {
                Ok(0) => return Err("the server closed a kept connection".to_owned()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) => return Err(format!("no answer within {PATIENCE:?}: {error}")),
            };
            let received = &self.buffer[..filled];
            let Some(Frame { status, body }) = Frame::find(received)? else {
                continue;
            };
            match received.get(body.clone()) {
                None => {}
                Some(content) if body.end == filled => return exchange.check(status, content),
                Some(_) => return Err("an answer is longer than its content-length".to_owned()),
            }
        }
    }
}

/// Where the parts of an answer are.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    status: u16,
    /// Where the body is, or will be once it has arrived.
    body: Range<usize>,
}

impl Frame {
    /// Looks for a whole head; `None` says that more has to arrive.
    fn find(received: &[u8]) -> Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let mut lines = received[..end].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| number(rest.get(..3)?))
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| format!("`{}` is no status line", String::from_utf8_lossy(first)))?;
        let length = lines
            .find_map(|line| {
                let (name, value) = line.split_at_checked("content-length:".len())?;
                name.eq_ignore_ascii_case(b"content-length:").then_some(value)
            })
            .and_then(|value| number(value.trim_ascii()))
            .ok_or_else(|| format!("an answer with {status} has no content-length"))?;
        let start = end + 4;
        Ok(Some(Self { status, body: start..start + length }))
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn an_answer_is_framed_by_its_content_length() {
        let answer = b"HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 5\r\n\r\nhello";
        let frame = Frame::find(answer).expect("a right answer").expect("a whole head");
        assert_eq!((frame.status, &answer[frame.body.clone()]), (200, b"hello".as_slice()));
    }

    #[test]
    fn a_part_of_a_head_waits_for_the_rest() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for end in 0..answer.len() {
            assert_eq!(Frame::find(&answer[..end]), Ok(None), "{end}");
        }
        assert_eq!(Frame::find(answer), Ok(Some(Frame { status: 200, body: answer.len()..answer.len() })));
    }

    #[test]
    fn an_answer_that_cannot_be_framed_is_told() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(Frame::find(chunked).is_err_and(|failure| failure.contains("no content-length")));
        assert!(Frame::find(b"SSH-2.0\r\n\r\n").is_err_and(|failure| failure.contains("no status line")));
    }

    #[test]
    fn a_numbered_body_has_digits_between_its_texts() {
        let body = Body::Numbered { before: "{\"id\":", after: ",\"a\":1}".to_owned() };
        assert!(body.is(b"{\"id\":17,\"a\":1}"));
        assert!(!body.is(b"{\"id\":,\"a\":1}"));
        assert!(!body.is(b"{\"id\":x,\"a\":1}"));
        assert!(!body.is(b"{\"id\":17,\"a\":2}"));
    }

    #[test]
    fn a_body_with_a_text_has_it_somewhere() {
        let body = Body::With("\"status\":\"pending\"");
        assert!(body.is(br#"{"id":"x","status":"pending"}"#));
        assert!(!body.is(br#"{"id":"x","status":"ready"}"#));
    }

    /// A server that reads requests without a body and answers each with `answer`.
    fn serve(listener: TcpListener, answer: &'static [u8]) {
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let (mut stream, mut buffer) = (stream, [0; 1024]);
                    // One request at a time is under way, so a read is a request.
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        // In two parts, as a network may deliver it.
                        let (first, second) = answer.split_at(answer.len() / 2);
                        if stream.write_all(first).and_then(|()| stream.write_all(second)).is_err() {
                            break;
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn every_answer_is_checked() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        serve(listener, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        let right = [Exchange::get("/health", "ok".to_owned())];
        assert_eq!(run(address, 3, &right, 100), Ok(()));
        let wrong = [Exchange::get("/health", "ok".to_owned()), Exchange::get("/p", "no".to_owned())];
        let failure = run(address, 3, &wrong, 100).expect_err("the second is wrong");
        assert!(failure.contains("`GET /p HTTP/1.1` was answered with 200"), "{failure}");
    }
}
