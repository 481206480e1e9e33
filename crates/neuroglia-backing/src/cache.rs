//! Caches, each chosen by its URL.
//!
//! | URL | engine | feature |
//! |---|---|---|
//! | `memory:` | this process' memory, bounded | always there |
//! | `redis://user:password@host:6379/0`, `rediss://…` over TLS | one server that many processes share | `redis` |

use std::sync::Arc;

use neuroglia::cache::{CacheEngine, MemoryCache, MemoryCacheLimits};
use neuroglia::clock::Clock;
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::settings::{ByteSize, Settings};
use url::Url;

/// What is kept for a while, and where.
#[derive(Settings)]
pub struct CacheSettings {
    /// What keeps values for a while: `memory:`, each process for itself, or `redis://user:password@host:6379/0`, or
    /// `rediss://…` over TLS, for all of them. With `memory:`, sessions and the limits of log-ins are kept in the store,
    /// and `HTTP_RATE_LIMIT` counts for each process alone.
    #[setting(default = "memory:", alias = "REDIS_URL", check = check_url)]
    pub cache_url: Url,
    /// How much a cache in memory keeps at most.
    #[setting(default = "32MiB")]
    pub cache_memory_max: ByteSize,
}

/// Gives an application the cache that the settings name, which is connected to when the application starts and waited
/// for by nobody.
pub fn attach(services: &mut ServiceCollection, settings: &CacheSettings) {
    let url = settings.cache_url.clone();
    let limits =
        MemoryCacheLimits { bytes_max: settings.cache_memory_max.as_usize(), ..MemoryCacheLimits::default() };
    services.add(Service::connected::<dyn CacheEngine, (Clock,), _, _>(move |(clock,)| async move {
        connect(&url, limits, clock).await
    }));
}

/// Opens the cache that the URL names; the limits are those of one in memory.
///
/// A server that is away does not fail it: the cache has nothing until it answers.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses, and for a file of
/// certificates that it names and that cannot be read.
pub async fn connect(url: &Url, limits: MemoryCacheLimits, clock: Clock) -> Result<Arc<dyn CacheEngine>> {
    check_url(url).map_err(|fault| Error::invalid("cache.url", fault))?;
    match url.scheme() {
        #[cfg(feature = "redis")]
        "redis" | "rediss" => Ok(Arc::new(crate::redis::RedisCache::open(url).await?)),
        _ => Ok(Arc::new(MemoryCache::new(limits, clock))),
    }
}

/// Whether [`connect`] could open such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "memory" => crate::is_bare(url),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => crate::redis::check_url(url),
        #[cfg(not(feature = "redis"))]
        "redis" | "rediss" => Err("this executable was built without the feature `redis`".to_owned()),
        scheme if scheme.contains("sentinel") || scheme.contains("cluster") => Err(format!(
            "{scheme} is not supported: a sentinel or a cluster is not asked for its nodes; name one address that leads to \
             the primary, such as redis://user:password@host:6379"
        )),
        scheme => {
            Err(format!("there is no cache {scheme}: use redis://host:6379, rediss://host:6379 or memory:"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_judged_by_its_scheme() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("memory:"), None);
        assert!(fault("memory://shop").is_some_and(|fault| fault.contains("nothing after the colon")));
        assert!(fault("memcached://cache").is_some_and(|fault| fault.contains("no cache memcached")));
        for many in ["redis-sentinel://a", "redis+sentinel://a", "rediss+sentinel://a", "redis-cluster://a"] {
            assert!(fault(many).is_some_and(|fault| fault.contains("is not supported")), "{many}");
        }
    }
}
