//! Durable work in memory, as durable as the process.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::messaging::{Parcel, Subscription};
use crate::work::{
    Claim, Claimed, DEAD_KEEP, DEPTH_MAX, Depth, FAILURES_MAX, Failure, Finish, Inquest, NewWork, OnCrash,
    Revision, Settlement, Ticket, WorkClass, WorkFilter, WorkRecord, WorkState, WorkStore, lost,
};

/// All pieces of work, in the order in which they were stored.
#[derive(Default)]
pub(super) struct WorkShelf {
    items: BTreeMap<i64, Item>,
    by_id: HashMap<Uuid, i64>,
    /// What must not be there twice.
    keys: HashSet<(String, String)>,
    subscriptions: BTreeSet<Subscription>,
    last_seq: i64,
}

struct Item {
    record: WorkRecord,
    lane: Option<String>,
    priority: i16,
    on_crash: OnCrash,
    traceparent: Option<String>,
    token: Option<Uuid>,
    is_called_off: bool,
    /// When it is deleted, once it has ended.
    keep_until: Timestamp,
}

impl Item {
    /// Ends the attempt; from now on nobody's ticket holds. What was called off is not tried again.
    fn end(&mut self, state: WorkState, keep_until: Timestamp) {
        let is_over = self.is_called_off && state.is_live();
        self.record.state = if is_over { WorkState::Cancelled } else { state };
        self.record.owner = None;
        self.token = None;
        self.is_called_off = false;
        self.keep_until = keep_until;
    }

    fn fail(&mut self, error: String, at: Timestamp) {
        let failures = &mut self.record.failures;
        failures.push(Failure { attempt: self.record.attempt, at, error });
        let surplus = failures.len().saturating_sub(FAILURES_MAX);
        failures.drain(..surplus);
    }

    fn claimed(&self, token: Uuid) -> Claimed {
        let record = &self.record;
        Claimed {
            ticket: Ticket { id: record.id, token },
            class: record.class,
            queue: record.queue.clone(),
            kind: record.kind.clone(),
            key: record.key.clone(),
            payload: record.payload.clone(),
            attempt: record.attempt,
            attempts_max: record.attempts_max,
            on_crash: self.on_crash,
            correlation_id: record.correlation_id.clone(),
            traceparent: self.traceparent.clone(),
            created_at: record.created_at,
        }
    }
}

impl WorkShelf {
    /// Stores a piece of work, unless it is there or its key is taken; gives whether it did.
    pub(super) fn add(&mut self, work: NewWork, now: Timestamp) -> bool {
        if self.by_id.contains_key(&work.id) {
            return false;
        }
        if let Some(key) = &work.key
            && !self.keys.insert((work.kind.clone(), key.clone()))
        {
            return false;
        }
        self.last_seq += 1;
        let run_at = work.due.moment(now);
        let record = WorkRecord {
            id: work.id,
            seq: self.last_seq,
            class: work.class,
            state: if run_at > now { WorkState::Scheduled } else { WorkState::Waiting },
            queue: work.queue,
            kind: work.kind,
            key: work.key,
            payload: work.payload,
            attempt: 0,
            attempts_max: work.attempts_max,
            crashes: 0,
            progress: None,
            result: None,
            failures: Vec::new(),
            correlation_id: work.correlation_id,
            created_at: now,
            run_at,
            owner: None,
        };
        let item = Item {
            record,
            lane: work.lane,
            priority: work.priority,
            on_crash: work.on_crash,
            traceparent: work.traceparent,
            token: None,
            is_called_off: false,
            keep_until: Timestamp::UNIX_EPOCH,
        };
        self.by_id.insert(work.id, self.last_seq);
        self.items.insert(self.last_seq, item);
        true
    }

    /// Whether the ticket still holds.
    pub(super) fn check(&mut self, ticket: Ticket) -> Result<()> {
        self.held(ticket).map(drop).ok_or_else(|| lost(ticket))
    }

    /// Ends a piece of work whose ticket was checked.
    pub(super) fn finish(&mut self, finish: Finish, now: Timestamp) {
        let Some(item) = self.held(finish.ticket) else { return };
        item.record.result = finish.result;
        item.end(WorkState::Done, now + finish.keep);
        let seq = item.record.seq;
        self.free_key(seq);
    }

    /// A job that has ended does not keep another out.
    fn free_key(&mut self, seq: i64) {
        if let Some(item) = self.items.get(&seq)
            && !item.record.state.is_live()
            && item.record.class == WorkClass::Job
            && let Some(key) = &item.record.key
        {
            self.keys.remove(&(item.record.kind.clone(), key.clone()));
        }
    }

    fn held(&mut self, ticket: Ticket) -> Option<&mut Item> {
        let item = self.items.get_mut(self.by_id.get(&ticket.id)?)?;
        (item.record.state == WorkState::Running && item.token == Some(ticket.token)).then_some(item)
    }

    fn settle(&mut self, ticket: Ticket, settlement: &Settlement, now: Timestamp) -> bool {
        let Some(item) = self.held(ticket) else { return false };
        if let Some(failure) = settlement.failure() {
            item.fail(failure, now);
        }
        item.end(settlement.state(), now + DEAD_KEEP);
        match settlement {
            Settlement::Retry { after, .. } => item.record.run_at = now + *after,
            Settlement::Release => item.record.attempt -= 1,
            _ => {}
        }
        let seq = item.record.seq;
        self.free_key(seq);
        true
    }

    fn claim(&mut self, claim: &Claim, now: Timestamp) -> Vec<Claimed> {
        for item in self.items.values_mut() {
            if item.record.state == WorkState::Scheduled && item.record.run_at <= now {
                item.record.state = WorkState::Waiting;
            }
        }
        let mut claimed = Vec::new();
        for room in &claim.rooms {
            let mut lanes = HashSet::new();
            let mut found: Vec<(i16, i64)> = Vec::new();
            for (seq, item) in &self.items {
                let record = &item.record;
                let is_head = match &item.lane {
                    Some(lane) if record.state.is_live() => lanes.insert((&record.kind, lane)),
                    _ => true,
                };
                if is_head
                    && record.state == WorkState::Waiting
                    && record.queue == room.queue
                    && claim.kinds.contains(&record.kind)
                {
                    found.push((item.priority, *seq));
                }
            }
            found.sort_by_key(|(priority, seq)| (std::cmp::Reverse(*priority), *seq));
            found.truncate(room.limit as usize);
            for (_, seq) in found {
                let Some(item) = self.items.get_mut(&seq) else { continue };
                item.record.state = WorkState::Running;
                item.record.attempt += 1;
                item.record.owner = Some(claim.owner);
                item.token = Some(claim.token);
                claimed.push(item.claimed(claim.token));
            }
        }
        claimed
    }

    /// Gives back what a dead node had, at most so many pieces; gives how many there were.
    pub(super) fn release_of_dead(
        &mut self,
        owner: Uuid,
        inquest: &mut Inquest,
        limit: usize,
        now: Timestamp,
    ) -> usize {
        let held: Vec<_> = self.owned_by(owner).take(limit).collect();
        for seq in &held {
            let Some(item) = self.items.get_mut(seq) else { continue };
            let record = &mut item.record;
            record.crashes += 1;
            let verdict = inquest.verdict(item.on_crash, record.crashes, record.attempt, record.attempts_max);
            record.run_at = now + verdict.pause;
            if let Some(reason) = verdict.reason {
                item.fail(reason.to_owned(), now);
            }
            item.end(verdict.state, now + DEAD_KEEP);
            self.free_key(*seq);
        }
        held.len()
    }

    /// Whether a node has anything in its hands.
    pub(super) fn is_owner(&self, node: Uuid) -> bool {
        self.owned_by(node).next().is_some()
    }

    /// Gives back what a node had that ends in order.
    pub(super) fn release_of_leaver(&mut self, owner: Uuid, now: Timestamp) {
        let held: Vec<_> = self.owned_by(owner).collect();
        for seq in held {
            if let Some(item) = self.items.get_mut(&seq) {
                item.record.attempt -= 1;
                item.end(WorkState::Waiting, now + DEAD_KEEP);
            }
            self.free_key(seq);
        }
    }

    /// What a node has in its hands.
    pub(super) fn held_by(&self, owner: Uuid) -> Vec<Ticket> {
        let items = self.items.values().filter(|item| item.record.owner == Some(owner));
        items.filter_map(|item| Some(Ticket { id: item.record.id, token: item.token? })).collect()
    }

    /// What a node has in its hands that somebody called off.
    pub(super) fn called_off(&self, owner: Uuid) -> Vec<Uuid> {
        let items = self.items.values().filter(|item| item.is_called_off && item.record.owner == Some(owner));
        items.map(|item| item.record.id).collect()
    }

    fn owned_by(&self, owner: Uuid) -> impl Iterator<Item = i64> + '_ {
        let items = self.items.iter().filter(move |(_, item)| item.record.owner == Some(owner));
        items.map(|(seq, _)| *seq)
    }

    fn revise(&mut self, id: Uuid, revision: &Revision, now: Timestamp) -> Result<bool> {
        let Some(seq) = self.by_id.get(&id).copied() else { return Ok(false) };
        let Some(item) = self.items.get_mut(&seq) else { return Ok(false) };
        if !revision.from_states().contains(&item.record.state) {
            return Ok(false);
        }
        match revision {
            Revision::Replay => {
                if item.record.class == WorkClass::Job
                    && let Some(key) = &item.record.key
                    && !self.keys.insert((item.record.kind.clone(), key.clone()))
                {
                    return Err(Error::duplicate("work", "key"));
                }
                (item.record.attempt, item.record.crashes, item.record.run_at) = (0, 0, now);
                item.end(WorkState::Waiting, Timestamp::UNIX_EPOCH);
                self.move_to_the_end(seq);
            }
            Revision::Edit { payload } => item.record.payload.clone_from(payload),
            Revision::Delete => self.remove(seq),
            Revision::Cancel if item.record.state == WorkState::Running => item.is_called_off = true,
            Revision::Cancel => {
                item.end(WorkState::Cancelled, now + DEAD_KEEP);
                self.free_key(seq);
            }
        }
        Ok(true)
    }

    fn move_to_the_end(&mut self, seq: i64) {
        let Some(mut item) = self.items.remove(&seq) else { return };
        self.last_seq += 1;
        item.record.seq = self.last_seq;
        self.by_id.insert(item.record.id, self.last_seq);
        self.items.insert(self.last_seq, item);
    }

    fn remove(&mut self, seq: i64) {
        let Some(item) = self.items.remove(&seq) else { return };
        self.by_id.remove(&item.record.id);
        // The key of a job that has ended may be another's by now.
        if item.record.class == WorkClass::Delivery
            && let Some(key) = item.record.key
        {
            self.keys.remove(&(item.record.kind, key));
        }
    }

    fn purge(&mut self, limit: usize, now: Timestamp) -> usize {
        let over = |item: &Item| !item.record.state.is_live() && item.keep_until <= now;
        let seqs: Vec<_> =
            self.items.iter().filter(|(_, item)| over(item)).map(|(seq, _)| *seq).take(limit).collect();
        for seq in &seqs {
            self.remove(*seq);
        }
        seqs.len()
    }

    fn depths(&self, now: Timestamp) -> Vec<Depth> {
        let mut depths: BTreeMap<(&str, &str, &str), Depth> = BTreeMap::new();
        for item in self.items.values() {
            let record = &item.record;
            if matches!(record.state, WorkState::Done | WorkState::Cancelled) {
                continue;
            }
            let is_held = record.state == WorkState::Scheduled && record.attempt > 0 && item.lane.is_some();
            let state = match record.state {
                WorkState::Scheduled if record.run_at <= now => WorkState::Waiting,
                state => state,
            };
            let depth = depths.entry((&record.queue, &record.kind, state.name())).or_insert_with(|| Depth {
                queue: record.queue.clone(),
                kind: record.kind.clone(),
                state,
                count: 0,
                oldest: Duration::ZERO,
                lanes_held: 0,
            });
            depth.count = (depth.count + 1).min(DEPTH_MAX.into());
            depth.lanes_held += u64::from(is_held);
            depth.oldest = depth.oldest.max(now.since(record.run_at));
        }
        depths.into_values().collect()
    }
}

impl WorkFilter {
    fn matches(&self, record: &WorkRecord) -> bool {
        self.id.is_none_or(|id| record.id == id)
            && self.class.is_none_or(|class| record.class == class)
            && (self.states.is_empty() || self.states.contains(&record.state))
            && self.queue.as_ref().is_none_or(|queue| record.queue == *queue)
            && self.kind.as_ref().is_none_or(|kind| record.kind == *kind)
            && record.seq > self.after
    }
}

#[async_trait]
impl WorkStore for MemoryStore {
    async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<()> {
        self.with(|state| {
            let known = &mut state.work.subscriptions;
            for subscription in subscriptions {
                known.retain(|other| {
                    (&other.consumer, &other.event) != (&subscription.consumer, &subscription.event)
                });
                known.insert(subscription.clone());
            }
            Ok(())
        })
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>> {
        self.with(|state| Ok(state.work.subscriptions.iter().cloned().collect()))
    }

    async fn unsubscribe(&self, consumer: &str) -> Result<bool> {
        self.with(|state| {
            let before = state.work.subscriptions.len();
            state.work.subscriptions.retain(|subscription| subscription.consumer != consumer);
            Ok(state.work.subscriptions.len() < before)
        })
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        self.with(|state| {
            let now = state.clock.now();
            let mut stored = 0;
            for parcel in parcels {
                let wanted: Vec<_> = state
                    .work
                    .subscriptions
                    .iter()
                    .filter(|subscription| subscription.event == parcel.name)
                    .filter(|subscription| {
                        parcel.consumer.as_ref().is_none_or(|consumer| *consumer == subscription.consumer)
                    })
                    .cloned()
                    .collect();
                for subscription in &wanted {
                    let id = state.work.delivery_id();
                    stored += u64::from(state.work.add(parcel.delivery(id, subscription), now));
                }
            }
            Ok(stored)
        })
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.with(|state| {
            let now = state.clock.now();
            let is_known = state.cluster.knows(claim.owner);
            Ok(if is_known { state.work.claim(claim, now) } else { Vec::new() })
        })
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        self.with(|state| {
            let now = state.clock.now();
            let settle =
                |(ticket, settlement): &(Ticket, Settlement)| state.work.settle(*ticket, settlement, now);
            Ok(settlements.iter().map(settle).collect())
        })
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        self.with(|state| {
            Ok(state.work.held(ticket).map(|item| item.record.progress = Some(progress.to_owned())).is_some())
        })
    }

    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>> {
        self.with(|state| {
            let records = state.work.items.values().map(|item| &item.record);
            Ok(records.filter(|record| filter.matches(record)).take(filter.limit as usize).cloned().collect())
        })
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        self.with(|state| {
            let now = state.clock.now();
            state.work.revise(id, revision, now)
        })
    }

    async fn purge_work(&self, limit: u32) -> Result<u64> {
        self.with(|state| {
            let now = state.clock.now();
            Ok(state.work.purge(limit as usize, now) as u64)
        })
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        self.with(|state| Ok(state.work.depths(state.clock.now())))
    }
}

impl WorkShelf {
    /// An id for a delivery; it need be unique in this store only.
    fn delivery_id(&self) -> Uuid {
        // The version and variant bits make it a well-formed UUIDv8, whose content is the maker's own.
        Uuid::from_u64_pair(0x8000, 0x8000_0000_0000_0000 | self.last_seq.unsigned_abs())
    }
}
