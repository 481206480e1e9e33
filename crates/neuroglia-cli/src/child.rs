//! A child process: shown line by line, watched, and signalled without a race.
//!
//! The child has a process group of its own. A Ctrl-C at the terminal therefore reaches only this
//! process, which decides what its children are told. Everything that can happen arrives as an
//! [`Event`] at one place, with the number that whoever started the child gave it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::Result;

const LAST_LINES_MAX: usize = 20;
/// The longest piece of a line that is held; a longer line is shown in pieces.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// What happens to those who supervise.
pub(crate) enum Event {
    /// Somebody wants this process to stop.
    Signal,
    /// The child is a zombie: its number is still its own, and can be signalled without a race.
    Exited(usize),
    /// One of the child's two streams is closed.
    OutputEnded(usize),
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A child that runs.
pub(crate) struct Child {
    process: std::process::Child,
    pid: Pid,
    last_lines: LastLines,
}

impl Child {
    /// Starts the command as number `member`; its output is copied to ours from here on, each line behind the prefix.
    ///
    /// # Errors
    /// When the command does not start.
    pub(crate) fn spawn(
        command: &mut Command,
        member: usize,
        prefix: &str,
        sender: &Sender<Event>,
    ) -> Result<Self> {
        let mut process = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
        let pid = Pid::from_child(&process);
        let last_lines = LastLines::default();
        let copy = |to| Copy { to, prefix: prefix.as_bytes().to_vec(), last_lines: last_lines.clone() };
        if let Some(stdout) = process.stdout.take() {
            copy(Stream::Out).start(stdout, member, sender.clone());
        }
        if let Some(stderr) = process.stderr.take() {
            copy(Stream::Err).start(stderr, member, sender.clone());
        }
        let sender = sender.clone();
        std::thread::spawn(move || {
            // Left as a zombie for `reap`, so that the number cannot become another process's.
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
            let _ = sender.send(Event::Exited(member));
        });
        Ok(Self { process, pid, last_lines })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Signals the child.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails only when the child is gone already, and then its end is the next event.
        let _ = kill_process(self.pid, signal);
    }

    /// Collects the status of a child that has exited, or waits for it.
    pub(crate) fn reap(&mut self) -> ExitStatus {
        self.process.wait().expect("nobody else reaps our child")
    }

    /// The last lines it wrote.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.last_lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Sends an event for each signal that asks this process to stop.
///
/// # Errors
/// When signals cannot be received.
pub(crate) fn forward_signals(sender: Sender<Event>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| format!("cannot receive signals: {error}"))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(Event::Signal).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// Prints without minding a terminal that is gone.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Where the lines of a stream go.
struct Copy {
    to: Stream,
    prefix: Vec<u8>,
    last_lines: LastLines,
}

impl Copy {
    /// Copies line by line, and keeps the last ones.
    fn start(self, from: impl Read + Send + 'static, member: usize, sender: Sender<Event>) {
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = self.prefix.clone();
            while from
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                self.keep(&line[self.prefix.len()..]);
                if !self.prefix.is_empty() && line.last() != Some(&b'\n') {
                    line.push(b'\n');
                }
                // When our own terminal is gone the child must still not stall on a full pipe.
                let _ = match self.to {
                    Stream::Out => write_at_once(std::io::stdout().lock(), &line),
                    Stream::Err => write_at_once(std::io::stderr().lock(), &line),
                };
                line.truncate(self.prefix.len());
            }
            let _ = sender.send(Event::OutputEnded(member));
        });
    }

    fn keep(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let mut last_lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if last_lines.len() == LAST_LINES_MAX {
            last_lines.pop_front();
        }
        last_lines.push_back(text);
    }
}

fn write_at_once(mut to: impl Write, line: &[u8]) -> std::io::Result<()> {
    to.write_all(line).and_then(|()| to.flush())
}
