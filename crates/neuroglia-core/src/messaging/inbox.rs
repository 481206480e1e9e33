//! Where events come in: from outside, from a broker, or from this application's own outbox.
//!
//! An event that has come in is a delivery for each consumer that wants it; what came in before is passed over. So whoever
//! answers "taken" after [`Inbox::put`] has lost nothing, and whoever was interrupted puts it again.

use std::sync::Arc;

use super::{CloudEvent, Origin, Parcel, Wake};
use crate::data::Store;
use crate::di::Inject;
use crate::error::{Error, ErrorKind, Result};

/// Stores events as deliveries, and wakes those who do them.
#[derive(Clone, Inject)]
pub struct Inbox {
    store: Arc<dyn Store>,
    origin: Arc<Origin>,
    wake: Arc<Wake>,
}

/// The code of an event of a type that this application has no name for.
pub const FOREIGN: &str = "event.foreign";

impl Inbox {
    /// What is to be stored of an event, with its envelope as it came: also what this release does not know of it.
    ///
    /// Two events are the same when source and id are.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the code [`FOREIGN`] for a type of another application.
    pub fn parcel(&self, event: &CloudEvent, envelope: String) -> Result<Parcel> {
        let (name, _) = self.origin.parse_type(&event.event_type).ok_or_else(|| {
            let detail = format!("`{}` is not a type of this application", event.event_type);
            Error::new(ErrorKind::Invalid, FOREIGN, detail)
        })?;
        let is_own = event.source == self.origin.source;
        let subject = event.partitionkey.as_ref().or(event.subject.as_ref());
        Ok(Parcel {
            key: if is_own { event.id.clone() } else { format!("{} {}", event.source, event.id) },
            name: name.to_owned(),
            subject: subject.cloned(),
            envelope,
            consumer: None,
            correlation_id: event.correlationid.clone(),
            traceparent: event.traceparent.clone(),
        })
    }

    /// Stores all of them; gives how many deliveries are new.
    ///
    /// # Errors
    /// Those of the store. Some may be stored all the same: whoever puts them again stores those that are missing.
    pub async fn put(&self, parcels: &[Parcel]) -> Result<u64> {
        if parcels.is_empty() {
            return Ok(0);
        }
        let stored = self.store.fan_out(parcels).await;
        if !matches!(stored, Ok(0)) {
            self.wake.work();
        }
        stored
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("engine", &self.store.engine()).finish_non_exhaustive()
    }
}
