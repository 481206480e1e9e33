//! The conformance suite is worth something only if it finds what is wrong: engines with one defect each.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{
    Batch, Change, Condition, Direction, Document, History, Migration, MigrationRun, Reservation, Reserve,
    Select, Step, Store,
};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia_testing::conformance::store::{RULES, run};
use neuroglia_testing::{Layered, StoreLayer};
use tokio::task::JoinSet;

use crate::{broken_answers, broken_work};

/// What is wrong with the engine.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    IgnoresVersions,
    DropsTheOutbox,
    WritesOneByOne,
    SortsUnsetLast,
    NegatesUnset,
    MatchesTextInsteadOfValues,
    ForgetsUniqueIndexes,
    SaysNotFoundWhenAway,
    NeverExpiresKeys,
    AnswersWithoutTheKey,
    AppliesChangedMigrations,
    AppliesOvertakenMigrations,
    ForgetsItsOwnTables,
}

struct Broken {
    inner: MemoryStore,
    defect: Defect,
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn select(&self, select: &Select) -> Select {
        let mut select = select.clone();
        if self.is(Defect::NegatesUnset) {
            negate_unset(&mut select.condition);
        }
        select
    }
}

/// Makes the opposite of a comparison hold for unset fields, as two-valued logic would.
fn negate_unset(condition: &mut Condition) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(negate_unset),
        Condition::Not(part) => match &**part {
            Condition::Compare { path, .. } => {
                let unset = Condition::IsNull(*path);
                *condition = Condition::Any(vec![condition.clone(), unset]);
            }
            _ => negate_unset(part),
        },
        Condition::Compare { .. } | Condition::In { .. } | Condition::IsNull(_) => {}
    }
}

#[async_trait]
impl StoreLayer for Broken {
    fn behind(&self) -> &dyn Store {
        &self.inner
    }

    async fn load(&self, collection: &'static str, id: &str) -> Result<Option<Document>> {
        match self.inner.load(collection, id).await {
            Err(error) if error.kind() == ErrorKind::Unavailable && self.is(Defect::SaysNotFoundWhenAway) => {
                Ok(None)
            }
            outcome => outcome,
        }
    }

    async fn query(&self, select: &Select) -> Result<Vec<Document>> {
        let mut found = self.inner.query(&self.select(select)).await?;
        if self.is(Defect::SortsUnsetLast)
            && let Some(first) = select.sort.first()
            && first.direction == Direction::Ascending
        {
            let unset = Select { condition: Condition::IsNull(first.path), ..select.clone() };
            let unset = self.inner.query(&unset).await?;
            found.sort_by_key(|document| unset.contains(document));
        }
        if self.is(Defect::MatchesTextInsteadOfValues) && format!("{:?}", select.condition).contains('\'') {
            found.clear();
        }
        Ok(found)
    }

    async fn count(&self, select: &Select) -> Result<u64> {
        self.inner.count(&self.select(select)).await
    }

    async fn commit(&self, mut batch: Batch) -> Result<()> {
        match self.defect {
            Defect::DropsTheOutbox => batch.outbox.clear(),
            Defect::IgnoresVersions => {
                for write in &mut batch.writes {
                    let found = self.inner.load(write.collection, &write.id).await?;
                    if let Some(found) = found
                        && let Change::Update { expected, .. } | Change::Delete { expected } =
                            &mut write.change
                    {
                        *expected = found.version;
                    }
                }
            }
            Defect::WritesOneByOne => {
                for write in std::mem::take(&mut batch.writes) {
                    self.inner
                        .commit(Batch { at: batch.at, writes: vec![write], ..Batch::default() })
                        .await?;
                }
            }
            Defect::AnswersWithoutTheKey => {
                let lost = |error: &Error| error.code() == "idempotency.lost";
                let (at, writes) = (batch.at, batch.writes.clone());
                return match self.inner.commit(batch).await {
                    Err(error) if lost(&error) => {
                        self.inner.commit(Batch { at, writes, ..Batch::default() }).await
                    }
                    outcome => outcome,
                };
            }
            _ => {}
        }
        self.inner.commit(batch).await
    }

    async fn reserve(&self, reserve: &Reserve) -> Result<Reservation> {
        let mut reserve = reserve.clone();
        if self.is(Defect::NeverExpiresKeys) {
            reserve.hold = Duration::from_secs(600);
        }
        self.inner.reserve(&reserve).await
    }

    async fn own_history(&self) -> Result<History> {
        let mut own = self.inner.own_history().await?;
        if self.is(Defect::ForgetsItsOwnTables) {
            own.expected.push(Migration { version: 1, name: "never applied", steps: Vec::new() });
        }
        Ok(own)
    }

    async fn migrate(&self, migrations: &[Migration], now: Timestamp) -> Result<MigrationRun> {
        let mut migrations = migrations.to_vec();
        match self.defect {
            Defect::ForgetsUniqueIndexes => {
                for step in migrations.iter_mut().flat_map(|migration| &mut migration.steps) {
                    if let Step::CreateIndex(index) = step {
                        index.unique = false;
                    }
                }
            }
            Defect::AppliesChangedMigrations => {
                let applied = self.inner.applied_migrations().await?;
                migrations.retain(|migration| applied.iter().all(|done| done.version != migration.version));
            }
            Defect::AppliesOvertakenMigrations => {
                let applied = self.inner.applied_migrations().await?;
                migrations.retain(|migration| applied.iter().all(|done| done.version < migration.version));
            }
            _ => {}
        }
        self.inner.migrate(&migrations, now).await
    }
}

fn broken(defect: Defect) -> Arc<dyn Store> {
    Arc::new(Layered(Broken { inner: MemoryStore::new(), defect }))
}

/// How a store keeps the rule with this name.
async fn keeps(store: Arc<dyn Store>, name: &str) -> Result<(), String> {
    RULES.iter().find(|rule| rule.name == name).expect("the suite has the rule").check(store).await
}

#[tokio::test]
async fn a_wrapper_without_a_defect_breaks_no_rule() {
    run(async || broken(Defect::None)).await;
    run(async || broken_work::broken(broken_work::Defect::None)).await;
    run(async || broken_answers::broken(broken_answers::Defect::None)).await;
}

/// What is wrong with the engine, and which rule is about it.
const DEFECTS: &[(Defect, &str)] = &[
    (Defect::IgnoresVersions, "an_update_of_an_old_version_is_a_conflict_and_changes_nothing"),
    (Defect::IgnoresVersions, "a_delete_of_an_old_version_is_a_conflict_and_changes_nothing"),
    (Defect::IgnoresVersions, "concurrent_commits_lose_no_update"),
    (Defect::IgnoresVersions, "of_two_readers_the_second_to_save_meets_a_conflict"),
    (Defect::IgnoresVersions, "an_object_that_met_a_conflict_meets_it_again"),
    (Defect::DropsTheOutbox, "events_are_told_once_in_order"),
    (Defect::DropsTheOutbox, "a_commit_that_is_dropped_leaves_nothing_open"),
    (Defect::DropsTheOutbox, "the_oldest_messages_come_first"),
    (Defect::DropsTheOutbox, "concurrent_batches_do_not_mix_their_messages"),
    (Defect::DropsTheOutbox, "the_depth_tells_count_and_age"),
    (Defect::WritesOneByOne, "a_batch_is_kept_whole_or_not_at_all"),
    (Defect::WritesOneByOne, "a_step_for_another_engine_refuses_the_batch"),
    (Defect::WritesOneByOne, "a_failed_batch_keeps_no_answer"),
    (Defect::WritesOneByOne, "a_failed_batch_leaves_the_work_running"),
    (Defect::WritesOneByOne, "events_of_a_failed_commit_are_never_told"),
    (Defect::SortsUnsetLast, "unset_fields_come_first_ascending_and_last_descending"),
    (Defect::NegatesUnset, "an_unset_field_matches_no_comparison_nor_its_opposite"),
    (Defect::MatchesTextInsteadOfValues, "values_are_values_whatever_they_contain"),
    (Defect::ForgetsUniqueIndexes, "a_unique_value_is_taken_once"),
    (Defect::ForgetsUniqueIndexes, "writes_are_carried_out_in_order"),
    (Defect::ForgetsUniqueIndexes, "a_unique_value_is_free_again_when_its_document_lets_go"),
    (Defect::ForgetsUniqueIndexes, "a_unique_index_over_two_fields_forbids_only_both"),
    (Defect::ForgetsUniqueIndexes, "they_are_applied_in_order_and_recorded"),
    (Defect::ForgetsUniqueIndexes, "a_failing_migration_leaves_nothing_and_is_named"),
    (Defect::ForgetsUniqueIndexes, "a_unique_index_over_duplicates_fails"),
    (Defect::ForgetsUniqueIndexes, "documents_outlive_later_migrations"),
    (Defect::SaysNotFoundWhenAway, "a_closed_store_is_unavailable"),
    (Defect::NeverExpiresKeys, "a_taker_that_was_never_heard_of_again_loses_the_key"),
    (Defect::NeverExpiresKeys, "expired_records_are_purged_and_no_others"),
    (Defect::AnswersWithoutTheKey, "a_taker_that_was_never_heard_of_again_loses_the_key"),
    (Defect::AppliesChangedMigrations, "a_changed_migration_is_a_conflict"),
    (Defect::AppliesOvertakenMigrations, "a_migration_that_a_later_one_overtook_is_refused"),
    (Defect::ForgetsItsOwnTables, "its_own_tables_are_migrated_with_the_applications"),
];

/// Checks that each rule finds what is wrong with each engine.
async fn assert_found<D: Debug>(planted: impl IntoIterator<Item = (D, Arc<dyn Store>, &'static str)>) {
    let mut checks = JoinSet::new();
    for (defect, store, rule) in planted {
        let what = format!("{defect:?} must break {rule}");
        checks.spawn(async move { assert!(keeps(store, rule).await.is_err(), "{what}") });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn every_defect_is_found_by_the_rules_that_are_about_it() {
    assert_found(DEFECTS.iter().map(|&(defect, rule)| (defect, broken(defect), rule))).await;
    let at_work = broken_work::DEFECTS.iter();
    assert_found(at_work.map(|&(defect, rule)| (defect, broken_work::broken(defect), rule))).await;
    let answers = broken_answers::DEFECTS.iter();
    let answers = answers.flat_map(|(defect, rules)| rules.iter().map(|rule| (*defect, *rule)));
    assert_found(answers.map(|(defect, rule)| (defect, broken_answers::broken(defect), rule))).await;
}

#[test]
fn every_rule_finds_a_defect() {
    let mut shown: BTreeSet<&str> = DEFECTS.iter().map(|(_, rule)| *rule).collect();
    shown.extend(broken_work::DEFECTS.iter().map(|(_, rule)| *rule));
    shown.extend(broken_answers::DEFECTS.iter().flat_map(|(_, rules)| rules.iter().copied()));
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    let idle: Vec<_> = rules.difference(&shown).collect();
    assert!(idle.is_empty(), "plant a defect for each of {idle:#?}");
}
