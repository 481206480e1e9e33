//! From a broker's queues into the store, where the same durable work begins as with the store as the bus.
//!
//! For each consumer one process takes its messages from the broker, stores them as deliveries, and only then
//! acknowledges them. So a consumer's retries, order, dead letters and effects are one mechanism, whatever carries its
//! events; and a process that dies in between has lost nothing, as both sides know a repetition.
//!
//! One taker at a time keeps the order of a consumer's messages: two would store them in the order in which they happen to
//! be quicker. What the taker stores is done by all workers. Brokers that do not see to it themselves are helped by a
//! lease.
//!
//! What cannot be understood, or not be stored, goes to the consumer's dead letters at the broker and holds up nobody.
//! While the store is away, what is in hand is held, and no more is taken than that. When it is away for longer than a
//! turn, what is in hand goes back: it may be this process alone that has lost the store. It takes again when the store
//! has answered.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Arrival, CloudEvent, EventQueue, EventSource, Inbox, Outcome, Parcel, Subscriptions};
use crate::data::Store;
use crate::di::Inject;
use crate::error::{Error, ErrorKind, Result, chain};
use crate::hosting::HostedService;
use crate::id::Ids;

/// How many messages are stored together at most.
const BATCH_MAX: usize = 100;

/// The largest message that is taken in: as large as the largest JSON that the host inflates from a request.
pub const ARRIVAL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the broker may take to open a queue, or to settle.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a turn lasts, unless it is renewed; the planner's lease lasts as long.
const TURN_TTL: Duration = Duration::from_secs(10);

/// How often a turn is renewed, what is in hand is said to be held, and others look whether a turn is free.
const RENEW: Duration = Duration::from_secs(3);

/// How long what was on its way to a process that ends is still stored.
const LAST_STORING: Duration = Duration::from_secs(2);

/// The pause after a broker or a store that is away; it doubles with each further try.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What an intake counts.
#[derive(Debug, Default)]
pub struct IntakeMeter {
    /// Messages that are stored, also those that were stored before.
    pub stored: AtomicU64,
    /// Messages that went to dead letters of the broker.
    pub dead: AtomicU64,
}

/// Takes in the events of this application's consumers, for as long as the process runs.
#[derive(Inject)]
pub struct Intake {
    source: Arc<dyn EventSource>,
    store: Arc<dyn Store>,
    inbox: Inbox,
    subscriptions: Arc<Subscriptions>,
    ids: Ids,
    meter: Arc<IntakeMeter>,
}

impl HostedService for Intake {
    const NAME: &'static str = "intake";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let Subscriptions(all) = &*self.subscriptions;
        let consumers: BTreeSet<_> = all.iter().map(|subscription| subscription.consumer.as_str()).collect();
        join_all(consumers.into_iter().map(|consumer| self.serve(consumer, &stop))).await;
        // Also where there is no consumer.
        stop.cancelled().await;
        Ok(())
    }
}

impl Intake {
    /// Takes in one consumer's events until it is told to end.
    async fn serve(&self, consumer: &str, stop: &CancellationToken) {
        let (mut pause, holder) = (PAUSE_MIN, self.ids.next_uuid());
        while !stop.is_cancelled() {
            let mut turn = (!self.source.keeps_turns()).then(|| Turn::new(&*self.store, consumer, holder));
            let began = Instant::now();
            let ended = self.take_turn(consumer, &mut turn, stop).await;
            if let Some(turn) = turn {
                turn.end().await;
            }
            let after = match ended {
                Ok(Ended::Told) => return,
                Ok(Ended::NotItsTurn) => RENEW - self.ids.jitter(RENEW / 4),
                Err(error) => {
                    tracing::warn!(
                        bus = self.source.name(),
                        consumer,
                        error = chain(&error),
                        "events are not taken in now; it is tried again"
                    );
                    pause = if began.elapsed() > PAUSE_MAX { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                    pause / 2 + self.ids.jitter(pause / 2)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(after) => {}
            }
        }
    }

    async fn take_turn(
        &self,
        consumer: &str,
        turn: &mut Option<Turn<'_>>,
        stop: &CancellationToken,
    ) -> Result<Ended> {
        if !Turn::goes_on(turn).await? {
            return Ok(Ended::NotItsTurn);
        }
        // The store is asked first: whoever cannot store keeps nothing from those who can.
        let mut wants = self.wants(consumer).await?;
        let opening = timeout(BROKER_TIMEOUT, self.source.open(consumer));
        let mut queue = tokio::select! {
            () = stop.cancelled() => return Ok(Ended::Told),
            opened = opening => opened.map_err(Error::unavailable)??,
        };
        while Turn::goes_on(turn).await? {
            let arrivals = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let last = async {
                        queue.finish().await?;
                        loop {
                            match queue.take(BATCH_MAX).await? {
                                arrivals if arrivals.is_empty() => return Ok(()),
                                arrivals => self.take_in(consumer, &mut *queue, &mut wants, arrivals, turn).await?,
                            }
                        }
                    };
                    // What is left comes to the next one.
                    timeout(LAST_STORING, last).await.unwrap_or(Ok(()))?;
                    return Ok(Ended::Told);
                }
                taken = timeout(RENEW, queue.take(BATCH_MAX)) => match taken {
                    Ok(arrivals) => arrivals?,
                    Err(_) => continue,
                },
            };
            let storing = self.take_in(consumer, &mut *queue, &mut wants, arrivals, turn);
            let mut storing = std::pin::pin!(storing);
            tokio::select! {
                biased;
                done = &mut storing => done?,
                () = stop.cancelled() => match timeout(LAST_STORING, storing).await {
                    Ok(done) => done?,
                    // Nobody has said that it is stored, so it comes again.
                    Err(_) => return Ok(Ended::Told),
                },
            }
        }
        Ok(Ended::NotItsTurn)
    }

    /// The events that the consumer wants, in this release or another.
    async fn wants(&self, consumer: &str) -> Result<BTreeSet<String>> {
        let all = timeout(STORE_TIMEOUT, self.store.subscriptions()).await.map_err(Error::unavailable)??;
        Ok(all.into_iter().filter(|one| one.consumer == consumer).map(|one| one.event).collect())
    }

    /// Stores what was taken, and tells the broker.
    async fn take_in(
        &self,
        consumer: &str,
        queue: &mut dyn EventQueue,
        wants: &mut BTreeSet<String>,
        arrivals: Vec<Arrival>,
        turn: &mut Option<Turn<'_>>,
    ) -> Result<()> {
        let mut outcomes = vec![Outcome::Stored; arrivals.len()];
        let (mut parcels, mut places) =
            (Vec::with_capacity(arrivals.len()), Vec::with_capacity(arrivals.len()));
        let mut is_current = false;
        for (place, arrival) in arrivals.iter().enumerate() {
            let read = self.read(arrival);
            if let Ok(parcel) = &read
                && !wants.contains(&parcel.name)
                && !is_current
            {
                // Another release may have asked for it since.
                *wants = self.wants(consumer).await?;
                is_current = true;
            }
            match read {
                Ok(parcel) if wants.contains(&parcel.name) => {
                    parcels.push(Parcel { consumer: Some(consumer.to_owned()), ..parcel });
                    places.push(place);
                }
                Ok(parcel) => {
                    outcomes[place] = Outcome::Dead(format!("{consumer} does not want `{}`", parcel.name))
                }
                Err(error) => outcomes[place] = Outcome::Dead(chain(&error)),
            }
        }
        for (place, error) in self.store(queue, &parcels, turn).await? {
            outcomes[places[place]] = Outcome::Dead(chain(&error));
        }
        timeout(BROKER_TIMEOUT, queue.settle(&outcomes)).await.map_err(Error::unavailable)??;
        let mut dead = 0;
        for outcome in &outcomes {
            if let Outcome::Dead(reason) = outcome {
                dead += 1;
                tracing::warn!(
                    bus = self.source.name(),
                    consumer,
                    reason,
                    "a message went to the dead letters"
                );
            }
        }
        self.meter.dead.fetch_add(dead, Relaxed);
        self.meter.stored.fetch_add(outcomes.len() as u64 - dead, Relaxed);
        Ok(())
    }

    fn read(&self, arrival: &Arrival) -> Result<Parcel> {
        if arrival.body.len() > ARRIVAL_BYTES_MAX {
            let detail = format!("the message has more than {ARRIVAL_BYTES_MAX} bytes");
            return Err(Error::invalid("event.too_large", detail));
        }
        let text = std::str::from_utf8(&arrival.body).map_err(|cause| {
            Error::new(ErrorKind::Malformed, "event.malformed", "the message is no text").with_source(cause)
        })?;
        self.inbox.parcel(&CloudEvent::read(text)?, text.to_owned())
    }

    /// Stores all parcels, if the store is not away for longer than a turn; gives the places of those that it refuses, with
    /// the reason.
    async fn store(
        &self,
        queue: &mut dyn EventQueue,
        parcels: &[Parcel],
        turn: &mut Option<Turn<'_>>,
    ) -> Result<Vec<(usize, Error)>> {
        let (mut refused, mut pause, mut held) = (Vec::new(), PAUSE_MIN, Instant::now());
        let mut away_since = None;
        let mut batches: VecDeque<Range<usize>> = VecDeque::new();
        batches.push_back(0..parcels.len());
        while let Some(batch) = batches.pop_front() {
            let putting = timeout(STORE_TIMEOUT, self.inbox.put(&parcels[batch.clone()])).await;
            match putting.unwrap_or_else(|late| Err(Error::unavailable(late))) {
                Ok(_) => away_since = None,
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    if away_since.get_or_insert_with(Instant::now).elapsed() >= TURN_TTL {
                        return Err(error);
                    }
                    tracing::warn!(error = chain(&error), "events cannot be stored now; they are held");
                    batches.push_front(batch);
                    tokio::time::sleep(self.ids.jitter(pause)).await;
                    pause = (pause * 2).min(RENEW);
                }
                // One of them is the reason: in the end it is alone.
                Err(_) if batch.len() > 1 => {
                    let half = batch.start + batch.len() / 2;
                    batches.push_front(half..batch.end);
                    batches.push_front(batch.start..half);
                }
                Err(error) => refused.push((batch.start, error)),
            }
            if held.elapsed() >= RENEW {
                held = Instant::now();
                timeout(BROKER_TIMEOUT, queue.hold()).await.map_err(Error::unavailable)??;
                if turn.as_ref().is_some_and(Turn::is_over) && !Turn::goes_on(turn).await? {
                    return Err(Error::unavailable("another process has taken its turn"));
                }
            }
        }
        Ok(refused)
    }
}

/// Why a process takes no more.
enum Ended {
    /// It was told to end.
    Told,
    /// Another process has the turn.
    NotItsTurn,
}

/// The right to take a consumer's messages.
struct Turn<'a> {
    store: &'a dyn Store,
    lease: String,
    holder: Uuid,
    renewed: Option<Instant>,
}

impl<'a> Turn<'a> {
    fn new(store: &'a dyn Store, consumer: &str, holder: Uuid) -> Self {
        Self { store, lease: format!("intake:{consumer}"), holder, renewed: None }
    }

    /// Whether it has not been renewed for so long that another may have begun.
    fn is_over(&self) -> bool {
        self.renewed.is_none_or(|renewed| renewed.elapsed() >= TURN_TTL)
    }

    /// Takes or renews the turn when it is time to; whether this process has it. Where none is needed, it has.
    async fn goes_on(turn: &mut Option<Self>) -> Result<bool> {
        let Some(turn) = turn else { return Ok(true) };
        if turn.renewed.is_some_and(|renewed| renewed.elapsed() < RENEW) {
            return Ok(true);
        }
        let asked = Instant::now();
        let lease = timeout(STORE_TIMEOUT, turn.store.lease(&turn.lease, turn.holder, TURN_TTL)).await;
        turn.renewed = lease.map_err(Error::unavailable)??.map(|_| asked);
        Ok(turn.renewed.is_some())
    }

    /// Gives it to the next one; what cannot be given is over in a few seconds.
    async fn end(self) {
        if self.renewed.is_some() {
            drop(timeout(RENEW, self.store.resign(&self.lease, self.holder)).await);
        }
    }
}
