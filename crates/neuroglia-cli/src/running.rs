//! One child in the foreground: waited for until it is ready, and stopped in order.
//!
//! A Ctrl-C is passed on as exactly one SIGTERM; a second one goes on as a second SIGTERM, by
//! which an application ends at once, and a third as SIGKILL. Should this process fail or panic,
//! dropping [`Running`] stops the child, so that none is left behind with the port.

use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Result;
use crate::child::{Child, Event, forward_signals, say};

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

/// A child that runs.
pub(crate) struct Running {
    child: Child,
    events: Receiver<Event>,
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
        forward_signals(sender.clone())?;
        let child = Child::spawn(command, 0, "", &sender)?;
        Ok(Self { child, events, stops_asked: 0, streams_open: 2, is_reaped: false })
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
                Event::OutputEnded(_) => self.streams_open = self.streams_open.saturating_sub(1),
                Event::Exited(_) => return Some(self.reap()),
            }
        }
    }

    fn stop(&mut self) {
        self.stops_asked += 1;
        self.child.signal(match self.stops_asked {
            1 => {
                say("\nstopping: requests in flight are finished; press Ctrl-C again to stop at once");
                Signal::TERM
            }
            2 => Signal::TERM,
            _ => Signal::KILL,
        });
    }

    /// Collects the status and the rest of the output.
    fn reap(&mut self) -> Ended {
        let deadline = Instant::now() + OUTPUT_TIMEOUT;
        while self.streams_open > 0 {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::OutputEnded(_)) => self.streams_open -= 1,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.reap();
        self.is_reaped = true;
        Ended { status, was_asked: self.stops_asked > 0, last_lines: self.child.last_lines() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.child.signal(Signal::TERM);
            if self.handle_events(Some(Instant::now() + DROP_TIMEOUT)).is_none() {
                self.child.signal(Signal::KILL);
                self.child.reap();
            }
        }
    }
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
        assert_eq!(ended.last_lines.len(), 20);
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
        let pid = running.child.pid();
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
            running.child.last_lines().iter().filter(|line| *line == words).count() == count
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
