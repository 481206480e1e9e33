//! The part of the store port that keeps durable work.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Claim, Claimed, Depth, Revision, Settlement, Ticket, WorkFilter, WorkRecord};
use crate::error::Result;
use crate::messaging::{Parcel, Subscription};

/// Durable work: stored with the change that asks for it, claimed by one node at a time, finished with its effects.
///
/// New jobs come in and successes leave by [`Batch`](crate::data::Batch). Time is the store's own, the one clock
/// that all nodes share.
#[async_trait]
pub trait WorkStore: Send + Sync {
    /// Notes that these consumers want these events, from now on and until somebody says otherwise.
    async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<()>;

    /// Every subscription.
    async fn subscriptions(&self) -> Result<Vec<Subscription>>;

    /// Takes back the subscriptions of one consumer; gives whether there were any.
    async fn unsubscribe(&self, consumer: &str) -> Result<bool>;

    /// Stores a delivery of each message for each consumer that wants it, or for the one that it names if that wants it,
    /// once: an event that a consumer was given before is passed over. When it fails some may be stored, and the same again
    /// stores the rest.
    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64>;

    /// Takes work that is due, the highest priority first, then the oldest. Of a lane, only the first that is
    /// not finished can be taken. A node that the store does not know gets nothing: nobody would notice its death.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>>;

    /// Ends attempts that did not succeed; gives for each whether its ticket still held. All or none.
    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>>;

    /// Notes how far a piece of work is, as JSON text; gives whether the ticket still holds.
    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool>;

    /// The pieces of work that match, in the order in which they were stored.
    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>>;

    /// Does what an operator asks; gives whether the piece of work was there, in a state in which it can be done.
    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool>;

    /// Deletes finished work whose time is over, at most so many pieces; gives their number.
    async fn purge_work(&self, limit: u32) -> Result<u64>;

    /// How much work there is that has not ended, or has failed for good. Of each queue and kind what could be claimed is
    /// counted up to [`DEPTH_MAX`], and what waits behind another of its lane as far again; anything else in each state.
    /// They need not be counted at one moment: a piece that moves meanwhile may be counted twice, or not at all.
    ///
    /// [`DEPTH_MAX`]: super::DEPTH_MAX
    async fn depths(&self) -> Result<Vec<Depth>>;
}
