//! The end of a server in three moments, and what it had to leave undone.
//!
//! A load balancer and the signal to stop travel separate ways, so a server that is told to stop
//! still gets requests for a while. It first announces its end on every answer, then closes the
//! door, then waits, and at last cuts. Each moment is a token that the owner of the process
//! cancels; a later one implies the earlier.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};

use http::Method;
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::flight::Connection;
use super::limits::Limits;

/// The three moments at which a server ends; cancel the tokens in this order.
///
/// Clones share the moments. A moment that is skipped happens together with the next one.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// From now on every answer says `Connection: close` (HTTP/2: GOAWAY); new connections are
    /// still accepted.
    pub begin: CancellationToken,
    /// The listener closes. What was accepted is answered, idle connections get a short linger.
    pub close: CancellationToken,
    /// The deadline: whatever is left is cut and counted.
    pub abort: CancellationToken,
}

impl Drain {
    /// A drain of which no moment has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// What a server left behind when it had ended.
#[derive(Debug, Default)]
#[must_use = "abandoned work decides the exit code"]
pub struct Drained {
    /// The requests that were in flight at the deadline.
    pub abandoned: Vec<Abandoned>,
    /// Complete answers that their clients had not taken at the deadline.
    pub unsent: usize,
    /// Tasks that ignored the deadline, because a handler blocks its thread; their requests are among the abandoned.
    pub stuck: usize,
}

impl Drained {
    /// Whether every request got its answer.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.abandoned.is_empty() && self.unsent == 0 && self.stuck == 0
    }
}

/// A request that was cut at the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// Its method.
    pub method: Method,
    /// Its path, without the query, which may hold what does not belong into a log.
    pub path: String,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Serving = 0,
    Draining = 1,
    Closed = 2,
    Aborted = 3,
}

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    /// Every task of this server: connections and HTTP/2 requests.
    pub(super) tasks: TaskTracker,
    changed: Notify,
    phase: AtomicU8,
    closed_at: OnceLock<Instant>,
    /// Whether somebody waits for a place, and there is none.
    crowded: AtomicBool,
    /// How often it became so; moves before everyone is woken.
    crowdings: AtomicU32,
    /// By number, so that even what ignores the deadline can be named.
    connections: Mutex<HashMap<usize, Weak<Connection>>>,
    connections_ever: AtomicUsize,
    abandoned: Mutex<Vec<Abandoned>>,
    unsent: AtomicUsize,
}

pin_project! {
    /// Waits for news of the whole server without touching what all connections share, as long as there is none.
    ///
    /// A token would take the same lock in each poll of each connection. This looks at two atomics,
    /// which hardly ever change, and registers for a wake-up once for each of the news.
    pub(super) struct News<'a> {
        shared: &'a Shared,
        seen: (Phase, u32),
        #[pin]
        changed: Notified<'a>,
        listening: bool,
    }
}

impl News<'_> {
    /// Ready with the phase when it is another than the one given last, or when somebody waits for a place.
    #[inline]
    pub(super) fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Phase> {
        let mut this = self.project();
        loop {
            let (phase, crowdings) = (this.shared.phase(), this.shared.crowdings.load(Ordering::Acquire));
            if (phase, crowdings) != *this.seen {
                *this.seen = (phase, crowdings);
                *this.listening = false;
                return Poll::Ready(phase);
            }
            if *this.listening {
                return Poll::Pending;
            }
            // First listen, then look again: a change in between is seen or wakes us.
            this.changed.set(this.shared.changed.notified());
            *this.listening = this.changed.as_mut().poll(cx).is_pending();
        }
    }
}

impl Shared {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tasks: TaskTracker::new(),
            changed: Notify::new(),
            phase: AtomicU8::new(Phase::Serving as u8),
            closed_at: OnceLock::new(),
            crowded: AtomicBool::new(false),
            crowdings: AtomicU32::new(0),
            connections: Mutex::default(),
            connections_ever: AtomicUsize::new(0),
            abandoned: Mutex::default(),
            unsent: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            2 => Phase::Closed,
            _ => Phase::Aborted,
        }
    }

    /// Moves on and wakes everyone. A phase never goes back.
    pub(super) fn advance(&self, phase: Phase) {
        if phase >= Phase::Closed {
            self.closed_at.get_or_init(Instant::now);
        }
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Says whether somebody waits for a place, and there is none; then whoever is idle makes room.
    pub(super) fn crowd(&self, crowded: bool) {
        if !self.crowded.swap(crowded, Ordering::AcqRel) && crowded {
            self.crowdings.fetch_add(1, Ordering::AcqRel);
            self.changed.notify_waiters();
        }
    }

    pub(super) fn crowded(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    /// The news to come.
    pub(super) fn news(&self) -> News<'_> {
        let seen = (Phase::Serving, self.crowdings.load(Ordering::Acquire));
        News { shared: self, seen, changed: self.changed.notified(), listening: false }
    }

    /// When the listener closed.
    pub(super) fn closed_at(&self) -> Option<Instant> {
        self.closed_at.get().copied()
    }

    /// Remembers a connection until it is [forgotten](Self::forget) with the number that it gets.
    pub(super) fn enter(&self, connection: impl FnOnce(usize) -> Arc<Connection>) -> Arc<Connection> {
        let number = self.connections_ever.fetch_add(1, Ordering::Relaxed);
        let connection = connection(number);
        self.connections().insert(number, Arc::downgrade(&connection));
        connection
    }

    pub(super) fn forget(&self, number: usize) {
        self.connections().remove(&number);
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<usize, Weak<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abandoned(&self) -> MutexGuard<'_, Vec<Abandoned>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn abandon(&self, request: Abandoned) {
        self.abandoned().push(request);
    }

    pub(super) fn leave_unsent(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drained(&self) -> Drained {
        if self.phase() == Phase::Aborted {
            // Not in one expression: whoever lets go of a connection last takes the lock.
            let left: Vec<_> = self.connections().values().filter_map(Weak::upgrade).collect();
            for connection in left {
                connection.abandon_all();
            }
        }
        Drained {
            abandoned: std::mem::take(&mut *self.abandoned()),
            unsent: self.unsent.load(Ordering::Relaxed),
            stuck: self.tasks.len(),
        }
    }
}
