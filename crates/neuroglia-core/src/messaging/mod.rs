//! Events for outside: from the commit that raised them to whoever wants them.
//!
//! An event becomes a row of the outbox in the transaction of the change ([`OutboxStore`]). A [`Relay`] sends it as
//! a [`CloudEvent`] by the [`EventBus`] and deletes it when its arrival was confirmed. The default bus is the store
//! itself ([`LocalBus`]): an event becomes a delivery for each consumer, which is a piece of durable
//! [`work`](crate::work).

mod bus;
mod envelope;
mod outbox;
mod relay;
mod shipment;
mod wake;

pub use bus::{EventBus, LocalBus};
pub use envelope::{CloudEvent, Origin, Parcel, Subscription, Subscriptions};
pub use outbox::{OutboxDepth, OutboxStore};
pub use relay::{Relay, RelayMeter, register};
pub use wake::{Hearing, Wake};
