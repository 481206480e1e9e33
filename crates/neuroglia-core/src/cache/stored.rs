//! The port of a cache over the store: for what must not be lost with a process where no cache is shared.
//!
//! It is slower than a cache, and every write is a commit. What lives and ends by being used, as a session does, is
//! therefore written again only when a quarter of its time has gone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Answer, CacheEngine, SharedLimits, Taken};
use crate::clock::{Clock, Timestamp};
use crate::data::{
    Batch, Change, Condition, Direction, Document, KEPT_ENTRIES, KEPT_UNTIL, Op, Path, Select, Sort, Step,
    Store, Value, Write,
};
use crate::error::{Error, ErrorKind, Result, chain};
use crate::health::Details;

/// How often a change is tried again that somebody else's came before.
const ATTEMPTS_MAX: usize = 5;

/// How often what is over is deleted, how much of it in one commit, and for how long at a time.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);
const PURGE_BATCH: u32 = 200;
const PURGE_TIME_MAX: Duration = Duration::from_secs(20);

/// Keeps values in the store, in a collection that the store makes with its own.
pub struct StoredEntries {
    store: Arc<dyn Store>,
    clock: Clock,
    purged_at: AtomicI64,
}

/// An entry as a document.
#[derive(Serialize, Deserialize)]
struct Entry {
    value: String,
    until: Timestamp,
}

/// What becomes of an entry.
enum Next {
    Write(Entry),
    Delete,
    Leave,
}

impl StoredEntries {
    /// Those of this store, whose time is the clock's.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock, purged_at: AtomicI64::new(i64::MIN) }
    }

    /// What an application's migration made for them before the store did so itself: a released one keeps it, and a new
    /// one needs nothing.
    pub fn steps() -> Vec<Step> {
        Step::of_kept_entries()
    }

    async fn load(&self, key: &str) -> Result<Option<(Document, Entry)>> {
        let Some(document) = self.store.load(KEPT_ENTRIES, key).await? else { return Ok(None) };
        let entry = serde_json::from_str(&document.body).map_err(Error::internal)?;
        Ok(Some((document, entry)))
    }

    /// Does to an entry what `decide` says of it, as it is then; gives what that said. What is over is not there.
    async fn change<T>(
        &self,
        key: &str,
        decide: impl Fn(Option<&Entry>, Timestamp) -> Result<(Next, T)> + Send,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let found = self.load(key).await?;
            let now = self.clock.now();
            let living = found.as_ref().map(|(_, entry)| entry).filter(|entry| now < entry.until);
            let (next, told) = decide(living, now)?;
            let expected = found.as_ref().map(|(document, _)| document.version);
            let change = match (next, expected) {
                (Next::Leave, _) | (Next::Delete, None) => return Ok(told),
                (Next::Delete, Some(expected)) => Change::Delete { expected },
                (Next::Write(entry), expected) => {
                    let body = serde_json::to_string(&entry).map_err(Error::internal)?;
                    match expected {
                        Some(expected) => Change::Update { expected, body },
                        None => Change::Insert { body },
                    }
                }
            };
            match self.commit(vec![Write { collection: KEPT_ENTRIES, id: key.to_owned(), change }], now).await
            {
                Ok(()) => return Ok(told),
                Err(error) if was_overtaken(&error) && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) if was_overtaken(&error) => return Err(Error::unavailable(error)),
                Err(error) => return Err(error),
            }
        }
    }

    async fn commit(&self, writes: Vec<Write>, at: Timestamp) -> Result<()> {
        commit(&*self.store, writes, at).await
    }

    /// Deletes what is over, now and then, beside the request that asks for it: nothing runs on a timer for it.
    fn purge(&self) {
        let now = self.clock.now();
        let last = self.purged_at.load(Relaxed);
        let is_due = now.unix_micros().saturating_sub(last) >= PURGE_INTERVAL.as_micros() as i64;
        let is_ours = || self.purged_at.compare_exchange(last, now.unix_micros(), Relaxed, Relaxed).is_ok();
        if !is_due || !is_ours() {
            return;
        }
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = delete_until(&*store, now).await {
                tracing::debug!(error = chain(&error), "what is over was not deleted; it is tried again");
            }
        });
    }
}

async fn commit(store: &dyn Store, writes: Vec<Write>, at: Timestamp) -> Result<()> {
    store.commit(Batch { at, writes, ..Batch::default() }).await
}

/// Deletes what is over by then, page by page; what is left when its time is over is the next one's.
async fn delete_until(store: &dyn Store, now: Timestamp) -> Result<()> {
    let select = Select {
        collection: KEPT_ENTRIES,
        condition: Condition::Compare {
            path: Path::Body(KEPT_UNTIL),
            op: Op::Less,
            value: Value::Text(now.to_string()),
        },
        sort: [Path::Body(KEPT_UNTIL), Path::Id]
            .map(|path| Sort { path, direction: Direction::Ascending })
            .into(),
        limit: PURGE_BATCH,
    };
    let began = Instant::now();
    while began.elapsed() < PURGE_TIME_MAX {
        let over = store.query(&select).await?;
        if over.is_empty() {
            break;
        }
        let is_last = over.len() < PURGE_BATCH as usize;
        let delete = |Document { id, version: expected, .. }| Write {
            collection: KEPT_ENTRIES,
            id,
            change: Change::Delete { expected },
        };
        let writes: Vec<_> = over.into_iter().map(delete).collect();
        match commit(store, writes.clone(), now).await {
            // Another process may be at it too, or somebody uses one of them again: the others go one by one.
            Err(error) if was_overtaken(&error) => {
                for write in writes {
                    let deleted = commit(store, vec![write], now).await;
                    deleted.or_else(|error| if was_overtaken(&error) { Ok(()) } else { Err(error) })?;
                }
            }
            deleted => deleted?,
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Whether somebody else changed it first.
fn was_overtaken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
}

fn entry(value: &Bytes, until: Timestamp) -> Entry {
    Entry { value: STANDARD_NO_PAD.encode(value), until }
}

fn bytes(entry: &Entry) -> Result<Bytes> {
    STANDARD_NO_PAD.decode(&entry.value).map(Bytes::from).map_err(Error::internal)
}

fn end(now: Timestamp, ttl: Duration) -> Timestamp {
    now + ttl.max(Duration::from_millis(1))
}

/// This entry until then, unless three quarters of its time are left.
fn kept(found: &Entry, now: Timestamp, ttl: Duration) -> Next {
    if found.until.since(now) >= ttl / 4 * 3 && found.until <= end(now, ttl) {
        return Next::Leave;
    }
    Next::Write(Entry { value: found.value.clone(), until: end(now, ttl) })
}

impl CacheEngine for StoredEntries {
    fn engine(&self) -> &'static str {
        self.store.engine()
    }

    fn is_shared(&self) -> bool {
        !self.store.is_ephemeral()
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Bytes>> {
        Answer::later(async move {
            let found = self.load(key).await?.map(|(_, entry)| entry);
            found.filter(|entry| self.clock.now() < entry.until).as_ref().map(bytes).transpose()
        })
    }

    fn get_and_keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, Option<Bytes>> {
        Answer::later(self.change(key, move |found, now| {
            let Some(found) = found else { return Ok((Next::Leave, None)) };
            Ok((kept(found, now, ttl), Some(bytes(found)?)))
        }))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, ()> {
        Answer::later(async move {
            self.purge();
            self.change(key, |_, now| Ok((Next::Write(entry(&value, end(now, ttl))), ()))).await
        })
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(async move {
            self.purge();
            self.change(key, |found, now| match found {
                Some(_) => Ok((Next::Leave, false)),
                None => Ok((Next::Write(entry(&value, end(now, ttl))), true)),
            })
            .await
        })
    }

    fn keep<'a>(&'a self, key: &'a str, ttl: Duration) -> Answer<'a, bool> {
        Answer::later(self.change(key, move |found, now| {
            Ok(found.map_or((Next::Leave, false), |found| (kept(found, now, ttl), true)))
        }))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Answer::later(self.change(key, |_, _| Ok((Next::Delete, ()))))
    }

    fn check(&self) -> Answer<'_, Details> {
        Answer::later(async move { self.store.ping().await })
    }

    fn limits(self: Arc<Self>) -> Option<Arc<dyn SharedLimits>> {
        Some(self)
    }
}

/// For what is asked for rarely, such as to log in. The time is the clock's: processes whose clocks differ give so much
/// more or less.
#[async_trait]
impl SharedLimits for StoredEntries {
    fn is_quick(&self) -> bool {
        false
    }

    async fn take(&self, key: &str, period: Duration, share: Duration) -> Result<Taken> {
        self.purge();
        self.change(key, |found, now| {
            let (taken, next) = Taken::of(found.map(|entry| entry.until), now, period, share);
            // The moment at which the quota is whole again is the one from which nothing need be kept.
            Ok((next.map_or(Next::Leave, |until| Next::Write(entry(&Bytes::new(), until))), taken))
        })
        .await
    }
}

impl fmt::Debug for StoredEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredEntries").field(&self.store.engine()).finish()
    }
}
