//! A server of one test, private and gone with it.
//!
//! It is a child of a small script (`watch.sh`) that waits at the other end of a pipe. However this process ends, the pipe
//! closes, and the script stops the server and deletes its folder.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until its port answers.
const START_MAX: Duration = Duration::from_secs(60);

/// How often its port is tried meanwhile.
const POLL: Duration = Duration::from_millis(10);

/// A running server.
pub(super) struct Private {
    name: &'static str,
    watch: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    port: u16,
    is_ready: fn(&mut TcpStream) -> bool,
}

impl Private {
    /// Starts the server that a script knows, and waits until its port answers and it says that it is ready.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub(super) fn start(
        text: &str,
        name: &'static str,
        more: Option<&str>,
        is_ready: fn(&mut TcpStream) -> bool,
    ) -> Self {
        let prefix = format!("neuroglia-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a folder").keep();
        let port = free_port();
        let mut command = script(text, "watch");
        command.arg(&folder).arg(port.to_string()).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the tests; the script notices their end by itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut watch = command.spawn().expect("a shell");
        let orders = watch.stdin.take();
        let answers = BufReader::new(watch.stdout.take().expect("the script's output is piped"));
        let mut server = Self { name, watch, orders, answers, folder, port, is_ready };
        server.answer("start");
        server.await_ready();
        server
    }

    /// Where it keeps its data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it listens, on the loopback interface.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as an operator does.
    pub(super) fn stop(&mut self) {
        self.order("stop");
    }

    /// Ends it as a crash would.
    pub(super) fn crash(&mut self) {
        self.order("crash");
    }

    /// Starts it again, on the same port with the same data.
    pub(super) fn start_again(&mut self) {
        self.order("start");
        self.await_ready();
    }

    /// Waits until one of its files has this in it.
    pub(super) fn await_text(&self, path: &Path, text: &str) {
        let began = Instant::now();
        let has_it = || {
            let held = std::fs::read(path).unwrap_or_default();
            held.windows(text.len()).any(|part| part == text.as_bytes())
        };
        while !has_it() {
            assert!(
                began.elapsed() < START_MAX,
                "{} has not written `{text}` to {}",
                self.name,
                path.display()
            );
            thread::park_timeout(POLL);
        }
    }

    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("the pipe is open as long as the server lives");
        writeln!(orders, "{order}").expect("the script reads");
        self.answer(order);
    }

    fn answer(&mut self, order: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script's answer is read");
        assert_eq!(line.trim(), "done", "{} did not {order}; its log is above", self.name);
    }

    fn await_ready(&self) {
        let began = Instant::now();
        while !TcpStream::connect(("127.0.0.1", self.port))
            .is_ok_and(|mut stream| (self.is_ready)(&mut stream))
        {
            let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(began.elapsed() < START_MAX, "{} does not answer; its log:\n{}", self.name, log());
            thread::park_timeout(POLL);
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The script sees the end of its input, and what it cannot clean up is not worth a second panic.
        self.orders = None;
        drop(self.watch.wait());
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on port {}", self.name, self.port)
    }
}

/// The script of a server with an order for it.
pub(super) fn script(text: &str, order: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", text, "server.sh", order]);
    command
}

/// A port that nobody listens at.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}
