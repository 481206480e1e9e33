//! The behaviour that runs a command again when somebody else was faster.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::message::Kind;
use super::pipeline::{Behaviour, Call, Next};
use crate::data::UnitOfWork;
use crate::di::Inject;
use crate::error::{Result, VersionConflict};

/// How often a command that meets conflicts is run in all.
const ATTEMPTS_MAX: u32 = 10;

/// How long a command waits for its turn before it goes without.
const TURN_MAX: Duration = Duration::from_secs(1);

/// Runs a command again, from the start of its handler, when somebody else changed what it had read.
///
/// The first attempt waits for nobody. After a conflict, those that met one on the same document go one after
/// another, so that a crowd on one document is served at the speed of one command instead of undoing each
/// other's work. The attempts are bounded; after the last, the conflict is the caller's.
#[derive(Inject)]
pub struct RetryOnConflict {
    work: Option<Arc<UnitOfWork>>,
    turns: Arc<Turns>,
}

impl Behaviour for RetryOnConflict {
    fn concerns(call: &Call<'_>) -> bool {
        call.kind() == Kind::Command && call.scope().has::<UnitOfWork>()
    }

    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let Some(work) = &self.work else { return next.run(call).await };
        if work.is_entered() {
            return next.run(call).await;
        }
        call.keep_message();
        let mut turn = None;
        let mut met_duplicate = false;
        for attempt in 1..ATTEMPTS_MAX {
            let error = match next.run(call).await {
                Err(error) => error,
                answered => return answered,
            };
            if let Some(conflict) = error.as_version_conflict() {
                turn = self.turns.take(conflict, turn).await;
            } else if !error.is_duplicate() || std::mem::replace(&mut met_duplicate, true) {
                return Err(error);
            }
            tracing::debug!(message.name = call.name(), attempt, "met a conflict; runs again");
            call.forget_response();
        }
        next.run(call).await
    }
}

/// Whose turn it is, for each lane of documents. A command has one turn at most, so nobody waits in a circle.
#[derive(Debug, Default)]
pub(super) struct Turns([Mutex<()>; 32]);

struct Turn<'a> {
    lane: usize,
    _guard: MutexGuard<'a, ()>,
}

impl Turns {
    /// A turn for the document of this conflict; none when it does not come in time.
    async fn take<'a>(&'a self, conflict: &VersionConflict, own: Option<Turn<'a>>) -> Option<Turn<'a>> {
        let mut hasher = DefaultHasher::new();
        (&conflict.collection, &conflict.id).hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % self.0.len() as u64).unwrap_or(0);
        if own.as_ref().is_some_and(|own| own.lane == lane) {
            return own;
        }
        drop(own);
        // A command that waits for another which waits for this turn would wait for ever.
        let guard = timeout(TURN_MAX, self.0[lane].lock()).await.ok()?;
        Some(Turn { lane, _guard: guard })
    }
}
