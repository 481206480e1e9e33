//! A server under measurement: started, waited for, ended as a platform ends it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::process;
use crate::workspace::{Result, show};

/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often is asked whether it is.
const INTERVAL: Duration = Duration::from_millis(2);

/// How long a server that rests writes nothing.
const REST: Duration = Duration::from_millis(100);

/// A running server; dropped before [`Server::stop`], it is killed.
pub(super) struct Server {
    child: Child,
    shown: String,
    address: SocketAddr,
    output: Output,
    complaints: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts the command, which binds `port` of this machine, and waits until `path` is 200.
    ///
    /// # Errors
    /// When it does not start, ends, or is not ready in time; with what it wrote to stderr.
    pub(super) fn start(mut command: Command, port: u16, path: &str) -> Result<Self> {
        let shown = show(&command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{shown}` did not start: {error}"))?;
        let output = Output::read(child.stdout.take());
        let complaints = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut text = Vec::new();
                // What was read until then is still worth showing.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child, shown, address, output, complaints };
        server.wait_until_ready(path)?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that it has used since it was started.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.pid())
    }

    /// How many lines it has written to stdout, once it rests: a server may write them after it answered.
    ///
    /// # Errors
    /// When it writes on and on.
    pub(super) fn lines_at_rest(&self) -> Result<u64> {
        let began = Instant::now();
        let mut before = None;
        while began.elapsed() < PATIENCE {
            let lines = self.output.lines.load(Ordering::Relaxed);
            if before == Some(lines) {
                return Ok(lines);
            }
            before = Some(lines);
            pause(REST);
        }
        Err(format!("`{}` still writes to stdout after {PATIENCE:?}", self.shown))
    }

    /// Ends it by SIGTERM and waits for it.
    ///
    /// # Errors
    /// When it ends in another way than by that signal or with 0, or not at all.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("the process has no id")?;
        kill_process(pid, Signal::TERM)
            .map_err(|error| format!("`{}` could not be signalled: {error}", self.shown))?;
        let status = wait_until(|| self.ended())
            .ok_or_else(|| format!("`{}` did not end within {PATIENCE:?} of SIGTERM", self.shown))?;
        if status.success() || status.signal() == Some(Signal::TERM.as_raw()) {
            Ok(())
        } else {
            Err(self.complaint(&format!("ended with {status}")))
        }
    }

    fn wait_until_ready(&mut self, path: &str) -> Result<()> {
        let address = self.address;
        let ready = wait_until(|| match self.ended() {
            Some(status) => Some(Err(status)),
            None => answers(address, path).then_some(Ok(())),
        });
        match ready {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => Err(self.complaint(&format!("ended with {status} before it was ready"))),
            None => Err(self.complaint(&format!("did not answer {path} with 200 within {PATIENCE:?}"))),
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// A sentence about what happened, with what the server said about it.
    fn complaint(&mut self, what: &str) -> String {
        self.end();
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        format!("`{}` {what}\n{}", self.shown, said.trim_end())
    }

    fn end(&mut self) {
        // Both fail only for a process that has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What comes out of a server, counted and thrown away as fast as it comes.
struct Output {
    lines: Arc<AtomicU64>,
}

impl Output {
    fn read(source: Option<impl Read + Send + 'static>) -> Self {
        let lines = Arc::new(AtomicU64::new(0));
        if let Some(mut source) = source {
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = source.read(&mut buffer) {
                    let ends: u64 = buffer[..read].iter().map(|&byte| u64::from(byte == b'\n')).sum();
                    lines.fetch_add(ends, Ordering::Relaxed);
                }
            });
        }
        Self { lines }
    }
}

/// A port of this machine that nobody holds at the moment.
///
/// # Errors
/// When there is none.
pub(super) fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// Lets time go by.
#[expect(
    clippy::disallowed_methods,
    reason = "measuring idleness is waiting, and another process cannot be awaited"
)]
pub(super) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Asks again and again until there is an answer, or patience ends.
fn wait_until<T>(mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let answered = answer();
        if answered.is_some() || began.elapsed() > PATIENCE {
            return answered;
        }
        pause(INTERVAL);
    }
}

/// Whether a GET is answered with 200.
fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_at_once_is_told_with_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such schema >&2; exit 78"]);
        let port = free_port().expect("a free port");
        let failure = Server::start(command, port, "/health").err().expect("it has ended");
        assert!(failure.contains("exit status: 78"), "{failure}");
        assert!(failure.contains("no such schema"), "{failure}");
    }

    #[test]
    fn lines_are_counted_across_reads() {
        let output = Output::read(Some(&b"one\ntwo\nthree"[..]));
        assert_eq!(wait_until(|| (output.lines.load(Ordering::Relaxed) == 2).then_some(())), Some(()));
    }
}
