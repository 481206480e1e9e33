//! The cache, chosen by `CACHE_URL`.

use neuroglia::cache::{CacheEngine, MemoryCacheLimits, SessionSettings, register_sessions};
use neuroglia::clock::Clock;
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::settings::{ByteSize, Settings};
use neuroglia_backing::cache::connect;
use url::Url;

/// What is kept for a while, and where.
#[derive(Settings)]
pub struct CacheSettings {
    /// What keeps values for a while: `memory:`, each process for itself, or `redis://user:password@host:6379/0`, or
    /// `rediss://…` over TLS, for all of them. With `memory:`, sessions and the limits of log-ins are kept in the store,
    /// and `HTTP_RATE_LIMIT` counts for each process alone.
    #[setting(default = "memory:", alias = "REDIS_URL", check = neuroglia_backing::cache::check_url)]
    pub cache_url: Url,
    /// How much a cache in memory keeps at most.
    #[setting(default = "32MiB")]
    pub cache_memory_max: ByteSize,
}

/// Attaches the cache that the URL names, which is connected to when the application starts and waited for by nobody,
/// and keeps sessions by it.
pub fn register(services: &mut ServiceCollection, settings: &CacheSettings, sessions: &SessionSettings) {
    let url = settings.cache_url.clone();
    let limits =
        MemoryCacheLimits { bytes_max: settings.cache_memory_max.as_usize(), ..MemoryCacheLimits::default() };
    services.add(Service::connected::<dyn CacheEngine, (Clock,), _, _>(move |(clock,)| async move {
        connect(&url, limits, clock).await
    }));
    register_sessions(services, sessions.clone());
}
