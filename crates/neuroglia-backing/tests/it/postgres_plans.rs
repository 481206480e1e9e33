//! How the server finds documents, by its own account, in a database that sorts as people do.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Condition, Direction, NativeStep, Op, Path, Select, Sort, Store, Value};
use neuroglia::error::Error;
use neuroglia_backing::postgres::{ENGINE, error, sqlx, statement};
use sqlx::{Connection, PgConnection, Row};

use crate::support::{batch, history, order, postgres};

#[tokio::test]
async fn what_looks_expensive_is_not_compiled() {
    let (store, _database) = postgres().await;
    let ask = statement(|connection| {
        Box::pin(async move {
            let jit: String = sqlx::query_scalar("SHOW jit").fetch_one(connection).await.map_err(error)?;
            if jit == "off" { Ok(()) } else { Err(Error::internal(format!("jit is {jit}"))) }
        })
    });
    let native = vec![NativeStep { engine: ENGINE, step: Box::new(ask) }];
    store.commit(Batch { native, ..batch([]) }).await.expect("the server compiles nothing");
}

#[tokio::test]
async fn indexes_are_used_and_the_databases_collation_is_not() {
    let (store, database) = postgres().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    let many = (0..2_000).map(|place| order(&format!("o-{place}"), ["new", "New", "ä", "z"][place % 4]));
    store.commit(batch(many)).await.expect("a batch that breaks no rule is committed");
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    sqlx::query("ANALYZE").execute(&mut connection).await.expect("the server counts");
    let row = sqlx::query("SELECT 'a' < 'B', 'a' < 'B' COLLATE \"C\"").fetch_one(&mut connection).await;
    let row = row.expect("the server compares");
    let (by_people, by_bytes): (bool, bool) = (row.get(0), row.get(1));
    assert!(by_people && !by_bytes, "the test's database has a collation for people");

    let select = Select {
        collection: "orders",
        condition: Condition::Compare {
            path: Path::Body("status"),
            op: Op::Equal,
            value: Value::Text("ö".to_owned()),
        },
        sort: vec![Sort { path: Path::Id, direction: Direction::Ascending }],
        limit: 10,
    };
    let plan = store.explain(&select).await.expect("a sound query is explained").join("\n");
    assert!(plan.contains("orders_status"), "{plan}");
    let above = Select {
        condition: Condition::Compare {
            path: Path::Body("status"),
            op: Op::Greater,
            value: Value::Text("z".to_owned()),
        },
        sort: vec![
            Sort { path: Path::Body("status"), direction: Direction::Descending },
            Sort { path: Path::Body("placed_at"), direction: Direction::Descending },
            Sort { path: Path::Id, direction: Direction::Descending },
        ],
        ..select
    };
    assert_eq!(store.count(&above).await.expect("a count is answered"), 500, "ä comes after z by its bytes");
    let plan = store.explain(&above).await.expect("a sound query is explained").join("\n");
    assert!(plan.contains("Backward using orders_status") && !plan.contains("Sort"), "{plan}");
}
