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
    "CREATE SEQUENCE ng_outbox_batch",
    "CREATE TABLE ng_outbox (
         batch bigint NOT NULL,
         place bigint NOT NULL,
         id uuid NOT NULL,
         name text NOT NULL,
         version bigint NOT NULL,
         subject text NOT NULL,
         data text NOT NULL,
         correlation_id text,
         traceparent text,
         at bigint NOT NULL,
         PRIMARY KEY (batch, place)
     )",
    "CREATE TABLE ng_idempotency (
         key text COLLATE \"C\" PRIMARY KEY,
         fingerprint text NOT NULL,
         token text NOT NULL,
         response text,
         expires_at bigint NOT NULL
     )",
    "CREATE INDEX ng_idempotency_expires_at ON ng_idempotency (expires_at)",
    "CREATE FUNCTION ng_conflict() RETURNS integer LANGUAGE plpgsql AS $$
     BEGIN
         RAISE EXCEPTION 'a document has another version' USING ERRCODE = 'NG001';
     END $$",
];

/// Each state that is looked for has an index over just the rows in it.
const WORK: &[&str] = &[
    // The one clock of all nodes, in microseconds, the same throughout a statement.
    "CREATE FUNCTION ng_now() RETURNS bigint LANGUAGE sql STABLE AS
     $$ SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint $$",
    "ALTER TABLE ng_outbox ADD COLUMN claimed_by uuid",
    "ALTER TABLE ng_outbox ADD COLUMN free_at bigint NOT NULL DEFAULT 0",
    "CREATE INDEX ng_outbox_subject ON ng_outbox (subject, batch, place)",
    "CREATE INDEX ng_outbox_claimed_by ON ng_outbox (claimed_by) WHERE claimed_by IS NOT NULL",
    "CREATE TABLE ng_work (
         seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         id uuid NOT NULL UNIQUE,
         class text NOT NULL,
         state text NOT NULL,
         queue text NOT NULL,
         kind text NOT NULL,
         lane text,
         key text,
         payload text NOT NULL,
         priority integer NOT NULL,
         run_at bigint NOT NULL,
         attempt bigint NOT NULL DEFAULT 0,
         attempts_max bigint NOT NULL,
         crashes bigint NOT NULL DEFAULT 0,
         on_crash text NOT NULL,
         owner uuid,
         token uuid,
         called_off boolean NOT NULL DEFAULT false,
         progress text,
         result text,
         failures jsonb NOT NULL DEFAULT '[]',
         correlation_id text,
         traceparent text,
         created_at bigint NOT NULL,
         keep_until bigint NOT NULL DEFAULT 0
     )",
    // Rows are claimed and finished over and over: dead versions are cleaned up early, and there is room beside
    // the living for new ones.
    "ALTER TABLE ng_work SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)",
    "CREATE INDEX ng_work_waiting ON ng_work (queue, priority DESC, seq) WHERE state = 'waiting'",
    "CREATE INDEX ng_work_scheduled ON ng_work (run_at) WHERE state = 'scheduled'",
    "CREATE INDEX ng_work_lane ON ng_work (kind, lane, seq)
         WHERE lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running')",
    "CREATE UNIQUE INDEX ng_work_key ON ng_work (kind, key)
         WHERE key IS NOT NULL AND (class = 'delivery' OR state IN ('waiting', 'scheduled', 'running'))",
    "CREATE INDEX ng_work_owner ON ng_work (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX ng_work_dead ON ng_work (keep_until) WHERE state IN ('dead', 'parked')",
    "CREATE INDEX ng_work_ended ON ng_work (keep_until) WHERE state IN ('done', 'dead', 'cancelled', 'parked')",
    "CREATE TABLE ng_subscription (
         consumer text NOT NULL,
         event text NOT NULL,
         queue text NOT NULL,
         is_ordered boolean NOT NULL,
         attempts_max bigint NOT NULL,
         PRIMARY KEY (consumer, event)
     )",
    "CREATE INDEX ng_subscription_event ON ng_subscription (event)",
    "CREATE TABLE ng_node (
         id uuid PRIMARY KEY,
         role text NOT NULL,
         host text NOT NULL,
         version text NOT NULL,
         is_draining boolean NOT NULL,
         started_at bigint NOT NULL,
         heartbeat_at bigint NOT NULL,
         silent_since bigint
     )",
    "CREATE TABLE ng_lease (
         name text PRIMARY KEY,
         holder uuid,
         epoch bigint NOT NULL,
         expires_at bigint NOT NULL
     )",
    "CREATE TABLE ng_schedule_run (
         schedule text NOT NULL,
         run_at bigint NOT NULL,
         PRIMARY KEY (schedule, run_at)
     )",
];
