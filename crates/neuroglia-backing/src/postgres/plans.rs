//! What claims and confirmations cost does not depend on what waits behind: the server says how it would run them, also
//! when it has planned them once for all parameters.

use neuroglia::clock::Timestamp;
use neuroglia::data::Store;
use neuroglia_testing::services::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::connections::RANDOM_PAGE_COST;
use super::{PostgresOptions, PostgresStore, outbox, work};

/// Much that waits behind one head each, more in queues, and what the server knows of it by then.
const FILL: &str = "INSERT INTO ng_outbox (batch, place, id, name, version, subject, data, at, claimed_by) \
         SELECT n, 1, gen_random_uuid(), 'name', 1, CASE WHEN n % 2 = 0 THEN 'one' ELSE n::text END, '{}', 0, \
             CASE WHEN n < 100 THEN gen_random_uuid() END FROM generate_series(1, 5000) AS n; \
     INSERT INTO ng_work (id, class, state, queue, kind, lane, payload, priority, run_at, attempts_max, on_crash, created_at) \
         SELECT gen_random_uuid(), 'job', 'waiting', 'q' || n % 3, 'kind', CASE WHEN n % 2 = 0 THEN 'one' END, '{}', 0, 0, \
             10, 'retry', 0 FROM generate_series(1, 10000) AS n";

/// Little that waits, of which the server knows nothing.
const LITTLE: &str = "INSERT INTO ng_work (id, class, state, queue, kind, payload, priority, run_at, attempts_max, on_crash, created_at) \
         SELECT gen_random_uuid(), 'job', 'waiting', 'q', 'kind', '{}', 0, 0, 10, 'retry', 0 FROM generate_series(1, 1000)";

/// How the server would run a statement with these types of parameters, with much in its tables.
async fn plan(statement: &str, types: &str) -> String {
    plan_after(&format!("{FILL}; ANALYZE"), statement, types).await
}

async fn plan_after(preparation: &str, statement: &str, types: &str) -> String {
    let database = Database::create();
    let url = database.url();
    let store = PostgresStore::open(&url.parse().expect("a URL"), PostgresOptions::default()).await;
    store
        .expect("the database is there")
        .migrate(&[], Timestamp::UNIX_EPOCH)
        .await
        .expect("the store's own tables are made");
    let mut connection = PgConnection::connect(&url).await.expect("the database is there");
    let nothing = vec!["NULL"; types.split(',').count()].join(", ");
    let prepare = format!(
        "{preparation}; SET plan_cache_mode = force_generic_plan; SET random_page_cost = {RANDOM_PAGE_COST}; \
         PREPARE asked ({types}) AS {statement}"
    );
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.expect("a sound statement");
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE asked({nothing})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await;
    let rows = rows.expect("a sound statement has a plan");
    let steps = rows.iter().map(|row| row.try_get(0).expect("a step has a text"));
    steps.collect::<Vec<String>>().join("\n")
}

/// The plan reads only what the index leads to.
fn follows(plan: &str, index: &str) {
    assert!(plan.contains(&format!("using {index} on")), "it does not use {index}:\n{plan}");
    for table in ["ng_outbox", "ng_work"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "it reads a whole table:\n{plan}");
    }
}

#[tokio::test]
async fn a_claim_of_messages_reads_the_first_of_each_subject_only() {
    let plan = plan(outbox::CLAIM, "uuid, bigint, bigint").await;
    follows(&plan, "ng_outbox_head");
    follows(&plan, "ng_outbox_subject");
}

#[tokio::test]
async fn a_confirmation_reads_what_its_relay_has() {
    follows(&plan(outbox::CONFIRM, "uuid, uuid[]").await, "ng_outbox_claimed_by");
}

#[tokio::test]
async fn a_claim_of_work_reads_the_heads_of_its_queue_and_kinds_in_their_order() {
    let plan = plan(&work::claim(3), "uuid, uuid, text[], bigint[], text[]").await;
    follows(&plan, "ng_work_waiting");
    follows(&plan, "ng_work_scheduled");
    follows(&plan, "ng_work_lane");
    let heads = plan.split("CTE u").next().expect("a split has a first part");
    assert!(heads.contains("Merge Append") && !heads.contains("-> Sort"), "it sorts what waits:\n{plan}");
    let by_kind = heads.matches("(queue = q.queue) AND (kind = ($5)[");
    assert_eq!(by_kind.count(), 3, "it reads what is of no known kind:\n{plan}");
}

/// The connection keeps the plan while much more comes.
#[tokio::test]
async fn a_claim_that_is_planned_while_little_waits_reads_no_whole_table_either() {
    let plan = plan_after(LITTLE, &work::claim(3), "uuid, uuid, text[], bigint[], text[]").await;
    follows(&plan, "ng_work_waiting");
    assert_eq!(plan.matches("TID Cond: (ctid = ANY").count(), 2, "it does not go by place:\n{plan}");
}

#[tokio::test]
async fn a_look_at_the_depths_reads_no_more_than_it_counts() {
    let plan = plan(work::DEPTHS, "bigint").await;
    for index in ["ng_work_waiting", "ng_work_behind", "ng_work_scheduled", "ng_work_owner", "ng_work_dead"] {
        follows(&plan, index);
    }
}
