//! The port of what keeps values for a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Answer, SharedLimits};
use crate::error::Result;
use crate::health::{Details, Indicator};

/// What keeps values for a while, by key. `CACHE_URL` chooses which; the conformance suite of `neuroglia-testing`
/// says what each must do.
///
/// A value is there for at most its time, and may go earlier, when room is needed. A time below a millisecond counts
/// as one. Applications use a [`Cache`](super::Cache), which an engine that is away does not trouble.
///
/// # Errors
/// Every method gives [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when the engine cannot be
/// reached, within a time that it bounds itself: at once when it is known to be away.
pub trait CacheEngine: Send + Sync + 'static {
    /// The engine's name, such as `redis`.
    fn engine(&self) -> &'static str;

    /// Whether other processes see the same values, and they outlive this one.
    fn is_shared(&self) -> bool;

    /// The value of a key.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>>;

    /// The value of a key, which is there for this time again. An engine to which writing is dear may leave it with
    /// three quarters of it.
    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>>;

    /// Gives a key this value, for this time.
    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, ()>;

    /// Gives a key this value, for this time, unless it has one; whether it had none. Of several at once one succeeds.
    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool>;

    /// Keeps what a key has for this time from now; whether it has anything.
    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool>;

    /// Takes a key's value away, if it has one.
    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()>;

    /// Whether it answers, and what it says of itself.
    fn check(&self) -> Answer<'_, Details>;

    /// What counts for all processes that share the engine, if it can.
    fn limits(self: Arc<Self>) -> Option<Arc<dyn SharedLimits>> {
        None
    }
}

/// The cache as an attached resource, without which requests are slower and no worse.
pub struct CacheIndicator(Arc<dyn CacheEngine>);

impl CacheIndicator {
    /// The indicator of this engine.
    pub fn new(engine: Arc<dyn CacheEngine>) -> Self {
        Self(engine)
    }
}

#[async_trait]
impl Indicator for CacheIndicator {
    fn name(&self) -> &str {
        "cache"
    }

    fn kind(&self) -> &str {
        self.0.engine()
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        self.0.check().await
    }
}

impl fmt::Debug for CacheIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheIndicator").field(&self.0.engine()).finish()
    }
}
