//! Stores for tests, each in a folder or a database of its own.

use std::path::Path;
use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Index, Migration, NativeStep, Step, Store, Write};
use neuroglia::error::Error;
use neuroglia_backing::mongodb::{MongoOptions, MongoStore};
use neuroglia_backing::postgres::{PostgresOptions, PostgresStore};
use neuroglia_backing::sqlite::{self, SqliteOptions, SqliteStep, SqliteStore, sqlx};
use neuroglia_testing::services::{Database, MongoDatabase};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
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

/// Applies one migration of these steps.
pub(crate) async fn migrate(store: &dyn Store, steps: Vec<Step>) {
    let migration = Migration { version: 1, name: "a test's", steps };
    store.migrate(&[migration], Timestamp::UNIX_EPOCH).await.expect("a sound migration is applied");
}

/// A new store, and its database.
pub(crate) async fn mongodb() -> (Arc<MongoStore>, MongoDatabase) {
    let database = MongoDatabase::create();
    (connect_mongodb(&database.url()).await, database)
}

pub(crate) async fn connect_mongodb(url: &str) -> Arc<MongoStore> {
    let url = url.parse().expect("a URL");
    MongoStore::open(&url, MongoOptions::default()).await.expect("the server is there")
}

/// A new store with a collection `orders`.
pub(crate) async fn orders() -> (Arc<SqliteStore>, TempDir) {
    orders_with(SqliteOptions::default()).await
}

pub(crate) async fn orders_with(options: SqliteOptions) -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = url(&folder.path().join("store.db"));
    let store = SqliteStore::open(&file, options).await.expect("the file can be opened");
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
            Step::Sql { engine: "mongodb", statement: r#"{"create": "sales"}"# },
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

/// The batch, with a step of the application.
pub(crate) fn with(step: SqliteStep, mut batch: Batch) -> Batch {
    batch.native.push(NativeStep { engine: sqlite::ENGINE, step: Box::new(step) });
    batch
}

/// Notes a sale; the second one of a pizza breaks the table's key.
pub(crate) fn sale(pizza: &'static str) -> SqliteStep {
    sqlite::statement(move |connection| {
        Box::pin(async move {
            let sale = sqlx::query("INSERT INTO sales (pizza, sold) VALUES (?, 1)").bind(pizza);
            sale.execute(connection).await.map_err(sqlite::error)?;
            Ok(())
        })
    })
}

pub(crate) async fn is_there(store: &SqliteStore, id: &str) -> bool {
    store.load("orders", id).await.expect("it is read").is_some()
}

/// A step that tells when it runs and goes on when it is told to.
pub(crate) fn held() -> (SqliteStep, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (running, is_running) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let parts = std::sync::Mutex::new(Some((running, may_go_on)));
    let step = sqlite::statement(move |_| {
        Box::pin(async move {
            let parts = parts.into_inner().ok().flatten();
            let (running, may_go_on) = parts.ok_or_else(|| Error::internal("a step runs once"))?;
            running.send(()).map_err(|()| Error::internal("nobody listens"))?;
            may_go_on.await.map_err(Error::internal)
        })
    });
    (step, is_running, go_on)
}
