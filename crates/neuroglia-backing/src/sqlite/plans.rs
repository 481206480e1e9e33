//! What claims, purges and burials cost does not depend on what they leave alone: the plans of their statements show it.

use neuroglia::clock::Timestamp;
use neuroglia::data::Store;
use sqlx::{AssertSqlSafe, Row};

use super::{SqliteOptions, SqliteStore, outbox, work};

/// How SQLite would run the statement, a line for each step.
async fn plan(statement: &str, parameters: usize) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("store.db").display());
    let url = url.parse().expect("a path makes a URL");
    let store = SqliteStore::open(&url, SqliteOptions::default()).await.expect("the file can be opened");
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own tables are made");
    let mut explain = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
    for _ in 0..parameters {
        explain = explain.bind(1);
    }
    let rows = store.read_all(explain).await.expect("a sound statement has a plan");
    let steps = rows.iter().map(|row| row.try_get("detail").expect("a step has a text"));
    steps.collect::<Vec<String>>().join("; ")
}

/// The plan reads only what the index leads to, in the order of the index.
fn follows(plan: &str, index: &str) {
    assert!(plan.contains(index), "it does not use {index}: {plan}");
    assert!(!plan.contains("TEMP B-TREE"), "it sorts: {plan}");
    let scans = plan.split("; ").filter(|step| step.starts_with("SCAN ng_") && !step.contains("USING"));
    assert_eq!(scans.collect::<Vec<_>>(), Vec::<&str>::new(), "it reads a whole table: {plan}");
}

#[tokio::test]
async fn a_claim_of_messages_reads_the_first_of_each_subject_only() {
    follows(&plan(outbox::ANY, 1).await, "SCAN ng_outbox USING INDEX ng_outbox_head");
    follows(&plan(outbox::CLAIM, 4).await, "SCAN ng_outbox USING INDEX ng_outbox_head");
}

#[tokio::test]
async fn a_confirmation_reads_what_its_relay_has() {
    follows(
        &plan(outbox::CONFIRM, 2).await,
        "SEARCH ng_outbox USING INDEX ng_outbox_claimed_by (claimed_by=?)",
    );
}

#[tokio::test]
async fn a_claim_of_work_reads_the_heads_of_its_queue_in_their_order() {
    follows(&plan(work::ANY, 3).await, "USING INDEX ng_work_waiting (queue=? AND kind=?)");
    follows(&plan(work::PROMOTE, 2).await, "INDEX ng_work_scheduled (run_at<?)");
    let plan = plan(work::CLAIM, 5).await;
    // What is sorted are the first of each kind, no more of each than are asked for.
    follows(
        &plan.replacen("USE TEMP B-TREE FOR ORDER BY", "", 1),
        "SEARCH ng_work USING INDEX ng_work_waiting (queue=? AND kind=?)",
    );
}

#[tokio::test]
async fn who_asks_for_one_piece_of_work_reads_that_one() {
    let plan = plan(work::RECORD, 7).await;
    assert!(plan.contains("SEARCH ng_work USING INDEX") && plan.contains("(id=?"), "{plan}");
}

#[tokio::test]
async fn a_purge_reads_what_is_over() {
    follows(&plan(work::PURGE, 2).await, "SEARCH ng_work USING INDEX ng_work_ended (keep_until<?)");
}

#[tokio::test]
async fn the_depths_read_no_more_than_they_count() {
    for ([next, depth], index) in work::WAITING.into_iter().zip(["ng_work_waiting", "ng_work_behind"]) {
        follows(&plan(next, 2).await, &format!("{index} ((queue,kind)>(?,?))"));
        follows(&plan(depth, 3).await, &format!("USING INDEX {index} (queue=? AND kind=?)"));
    }
    let plan = plan(work::DEPTHS, 2).await;
    let scans = plan.split("; ").filter(|step| step.contains(" ng_work") && !step.contains("INDEX ng_work_"));
    assert_eq!(scans.collect::<Vec<_>>(), Vec::<&str>::new(), "it reads the whole table: {plan}");
}

#[tokio::test]
async fn a_burial_reads_what_the_dead_had() {
    follows(&plan(work::OWNED, 2).await, "SEARCH ng_work USING INDEX ng_work_owner (owner=?)");
}
