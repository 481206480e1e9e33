//! A panic is one event among the others, and nothing else.

use std::{
    backtrace::Backtrace,
    cell::Cell,
    panic::{self, PanicHookInfo},
    thread,
    time::Duration,
};

use tracing::Level;

use super::queue::Queue;

/// How long a panicking thread waits for its line to go out, in case the process ends right after.
const FLUSH_WITHIN: Duration = Duration::from_millis(50);

/// The target of the event.
pub(super) const TARGET: &str = "panic";

thread_local! {
    /// Whether the log has written the panic of this thread.
    static IS_WRITTEN: Cell<bool> = const { Cell::new(false) };
}

/// The log has written an event of a panic in this thread.
pub(super) fn note_written() {
    // A thread whose locals are gone has nobody who asks.
    let _ = IS_WRITTEN.try_with(|is_written| is_written.set(true));
}

/// Replaces the process's panic hook.
///
/// The standard hook, which writes to stderr, still speaks where the log drops the event, whoever else hears it: a panic is
/// never silent.
pub(super) fn install(queue: Queue, with_backtrace: bool) {
    let standard = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _ = IS_WRITTEN.try_with(|is_written| is_written.set(false));
        log(info, with_backtrace);
        if IS_WRITTEN.try_with(Cell::take).unwrap_or(false) {
            queue.flush(FLUSH_WITHIN);
        } else {
            standard(info);
        }
    }));
}

fn log(info: &PanicHookInfo<'_>, with_backtrace: bool) {
    let thread = thread::current();
    tracing::event!(
        target: TARGET,
        Level::ERROR,
        panic.message = info.payload_as_str().unwrap_or("a value that is not text"),
        panic.location = info.location().map(display),
        panic.backtrace = with_backtrace.then(|| display(Backtrace::force_capture())),
        thread.name = thread.name().unwrap_or("unnamed"),
        "panic"
    );
}
