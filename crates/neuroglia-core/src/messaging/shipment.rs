//! What a relay has in its hands, on its way to the bus: in batches that the bus takes, each message with an outcome of
//! its own.
//!
//! One message that cannot be sent is the business of its subject. A bus that refuses a batch, because it is too large
//! or because of one message in it, gets the halves; so in the end only what cannot be sent is left. Nothing is halved
//! when the bus is away.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{CloudEvent, EventBus};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};

/// How many bytes leave together at most: what brokers take unless they are told otherwise. A larger message leaves alone.
const BYTES_MAX: usize = 1024 * 1024;

/// What an event is larger than its data, at most.
const ENVELOPE: usize = 1024;

/// A message that is to be sent.
pub(super) struct Message {
    pub(super) id: Uuid,
    /// When it was committed.
    pub(super) at: Timestamp,
}

/// What became of the messages.
#[derive(Default)]
pub(super) struct Shipment {
    /// Their arrival was confirmed.
    pub(super) arrived: Vec<Message>,
    /// They did not arrive.
    pub(super) failed: Vec<Message>,
    /// There was no time for them, or nobody there to take them.
    pub(super) unsent: Vec<Uuid>,
    /// The first reason why one did not arrive.
    pub(super) cause: Option<Error>,
    /// Nothing arrives at this bus now.
    pub(super) is_away: bool,
}

impl Shipment {
    /// Notes that a message did not arrive.
    pub(super) fn fail(&mut self, message: Message, error: Error) {
        self.failed.push(message);
        self.cause.get_or_insert(error);
    }

    /// Sends events by the bus, as many as it takes within the time.
    pub(super) async fn send(
        &mut self,
        bus: &dyn EventBus,
        messages: Vec<Message>,
        events: &[CloudEvent],
        patience: Duration,
    ) {
        let deadline = Instant::now() + patience;
        let mut messages: Vec<_> = messages.into_iter().map(Some).collect();
        let mut batches = batches(events);
        while let Some(batch) = batches.pop_front() {
            if self.is_away || Instant::now() >= deadline {
                self.unsent.extend(messages[batch].iter().flatten().map(|message| message.id));
                continue;
            }
            let outcomes = match timeout_at(deadline, bus.publish(&events[batch.clone()])).await {
                Ok(outcomes) => outcomes,
                Err(late) => batch.clone().map(|_| Err(unconfirmed(&late))).collect(),
            };
            if batch.len() > 1 && outcomes.iter().all(Result::is_err) {
                if !outcomes.iter().any(is_of_the_bus) {
                    let half = batch.start + batch.len() / 2;
                    batches.push_front(half..batch.end);
                    batches.push_front(batch.start..half);
                    continue;
                }
                self.is_away = true;
            }
            for (message, outcome) in messages[batch].iter_mut().filter_map(Option::take).zip(outcomes) {
                match outcome {
                    Ok(()) => self.arrived.push(message),
                    Err(error) => self.fail(message, error),
                }
            }
        }
    }
}

/// The events in their order, cut where the next one would be too much.
fn batches(events: &[CloudEvent]) -> VecDeque<Range<usize>> {
    let (mut batches, mut start, mut bytes) = (VecDeque::new(), 0, 0);
    for (place, event) in events.iter().enumerate() {
        let size = event.data.get().len() + ENVELOPE;
        if place > start && bytes + size > BYTES_MAX {
            batches.push_back(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < events.len() {
        batches.push_back(start..events.len());
    }
    batches
}

/// Whether the bus could not be asked, rather than that it refused.
fn is_of_the_bus(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
}

fn unconfirmed(late: &tokio::time::error::Elapsed) -> Error {
    Error::unavailable(format!("the bus did not confirm in time: {late}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::data::OutboxMessage;
    use crate::id::Ids;
    use crate::messaging::Origin;

    /// A bus that takes only so many bytes at once, and nothing of one subject.
    struct Narrow {
        bytes_max: usize,
        refused: &'static str,
        batches: Mutex<Vec<usize>>,
    }

    #[async_trait]
    impl EventBus for Narrow {
        fn name(&self) -> &'static str {
            "narrow"
        }

        async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
            let bytes: usize = events.iter().map(|event| event.data.get().len()).sum();
            let refused = events.iter().any(|event| event.subject.as_deref() == Some(self.refused));
            if bytes > self.bytes_max || refused {
                return events.iter().map(|_| Err(Error::internal("refused"))).collect();
            }
            self.batches.lock().expect("no panic while held").push(events.len());
            events.iter().map(|_| Ok(())).collect()
        }
    }

    async fn ship(bus: &Narrow, messages: &[(&str, usize)]) -> (Vec<usize>, Shipment) {
        let (ids, origin) = (Ids::random(), Origin::of("shop"));
        let event = |(subject, bytes): &(&str, usize)| {
            let message = OutboxMessage {
                id: ids.next_uuid(),
                name: "order.created".to_owned(),
                version: 1,
                subject: (*subject).to_owned(),
                data: format!("\"{}\"", "x".repeat(*bytes)),
                correlation_id: None,
                traceparent: None,
                at: Timestamp::UNIX_EPOCH,
            };
            (Message { id: message.id, at: message.at }, CloudEvent::of(message, &origin).expect("JSON"))
        };
        let (messages, events): (Vec<_>, Vec<_>) = messages.iter().map(event).unzip();
        let mut shipment = Shipment::default();
        shipment.send(bus, messages, &events, Duration::from_secs(5)).await;
        (std::mem::take(&mut *bus.batches.lock().expect("no panic while held")), shipment)
    }

    #[tokio::test]
    async fn a_batch_has_a_limit_of_bytes_and_a_larger_message_leaves_alone() {
        let bus = Narrow { bytes_max: usize::MAX, refused: "nobody", batches: Mutex::default() };
        let third = BYTES_MAX / 3;
        let messages = [("a", third), ("b", third), ("c", third), ("d", BYTES_MAX * 2), ("e", 1), ("f", 1)];
        let (batches, shipment) = ship(&bus, &messages).await;
        assert_eq!(batches, [2, 1, 1, 2]);
        assert_eq!((shipment.arrived.len(), shipment.failed.len()), (6, 0));
    }

    #[tokio::test]
    async fn a_batch_that_the_bus_refuses_is_halved_until_only_the_culprit_is_left() {
        let bus = Narrow { bytes_max: 2_500, refused: "poison", batches: Mutex::default() };
        let messages = [("a", 1_000), ("b", 1_000), ("poison", 1), ("c", 1_000), ("d", 1_000), ("e", 1_000)];
        let (batches, shipment) = ship(&bus, &messages).await;
        assert_eq!(batches.iter().sum::<usize>(), 5);
        assert_eq!((shipment.arrived.len(), shipment.failed.len()), (5, 1));
        assert!(!shipment.is_away && shipment.unsent.is_empty());
    }
}
