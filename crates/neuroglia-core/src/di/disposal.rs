//! What is to be disposed of when a scope, or the application, ends.
//!
//! A disposal runs in a task of its own: it completes although whoever began it is cancelled, and a service that
//! panics keeps no other from being disposed of.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::collection::Erased;

pub(super) type DisposeErased = fn(Erased) -> BoxFuture<'static, ()>;

/// Instances in the order of their construction, each with the function that disposes of it.
#[derive(Default)]
pub(super) struct Disposals(Mutex<Vec<(DisposeErased, Erased)>>);

impl Disposals {
    pub(super) fn push(&self, dispose: DisposeErased, instance: Erased) {
        self.lock().push((dispose, instance));
    }

    /// Takes over what another list has, after what is in this one.
    pub(super) fn take_over(&self, other: &Self) {
        let mut taken = std::mem::take(&mut *other.lock());
        self.lock().append(&mut taken);
    }

    /// Disposes of everything, last first, in a task of `tracker`; none when there is nothing to do.
    pub(super) fn begin(&self, tracker: &TaskTracker) -> Option<JoinHandle<()>> {
        // The lock is held until the task is tracked: whoever finds nothing to do can wait for the tracker.
        let mut list = self.lock();
        if list.is_empty() {
            return None;
        }
        let disposal = dispose_all(std::mem::take(&mut *list));
        runtime().map(|runtime| tracker.spawn_on(disposal, &runtime))
    }

    /// Whether there is something to dispose of.
    pub(super) fn any(&mut self) -> bool {
        !self.0.get_mut().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Disposes of everything, last first, when `tracker` has no other tasks.
    pub(super) fn begin_last(&self, tracker: TaskTracker) {
        let list = std::mem::take(&mut *self.lock());
        if list.is_empty() {
            return;
        }
        tracker.close();
        let disposal = async move {
            tracker.wait().await;
            dispose_all(list).await;
        };
        if let Some(runtime) = runtime() {
            runtime.spawn(disposal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(DisposeErased, Erased)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime() -> Option<Handle> {
    let runtime = Handle::try_current().ok();
    if runtime.is_none() {
        tracing::warn!("services ended outside the runtime and are dropped undisposed");
    }
    runtime
}

async fn dispose_all(list: Vec<(DisposeErased, Erased)>) {
    for (dispose, instance) in list.into_iter().rev() {
        let disposal = AssertUnwindSafe(async move { dispose(instance).await });
        if disposal.catch_unwind().await.is_err() {
            tracing::error!("a service panicked while it was disposed of");
        }
    }
}
