//! What a cache counts about itself.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::meter::Durations;

/// The upper bounds of the classes of [`CacheMeter::latency`].
const LATENCY_BOUNDS: [Duration; 10] = [
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
#[derive(Debug)]
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
    /// How long an engine that has to be waited for took. Of one in this process' memory nothing is counted: telling the
    /// time would take longer than the answer.
    pub latency: Durations,
}

impl Default for CacheMeter {
    fn default() -> Self {
        Self {
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
            failures: AtomicU64::default(),
            computed: AtomicU64::default(),
            joined: AtomicU64::default(),
            oversized: AtomicU64::default(),
            latency: Durations::within(&LATENCY_BOUNDS),
        }
    }
}
