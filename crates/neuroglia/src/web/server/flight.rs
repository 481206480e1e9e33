//! What the parts of one connection tell each other, and the requests that it has in flight.
//!
//! hyper owns the socket and the service while it runs, so the clock beside it cannot ask them
//! anything. Instead, each writes what it did into [`Connection`]. For HTTP/1 all of them run in one
//! task; HTTP/2 requests have tasks of their own, hence atomics. None of them guards other memory, so
//! all are relaxed. What the requests in flight asked for is behind a lock, which hardly ever has two
//! who want it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body::Body;

use super::drain::{Abandoned, Phase, Shared};

/// What takes the place of a number of bytes that nobody knows.
const UNKNOWN: u64 = u64::MAX;

/// The state of one connection, as seen by all its parts.
pub(super) struct Connection {
    shared: Arc<Shared>,
    number: usize,
    /// What is in flight: for HTTP/1 one at most.
    asked: Mutex<Vec<Asked>>,
    multiplexed: AtomicBool,
    /// Requests whose answer is not completely handed over.
    in_flight: AtomicU32,
    /// All requests so far.
    requests: AtomicU32,
    /// There is, or may be, something of our own in what hyper writes next.
    own_answer: AtomicBool,
    /// Some bytes of a request head are there, or are behind the request in flight.
    partial_head: AtomicBool,
    /// How many bytes came together with the end of the last head, but after it; or [`UNKNOWN`].
    after_head: AtomicU64,
    /// How much of the body of the request in flight has not come yet; [`UNKNOWN`] when it comes in chunks.
    body_left: AtomicU64,
    /// Whether the last byte that came may be the end of a message.
    at_message_end: AtomicBool,
    /// The client takes nothing at the moment.
    write_blocked: AtomicBool,
    /// Moves with everything that the kernel takes for the client.
    written: AtomicU32,
    /// Moves with every step of an HTTP/2 answer.
    progress: AtomicU32,
    /// HTTP/2 answers that wait for the client to make room.
    unread: AtomicU32,
    /// HTTP/2 requests that were cancelled before their answer.
    cancelled: AtomicU32,
    /// What of it was left undone at the deadline is counted already.
    counted: AtomicBool,
    /// We have said everything and read on only out of courtesy.
    lingering: AtomicBool,
}

/// What the client of a request in flight asked for.
struct Asked {
    /// Its number on its connection.
    number: u32,
    method: Method,
    target: Option<PathAndQuery>,
}

impl From<Asked> for Abandoned {
    fn from(Asked { method, target, .. }: Asked) -> Self {
        Self { method, path: target.as_ref().map_or("*", PathAndQuery::path).to_owned() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.forget(self.number);
    }
}

impl Connection {
    pub(super) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        shared.enter(|number| Self::numbered(Arc::clone(shared), number))
    }

    fn numbered(shared: Arc<Shared>, number: usize) -> Arc<Self> {
        Arc::new(Self {
            shared,
            number,
            asked: Mutex::default(),
            multiplexed: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            own_answer: AtomicBool::new(false),
            partial_head: AtomicBool::new(false),
            after_head: AtomicU64::new(UNKNOWN),
            body_left: AtomicU64::new(0),
            at_message_end: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
            written: AtomicU32::new(0),
            progress: AtomicU32::new(0),
            unread: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            counted: AtomicBool::new(false),
            lingering: AtomicBool::new(false),
        })
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up whatever the tasks of this connection have not given up at the deadline themselves.
    pub(super) fn abandon_all(&self) {
        for request in self.asked().drain(..) {
            self.counted.store(true, Relaxed);
            self.shared.abandon(request.into());
        }
        self.leave_withheld();
    }

    /// Whether this is HTTP/2.
    pub(super) fn multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    pub(super) fn set_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.partial_head.store(false, Relaxed);
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    /// Whether what hyper writes is, at least in part, an answer of ours, and not its own.
    pub(super) fn answers(&self) -> bool {
        self.own_answer.load(Relaxed) || self.in_flight() > 0
    }

    /// Everything of ours has left.
    pub(super) fn flushed(&self) {
        self.own_answer.store(false, Relaxed);
    }

    pub(super) fn partial_head(&self) -> bool {
        self.partial_head.load(Relaxed)
    }

    /// Bytes have come that belong to no request in flight; with how many of them are behind the end of a head.
    pub(super) fn read_head(&self, after: Option<u64>, at_message_end: bool) {
        self.partial_head.store(true, Relaxed);
        self.after_head.store(after.unwrap_or(UNKNOWN), Relaxed);
        self.at_message_end.store(at_message_end, Relaxed);
    }

    /// Bytes have come while a request is in flight.
    pub(super) fn read_body(&self, count: u64, at_message_end: bool) {
        self.at_message_end.store(at_message_end, Relaxed);
        let left = self.body_left.load(Relaxed);
        if left == UNKNOWN {
            self.partial_head.store(!at_message_end, Relaxed);
        } else {
            self.body_left.store(left.saturating_sub(count), Relaxed);
            if count > left {
                self.partial_head.store(true, Relaxed);
            }
        }
    }

    /// hyper has found a request in what came, with a body of this size, or one in chunks.
    ///
    /// hyper reads ahead. What it has left over when this request is answered is the beginning of the next, and must
    /// not pass for silence.
    fn begin_request(&self, body: Option<u64>) {
        // Of what hyper had read for an earlier request nothing is known but how it ended.
        let after = self.after_head.swap(UNKNOWN, Relaxed);
        let is_open = !self.at_message_end.load(Relaxed);
        let (left, is_partial) = match (body, after) {
            (None, _) => (UNKNOWN, is_open),
            (Some(size), UNKNOWN) => (size, size == 0 && is_open),
            (Some(size), after) => (size.saturating_sub(after), after > size),
        };
        self.body_left.store(left, Relaxed);
        self.partial_head.store(is_partial, Relaxed);
    }

    /// Whether the body of the request in flight has not come as a whole, as far as anybody knows.
    pub(super) fn awaits_body(&self) -> bool {
        self.body_left.load(Relaxed) > 0
    }

    pub(super) fn write_blocked(&self) -> bool {
        self.write_blocked.load(Relaxed)
    }

    /// The kernel takes no more at the moment.
    pub(super) fn block_write(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    /// Counts a complete answer that the client has yet to take; to be called when hyper has let go of the
    /// connection, because it may keep a request in flight until the last byte of its answer is written.
    pub(super) fn leave_withheld(&self) {
        if self.write_blocked() && !self.counted.swap(true, Relaxed) {
            self.shared.leave_unsent();
        }
    }

    /// The kernel took something.
    pub(super) fn wrote(&self) {
        self.write_blocked.store(false, Relaxed);
        step(&self.written);
    }

    pub(super) fn written(&self) -> u32 {
        self.written.load(Relaxed)
    }

    /// An HTTP/2 answer went on.
    pub(super) fn progress(&self) {
        step(&self.progress);
    }

    pub(super) fn progressed(&self) -> u32 {
        self.progress.load(Relaxed)
    }

    /// One more HTTP/2 answer waits for its client.
    pub(super) fn offer(&self) {
        self.unread.fetch_add(1, Relaxed);
    }

    /// One HTTP/2 answer waits no longer.
    pub(super) fn taken(&self) {
        self.unread.fetch_sub(1, Relaxed);
    }

    pub(super) fn unread(&self) -> bool {
        self.unread.load(Relaxed) > 0
    }

    /// Whether the client of an HTTP/2 connection cancels more than it lets finish.
    pub(super) fn floods(&self) -> bool {
        let cancelled = self.cancelled.load(Relaxed);
        let answered = self.requests().saturating_sub(cancelled);
        cancelled > answered.saturating_add(self.shared.limits.h2_resets)
    }

    pub(super) fn lingering(&self) -> bool {
        self.lingering.load(Relaxed)
    }

    pub(super) fn linger(&self) {
        self.lingering.store(true, Relaxed);
    }
}

/// Moves a counter of which only the change is of interest, so that a lost step is no loss.
fn step(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// A request from its head to the end of its answer.
///
/// If it is dropped unfinished after the deadline, it was abandoned and is noted as such.
pub(super) struct InFlight {
    connection: Arc<Connection>,
    number: u32,
    answered: bool,
    finished: bool,
}

impl InFlight {
    pub(super) fn enter<B: Body>(connection: &Arc<Connection>, request: &Request<B>) -> Self {
        if !connection.multiplexed() {
            connection.begin_request(request.body().size_hint().exact());
        }
        let number = connection.requests.fetch_add(1, Relaxed);
        connection.in_flight.fetch_add(1, Relaxed);
        connection.asked().push(Asked {
            number,
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
        });
        Self { connection: Arc::clone(connection), number, answered: false, finished: false }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The head of the answer is there.
    pub(super) fn answer(&mut self) {
        self.answered = true;
    }

    /// The answer is complete.
    pub(super) fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.leave(&mut self.connection.asked());
        }
    }

    /// Ends being in flight, unless it was given up before.
    fn leave(&self, asked: &mut Vec<Asked>) -> Option<Asked> {
        let place = asked.iter().position(|request| request.number == self.number)?;
        Some(asked.swap_remove(place))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.own_answer.store(true, Relaxed);
        connection.in_flight.fetch_sub(1, Relaxed);
        if !self.answered {
            connection.cancelled.fetch_add(1, Relaxed);
        }
        if !self.finished {
            // Under the lock, so that whoever looks meanwhile finds it either here or there.
            let mut asked = connection.asked();
            let request = self.leave(&mut asked);
            if connection.shared.phase() == Phase::Aborted {
                connection.counted.store(true, Relaxed);
                if let Some(request) = request {
                    connection.shared.abandon(request.into());
                }
            }
        }
    }
}

/// The end of an HTTP/2 answer, which h2 keeps until the client has made room for it.
///
/// If it is dropped after the deadline, the client has not got it. Its request is not in flight any more.
pub(super) struct LastPiece {
    connection: Arc<Connection>,
    data: Bytes,
}

impl LastPiece {
    /// The data, which tells its connection when it is left behind.
    pub(super) fn watched(connection: &Arc<Connection>, data: Bytes) -> Bytes {
        Bytes::from_owner(Self { connection: Arc::clone(connection), data })
    }
}

impl AsRef<[u8]> for LastPiece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for LastPiece {
    fn drop(&mut self) {
        if self.connection.shared.phase() == Phase::Aborted {
            self.connection.counted.store(true, Relaxed);
            self.connection.shared.leave_unsent();
        }
    }
}
