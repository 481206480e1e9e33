//! The schema: the framework's own tables, then the application's.
//!
//! Both histories are kept in `ng_migration`, each under its owner. A migration runs in one transaction with the
//! row that says so, under SQLite's write lock: of two processes at once the second finds the row.

use neuroglia::clock::Timestamp;
use neuroglia::data::{AppliedMigration, Index, Migration, MigrationRun, Migrations, Path, Step};
use neuroglia::error::Result;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::ENGINE;
use super::error::error;
use super::schema::own;
use super::select::field;

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Framework,
    Application,
}

impl Owner {
    const fn name(self) -> &'static str {
        match self {
            Self::Framework => "neuroglia",
            Self::Application => "application",
        }
    }
}

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS ng_migration (
                           owner TEXT NOT NULL,
                           version INTEGER NOT NULL,
                           name TEXT NOT NULL,
                           checksum TEXT NOT NULL,
                           applied_at INTEGER NOT NULL,
                           PRIMARY KEY (owner, version)
                       ) STRICT, WITHOUT ROWID";

/// What was applied, oldest first; nothing when the file is new.
pub(super) async fn applied(
    connection: &mut SqliteConnection,
    owner: Owner,
) -> Result<Vec<AppliedMigration>> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE name = 'ng_migration'")
        .fetch_optional(&mut *connection)
        .await
        .map_err(error)?;
    if known.is_none() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT version, name, checksum, applied_at FROM ng_migration WHERE owner = ? ORDER BY version",
    )
    .bind(owner.name())
    .fetch_all(connection)
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

/// Applies what is missing; touches nothing when nothing is.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    migrations: Vec<Migration>,
    now: Timestamp,
) -> Result<MigrationRun> {
    Migrations::validate(&migrations)?;
    apply_missing(connection, Owner::Framework, &own(), now).await?;
    let applied = apply_missing(connection, Owner::Application, &migrations, now).await?;
    Ok(MigrationRun { applied })
}

async fn apply_missing(
    connection: &mut SqliteConnection,
    owner: Owner,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<Vec<u32>> {
    let done = applied(connection, owner).await?;
    let mut versions = Vec::new();
    for migration in migrations {
        if !migration.is_applied(&done)? && apply(connection, owner, migration, now).await? {
            versions.push(migration.version);
        }
    }
    Ok(versions)
}

/// Applies one migration; gives `false` when another process has done so meanwhile.
async fn apply(
    connection: &mut SqliteConnection,
    owner: Owner,
    migration: &Migration,
    now: Timestamp,
) -> Result<bool> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    sqlx::query(HISTORY).execute(&mut *transaction).await.map_err(error)?;
    if migration.is_applied(&applied(&mut transaction, owner).await?)? {
        transaction.rollback().await.map_err(error)?;
        return Ok(false);
    }
    for step in &migration.steps {
        if let Some(sql) = ddl(step) {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await;
            done.map_err(|cause| migration.failed(cause))?;
        }
    }
    sqlx::query(
        "INSERT INTO ng_migration (owner, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(owner.name())
    .bind(migration.version)
    .bind(migration.name)
    .bind(migration.checksum())
    .bind(now.unix_micros())
    .execute(&mut *transaction)
    .await
    .map_err(|cause| migration.failed(cause))?;
    transaction.commit().await.map_err(error)?;
    Ok(true)
}

/// The step in SQLite's terms; its names have been checked.
fn ddl(step: &Step) -> Option<String> {
    match step {
        Step::CreateCollection(name) => Some(format!(
            "CREATE TABLE \"{name}\" (
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
            Some(format!("CREATE {kind} \"{name}\" ON \"{collection}\" ({})", keys.join(", ")))
        }
        Step::DropIndex(name) => Some(format!("DROP INDEX \"{name}\"")),
        Step::Sql { engine, statement } => (*engine == ENGINE).then(|| (*statement).to_owned()),
    }
}
