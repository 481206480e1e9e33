//! Redis, one server for each test that needs one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use super::private::{Private, free_port};

const SCRIPT: &str = concat!(
    include_str!("program.sh"),
    include_str!("certify.sh"),
    include_str!("redis.sh"),
    include_str!("watch.sh")
);

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

    /// Starts one that is a node of a cluster.
    ///
    /// # Panics
    /// When Redis is not installed, or the server does not start.
    pub fn start_clustered() -> Self {
        Self(Private::start(SCRIPT, "redis", Some(&format!("cluster={}", free_port())), answers))
    }

    /// Starts one that asks for this password, of letters and digits.
    ///
    /// # Panics
    /// When Redis is not installed, or the server does not start.
    pub fn start_guarded(password: &str) -> Self {
        Self(Private::start(SCRIPT, "redis", Some(&format!("password={password}")), answers))
    }

    /// Starts one that speaks TLS only, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When Redis or openssl is not installed, or the server does not start.
    pub fn start_certified(host: &str) -> Self {
        Self(Private::start(SCRIPT, "redis", Some(&format!("tls={host}")), |_| true))
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.0.folder().join("ca.crt")
    }

    /// Where it listens, on the loopback interface.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Where it answers, without a password and without TLS.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port())
    }

    /// Has a server of [`start_guarded`](Self::start_guarded) ask for another password until it is stopped; who is in stays
    /// in.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn change_password(&self, old: &str, new: &str) {
        let orders = format!("AUTH {old}\r\nCONFIG SET requirepass {new}\r\nQUIT\r\n");
        let mut answers = String::new();
        let told = TcpStream::connect(("127.0.0.1", self.port())).and_then(|mut stream| {
            stream.write_all(orders.as_bytes())?;
            stream.read_to_string(&mut answers)
        });
        let is_obeyed = told.is_ok() && answers == "+OK\r\n+OK\r\n+OK\r\n";
        assert!(is_obeyed, "it does not obey: {told:?}, {answers:?}");
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

/// It answers before it has read its data, and then refuses everything; a stranger it refuses for want of a password.
fn answers(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 5];
    let is_answered = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer)).is_ok();
    is_answered && [b"+PONG", b"-NOAU"].contains(&&answer)
}
