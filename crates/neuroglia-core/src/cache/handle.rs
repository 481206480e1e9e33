//! The handle by which an application caches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::flights::{Flights, Landed};
use super::{Answer, CacheEngine, CacheMeter};
use crate::di::{Dependencies, Inject, Scope};
use crate::error::{Error, Result, chain};
use crate::id::Ids;

/// The largest value that is kept: what is larger would push out many others, and hold up a shared connection.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// The longest key, with its namespaces.
pub const KEY_BYTES_MAX: usize = 1024;

/// How long one [`Cache::get_or_compute`] waits for the engine, over all commands that it takes: of an engine that answers
/// each just in time, the first is enough to know that it is no help.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Of its time a value loses up to this part at random, so that what was kept together does not end together.
const JITTER_PART: u32 = 10;

/// Keeps values for a while. Injected as a field; a clone is a few reference counts.
///
/// Values go through JSON whatever the engine is, so that what comes back is the same with each of them. A value
/// that cannot be read any more, as another release wrote it, is a miss.
///
/// Keys begin with the application's name, and with that of each [`namespace`](Self::namespace).
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
    prefix: Arc<str>,
}

struct Shared {
    engine: Arc<dyn CacheEngine>,
    flights: Flights,
    meter: Arc<CacheMeter>,
    ids: Ids,
}

/// What is left of the time that one question may wait for the engine; all of it when nothing was asked yet.
///
/// The first command is bounded by the engine alone, which learns from one that takes too long that it is away.
#[derive(Default)]
struct Patience(Option<Duration>);

impl Patience {
    fn is_over(&self) -> bool {
        self.0 == Some(Duration::ZERO)
    }

    fn spend(&mut self, waited: Duration) {
        self.0 = Some(self.0.unwrap_or(WAIT_MAX).saturating_sub(waited));
    }
}

impl Cache {
    /// A cache on this engine, of the application with this name.
    pub fn new(engine: Arc<dyn CacheEngine>, application: &str, ids: Ids) -> Self {
        let (flights, meter) = (Flights::default(), Arc::default());
        Self {
            shared: Arc::new(Shared { engine, flights, meter, ids }),
            prefix: format!("{application}:").into(),
        }
    }

    /// This cache, with keys of its own.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), prefix: format!("{}{name}:", self.prefix).into() }
    }

    /// What it counts.
    pub fn meter(&self) -> &Arc<CacheMeter> {
        &self.shared.meter
    }

    /// The value of a key; none when there is none, or the cache is away.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let key = self.full(key)?;
        let found = self.read(&key, &mut Patience::default()).await;
        self.count(found.is_some());
        found
    }

    /// Keeps a value for at most this time. What cannot be kept is not, and nobody is told: it can be found out again.
    pub async fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Duration) {
        if let Some(key) = self.full(key)
            && let Some(bytes) = written(value)
        {
            self.keep(&key, bytes, ttl, &mut Patience::default()).await;
        }
    }

    /// Forgets the value of a key. What this process computes for it by then is not kept either; another process may
    /// still keep what it computed of before.
    ///
    /// # Errors
    /// When the cache is away. Whoever forgets a value relies on it; what is kept ends with its time all the same.
    pub async fn remove(&self, key: &str) -> Result<()> {
        let Some(key) = self.full(key) else { return Ok(()) };
        self.shared.flights.overtake(&key);
        self.timed(self.shared.engine.remove(&key), &mut Patience::default()).await
    }

    /// The value of a key, or else what is computed, which is then kept for at most this time.
    ///
    /// For each key one computation runs at a time in this process. Whoever asks meanwhile waits for it and shares its
    /// outcome; when it is cancelled, one of those who wait computes. An error is not kept.
    ///
    /// A cache that is slow is waited for 250 ms, over all that it is asked, or as long as its engine lets it take for the
    /// first command. After that it has nothing, and what is computed is not kept. What is removed while it is being kept
    /// is waited for once more, until it is gone.
    ///
    /// # Errors
    /// That of the computation, and never one of the cache.
    pub async fn get_or_compute<T, F, O>(&self, key: &str, ttl: Duration, compute: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnOnce() -> O + Send,
        O: Future<Output = Result<T>> + Send,
    {
        let Some(key) = self.full(key) else { return compute().await };
        let mut patience = Patience::default();
        let found = self.read(&key, &mut patience).await;
        self.count(found.is_some());
        if let Some(value) = found {
            return Ok(value);
        }
        let mut kept_back = Some(compute);
        let passenger = self.shared.flights.board(&key);
        let computing = async {
            // Whoever had the turn before may have kept it a moment ago.
            if let Some(value) = self.read(&key, &mut patience).await {
                return Ok(value);
            }
            let compute = kept_back.take().expect("a computation is run once");
            self.tally(&self.shared.meter.computed);
            let value = compute().await?;
            if let Some(bytes) = written(&value).filter(|_| !passenger.is_overtaken()) {
                self.keep(&key, bytes, ttl, &mut patience).await;
                // What was removed while it was being kept may have been kept after that.
                if passenger.is_overtaken() {
                    let _ = self.timed(self.shared.engine.remove(&key), &mut Patience::default()).await;
                }
            }
            Ok(value)
        };
        let landed = passenger.join(computing, written).await?;
        match landed {
            Landed::Own(value) => Ok(value),
            Landed::Shared(bytes) => {
                self.tally(&self.shared.meter.joined);
                match (bytes.and_then(|bytes| parsed(&key, &bytes)), kept_back) {
                    (Some(value), _) => Ok(value),
                    // What the other one computed is of another type, or cannot be written down.
                    (None, Some(compute)) => compute().await,
                    (None, None) => unreachable!("what was shared was computed by another"),
                }
            }
        }
    }

    async fn read<T: DeserializeOwned>(&self, key: &str, patience: &mut Patience) -> Option<T> {
        if patience.is_over() {
            return None;
        }
        let bytes = self.timed(self.shared.engine.get(key), patience).await.ok()??;
        parsed(key, &bytes)
    }

    async fn keep(&self, key: &str, value: Bytes, ttl: Duration, patience: &mut Patience) {
        if value.len() > ENTRY_BYTES_MAX {
            self.tally(&self.shared.meter.oversized);
            return;
        }
        if patience.is_over() {
            return;
        }
        let ttl = ttl.saturating_sub(self.shared.ids.jitter(ttl / JITTER_PART));
        // It is counted, and can be found out again.
        let _ = self.timed(self.shared.engine.set(key, value, ttl), patience).await;
    }

    /// Waits for the engine as long as there is patience, counting how long that takes.
    async fn timed<T: Unpin>(&self, answer: Answer<'_, T>, patience: &mut Patience) -> Result<T> {
        let began = (!answer.is_ready()).then(Instant::now);
        let answer = match patience.0 {
            Some(left) if began.is_some() => {
                timeout(left, answer).await.unwrap_or_else(|late| Err(Error::unavailable(late)))
            }
            _ => answer.await,
        };
        if let Some(began) = began {
            let waited = began.elapsed();
            patience.spend(waited);
            self.shared.meter.latency.count(waited);
        }
        answer.inspect_err(|error| {
            self.tally(&self.shared.meter.failures);
            tracing::debug!(error = chain(error), "the cache did not answer");
        })
    }

    fn full(&self, key: &str) -> Option<String> {
        let bytes = self.prefix.len() + key.len();
        if bytes > KEY_BYTES_MAX {
            self.tally(&self.shared.meter.oversized);
            return None;
        }
        let mut full = String::with_capacity(bytes);
        full.push_str(&self.prefix);
        full.push_str(key);
        Some(full)
    }

    fn count(&self, is_hit: bool) {
        let meter = &self.shared.meter;
        self.tally(if is_hit { &meter.hits } else { &meter.misses });
    }

    fn tally(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

fn written<T: Serialize + ?Sized>(value: &T) -> Option<Bytes> {
    let bytes = serde_json::to_vec(value);
    bytes
        .inspect_err(|error| tracing::debug!(error = %error, "a value cannot be cached"))
        .ok()
        .map(Bytes::from)
}

fn parsed<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Option<T> {
    let value = serde_json::from_slice(bytes);
    value
        .inspect_err(
            |error| tracing::debug!(cache.key = key, error = %error, "a cached value cannot be read"),
        )
        .ok()
}

impl Inject for Cache {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<Self>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<Self>().map(|cache| (*cache).clone())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("engine", &self.shared.engine.engine())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
