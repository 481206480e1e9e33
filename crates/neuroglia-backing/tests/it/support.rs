//! Stores for tests, each in a folder or a database of its own.

use std::path::Path;
use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Index, Migration, Step, Store, Write};
use neuroglia_backing::postgres::{PostgresOptions, PostgresStore};
use neuroglia_backing::sqlite::{SqliteOptions, SqliteStore};
use neuroglia_testing::services::Database;
use serde_json::json;
use tempfile::TempDir;
use url::Url;

pub(crate) fn url(path: &Path) -> Url {
    format!("sqlite://{}", path.display()).parse().expect("a path makes a URL")
}

pub(crate) async fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(&url(path), SqliteOptions::default()).await.expect("the file can be opened")
}

/// A new store, and its folder.
pub(crate) async fn sqlite() -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    (open(&folder.path().join("store.db")).await, folder)
}

/// A new store, and its database.
pub(crate) async fn postgres() -> (Arc<PostgresStore>, Database) {
    let database = Database::create();
    (connect(&database.url()).await, database)
}

pub(crate) async fn connect(url: &str) -> Arc<PostgresStore> {
    let url = url.parse().expect("a URL");
    PostgresStore::open(&url, PostgresOptions::default()).await.expect("the database is there")
}

/// A new store with a collection `orders`.
pub(crate) async fn orders() -> (Arc<SqliteStore>, TempDir) {
    let (store, folder) = sqlite().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    (store, folder)
}

pub(crate) fn history() -> Vec<Migration> {
    let index = |name, paths: &[&'static str], unique| {
        Step::CreateIndex(Index { collection: "orders", name, paths: paths.to_vec(), unique })
    };
    vec![Migration {
        version: 1,
        name: "orders",
        steps: vec![
            Step::CreateCollection("orders"),
            index("orders_status", &["status", "placed_at"], false),
            index("orders_placed_at", &["placed_at"], false),
            index("orders_number", &["number"], true),
            Step::Sql {
                engine: "sqlite",
                statement: "CREATE TABLE sales (pizza TEXT PRIMARY KEY, sold INTEGER)",
            },
            Step::Sql {
                engine: "postgres",
                statement: "CREATE TABLE sales (pizza text PRIMARY KEY, sold integer)",
            },
        ],
    }]
}

pub(crate) fn order(id: &str, status: &str) -> Write {
    let body = json!({ "status": status }).to_string();
    Write { collection: "orders", id: id.to_owned(), change: Change::Insert { body } }
}

pub(crate) fn batch(writes: impl IntoIterator<Item = Write>) -> Batch {
    Batch { writes: writes.into_iter().collect(), ..Batch::default() }
}
