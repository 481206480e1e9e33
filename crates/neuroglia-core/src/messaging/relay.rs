//! From the outbox to the bus: what was committed is sent, and forgotten only when its arrival was confirmed.
//!
//! A relay takes a batch, sends it, and deletes what arrived. Sending and deleting are two steps, so a message
//! whose relay died in between is sent again: at least once, and consumers know it by its id. Several relays share
//! the work; of each subject only the first message can be taken, so order is kept without anybody leading.
//!
//! A message that does not arrive holds up its own subject, for growing pauses; a bus at which nothing arrives is left
//! alone for a while.
//!
//! The process that committed is woken at once. Batches form by age, not by waiting for silence: while one batch is
//! under way the next gathers, and two do not begin within [`AGE_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::shipment::{Message, Shipment};
use super::{CloudEvent, EventBus, Origin, Subscriptions, Wake};
use crate::clock::{Clock, Timestamp};
use crate::data::{OutboxMessage, Store};
use crate::di::Inject;
use crate::error::{Result, chain};
use crate::hosting::HostedService;
use crate::id::Ids;
use crate::meter::Durations;

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

/// How long a relay goes on sending after it was told to end.
const LAST_SENDING: Duration = Duration::from_secs(1);

/// The pause of a message that did not arrive, and of everybody's when the bus is away; it doubles with each further
/// try.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The upper bounds of the classes of [`RelayMeter::lag`].
const LAG_BOUNDS: [Duration; 10] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// What a relay counts.
#[derive(Debug)]
pub struct RelayMeter {
    /// Messages whose arrival was confirmed.
    pub sent: AtomicU64,
    /// Messages that did not arrive and will be sent again.
    pub returned: AtomicU64,
    /// How long after it was raised the arrival of each was confirmed, by the clocks of the process that raised it and of
    /// this one.
    pub lag: Durations,
}

impl Default for RelayMeter {
    fn default() -> Self {
        let (sent, returned) = (AtomicU64::default(), AtomicU64::default());
        Self { sent, returned, lag: Durations::within(&LAG_BOUNDS) }
    }
}

/// Sends the outbox' messages by the bus, for as long as the process runs.
#[derive(Inject)]
pub struct Relay {
    store: Arc<dyn Store>,
    bus: Arc<dyn EventBus>,
    origin: Arc<Origin>,
    subscriptions: Arc<Subscriptions>,
    wake: Arc<Wake>,
    clock: Clock,
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
                Sent::Away
            });
            match sent {
                Sent::Nothing => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.wake.outbox_rung() => {}
                    () = tokio::time::sleep(POLL + self.ids.jitter(POLL / 4)) => {}
                },
                Sent::Some(count) => {
                    pause = PAUSE_MIN;
                    if count < BATCH_MAX as usize {
                        tokio::time::sleep_until(began + AGE_MAX).await;
                    }
                }
                Sent::Away => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(self.ids.jitter(pause)) => {}
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        // What the last requests committed leaves with this process, not with the next one that looks, also when it is
        // of one subject and leaves one by one; what others go on committing does not hold it.
        let began = Instant::now();
        while began.elapsed() < LAST_SENDING && matches!(self.send_batch().await?, Sent::Some(_)) {}
        Ok(())
    }
}

/// What became of a batch.
enum Sent {
    Nothing,
    /// So many were taken; those that did not arrive are held, each by itself.
    Some(usize),
    /// Nothing can be sent now.
    Away,
}

impl Relay {
    /// Sends one batch.
    async fn send_batch(&self) -> Result<Sent> {
        let token = self.ids.next_uuid();
        let claimed = self.store.claim_outbox(token, BATCH_MAX, LEASE).await?;
        if claimed.is_empty() {
            return Ok(Sent::Nothing);
        }
        let count = claimed.len();
        let Shipment { arrived, failed, mut unsent, cause, is_away } = self.ship(claimed).await;
        if !arrived.is_empty() {
            let ids: Vec<_> = arrived.iter().map(|message| message.id).collect();
            self.store.confirm_outbox(token, &ids).await?;
            self.meter.sent.fetch_add(arrived.len() as u64, Ordering::Relaxed);
            let now = self.clock.now();
            for message in &arrived {
                self.meter.lag.count(now.since(message.at));
            }
        }
        if let Some(error) = cause {
            self.meter.returned.fetch_add(failed.len() as u64, Ordering::Relaxed);
            tracing::warn!(
                bus = self.bus.name(),
                messages.failed = failed.len(),
                error = chain(&error),
                "messages did not arrive; they are sent again"
            );
        }
        if is_away {
            unsent.extend(failed.iter().map(|message| message.id));
            self.store.return_outbox(token, &unsent, PAUSE_MIN).await?;
            return Ok(Sent::Away);
        }
        if !unsent.is_empty() {
            self.store.return_outbox(token, &unsent, Duration::ZERO).await?;
        }
        if !failed.is_empty() {
            // By the clock that all relays share: their pauses go on where those of another ended.
            for (pause, ids) in held(failed, self.store.now().await?) {
                self.store.return_outbox(token, &ids, pause).await?;
            }
        }
        Ok(Sent::Some(count))
    }

    /// Gives messages to the bus.
    async fn ship(&self, claimed: Vec<OutboxMessage>) -> Shipment {
        let mut shipment = Shipment::default();
        let (mut messages, mut events) = (Vec::new(), Vec::new());
        for message in claimed {
            let sent = Message { id: message.id, at: message.at };
            match CloudEvent::of(message, &self.origin) {
                Ok(event) => {
                    messages.push(sent);
                    events.push(event);
                }
                Err(error) => shipment.fail(sent, error),
            }
        }
        shipment.send(&*self.bus, messages, &events, SEND_TIMEOUT).await;
        shipment
    }
}

/// For how long each message that did not arrive is held, and with it its subject: as long again as it has waited. So
/// its pauses double, and whoever takes it next need not know how often it was tried. It is older or younger than it
/// should be by as much as the clock of the process that committed it is wrong.
fn held(failed: Vec<Message>, now: Timestamp) -> BTreeMap<Duration, Vec<Uuid>> {
    let mut held: BTreeMap<Duration, Vec<Uuid>> = BTreeMap::new();
    for message in failed {
        let waited = now.since(message.at);
        let mut pause = PAUSE_MIN;
        while pause * 2 <= waited && pause < PAUSE_MAX {
            pause *= 2;
        }
        held.entry(pause.min(PAUSE_MAX)).or_default().push(message.id);
    }
    held
}
