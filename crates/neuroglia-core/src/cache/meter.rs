//! What a cache counts about itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the classes of [`CacheMeter::latencies`]; the last class has none.
pub const LATENCY_BOUNDS: [Duration; 10] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
];

/// What the cache of an application counts; a service of its own, which the metrics show.
#[derive(Debug, Default)]
pub struct CacheMeter {
    /// Reads that found a value.
    pub hits: AtomicU64,
    /// Reads that found none, also those of an engine that is away.
    pub misses: AtomicU64,
    /// Reads, writes and removals that the engine did not answer.
    pub failures: AtomicU64,
    /// Values that were computed because there was none.
    pub computed: AtomicU64,
    /// Askers who waited for somebody else's computation instead of their own.
    pub joined: AtomicU64,
    /// Values and keys that were too large to be kept.
    pub oversized: AtomicU64,
    latencies: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    latency_sum_ns: AtomicU64,
}

impl CacheMeter {
    /// Counts how long an engine that has to be waited for took.
    pub(super) fn took(&self, latency: Duration) {
        let class = LATENCY_BOUNDS.iter().position(|bound| latency <= *bound);
        self.latencies[class.unwrap_or(LATENCY_BOUNDS.len())].fetch_add(1, Relaxed);
        self.latency_sum_ns.fetch_add(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many answers took up to each of the [bounds](LATENCY_BOUNDS) and longer than the one before. Of an engine
    /// in this process' memory none are counted: telling the time would take longer than the answer.
    pub fn latencies(&self) -> [u64; LATENCY_BOUNDS.len() + 1] {
        std::array::from_fn(|class| self.latencies[class].load(Relaxed))
    }

    /// How long all of them took together.
    pub fn latency_sum(&self) -> Duration {
        Duration::from_nanos(self.latency_sum_ns.load(Relaxed))
    }
}
