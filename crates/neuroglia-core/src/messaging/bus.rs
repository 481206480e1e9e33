//! The port to whatever carries events from one process to the others.

use std::sync::Arc;

use async_trait::async_trait;

use super::{CloudEvent, Origin, Parcel};
use crate::data::Store;
use crate::error::{Error, Result, chain};

/// Carries events to those who want them. `EVENT_BUS_URL` chooses which.
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// The bus' name, such as `local`.
    fn name(&self) -> &'static str;

    /// Sends the events; gives for each, in the same order, whether its arrival was confirmed.
    ///
    /// Events with the same partition key arrive in the order given. One that arrived may arrive again: consumers
    /// recognise it by its id. A bus that is away says `Unavailable`; one that refuses a batch, because it is too
    /// large or because of one event in it, says anything else, and gets the halves.
    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>>;
}

/// The store itself as the bus: an event becomes a delivery for each consumer, and no less durable than the change
/// that raised it.
pub struct LocalBus {
    store: Arc<dyn Store>,
    origin: Origin,
}

impl LocalBus {
    /// A bus for the events of this origin.
    pub fn new(store: Arc<dyn Store>, origin: Origin) -> Self {
        Self { store, origin }
    }

    fn parcel(&self, event: &CloudEvent) -> Result<Parcel> {
        let (name, _) = self.origin.parse_type(&event.event_type).ok_or_else(|| {
            Error::internal(format!("`{}` is not a type of this application", event.event_type))
        })?;
        Ok(Parcel {
            key: event.id.clone(),
            name: name.to_owned(),
            subject: event.subject.clone().unwrap_or_default(),
            envelope: serde_json::to_string(event).map_err(Error::internal)?,
            correlation_id: event.correlationid.clone(),
            traceparent: event.traceparent.clone(),
        })
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
        // They are stored together or not at all.
        if let Err(error) = self.store.fan_out(&parcels).await {
            let text = chain(&error);
            let failed = || Error::new(error.kind(), error.code().to_owned(), text.clone());
            outcomes
                .iter_mut()
                .filter(|outcome| outcome.is_ok())
                .for_each(|outcome| *outcome = Err(failed()));
        }
        outcomes
    }
}

impl std::fmt::Debug for LocalBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalBus").field("engine", &self.store.engine()).finish_non_exhaustive()
    }
}
