//! The framework's own tables, as a history that, like an application's, only ever grows.

use neuroglia::data::{Migration, Step};

use super::ENGINE;

/// The framework's migrations.
pub(super) fn own() -> Vec<Migration> {
    vec![
        migration(1, "framework: outbox and idempotency", FIRST),
        migration(2, "framework: durable work, nodes and schedules", WORK),
    ]
}

fn migration(version: u32, name: &'static str, statements: &[&'static str]) -> Migration {
    let sql = |statement: &&'static str| Step::Sql { engine: ENGINE, statement };
    Migration { version, name, steps: statements.iter().map(sql).collect() }
}

const FIRST: &[&str] = &[
    "CREATE TABLE ng_outbox (
                     seq INTEGER PRIMARY KEY,
                     id TEXT NOT NULL,
                     name TEXT NOT NULL,
                     version INTEGER NOT NULL,
                     subject TEXT NOT NULL,
                     data TEXT NOT NULL,
                     correlation_id TEXT,
                     traceparent TEXT,
                     at INTEGER NOT NULL
                 ) STRICT",
    "CREATE TABLE ng_idempotency (
                     key TEXT PRIMARY KEY,
                     fingerprint TEXT NOT NULL,
                     token TEXT NOT NULL,
                     response TEXT,
                     expires_at INTEGER NOT NULL
                 ) STRICT, WITHOUT ROWID",
    "CREATE INDEX ng_idempotency_expires_at ON ng_idempotency (expires_at)",
];

/// Each state that is looked for has an index over just the rows in it.
const WORK: &[&str] = &[
    // Rows that leave must not give their place in the order to later ones.
    "CREATE TABLE ng_outbox_2 (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         id TEXT NOT NULL,
         name TEXT NOT NULL,
         version INTEGER NOT NULL,
         subject TEXT NOT NULL,
         data TEXT NOT NULL,
         correlation_id TEXT,
         traceparent TEXT,
         at INTEGER NOT NULL,
         claimed_by TEXT,
         free_at INTEGER NOT NULL DEFAULT 0
     ) STRICT",
    "INSERT INTO ng_outbox_2 (seq, id, name, version, subject, data, correlation_id, traceparent, at)
         SELECT seq, id, name, version, subject, data, correlation_id, traceparent, at FROM ng_outbox",
    "DROP TABLE ng_outbox",
    "ALTER TABLE ng_outbox_2 RENAME TO ng_outbox",
    "CREATE INDEX ng_outbox_subject ON ng_outbox (subject, seq)",
    "CREATE INDEX ng_outbox_claimed_by ON ng_outbox (claimed_by) WHERE claimed_by IS NOT NULL",
    "CREATE TABLE ng_work (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         id TEXT NOT NULL UNIQUE,
         class TEXT NOT NULL,
         state TEXT NOT NULL,
         queue TEXT NOT NULL,
         kind TEXT NOT NULL,
         lane TEXT,
         key TEXT,
         payload TEXT NOT NULL,
         priority INTEGER NOT NULL,
         run_at INTEGER NOT NULL,
         attempt INTEGER NOT NULL DEFAULT 0,
         attempts_max INTEGER NOT NULL,
         crashes INTEGER NOT NULL DEFAULT 0,
         on_crash TEXT NOT NULL,
         owner TEXT,
         token TEXT,
         called_off INTEGER NOT NULL DEFAULT 0,
         progress TEXT,
         result TEXT,
         failures TEXT NOT NULL DEFAULT '[]',
         correlation_id TEXT,
         traceparent TEXT,
         created_at INTEGER NOT NULL,
         keep_until INTEGER NOT NULL DEFAULT 0
     ) STRICT",
    "CREATE INDEX ng_work_waiting ON ng_work (queue, priority DESC, seq) WHERE state = 'waiting'",
    "CREATE INDEX ng_work_scheduled ON ng_work (run_at) WHERE state = 'scheduled'",
    "CREATE INDEX ng_work_lane ON ng_work (kind, lane, seq)
         WHERE lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running')",
    "CREATE UNIQUE INDEX ng_work_key ON ng_work (kind, key)
         WHERE key IS NOT NULL AND (class = 'delivery' OR state IN ('waiting', 'scheduled', 'running'))",
    "CREATE INDEX ng_work_owner ON ng_work (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX ng_work_ended ON ng_work (keep_until) WHERE state IN ('done', 'dead', 'cancelled', 'parked')",
    "CREATE TABLE ng_subscription (
         consumer TEXT NOT NULL,
         event TEXT NOT NULL,
         queue TEXT NOT NULL,
         is_ordered INTEGER NOT NULL,
         attempts_max INTEGER NOT NULL,
         PRIMARY KEY (consumer, event)
     ) STRICT, WITHOUT ROWID",
    "CREATE INDEX ng_subscription_event ON ng_subscription (event)",
    "CREATE TABLE ng_node (
         id TEXT PRIMARY KEY,
         role TEXT NOT NULL,
         host TEXT NOT NULL,
         version TEXT NOT NULL,
         is_draining INTEGER NOT NULL,
         started_at INTEGER NOT NULL,
         heartbeat_at INTEGER NOT NULL,
         stale_looks INTEGER NOT NULL DEFAULT 0
     ) STRICT, WITHOUT ROWID",
    "CREATE TABLE ng_lease (
         name TEXT PRIMARY KEY,
         holder TEXT,
         epoch INTEGER NOT NULL,
         expires_at INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID",
    "CREATE TABLE ng_schedule_run (
         schedule TEXT NOT NULL,
         run_at INTEGER NOT NULL,
         PRIMARY KEY (schedule, run_at)
     ) STRICT, WITHOUT ROWID",
];
