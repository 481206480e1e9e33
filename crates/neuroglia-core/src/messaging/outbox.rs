//! The part of the store port that keeps events on their way out.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::data::OutboxMessage;
use crate::error::Result;

/// How much is on its way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// How many messages wait to be sent, or for a confirmation; counted up to
    /// [`DEPTH_MAX`](crate::work::DEPTH_MAX).
    pub count: u64,
    /// How long the oldest has waited.
    pub oldest: Duration,
}

/// The outbox: filled by commits, emptied by relays.
///
/// Messages of one subject leave in the order in which they were committed: of each subject only the first can be
/// claimed. So a message that cannot be sent holds up its own subject and no other, and any number of relays can
/// share the work.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// The oldest messages, in the order in which their batches were committed.
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>>;

    /// Takes messages to send them, the oldest first. Unless they are confirmed or returned within the lease,
    /// somebody else may take them.
    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>>;

    /// Deletes messages that have arrived.
    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()>;

    /// Gives messages back that did not arrive; nobody takes them before the pause is over.
    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()>;

    /// How much is on its way.
    async fn outbox_depth(&self) -> Result<OutboxDepth>;
}
