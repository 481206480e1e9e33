//! The conformance suite is worth something only if it finds what is wrong: engines with one defect each.

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
pub(crate) async fn keeps(store: Arc<dyn Store>, name: &str) -> Result<(), String> {
    RULES.iter().find(|rule| rule.name == name).expect("the suite has the rule").check(store).await
}

#[tokio::test]
async fn a_wrapper_without_a_defect_breaks_no_rule() {
    run(async || broken(Defect::None)).await;
}

#[tokio::test]
async fn every_defect_is_found_by_the_rule_that_is_about_it() {
    for (defect, rule) in [
        (Defect::IgnoresVersions, "an_update_of_an_old_version_is_a_conflict_and_changes_nothing"),
        (Defect::IgnoresVersions, "concurrent_commits_lose_no_update"),
        (Defect::DropsTheOutbox, "events_are_told_once_in_order"),
        (Defect::WritesOneByOne, "a_batch_is_kept_whole_or_not_at_all"),
        (Defect::SortsUnsetLast, "unset_fields_come_first_ascending_and_last_descending"),
        (Defect::NegatesUnset, "an_unset_field_matches_no_comparison_nor_its_opposite"),
        (Defect::MatchesTextInsteadOfValues, "values_are_values_whatever_they_contain"),
        (Defect::ForgetsUniqueIndexes, "a_unique_value_is_taken_once"),
        (Defect::SaysNotFoundWhenAway, "a_closed_store_is_unavailable"),
        (Defect::NeverExpiresKeys, "a_taker_that_was_never_heard_of_again_loses_the_key"),
        (Defect::AnswersWithoutTheKey, "a_taker_that_was_never_heard_of_again_loses_the_key"),
        (Defect::AppliesChangedMigrations, "a_changed_migration_is_a_conflict"),
        (Defect::AppliesOvertakenMigrations, "a_migration_that_a_later_one_overtook_is_refused"),
        (Defect::ForgetsItsOwnTables, "its_own_tables_are_migrated_with_the_applications"),
    ] {
        assert!(keeps(broken(defect), rule).await.is_err(), "{defect:?} must break {rule}");
    }
}
