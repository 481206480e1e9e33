//! The cache on Redis: one server that many processes share.
//!
//! # Design notes
//! - **One connection**, on which the commands of all requests are under way at once; a pool would cost memory of the
//!   server for each process and answer no sooner.
//! - **What is away is known to be away.** A [`Link`] keeps the connection, outside of any request. The command that finds
//!   out waits [`RESPONSE_TIMEOUT`] at most; those after it are answered at once until the link is back, which it looks
//!   for every second at most.
//! - **The server's clock ends what is over**, and moves the shared quotas.
//! - A sentinel, a node of a cluster or a replica is refused, by its URL or when it says what it is: what is lost when one
//!   server is away is time, and no value.

mod limits;
mod link;
mod location;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use neuroglia::cache::{Answer, CacheEngine, SharedLimits};
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use redis::{Cmd, ErrorKind, RedisError, cmd};
use tokio::task::spawn_blocking;
use url::Url;

use self::link::Link;
use self::location::Location;

pub use self::link::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
pub use self::location::check_url;

/// How long opening waits for the first connection, so that the first requests find the cache; not longer, as they can
/// do without.
const FIRST_CONNECTION_WAIT: Duration = Duration::from_millis(500);

/// The cache on a Redis server, version 6.2 or later.
pub struct RedisCache {
    link: Link,
}

impl RedisCache {
    /// Opens the one that the URL names; see [`check_url`]. A server that is away, or refuses the credentials, is tried
    /// again for as long as the cache is used.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that is refused, and for a file of
    /// certificates that cannot be read.
    pub async fn open(url: &Url) -> Result<Self> {
        let invalid = |fault: String| Error::invalid("cache.url", fault);
        let location = Location::of(url).map_err(invalid)?;
        let tls = match &location.tls {
            Some(trust) => {
                let authorities = trust.authorities.clone();
                let made = spawn_blocking(move || crate::tls::client_config(authorities.as_deref())).await;
                Some(Arc::new(made.map_err(Error::internal)??))
            }
            None => None,
        };
        let link = Link::open(location, tls);
        link.wait(FIRST_CONNECTION_WAIT).await;
        Ok(Self { link })
    }

    /// Asks the server something.
    async fn ask<T: redis::FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.link.ask(command).await
    }
}

/// Of a time what Redis counts in.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}

impl CacheEngine for RedisCache {
    fn engine(&self) -> &'static str {
        "redis"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>> {
        Answer::later(
            async move { Ok(self.ask::<Option<Vec<u8>>>(cmd("GET").arg(key)).await?.map(Bytes::from)) },
        )
    }

    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>> {
        Answer::later(async move {
            let found: Option<Vec<u8>> = self.ask(cmd("GETEX").arg(key).arg("PX").arg(millis(ttl))).await?;
            Ok(found.map(Bytes::from))
        })
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, ()> {
        Answer::later(
            async move { self.ask(cmd("SET").arg(key).arg(&*value).arg("PX").arg(millis(ttl))).await },
        )
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(async move {
            let set = cmd("SET").arg(key).arg(&*value).arg("NX").arg("PX").arg(millis(ttl)).to_owned();
            Ok(self.ask::<Option<String>>(&set).await?.is_some())
        })
    }

    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(async move { self.ask(cmd("PEXPIRE").arg(key).arg(millis(ttl))).await })
    }

    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Answer::later(async move { self.ask::<u64>(cmd("DEL").arg(key)).await.map(drop) })
    }

    fn check(&self) -> Answer<'_, Details> {
        Answer::later(async move {
            match self.ask::<String>(cmd("INFO").arg("server")).await {
                Ok(info) => Ok(version(&info).map_or_else(Details::new, Details::of_version)),
                // A user who may not ask for it has been answered all the same.
                Err(error) if is_forbidden(&error) => Ok(Details::new()),
                Err(error) => Err(error),
            }
        })
    }

    fn limits(self: Arc<Self>) -> Option<Arc<dyn SharedLimits>> {
        Some(self)
    }
}

/// The version in what the server says of itself.
fn version(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.strip_prefix("redis_version:")).map(str::trim)
}

fn is_forbidden(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<RedisError>());
    cause.is_some_and(|cause| cause.kind() == ErrorKind::Server(redis::ServerErrorKind::NoPerm))
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisCache").field(&self.link).finish()
    }
}
