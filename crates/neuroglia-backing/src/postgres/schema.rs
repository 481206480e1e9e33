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
///
/// Which message is the first of its subject, and which piece of work of its lane, is kept in the rows: a claim reads
/// what it may take, however much waits behind.
///
/// The first always has the mark; for a moment another may have it too, when an earlier one is committed after a later
/// one. So the mark spares a claim the look at what waits, and the claim itself still asks whether there is an earlier
/// one. It is handed on like a baton. Whoever comes locks the last before it that nobody else has locked: so this one
/// cannot end unseen, and whoever ends it afterwards sees who came. When there is none to lock, whoever comes takes the
/// mark. It waits for nobody, so it has no part in a deadlock; at worst there is a mark to spare. Whoever ends with the
/// mark gives it to the next; when that one ends at the same moment, to the one after it. Each look is a statement of
/// its own, because what was committed while a lock was waited for shows in a new statement only.
const WORK: &[&str] = &[
    // The one clock of all nodes, in microseconds, the same throughout a statement.
    "CREATE FUNCTION ng_now() RETURNS bigint LANGUAGE sql STABLE AS
     $$ SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint $$",
    "ALTER TABLE ng_outbox ADD COLUMN claimed_by uuid",
    "ALTER TABLE ng_outbox ADD COLUMN free_at bigint NOT NULL DEFAULT 0",
    "ALTER TABLE ng_outbox ADD COLUMN is_head boolean NOT NULL DEFAULT true",
    "UPDATE ng_outbox o SET is_head = false WHERE EXISTS (
         SELECT 1 FROM ng_outbox e WHERE e.subject = o.subject AND (e.batch, e.place) < (o.batch, o.place))",
    "CREATE INDEX ng_outbox_subject ON ng_outbox (subject, batch, place)",
    "CREATE INDEX ng_outbox_head ON ng_outbox (batch, place) WHERE is_head",
    "CREATE INDEX ng_outbox_claimed_by ON ng_outbox (claimed_by) WHERE claimed_by IS NOT NULL",
    // A table whose rows are mostly of one subject is taken for one of many: the server does not know whom a look is
    // for, and would rather read the table than the index.
    "ALTER TABLE ng_outbox ALTER COLUMN subject SET (n_distinct = -0.2)",
    // Only a deletion waits for this lock; neither a claim does nor the mark.
    "CREATE FUNCTION ng_outbox_comes() RETURNS trigger LANGUAGE plpgsql
         SET plan_cache_mode = force_generic_plan AS $$
     BEGIN
         PERFORM 1 FROM ng_outbox WHERE subject = new.subject AND (batch, place) < (new.batch, new.place)
             ORDER BY batch DESC, place DESC LIMIT 1 FOR KEY SHARE SKIP LOCKED;
         new.is_head := NOT found;
         RETURN new;
     END $$",
    "CREATE TRIGGER ng_outbox_comes BEFORE INSERT ON ng_outbox
         FOR EACH ROW EXECUTE FUNCTION ng_outbox_comes()",
    "CREATE FUNCTION ng_outbox_goes() RETURNS trigger LANGUAGE plpgsql
         SET plan_cache_mode = force_generic_plan AS $$
     DECLARE
         head record;
         heir record;
     BEGIN
         FOR head IN
             SELECT g.subject, g.batch, g.place FROM gone g WHERE g.is_head AND EXISTS (
                 SELECT 1 FROM ng_outbox o WHERE o.subject = g.subject AND (o.batch, o.place) > (g.batch, g.place))
             ORDER BY g.subject, g.batch, g.place
         LOOP
             LOOP
                 SELECT batch, place, is_head INTO heir FROM ng_outbox
                     WHERE subject = head.subject AND (batch, place) > (head.batch, head.place)
                     ORDER BY batch, place LIMIT 1;
                 EXIT WHEN NOT found OR heir.is_head;
                 UPDATE ng_outbox SET is_head = true WHERE batch = heir.batch AND place = heir.place;
                 EXIT WHEN found;
             END LOOP;
         END LOOP;
         RETURN NULL;
     END $$",
    "CREATE TRIGGER ng_outbox_goes AFTER DELETE ON ng_outbox REFERENCING OLD TABLE AS gone
         FOR EACH STATEMENT EXECUTE FUNCTION ng_outbox_goes()",
    "CREATE TABLE ng_work (
         seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         id uuid NOT NULL UNIQUE,
         class text NOT NULL,
         state text NOT NULL,
         queue text NOT NULL,
         kind text NOT NULL,
         lane text,
         is_head boolean NOT NULL DEFAULT true,
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
    "ALTER TABLE ng_work ALTER COLUMN lane SET (n_distinct = -0.2)",
    "CREATE INDEX ng_work_waiting ON ng_work (queue, priority DESC, seq) WHERE state = 'waiting' AND is_head",
    "CREATE INDEX ng_work_behind ON ng_work (queue, seq) WHERE state = 'waiting' AND NOT is_head",
    "CREATE INDEX ng_work_scheduled ON ng_work (run_at) WHERE state = 'scheduled'",
    "CREATE INDEX ng_work_lane ON ng_work (kind, lane, seq)
         WHERE lane IS NOT NULL AND state IN ('waiting', 'scheduled', 'running')",
    "CREATE FUNCTION ng_work_comes() RETURNS trigger LANGUAGE plpgsql
         SET plan_cache_mode = force_generic_plan AS $$
     BEGIN
         PERFORM 1 FROM ng_work WHERE kind = new.kind AND lane = new.lane AND lane IS NOT NULL AND seq < new.seq
             AND state IN ('waiting', 'scheduled', 'running')
             ORDER BY seq DESC LIMIT 1 FOR SHARE SKIP LOCKED;
         new.is_head := NOT found;
         RETURN new;
     END $$",
    "CREATE TRIGGER ng_work_comes BEFORE INSERT ON ng_work
         FOR EACH ROW WHEN (new.lane IS NOT NULL) EXECUTE FUNCTION ng_work_comes()",
    "CREATE TRIGGER ng_work_comes_back BEFORE UPDATE OF state ON ng_work
         FOR EACH ROW WHEN (new.lane IS NOT NULL AND old.state NOT IN ('waiting', 'scheduled', 'running')
             AND new.state IN ('waiting', 'scheduled', 'running')) EXECUTE FUNCTION ng_work_comes()",
    "CREATE FUNCTION ng_work_ends() RETURNS trigger LANGUAGE plpgsql
         SET plan_cache_mode = force_generic_plan AS $$
     DECLARE
         heir record;
     BEGIN
         LOOP
             SELECT seq, is_head INTO heir FROM ng_work
                 WHERE kind = old.kind AND lane = old.lane AND lane IS NOT NULL AND seq > old.seq
                     AND state IN ('waiting', 'scheduled', 'running')
                 ORDER BY seq LIMIT 1;
             EXIT WHEN NOT found OR heir.is_head;
             UPDATE ng_work SET is_head = true
                 WHERE seq = heir.seq AND state IN ('waiting', 'scheduled', 'running');
             EXIT WHEN found;
         END LOOP;
         RETURN NULL;
     END $$",
    "CREATE TRIGGER ng_work_ends AFTER UPDATE OF state ON ng_work
         FOR EACH ROW WHEN (new.lane IS NOT NULL AND old.is_head AND old.state IN ('waiting', 'scheduled', 'running')
             AND new.state NOT IN ('waiting', 'scheduled', 'running')) EXECUTE FUNCTION ng_work_ends()",
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

/// What nobody knows who claims is not read by the claim, however much of it waits.
const BY_KIND: &[&str] = &[
    "DROP INDEX ng_work_waiting",
    "CREATE INDEX ng_work_waiting ON ng_work (queue, kind, priority DESC, seq) WHERE state = 'waiting' AND is_head",
    "DROP INDEX ng_work_behind",
    "CREATE INDEX ng_work_behind ON ng_work (queue, kind, seq) WHERE state = 'waiting' AND NOT is_head",
];
