//! What a handler of durable work is told about the attempt that it is.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::retry::is_final;
use super::{Claimed, Ticket, WorkClass};
use crate::data::Store;
use crate::di::{Dependencies, Inject, Scope};
use crate::error::{Error, Result};

/// The attempt that is running: a value of its scope, injected as a field.
///
/// Effects in the store happen once, because they are committed together with the end of the attempt. A call to the
/// outside is at least once; [`Run::idempotency_key`] lets the other side recognise a repetition.
#[derive(Clone, Default)]
pub struct Run(Option<Arc<Inner>>);

struct Inner {
    store: Arc<dyn Store>,
    claimed: Claimed,
    cancelled: CancellationToken,
}

impl Run {
    pub(crate) fn new(store: Arc<dyn Store>, claimed: Claimed, cancelled: CancellationToken) -> Self {
        Self(Some(Arc::new(Inner { store, claimed, cancelled })))
    }

    /// The id of the event, or of the job: the same in every attempt.
    ///
    /// # Errors
    /// Outside of durable work, like all others.
    pub fn id(&self) -> Result<String> {
        let claimed = &self.inner()?.claimed;
        // The key of a delivery is its event's id; that of a job is free for the next one when this has ended.
        let of_event = claimed.key.as_ref().filter(|_| claimed.class == WorkClass::Delivery);
        Ok(of_event.cloned().unwrap_or_else(|| claimed.ticket.id.to_string()))
    }

    /// What calls to the outside carry, so that a repeated one is recognised: the id and who handles it.
    ///
    /// # Errors
    /// Outside of durable work.
    pub fn idempotency_key(&self) -> Result<String> {
        Ok(format!("{}:{}", self.id()?, self.inner()?.claimed.kind))
    }

    /// Which attempt this is; 1 for the first.
    ///
    /// # Errors
    /// Outside of durable work.
    pub fn attempt(&self) -> Result<u32> {
        Ok(self.inner()?.claimed.attempt)
    }

    /// Whether nobody tries again when this attempt fails.
    ///
    /// # Errors
    /// Outside of durable work.
    pub fn is_last_attempt(&self) -> Result<bool> {
        let claimed = &self.inner()?.claimed;
        Ok(claimed.attempt >= claimed.attempts_max)
    }

    /// Whether nobody tries again when this attempt fails with this error.
    ///
    /// # Errors
    /// Outside of durable work.
    pub fn ends_with(&self, error: &Error) -> Result<bool> {
        let claimed = &self.inner()?.claimed;
        Ok(is_final(error, claimed.attempt, claimed.attempts_max))
    }

    /// Cancelled when the work was called off, when the process is about to end, when the node was taken for dead, and
    /// when the attempt is over, however it ended: what it spawned and left behind would go on beside the next one. Long
    /// work looks at it between its steps.
    ///
    /// A handler that blocks its thread instead of awaiting is not ended by any of these, nor by its time-out, and keeps
    /// its place and its subject until it returns. Such work goes to `tokio::task::spawn_blocking`, with this token.
    ///
    /// # Errors
    /// Outside of durable work.
    pub fn cancelled(&self) -> Result<&CancellationToken> {
        Ok(&self.inner()?.cancelled)
    }

    /// Notes how far it is, for operators, at once and not with the commit.
    ///
    /// # Errors
    /// A conflict with the code [`LOST`] when the attempt is no longer this node's.
    pub async fn note_progress(&self, progress: &(impl Serialize + Sync)) -> Result<()> {
        let inner = self.inner()?;
        let text = serde_json::to_string(progress).map_err(Error::internal)?;
        if inner.store.note_progress(inner.claimed.ticket, &text).await? {
            return Ok(());
        }
        Err(lost(inner.claimed.ticket))
    }

    fn inner(&self) -> Result<&Inner> {
        self.0.as_deref().ok_or_else(|| Error::internal("this is not a run of durable work"))
    }
}

/// The code of [`lost`].
pub const LOST: &str = "work.lost";

/// The error of an attempt that is no longer its node's: somebody else may be at it, so nothing was changed.
pub fn lost(ticket: Ticket) -> Error {
    let Ticket { id, .. } = ticket;
    Error::conflict(LOST, format!("the work {id} is no longer this node's; nothing was changed"))
}

impl Inject for Run {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<Self>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        scope.get::<Self>().map(|run| (*run).clone())
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("Run outside of durable work"),
            Some(inner) => write!(
                f,
                "Run of {} {}, attempt {}",
                inner.claimed.kind,
                Uuid::hyphenated(inner.claimed.ticket.id),
                inner.claimed.attempt
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::data::memory::MemoryStore;
    use crate::id::Ids;
    use crate::work::OnCrash;

    fn run(class: WorkClass, ids: &Ids) -> Run {
        let claimed = Claimed {
            ticket: Ticket { id: ids.next_uuid(), token: ids.next_uuid() },
            class,
            queue: "default".to_owned(),
            kind: "charge".to_owned(),
            key: Some("k".to_owned()),
            payload: "{}".to_owned(),
            attempt: 1,
            attempts_max: 10,
            on_crash: OnCrash::Retry,
            correlation_id: None,
            traceparent: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        Run::new(Arc::new(MemoryStore::new()), claimed, CancellationToken::new())
    }

    #[test]
    fn two_jobs_with_one_unique_key_are_two_and_two_deliveries_of_an_event_are_one() {
        let ids = Ids::random();
        let keys =
            |class| [(); 2].map(|()| run(class, &ids)).map(|run| run.idempotency_key().expect("it is a run"));
        let [first, second] = keys(WorkClass::Job);
        assert_ne!(first, second, "the other side would take the second for a repetition");
        assert_eq!(keys(WorkClass::Delivery), ["k:charge", "k:charge"]);
    }
}
