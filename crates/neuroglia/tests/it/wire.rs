//! A server on a free port and a client that speaks bytes, so that tests can be as rude as strangers.

use std::net::SocketAddr;
use std::time::Duration;

use neuroglia::web::server::{Application, Drain, Drained, Limits, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a test waits for anything; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A server that runs beside the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    served: JoinHandle<Drained>,
}

impl Running {
    pub(crate) fn start(application: impl Application, limits: Limits) -> Self {
        Self::serve(bind(limits), application, Drain::new())
    }

    pub(crate) fn serve(server: Server, application: impl Application, drain: Drain) -> Self {
        let address = server.local_addr();
        let served = tokio::spawn(server.serve(application, drain.clone()));
        Self { address, drain, served }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The result of the server, which must end by itself.
    pub(crate) async fn ended(self) -> Drained {
        soon("the server to end", self.served).await.expect("the server does not panic")
    }

    /// Cuts the server and waits for it.
    pub(crate) fn kill(&self) {
        self.served.abort();
    }
}

pub(crate) fn bind(limits: Limits) -> Server {
    Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), limits).expect("a free port")
}

/// One connection, byte by byte.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }

    /// Asserts that this is a problem document about its own status, and returns its code.
    #[track_caller]
    pub(crate) fn problem_code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document: Value = serde_json::from_slice(&self.body).expect("a problem document is JSON");
        assert_eq!(document["status"], self.status, "{document}");
        for member in ["type", "title", "detail"] {
            assert!(document[member].is_string(), "{document}");
        }
        document["code"].as_str().expect("a code").to_owned()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.expect("connects");
        stream.set_nodelay(true).expect("a live socket");
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// A request without a body, and its answer if the connection still brings one.
    pub(crate) async fn try_get(&mut self, path: &str) -> Option<Reply> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        soon("a write", self.stream.write_all(request.as_bytes())).await.ok()?;
        self.next_reply(true).await
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("a write", self.stream.write_all(bytes.as_ref())).await.expect("the server takes it");
    }

    /// A request without a body, and its answer.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        self.reply().await
    }

    /// The next answer on the connection.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.next_reply(true).await.expect("an answer")
    }

    /// The next answer, to a request by HEAD.
    pub(crate) async fn reply_to_head(&mut self) -> Reply {
        self.next_reply(false).await.expect("an answer")
    }

    /// The next answer, or `None` if the connection ended instead, gently or not.
    pub(crate) async fn next_reply(&mut self, has_body: bool) -> Option<Reply> {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end;
            }
            if self.fill().await == 0 {
                assert!(self.read.is_empty(), "half an answer: {:?}", String::from_utf8_lossy(&self.read));
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).expect("heads are text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)).expect("a status line");
        let mut reply = Reply {
            status: status.parse().expect("a status"),
            headers: lines
                .map(|line| line.split_once(": ").expect("a header line"))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: Vec::new(),
        };
        if has_body && reply.status >= 200 && reply.status != 204 && reply.status != 304 {
            if reply.header("transfer-encoding") == Some("chunked") {
                reply.body = self.chunks().await;
            } else if let Some(length) = reply.header("content-length") {
                let length = length.parse().expect("a length");
                reply.body = self.take(length).await;
            } else {
                while self.fill().await > 0 {}
                reply.body = std::mem::take(&mut self.read);
            }
        }
        Some(reply)
    }

    /// Asserts that the server says nothing more and ends the connection without a reset. Ends our side too.
    pub(crate) async fn ends(mut self) {
        let mut rest = Vec::new();
        soon("the end", self.stream.read_to_end(&mut rest)).await.expect("an end, and not a reset");
        self.read.append(&mut rest);
        assert!(self.read.is_empty(), "unexpected: {:?}", String::from_utf8_lossy(&self.read));
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match find(&self.read, b"\r\n") {
                    Some(end) => break end,
                    None => assert_ne!(self.fill().await, 0, "a chunk is cut"),
                }
            };
            let line = String::from_utf8(self.take(end + 2).await).expect("a size");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
            body.extend(self.take(size).await);
            self.take(2).await;
            if size == 0 {
                return body;
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert_ne!(self.fill().await, 0, "a body is cut");
        }
        self.read.drain(..count).collect()
    }

    /// Reads some more; `0` when there is no more, for whatever reason.
    async fn fill(&mut self) -> usize {
        soon("bytes", self.stream.read_buf(&mut self.read)).await.unwrap_or(0)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
