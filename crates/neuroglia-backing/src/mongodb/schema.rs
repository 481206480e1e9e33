//! The framework's own collections, as a history that, like an application's, only ever grows.
//!
//! A field that an index is for stands in the documents that the index is to find, and in no others: all indexes are
//! sparse, and what is finished costs a look nothing.
//!
//! **Lines.** The messages of a subject, and the pieces of work of a lane, stand in a line and leave it from its
//! front. Only the first can be claimed, and the mark `head_of` says which it is: a unique index allows one in each
//! line, so that never two of a line are at work at once. Whoever comes into a line, and whoever leaves it, says so in
//! its own document, in the same commit: `look` asks for a look at the line. Whoever claims looks first, and gives the
//! mark to whom it belongs (`lines.rs`). So a commit touches no document of its neighbours, and no transaction waits
//! for another because both have to do with one line; and a process that dies on the way leaves the note behind, for
//! the next one to find.

use neuroglia::data::{Migration, Step};

use super::ENGINE;

pub(super) const MIGRATIONS: &str = "ng_migration";
pub(super) const COUNTERS: &str = "ng_counter";
pub(super) const OUTBOX: &str = "ng_outbox";
pub(super) const KEYS: &str = "ng_idempotency";
pub(super) const WORK: &str = "ng_work";
pub(super) const SUBSCRIPTIONS: &str = "ng_subscription";
pub(super) const NODES: &str = "ng_node";
pub(super) const LEASES: &str = "ng_lease";
pub(super) const RUNS: &str = "ng_schedule_run";

/// The framework's migrations.
pub(super) fn own() -> Vec<Migration> {
    let command = |statement: &&'static str| Step::Sql { engine: ENGINE, statement };
    vec![
        Migration {
            version: 1,
            name: "framework: outbox, idempotency, durable work, nodes and schedules",
            steps: FIRST.iter().map(command).collect(),
        },
        Migration { version: 2, name: "framework: what is kept for a while", steps: Step::of_kept_entries() },
    ]
}

const FIRST: &[&str] = &[
    r#"{"create": "ng_counter"}"#,
    r#"{"insert": "ng_counter", "documents": [{"_id": "seq", "last": 0}], "writeConcern": {"w": "majority"}}"#,
    r#"{"create": "ng_outbox"}"#,
    r#"{"createIndexes": "ng_outbox", "indexes": [
        {"name": "ng_outbox_seq", "key": {"seq": 1}, "unique": true},
        {"name": "ng_outbox_line", "key": {"line.key": 1, "line.seq": 1}, "sparse": true},
        {"name": "ng_outbox_head", "key": {"head_of": 1}, "unique": true, "sparse": true},
        {"name": "ng_outbox_ready", "key": {"ready": 1}, "sparse": true},
        {"name": "ng_outbox_look", "key": {"look": 1}, "sparse": true}]}"#,
    r#"{"create": "ng_idempotency"}"#,
    r#"{"createIndexes": "ng_idempotency", "indexes": [
        {"name": "ng_idempotency_expires_at", "key": {"expires_at": 1}}]}"#,
    r#"{"create": "ng_work"}"#,
    r#"{"createIndexes": "ng_work", "indexes": [
        {"name": "ng_work_seq", "key": {"seq": 1}, "unique": true},
        {"name": "ng_work_line", "key": {"line.key": 1, "line.seq": 1}, "sparse": true},
        {"name": "ng_work_head", "key": {"head_of": 1}, "unique": true, "sparse": true},
        {"name": "ng_work_ready", "key": {"ready.queue": 1, "ready.kind": 1, "ready.priority": -1, "ready.seq": 1},
            "sparse": true},
        {"name": "ng_work_behind", "key": {"behind": 1}, "sparse": true},
        {"name": "ng_work_due", "key": {"due_at": 1}, "sparse": true},
        {"name": "ng_work_look", "key": {"look": 1}, "sparse": true},
        {"name": "ng_work_owner", "key": {"owner": 1, "token": 1}, "sparse": true},
        {"name": "ng_work_stuck", "key": {"stuck": 1}, "sparse": true},
        {"name": "ng_work_forget", "key": {"forget_at": 1}, "sparse": true},
        {"name": "ng_work_key", "key": {"holds.kind": 1, "holds.key": 1}, "unique": true, "sparse": true}]}"#,
    r#"{"create": "ng_subscription"}"#,
    r#"{"createIndexes": "ng_subscription", "indexes": [
        {"name": "ng_subscription_event", "key": {"event": 1}}]}"#,
    r#"{"create": "ng_node"}"#,
    r#"{"create": "ng_lease"}"#,
    r#"{"create": "ng_schedule_run"}"#,
    r#"{"createIndexes": "ng_schedule_run", "indexes": [
        {"name": "ng_schedule_run_once", "key": {"schedule": 1, "run_at": -1}, "unique": true}]}"#,
];
