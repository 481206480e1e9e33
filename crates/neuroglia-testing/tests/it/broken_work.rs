//! Engines with one defect each in what they do with messages, durable work, nodes, leases and schedules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Burial, Lease, Node};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, OutboxMessage, Store};
use neuroglia::error::Result;
use neuroglia::messaging::{OutboxStore, Parcel};
use neuroglia::work::{
    Claim, Claimed, Depth, Due, LOST, NewWork, OnCrash, Revision, Settlement, Ticket, WorkFilter, WorkState,
    WorkStore,
};
use neuroglia_testing::{Layered, StoreLayer};
use uuid::Uuid;

/// What is wrong with the engine, and which rule is about it.
pub(crate) const DEFECTS: &[(Defect, &str)] = &[
    (Defect::MixesSubjects, "of_a_subject_only_the_first_message_is_given"),
    (Defect::MixesSubjects, "messages_are_kept_as_they_were_in_the_order_of_commits"),
    (Defect::LeasesNoMessage, "a_relay_gets_the_oldest_messages_first"),
    (Defect::ConfirmsForStrangers, "a_confirmed_message_is_gone_and_its_successor_can_go"),
    (Defect::ConfirmsForStrangers, "a_claim_whose_lease_is_over_is_free_again"),
    (Defect::LeasesNoMessage, "concurrent_relays_never_get_the_same_message"),
    (Defect::ConfirmsForStrangers, "who_did_not_claim_a_message_neither_confirms_nor_returns_it"),
    (Defect::LosesReturned, "a_returned_message_waits_for_its_pause_before_its_successors"),
    (Defect::ReturnsAtOnce, "a_returned_message_waits_for_its_pause_before_its_successors"),
    (Defect::FansOutToAll, "an_event_for_one_consumer_is_delivered_to_that_one_if_it_wants_it"),
    (Defect::FansOutTwice, "an_event_is_delivered_once_even_after_it_was_handled"),
    (Defect::FansOutTwice, "an_event_is_delivered_to_each_of_its_consumers_and_to_no_others"),
    (Defect::FansOutTwice, "an_ordered_consumer_gets_the_events_of_a_subject_in_turn"),
    (Defect::GivesASubjectToAll, "events_without_a_subject_do_not_wait_for_each_other"),
    (Defect::ClaimsBehindAHead, "of_a_lane_only_the_head_is_claimed"),
    (Defect::ClaimsBehindAHead, "a_failed_head_holds_up_its_lane_until_its_time"),
    (Defect::ClaimsBehindAHead, "a_head_that_has_failed_for_good_lets_the_next_go"),
    (Defect::ClaimsBehindAHead, "a_lane_follows_what_operators_do"),
    (Defect::ClaimsBehindAHead, "lanes_and_kinds_do_not_hold_each_other_up"),
    (Defect::ClaimsTwice, "concurrent_claimers_never_get_the_same_work"),
    (Defect::ClaimsTwice, "a_claim_counts_the_attempt_and_gives_what_was_stored"),
    (Defect::ClaimsTwice, "a_lane_that_many_come_to_and_leave_loses_nobody"),
    (Defect::ClaimsTwice, "a_finish_commits_effects_messages_and_jobs_with_the_end"),
    (Defect::ClaimsUnknownKinds, "a_claim_takes_from_its_queues_and_kinds_only"),
    (Defect::ClaimsMoreThanItsRoom, "a_claim_takes_no_more_than_its_room"),
    (Defect::IgnoresPriorities, "a_higher_priority_comes_before_an_older_age"),
    (Defect::IgnoresPriorities, "the_kinds_of_a_queue_share_one_order"),
    (Defect::ForgetsTheFence, "a_finish_with_a_lost_ticket_changes_nothing"),
    (Defect::CountsReleases, "a_release_does_not_count_the_attempt"),
    (Defect::RetriesAtOnce, "a_retry_waits_for_its_pause_and_keeps_the_failure"),
    (Defect::SettlesWithAnyTicket, "a_settlement_with_a_lost_ticket_changes_nothing"),
    (Defect::SettlesWithAnyTicket, "replayed_work_is_purged_no_earlier_than_other_work"),
    (Defect::ReplaysAside, "what_is_replayed_never_runs_beside_another_of_its_lane"),
    (Defect::ReplaysAside, "a_replay_begins_at_the_first_attempt"),
    (Defect::ReplaysAside, "a_replay_whose_key_is_taken_is_a_conflict"),
    (Defect::EditsNothing, "an_edit_changes_the_payload"),
    (Defect::PurgesTheDead, "a_purge_deletes_what_is_over_and_nothing_else"),
    (Defect::CountsWhatIsDone, "depths_count_what_is_left_to_do_or_to_look_at"),
    (Defect::BeginsEarly, "a_job_is_not_claimed_before_its_time"),
    (Defect::BeginsEarly, "depths_count_by_queue_kind_and_state"),
    (Defect::BeginsEarly, "depths_tell_since_when_work_is_due"),
    (Defect::IgnoresUniqueKeys, "a_unique_key_keeps_an_equal_live_job_out"),
    (Defect::IgnoresUniqueKeys, "a_unique_key_is_free_when_its_job_has_ended"),
    (Defect::NeverBuries, "a_silent_node_is_buried_at_the_second_look_and_its_work_given_back"),
    (Defect::NeverBuries, "a_buried_nodes_tickets_are_void_and_its_next_beat_is_new"),
    (Defect::NeverBuries, "work_that_takes_too_many_processes_along_is_parked"),
    (Defect::NeverBuries, "a_node_goes_with_its_last_piece_of_work"),
    (Defect::BuriesAtTheFirstLook, "a_silent_node_is_buried_at_the_second_look_and_its_work_given_back"),
    (Defect::BuriesAtTheFirstLook, "a_node_that_beats_again_is_not_buried"),
    (Defect::CountsTwoLooksAtOnce, "two_looks_at_the_same_moment_are_one"),
    (Defect::BuriesWithoutLimit, "the_work_of_the_dead_is_given_back_in_steps"),
    (Defect::GivesToStrangers, "who_is_not_known_gets_no_work"),
    (Defect::IgnoresWhatACrashMeans, "a_crash_means_what_the_work_says"),
    (Defect::IgnoresWhatACrashMeans, "a_claim_counts_the_attempt_and_gives_what_was_stored"),
    (Defect::GivesSuspectsTogether, "suspects_of_nodes_that_are_buried_together_are_given_back_apart"),
    (Defect::GivesSuspectsTogether, "work_that_two_processes_died_of_is_given_back_apart"),
    (Defect::HasTwoLeaders, "a_lease_has_one_holder_at_a_time"),
    (Defect::HasTwoLeaders, "of_concurrent_candidates_one_leads"),
    (Defect::HasTwoLeaders, "leases_do_not_touch_each_other"),
    (Defect::StopsTheEpoch, "a_lease_that_is_over_goes_to_another_with_a_larger_epoch"),
    (Defect::StopsTheEpoch, "a_resigned_lease_is_free_at_once"),
    (Defect::ResignsForStrangers, "a_strangers_resignation_changes_nothing"),
    (Defect::PlansTwice, "a_run_is_planned_once_with_its_work"),
    (Defect::PlansTwice, "of_concurrent_planners_one_plans"),
    (Defect::PlansTwice, "old_runs_are_purged_but_the_last_of_each_schedule"),
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Defect {
    None,
    MixesSubjects,
    LeasesNoMessage,
    ConfirmsForStrangers,
    LosesReturned,
    ReturnsAtOnce,
    FansOutToAll,
    FansOutTwice,
    GivesASubjectToAll,
    ClaimsBehindAHead,
    ClaimsTwice,
    ClaimsUnknownKinds,
    ClaimsMoreThanItsRoom,
    IgnoresPriorities,
    ForgetsTheFence,
    CountsReleases,
    RetriesAtOnce,
    SettlesWithAnyTicket,
    ReplaysAside,
    EditsNothing,
    PurgesTheDead,
    CountsWhatIsDone,
    BeginsEarly,
    IgnoresUniqueKeys,
    NeverBuries,
    BuriesAtTheFirstLook,
    CountsTwoLooksAtOnce,
    BuriesWithoutLimit,
    GivesToStrangers,
    IgnoresWhatACrashMeans,
    GivesSuspectsTogether,
    HasTwoLeaders,
    StopsTheEpoch,
    ResignsForStrangers,
    PlansTwice,
}

struct Broken {
    inner: MemoryStore,
    defect: Defect,
    /// Who holds a message, a piece of work or a lease: for engines that do not ask who comes.
    holders: Mutex<HashMap<String, Uuid>>,
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn note_holder(&self, of: impl ToString, holder: Uuid) {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).insert(of.to_string(), holder);
    }

    fn holder(&self, of: impl ToString) -> Option<Uuid> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).get(&of.to_string()).copied()
    }

    fn spoil(&self, work: &mut NewWork) {
        match self.defect {
            Defect::ClaimsBehindAHead => work.lane = None,
            Defect::IgnoresPriorities => work.priority = 0,
            Defect::BeginsEarly => work.due = Due::Now,
            Defect::IgnoresUniqueKeys => work.key = None,
            Defect::IgnoresWhatACrashMeans => work.on_crash = OnCrash::Retry,
            _ => {}
        }
    }

    async fn in_state(&self, state: WorkState) -> Result<Vec<Claimed>> {
        let filter = WorkFilter { states: vec![state], limit: 1_000, ..WorkFilter::default() };
        let records = self.inner.list_work(&filter).await?;
        let claimed = records.into_iter().map(|record| Claimed {
            ticket: Ticket { id: record.id, token: Uuid::nil() },
            class: record.class,
            queue: record.queue,
            kind: record.kind,
            key: record.key,
            payload: record.payload,
            attempt: record.attempt,
            attempts_max: record.attempts_max,
            on_crash: OnCrash::Retry,
            correlation_id: record.correlation_id,
            traceparent: None,
            created_at: record.created_at,
        });
        Ok(claimed.collect())
    }
}

#[async_trait]
impl StoreLayer for Broken {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    async fn commit(&self, mut batch: Batch) -> Result<()> {
        batch.work.iter_mut().for_each(|work| self.spoil(work));
        if self.is(Defect::MixesSubjects) {
            batch.outbox.iter_mut().for_each(|message| message.subject = message.id.to_string());
        }
        let effects = Batch {
            at: batch.at,
            writes: batch.writes.clone(),
            outbox: batch.outbox.clone(),
            work: batch.work.clone(),
            ..Batch::default()
        };
        match self.inner.commit(batch).await {
            Err(error) if error.code() == LOST && self.is(Defect::ForgetsTheFence) => {
                self.inner.commit(effects).await
            }
            outcome => outcome,
        }
    }

    async fn claim_outbox(&self, token: Uuid, limit: u32, lease: Duration) -> Result<Vec<OutboxMessage>> {
        let lease = if self.is(Defect::LeasesNoMessage) { Duration::ZERO } else { lease };
        let claimed = self.inner.claim_outbox(token, limit, lease).await?;
        claimed.iter().for_each(|message| self.note_holder(message.id, token));
        Ok(claimed)
    }

    async fn confirm_outbox(&self, token: Uuid, ids: &[Uuid]) -> Result<()> {
        for id in ids {
            let holder = self.holder(id).filter(|_| self.is(Defect::ConfirmsForStrangers));
            self.inner.confirm_outbox(holder.unwrap_or(token), &[*id]).await?;
        }
        Ok(())
    }

    async fn return_outbox(&self, token: Uuid, ids: &[Uuid], pause: Duration) -> Result<()> {
        match self.defect {
            Defect::LosesReturned => self.inner.confirm_outbox(token, ids).await,
            Defect::ReturnsAtOnce => self.inner.return_outbox(token, ids, Duration::ZERO).await,
            _ => self.inner.return_outbox(token, ids, pause).await,
        }
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        if self.is(Defect::FansOutToAll) {
            let to_all = |parcel: &Parcel| Parcel { consumer: None, ..parcel.clone() };
            return self.inner.fan_out(&parcels.iter().map(to_all).collect::<Vec<_>>()).await;
        }
        if self.is(Defect::GivesASubjectToAll) {
            let one = |parcel: &Parcel| Parcel {
                subject: parcel.subject.clone().or(Some(String::new())),
                ..parcel.clone()
            };
            return self.inner.fan_out(&parcels.iter().map(one).collect::<Vec<_>>()).await;
        }
        let stored = self.inner.fan_out(parcels).await?;
        if self.is(Defect::FansOutTwice) {
            let again = |parcel: &Parcel| Parcel { key: format!("{} again", parcel.key), ..parcel.clone() };
            self.inner.fan_out(&parcels.iter().map(again).collect::<Vec<_>>()).await?;
        }
        Ok(stored)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let mut asked = claim.clone();
        match self.defect {
            Defect::ClaimsUnknownKinds => {
                let waiting = self.in_state(WorkState::Waiting).await?;
                asked.kinds = waiting.into_iter().map(|claimed| claimed.kind).collect();
            }
            Defect::GivesToStrangers => {
                let stranger = Node {
                    id: claim.owner,
                    role: "worker".to_owned(),
                    host: "somewhere".to_owned(),
                    version: "0".to_owned(),
                    is_draining: false,
                };
                self.behind().beat(&stranger).await?;
            }
            Defect::ClaimsMoreThanItsRoom => asked.rooms.iter_mut().for_each(|room| room.limit += 1),
            _ => {}
        }
        let mut claimed = self.inner.claim(&asked).await?;
        claimed.iter().for_each(|claimed| self.note_holder(claimed.ticket.id, claim.token));
        if self.is(Defect::ClaimsTwice) {
            claimed.extend(self.in_state(WorkState::Running).await?);
        }
        if self.is(Defect::GivesSuspectsTogether) {
            claimed.extend(self.in_state(WorkState::Scheduled).await?);
        }
        Ok(claimed)
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        let spoiled =
            settlements.iter().cloned().map(|(ticket, settlement)| match (self.defect, settlement) {
                (Defect::CountsReleases, Settlement::Release) => {
                    (ticket, Settlement::Retry { after: Duration::ZERO, failure: "released".to_owned() })
                }
                (Defect::RetriesAtOnce, Settlement::Retry { failure, .. }) => {
                    (ticket, Settlement::Retry { after: Duration::ZERO, failure })
                }
                (Defect::SettlesWithAnyTicket, settlement) => {
                    (Ticket { token: self.holder(ticket.id).unwrap_or(ticket.token), ..ticket }, settlement)
                }
                (_, settlement) => (ticket, settlement),
            });
        self.inner.settle(&spoiled.collect::<Vec<_>>()).await
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        match revision {
            Revision::Edit { .. } if self.is(Defect::EditsNothing) => {
                let filter = WorkFilter { id: Some(id), limit: 1, ..WorkFilter::default() };
                let found = self.inner.list_work(&filter).await?;
                Ok(found.iter().any(|record| revision.from_states().contains(&record.state)))
            }
            Revision::Replay if self.is(Defect::ReplaysAside) => {
                let filter = WorkFilter { id: Some(id), limit: 1, ..WorkFilter::default() };
                let found = self.inner.list_work(&filter).await?;
                self.inner.revise(id, &Revision::Delete).await?;
                let aside = found.into_iter().map(|record| NewWork {
                    id,
                    class: record.class,
                    queue: record.queue,
                    kind: record.kind,
                    lane: None,
                    key: record.key,
                    payload: record.payload,
                    priority: 0,
                    due: Due::Now,
                    attempts_max: record.attempts_max,
                    on_crash: OnCrash::Retry,
                    correlation_id: record.correlation_id,
                    traceparent: None,
                });
                self.inner.commit(Batch { work: aside.collect(), ..Batch::default() }).await?;
                Ok(true)
            }
            _ => self.inner.revise(id, revision).await,
        }
    }

    async fn purge_work(&self, limit: u32) -> Result<u64> {
        if self.is(Defect::PurgesTheDead) {
            for dead in self.in_state(WorkState::Dead).await? {
                self.inner.revise(dead.ticket.id, &Revision::Delete).await?;
            }
        }
        self.inner.purge_work(limit).await
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        let mut depths = self.inner.depths().await?;
        for done in
            self.in_state(WorkState::Done).await?.into_iter().filter(|_| self.is(Defect::CountsWhatIsDone))
        {
            let Claimed { queue, kind, .. } = done;
            let oldest = Duration::ZERO;
            depths.push(Depth { queue, kind, state: WorkState::Done, count: 1, oldest, lanes_held: 0 });
        }
        Ok(depths)
    }

    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>> {
        let bury = |limit| self.behind().bury(ttl, apart, limit);
        match self.defect {
            Defect::NeverBuries => Ok(Vec::new()),
            Defect::BuriesWithoutLimit => bury(u32::MAX).await,
            Defect::BuriesAtTheFirstLook => self.behind().bury(ttl, Duration::ZERO, limit).await,
            Defect::CountsTwoLooksAtOnce if self.holder("a look").is_some() => {
                self.behind().bury(ttl, Duration::ZERO, limit).await
            }
            Defect::CountsTwoLooksAtOnce => {
                self.note_holder("a look", Uuid::nil());
                bury(limit).await
            }
            _ => bury(limit).await,
        }
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        let lease = self.behind().lease(name, holder, ttl).await?;
        if lease.is_some() {
            self.note_holder(name, holder);
        }
        Ok(match self.defect {
            Defect::HasTwoLeaders => {
                lease.or(Some(Lease { epoch: 2, expires_at: self.behind().now().await? + ttl }))
            }
            Defect::StopsTheEpoch => lease.map(|lease| Lease { epoch: 1, ..lease }),
            _ => lease,
        })
    }

    async fn resign(&self, name: &str, holder: Uuid) -> Result<()> {
        let other = self.holder(name).filter(|_| self.is(Defect::ResignsForStrangers));
        self.behind().resign(name, other.unwrap_or(holder)).await
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        let is_new = self.behind().plan(schedule, run_at, work).await?;
        if self.is(Defect::PlansTwice) && !is_new {
            self.inner.commit(Batch { work: vec![work.clone()], ..Batch::default() }).await?;
            return Ok(true);
        }
        Ok(is_new)
    }
}

pub(crate) fn broken(defect: Defect) -> Arc<dyn Store> {
    Arc::new(Layered(Broken { inner: MemoryStore::new(), defect, holders: Mutex::default() }))
}
