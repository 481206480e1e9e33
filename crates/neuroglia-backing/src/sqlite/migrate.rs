//! SQLite's statements for migrations, which are applied under its write lock.

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Index, Migration, Path, Step};
use neuroglia::error::{Error, Result};
use sqlx::{AssertSqlSafe, Connection, Row, Sqlite, SqliteConnection, Transaction};

use super::error::error;
use super::select::field;
use super::{ENGINE, schema};
use crate::migrations::Migrating;
use crate::owner::Owner;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS ng_migration (
                           owner TEXT NOT NULL,
                           version INTEGER NOT NULL,
                           name TEXT NOT NULL,
                           checksum TEXT NOT NULL,
                           applied_at INTEGER NOT NULL,
                           PRIMARY KEY (owner, version)
                       ) STRICT, WITHOUT ROWID";

#[async_trait]
impl Migrating for SqliteConnection {
    fn own() -> Vec<Migration> {
        schema::own()
    }

    async fn applied(&mut self, owner: Owner) -> Result<Vec<AppliedMigration>> {
        let known: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = 'ng_migration'")
                .fetch_optional(&mut *self)
                .await
                .map_err(error)?;
        if known.is_none() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT version, name, checksum, applied_at FROM ng_migration WHERE owner = ? ORDER BY version",
        )
        .bind(owner.name())
        .fetch_all(self)
        .await
        .map_err(error)?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(AppliedMigration {
                version: row.try_get(0)?,
                name: row.try_get(1)?,
                checksum: row.try_get(2)?,
                applied_at: Timestamp::from_unix_micros(row.try_get(3)?),
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }

    async fn begin_migration(&mut self) -> Result<Transaction<'_, Sqlite>> {
        let mut transaction = self.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
        sqlx::query(HISTORY).execute(&mut *transaction).await.map_err(error)?;
        Ok(transaction)
    }

    fn ddl(step: &Step) -> Result<Option<String>, String> {
        let unless_there = if step.may_be_done() { "IF NOT EXISTS " } else { "" };
        Ok(match step {
            Step::CreateCollection(name) => Some(format!(
                "CREATE TABLE {unless_there}\"{name}\" (
                     id TEXT NOT NULL PRIMARY KEY,
                     version INTEGER NOT NULL,
                     created_at INTEGER NOT NULL,
                     updated_at INTEGER NOT NULL,
                     body TEXT NOT NULL CHECK (json_valid(body))
                 ) STRICT"
            )),
            Step::CreateIndex(Index { collection, name, paths, unique }) => {
                let kind = if *unique { "UNIQUE INDEX" } else { "INDEX" };
                let mut keys: Vec<_> = paths.iter().map(|path| field(Path::Body(path))).collect();
                if !unique {
                    // Every order ends with the id, and an index that does too delivers it without sorting.
                    keys.push(field(Path::Id));
                }
                Some(format!(
                    "CREATE {kind} {unless_there}\"{name}\" ON \"{collection}\" ({})",
                    keys.join(", ")
                ))
            }
            Step::DropIndex(name) => Some(format!("DROP INDEX \"{name}\"")),
            Step::Sql { engine, statement } => (*engine == ENGINE).then(|| (*statement).to_owned()),
        })
    }

    async fn execute(&mut self, sql: String) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self).await.map(|_| ())
    }

    async fn record(&mut self, owner: Owner, migration: &Migration, now: Timestamp) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO ng_migration (owner, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(owner.name())
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.checksum())
        .bind(now.unix_micros())
        .execute(self)
        .await
        .map(|_| ())
    }

    fn failed(migration: &Migration, cause: sqlx::Error) -> Error {
        migration.failed(cause)
    }

    fn not_committed(_: &Migration, cause: sqlx::Error) -> Error {
        error(cause)
    }
}
