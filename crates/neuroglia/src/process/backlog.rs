//! How much waits: looked up now and then, shown by the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use neuroglia_core::data::Store;
use neuroglia_core::di::Inject;
use neuroglia_core::error::{Result, chain};
use neuroglia_core::hosting::HostedService;
use neuroglia_core::messaging::{IntakeMeter, RelayMeter};
use neuroglia_core::work::{Depth, WorkMeter, WorkState};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Distribution, Metrics};

/// How often it is looked up: a store counts up to a limit, but even that is not free.
const INTERVAL: Duration = Duration::from_secs(15);

/// What was last seen of outbox and work; a service of the application.
#[derive(Debug, Default)]
pub(crate) struct Depths {
    outbox: AtomicI64,
    outbox_age_ms: AtomicI64,
    work: Mutex<Vec<Depth>>,
}

impl Depths {
    /// A sum over all queues and kinds.
    fn sum(&self, of: impl Fn(&Depth) -> u64) -> i64 {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        i64::try_from(work.iter().map(of).sum::<u64>()).unwrap_or(i64::MAX)
    }

    fn count(&self, state: WorkState) -> i64 {
        self.sum(|depth| if depth.state == state { depth.count } else { 0 })
    }

    /// How long the first piece of each queue has been due.
    fn oldest_waiting(&self) -> Vec<(String, i64)> {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut oldest: BTreeMap<&str, i64> = BTreeMap::new();
        for depth in work.iter().filter(|depth| depth.state == WorkState::Waiting) {
            let age = oldest.entry(&depth.queue).or_default();
            *age = (*age).max(millis(depth.oldest));
        }
        oldest.into_iter().map(|(queue, age)| (queue.to_owned(), age)).collect()
    }
}

/// Looks up how much waits.
#[derive(Inject)]
pub(crate) struct Backlog {
    store: Arc<dyn Store>,
    depths: Arc<Depths>,
}

impl HostedService for Backlog {
    const NAME: &'static str = "backlog";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let looking = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::debug!(error = chain(&error), "how much waits could not be looked up");
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        stop.run_until_cancelled(looking).await;
        Ok(())
    }
}

impl Backlog {
    async fn look(&self) -> Result<()> {
        let outbox = self.store.outbox_depth().await?;
        self.depths.outbox.store(i64::try_from(outbox.count).unwrap_or(i64::MAX), Relaxed);
        self.depths.outbox_age_ms.store(millis(outbox.oldest), Relaxed);
        *self.depths.work.lock().unwrap_or_else(PoisonError::into_inner) = self.store.depths().await?;
        Ok(())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Shows what relay, intake and workers count, and how much waits.
pub(crate) fn show(
    metrics: &Metrics,
    depths: &Arc<Depths>,
    relay: &Arc<RelayMeter>,
    intake: &Arc<IntakeMeter>,
    work: &Arc<WorkMeter>,
) {
    type Read<T> = fn(&T) -> u64;
    let counters: [(&str, &str, Read<WorkMeter>); 5] = [
        ("work_done", "Attempts that succeeded", |meter| meter.done.load(Relaxed)),
        ("work_retried", "Attempts that failed and are repeated", |meter| meter.retried.load(Relaxed)),
        ("work_dead", "Work that failed for good or was parked", |meter| meter.dead.load(Relaxed)),
        ("work_released", "Work that was given back, or called off", |meter| meter.released.load(Relaxed)),
        ("work_lost", "Attempts that came to nothing because the node had lost them", |meter| {
            meter.lost.load(Relaxed)
        }),
    ];
    for (name, help, read) in counters {
        let work = Arc::clone(work);
        metrics.counter(name, help, move || read(&work));
    }
    let running = Arc::clone(work);
    metrics.gauge("work_running", "Work that runs in this process", move || {
        i64::try_from(running.running.load(Relaxed)).unwrap_or(i64::MAX)
    });
    let relays: [(&str, &str, Read<RelayMeter>); 2] = [
        ("relay_sent", "Messages whose arrival was confirmed", |meter| meter.sent.load(Relaxed)),
        ("relay_returned", "Messages that did not arrive and are sent again", |meter| {
            meter.returned.load(Relaxed)
        }),
    ];
    for (name, help, read) in relays {
        let relay = Arc::clone(relay);
        metrics.counter(name, help, move || read(&relay));
    }
    let lag = Arc::clone(relay);
    metrics.histogram(
        "relay_lag_seconds",
        "Time from when a message was raised until its arrival was confirmed",
        move || Distribution::from(&lag.lag),
    );
    let intakes: [(&str, &str, Read<IntakeMeter>); 2] = [
        ("intake_stored", "Messages of a broker that were stored", |meter| meter.stored.load(Relaxed)),
        ("intake_dead", "Messages that went to dead letters of the broker", |meter| meter.dead.load(Relaxed)),
    ];
    for (name, help, read) in intakes {
        let intake = Arc::clone(intake);
        metrics.counter(name, help, move || read(&intake));
    }
    type Look = fn(&Depths) -> i64;
    let seen: [(&str, &str, Look); 6] = [
        ("outbox_messages", "Messages that wait to be sent", |depths| depths.outbox.load(Relaxed)),
        ("outbox_oldest_milliseconds", "How long the oldest of them has waited", |depths| {
            depths.outbox_age_ms.load(Relaxed)
        }),
        ("work_waiting", "Work that is due, also what waits behind other work of its lane", |depths| {
            depths.count(WorkState::Waiting)
        }),
        ("work_scheduled", "Work whose time has not come", |depths| depths.count(WorkState::Scheduled)),
        ("work_lanes_held", "Lanes that a failed piece of work holds up", |depths| {
            depths.sum(|depth| depth.lanes_held)
        }),
        ("dead_letters", "Work that failed for good or is parked", |depths| {
            depths.count(WorkState::Dead) + depths.count(WorkState::Parked)
        }),
    ];
    for (name, help, read) in seen {
        let depths = Arc::clone(depths);
        metrics.gauge(name, help, move || read(&depths));
    }
    let oldest = Arc::clone(depths);
    metrics.gauges(
        "work_waiting_oldest_milliseconds",
        "How long the first work of each queue that waits has been due",
        "queue",
        move || oldest.oldest_waiting(),
    );
}
