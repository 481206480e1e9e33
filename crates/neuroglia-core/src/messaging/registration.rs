//! What belongs to an application's events, and how the bus is found that carries them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    EventBus, EventSource, Inbox, IntakeMeter, LocalBus, Origin, RelayMeter, Subscription, Subscriptions,
    Wake,
};
use crate::data::Store;
use crate::di::{Lifetime, Service, ServiceCollection};
use crate::fault::{Area, Fault};
use crate::health::Indicator;

/// Gives an application with a [`Store`] what it needs to send its events. The store itself is the bus, unless a
/// bus is registered.
pub fn register(services: &mut ServiceCollection, application: &str, subscriptions: Vec<Subscription>) {
    services.try_add(Service::instance(Wake::default()));
    services.try_add(Service::instance(Origin::of(application)));
    services.try_add(Service::instance(RelayMeter::default()));
    services.try_add(Service::instance(IntakeMeter::default()));
    services.try_add(Service::instance(Subscriptions(subscriptions)));
    if services.has::<dyn Store>() {
        services.try_add(Service::factory::<dyn EventBus, (Inbox,), _>(Lifetime::Singleton, |(inbox,)| {
            Ok(Arc::new(LocalBus::new(inbox)) as Arc<dyn EventBus>)
        }));
    }
}

/// Reports the events whose names begin with what the types of the application's events begin with anyway: whoever handles
/// one by that name would not get it.
pub fn check_names<'a>(
    services: &mut ServiceCollection,
    application: &str,
    events: impl IntoIterator<Item = &'a str>,
) {
    let origin = Origin::of(application);
    for event in events.into_iter().collect::<BTreeSet<_>>() {
        let Some(rest) = origin.without_prefix(event) else { continue };
        services.fault(Fault {
            area: Area::Services,
            code: "event_name",
            what: format!(
                "the name of the event `{event}` begins with `{}.`, which its type gets anyway",
                origin.prefix
            ),
            at: event.to_owned(),
            fix: format!("name it `{rest}`"),
        });
    }
}

/// Has a registered bus found as what it is: a bus, and an attached resource that can be ill.
pub fn register_bus<B: EventBus + Indicator>(services: &mut ServiceCollection) {
    services.add(Service::factory::<dyn EventBus, (Arc<B>,), _>(Lifetime::Singleton, |(bus,)| Ok(bus)));
    services.add(Service::factory::<dyn Indicator, (Arc<B>,), _>(Lifetime::Singleton, |(bus,)| Ok(bus)));
}

/// Has a registered broker found as what it is: a bus from which this application's workers take their events.
pub fn register_broker<B: EventBus + EventSource + Indicator>(services: &mut ServiceCollection) {
    register_bus::<B>(services);
    services.add(Service::factory::<dyn EventSource, (Arc<B>,), _>(Lifetime::Singleton, |(bus,)| Ok(bus)));
}
