//! What the cache counts, shown by the metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use neuroglia_core::cache::CacheMeter;

use crate::metrics::{Distribution, Metrics};

/// Shows it.
pub(crate) fn show(metrics: &Metrics, meter: &Arc<CacheMeter>) {
    type Read = fn(&CacheMeter) -> u64;
    let counters: [(&str, &str, Read); 6] = [
        ("cache_hits", "Reads of the cache that found a value", |meter| meter.hits.load(Relaxed)),
        ("cache_misses", "Reads of the cache that found none, or no cache", |meter| {
            meter.misses.load(Relaxed)
        }),
        ("cache_failures", "Times that the cache did not answer", |meter| meter.failures.load(Relaxed)),
        ("cache_computed", "Values that were computed because none was cached", |meter| {
            meter.computed.load(Relaxed)
        }),
        ("cache_joined", "Askers who waited for a computation that was under way", |meter| {
            meter.joined.load(Relaxed)
        }),
        ("cache_oversized", "Values and keys that were too large for the cache", |meter| {
            meter.oversized.load(Relaxed)
        }),
    ];
    for (name, help, read) in counters {
        let meter = Arc::clone(meter);
        metrics.counter(name, help, move || read(&meter));
    }
    let meter = Arc::clone(meter);
    metrics.histogram(
        "cache_duration_seconds",
        "Time until a cache outside of the process answered",
        move || Distribution::from(&meter.latency),
    );
}
