//! What a log line costs, ours beside `tracing-subscriber`'s JSON layer in the same run.
//!
//! `cargo run --release -p neuroglia --example log_cost`
//!
//! A line is what a web request logs: one event with five fields, alone or in a span with a request and a trace
//! id. *format* throws the line away; *write* sends it to `/dev/null` as a server would. Counted is the processor
//! time of all threads. The last column logs twenty requests a millisecond, which is how a server meets its log,
//! less the processor time of the pauses.

use std::{fs::File, hint::black_box, io, sync::Mutex, thread, time::Duration};

use neuroglia::telemetry::{LineSink, LogFormat, Telemetry, TelemetryOptions};
use rustix::time::{ClockId, clock_gettime};
use tracing::{Dispatch, dispatcher};

const LINES: u32 = 200_000;
const ROUNDS: usize = 5;

struct Nowhere;

impl LineSink for Nowhere {
    fn write_line(&self, line: &[u8]) {
        black_box(line);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = TelemetryOptions { service: Some("bench".to_owned()), ..TelemetryOptions::default() };
    let text = TelemetryOptions { format: LogFormat::Text, ..options.clone() };
    let spans =
        TelemetryOptions { directives: "info,web[request{request.id}]=info".to_owned(), ..options.clone() };
    let roomy = TelemetryOptions { buffer_bytes_max: 64 * 1024 * 1024, ..options.clone() };
    let (written, guard) = Telemetry::queued(&roomy, File::create("/dev/null")?)?;

    let contestants = [
        ("format, tracing-subscriber", Dispatch::new(fmt_json(io::sink))),
        ("format, ours", Telemetry::subscriber(&options, Nowhere)?),
        ("format, ours as text", Telemetry::subscriber(&text, Nowhere)?),
        ("format, ours behind EnvFilter", Telemetry::subscriber(&spans, Nowhere)?),
        ("write, tracing-subscriber", Dispatch::new(fmt_json(null_device()?))),
        ("write, ours", written),
    ];
    // The processor time of the whole process while it logs `lines` times and writes what it logged.
    let measure = |dispatch: &Dispatch, lines: u32, log: fn(u32)| {
        let start = process_time();
        dispatcher::with_default(dispatch, || (0..lines).for_each(log));
        guard.flush(Duration::from_secs(1));
        process_time() - start
    };
    let mut best = [[Duration::MAX; 4]; 6];
    let mut pauses = Duration::MAX;
    for _ in 0..ROUNDS {
        pauses = pauses.min(measure(&Dispatch::none(), LINES / 20, paced));
        for ((_, dispatch), [span, alone, filtered, steady]) in contestants.iter().zip(&mut best) {
            *span = measure(dispatch, LINES, request).min(*span);
            *alone = measure(dispatch, LINES, event).min(*alone);
            *filtered = measure(dispatch, LINES, silent).min(*filtered);
            *steady = measure(dispatch, LINES / 20, paced).min(*steady);
        }
    }

    report(&format!(
        "{:<32}{:>14}{:>14}{:>14}{:>14}",
        "ns per line", "span + event", "event alone", "filtered out", "20 per ms"
    ));
    for ((name, _), [span, alone, filtered, steady]) in contestants.iter().zip(best) {
        let [span, alone, filtered] = [span, alone, filtered].map(|time| per_line(time, LINES));
        let steady = per_line(steady.saturating_sub(pauses), LINES / 20);
        report(&format!("{name:<32}{span:>14}{alone:>14}{filtered:>14}{steady:>14}"));
    }
    report(&format!("lines lost: {}", guard.lines_lost()));
    Ok(())
}

fn per_line(time: Duration, lines: u32) -> u128 {
    time.as_nanos() / u128::from(lines)
}

#[expect(clippy::disallowed_methods, reason = "the pause is what is measured")]
fn paced(number: u32) {
    request(number);
    if number.is_multiple_of(20) {
        thread::sleep(Duration::from_millis(1));
    }
}

fn request(number: u32) {
    let span = tracing::info_span!(
        "request",
        request.id = "018f3b1e-7c7a-7e0f-9a53-1f0f6f3c2b11",
        trace.id = "4bf92f3577b34da6a3ce929d0e0e4736",
    );
    span.in_scope(|| event(number));
}

fn event(number: u32) {
    tracing::info!(
        http.method = "GET",
        http.route = "/pizzas/{id}",
        http.status = 200_u16,
        http.duration_ms = f64::from(number) / 1024.0,
        client.address = "127.0.0.1",
        "request completed",
    );
}

fn silent(number: u32) {
    tracing::debug!(number, "nobody listens");
}

fn fmt_json<W>(make_writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_writer(make_writer).finish()
}

fn null_device() -> io::Result<Mutex<File>> {
    Ok(Mutex::new(File::create("/dev/null")?))
}

fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn report(line: &str) {
    println!("{line}");
}
