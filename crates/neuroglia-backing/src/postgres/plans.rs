//! What a look at the depths costs does not depend on what has ended: the plan of its statement shows it.

use neuroglia::clock::Timestamp;
use neuroglia::data::Store;
use neuroglia_testing::services::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{PostgresOptions, PostgresStore, work};

#[tokio::test]
async fn the_depths_read_no_more_than_they_count() {
    let database = Database::create();
    let url = database.url().parse().expect("a URL");
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the database is there");
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own tables are made");
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    // An empty table is read whole, however good its indexes are.
    sqlx::query("SET enable_seqscan = off").execute(&mut connection).await.expect("it is set");
    let explain = format!("EXPLAIN {}", work::DEPTHS.replace("$1", "10000"));
    let rows = sqlx::query(AssertSqlSafe(explain)).fetch_all(&mut connection).await.expect("a plan");
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(!plan.contains("Seq Scan"), "it reads the whole table:\n{plan}");
    for index in ["ng_work_waiting", "ng_work_scheduled", "ng_work_owner", "ng_work_dead"] {
        assert!(plan.contains(index), "it does not use {index}:\n{plan}");
    }
    store.close().await;
}
