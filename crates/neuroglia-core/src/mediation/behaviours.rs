//! The standard behaviours.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::event::EventHandlers;
use super::message::Kind;
use super::pipeline::{Behaviour, Call, Next};
use crate::clock::Clock;
use crate::data::{Completion, Reservation, Reserve, Store, UnitOfWork};
use crate::di::Inject;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Ids;
use crate::identity::{Correlation, Identity};

/// Puts a span around the message, at level debug.
#[derive(Inject)]
pub struct Trace {}

impl Behaviour for Trace {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let span = tracing::debug_span!("message", message.name = call.name(), message.kind = %call.kind());
        if span.is_disabled() {
            return next.run(call).await;
        }
        next.run(call).instrument(span).await
    }
}

/// Refuses a message whose content cannot be accepted.
#[derive(Inject)]
pub struct Validate {}

impl Behaviour for Validate {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        call.check()?;
        next.run(call).await
    }
}

/// Refuses a message that the caller may not send.
#[derive(Inject)]
pub struct Authorise {
    caller: Identity,
}

impl Behaviour for Authorise {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        call.permit(&self.caller)?;
        next.run(call).await
    }
}

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
#[derive(Inject)]
pub struct Idempotency {
    correlation: Arc<Correlation>,
    store: Option<Arc<dyn Store>>,
    work: Option<Arc<UnitOfWork>>,
    clock: Clock,
    ids: Ids,
}

impl Behaviour for Idempotency {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let (Some(key), Some(store), Some(work)) = (&self.correlation.idempotency, &self.store, &self.work) else {
            return next.run(call).await;
        };
        if call.kind() == Kind::Query || work.is_entered() {
            return next.run(call).await;
        }
        let token = self.ids.token();
        let now = self.clock.now();
        let reserve = Reserve {
            key: format!("{} {}", key.key, call.name()),
            fingerprint: key.fingerprint.clone(),
            token: token.clone(),
            now,
            running_until: now + RUNNING,
        };
        let reservation = store.reserve(&reserve).await?;
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
                let held = Held { store, key: reserve.key, token, released: false };
                held.run(call, next, work, now + KEEP).await
            }
        }
    }
}

/// A taken key, given back unless its answer was committed, also when the request is cancelled.
struct Held<'a> {
    store: &'a Arc<dyn Store>,
    key: String,
    token: String,
    released: bool,
}

impl Held<'_> {
    async fn run(
        mut self,
        call: &mut Call<'_>,
        next: Next<'_>,
        work: &UnitOfWork,
        keep_until: crate::clock::Timestamp,
    ) -> Result<()> {
        work.expect_completion(Completion {
            key: self.key.clone(),
            token: self.token.clone(),
            response: String::new(),
            keep_until,
        });
        let outcome = next.run(call).await;
        self.released = true;
        if let Err(error) = &outcome {
            work.forget_completion();
            if let Err(cause) = self.store.release(&self.key, &self.token).await {
                tracing::warn!(error = %cause, after = error.code(), "an idempotency key could not be given back");
            }
        }
        outcome
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (store, key, token) = (Arc::clone(self.store), self.key.clone(), self.token.clone());
            // A commit that is under way completes the key first; then there is nothing to release.
            runtime.spawn(async move {
                if let Err(cause) = store.release(&key, &token).await {
                    tracing::warn!(error = %cause, "the idempotency key of a cancelled request could not be given back");
                }
            });
        }
    }
}

/// How often a command that met a conflict is run in all.
const ATTEMPTS_MAX: u32 = 5;

/// Runs a command again, from the start of its handler, when somebody else changed what it had read.
///
/// It does so a bounded number of times without waiting: one of several competitors always succeeds, so a
/// retry makes progress. After the last, the conflict is the caller's.
#[derive(Inject)]
pub struct RetryOnConflict {
    work: Option<Arc<UnitOfWork>>,
}

impl Behaviour for RetryOnConflict {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let Some(work) = &self.work else { return next.run(call).await };
        if call.kind() == Kind::Query || work.is_entered() {
            return next.run(call).await;
        }
        call.keep_message();
        for attempt in 1..ATTEMPTS_MAX {
            match next.run(call).await {
                Err(error) if error.as_version_conflict().is_some() => {
                    tracing::debug!(message.name = call.name(), attempt, "met a conflict; runs again");
                }
                outcome => return outcome,
            }
        }
        next.run(call).await
    }
}

/// Has the handler's changes, the events' handlers and the kept answer committed as one batch.
#[derive(Inject)]
pub struct Commit {
    work: Option<Arc<UnitOfWork>>,
    handlers: Arc<EventHandlers>,
}

/// How often events may raise further events in one unit of work; more is a circle.
const EVENT_ROUNDS_MAX: u32 = 32;

impl Behaviour for Commit {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        let Some(work) = &self.work else { return next.run(call).await };
        if call.kind() == Kind::Query {
            next.run(call).await?;
            return if work.has_changes() && !work.is_entered() {
                work.reset();
                Err(Error::internal(format!("the query `{}` tried to change something", call.name())))
            } else {
                Ok(())
            };
        }
        let entered = Entered::new(work);
        let outcome = self.run(call, next, work).await;
        let last = entered.leave();
        match outcome {
            Ok(()) if last => {
                if work.expects_completion() {
                    work.answer_completion(call.response_text()?);
                }
                work.commit().await
            }
            Ok(()) => Ok(()),
            Err(error) => {
                if last {
                    work.reset();
                }
                Err(error)
            }
        }
    }
}

impl Commit {
    async fn run(&self, call: &mut Call<'_>, next: Next<'_>, work: &UnitOfWork) -> Result<()> {
        next.run(call).await?;
        for _ in 0..EVENT_ROUNDS_MAX {
            let raised = work.take_raised()?;
            if raised.is_empty() {
                return Ok(());
            }
            self.handlers.handle_all(call.scope(), raised.iter().map(|raised| &raised.event)).await?;
        }
        Err(Error::new(
            ErrorKind::Internal,
            "events.circle",
            "an internal error occurred",
        )
        .with_source(format!("the events of `{}` raise each other without end", call.name())))
    }
}

/// A command that runs in the unit of work; a cancelled one leaves it too, and takes its changes along.
struct Entered<'a> {
    work: &'a UnitOfWork,
    left: bool,
}

impl<'a> Entered<'a> {
    fn new(work: &'a UnitOfWork) -> Self {
        work.enter();
        Self { work, left: false }
    }

    fn leave(mut self) -> bool {
        self.left = true;
        self.work.leave()
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.left && self.work.leave() {
            self.work.reset();
        }
    }
}
