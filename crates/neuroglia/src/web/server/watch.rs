//! The clock of one connection.
//!
//! A connection is always in one of a few states, and each may last only so long. The state is read
//! off after hyper has done what it could; only a change of it asks for the time. There is a single
//! timer, which is moved when a deadline comes nearer and otherwise left alone: if it fires too early
//! it is set again. A busy connection therefore moves it a few times a minute and not with each
//! request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::drain::{News, Phase, Shared};
use super::flight::Connection;

/// What the clock says is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The end has begun: tell the client, where HTTP has a way to.
    Announce,
    /// Nothing is going on: close politely.
    Close,
    /// Half a head is all that came: say so, and close.
    HeadTimeout,
    /// Cut it.
    Cut,
}

/// What a connection is waiting for. Where several apply, the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For the client to see our end of the connection.
    Lingering,
    /// For the client to take bytes; with what it has taken so far.
    Writing(u32),
    /// For an HTTP/2 client to make room for an answer; with the steps that answers made so far.
    Reading(u32),
    /// For the application. It has clocks of its own.
    Working,
    /// For an HTTP/2 client to take leave; with what it has taken so far.
    Parting(u32),
    /// For an HTTP/2 client to take leave because it was idle.
    Leaving,
    /// For the rest of a request head.
    Head,
    /// For a request; with how many there were.
    Idle(u32),
}

/// Watches over one connection.
pub(super) struct Watch<'a> {
    connection: &'a Connection,
    shared: &'a Shared,
    waiting: Waiting,
    since: Instant,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer knows whom to wake.
    armed: bool,
    news: Pin<Box<News<'a>>>,
    /// Whether the end has begun.
    ending: bool,
    announced: bool,
    /// Whether it was already told to close.
    closing: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        let shared: &'a Shared = connection.shared();
        let now = Instant::now();
        Self {
            connection,
            shared,
            waiting: Waiting::Idle(0),
            since: now,
            timer: Box::pin(tokio::time::sleep_until(later(now, shared.limits.header_timeout))),
            armed: false,
            news: Box::pin(shared.news()),
            ending: false,
            announced: false,
            closing: false,
        }
    }

    /// Ready with what is to be done now; to be polled after the connection itself.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let polled = self.poll_end(cx);
        if polled.is_pending() && self.ending && !std::mem::replace(&mut self.announced, true) {
            return Poll::Ready(Verdict::Announce);
        }
        polled
    }

    /// Ready when the connection is to end, whatever was going on. That the end has begun is kept for later, because
    /// nothing can be announced to a client whose protocol is not known.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        while let Poll::Ready(phase) = self.news.as_mut().poll_next(cx) {
            if phase == Phase::Aborted {
                return Poll::Ready(Verdict::Cut);
            }
            self.ending = phase >= Phase::Draining;
        }
        if self.connection.floods() && self.connection.multiplexed() {
            tracing::debug!("connection cut: too many cancelled requests");
            return Poll::Ready(Verdict::Cut);
        }
        let waiting = self.waiting();
        if waiting != self.waiting {
            self.waiting = waiting;
            self.since = Instant::now();
        }
        loop {
            let deadline = self.deadline();
            if let Some((due, _)) = deadline
                && due < self.timer.deadline()
            {
                self.timer.as_mut().reset(due);
                self.armed = false;
            }
            // A timer that was polled once wakes us by itself.
            if self.armed && !self.timer.is_elapsed() {
                return Poll::Pending;
            }
            self.armed = true;
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match deadline {
                // A connection that does not close when it is told to is not as idle as it looks.
                Some((due, Verdict::Close)) if due <= now && self.closing => {
                    return Poll::Ready(Verdict::Cut);
                }
                Some((due, verdict)) if due <= now => {
                    self.closing = verdict == Verdict::Close;
                    self.armed = false;
                    return Poll::Ready(verdict);
                }
                Some((due, _)) => self.timer.as_mut().reset(due),
                None => self.timer.as_mut().reset(later(now, self.shared.limits.idle_timeout)),
            }
            self.armed = false;
        }
    }

    fn waiting(&self) -> Waiting {
        let connection = self.connection;
        if connection.lingering() {
            Waiting::Lingering
        } else if connection.write_blocked() {
            Waiting::Writing(connection.written())
        } else if connection.unread() {
            Waiting::Reading(connection.progressed())
        } else if connection.in_flight() > 0 {
            Waiting::Working
        } else if connection.multiplexed() && self.shared.closed_at().is_some() {
            Waiting::Parting(connection.written())
        } else if connection.multiplexed() && self.closing {
            Waiting::Leaving
        } else if connection.partial_head() {
            Waiting::Head
        } else {
            Waiting::Idle(connection.requests())
        }
    }

    /// Until when the present state may last, and what then.
    fn deadline(&self) -> Option<(Instant, Verdict)> {
        let limits = &self.shared.limits;
        let closed = self.shared.closed_at();
        let (patience, verdict) = match self.waiting {
            Waiting::Lingering if closed.is_some() => {
                (limits.linger_timeout.min(limits.drain_linger), Verdict::Cut)
            }
            Waiting::Lingering => (limits.linger_timeout, Verdict::Cut),
            Waiting::Writing(_) | Waiting::Reading(_) | Waiting::Parting(_) => {
                (limits.write_timeout, Verdict::Cut)
            }
            Waiting::Leaving => (limits.drain_linger, Verdict::Cut),
            Waiting::Working => return None,
            Waiting::Head => (limits.header_timeout, Verdict::HeadTimeout),
            // Others wait for its place.
            Waiting::Idle(_) if self.shared.crowded() => {
                (limits.header_timeout.min(limits.idle_timeout).min(limits.drain_linger), Verdict::Close)
            }
            Waiting::Idle(0) => (limits.header_timeout, Verdict::Close),
            Waiting::Idle(_) => (limits.idle_timeout, Verdict::Close),
        };
        let due = later(self.since, patience);
        match (self.waiting, closed) {
            // The door is closed: whoever is still idle gets a last chance to ask.
            (Waiting::Idle(_), Some(closed)) => {
                Some((due.min(later(self.since.max(closed), limits.drain_linger)), verdict))
            }
            _ => Some((due, verdict)),
        }
    }
}

/// An instant that much later, however large the setting is.
pub(super) fn later(from: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    from + by.min(FAR)
}
