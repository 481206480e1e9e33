//! The schema's history.

use std::sync::Arc;

use neuroglia::data::{History, Index, Migration, Step, Store};
use neuroglia::error::{Error, ErrorKind};
use serde_json::json;
use tokio::task::JoinSet;

use super::{NOTES, SHELVES, at, batch, get, insert, put, refused, schema};

fn migration(version: u32, name: &'static str, steps: Vec<Step>) -> Migration {
    Migration { version, name, steps }
}

fn history() -> Vec<Migration> {
    vec![
        migration(1, "notes", vec![Step::CreateCollection(NOTES)]),
        migration(2, "shelves", vec![Step::CreateCollection(SHELVES), Step::CreateIndex(code(true))]),
        migration(5, "numbers may be left out", vec![Step::CreateCollection("boxes")]),
    ]
}

fn code(unique: bool) -> Index {
    Index { collection: NOTES, name: "notes_code", paths: vec!["code"], unique }
}

async fn apply(store: &dyn Store, migrations: &[Migration]) -> Vec<u32> {
    store.migrate(migrations, at(3)).await.expect("sound migrations are applied").applied
}

async fn applied(store: &dyn Store) -> Vec<u32> {
    let applied = store.applied_migrations().await.expect("the history is read");
    applied.into_iter().map(|done| done.version).collect()
}

async fn has(store: &dyn Store, collection: &'static str) -> bool {
    store.load(collection, "any").await.is_ok()
}

pub(super) async fn a_new_store_has_none(store: Arc<dyn Store>) {
    assert_eq!(applied(&*store).await, Vec::<u32>::new());
}

pub(super) async fn its_own_tables_are_migrated_with_the_applications(store: Arc<dyn Store>) {
    let own = store.own_history().await.expect("the history is read");
    assert_eq!(own.applied, Vec::new(), "nothing is applied by itself");
    let code = |history| History::check(&[history], "").iter().next().map(|fault| fault.code);
    let (is_behind, expected) = (code(own.clone()), own.expected.len());
    assert_eq!(is_behind, (expected > 0).then_some("behind"));
    assert_eq!(
        apply(&*store, &[]).await,
        Vec::<u32>::new(),
        "an application may have no migrations of its own"
    );
    let own = store.own_history().await.expect("the history is read");
    assert_eq!((own.applied.len(), code(own)), (expected, None));
}

pub(super) async fn they_are_applied_in_order_and_recorded(store: Arc<dyn Store>) {
    let history = history();
    assert_eq!(apply(&*store, &history).await, [1, 2, 5]);
    let applied = store.applied_migrations().await.expect("the history is read");
    assert_eq!(applied.len(), history.len());
    for (done, migration) in applied.iter().zip(&history) {
        assert_eq!((done.version, done.name.as_str()), (migration.version, migration.name));
        assert_eq!((done.checksum.clone(), done.applied_at), (migration.checksum(), at(3)));
    }
    assert!(has(&*store, NOTES).await && has(&*store, SHELVES).await && has(&*store, "boxes").await);
}

pub(super) async fn a_second_run_applies_nothing(store: Arc<dyn Store>) {
    apply(&*store, &history()).await;
    assert_eq!(apply(&*store, &history()).await, Vec::<u32>::new());
    assert_eq!(apply(&*store, &history()[..1]).await, Vec::<u32>::new(), "nor does an older release");
}

pub(super) async fn only_what_is_missing_is_applied(store: Arc<dyn Store>) {
    assert_eq!(apply(&*store, &history()[..1]).await, [1]);
    assert!(!has(&*store, SHELVES).await);
    assert_eq!(apply(&*store, &history()).await, [2, 5]);
    assert_eq!(applied(&*store).await, [1, 2, 5]);
}

pub(super) async fn two_runs_at_once_apply_each_once(store: Arc<dyn Store>) {
    let mut runs = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(&store);
        runs.spawn(async move { apply(&*store, &history()).await });
    }
    let mut together = runs.join_all().await.concat();
    together.sort_unstable();
    assert_eq!(together, [1, 2, 5], "each was applied by one run");
    assert_eq!(applied(&*store).await, [1, 2, 5]);
}

pub(super) async fn a_changed_migration_is_a_conflict(store: Arc<dyn Store>) {
    apply(&*store, &history()[..2]).await;
    let mut changed = history();
    changed[1].steps.push(Step::CreateCollection("more"));
    let error = refused(store.migrate(&changed, at(4)).await, ErrorKind::Conflict, "a changed migration");
    assert!(error.detail().contains("2 (shelves)"), "it is named: {error:?}");
    assert!(!has(&*store, "more").await && !has(&*store, "boxes").await, "nothing after it is applied");
    assert_eq!(applied(&*store).await, [1, 2]);
}

pub(super) async fn a_migration_that_a_later_one_overtook_is_refused(store: Arc<dyn Store>) {
    let history = history();
    let released = [history[0].clone(), history[2].clone()];
    assert_eq!(apply(&*store, &released).await, [1, 5]);
    let late = store.migrate(&history, at(4)).await;
    let error = refused(late, ErrorKind::Conflict, "a migration that was merged after a later one");
    assert_eq!(error.code(), "migration.order");
    is_named(&error, "2 (shelves)");
    assert!(!has(&*store, SHELVES).await);
    assert_eq!(applied(&*store).await, [1, 5]);
    let next = [released.as_slice(), &[migration(6, "shelves", history[1].steps.clone())]].concat();
    assert_eq!(apply(&*store, &next).await, [6], "with a version that follows it is applied");
}

fn is_named(error: &Error, name: &str) {
    assert!(error.detail().contains(name), "the migration is named: {error:?}");
}

pub(super) async fn a_failing_migration_leaves_nothing_and_is_named(store: Arc<dyn Store>) {
    let mut failing = history();
    failing[1].steps.push(Step::CreateCollection(NOTES));
    let error =
        refused(store.migrate(&failing, at(3)).await, ErrorKind::Internal, "a collection created twice");
    is_named(&error, "2 (shelves)");
    assert_eq!(applied(&*store).await, [1], "those before it stay");
    assert!(has(&*store, NOTES).await && !has(&*store, SHELVES).await, "its first step was taken back");
    assert_eq!(apply(&*store, &history()).await, [2, 5], "mended, it is applied");

    let nowhere = Step::CreateIndex(Index { collection: "nowhere", ..code(false) });
    let index = migration(6, "index", vec![Step::DropIndex("notes_code"), nowhere]);
    is_named(
        &refused(store.migrate(&[index], at(3)).await, ErrorKind::Internal, "an index of nothing"),
        "6 (index)",
    );
    let drop = migration(6, "drop", vec![Step::DropIndex("notes_nothing")]);
    is_named(
        &refused(store.migrate(&[drop], at(3)).await, ErrorKind::Internal, "the end of no index"),
        "6 (drop)",
    );
    put(&*store, [insert(NOTES, "a", &json!({ "code": 1 }))]).await;
    let taken = store.commit(batch([insert(NOTES, "b", &json!({ "code": 1 }))])).await;
    refused(taken, ErrorKind::Conflict, "a value of an index whose end was taken back");
}

pub(super) async fn a_unique_index_over_duplicates_fails(store: Arc<dyn Store>) {
    apply(&*store, &history()[..1]).await;
    let same = json!({ "code": "same" });
    put(&*store, [insert(NOTES, "a", &same), insert(NOTES, "b", &same)]).await;
    let index = migration(2, "codes", vec![Step::CreateIndex(code(true))]);
    let error =
        refused(store.migrate(&[index], at(3)).await, ErrorKind::Internal, "a unique index over duplicates");
    is_named(&error, "2 (codes)");
    assert_eq!(applied(&*store).await, [1]);
    put(&*store, [insert(NOTES, "c", &same)]).await;
}

pub(super) async fn a_dropped_index_forbids_nothing(store: Arc<dyn Store>) {
    apply(&*store, &history()).await;
    put(&*store, [insert(NOTES, "a", &json!({ "code": 1 }))]).await;
    let end = migration(6, "codes may repeat", vec![Step::DropIndex("notes_code")]);
    assert_eq!(apply(&*store, &[end]).await, [6]);
    put(&*store, [insert(NOTES, "b", &json!({ "code": 1 }))]).await;
    let again = migration(7, "an index for speed", vec![Step::CreateIndex(code(false))]);
    assert_eq!(apply(&*store, &[again]).await, [7], "its name is free");
}

pub(super) async fn steps_for_other_engines_are_passed_by(store: Arc<dyn Store>) {
    let foreign = Step::Sql { engine: "another", statement: "this is no SQL at all" };
    let mixed = migration(1, "mixed", vec![foreign, Step::CreateCollection(NOTES)]);
    assert_eq!(apply(&*store, &[mixed]).await, [1]);
    assert!(has(&*store, NOTES).await);
}

pub(super) async fn versions_out_of_order_are_refused(store: Arc<dyn Store>) {
    let mut history = history();
    history.swap(0, 1);
    refused(store.migrate(&history, at(3)).await, ErrorKind::Internal, "migrations out of order");
    let twice = [history[0].clone(), history[0].clone()];
    refused(store.migrate(&twice, at(3)).await, ErrorKind::Internal, "one version twice");
    assert_eq!(applied(&*store).await, Vec::<u32>::new());
}

pub(super) async fn unsafe_and_reserved_names_are_refused(store: Arc<dyn Store>) {
    let index = |name, path| {
        Step::CreateIndex(Index { collection: NOTES, name, paths: Vec::from_iter(path), unique: false })
    };
    for step in [
        Step::CreateCollection("notes\"; DROP TABLE notes; --"),
        Step::CreateCollection(""),
        Step::CreateCollection("Notes"),
        Step::CreateCollection("1st"),
        Step::CreateCollection("ng_outbox"),
        Step::DropIndex("a b"),
        index("a'b", Some("code")),
        index("notes_code", Some("code'")),
        index("notes_code", Some("a..b")),
        index("notes_code", None),
    ] {
        let odd = [schema(), migration(2, "odd", vec![step.clone()])];
        let outcome = store.migrate(&odd, at(3)).await;
        is_named(&refused(outcome, ErrorKind::Internal, &format!("{step:?}")), "2 (odd)");
    }
    assert_eq!(applied(&*store).await, Vec::<u32>::new(), "they are refused before anything is applied");
}

pub(super) async fn documents_outlive_later_migrations(store: Arc<dyn Store>) {
    apply(&*store, &history()[..1]).await;
    put(&*store, [insert(NOTES, "a", &json!({ "code": 1 })), insert(NOTES, "b", &json!({}))]).await;
    apply(&*store, &history()).await;
    assert!(get(&*store, NOTES, "a").await.is_some() && get(&*store, NOTES, "b").await.is_some());
    let taken = store.commit(batch([insert(NOTES, "c", &json!({ "code": 1 }))])).await;
    refused(taken, ErrorKind::Conflict, "a value that was there before the unique index");
}
