//! A process that runs, and what is left of one that has ended.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Answer, Client, PATIENCE, eventually};

/// How many lines of a process are shown when its test fails.
const LAST_LINES: usize = 30;

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    pid: Pid,
    stdin: Option<ChildStdin>,
    seen: Arc<Seen>,
    ready: Option<Value>,
    /// The folder in which it works is not taken away while it runs.
    folder: Option<Arc<TempDir>>,
}

/// What was seen of a process so far.
#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stdout: Vec<String>,
    stderr: Vec<String>,
    pipes_open: usize,
    status: Option<(ExitStatus, Instant)>,
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until the state says something. None when it never did.
    fn wait<T>(&self, within: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Process {
    /// Starts a command. Its output is read if it is piped.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the executable was built");
        let pid = Pid::from_child(&child);
        let seen = Arc::new(Seen::default());
        if let Some(stdout) = child.stdout.take() {
            read_lines(&seen, stdout, |state, line| state.stdout.push(line));
        }
        if let Some(stderr) = child.stderr.take() {
            read_lines(&seen, stderr, |state, line| state.stderr.push(line));
        }
        let stdin = child.stdin.take();
        let watched = Arc::clone(&seen);
        thread::spawn(move || {
            let status = child.wait().expect("a child can be waited for");
            watched.change(|state| state.status = Some((status, Instant::now())));
        });
        Self { pid, stdin, seen, ready: None, folder: None }
    }

    /// Keeps the folder for as long as the process is looked at.
    pub(super) fn keeping(mut self, folder: &Arc<TempDir>) -> Self {
        self.folder = Some(Arc::clone(folder));
        self
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Its standard input, if it is a pipe; dropping it ends it.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Waits for the line that says where it answers.
    pub(crate) fn wait_until_ready(&mut self) {
        self.ready = Some(self.wait_for_line("ready", |line| line["message"] == "ready"));
    }

    fn address_of(&self, name: &str) -> SocketAddr {
        let ready = self.ready.as_ref().expect("it was waited for");
        ready[name].as_str().expect("the line says where").parse().expect("an address")
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_of("server.address")
    }

    /// Where it answers operators.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.address_of("admin.address")
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address()).expect("it listens")
    }

    /// Asks once, on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().request("GET", path, &[], b"").expect("an answer")
    }

    /// Posts JSON once, on a connection of its own.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.connect().post(path, headers, body).expect("an answer")
    }

    /// An access token.
    pub(crate) fn log_in(&self, username: &str, password: &str) -> String {
        let body = serde_json::json!({"username": username, "password": password});
        let answer = self.post("/api/v1/auth/token", &[], &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// Waits for a line of JSON on standard output, which may have been written before.
    pub(crate) fn wait_for_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut read = 0;
        let found = self.seen.wait(PATIENCE, |state| {
            let new = &state.stdout[read..];
            read = state.stdout.len();
            let line =
                new.iter().filter_map(|line| serde_json::from_str(line).ok()).find(|line| wanted(line));
            // An ended process writes no more.
            line.map(Some).or_else(|| (state.status.is_some() && state.pipes_open == 0).then_some(None))
        });
        found.flatten().unwrap_or_else(|| {
            let state = self.seen.state();
            panic!("no line `{what}` in:\n{}\n{}", state.stdout.join("\n"), state.stderr.join("\n"))
        })
    }

    /// The last line of JSON of this kind that it has written to standard output, if any.
    pub(crate) fn last_line(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let state = self.seen.state();
        let mut lines = state.stdout.iter().rev().filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line| wanted(line))
    }

    /// Waits until it has a handler for the signal, so that the system's default does not hold any more.
    pub(crate) fn wait_until_it_catches(&self, signal: Signal) {
        eventually("it catches the signal", || self.catches(signal).then_some(()));
    }

    /// Whether it has a handler for the signal.
    pub(crate) fn catches(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero()));
        let status = status.unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask & (1 << (signal.as_raw() - 1)) != 0
    }

    pub(crate) fn is_running(&self) -> bool {
        self.seen.state().status.is_none()
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_running() {
            // It may end at this very moment.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits for its end.
    pub(crate) fn end_within(self, within: Duration) -> Finished {
        let finished = self.seen.wait(within, |state| {
            let (status, at) = state.status.filter(|_| state.pipes_open == 0)?;
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect();
            Some(Finished { status, at, stdout: text(&state.stdout), stderr: text(&state.stderr) })
        });
        finished.unwrap_or_else(|| {
            let state = self.seen.state();
            panic!(
                "still running after {within:?}:\n{}\n{}",
                state.stdout.join("\n"),
                state.stderr.join("\n")
            )
        })
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn close(self) -> Finished {
        self.signal(Signal::TERM);
        self.end_within(PATIENCE)
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows what its processes said")]
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.seen.wait(PATIENCE, |state| state.status);
        if thread::panicking() {
            // Why a test failed is often what a process said last.
            let state = self.seen.state();
            let last = &state.stdout[state.stdout.len().saturating_sub(LAST_LINES)..];
            eprintln!("process {:?} said last:\n{}", self.pid, last.join("\n"));
        }
    }
}

fn read_lines(seen: &Arc<Seen>, pipe: impl Read + Send + 'static, keep: fn(&mut State, String)) {
    seen.change(|state| state.pipes_open += 1);
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            seen.change(|state| keep(state, String::from_utf8_lossy(&line).into_owned()));
        }
        seen.change(|state| state.pipes_open -= 1);
    });
}

/// A process that has ended.
pub(crate) struct Finished {
    status: ExitStatus,
    /// When it ended.
    pub(crate) at: Instant,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Its exit code; none when a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }

    /// Every line of standard output, each of which must be JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|cause| panic!("{cause}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|cause| panic!("{cause}: {}", self.stdout))
    }

    /// The messages of the log, in order.
    pub(crate) fn messages(&self) -> Vec<String> {
        let message = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
        self.json_lines().iter().map(message).collect()
    }
}

/// Whether an error says that nobody listens.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}
