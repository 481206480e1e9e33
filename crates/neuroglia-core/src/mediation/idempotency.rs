//! The behaviour that gives a repeated command its first answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::message::Kind;
use super::pipeline::{Behaviour, Call, Next};
use crate::data::{Completion, Reservation, Reserve, Store, UnitOfWork};
use crate::di::Inject;
use crate::error::{Error, Result};
use crate::id::Ids;
use crate::identity::Correlation;

/// How long an answer is kept for its idempotency key.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// After this time a request that took a key and was never heard of again loses it; longer than any request
/// may take.
const RUNNING: Duration = Duration::from_secs(5 * 60);

/// Gives a repeated command its first answer.
///
/// The key is taken before the handler runs, and the answer is committed with the change that it reports: there
/// is no moment at which one is there without the other. Errors are not kept, because a refused command has
/// changed nothing: asking again is safe, and what was transient may have passed.
///
/// A request may send several commands: each has its own answer, by its name and its place in the order.
#[derive(Inject)]
pub struct Idempotency {
    correlation: Arc<Correlation>,
    store: Option<Arc<dyn Store>>,
    work: Option<Arc<UnitOfWork>>,
    ids: Ids,
}

impl Behaviour for Idempotency {
    fn concerns(call: &Call<'_>) -> bool {
        // Whether there is a key that cannot be found out is told when it is built.
        let has_key = |correlation: Arc<Correlation>| correlation.idempotency.is_some();
        call.kind() == Kind::Command && call.scope().get().map_or(true, has_key)
    }

    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let (Some(key), Some(store), Some(work)) = (&self.correlation.idempotency, &self.store, &self.work)
        else {
            return next.run(call).await;
        };
        if work.is_entered() {
            return next.run(call).await;
        }
        let reserve = Reserve {
            key: format!("{} {} {}", key.key, call.name(), work.count_keyed()),
            fingerprint: key.fingerprint.clone(),
            token: self.ids.token(),
            hold: RUNNING,
        };
        let mut claim = Claim::new(store, &reserve, call.scope().tracker());
        let reservation = store.reserve(&reserve).await?;
        if reservation != Reservation::Taken {
            claim.is_settled = true;
        }
        match reservation {
            Reservation::Running { fingerprint } | Reservation::Done { fingerprint, .. }
                if fingerprint != key.fingerprint =>
            {
                Err(Error::invalid(
                    "idempotency.reused",
                    "the idempotency key was used for another request; take a new key",
                ))
            }
            Reservation::Running { .. } => Err(Error::conflict(
                "idempotency.running",
                "the first request with this idempotency key is still running; ask again later",
            )
            .with_retry_after(1)),
            Reservation::Done { response, .. } => {
                call.respond_text(&response)?;
                key.replayed.set();
                Ok(())
            }
            Reservation::Taken => {
                call.keep_answer(Completion {
                    key: reserve.key,
                    token: reserve.token,
                    response: String::new(),
                    keep: KEEP,
                });
                let outcome = next.run(call).await;
                // When nothing inside has committed the answer, there is none for others to get.
                if call.take_unkept_answer() {
                    claim.release().await;
                } else {
                    claim.is_settled = true;
                }
                outcome
            }
        }
    }
}

/// A key that is taken, or is about to be. It is given back unless its answer was committed, also when the
/// request is cancelled.
struct Claim {
    store: Arc<dyn Store>,
    key: String,
    token: String,
    tracker: TaskTracker,
    is_settled: bool,
}

impl Claim {
    fn new(store: &Arc<dyn Store>, reserve: &Reserve, tracker: &TaskTracker) -> Self {
        Self {
            store: Arc::clone(store),
            key: reserve.key.clone(),
            token: reserve.token.clone(),
            tracker: tracker.clone(),
            is_settled: false,
        }
    }

    async fn release(mut self) {
        give_back(&*self.store, &self.key, &self.token).await;
        self.is_settled = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (store, key, token) =
                (Arc::clone(&self.store), std::mem::take(&mut self.key), std::mem::take(&mut self.token));
            // A commit that is under way completes the key first, or it loses its right to and changes nothing.
            self.tracker.spawn_on(async move { give_back(&*store, &key, &token).await }, &runtime);
        }
    }
}

async fn give_back(store: &dyn Store, key: &str, token: &str) {
    if let Err(cause) = store.release(key, token).await {
        tracing::warn!(error = %cause, "an idempotency key could not be given back; it expires by itself");
    }
}
