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
mod wake;

use std::sync::Arc;

use crate::data::Store;
use crate::di::{Lifetime, Service, ServiceCollection};

pub use bus::{EventBus, LocalBus};
pub use envelope::{CloudEvent, Origin, Parcel, Subscription, Subscriptions};
pub use outbox::{OutboxDepth, OutboxStore};
pub use relay::{Relay, RelayMeter};
pub use wake::Wake;

/// Gives an application with a [`Store`] what it needs to send its events. The store itself is the bus, unless a
/// bus is registered.
pub fn register(services: &mut ServiceCollection, application: &str, subscriptions: Vec<Subscription>) {
    services.try_add(Service::instance(Wake::default()));
    services.try_add(Service::instance(Origin::of(application)));
    services.try_add(Service::instance(RelayMeter::default()));
    services.try_add(Service::instance(Subscriptions(subscriptions)));
    if services.has::<dyn Store>() {
        services.try_add(Service::factory::<dyn EventBus, (Arc<dyn Store>, Arc<Origin>), _>(
            Lifetime::Singleton,
            |(store, origin)| Ok(Arc::new(LocalBus::new(store, (*origin).clone())) as Arc<dyn EventBus>),
        ));
    }
}
