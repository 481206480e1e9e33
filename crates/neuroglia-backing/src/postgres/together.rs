//! Ends of work, carried out together.
//!
//! A worker ends many pieces of work at once, each with its effects in a batch of its own. While one statement is under
//! way the next batches gather, and leave as one: one round trip, one wait for the disk. Nobody waits for company: the
//! first leaves at once.
//!
//! Together is an attempt. One batch that is refused, or meets what somebody else has locked, takes back all of the
//! statement, and each is carried out by itself, as it would have been. So no batch sees the others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use neuroglia::error::{Error, Result};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument;

use super::commit::Prepared;
use super::connections::Connections;
use super::error::{is_of_connection, unknown_outcome};
use super::whole::{PATIENCE, Whole};

/// How many statements are under way at once: more would leave with fewer batches each.
const UNDER_WAY_MAX: usize = 2;

/// How many batches leave together at most.
const GROUP_MAX: usize = 32;

/// The ends of work that a process has to commit.
#[derive(Default)]
pub(super) struct Together(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    under_way: usize,
}

/// A batch, and who waits for its outcome.
struct Waiting {
    batch: Prepared,
    outcome: oneshot::Sender<Result<()>>,
}

impl Together {
    /// Carries a batch out, maybe with others.
    pub(super) async fn commit(
        self: &Arc<Self>,
        batch: Prepared,
        connections: &Arc<Connections>,
    ) -> Result<()> {
        let (outcome, ended) = oneshot::channel();
        let begins = {
            let mut queue = self.queue();
            queue.waiting.push_back(Waiting { batch, outcome });
            let begins = queue.under_way < UNDER_WAY_MAX;
            queue.under_way += usize::from(begins);
            begins
        };
        if begins {
            tokio::spawn(Arc::clone(self).carry_out(Arc::clone(connections)).in_current_span());
        }
        ended.await.unwrap_or_else(|stopped| Err(unknown_outcome(stopped)))
    }

    /// Carries out what waits, until nothing does.
    async fn carry_out(self: Arc<Self>, connections: Arc<Connections>) {
        while let Some(group) = self.next_group() {
            // In a task of its own: whatever becomes of it, those that wait behind have their turn.
            let carried_out = tokio::spawn(carry_out(group, Arc::clone(&connections)).in_current_span());
            if let Err(stopped) = carried_out.await {
                tracing::error!(error = %stopped, "ends of work were not carried out");
            }
        }
    }

    /// What waits; when nothing does, one less is under way, and who comes next begins.
    fn next_group(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        if queue.waiting.is_empty() {
            queue.under_way -= 1;
            return None;
        }
        let many = queue.waiting.len().min(GROUP_MAX);
        Some(queue.waiting.drain(..many).collect())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry_out(group: Vec<Waiting>, connections: Arc<Connections>) {
    let (batches, waiting): (Vec<_>, Vec<_>) =
        group.into_iter().map(|Waiting { batch, outcome }| (batch, outcome)).unzip();
    let done = match batches.len() {
        1 => Done::Nothing,
        _ => try_together(&batches, &connections).await,
    };
    let mut alone = JoinSet::new();
    for (batch, outcome) in batches.into_iter().zip(waiting) {
        match &done {
            // Who does not wait any more has gone away; the batch is what it is.
            Done::Kept => drop(outcome.send(Ok(()))),
            Done::Unknown => {
                drop(outcome.send(Err(unknown_outcome("the connection was lost on the way"))));
            }
            Done::NoConnection(cause) => drop(outcome.send(Err(Error::unavailable(Arc::clone(cause))))),
            Done::Nothing => {
                let connections = Arc::clone(&connections);
                let commit = async move {
                    let kept = match connections.lease().await {
                        Ok(lease) => batch.commit(lease).await,
                        Err(error) => Err(error),
                    };
                    drop(outcome.send(kept));
                };
                alone.spawn(commit.in_current_span());
            }
        }
    }
    // While they are under way the next gather, but nobody waits long for what one of them waits for.
    let all = async { while alone.join_next().await.is_some() {} };
    drop(timeout(PATIENCE, all).await);
    alone.detach_all();
}

/// What is known of a group.
enum Done {
    Kept,
    Unknown,
    /// Each for itself would wait as long again, and as much in vain.
    NoConnection(Arc<Error>),
    /// Nothing was kept, for whatever reason, and each is carried out by itself.
    Nothing,
}

async fn try_together(batches: &[Prepared], connections: &Arc<Connections>) -> Done {
    let Some(whole) = Whole::of(batches) else { return Done::Nothing };
    let mut lease = match connections.lease().await {
        Ok(lease) => lease,
        Err(error) => return Done::NoConnection(Arc::new(error)),
    };
    match lease.carry_out(&whole).await {
        Ok(()) => Done::Kept,
        Err(cause) if is_of_connection(&cause) => Done::Unknown,
        Err(_) => Done::Nothing,
    }
}
