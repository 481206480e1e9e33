//! Redis, one server for each test that needs one.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::private::Private;

const SCRIPT: &str = concat!(include_str!("program.sh"), include_str!("redis.sh"), include_str!("watch.sh"));

/// A private server.
#[derive(Debug)]
pub struct Redis(Private);

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// When Redis is not installed, or the server does not start.
    pub fn start() -> Self {
        Self(Private::start(SCRIPT, "redis", None, answers))
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port())
    }

    /// Stops the server.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Ends the server as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.0.crash();
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// It answers before it has read its data, and then refuses everything.
fn answers(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer == *b"+PONG"
}
