//! What processes tell each other: that there is work.
//!
//! A process that has asked for work, or fanned events out, wakes its own workers by [`Wake`]. Those of other
//! processes are told through the store, where the engine can do that: after the commit and never in it, and not more
//! often than their answer could matter. It is a shortcut and no more; what is not heard is found by looking.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::data::Store;
use crate::di::Inject;
use crate::error::{Result, chain};
use crate::hosting::HostedService;
use crate::id::Ids;
use crate::messaging::Wake;

/// Two announcements of a process are at least this far apart: whoever was woken by the first looks again by himself
/// as long as he finds something.
const APART: Duration = Duration::from_millis(20);

/// The pause before the store is asked again to pass on what it did not: as often as who hears nothing looks.
const RETELL: Duration = Duration::from_secs(1);

/// How long the store may take to pass it on.
const TELL_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before a connection that was lost is tried again, and the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Tells the other processes of the store that there is work, for as long as the process runs.
#[derive(Inject)]
pub struct Voice {
    store: Arc<dyn Store>,
    wake: Arc<Wake>,
}

impl HostedService for Voice {
    const NAME: &'static str = "voice";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.work_untold() => {
                    let pause = if self.tell().await { APART } else { RETELL };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(pause) => {}
                    }
                }
            }
        }
        self.tell_the_rest().await;
        Ok(())
    }
}

impl Voice {
    /// Tells what was not told yet, if anything; for a process that ends.
    pub async fn tell_the_rest(&self) {
        if self.wake.work_untold().now_or_never().is_some() {
            self.tell().await;
        }
    }

    /// Tells it; whether that succeeded. What did not is still to be told.
    async fn tell(&self) -> bool {
        match timeout(TELL_TIMEOUT, self.store.announce()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                tracing::debug!(error = chain(&error), "others were not told of work; it is tried again");
            }
            Err(_) => tracing::debug!("others were not told of work in time; it is tried again"),
        }
        self.wake.work_to_tell();
        false
    }
}

/// Hears from other processes that there is work, for as long as the process runs.
#[derive(Inject)]
pub struct Ear {
    store: Arc<dyn Store>,
    wake: Arc<Wake>,
    ids: Ids,
}

impl HostedService for Ear {
    const NAME: &'static str = "ear";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let mut pause = PAUSE_MIN;
        loop {
            let began = Instant::now();
            let lost: Result<Infallible> = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                lost = self.store.listen(&self.wake) => lost,
            };
            let Err(error) = lost;
            if began.elapsed() > PAUSE_MAX {
                pause = PAUSE_MIN;
            }
            tracing::debug!(
                error = chain(&error),
                "other processes are not heard; this one looks for work more often"
            );
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(self.ids.jitter(pause)) => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
