//! The application as a child process: shown, supervised, and stopped in order.
//!
//! The child has a process group of its own. A Ctrl-C at the terminal therefore reaches only this
//! process, which passes it on as exactly one SIGTERM; a second one goes on as a second SIGTERM, by
//! which an application ends at once, and a third as SIGKILL. Everything that can happen arrives
//! as an [`Event`] at one place. Should this process fail or panic, dropping [`Running`] stops the
//! child, so that none is left behind with the port.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Result;

const LAST_LINES_MAX: usize = 20;
const READY_POLL: Duration = Duration::from_millis(50);
/// Longer than the time that an application takes to drain by default.
const DROP_TIMEOUT: Duration = Duration::from_secs(35);
/// How long output may still come after the end, from descendants that hold the pipe.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// How a child ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether the developer asked for it.
    pub(crate) was_asked: bool,
    /// The last lines it wrote.
    pub(crate) last_lines: Vec<String>,
}

enum Event {
    /// Somebody wants this process to stop.
    Signal,
    /// The child is a zombie: its number is still its own, and can be signalled without a race.
    Exited,
    /// One of the child's two streams is closed.
    OutputEnded,
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A child that runs.
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    events: Receiver<Event>,
    last_lines: LastLines,
    stops_asked: u32,
    streams_open: u32,
    is_reaped: bool,
}

impl Running {
    /// Starts the command; its output is copied to ours from here on.
    ///
    /// # Errors
    /// When the command does not start, or signals cannot be received.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let (sender, events) = channel();
        forward_signals(sender.clone()).map_err(|error| format!("cannot receive signals: {error}"))?;

        let mut child = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
        let pid = Pid::from_child(&child);
        let last_lines = LastLines::default();
        if let Some(stdout) = child.stdout.take() {
            copy_lines(stdout, std::io::stdout(), last_lines.clone(), sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            copy_lines(stderr, std::io::stderr(), last_lines.clone(), sender.clone());
        }
        std::thread::spawn(move || {
            // Left as a zombie for `reap`, so that the number cannot become another process's.
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
            let _ = sender.send(Event::Exited);
        });
        Ok(Self { child, pid, events, last_lines, stops_asked: 0, streams_open: 2, is_reaped: false })
    }

    /// Waits until `is_ready`; `Some` when the child ended before.
    ///
    /// # Errors
    /// When neither came within the time.
    pub(crate) fn wait_until(
        &mut self,
        timeout: Duration,
        is_ready: impl Fn() -> bool,
    ) -> Result<Option<Ended>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(ended) = self.handle_events(Some(Instant::now() + READY_POLL)) {
                return Ok(Some(ended));
            }
            // A port that answers is not ready for a developer who has just asked to stop.
            if self.stops_asked == 0 && is_ready() {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Err(format!(
                    "not ready within {} s; what it waits for should be in the lines above, or ask /health/ready",
                    timeout.as_secs()
                ));
            }
        }
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Ended {
        loop {
            if let Some(ended) = self.handle_events(None) {
                return ended;
            }
        }
    }

    /// Handles what happens up to the deadline, or without one until the child ended.
    fn handle_events(&mut self, deadline: Option<Instant>) -> Option<Ended> {
        loop {
            let event = match deadline {
                None => self.events.recv().ok()?,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.events.recv_timeout(left).ok()?
                }
            };
            match event {
                Event::Signal => self.stop(),
                Event::OutputEnded => self.streams_open = self.streams_open.saturating_sub(1),
                Event::Exited => return Some(self.reap()),
            }
        }
    }

    fn stop(&mut self) {
        self.stops_asked += 1;
        let signal = match self.stops_asked {
            1 => {
                say("\nstopping: requests in flight are finished; press Ctrl-C again to stop at once");
                Signal::TERM
            }
            2 => Signal::TERM,
            _ => Signal::KILL,
        };
        // It fails only when the child is gone already, and then its end is the next event.
        let _ = kill_process(self.pid, signal);
    }

    /// Collects the status and the rest of the output.
    fn reap(&mut self) -> Ended {
        let deadline = Instant::now() + OUTPUT_TIMEOUT;
        while self.streams_open > 0 {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::OutputEnded) => self.streams_open -= 1,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().expect("the child has ended and nobody else reaps it");
        self.is_reaped = true;
        let last_lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ended { status, was_asked: self.stops_asked > 0, last_lines: last_lines.iter().cloned().collect() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = kill_process(self.pid, Signal::TERM);
            if self.handle_events(Some(Instant::now() + DROP_TIMEOUT)).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn forward_signals(sender: Sender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(Event::Signal).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// Copies a stream line by line, and keeps the last ones.
fn copy_lines(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    last_lines: LastLines,
    sender: Sender<Event>,
) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            // When our own terminal is gone the child must still not stall on a full pipe.
            let _ = to.write_all(&line).and_then(|()| to.flush());
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut last_lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            if last_lines.len() == LAST_LINES_MAX {
                last_lines.pop_front();
            }
            last_lines.push_back(text);
            line.clear();
        }
        let _ = sender.send(Event::OutputEnded);
    });
}

/// Prints without minding a terminal that is gone.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_end_of_its_own_is_told_with_code_and_last_lines() {
        let script = "echo bad >&2; exec 2>&-; for i in 1 2 3; do echo line $i; done; exit 7";
        let ended = Running::start(&mut shell(script)).expect("a shell is everywhere").wait();
        assert_eq!(ended.status.code(), Some(7));
        assert!(!ended.was_asked);
        for line in ["bad", "line 1", "line 3"] {
            assert!(ended.last_lines.iter().any(|last| last == line), "{:?}", ended.last_lines);
        }
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let script = "for i in $(seq 100); do echo line $i; done";
        let ended = Running::start(&mut shell(script)).expect("a shell is everywhere").wait();
        assert_eq!(ended.last_lines.len(), LAST_LINES_MAX);
        assert_eq!(ended.last_lines.last().map(String::as_str), Some("line 100"));
    }

    #[test]
    fn a_child_that_ends_before_it_is_ready_is_no_success() {
        let mut running = Running::start(&mut shell("exit 78")).expect("a shell is everywhere");
        let ended = running.wait_until(Duration::from_secs(30), || false).expect("it ends in time");
        assert_eq!(ended.and_then(|ended| ended.status.code()), Some(78));
    }

    #[test]
    fn one_that_never_gets_ready_is_stopped() {
        let mut running = Running::start(&mut shell("exec sleep 600")).expect("a shell is everywhere");
        let pid = running.pid;
        let failure = running.wait_until(Duration::ZERO, || false).err();
        assert!(failure.is_some_and(|failure| failure.contains("not ready")));
        drop(running);
        assert!(rustix::process::test_kill_process(pid).is_err(), "it was left behind");
    }

    #[test]
    fn the_first_stop_is_one_graceful_signal_and_the_third_kills() {
        let mut running =
            Running::start(&mut shell("trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"))
                .expect("a shell is everywhere");
        let has_said = |running: &Running, words: &str, count: usize| {
            let lines = running.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.iter().filter(|line| *line == words).count() == count
        };
        for (words, count) in [("up", 1), ("asked", 1), ("asked", 2)] {
            let deadline = Instant::now() + Duration::from_secs(30);
            while !has_said(&running, words, count) {
                assert!(Instant::now() < deadline, "it did not say `{words}` {count} times");
                assert!(running.handle_events(Some(Instant::now() + READY_POLL)).is_none(), "it ended");
            }
            running.stop();
        }
        let ended = running.wait();
        assert!(ended.was_asked);
        assert_eq!(ended.status.code(), None, "the third stop kills");
    }
}
