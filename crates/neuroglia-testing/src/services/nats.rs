//! NATS with JetStream: one server for many tests, each with an application name of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::private::Private;

const SCRIPT: &str = concat!(
    include_str!("program.sh"),
    include_str!("certify.sh"),
    include_str!("nats.sh"),
    include_str!("watch.sh")
);

/// How long the server may take to read its configuration again, and how often it is asked meanwhile.
const RELOAD_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A private server.
#[derive(Debug)]
pub struct Nats(Private);

impl Nats {
    /// Starts one.
    ///
    /// # Panics
    /// When NATS is not installed and cannot be, or the server does not start.
    pub fn start() -> Self {
        Self(Private::start(SCRIPT, "nats", None, answers))
    }

    /// Starts one that knows one user.
    ///
    /// # Panics
    /// When NATS is not installed and cannot be, or the server does not start.
    pub fn start_for(user: &str, password: &str) -> Self {
        Self(Private::start(SCRIPT, "nats", Some(&format!("user={user}:{password}")), greets))
    }

    /// Starts one that speaks TLS only, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When NATS is not installed and cannot be, openssl is not, or the server does not start.
    pub fn start_certified(host: &str) -> Self {
        Self(Private::start(SCRIPT, "nats", Some(&format!("tls={host}")), greets))
    }

    /// Starts one that has room for so many bytes of messages, as on a disk that is soon full.
    ///
    /// # Panics
    /// When NATS is not installed and cannot be, or the server does not start.
    pub fn start_with_room(bytes: usize) -> Self {
        Self(Private::start(SCRIPT, "nats", Some(&format!("room={bytes}")), answers))
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.0.folder().join("ca.crt")
    }

    /// The server of this test process, which nobody may stop.
    ///
    /// # Panics
    /// When NATS is not installed and cannot be, or the server does not start.
    pub fn shared() -> &'static Self {
        static OWN: OnceLock<Nats> = OnceLock::new();
        // The process' end closes the pipe of the script; a static is never dropped, and need not be.
        OWN.get_or_init(Self::start)
    }

    /// Gives the user of [`start_for`](Self::start_for) another password until the server is stopped; who is in is put out.
    ///
    /// # Panics
    /// When its folder cannot be written to, or it does not obey.
    pub fn change_password(&self, user: &str, password: &str) {
        let (file, pid) = (self.0.folder().join("nats.conf"), self.0.folder().join("pid"));
        let former = fs::read_to_string(&file).expect("the server's folder is ours");
        let others = former.lines().filter(|line| !line.starts_with("authorization"));
        let authorization = format!("authorization {{ user: \"{user}\", password: \"{password}\" }}");
        let lines: String = others.chain([authorization.as_str()]).flat_map(|line| [line, "\n"]).collect();
        fs::write(&file, lines).expect("the server's folder is ours");

        let pid = fs::read_to_string(pid).ok().and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        kill_process(pid.expect("it has begun"), Signal::HUP).expect("it is a child of ours");
        let began = Instant::now();
        while !self.lets_in(user, password) {
            assert!(began.elapsed() < RELOAD_MAX, "it does not read its configuration again");
            thread::park_timeout(POLL);
        }
    }

    fn lets_in(&self, user: &str, password: &str) -> bool {
        let question =
            format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\nPING\r\n");
        TcpStream::connect(("127.0.0.1", self.0.port()))
            .is_ok_and(|mut stream| is_answered(&mut stream, question.as_bytes(), "PONG"))
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.0.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.port()
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

/// It says who it is before anybody asks.
fn greets(stream: &mut TcpStream) -> bool {
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).is_ok() && greeting == *b"INFO "
}

/// JetStream reads its data after the port answers, and only then takes requests.
fn answers(stream: &mut TcpStream) -> bool {
    const QUESTION: &[u8] =
        b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB me 1\r\nPUB $JS.API.INFO me 0\r\n\r\n";
    is_answered(stream, QUESTION, "account_info_response")
}

/// Whether this word comes in answer to a question, and no refusal.
fn is_answered(stream: &mut TcpStream, question: &[u8], word: &str) -> bool {
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    if stream.write_all(question).is_err() {
        return false;
    }
    loop {
        match stream.read(&mut bytes) {
            Ok(count @ 1..) => answer.extend_from_slice(&bytes[..count]),
            _ => return false,
        }
        let text = String::from_utf8_lossy(&answer);
        if text.contains("\r\nHMSG ") || text.contains("\r\n-ERR") {
            return false;
        }
        if text.contains(word) {
            return true;
        }
    }
}
