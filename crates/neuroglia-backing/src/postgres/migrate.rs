//! PostgreSQL's statements for migrations, which are applied under a lock that belongs to the framework.
//!
//! A migration takes the time that it takes, but it does not wait for a table that others use longer than any
//! statement would, because all that come after it would wait behind it.

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Index, Migration, Step};
use neuroglia::error::{Error, ErrorKind, Result};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction};

use super::error::{code, error, is_of_connection};
use super::select::keys;
use super::{ENGINE, schema};
use crate::migrations::Migrating;
use crate::owner::Owner;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS ng_migration (
                           owner text NOT NULL,
                           version bigint NOT NULL,
                           name text NOT NULL,
                           checksum text NOT NULL,
                           applied_at bigint NOT NULL,
                           PRIMARY KEY (owner, version)
                       )";

/// The lock under which migrations are applied: «neurogli» in ASCII.
const LOCK: i64 = 0x6e65_7572_6f67_6c69;

/// No limit to this transaction's statements, nor to the wait for its turn, and no notice of what is there already.
const PATIENT: &str = "SELECT set_config('statement_timeout', '0', true), \
                       set_config('ng.lock_timeout', current_setting('lock_timeout'), true), \
                       set_config('lock_timeout', '0', true), \
                       set_config('ng.messages', current_setting('client_min_messages'), true), \
                       set_config('client_min_messages', 'warning', true)";

/// The usual limit to the wait for what others use.
const IMPATIENT: &str = "SELECT set_config('lock_timeout', current_setting('ng.lock_timeout'), true), \
                         set_config('client_min_messages', current_setting('ng.messages'), true)";

#[async_trait]
impl Migrating for PgConnection {
    fn own() -> Vec<Migration> {
        schema::own()
    }

    async fn applied(&mut self, owner: Owner) -> Result<Vec<AppliedMigration>> {
        let known: bool = sqlx::query_scalar("SELECT to_regclass('ng_migration') IS NOT NULL")
            .fetch_one(&mut *self)
            .await
            .map_err(error)?;
        if !known {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT version, name, checksum, applied_at FROM ng_migration WHERE owner = $1 ORDER BY version",
        )
        .bind(owner.name())
        .fetch_all(self)
        .await
        .map_err(error)?;
        let read = |row: &PgRow| {
            let version: i64 = row.try_get(0)?;
            Ok(AppliedMigration {
                version: u32::try_from(version).map_err(|cause| sqlx::Error::Decode(cause.into()))?,
                name: row.try_get(1)?,
                checksum: row.try_get(2)?,
                applied_at: Timestamp::from_unix_micros(row.try_get(3)?),
            })
        };
        rows.iter().map(|row| read(row).map_err(error)).collect()
    }

    async fn begin_migration(&mut self) -> Result<Transaction<'_, Postgres>> {
        let mut transaction = self.begin().await.map_err(error)?;
        sqlx::query(PATIENT).execute(&mut *transaction).await.map_err(error)?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *transaction).await.map_err(error)?;
        // Whether the table is there is for this statement to say: a mere look at the catalogue, in a transaction that
        // has waited for another, may give what was there before.
        sqlx::query(HISTORY).execute(&mut *transaction).await.map_err(denied)?;
        sqlx::query(IMPATIENT).execute(&mut *transaction).await.map_err(error)?;
        Ok(transaction)
    }

    fn ddl(step: &Step) -> Result<Option<String>, String> {
        let short = |name: &'static str| {
            let fits = name.len() <= NAME_MAX;
            if fits { Ok(name) } else { Err(format!("the name {name} is longer than {NAME_MAX} characters")) }
        };
        let unless_there = if step.may_be_done() { "IF NOT EXISTS " } else { "" };
        Ok(match step {
            Step::CreateCollection(name) => {
                let name = short(name)?;
                Some(format!(
                    "CREATE TABLE {unless_there}\"{name}\" (
                         id text COLLATE \"C\" NOT NULL,
                         version bigint NOT NULL,
                         created_at bigint NOT NULL,
                         updated_at bigint NOT NULL,
                         body jsonb NOT NULL,
                         PRIMARY KEY (id)
                     )"
                ))
            }
            Step::CreateIndex(Index { collection, name, paths, unique }) => {
                let name = short(name)?;
                let kind = if *unique { "UNIQUE INDEX" } else { "INDEX" };
                let fields = paths.iter().flat_map(|path| keys(path));
                let mut keys: Vec<_> = fields.map(|key| format!("({key}) NULLS FIRST")).collect();
                if !unique {
                    // Every order ends with the id, and an index that does too delivers it without sorting.
                    keys.push("id".to_owned());
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
            "INSERT INTO ng_migration (owner, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(owner.name())
        .bind(i64::from(migration.version))
        .bind(migration.name)
        .bind(migration.checksum())
        .bind(now.unix_micros())
        .execute(self)
        .await
        .map(|_| ())
    }

    fn failed(migration: &Migration, cause: sqlx::Error) -> Error {
        if is_of_connection(&cause) { error(cause) } else { migration.failed(cause) }
    }

    fn not_committed(migration: &Migration, cause: sqlx::Error) -> Error {
        Self::failed(migration, cause)
    }
}

/// The error of a user who may use the database and not change its schema, as new users of PostgreSQL 15 may not.
fn denied(cause: sqlx::Error) -> Error {
    if code(&cause).as_deref() != Some("42501") {
        return error(cause);
    }
    let detail = "the database's user may not create tables; make it the database's owner, or GRANT CREATE ON SCHEMA \
                  public to it";
    Error::new(ErrorKind::Internal, "migration.denied", detail).with_source(cause)
}

/// PostgreSQL cuts longer names off, and two could become one.
const NAME_MAX: usize = 63;
