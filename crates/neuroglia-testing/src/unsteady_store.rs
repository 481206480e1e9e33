//! A store that a test takes away, or makes wait, while an application runs on it.
//!
//! What an application does when its database is away, or slow at the worst moment, is tested without a network:
//! the test keeps the [`StoreControl`], and the application gets the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::data::{Batch, Store};
use neuroglia::error::{Error, Result};
use tokio::sync::watch;

use crate::{Layered, StoreLayer};

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
pub type UnsteadyStore = Layered<Unsteady>;

/// What an [`UnsteadyStore`] does differently.
pub struct Unsteady {
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
        (Layered(Unsteady { inner, control: control.clone() }), control)
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
impl StoreLayer for Unsteady {
    fn behind(&self) -> &dyn Store {
        &*self.inner
    }

    fn reach(&self) -> Result<&dyn Store> {
        if self.control.0.borrow().is_away {
            return Err(Error::unavailable("the test has taken the store away"));
        }
        Ok(&*self.inner)
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.control.pass().await;
        self.reach()?.commit(batch).await
    }
}

impl fmt::Debug for Unsteady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsteady").field("engine", &self.inner.engine()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreControl").field(&*self.0.borrow()).finish()
    }
}
