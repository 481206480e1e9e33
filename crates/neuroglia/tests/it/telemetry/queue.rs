//! Writers that stall, fail and go away.

use std::{
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use neuroglia::telemetry::{LogFormat, Telemetry, TelemetryGuard, TelemetryOptions};
use serde_json::Value;
use tracing::{Dispatch, dispatcher};

use super::options;

/// Long enough for any machine; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(20);

/// A writer that does what the test says.
#[derive(Clone, Default)]
struct Reader(Arc<(Mutex<ReaderState>, Condvar)>);

#[derive(Default)]
struct ReaderState {
    stalled: bool,
    read: Vec<u8>,
    writes: usize,
    /// Errors of the coming writes, each after as many bytes.
    failures: Vec<(usize, ErrorKind)>,
}

impl Reader {
    fn with<T>(&self, work: impl FnOnce(&mut ReaderState) -> T) -> T {
        let result = work(&mut self.0.0.lock().expect("no test panics with the lock"));
        self.0.1.notify_all();
        result
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.with(|state| String::from_utf8(state.read.clone()).expect("UTF-8"));
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect("a whole line")).collect()
    }

    fn wait_until(&self, condition: impl Fn(&ReaderState) -> bool) {
        let state = self.0.0.lock().expect("no test panics with the lock");
        let (state, waited) =
            self.0.1.wait_timeout_while(state, DEADLINE, |state| !condition(state)).expect("as above");
        drop(state);
        assert!(!waited.timed_out(), "the writer never got there");
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (state, changed) = &*self.0;
        let mut state = state.lock().expect("no test panics with the lock");
        state.writes += 1;
        changed.notify_all();
        let mut state = changed.wait_while(state, |state| state.stalled).expect("as above");
        match state.failures.first_mut() {
            Some((0, kind)) => {
                let kind = *kind;
                state.failures.remove(0);
                Err(kind.into())
            }
            Some((length, _)) => {
                let taken = bytes.len().min(*length);
                *length -= taken;
                state.read.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            None => {
                state.read.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(reader: &Reader, options: &TelemetryOptions) -> (Dispatch, TelemetryGuard) {
    Telemetry::queued(options, reader.clone()).expect("a thread starts")
}

fn log(dispatch: &Dispatch, number: u64) {
    dispatcher::with_default(dispatch, || tracing::info!(number, "line"));
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["number"].as_u64()).collect()
}

#[test]
fn lines_arrive_whole_and_in_order_from_many_threads() {
    let reader = Reader::default();
    let (dispatch, guard) = start(&reader, &options());
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let dispatch = &dispatch;
            scope.spawn(move || (0..500).for_each(|number| log(dispatch, thread * 1000 + number)));
        }
    });
    assert!(guard.flush(DEADLINE));
    let numbers = numbers(&reader.lines());
    assert_eq!(numbers.len(), 2000);
    for thread in 0..4 {
        let of_thread = numbers.iter().copied().filter(|number| number / 1000 == thread);
        assert!(of_thread.eq(thread * 1000..thread * 1000 + 500));
    }
    assert_eq!(guard.lines_lost(), 0);
}

#[test]
fn a_line_is_written_without_being_asked_for() {
    let reader = Reader::default();
    let (dispatch, _guard) = start(&reader, &options());
    log(&dispatch, 1);
    reader.wait_until(|state| state.read.ends_with(b"\n"));
    log(&dispatch, 2);
    reader.wait_until(|state| state.read.iter().filter(|byte| **byte == b'\n').count() == 2);
}

#[test]
fn a_stalled_reader_holds_nobody_up_and_learns_what_it_missed() {
    let reader = Reader::default();
    reader.with(|state| state.stalled = true);
    let options = TelemetryOptions { buffer_bytes_max: 8 * 1024, service: Some("s".to_owned()), ..options() };
    let (dispatch, guard) = start(&reader, &options);
    log(&dispatch, 0);
    reader.wait_until(|state| state.writes == 1);

    (1..1000).for_each(|number| log(&dispatch, number));
    assert!(!guard.flush(Duration::from_millis(1)), "nothing was written, so nothing can be flushed");
    let lost = guard.lines_lost();
    assert!(lost > 0);

    reader.with(|state| state.stalled = false);
    assert!(guard.flush(DEADLINE));
    log(&dispatch, 1000);
    assert!(guard.flush(DEADLINE));

    let lines = reader.lines();
    let notice = lines.iter().position(|line| line["message"] == "log lines lost").expect("a notice");
    assert_eq!(lines[notice]["log.lines_lost"], lost);
    assert_eq!(lines[notice]["level"], "WARN");
    assert_eq!(lines[notice]["target"], "neuroglia::telemetry");
    assert_eq!(lines[notice]["service"], "s");
    assert!(numbers(&lines[..notice]).into_iter().eq(0..1000 - lost), "the gap is where the notice stands");
    assert_eq!(numbers(&lines[notice..]), [1000]);
    assert_eq!(guard.lines_lost(), lost);
}

#[test]
fn the_notice_of_a_loss_comes_even_if_nothing_follows() {
    let reader = Reader::default();
    let options = TelemetryOptions { buffer_bytes_max: 16, format: LogFormat::Text, ..options() };
    let (dispatch, guard) = start(&reader, &options);
    log(&dispatch, 1);
    reader.wait_until(|state| state.read.ends_with(b"\n"));
    let text = reader.with(|state| String::from_utf8_lossy(&state.read).into_owned());
    assert_eq!(
        text,
        "2026-03-01T12:00:00.000Z  WARN neuroglia::telemetry: log lines lost log.lines_lost=1\n"
    );
    assert_eq!(guard.lines_lost(), 1);
}

#[test]
fn a_closed_reader_ends_the_log_quietly() {
    let reader = Reader::default();
    reader.with(|state| state.failures.push((0, ErrorKind::BrokenPipe)));
    let (dispatch, guard) = start(&reader, &options());
    log(&dispatch, 1);
    assert!(!guard.flush(DEADLINE), "the line is gone, and the wait for it ends");
    (2..1000).for_each(|number| log(&dispatch, number));
    assert!(!guard.flush(DEADLINE));
    drop(guard);
    assert_eq!(reader.with(|state| state.writes), 1, "nobody writes to a closed pipe twice");
}

#[test]
fn an_error_that_passes_costs_the_lines_it_hit_and_no_others() {
    let reader = Reader::default();
    reader.with(|state| {
        state.failures =
            vec![(0, ErrorKind::Interrupted), (10, ErrorKind::StorageFull), (0, ErrorKind::Other)];
    });
    let (dispatch, guard) = start(&reader, &options());
    log(&dispatch, 1);
    assert!(guard.flush(DEADLINE));
    log(&dispatch, 2);
    assert!(guard.flush(DEADLINE));
    log(&dispatch, 3);
    assert!(guard.flush(DEADLINE));
    assert_eq!(guard.lines_lost(), 2);

    let text = reader.with(|state| String::from_utf8_lossy(&state.read).into_owned());
    let lines = text.lines().collect::<Vec<_>>();
    let [torn, third, notice] = lines.as_slice() else { panic!("three lines, not {lines:?}") };
    assert_eq!(*torn, r#"{"timestam"#);
    assert!(third.contains(r#""number":3"#), "{third}");
    assert!(notice.contains(r#""log.lines_lost":2"#), "{notice}");
}
