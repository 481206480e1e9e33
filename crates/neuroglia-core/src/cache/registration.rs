//! What belongs to a cache that an application has registered.

use std::fmt;
use std::sync::Arc;

use super::{
    Cache, CacheEngine, CacheIndicator, CacheMeter, SessionSettings, Sessions, SharedLimits, StoredEntries,
};
use crate::clock::Clock;
use crate::data::Store;
use crate::di::{Lifetime, Service, ServiceCollection};
use crate::health::Indicator;
use crate::id::Ids;

/// What all keys of an application begin with, so that several can share a server.
#[derive(Debug, Clone)]
pub struct Keyspace(String);

impl Keyspace {
    /// The one of the application with this name.
    pub fn of(application: &str) -> Self {
        Self(format!("{application}:"))
    }

    /// A key in it.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

/// What keeps what must not be lost with a process: the cache where it is shared, or else the store. Where there is
/// neither, it is this process' cache.
pub struct Keeper(Arc<dyn CacheEngine>);

impl Keeper {
    /// The engine that keeps it.
    pub fn engine(&self) -> &Arc<dyn CacheEngine> {
        &self.0
    }

    /// What counts for all processes that share it; none where nothing is shared.
    pub fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        Arc::clone(&self.0).limits()
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keeper").field(&self.0.engine()).finish()
    }
}

/// Registers what stands on the application's [`CacheEngine`], if it has one: the [`Cache`], its indicator and the
/// [`Keeper`]. The host calls it.
pub fn register(services: &mut ServiceCollection, application: &'static str) {
    services.try_add(Service::instance(Keyspace::of(application)));
    if !services.has::<dyn CacheEngine>() {
        return;
    }
    services.try_add(Service::factory::<Cache, (Arc<dyn CacheEngine>, Ids), _>(
        Lifetime::Singleton,
        move |(engine, ids)| Ok(Arc::new(Cache::new(engine, application, ids))),
    ));
    services.try_add(Service::factory::<CacheMeter, Arc<Cache>, _>(Lifetime::Singleton, |cache| {
        Ok(Arc::clone(cache.meter()))
    }));
    services.try_add(Service::factory::<Keeper, (Arc<dyn CacheEngine>, Option<Arc<dyn Store>>, Clock), _>(
        Lifetime::Singleton,
        |(engine, store, clock)| {
            Ok(Arc::new(Keeper(match store {
                Some(store) if !engine.is_shared() => Arc::new(StoredEntries::new(store, clock)),
                _ => engine,
            })))
        },
    ));
    services.add(Service::factory::<dyn Indicator, Arc<dyn CacheEngine>, _>(Lifetime::Singleton, |engine| {
        Ok(Arc::new(CacheIndicator::new(engine)))
    }));
}

/// Registers [`Sessions`], which the [`Keeper`] keeps.
pub fn register_sessions(services: &mut ServiceCollection, settings: SessionSettings) {
    type Needs = (Arc<Keeper>, Arc<Keyspace>, Clock, Ids);
    services.add(Service::factory::<Sessions, Needs, _>(
        Lifetime::Singleton,
        move |(keeper, keyspace, clock, ids)| {
            let engine = Arc::clone(keeper.engine());
            Ok(Arc::new(Sessions::new(engine, &keyspace, settings.clone(), clock, ids)))
        },
    ));
}
