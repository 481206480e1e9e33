//! Tells the loops of this process at once what they would otherwise find by looking now and then.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes relay and workers after a commit; clones share the bells.
///
/// Only a shortcut: whoever misses it finds the work at the next look.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Bells>);

#[derive(Debug, Default)]
struct Bells {
    outbox: Notify,
    work: Notify,
}

impl Wake {
    /// There is something to send.
    pub fn outbox(&self) {
        self.0.outbox.notify_one();
    }

    /// There is something to do.
    pub fn work(&self) {
        // More than one loop may look for work in a process that is everything.
        self.0.work.notify_waiters();
        self.0.work.notify_one();
    }

    /// Waits until there is something to send.
    pub fn outbox_rung(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.outbox.notified()
    }

    /// Waits until there is something to do.
    pub fn work_rung(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.work.notified()
    }
}
