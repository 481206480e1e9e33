//! From the outbox to the bus: what was committed is sent, and forgotten only when its arrival was confirmed.
//!
//! A relay takes a batch, sends it, and deletes what arrived. Sending and deleting are two steps, so a message
//! whose relay died in between is sent again: at least once, and consumers know it by its id. Several relays share
//! the work; of each subject only the first message can be taken, so order is kept without anybody leading.
//!
//! The process that committed is woken at once. Batches form by age, not by waiting for silence: while one batch is
//! under way the next gathers, and two do not begin within [`AGE_MAX`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CloudEvent, EventBus, LocalBus, Origin, Subscription, Subscriptions, Wake};
use crate::data::{OutboxMessage, Store};
use crate::di::{Inject, Lifetime, Service, ServiceCollection};
use crate::error::{Error, Result};
use crate::hosting::HostedService;
use crate::id::Ids;
use crate::work::chain;

/// How many messages leave together at most.
const BATCH_MAX: u32 = 100;

/// How long a message waits for others to leave with it.
const AGE_MAX: Duration = Duration::from_millis(2);

/// How long the bus has to confirm a batch.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a relay may hold messages; longer than it may take to send them.
const LEASE: Duration = Duration::from_secs(10);

/// How often a relay looks that nobody woke: what another process left behind is found so.
const POLL: Duration = Duration::from_secs(1);

/// How many batches a relay sends at most after it was told to end.
const LAST_BATCHES_MAX: u32 = 5;

/// The pause after a batch that did not arrive; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a relay counts.
#[derive(Debug, Default)]
pub struct RelayMeter {
    /// Messages whose arrival was confirmed.
    pub sent: AtomicU64,
    /// Messages that did not arrive and will be sent again.
    pub returned: AtomicU64,
}

/// Sends the outbox' messages by the bus, for as long as the process runs.
#[derive(Inject)]
pub struct Relay {
    store: Arc<dyn Store>,
    bus: Arc<dyn EventBus>,
    origin: Arc<Origin>,
    subscriptions: Arc<Subscriptions>,
    wake: Arc<Wake>,
    ids: Ids,
    meter: Arc<RelayMeter>,
}

impl HostedService for Relay {
    const NAME: &'static str = "relay";

    async fn start(&self) -> Result<()> {
        // Before anything is sent, so that nobody misses what was raised for them.
        self.store.subscribe(&self.subscriptions.0).await
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let mut pause = PAUSE_MIN;
        while !stop.is_cancelled() {
            let began = Instant::now();
            let sent = self.send_batch().await.unwrap_or_else(|error| {
                tracing::warn!(error = chain(&error), "the outbox could not be looked at; it is tried again");
                Sent::NotAll
            });
            match sent {
                Sent::Nothing => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.wake.outbox_rung() => {}
                    () = tokio::time::sleep(POLL + self.ids.jitter(POLL / 4)) => {}
                },
                Sent::All(count) => {
                    pause = PAUSE_MIN;
                    if count < BATCH_MAX as usize {
                        tokio::time::sleep_until(began + AGE_MAX).await;
                    }
                }
                Sent::NotAll => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(self.ids.jitter(pause)) => {}
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        // What the last requests committed leaves with this process, not with the next one that looks; what others
        // go on committing does not hold it.
        for _ in 0..LAST_BATCHES_MAX {
            match self.send_batch().await? {
                Sent::All(count) if count == BATCH_MAX as usize => {}
                _ => break,
            }
        }
        Ok(())
    }
}

/// What became of a batch.
enum Sent {
    Nothing,
    All(usize),
    NotAll,
}

impl Relay {
    /// Sends one batch.
    async fn send_batch(&self) -> Result<Sent> {
        let token = self.ids.next_uuid();
        let messages = self.store.claim_outbox(token, BATCH_MAX, LEASE).await?;
        if messages.is_empty() {
            return Ok(Sent::Nothing);
        }
        let (arrived, failed) = self.publish(messages).await;
        if !arrived.is_empty() {
            self.store.confirm_outbox(token, &arrived).await?;
            self.meter.sent.fetch_add(arrived.len() as u64, Ordering::Relaxed);
            self.wake.work();
        }
        if failed.is_empty() {
            return Ok(Sent::All(arrived.len()));
        }
        self.meter.returned.fetch_add(failed.len() as u64, Ordering::Relaxed);
        self.store.return_outbox(token, &failed, PAUSE_MIN).await?;
        Ok(Sent::NotAll)
    }

    /// Sends messages; gives the ids of those that arrived and of those that did not.
    async fn publish(&self, messages: Vec<OutboxMessage>) -> (Vec<Uuid>, Vec<Uuid>) {
        let (mut ids, mut failed, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            let id = message.id;
            match CloudEvent::of(message, &self.origin) {
                Ok(event) => {
                    ids.push(id);
                    events.push(event);
                }
                Err(error) => {
                    tracing::error!(message.id = %id, %error, "a message of the outbox is not an event");
                    failed.push(id);
                }
            }
        }
        let outcomes = match timeout(SEND_TIMEOUT, self.bus.publish(&events)).await {
            Ok(outcomes) => outcomes,
            Err(late) => ids.iter().map(|_| Err(Error::unavailable(late_text(&late)))).collect(),
        };
        let mut arrived = Vec::with_capacity(ids.len());
        let mut cause = None;
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => arrived.push(id),
                Err(error) => {
                    failed.push(id);
                    cause.get_or_insert(error);
                }
            }
        }
        if let Some(error) = cause {
            tracing::warn!(
                bus = self.bus.name(),
                messages.failed = failed.len(),
                error = &error as &(dyn std::error::Error + 'static),
                "messages did not arrive; they are sent again"
            );
        }
        (arrived, failed)
    }
}

fn late_text(late: &tokio::time::error::Elapsed) -> String {
    format!("the bus did not confirm in time: {late}")
}

/// Gives an application with a [`Store`] what it needs to send its events. The store itself is the bus, unless a
/// bus is registered.
pub fn register(services: &mut ServiceCollection, application: &str, subscriptions: Vec<Subscription>) {
    services.try_add(Service::instance(Wake::default()));
    services.try_add(Service::instance(Origin::of(application)));
    services.try_add(Service::instance(RelayMeter::default()));
    services.try_add(Service::instance(Subscriptions(subscriptions)));
    if services.has::<dyn Store>() {
        services.try_add(Service::factory::<dyn EventBus, (Arc<dyn Store>, Arc<Origin>), _>(
            Lifetime::Singleton,
            |(store, origin)| Ok(Arc::new(LocalBus::new(store, (*origin).clone())) as Arc<dyn EventBus>),
        ));
    }
}
