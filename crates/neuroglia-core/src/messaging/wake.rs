//! Tells the loops of this process at once what they would otherwise find by looking now and then.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Wakes relay and workers after a commit; clones share the bells. Of a process' loops one waits for each bell.
///
/// Only a shortcut: whoever misses it finds the work at the next look. Other processes of the store are told by
/// [`Voice`](crate::cluster::Voice) and heard by [`Ear`](crate::cluster::Ear).
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Bells>);

#[derive(Debug, Default)]
struct Bells {
    outbox: Notify,
    work: Notify,
    /// There is work that other processes have not been told of.
    untold: Notify,
    /// How many hear for this process what others tell.
    ears: AtomicUsize,
}

impl Wake {
    /// There is something to send.
    pub fn outbox(&self) {
        self.0.outbox.notify_one();
    }

    /// There is something to do, for this process and for others.
    pub fn work(&self) {
        self.work_heard();
        self.work_to_tell();
    }

    /// There is something to do that others may not know of, as it could not be told.
    pub fn work_to_tell(&self) {
        self.0.untold.notify_one();
    }

    /// There is something to do, as others know already.
    pub fn work_heard(&self) {
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

    /// Waits until there is something to do that other processes have not been told of.
    pub fn work_untold(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.untold.notified()
    }

    /// Notes that this process hears what others tell, for as long as the guard is kept.
    #[must_use = "the process counts as deaf when this is dropped"]
    pub fn hearing(&self) -> Hearing {
        self.0.ears.fetch_add(1, Ordering::AcqRel);
        Hearing(Arc::clone(&self.0))
    }

    /// Whether this process hears what others tell, and when the time of waiting work comes: then it need not look so
    /// often.
    pub fn is_hearing(&self) -> bool {
        self.0.ears.load(Ordering::Acquire) > 0
    }
}

/// Kept as long as a process hears what others tell; made by [`Wake::hearing`].
#[derive(Debug)]
pub struct Hearing(Arc<Bells>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.ears.fetch_sub(1, Ordering::AcqRel);
    }
}
