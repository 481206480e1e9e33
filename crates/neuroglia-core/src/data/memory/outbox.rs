//! The outbox in memory.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use crate::clock::Timestamp;
use crate::data::OutboxMessage;
use crate::error::Result;
use crate::messaging::{OutboxDepth, OutboxStore};

/// The messages on their way out, in the order of commits.
#[derive(Default)]
pub(super) struct Outbox(Vec<Waiting>);

struct Waiting {
    message: OutboxMessage,
    claimed_by: Option<Uuid>,
    /// Nobody takes it before.
    free_at: Timestamp,
}

impl Outbox {
    pub(super) fn extend(&mut self, messages: Vec<OutboxMessage>) {
        self.0.extend(messages.into_iter().map(|message| Waiting {
            message,
            claimed_by: None,
            free_at: Timestamp::UNIX_EPOCH,
        }));
    }

    fn held_by(&mut self, token: Uuid) -> impl Iterator<Item = &mut Waiting> {
        self.0.iter_mut().filter(move |waiting| waiting.claimed_by == Some(token))
    }
}

#[async_trait]
impl OutboxStore for MemoryStore {
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.with(|state| {
            Ok(state.outbox.0.iter().take(limit as usize).map(|waiting| waiting.message.clone()).collect())
        })
    }

    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>> {
        self.with(|state| {
            let now = state.clock.now();
            let (mut subjects, mut claimed) = (HashSet::new(), Vec::new());
            for waiting in &mut state.outbox.0 {
                if claimed.len() == limit as usize {
                    break;
                }
                // Only the first of a subject can go, whoever has it.
                if subjects.insert(waiting.message.subject.clone()) && waiting.free_at <= now {
                    waiting.claimed_by = Some(token);
                    waiting.free_at = now + lease;
                    claimed.push(waiting.message.clone());
                }
            }
            Ok(claimed)
        })
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        self.with(|state| {
            state
                .outbox
                .0
                .retain(|waiting| waiting.claimed_by != Some(token) || !ids.contains(&waiting.message.id));
            Ok(())
        })
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        self.with(|state| {
            let free_at = state.clock.now() + pause;
            for waiting in state.outbox.held_by(token).filter(|waiting| ids.contains(&waiting.message.id)) {
                (waiting.claimed_by, waiting.free_at) = (None, free_at);
            }
            Ok(())
        })
    }

    async fn outbox_depth(&self) -> Result<OutboxDepth> {
        self.with(|state| {
            let now = state.clock.now();
            let oldest = state.outbox.0.iter().map(|waiting| now.since(waiting.message.at)).max();
            Ok(OutboxDepth { count: state.outbox.0.len() as u64, oldest: oldest.unwrap_or_default() })
        })
    }
}
