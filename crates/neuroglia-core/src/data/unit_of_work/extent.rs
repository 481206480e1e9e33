//! Which messages run in the unit of work, and what belongs to which.
//!
//! A command that begins *inside* another joins it; one that begins *beside* another, in the same scope, is
//! refused: both would be committed or lost together, although each sender was given an answer of its own. What
//! is inside shows while a future is polled: whatever happens meanwhile on the same thread is a part of it. So
//! each poll is noted with its thread, which also tells a query that writes from a command that runs beside it.

use std::future::poll_fn;
use std::pin::pin;
use std::thread::{self, ThreadId};

use super::{Ending, Gathered, UnitOfWork};
use crate::error::{Error, Result};

/// How deep commands may send commands; more is a circle, and would end the thread's stack.
const DEPTH_MAX: u32 = 16;

/// What runs in a unit of work.
#[derive(Default)]
pub(super) struct Running {
    /// Commands that run inside each other; the outermost commits.
    depth: u32,
    /// The command inside another that failed after it had changed something.
    doomed_by: Option<&'static str>,
    polls: Vec<Poll>,
}

struct Poll {
    thread: ThreadId,
    extent: Extent,
}

#[derive(Clone, Copy)]
enum Extent {
    Command,
    Query(&'static str),
}

impl Running {
    /// Refuses what would change something, when a query is being polled on this thread.
    pub(super) fn permit_change(&self) -> Result<()> {
        match self.here() {
            Some(Extent::Query(query)) => {
                Err(Error::internal(format!("the query `{query}` tried to change something")))
            }
            _ => Ok(()),
        }
    }

    fn here(&self) -> Option<Extent> {
        let last = self.polls.last()?;
        let thread = thread::current().id();
        if last.thread == thread {
            return Some(last.extent);
        }
        self.polls.iter().rfind(|poll| poll.thread == thread).map(|poll| poll.extent)
    }
}

impl UnitOfWork {
    /// Whether a command runs.
    pub(crate) fn is_entered(&self) -> bool {
        self.state().running.depth > 0
    }

    /// Begins a command.
    ///
    /// # Errors
    /// When a query sends it, when another command runs beside it, when it is nested too deeply, or when
    /// statements wait that could not be given back.
    pub(crate) fn begin(&self, name: &'static str) -> Result<Command<'_>> {
        let mut state = self.state();
        let is_outermost = state.running.depth == 0;
        match state.running.here() {
            Some(Extent::Query(query)) => {
                return Err(Error::internal(format!("the query `{query}` sent the command `{name}`")));
            }
            None if !is_outermost => {
                return Err(Error::internal(format!(
                    "`{name}` was sent beside another command of its scope; send one after the other, or open a \
                     scope for each"
                )));
            }
            _ => {}
        }
        if state.running.depth == DEPTH_MAX {
            return Err(Error::internal(format!("commands send each other without end, at last `{name}`")));
        }
        if is_outermost && !state.gathered.native.is_empty() {
            return Err(Error::internal(format!(
                "own statements wait for their commit, and `{name}` could not give them back if it failed; call \
                 `UnitOfWork::commit` before, or add them in the command"
            )));
        }
        state.running.depth += 1;
        let before = if is_outermost { state.gathered.unsaved() } else { Gathered::default() };
        let changes_before = state.changes;
        Ok(Command { work: self, name, is_outermost, before, changes_before, has_ended: false })
    }

    /// Runs a query: it can change nothing.
    pub(crate) async fn ask<F: Future>(&self, name: &'static str, query: F) -> F::Output {
        self.poll(Extent::Query(name), query).await
    }

    async fn poll<F: Future>(&self, extent: Extent, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _polled = Polled::new(self, extent);
            future.as_mut().poll(context)
        })
        .await
    }
}

/// A command that runs in the unit of work. Unless it ends well, it takes its changes along, also when it
/// panicked or was cancelled; what was gathered before the outermost stays.
pub(crate) struct Command<'a> {
    work: &'a UnitOfWork,
    name: &'static str,
    is_outermost: bool,
    /// What the outermost goes back to.
    before: Gathered,
    changes_before: u64,
    has_ended: bool,
}

impl Command<'_> {
    pub(crate) fn is_outermost(&self) -> bool {
        self.is_outermost
    }

    /// Runs what the command does.
    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        self.work.poll(Extent::Command, future).await
    }

    /// Ends one inside another well: the outermost commits what it changed.
    pub(crate) fn join(mut self) {
        self.has_ended = true;
    }

    /// Ends the outermost well, and commits, with what ends together with it.
    ///
    /// # Errors
    /// Those of [`Store::commit`](super::super::Store::commit).
    pub(crate) async fn commit(mut self, ending: Ending) -> Result<()> {
        let doomed_by = self.work.state().running.doomed_by;
        if let Some(inner) = doomed_by {
            return Err(Error::internal(format!(
                "`{inner}` failed inside `{}` after it had changed something: nothing is committed",
                self.name
            )));
        }
        self.work.send(ending).await?;
        self.has_ended = true;
        Ok(())
    }
}

impl Drop for Command<'_> {
    fn drop(&mut self) {
        let mut state = self.work.state();
        state.running.depth -= 1;
        if self.is_outermost {
            state.running.doomed_by = None;
            if !self.has_ended {
                state.gathered = std::mem::take(&mut self.before);
            }
        } else if !self.has_ended && state.changes != self.changes_before {
            state.running.doomed_by.get_or_insert(self.name);
        }
    }
}

/// Notes a poll for as long as it takes, also when it panics.
struct Polled<'a> {
    work: &'a UnitOfWork,
    thread: ThreadId,
}

impl<'a> Polled<'a> {
    fn new(work: &'a UnitOfWork, extent: Extent) -> Self {
        let thread = thread::current().id();
        work.state().running.polls.push(Poll { thread, extent });
        Self { work, thread }
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        let polls = &mut self.work.state().running.polls;
        if let Some(position) = polls.iter().rposition(|poll| poll.thread == self.thread) {
            polls.remove(position);
        }
    }
}
