//! What is to be disposed of when a scope, or the application, ends.

use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
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
        if !taken.is_empty() {
            self.lock().append(&mut taken);
        }
    }

    /// Disposes of everything, last first, in a task of `tracker`, so that it completes when nobody waits for it.
    ///
    /// `first` goes before it.
    pub(super) fn spawn(&self, tracker: &TaskTracker, first: impl Future<Output = ()> + Send + 'static) {
        // The lock is held until the task is tracked: whoever finds the list empty can wait for the tracker.
        let mut list = self.lock();
        if list.is_empty() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            tracing::warn!(services = list.len(), "services ended outside the runtime and are dropped undisposed");
            return;
        };
        let list = std::mem::take(&mut *list);
        tracker.spawn_on(
            async move {
                first.await;
                dispose_all(list).await;
            },
            &runtime,
        );
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(DisposeErased, Erased)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
