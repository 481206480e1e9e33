//! The framework's own tables, as a history that, like an application's, only ever grows.

use neuroglia::data::{Migration, Step};

use super::ENGINE;

/// The framework's migrations.
pub(super) fn own() -> Vec<Migration> {
    vec![
        migration(1, "framework: outbox and idempotency", FIRST),
        migration(2, "framework: durable work, nodes and schedules", WORK),
        migration(3, "framework: work that waits, by its kind", BY_KIND),
        Migration { version: 4, name: "framework: what is kept for a while", steps: Step::of_kept_entries() },
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

/// Each state that is looked for has an index over just the rows in it. Which message is the first of its subject, and
/// which piece of work of its lane, is kept in the rows, by triggers: a claim reads what it takes, however much waits
/// behind.
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
         free_at INTEGER NOT NULL DEFAULT 0,
         is_head INTEGER NOT NULL DEFAULT 0
     ) STRICT",
    "INSERT INTO ng_outbox_2 (seq, id, name, version, subject, data, correlation_id, traceparent, at)
         SELECT seq, id, name, version, subject, data, correlation_id, traceparent, at FROM ng_outbox",
    "DROP TABLE ng_outbox",
    "ALTER TABLE ng_outbox_2 RENAME TO ng_outbox",
    "CREATE INDEX ng_outbox_subject ON ng_outbox (subject, seq)",
    "CREATE INDEX ng_outbox_head ON ng_outbox (seq) WHERE is_head",
    "UPDATE ng_outbox SET is_head = 1 WHERE seq IN (SELECT min(seq) FROM ng_outbox GROUP BY subject)",
    "CREATE TRIGGER ng_outbox_comes AFTER INSERT ON ng_outbox
         WHEN NOT EXISTS (SELECT 1 FROM ng_outbox WHERE subject = new.subject AND seq < new.seq)
     BEGIN
         UPDATE ng_outbox SET is_head = 1 WHERE seq = new.seq;
     END",
    "CREATE TRIGGER ng_outbox_goes AFTER DELETE ON ng_outbox WHEN old.is_head
     BEGIN
         UPDATE ng_outbox SET is_head = 1
             WHERE seq = (SELECT min(seq) FROM ng_outbox WHERE subject = old.subject);
     END",
    "CREATE INDEX ng_outbox_claimed_by ON ng_outbox (claimed_by) WHERE claimed_by IS NOT NULL",
    "CREATE TABLE ng_work (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         id TEXT NOT NULL UNIQUE,
         class TEXT NOT NULL,
         state TEXT NOT NULL,
         queue TEXT NOT NULL,
         kind TEXT NOT NULL,
         lane TEXT,
         is_head INTEGER NOT NULL DEFAULT 1,
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
    "CREATE INDEX ng_work_waiting ON ng_work (queue, priority DESC, seq)
         WHERE state = 'waiting' AND is_head",
    "CREATE INDEX ng_work_behind ON ng_work (queue, seq) WHERE state = 'waiting' AND NOT is_head",
    "CREATE INDEX ng_work_scheduled ON ng_work (run_at) WHERE state = 'scheduled'",
    "CREATE INDEX ng_work_lane ON ng_work (kind, lane, seq)
         WHERE lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running')",
    "CREATE TRIGGER ng_work_comes AFTER INSERT ON ng_work
         WHEN new.lane IS NOT NULL AND EXISTS (
             SELECT 1 FROM ng_work WHERE kind = new.kind AND lane = new.lane AND seq < new.seq
                 AND lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running'))
     BEGIN
         UPDATE ng_work SET is_head = 0 WHERE seq = new.seq;
     END",
    "CREATE TRIGGER ng_work_ends AFTER UPDATE OF state ON ng_work
         WHEN new.lane IS NOT NULL AND old.state IN ('waiting', 'scheduled', 'running')
             AND new.state NOT IN ('waiting', 'scheduled', 'running')
     BEGIN
         UPDATE ng_work SET is_head = 1 WHERE seq = (
             SELECT min(seq) FROM ng_work WHERE kind = new.kind AND lane = new.lane
                 AND lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running'));
     END",
    "CREATE TRIGGER ng_work_comes_back AFTER UPDATE OF state ON ng_work
         WHEN new.lane IS NOT NULL AND old.state NOT IN ('waiting', 'scheduled', 'running')
             AND new.state IN ('waiting', 'scheduled', 'running')
     BEGIN
         UPDATE ng_work SET is_head = 0 WHERE kind = new.kind AND lane = new.lane AND is_head
             AND lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running');
         UPDATE ng_work SET is_head = 1 WHERE seq = (
             SELECT min(seq) FROM ng_work WHERE kind = new.kind AND lane = new.lane
                 AND lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running'));
     END",
    "CREATE UNIQUE INDEX ng_work_key ON ng_work (kind, key)
         WHERE key IS NOT NULL AND (class = 'delivery' OR state IN ('waiting', 'scheduled', 'running'))",
    "CREATE INDEX ng_work_owner ON ng_work (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX ng_work_dead ON ng_work (keep_until) WHERE state IN ('dead', 'parked')",
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
         silent_since INTEGER
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

/// What nobody knows who claims is not read by the claim, however much of it waits.
const BY_KIND: &[&str] = &[
    "DROP INDEX ng_work_waiting",
    "CREATE INDEX ng_work_waiting ON ng_work (queue, kind, priority DESC, seq)
         WHERE state = 'waiting' AND is_head",
    "DROP INDEX ng_work_behind",
    "CREATE INDEX ng_work_behind ON ng_work (queue, kind, seq) WHERE state = 'waiting' AND NOT is_head",
];
