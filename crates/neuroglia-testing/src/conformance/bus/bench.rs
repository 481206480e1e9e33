//! What a bus is examined on: how it is attached, what strangers can send by it, and how it is made ill.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::id::Ids;
use neuroglia::messaging::{EventBus, EventSource, Inbox, LocalBus, Origin, Subscriptions};

use crate::Weather;

/// A bus as one process of an application has it.
#[derive(Clone)]
pub struct Attached {
    /// Where it sends its events.
    pub bus: Arc<dyn EventBus>,
    /// Where its workers take them from, if that is not the store.
    pub source: Option<Arc<dyn EventSource>>,
}

/// A bus to be examined; one for each rule.
#[async_trait]
pub trait Bench: Send + Sync + 'static {
    /// The name of the application that the rule plays: what queues and streams begin with.
    fn application(&self) -> &str;

    /// Attaches the bus as a new process does.
    async fn attach(&self, inbox: Inbox, origin: Arc<Origin>, subscriptions: Arc<Subscriptions>) -> Attached;

    /// Whether strangers can send by this bus, so that [`inject`](Self::inject) does.
    fn lets_strangers_send(&self) -> bool {
        false
    }

    /// Whether this bus can be made ill, so that [`turn`](Self::turn) does.
    fn has_weather(&self) -> bool {
        false
    }

    /// Has a stranger send something to whoever wants events of this type, in any weather; whether it was sent.
    async fn inject(&self, event_type: &str, body: &[u8]) -> bool {
        let _ = (event_type, body);
        false
    }

    /// What the bus put aside for a consumer.
    async fn dead_letters(&self, consumer: &str) -> Vec<Vec<u8>> {
        let _ = consumer;
        Vec::new()
    }

    /// How many messages wait at the bus that nobody has taken, or none where the store is the bus.
    async fn waiting(&self, consumer: &str) -> Option<usize> {
        let _ = consumer;
        None
    }

    /// Makes the bus look like this from the application; whether it does.
    fn turn(&self, weather: Weather) -> bool {
        let _ = weather;
        false
    }

    /// How long something may take that must happen; a machine may be busy, and what died may be missed late.
    fn patience(&self) -> Duration {
        Duration::from_secs(40)
    }
}

/// The store as the bus.
#[derive(Debug)]
pub struct LocalBench(String);

impl Default for LocalBench {
    fn default() -> Self {
        Self(application())
    }
}

#[async_trait]
impl Bench for LocalBench {
    fn application(&self) -> &str {
        &self.0
    }

    async fn attach(&self, inbox: Inbox, _: Arc<Origin>, _: Arc<Subscriptions>) -> Attached {
        Attached { bus: Arc::new(LocalBus::new(inbox)), source: None }
    }
}

/// A name that no other test's application has.
pub(super) fn application() -> String {
    format!("shop-{}", Ids::random().next_uuid().simple())
}
