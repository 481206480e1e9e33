//! Events for outside: from the commit that raised them to whoever wants them.
//!
//! An event, of an aggregate or raised by [`Events`], becomes a row of the outbox in the transaction of the change
//! ([`OutboxStore`]). A [`Relay`] sends it as
//! a [`CloudEvent`] by the [`EventBus`] and deletes it when its arrival was confirmed. The default bus is the store
//! itself ([`LocalBus`]): an event becomes a delivery for each consumer, which is a piece of durable
//! [`work`](crate::work). Where a broker carries them, an [`Intake`] in each worker takes them from the broker's queues
//! ([`EventSource`]) and stores the same deliveries; what comes over HTTP is stored by the [`Inbox`] as well.

mod bus;
mod envelope;
mod events;
mod inbox;
mod intake;
mod outbox;
mod received;
mod registration;
mod relay;
mod shipment;
mod source;
mod wake;

pub use bus::{EventBus, LocalBus};
pub(crate) use envelope::check_subject;
pub use envelope::{CloudEvent, EVENT_DATA_BYTES_MAX, Origin, Parcel, Subscription, Subscriptions};
pub use events::Events;
pub use inbox::{FOREIGN, Inbox};
pub use intake::{ARRIVAL_BYTES_MAX, Intake, IntakeMeter};
pub use outbox::{OutboxDepth, OutboxStore};
pub use registration::{check_names, register, register_broker, register_bus};
pub use relay::{Relay, RelayMeter};
pub use source::{Arrival, EventQueue, EventSource, Outcome};
pub use wake::{Hearing, Wake};
