//! RabbitMQ: one broker for many tests, each with an application name of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;

use super::private::{Private, free_port};

const SCRIPT: &str =
    concat!(include_str!("program.sh"), include_str!("rabbitmq.sh"), include_str!("watch.sh"));

/// A private broker.
#[derive(Debug)]
pub struct RabbitMq(Private);

impl RabbitMq {
    /// Starts one; that takes a quarter of a minute, so most tests use the [shared](Self::shared) one.
    ///
    /// # Panics
    /// When RabbitMQ is not installed, or the broker does not start.
    pub fn start() -> Self {
        let more = format!("{},{}", free_port(), free_port());
        Self(Private::start(SCRIPT, "rabbitmq", Some(&more), answers))
    }

    /// The broker of this test process, which nobody may stop.
    ///
    /// # Panics
    /// When RabbitMQ is not installed, or the broker does not start.
    pub fn shared() -> &'static Self {
        static OWN: OnceLock<RabbitMq> = OnceLock::new();
        // The process' end closes the pipe of the script; a static is never dropped, and need not be.
        OWN.get_or_init(Self::start)
    }

    /// Where it answers, as `guest`.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.0.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Waits until the broker has written down that it has a quorum queue of the virtual host `/`.
    ///
    /// RabbitMQ 3.10 confirms the declaration and first messages of a new queue up to three seconds earlier (the
    /// delayed write of Erlang's `dets`), and loses the queue when it crashes before: after the start it is there, and
    /// never confirms again.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn await_written(&self, queue: &str) {
        let node = format!("t{}@localhost", self.0.port());
        let names = self.0.folder().join("data").join(&node).join("quorum").join(&node).join("names.dets");
        self.0.await_text(&names, &format!("%2F_{queue}"));
    }

    /// Stops the broker.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Ends the broker as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.0.crash();
    }

    /// Starts the broker again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// It begins to talk when it has read its data: the first frame is a method.
fn answers(stream: &mut TcpStream) -> bool {
    let mut first = [0];
    stream.write_all(b"AMQP\x00\x00\x09\x01").and_then(|()| stream.read_exact(&mut first)).is_ok()
        && first == [1]
}
