//! The schema: the framework's own tables, then the application's, alike on every engine of SQL.
//!
//! Both histories are kept in `ng_migration`, each under its owner. A migration runs in one transaction with the
//! row that says so, while nobody else applies any: of two processes at once the second finds the row. An engine
//! has its own statements for that, and its own words for a step.

use async_trait::async_trait;
use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Migration, MigrationRun, Migrations, Step};
use neuroglia::error::{Error, Result};
use sqlx::{Connection, Database, Transaction};

use crate::owner::Owner;

/// What an engine's connection does for a migration.
#[async_trait]
pub(crate) trait Migrating: Connection<Database: Database<Connection = Self>> {
    /// The framework's own tables.
    fn own() -> Vec<Migration>;

    /// What was applied, oldest first; nothing when the store is new.
    async fn applied(&mut self, owner: Owner) -> Result<Vec<AppliedMigration>>;

    /// Begins a transaction in which the table of the histories is there, and nobody else applies anything.
    async fn begin_migration(&mut self) -> Result<Transaction<'_, Self::Database>>;

    /// The step in the engine's terms, unless it is another engine's; its names have been checked.
    fn ddl(step: &Step) -> Result<Option<String>, String>;

    /// Runs statements.
    async fn execute(&mut self, sql: String) -> sqlx::Result<()>;

    /// Notes that the migration was applied.
    async fn record(&mut self, owner: Owner, migration: &Migration, now: Timestamp) -> sqlx::Result<()>;

    /// The error of a statement of the migration that failed.
    fn failed(migration: &Migration, cause: sqlx::Error) -> Error;

    /// The error of its commit.
    fn not_committed(migration: &Migration, cause: sqlx::Error) -> Error;
}

/// Applies what is missing; touches nothing when nothing is.
pub(crate) async fn migrate<C: Migrating>(
    connection: &mut C,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<MigrationRun> {
    Migrations::validate(migrations)?;
    apply_missing(connection, Owner::Framework, &C::own(), now).await?;
    let applied = apply_missing(connection, Owner::Application, migrations, now).await?;
    Ok(MigrationRun { applied })
}

async fn apply_missing<C: Migrating>(
    connection: &mut C,
    owner: Owner,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<Vec<u32>> {
    let done = connection.applied(owner).await?;
    let mut versions = Vec::new();
    for migration in migrations {
        if !migration.is_applied(&done)? && apply(connection, owner, migration, now).await? {
            versions.push(migration.version);
        }
    }
    Ok(versions)
}

/// Applies one migration; gives `false` when another process has done so meanwhile.
async fn apply<C: Migrating>(
    connection: &mut C,
    owner: Owner,
    migration: &Migration,
    now: Timestamp,
) -> Result<bool> {
    let mut transaction = connection.begin_migration().await?;
    if migration.is_applied(&transaction.applied(owner).await?)? {
        transaction.rollback().await.map_err(|cause| C::not_committed(migration, cause))?;
        return Ok(false);
    }
    let failed = |cause| C::failed(migration, cause);
    for step in &migration.steps {
        if let Some(sql) = C::ddl(step).map_err(|fault| migration.failed(fault))? {
            transaction.execute(sql).await.map_err(failed)?;
        }
    }
    transaction.record(owner, migration, now).await.map_err(failed)?;
    transaction.commit().await.map_err(|cause| C::not_committed(migration, cause))?;
    Ok(true)
}
