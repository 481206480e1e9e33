//! RabbitMQ: one broker for many tests, each with an application name of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use neuroglia::id::Ids;

use super::private::{Private, free_port};

const SCRIPT: &str = concat!(
    include_str!("program.sh"),
    include_str!("certify.sh"),
    include_str!("rabbitmq.sh"),
    include_str!("watch.sh")
);

/// Where the system's packages have its programs.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// A private broker.
#[derive(Debug)]
pub struct RabbitMq {
    server: Private,
    /// The port of its port mapper.
    mapper: u16,
}

impl RabbitMq {
    /// Starts one; that takes a quarter of a minute, so most tests use the [shared](Self::shared) one.
    ///
    /// # Panics
    /// When RabbitMQ is not installed, or the broker does not start.
    pub fn start() -> Self {
        Self::start_with("", "", answers)
    }

    /// Starts one that offers no quorum queues, if it can do without: RabbitMQ 3.11 and newer cannot.
    ///
    /// # Panics
    /// When RabbitMQ is not installed, or the broker does not start.
    pub fn start_without_quorum_queues() -> Self {
        Self::start_with("", "classic", answers)
    }

    /// Starts one that speaks TLS only, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When RabbitMQ or openssl is not installed, or the broker does not start.
    pub fn start_certified(host: &str) -> Self {
        Self::start_with(host, "", |_| true)
    }

    fn start_with(host: &str, queues: &str, is_ready: fn(&mut TcpStream) -> bool) -> Self {
        let mapper = free_port();
        let more = format!("{},{mapper},{host},{queues}", free_port());
        Self { server: Private::start(SCRIPT, "rabbitmq", Some(&more), is_ready), mapper }
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.server.folder().join("ca.crt")
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
        format!("amqp://127.0.0.1:{}", self.server.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.server.port()
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
        let node = self.node();
        let names =
            self.server.folder().join("data").join(&node).join("quorum").join(&node).join("names.dets");
        // An atom of Erlang's external term format: its length, then its text.
        let name = format!("%2F_{queue}");
        let length = u8::try_from(name.len()).expect("an atom has at most 255 characters");
        self.server.await_bytes(&names, &[&[length][..], name.as_bytes()].concat());
    }

    /// Has the broker take its disk for full, as one does that has less free than it wants; or not any more.
    ///
    /// # Panics
    /// When it does not obey.
    pub fn fill_disk(&self, is_full: bool) {
        self.control(&["set_disk_free_limit", if is_full { "1000000GB" } else { "50MB" }]);
    }

    /// Has the broker know one more user, who may do everything.
    ///
    /// # Panics
    /// When it does not obey.
    pub fn add_user(&self, name: &str, password: &str) {
        self.control(&["add_user", name, password]);
        self.control(&["set_permissions", name, ".*", ".*", ".*"]);
    }

    /// Gives a user another password; who is in stays in.
    ///
    /// # Panics
    /// When it does not obey.
    pub fn change_password(&self, name: &str, password: &str) {
        self.control(&["change_password", name, password]);
    }

    /// Makes a virtual host, which has exchanges and queues of its own; gives where it answers, as `guest`.
    ///
    /// # Panics
    /// When it does not obey.
    pub fn create_host(&self) -> String {
        let host = Ids::random().next_uuid().simple().to_string();
        self.control(&["add_vhost", &host]);
        self.control(&["set_permissions", "-p", &host, "guest", ".*", ".*", ".*"]);
        format!("{}/{host}", self.url())
    }

    fn control(&self, order: &[&str]) {
        let mut control = Command::new(CONTROL);
        control.args(["-n", &self.node()]).args(order).stdout(Stdio::null());
        control.env("HOME", self.server.folder()).env("ERL_EPMD_PORT", self.mapper.to_string());
        assert!(control.status().is_ok_and(|status| status.success()), "it does not obey; it says why above");
    }

    fn node(&self) -> String {
        format!("t{}@localhost", self.server.port())
    }

    /// Stops the broker.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Ends the broker as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.server.crash();
    }

    /// Starts the broker again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.server.start_again();
    }
}

/// It begins to talk when it has read its data: the first frame is a method.
fn answers(stream: &mut TcpStream) -> bool {
    let mut first = [0];
    stream.write_all(b"AMQP\x00\x00\x09\x01").and_then(|()| stream.read_exact(&mut first)).is_ok()
        && first == [1]
}
