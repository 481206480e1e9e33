//! What moves much goes on in steps until nothing is left, so that others have their turn in between.

use neuroglia::data::Store;
use neuroglia::work::{WorkFilter, WorkState, WorkStore};
use neuroglia_backing::sqlite::{self, SqliteStore, sqlx};
use neuroglia_testing::workbench::asking;

use crate::support::{batch, orders, with};

async fn fill(store: &SqliteStore, sql: &'static str) {
    let fill = sqlite::statement(move |connection| {
        Box::pin(async move {
            sqlx::query(sql).execute(connection).await.map_err(sqlite::error)?;
            Ok(())
        })
    });
    store.commit(with(fill, batch([]))).await.expect("the store is filled");
}

#[tokio::test]
async fn what_is_due_is_made_to_wait_in_steps_and_nothing_due_is_overlooked() {
    let (store, _folder) = orders().await;
    fill(
        &store,
        "INSERT INTO ng_work (id, class, state, queue, kind, payload, priority, run_at, attempts_max, on_crash, created_at) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) \
         SELECT printf('00000000-0000-0000-0000-%012d', n), 'job', 'scheduled', 'default', \
             iif(n > 1500, 'late', 'early'), '{}', 0, n, 10, 'retry', 0 FROM n",
    )
    .await;
    for (kind, left) in [("early", 2_000), ("late", 1_000)] {
        let claim = asking(&*store, &[kind], 1).await;
        assert_eq!(store.claim(&claim).await.expect("work is claimed").len(), 1, "{kind}");
        let filter = WorkFilter { states: vec![WorkState::Scheduled], limit: 3_000, ..WorkFilter::default() };
        assert_eq!(store.list_work(&filter).await.expect("work is listed").len(), left, "after {kind}");
    }
}
