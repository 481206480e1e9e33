//! Engines that keep everything and answer wrongly, or answer rightly and keep something else: one defect each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::cluster::{Beat, Lease, Node};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{
    AppliedMigration, Batch, Change, Condition, Document, Migration, MigrationRun, Op, OutboxMessage, Path,
    Reservation, Reserve, Select, Step, Store, Value, Write,
};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::health::Details;
use neuroglia::messaging::OutboxStore;
use neuroglia::work::{
    Depth, NewWork, Revision, Settlement, Ticket, WorkFilter, WorkRecord, WorkState, WorkStore,
};
use neuroglia_testing::workbench::new_id;
use neuroglia_testing::{Layered, StoreLayer};
use uuid::Uuid;

/// Longer than any rule waits.
const LONG: Duration = Duration::from_secs(600);

/// What is wrong with the engine, and which rules find it.
pub(crate) const DEFECTS: &[(Defect, &[&str])] = &[
    (
        Defect::LosesBodies,
        &[
            "an_inserted_document_is_loaded_as_it_was",
            "a_saved_aggregate_is_equal_to_the_one_that_is_got",
            "nothing_is_visible_to_others_before_the_commit",
            "a_mutation_of_a_fetched_aggregate_is_invisible_until_it_is_saved",
        ],
    ),
    (Defect::FindsAnything, &["an_unknown_id_is_none"]),
    (
        Defect::TakesAnyName,
        &[
            "an_unknown_collection_is_an_error_and_not_none",
            "names_that_are_unsafe_are_refused",
            "unsafe_and_reserved_names_are_refused",
        ],
    ),
    (Defect::HasOneCollection, &["one_id_in_two_collections_is_two_documents"]),
    (
        Defect::OverwritesByInsert,
        &["a_second_insert_of_an_id_is_a_conflict", "of_concurrent_inserts_one_wins"],
    ),
    (Defect::CreatesByUpdate, &["an_update_of_nothing_is_not_found"]),
    (
        Defect::DeletesNothing,
        &[
            "a_delete_of_nothing_is_not_found",
            "a_deleted_document_is_gone_and_its_id_is_free",
            "removed_is_none_and_removing_the_unsaved_is_not_found",
        ],
    ),
    (
        Defect::CountsVersionsFromOne,
        &[
            "a_version_begins_at_zero_and_grows_by_one",
            "each_save_grows_the_version_by_one_however_many_events",
        ],
    ),
    (
        Defect::NeverMovesTimes,
        &["an_update_moves_updated_at_and_not_created_at", "times_are_those_of_the_commits"],
    ),
    (Defect::CutsLargeBodies, &["unicode_and_large_bodies_come_back_as_they_were"]),
    (Defect::FoldsIds, &["ids_are_plain_text_compared_by_their_bytes"]),
    (Defect::MendsBodies, &["a_body_that_is_not_json_is_refused"]),
    (
        Defect::ComparesLoosely,
        &[
            "comparisons_hold_for_values_of_each_type",
            "pages_show_every_item_once_in_every_order",
            "inserts_before_the_cursor_neither_repeat_nor_skip_items",
            "a_cursor_of_another_list_is_malformed",
        ],
    ),
    (Defect::FoldsTexts, &["texts_are_compared_by_their_bytes"]),
    (Defect::StaysOnTheSurface, &["a_path_leads_into_nested_objects"]),
    (
        Defect::KnowsNoNull,
        &["a_field_that_is_not_there_is_null", "all_any_not_and_in_follow_three_valued_logic"],
    ),
    (Defect::SortsByOneKey, &["several_keys_sort_in_turn_each_in_its_direction"]),
    (Defect::CountsToTheLimit, &["a_limit_cuts_off_and_a_count_does_not"]),
    (Defect::MixesAnswers, &["several_queries_are_answered_each_as_alone"]),
    (Defect::FillsUnsetFields, &["unset_fields_never_collide"]),
    (Defect::PingsForEver, &["a_store_answers_pings_until_it_is_closed"]),
    (
        Defect::SendsBeforeItCommits,
        &["a_failed_batch_sends_nothing", "a_job_comes_with_its_batch_or_not_at_all"],
    ),
    (Defect::LocksWritersOut, &["a_subject_that_many_write_to_loses_no_message"]),
    (Defect::GivesKeysToAll, &["a_key_is_taken_once", "of_concurrent_takers_one_gets_the_key"]),
    (Defect::FoldsKeys, &["keys_do_not_touch_each_other"]),
    (Defect::ForgetsAnswers, &["an_answer_is_committed_with_the_change"]),
    (Defect::KeepsAnswersForEver, &["an_answer_is_kept_until_its_time"]),
    (Defect::TrustsTheClockOfTheNode, &["a_nodes_clock_has_no_part_in_the_life_of_a_key"]),
    (Defect::ReleasesNothing, &["a_released_key_is_free"]),
    (Defect::ReleasesForStrangers, &["only_the_holder_releases_a_key"]),
    (Defect::ReleasesAnswers, &["an_answered_key_is_not_released"]),
    (Defect::NeverUnsubscribes, &["subscriptions_are_changed_listed_and_taken_back"]),
    (Defect::RevivesTheParked, &["parked_work_waits_for_an_operator"]),
    (Defect::ForgetsFailures, &["dead_work_keeps_its_last_failures_each_of_bounded_size"]),
    (Defect::NotesProgressForAll, &["progress_is_noted_with_a_valid_ticket_only"]),
    (
        Defect::CallsNothingOff,
        &[
            "work_that_was_called_off_is_not_tried_again",
            "waiting_work_is_called_off_at_once",
            "called_off_work_of_the_dead_is_not_tried_again",
        ],
    ),
    (Defect::IgnoresFilters, &["a_list_filters_and_pages"]),
    (Defect::DeletesNoWork, &["deleted_work_is_forgotten"]),
    (Defect::TellsNobodyOfTheEnd, &["running_work_that_is_called_off_is_told_to_its_node"]),
    (Defect::CountsToTen, &["depths_count_up_to_a_limit_of_each_kind"]),
    (Defect::AsksBeforeTheEnd, &["a_job_may_ask_for_its_own_successor"]),
    (Defect::LosesResults, &["a_result_is_kept"]),
    (Defect::StoresJobsTwice, &["a_job_is_stored_once_by_its_id"]),
    (Defect::CallsEveryBeatNew, &["a_first_beat_is_new_and_later_ones_are_not"]),
    (Defect::TellsNoSilence, &["a_beat_tells_how_long_the_most_silent_of_the_others_is_silent"]),
    (Defect::ForgetsFarewells, &["a_node_that_leaves_gives_its_work_back_uncounted"]),
    (Defect::NeverProlongs, &["a_renewal_keeps_the_epoch_and_moves_the_end"]),
    (Defect::TellsTheLastPlan, &["the_last_run_is_the_latest"]),
    (Defect::BeginsWithAMigration, &["a_new_store_has_none"]),
    (
        Defect::SaysThatAllWasApplied,
        &[
            "a_second_run_applies_nothing",
            "only_what_is_missing_is_applied",
            "two_runs_at_once_apply_each_once",
        ],
    ),
    (Defect::KeepsDroppedIndexes, &["a_dropped_index_forbids_nothing"]),
    (Defect::RefusesForeignSteps, &["steps_for_other_engines_are_passed_by"]),
    (Defect::SortsMigrations, &["versions_out_of_order_are_refused"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    LosesBodies,
    FindsAnything,
    TakesAnyName,
    HasOneCollection,
    OverwritesByInsert,
    CreatesByUpdate,
    DeletesNothing,
    CountsVersionsFromOne,
    NeverMovesTimes,
    CutsLargeBodies,
    FoldsIds,
    MendsBodies,
    ComparesLoosely,
    FoldsTexts,
    StaysOnTheSurface,
    KnowsNoNull,
    SortsByOneKey,
    CountsToTheLimit,
    MixesAnswers,
    FillsUnsetFields,
    PingsForEver,
    SendsBeforeItCommits,
    LocksWritersOut,
    GivesKeysToAll,
    FoldsKeys,
    ForgetsAnswers,
    KeepsAnswersForEver,
    TrustsTheClockOfTheNode,
    ReleasesNothing,
    ReleasesForStrangers,
    ReleasesAnswers,
    NeverUnsubscribes,
    RevivesTheParked,
    ForgetsFailures,
    NotesProgressForAll,
    CallsNothingOff,
    IgnoresFilters,
    DeletesNoWork,
    TellsNobodyOfTheEnd,
    CountsToTen,
    AsksBeforeTheEnd,
    LosesResults,
    StoresJobsTwice,
    CallsEveryBeatNew,
    TellsNoSilence,
    ForgetsFarewells,
    NeverProlongs,
    TellsTheLastPlan,
    BeginsWithAMigration,
    SaysThatAllWasApplied,
    KeepsDroppedIndexes,
    RefusesForeignSteps,
    SortsMigrations,
}

struct Broken {
    inner: MemoryStore,
    defect: Defect,
    memory: Mutex<Memory>,
}

/// What an engine remembers that had better not.
#[derive(Default)]
struct Memory {
    /// With which token a key was taken last.
    tokens: HashMap<String, String>,
    released: HashSet<String>,
    leases: HashMap<(String, Uuid), Lease>,
    plans: HashMap<String, Timestamp>,
}

pub(crate) fn broken(defect: Defect) -> Arc<dyn Store> {
    Arc::new(Layered(Broken { inner: MemoryStore::new(), defect, memory: Mutex::default() }))
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collection(&self, name: &'static str) -> &'static str {
        if self.is(Defect::HasOneCollection) && name == "shelves" { "notes" } else { name }
    }

    fn id(&self, id: &str) -> String {
        if self.is(Defect::FoldsIds) { id.to_lowercase() } else { id.to_owned() }
    }

    fn key(&self, key: &str) -> String {
        if self.is(Defect::FoldsKeys) { key.trim().to_lowercase() } else { key.to_owned() }
    }

    /// What becomes of a write; none when nothing does.
    async fn spoil(&self, mut write: Write) -> Result<Option<Write>> {
        write.collection = self.collection(write.collection);
        write.id = self.id(&write.id);
        let found = match self.defect {
            Defect::OverwritesByInsert | Defect::CreatesByUpdate => {
                self.inner.load(write.collection, &write.id).await?
            }
            _ => None,
        };
        write.change = match (self.defect, write.change, found) {
            (Defect::OverwritesByInsert, Change::Insert { body }, Some(found)) => {
                Change::Update { expected: found.version, body }
            }
            (Defect::CreatesByUpdate, Change::Update { body, .. }, None) => Change::Insert { body },
            (Defect::DeletesNothing, Change::Delete { .. }, _) => return Ok(None),
            (Defect::MendsBodies, Change::Insert { body }, _)
                if serde_json::from_str::<serde_json::Value>(&body).is_err() =>
            {
                Change::Insert { body: "{}".to_owned() }
            }
            (Defect::FillsUnsetFields, Change::Insert { body }, _) => {
                let mut tree: serde_json::Value = serde_json::from_str(&body).map_err(Error::internal)?;
                if tree["code"].is_null() {
                    tree["code"] = "".into();
                }
                Change::Insert { body: tree.to_string() }
            }
            (_, change, _) => change,
        };
        Ok(Some(write))
    }

    fn select(&self, select: &Select) -> Select {
        let mut select = select.clone();
        self.condition(&mut select.condition);
        if self.is(Defect::SortsByOneKey) {
            select.sort.truncate(1);
        }
        select
    }

    fn condition(&self, condition: &mut Condition) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter_mut().for_each(|part| self.condition(part));
            }
            Condition::Not(part) => self.condition(part),
            Condition::IsNull(_) if self.is(Defect::KnowsNoNull) => *condition = Condition::Any(Vec::new()),
            Condition::IsNull(path) | Condition::In { path, .. } => self.path(path),
            Condition::Compare { path, op, value } => {
                self.path(path);
                match (self.defect, &op) {
                    (Defect::ComparesLoosely, Op::Less) => *op = Op::LessOrEqual,
                    (Defect::ComparesLoosely, Op::Greater) => *op = Op::GreaterOrEqual,
                    _ => {}
                }
                if let Value::Text(text) = value
                    && self.is(Defect::FoldsTexts)
                {
                    *text = text.to_lowercase();
                }
            }
        }
    }

    fn path(&self, path: &mut Path) {
        if let Path::Body(name) = path
            && self.is(Defect::StaysOnTheSurface)
        {
            *name = name.rsplit('.').next().unwrap_or(name);
        }
    }

    /// What an engine that takes every name makes of a refusal.
    fn refusal<T>(&self, outcome: Result<T>, taken: T) -> Result<T> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::Internal && self.is(Defect::TakesAnyName) => Ok(taken),
            outcome => outcome,
        }
    }
}

#[async_trait]
impl StoreLayer for Broken {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        let found = self.inner.load(self.collection(collection), &self.id(id)).await;
        let mut found = self.refusal(found, None)?;
        if found.is_none() && self.is(Defect::FindsAnything) {
            let (at, body) = (Timestamp::UNIX_EPOCH, "{}".to_owned());
            found = Some(Document { id: id.to_owned(), version: 0, created_at: at, updated_at: at, body });
        }
        Ok(found.map(|mut found| {
            match self.defect {
                Defect::LosesBodies => found.body = "{}".to_owned(),
                Defect::CutsLargeBodies if found.body.len() > 1_000_000 => found.body = "{}".to_owned(),
                Defect::CountsVersionsFromOne => found.version += 1,
                Defect::NeverMovesTimes => found.updated_at = found.created_at,
                _ => {}
            }
            found
        }))
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        self.refusal(self.inner.query(&self.select(select)).await, Vec::new())
    }

    async fn query_all(&self, selects: &[Select]) -> Result<Vec<Vec<Document>>> {
        let mut answers = Vec::new();
        for select in selects {
            answers.push(self.query(select).await?);
        }
        if self.is(Defect::MixesAnswers) {
            answers.reverse();
        }
        Ok(answers)
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        let count = self.refusal(self.inner.count(&self.select(select)).await, 0)?;
        Ok(if self.is(Defect::CountsToTheLimit) { count.min(select.limit.into()) } else { count })
    }

    async fn commit(&self, mut batch: Batch) -> Result<()> {
        let mut writes = Vec::with_capacity(batch.writes.len());
        for write in std::mem::take(&mut batch.writes) {
            writes.extend(self.spoil(write).await?);
        }
        batch.writes = writes;
        match self.defect {
            Defect::SendsBeforeItCommits | Defect::AsksBeforeTheEnd => {
                let outbox = match self.defect {
                    Defect::SendsBeforeItCommits => std::mem::take(&mut batch.outbox),
                    _ => Vec::new(),
                };
                let work = std::mem::take(&mut batch.work);
                self.inner.commit(Batch { at: batch.at, outbox, work, ..Batch::default() }).await?;
            }
            Defect::StoresJobsTwice => {
                let mut known = HashSet::new();
                for work in &mut batch.work {
                    let this = WorkFilter { id: Some(work.id), limit: 1, ..WorkFilter::default() };
                    if !known.insert(work.id) || !self.inner.list_work(&this).await?.is_empty() {
                        work.id = new_id();
                    }
                }
            }
            Defect::LocksWritersOut => {
                let sent = self.inner.outbox(100).await?;
                let is_locked =
                    |message: &OutboxMessage| sent.iter().any(|one| one.subject == message.subject);
                if batch.outbox.iter().any(is_locked) {
                    return Err(Error::unavailable("two transactions wait for each other"));
                }
            }
            Defect::ForgetsAnswers => batch.completion = None,
            Defect::LosesResults => {
                if let Some(finish) = &mut batch.finish {
                    finish.result = None;
                }
            }
            _ => {}
        }
        if let Some(completion) = &mut batch.completion {
            completion.key = self.key(&completion.key);
            match self.defect {
                Defect::KeepsAnswersForEver => completion.keep = LONG,
                Defect::TrustsTheClockOfTheNode => {
                    completion.keep = (batch.at + completion.keep).since(self.behind().now().await?);
                }
                _ => {}
            }
        }
        self.inner.commit(batch).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        let reserve = Reserve { key: self.key(&reserve.key), ..reserve.clone() };
        let found = self.inner.reserve(&reserve).await?;
        let was_released = self.memory().released.remove(&reserve.key);
        if was_released || self.is(Defect::GivesKeysToAll) {
            return Ok(Reservation::Taken);
        }
        if found == Reservation::Taken {
            self.memory().tokens.insert(reserve.key, reserve.token);
        }
        Ok(found)
    }

    async fn release(&self, key: &str, token: &str) -> Result<()> {
        let key = self.key(key);
        let holder = self.memory().tokens.get(&key).cloned();
        match self.defect {
            Defect::ReleasesNothing => Ok(()),
            Defect::ReleasesForStrangers => {
                self.inner.release(&key, holder.as_deref().unwrap_or(token)).await
            }
            Defect::ReleasesAnswers => {
                self.memory().released.insert(key);
                Ok(())
            }
            _ => self.inner.release(&key, token).await,
        }
    }

    async fn applied_migrations(&self) -> Result<Vec<AppliedMigration>> {
        let mut applied = self.inner.applied_migrations().await?;
        if self.is(Defect::BeginsWithAMigration) {
            let (name, checksum) = ("begin".to_owned(), String::new());
            applied.insert(
                0,
                AppliedMigration { version: 0, name, checksum, applied_at: Timestamp::UNIX_EPOCH },
            );
        }
        Ok(applied)
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        let mut migrations = migrations.to_vec();
        match self.defect {
            Defect::KeepsDroppedIndexes => {
                for migration in &mut migrations {
                    migration.steps.retain(|step| !matches!(step, Step::DropIndex(_)));
                }
            }
            Defect::SortsMigrations => {
                migrations.sort_by_key(|migration| migration.version);
                migrations.dedup_by_key(|migration| migration.version);
            }
            Defect::RefusesForeignSteps
                if migrations
                    .iter()
                    .flat_map(|one| &one.steps)
                    .any(|step| matches!(step, Step::Sql { .. })) =>
            {
                return Err(Error::internal("it does not know this engine"));
            }
            _ => {}
        }
        let run = self.inner.migrate(&migrations, now).await;
        let mut run = self.refusal(run, MigrationRun::default())?;
        if self.is(Defect::SaysThatAllWasApplied) {
            run.applied = migrations.iter().map(|migration| migration.version).collect();
        }
        Ok(run)
    }

    async fn ping(&self) -> Result<Details> {
        if self.is(Defect::PingsForEver) { Ok(Details::new()) } else { self.inner.ping().await }
    }

    async fn unsubscribe(&self, consumer: &str) -> Result<bool> {
        if self.is(Defect::NeverUnsubscribes) { Ok(true) } else { self.behind().unsubscribe(consumer).await }
    }

    async fn settle(&self, settlements: &[(Ticket, Settlement)]) -> Result<Vec<bool>> {
        let spoiled = settlements.iter().cloned().map(|(ticket, settlement)| match settlement {
            Settlement::Park { failure } if self.is(Defect::RevivesTheParked) => {
                (ticket, Settlement::Retry { after: Duration::ZERO, failure })
            }
            settlement => (ticket, settlement),
        });
        self.inner.settle(&spoiled.collect::<Vec<_>>()).await
    }

    async fn note_progress(&self, ticket: Ticket, progress: &str) -> Result<bool> {
        let noted = self.inner.note_progress(ticket, progress).await?;
        Ok(noted || self.is(Defect::NotesProgressForAll))
    }

    async fn list_work(&self, filter: &WorkFilter) -> Result<Vec<WorkRecord>> {
        let mut filter = filter.clone();
        if self.is(Defect::IgnoresFilters) {
            (filter.queue, filter.kind) = (None, None);
        }
        let mut found = self.inner.list_work(&filter).await?;
        if self.is(Defect::ForgetsFailures) {
            found.iter_mut().for_each(|record| record.failures.clear());
        }
        Ok(found)
    }

    async fn revise(&self, id: Uuid, revision: &Revision) -> Result<bool> {
        let is_ignored = match revision {
            Revision::Cancel => self.is(Defect::CallsNothingOff),
            Revision::Delete => self.is(Defect::DeletesNoWork),
            Revision::Replay | Revision::Edit { .. } => false,
        };
        if !is_ignored {
            return self.inner.revise(id, revision).await;
        }
        let this = WorkFilter { id: Some(id), limit: 1, ..WorkFilter::default() };
        let can = |state: &WorkState| revision.from_states().contains(state);
        Ok(self.inner.list_work(&this).await?.iter().any(|record| can(&record.state)))
    }

    async fn depths(&self) -> Result<Vec<Depth>> {
        let mut depths = self.inner.depths().await?;
        if self.is(Defect::CountsToTen) {
            depths.iter_mut().for_each(|depth| depth.count = depth.count.min(10));
        }
        Ok(depths)
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        let mut beat = self.behind().beat(node).await?;
        match self.defect {
            Defect::CallsEveryBeatNew => beat.is_new = true,
            Defect::TellsNoSilence => beat.longest_silence = Duration::ZERO,
            Defect::TellsNobodyOfTheEnd => beat.cancelled.clear(),
            _ => {}
        }
        Ok(beat)
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        if self.is(Defect::ForgetsFarewells) { Ok(()) } else { self.behind().leave(node).await }
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        let lease = self.behind().lease(name, holder, ttl).await?;
        Ok(match lease {
            Some(lease) if self.is(Defect::NeverProlongs) => {
                let first = (name.to_owned(), holder);
                Some(*self.memory().leases.entry(first).or_insert(lease))
            }
            lease => lease,
        })
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        self.memory().plans.insert(schedule.to_owned(), run_at);
        self.behind().plan(schedule, run_at, work).await
    }

    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>> {
        let last = self.behind().last_run(schedule).await?;
        let planned = self.memory().plans.get(schedule).copied();
        Ok(if self.is(Defect::TellsTheLastPlan) { planned } else { last })
    }
}
