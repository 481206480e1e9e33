//! A store that a test takes away, or makes wait, while an application runs on it.
//!
//! What an application does when its database is away, or slow at the worst moment, is tested without a network:
//! the test keeps the [`StoreControl`], and the application gets the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::{
    AppliedMigration, Batch, Document, History, Migration, MigrationRun, OutboxMessage, Reservation, Reserve,
    Select, Store,
};
use neuroglia::error::{Error, Result};
use tokio::sync::watch;

/// A store around another one, in the hands of a [`StoreControl`].
///
/// ```
/// use std::sync::Arc;
/// use neuroglia::data::{Store, memory::MemoryStore};
/// use neuroglia_testing::UnsteadyStore;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (store, control) = UnsteadyStore::around(Arc::new(MemoryStore::default()));
/// assert!(store.ping().await.is_ok());
/// control.go_away();
/// assert!(store.ping().await.is_err());
/// # });
/// ```
pub struct UnsteadyStore {
    inner: Arc<dyn Store>,
    control: StoreControl,
}

/// What a test does to an [`UnsteadyStore`]; clones control the same store.
#[derive(Clone)]
pub struct StoreControl(Arc<watch::Sender<Mood>>);

#[derive(Debug, Clone, Copy, Default)]
struct Mood {
    is_away: bool,
    holds_commits: bool,
    commits_waiting: usize,
}

impl UnsteadyStore {
    /// A store around this one, and the control of it.
    pub fn around(inner: Arc<dyn Store>) -> (Self, StoreControl) {
        let control = StoreControl(Arc::new(watch::Sender::new(Mood::default())));
        (Self { inner, control: control.clone() }, control)
    }

    fn reach(&self) -> Result<&dyn Store> {
        if self.control.0.borrow().is_away {
            return Err(Error::unavailable("the test has taken the store away"));
        }
        Ok(&*self.inner)
    }
}

impl StoreControl {
    /// Has every call fail as unavailable from now on.
    pub fn go_away(&self) {
        self.0.send_modify(|mood| mood.is_away = true);
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.0.send_modify(|mood| mood.is_away = false);
    }

    /// Has every commit wait from now on, before it changes anything.
    pub fn hold_commits(&self) {
        self.0.send_modify(|mood| mood.holds_commits = true);
    }

    /// Waits until so many commits are held.
    pub async fn commits_held(&self, count: usize) {
        // The control keeps the sender alive, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|mood| mood.commits_waiting >= count).await;
    }

    /// Lets the held commits go on, and further ones pass.
    pub fn release_commits(&self) {
        self.0.send_modify(|mood| mood.holds_commits = false);
    }

    async fn pass(&self) {
        let waiting = Waiting::begin(self);
        let _ = self.0.subscribe().wait_for(|mood| !mood.holds_commits).await;
        drop(waiting);
    }
}

/// A commit that waits, until it may go on or is given up.
struct Waiting<'a>(&'a StoreControl);

impl<'a> Waiting<'a> {
    fn begin(control: &'a StoreControl) -> Self {
        control.0.send_modify(|mood| mood.commits_waiting += 1);
        Self(control)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|mood| mood.commits_waiting -= 1);
    }
}

#[async_trait]
impl Store for UnsteadyStore {
    fn engine(&self) -> &'static str {
        self.inner.engine()
    }

    fn is_ephemeral(&self) -> bool {
        self.inner.is_ephemeral()
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        self.reach()?.load(collection, id).await
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        self.reach()?.query(select).await
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.reach()?.count(select).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.control.pass().await;
        self.reach()?.commit(batch).await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.reach()?.outbox(limit).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        self.reach()?.reserve(reserve).await
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        self.reach()?.release(key, token).await
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<u64> {
        self.reach()?.purge_expired(now).await
    }

    async fn own_history(&self) -> Result<History> {
        self.reach()?.own_history().await
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        self.reach()?.applied_migrations().await
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        self.reach()?.migrate(migrations, now).await
    }

    async fn ping(&self) -> Result<()> {
        self.reach()?.ping().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl fmt::Debug for UnsteadyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsteadyStore").field("engine", &self.inner.engine()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreControl").field(&*self.0.borrow()).finish()
    }
}
