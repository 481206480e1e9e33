//! A bounded queue of lines in front of a writer that may be slow, stalled or gone.
//!
//! Producers append under a lock that is never held over a write, a wait or foreign code. One thread owns the
//! writer. It sleeps when there is nothing to do, writes the first line after a pause at once, and then lets lines
//! gather for [`GATHER`] before it writes again: a lone line is not delayed, and ten thousand lines a second cost
//! five hundred writes and wake-ups instead of ten thousand.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::sink::LineSink;

/// How long lines gather while the writer is busy.
const GATHER: Duration = Duration::from_millis(2);

/// How long the writer rests after an error that may pass, such as a full disk.
const REST_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The memory that the queue keeps when it has nothing to do.
const IDLE_BYTES: usize = 64 * 1024;

/// Writes the line which says how many were lost.
pub(super) type LossNotice = Box<dyn Fn(&mut Vec<u8>, u64) + Send>;

/// Starts the thread that writes to `writer`.
///
/// The thread ends when the sink is dropped and everything before that is written.
pub(super) fn spawn(
    writer: impl Write + Send + 'static,
    capacity_bytes: usize,
    loss_notice: LossNotice,
) -> io::Result<(QueueSink, Queue)> {
    let queue = Queue(Arc::new(Shared {
        capacity_bytes,
        state: Mutex::default(),
        work: Condvar::new(),
        progress: Condvar::new(),
        closed: AtomicBool::new(false),
    }));
    let consumer = Consumer { queue: queue.clone(), writer, loss_notice, mid_line: false };
    thread::Builder::new().name("log-writer".to_owned()).stack_size(128 * 1024).spawn(|| consumer.run())?;
    Ok((QueueSink(queue.clone()), queue))
}

/// The producers' end; dropping it ends the queue.
pub(super) struct QueueSink(Queue);

impl LineSink for QueueSink {
    fn write_line(&self, line: &[u8]) {
        self.0.append(line);
    }

    fn is_closed(&self) -> bool {
        self.0.0.closed.load(Ordering::Relaxed)
    }
}

impl Drop for QueueSink {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.0.work.notify_one();
    }
}

/// A handle to wait for the queue and to ask what became of it.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    capacity_bytes: usize,
    state: Mutex<State>,
    /// Tells the writing thread that something wants doing.
    work: Condvar,
    /// Tells those who flush that something was done.
    progress: Condvar,
    /// A copy of `State::ended` that needs no lock.
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Lines accepted, and lines written or given up, since the start.
    accepted: u64,
    settled: u64,
    /// Lines lost and not yet told.
    lost: u64,
    lost_total: u64,
    /// The writing thread waits for `work`, and whoever brings some has to wake it.
    asleep: bool,
    /// Somebody wants the pending lines written before they have finished gathering.
    urgent: bool,
    /// There will be no more lines.
    stopping: bool,
    /// Nothing is written any more.
    ended: bool,
}

impl Queue {
    /// Waits until every line accepted so far is written or given up. False when `within` was too short.
    pub(super) fn flush(&self, within: Duration) -> bool {
        let mut state = self.lock();
        let goal = state.accepted;
        if state.settled < goal && !state.ended {
            state.urgent = true;
            self.0.work.notify_one();
            (state, _) = self
                .0
                .progress
                .wait_timeout_while(state, within, |state| state.settled < goal && !state.ended)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.settled >= goal
    }

    /// How many lines were lost since the start.
    pub(super) fn lines_lost(&self) -> u64 {
        self.lock().lost_total
    }

    fn append(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        if state.pending.len() + line.len() <= self.0.capacity_bytes {
            state.pending.extend_from_slice(line);
            state.accepted += 1;
        } else {
            state.lose(1);
        }
        let half_full = !state.urgent && state.pending.len() >= self.0.capacity_bytes / 2;
        state.urgent |= half_full;
        let wake = half_full || state.asleep;
        state.asleep = false;
        drop(state);
        if wake {
            self.0.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lose(&mut self, lines: u64) {
        self.lost += lines;
        self.lost_total += lines;
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.lost == 0
    }
}

/// The writing thread.
struct Consumer<W> {
    queue: Queue,
    writer: W,
    loss_notice: LossNotice,
    /// A write ended inside a line, and the rest of it was given up.
    mid_line: bool,
}

/// Why a batch was not written to its end.
enum Failure {
    /// Nobody will ever read what is written.
    Closed,
    /// It may work again later.
    Passing { bytes_written: usize },
}

impl<W: Write> Consumer<W> {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            batch.shrink_to(IDLE_BYTES);
            let Some(Taken { accepted, lost }) = self.take(&mut batch) else {
                break;
            };
            let lines_len = batch.len();
            if lost > 0 {
                (self.loss_notice)(&mut batch, lost);
            }
            let pause = match self.write(&batch) {
                Ok(()) => {
                    self.settle(accepted, |_| {});
                    GATHER
                }
                Err(Failure::Passing { bytes_written }) => {
                    let unwritten = batch.get(bytes_written..lines_len).unwrap_or_default();
                    let lines = unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.settle(accepted, |state| {
                        state.lose(lines);
                        // The notice was lost with the rest, but those it spoke of are counted already.
                        state.lost += lost;
                    });
                    REST_AFTER_ERROR
                }
                Err(Failure::Closed) => break,
            };
            self.gather(pause);
        }
        let mut state = self.queue.lock();
        state.ended = true;
        state.pending = Vec::new();
        self.queue.0.closed.store(true, Ordering::Relaxed);
        drop(state);
        self.queue.0.progress.notify_all();
    }

    /// Waits for lines and takes all there are, or tells that there will be none.
    fn take(&self, batch: &mut Vec<u8>) -> Option<Taken> {
        let mut state = self.queue.lock();
        while state.is_idle() {
            if state.stopping {
                return None;
            }
            state.asleep = true;
            state = self.queue.0.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        state.urgent = false;
        std::mem::swap(&mut state.pending, batch);
        Some(Taken { accepted: state.accepted, lost: std::mem::take(&mut state.lost) })
    }

    fn gather(&self, pause: Duration) {
        let is_calm = |state: &mut State| !state.urgent && !state.stopping;
        let waited = self.queue.0.work.wait_timeout_while(self.queue.lock(), pause, is_calm);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn settle(&self, accepted: u64, also: impl FnOnce(&mut State)) {
        let mut state = self.queue.lock();
        state.settled = accepted;
        also(&mut state);
        drop(state);
        self.queue.0.progress.notify_all();
    }

    fn write(&mut self, batch: &[u8]) -> Result<(), Failure> {
        if self.mid_line {
            self.write_all(b"\n").map_err(|failure| match failure {
                Failure::Passing { .. } => Failure::Passing { bytes_written: 0 },
                Failure::Closed => Failure::Closed,
            })?;
            self.mid_line = false;
        }
        self.write_all(batch).inspect_err(|failure| {
            if let Failure::Passing { bytes_written } = failure {
                self.mid_line = batch[..*bytes_written].last().is_some_and(|byte| *byte != b'\n');
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut bytes_written = 0;
        while bytes_written < bytes.len() {
            match self.writer.write(&bytes[bytes_written..]) {
                Ok(0) => return Err(Failure::Passing { bytes_written }),
                Ok(count) => bytes_written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_closed(&error) => return Err(Failure::Closed),
                Err(_) => return Err(Failure::Passing { bytes_written }),
            }
        }
        Ok(())
    }
}

struct Taken {
    accepted: u64,
    lost: u64,
}

/// Nobody reads at the other end, or there was no standard output to begin with.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
        || error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error())
}
