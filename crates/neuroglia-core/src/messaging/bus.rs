//! The port to whatever carries events from one process to the others.

use async_trait::async_trait;

use super::{CloudEvent, Inbox, Parcel};
use crate::error::{Error, Result};

/// Carries events to those who want them. `EVENT_BUS_URL` chooses which.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// The bus' name, such as `local`.
    fn name(&self) -> &'static str;

    /// Sends the events; gives for each, in the same order, whether its arrival was confirmed.
    ///
    /// Events with the same partition key arrive in the order of the calls that sent them, when each waited for the one
    /// before; within one call a sink over HTTP may get them in any order, so that the relay never sends two of a key
    /// together. One that arrived may arrive again: consumers recognise it by its id.
    ///
    /// A bus that is away says `Unavailable`; one that refuses a batch, because it is too
    /// large or because of one event in it, says anything else, and gets the halves.
    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>>;
}

/// The store itself as the bus: an event becomes a delivery for each consumer, and no less durable than the change
/// that raised it.
#[derive(Debug)]
pub struct LocalBus(Inbox);

impl LocalBus {
    /// A bus that leads to this inbox.
    pub const fn new(inbox: Inbox) -> Self {
        Self(inbox)
    }

    fn parcel(&self, event: &CloudEvent) -> Result<Parcel> {
        self.0.parcel(event, serde_json::to_string(event).map_err(Error::internal)?)
    }
}

#[async_trait]
impl EventBus for LocalBus {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let (mut parcels, mut outcomes) =
            (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for event in events {
            outcomes.push(self.parcel(event).map(|parcel| parcels.push(parcel)));
        }
        // Those of a batch that failed may be stored all the same, and are known when they are sent again.
        if let Err(error) = self.0.put(&parcels).await {
            let unsure = outcomes.iter_mut().filter(|outcome| outcome.is_ok());
            unsure.for_each(|outcome| *outcome = Err(error.echo()));
        }
        outcomes
    }
}
