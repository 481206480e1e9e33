//! Where events come in: from outside, from a broker, or from this application's own outbox.
//!
//! An event that has come in is a delivery for each consumer that wants it; what came in before is passed over. So whoever
//! answers "taken" after [`Inbox::put`] has lost nothing, and whoever was interrupted puts it again.

use std::sync::Arc;

use serde::Deserialize;

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
        let subject = event.partitionkey.as_ref().or(event.subject.as_ref());
        Ok(Parcel {
            key: key(event, &self.origin),
            name: name.to_owned(),
            subject: subject.cloned(),
            envelope,
            consumer: None,
            correlation_id: event.correlationid.clone(),
            traceparent: event.traceparent.clone(),
        })
    }

    /// Whether an event in the JSON format is of another application's type, whatever else it is.
    pub fn is_foreign(&self, envelope: &str) -> bool {
        let named = serde_json::from_str::<Named>(envelope);
        named.is_ok_and(|named| self.origin.parse_type(&named.event_type).is_none())
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

/// The one attribute that says whose an event is.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    event_type: String,
}

/// What an event is known by: its id, with its source before it unless that is this application.
///
/// No two events have one key: a source has no white space, so that the first space ends it, and an id of our own that
/// has a space, which only a caller can have made, gets the source as well.
fn key(event: &CloudEvent, origin: &Origin) -> String {
    let is_plain = event.source == origin.source && !event.id.contains(' ');
    if is_plain { event.id.clone() } else { format!("{} {}", event.source, event.id) }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("engine", &self.store.engine()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_events_are_known_by_one_key() {
        let origin = Origin::of("shop");
        let known_by = |source: &str, id: &str| {
            let event = serde_json::json!({
                "specversion": "1.0", "id": id, "source": source, "type": "io.shop.order.ready.v1",
            });
            key(&CloudEvent::read(&event.to_string()).expect("an event"), &origin)
        };
        // As they are in stores already.
        assert_eq!(known_by("/shop", "7"), "7");
        assert_eq!(known_by("/kitchen", "7"), "/kitchen 7");
        let events = [
            ("/shop", "1"),
            ("/shop", "/x 1"),
            ("/x", "1"),
            ("/x", " 1"),
            ("/x", "1 "),
            ("/shop", "/shop 1"),
            ("/shop", "/shop /x 1"),
        ];
        let keys: std::collections::BTreeSet<_> = events.map(|(source, id)| known_by(source, id)).into();
        assert_eq!(keys.len(), events.len(), "{keys:?}");
    }
}
