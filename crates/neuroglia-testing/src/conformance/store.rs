//! What every engine of the store port must do, rule by rule.
//!
//! An engine's tests give a function that makes a new, empty store, and get one test for each rule:
//!
//! ```
//! mod memory {
//!     use std::sync::Arc;
//!     use neuroglia::data::{Store, memory::MemoryStore};
//!
//!     async fn make() -> Arc<dyn Store> {
//!         Arc::new(MemoryStore::new())
//!     }
//!     neuroglia_testing::store_conformance!(make);
//! }
//! ```
//!
//! A store that needs something kept while it lives, such as a temporary folder, comes as a pair with it. Where
//! a test for each rule is not wanted, [`run`] checks them all at once.
//!
//! The suite is itself tested: engines that are wrong in one way each must fail it.

mod aggregates;
mod attempts;
mod claims;
mod commits;
mod deliveries;
mod documents;
mod idempotency;
mod jobs;
mod leases;
mod migrations;
mod nodes;
mod operators;
mod outbox;
mod queries;
mod schedule;
mod workbench;

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{
    Batch, Change, Condition, Direction, Document, Index, Migration, OutboxMessage, Path, Select, Sort, Step,
    Store, Write,
};
use neuroglia::error::{Error, ErrorKind, Result};

/// A store that is examined, and what must live as long as it.
pub struct Subject {
    store: Arc<dyn Store>,
    _kept: Box<dyn Any + Send>,
}

impl From<Arc<dyn Store>> for Subject {
    fn from(store: Arc<dyn Store>) -> Self {
        Self { store, _kept: Box::new(()) }
    }
}

impl<K: Any + Send> From<(Arc<dyn Store>, K)> for Subject {
    fn from((store, kept): (Arc<dyn Store>, K)) -> Self {
        Self { store, _kept: Box::new(kept) }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.store.engine())
    }
}

/// What holds a store to a rule.
type Check = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One rule: a store that breaks it makes it panic with the reason.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// What it is about.
    pub group: &'static str,
    /// What it says.
    pub name: &'static str,
    check: Check,
}

/// How a store kept a rule.
#[derive(Debug)]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// Why the store broke it, if it did.
    pub outcome: Result<(), String>,
}

macro_rules! rules {
    (($d:tt) $($group:ident { $($name:ident,)+ })+) => {
        /// Every rule, from the simple to the intricate.
        pub const RULES: &[Rule] = &[$($(
            Rule {
                group: stringify!($group),
                name: stringify!($name),
                check: |store| Box::pin($group::$name(store)),
            },
        )+)+];

        /// One `#[test]` for each rule of the [store port](crate::conformance::store).
        ///
        /// Its argument is a function, or a closure, that makes a new and empty store: its future gives an
        /// `Arc<dyn Store>`, or a pair of one and of what must live as long as it.
        #[macro_export]
        macro_rules! store_conformance {
            ($d make:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::conformance::store::check(stringify!($name), $d make);
                    }
                )+)+
            };
        }
    };
}

rules! { ($)
    documents {
        an_inserted_document_is_loaded_as_it_was,
        an_unknown_id_is_none,
        an_unknown_collection_is_an_error_and_not_none,
        one_id_in_two_collections_is_two_documents,
        a_second_insert_of_an_id_is_a_conflict,
        an_update_of_nothing_is_not_found,
        a_delete_of_nothing_is_not_found,
        a_deleted_document_is_gone_and_its_id_is_free,
        a_version_begins_at_zero_and_grows_by_one,
        an_update_of_an_old_version_is_a_conflict_and_changes_nothing,
        a_delete_of_an_old_version_is_a_conflict_and_changes_nothing,
        an_update_moves_updated_at_and_not_created_at,
        unicode_and_large_bodies_come_back_as_they_were,
        ids_are_plain_text_compared_by_their_bytes,
        a_body_that_is_not_json_is_refused,
    }
    queries {
        comparisons_hold_for_values_of_each_type,
        texts_are_compared_by_their_bytes,
        a_path_leads_into_nested_objects,
        a_field_that_is_not_there_is_null,
        an_unset_field_matches_no_comparison_nor_its_opposite,
        all_any_not_and_in_follow_three_valued_logic,
        unset_fields_come_first_ascending_and_last_descending,
        several_keys_sort_in_turn_each_in_its_direction,
        a_limit_cuts_off_and_a_count_does_not,
        several_queries_are_answered_each_as_alone,
        values_are_values_whatever_they_contain,
        names_that_are_unsafe_are_refused,
        pages_show_every_item_once_in_every_order,
        inserts_before_the_cursor_neither_repeat_nor_skip_items,
        a_cursor_of_another_list_is_malformed,
    }
    commits {
        a_batch_is_kept_whole_or_not_at_all,
        writes_are_carried_out_in_order,
        a_unique_value_is_taken_once,
        a_unique_value_is_free_again_when_its_document_lets_go,
        unset_fields_never_collide,
        a_unique_index_over_two_fields_forbids_only_both,
        concurrent_commits_lose_no_update,
        of_concurrent_inserts_one_wins,
        a_commit_that_is_dropped_leaves_nothing_open,
        a_step_for_another_engine_refuses_the_batch,
        a_store_answers_pings_until_it_is_closed,
        a_closed_store_is_unavailable,
    }
    outbox {
        messages_are_kept_as_they_were_in_the_order_of_commits,
        a_failed_batch_sends_nothing,
        the_oldest_messages_come_first,
        concurrent_batches_do_not_mix_their_messages,
        a_relay_gets_the_oldest_messages_first,
        of_a_subject_only_the_first_message_is_given,
        a_confirmed_message_is_gone_and_its_successor_can_go,
        who_did_not_claim_a_message_neither_confirms_nor_returns_it,
        a_returned_message_waits_for_its_pause_before_its_successors,
        a_claim_whose_lease_is_over_is_free_again,
        concurrent_relays_never_get_the_same_message,
        a_subject_that_many_write_to_loses_no_message,
        the_depth_tells_count_and_age,
    }
    idempotency {
        a_key_is_taken_once,
        of_concurrent_takers_one_gets_the_key,
        keys_do_not_touch_each_other,
        an_answer_is_committed_with_the_change,
        an_answer_is_kept_until_its_time,
        a_failed_batch_keeps_no_answer,
        a_released_key_is_free,
        only_the_holder_releases_a_key,
        an_answered_key_is_not_released,
        a_taker_that_was_never_heard_of_again_loses_the_key,
        a_nodes_clock_has_no_part_in_the_life_of_a_key,
        expired_records_are_purged_and_no_others,
    }
    deliveries {
        an_event_is_delivered_to_each_of_its_consumers_and_to_no_others,
        an_event_is_delivered_once_even_after_it_was_handled,
        an_event_for_one_consumer_is_delivered_to_that_one_if_it_wants_it,
        subscriptions_are_changed_listed_and_taken_back,
        an_ordered_consumer_gets_the_events_of_a_subject_in_turn,
        events_without_a_subject_do_not_wait_for_each_other,
    }
    claims {
        a_claim_counts_the_attempt_and_gives_what_was_stored,
        a_higher_priority_comes_before_an_older_age,
        the_kinds_of_a_queue_share_one_order,
        a_claim_takes_from_its_queues_and_kinds_only,
        a_claim_takes_no_more_than_its_room,
        of_a_lane_only_the_head_is_claimed,
        a_failed_head_holds_up_its_lane_until_its_time,
        a_head_that_has_failed_for_good_lets_the_next_go,
        a_lane_follows_what_operators_do,
        what_is_replayed_never_runs_beside_another_of_its_lane,
        lanes_and_kinds_do_not_hold_each_other_up,
        concurrent_claimers_never_get_the_same_work,
        a_lane_that_many_come_to_and_leave_loses_nobody,
    }
    attempts {
        a_finish_commits_effects_messages_and_jobs_with_the_end,
        a_finish_with_a_lost_ticket_changes_nothing,
        a_failed_batch_leaves_the_work_running,
        a_retry_waits_for_its_pause_and_keeps_the_failure,
        a_release_does_not_count_the_attempt,
        dead_work_keeps_its_last_failures_each_of_bounded_size,
        parked_work_waits_for_an_operator,
        a_settlement_with_a_lost_ticket_changes_nothing,
        progress_is_noted_with_a_valid_ticket_only,
        work_that_was_called_off_is_not_tried_again,
    }
    operators {
        a_list_filters_and_pages,
        a_replay_begins_at_the_first_attempt,
        an_edit_changes_the_payload,
        deleted_work_is_forgotten,
        waiting_work_is_called_off_at_once,
        running_work_that_is_called_off_is_told_to_its_node,
        a_purge_deletes_what_is_over_and_nothing_else,
        depths_count_by_queue_kind_and_state,
        depths_tell_since_when_work_is_due,
        depths_count_up_to_a_limit_of_each_kind,
        depths_count_what_is_left_to_do_or_to_look_at,
        replayed_work_is_purged_no_earlier_than_other_work,
    }
    jobs {
        a_job_comes_with_its_batch_or_not_at_all,
        a_job_is_not_claimed_before_its_time,
        a_unique_key_keeps_an_equal_live_job_out,
        a_unique_key_is_free_when_its_job_has_ended,
        a_job_may_ask_for_its_own_successor,
        a_replay_whose_key_is_taken_is_a_conflict,
        a_result_is_kept,
        a_job_is_stored_once_by_its_id,
    }
    nodes {
        a_first_beat_is_new_and_later_ones_are_not,
        a_silent_node_is_buried_at_the_second_look_and_its_work_given_back,
        two_looks_at_the_same_moment_are_one,
        a_beat_tells_how_long_the_most_silent_of_the_others_is_silent,
        a_node_that_beats_again_is_not_buried,
        a_buried_nodes_tickets_are_void_and_its_next_beat_is_new,
        who_is_not_known_gets_no_work,
        a_crash_means_what_the_work_says,
        work_that_takes_too_many_processes_along_is_parked,
        work_that_two_processes_died_of_is_given_back_apart,
        suspects_of_nodes_that_are_buried_together_are_given_back_apart,
        called_off_work_of_the_dead_is_not_tried_again,
        a_node_that_leaves_gives_its_work_back_uncounted,
        the_work_of_the_dead_is_given_back_in_steps,
        a_node_goes_with_its_last_piece_of_work,
    }
    leases {
        a_lease_has_one_holder_at_a_time,
        a_renewal_keeps_the_epoch_and_moves_the_end,
        a_lease_that_is_over_goes_to_another_with_a_larger_epoch,
        a_resigned_lease_is_free_at_once,
        a_strangers_resignation_changes_nothing,
        leases_do_not_touch_each_other,
        of_concurrent_candidates_one_leads,
    }
    schedule {
        a_run_is_planned_once_with_its_work,
        of_concurrent_planners_one_plans,
        the_last_run_is_the_latest,
        old_runs_are_purged_but_the_last_of_each_schedule,
    }
    migrations {
        a_new_store_has_none,
        its_own_tables_are_migrated_with_the_applications,
        they_are_applied_in_order_and_recorded,
        a_second_run_applies_nothing,
        only_what_is_missing_is_applied,
        two_runs_at_once_apply_each_once,
        a_changed_migration_is_a_conflict,
        a_migration_that_a_later_one_overtook_is_refused,
        a_failing_migration_leaves_nothing_and_is_named,
        a_unique_index_over_duplicates_fails,
        a_dropped_index_forbids_nothing,
        steps_for_other_engines_are_passed_by,
        versions_out_of_order_are_refused,
        unsafe_and_reserved_names_are_refused,
        documents_outlive_later_migrations,
    }
    aggregates {
        a_saved_aggregate_is_equal_to_the_one_that_is_got,
        nothing_is_visible_to_others_before_the_commit,
        a_mutation_of_a_fetched_aggregate_is_invisible_until_it_is_saved,
        each_save_grows_the_version_by_one_however_many_events,
        of_two_readers_the_second_to_save_meets_a_conflict,
        an_object_that_met_a_conflict_meets_it_again,
        removed_is_none_and_removing_the_unsaved_is_not_found,
        events_are_told_once_in_order,
        events_of_a_failed_commit_are_never_told,
        times_are_those_of_the_commits,
    }
}

impl Rule {
    /// Checks it against a new store.
    ///
    /// # Errors
    /// Why the store breaks the rule.
    pub async fn check(self, subject: impl Into<Subject>) -> Result<(), String> {
        let subject = subject.into();
        let store = Arc::clone(&subject.store);
        if self.group != "migrations" {
            let migrated = store.migrate(&[schema()], at(0)).await;
            migrated.map_err(|error| format!("the suite's own migration failed: {error:?}"))?;
        }
        let checked = tokio::spawn((self.check)(Arc::clone(&store))).await;
        store.close().await;
        drop(subject);
        checked.map_err(|stopped| match stopped.try_into_panic() {
            Ok(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
                (Some(text), _) => text.clone(),
                (None, Some(text)) => (*text).to_owned(),
                (None, None) => "a panic without a text".to_owned(),
            },
            Err(stopped) => stopped.to_string(),
        })
    }
}

/// Checks every rule, each against a store of its own.
pub async fn verdicts<S: Into<Subject>, F: Future<Output = S>>(make: impl Fn() -> F) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(RULES.len());
    for rule in RULES {
        verdicts.push(Verdict { rule: *rule, outcome: rule.check(make().await).await });
    }
    verdicts
}

/// Checks every rule, each against a store of its own.
///
/// # Panics
/// With every rule that the store breaks, and how.
pub async fn run<S: Into<Subject>, F: Future<Output = S>>(make: impl Fn() -> F) {
    let broken: Vec<_> = verdicts(make)
        .await
        .into_iter()
        .filter_map(|Verdict { rule, outcome }| {
            outcome.err().map(|why| format!("{}::{}: {why}", rule.group, rule.name))
        })
        .collect();
    assert!(broken.is_empty(), "the store breaks {} rules:\n{}", broken.len(), broken.join("\n"));
}

#[doc(hidden)]
pub fn check<S: Into<Subject>, F: Future<Output = S>>(name: &str, make: impl Fn() -> F) {
    let rule = RULES.iter().find(|rule| rule.name == name).expect("the macro names only rules of the table");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a machine that runs tests has a thread to spare");
    if let Err(why) = runtime.block_on(async { rule.check(make().await).await }) {
        panic!("{why}");
    }
}

// What the rules are written in.

const NOTES: &str = "notes";
const SHELVES: &str = "shelves";

/// The collections that the rules use.
fn schema() -> Migration {
    let index = |name, paths: &[&'static str], unique| {
        Step::CreateIndex(Index { collection: NOTES, name, paths: paths.to_vec(), unique })
    };
    Migration {
        version: 1,
        name: "conformance",
        steps: vec![
            Step::CreateCollection(NOTES),
            Step::CreateCollection(SHELVES),
            index("notes_rank", &["rank"], false),
            index("notes_code", &["code"], true),
            index("notes_place", &["place.shelf", "place.slot"], true),
        ],
    }
}

/// A moment of the suite's own time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000) + Duration::from_secs(seconds.unsigned_abs())
}

fn insert(collection: &'static str, id: &str, body: &serde_json::Value) -> Write {
    Write { collection, id: id.to_owned(), change: Change::Insert { body: body.to_string() } }
}

fn update(collection: &'static str, id: &str, expected: u64, body: &serde_json::Value) -> Write {
    Write { collection, id: id.to_owned(), change: Change::Update { expected, body: body.to_string() } }
}

fn delete(collection: &'static str, id: &str, expected: u64) -> Write {
    Write { collection, id: id.to_owned(), change: Change::Delete { expected } }
}

fn batch(writes: impl IntoIterator<Item = Write>) -> Batch {
    Batch { at: at(1), writes: writes.into_iter().collect(), ..Batch::default() }
}

fn message(name: &str, subject: &str) -> OutboxMessage {
    OutboxMessage { at: at(1), ..crate::workbench::message(name, subject) }
}

fn select(condition: Condition, sort: &[(Path, Direction)]) -> Select {
    let mut sort: Vec<_> = sort.iter().map(|&(path, direction)| Sort { path, direction }).collect();
    if sort.iter().all(|sort| sort.path != Path::Id) {
        sort.push(Sort { path: Path::Id, direction: Direction::Ascending });
    }
    Select { collection: NOTES, condition, sort, limit: 1_000 }
}

async fn put(store: &dyn Store, writes: impl IntoIterator<Item = Write>) {
    store.commit(batch(writes)).await.expect("a batch that breaks no rule is committed");
}

async fn get(store: &dyn Store, collection: &'static str, id: &str) -> Option<Document> {
    store.load(collection, id).await.expect("a document is loaded from a store that is there")
}

/// The ids of the matching notes, in the order of the ids.
async fn matching(store: &dyn Store, condition: Condition) -> String {
    sorted(store, select(condition, &[])).await
}

async fn sorted(store: &dyn Store, select: Select) -> String {
    let documents = store.query(&select).await.expect("a sound query is answered");
    documents.into_iter().map(|document| document.id).collect::<Vec<_>>().join(" ")
}

fn json(document: &Document) -> serde_json::Value {
    serde_json::from_str(&document.body).expect("a stored body is JSON")
}

/// The error of something that must not succeed.
fn refused<T: fmt::Debug>(outcome: Result<T>, kind: ErrorKind, what: &str) -> Error {
    let error = match outcome {
        Ok(done) => panic!("{what} must be refused with {kind:?}, and gave {done:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), kind, "{what} was refused otherwise: {error:?}");
    error
}

/// The error of a compare-and-set, with what the writer had read and what is there.
fn conflicting(outcome: Result<()>, kind: ErrorKind, expected: Option<u64>, actual: Option<u64>) -> Error {
    let error = refused(outcome, kind, "a write that expects another version");
    let conflict = error.as_version_conflict().expect("a failed compare-and-set carries its versions");
    assert_eq!(
        (conflict.expected, conflict.actual),
        (expected, actual),
        "expected and actual version: {error:?}"
    );
    error
}
