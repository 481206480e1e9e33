//! The schema as a list of versioned steps: forward only, checksummed, applied once under a lock.

use sha2::{Digest, Sha256};

use super::query::{check_name, check_path};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{Area, Fault, Faults};

/// One step of the schema's history; once released it is never changed, only followed by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the order: 1, 2, 3, ….
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One change of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A new, empty collection; its name is made of lower-case letters, digits and underscores.
    CreateCollection(&'static str),
    /// A declared index.
    CreateIndex(Index),
    /// The end of an index.
    DropIndex(&'static str),
    /// A statement for one engine; others pass it by.
    Sql {
        /// The engine, such as `sqlite`.
        engine: &'static str,
        /// The statement.
        statement: &'static str,
    },
}

/// An index over scalar fields of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The collection.
    pub collection: &'static str,
    /// Its name, unique in the store; what a duplicate is reported as is the part after the collection's name.
    pub name: &'static str,
    /// The fields' paths, in order.
    pub paths: Vec<&'static str>,
    /// Whether two documents may not have the same values; unset fields never collide.
    pub unique: bool,
}

impl Migration {
    /// Its version and name in one.
    pub fn title(&self) -> String {
        format!("{} {}", self.version, self.name)
    }

    /// A digest of what it does: a released migration that was edited shows by it.
    pub fn checksum(&self) -> String {
        // The debug form names every part of every step; it changes only when a step does.
        let digest = Sha256::digest(format!("{} {} {:?}", self.version, self.name, self.steps));
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Refuses steps whose names no engine would take, or that belong to the framework.
    ///
    /// # Errors
    /// [`Migration::failed`] with the name as its cause.
    pub fn check(&self) -> Result<()> {
        let own = |name: &str| {
            if name.starts_with("ng_") || name.starts_with("sqlite_") || name.starts_with("pg_") {
                return Err(Error::internal(format!("the name {name} is reserved")));
            }
            check_name(name)
        };
        self.steps
            .iter()
            .try_for_each(|step| match step {
                Step::CreateCollection(name) | Step::DropIndex(name) => own(name),
                Step::CreateIndex(index) => {
                    own(index.collection)?;
                    own(index.name)?;
                    if index.paths.is_empty() {
                        return Err(Error::internal(format!("the index {} has no fields", index.name)));
                    }
                    index.paths.iter().try_for_each(|path| check_path(path))
                }
                Step::Sql { .. } => Ok(()),
            })
            .map_err(|error| self.failed(error))
    }

    /// Whether it is among those that were applied.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when another one of its version is.
    pub fn is_applied(&self, applied: &[AppliedMigration]) -> Result<bool> {
        match applied.iter().find(|done| done.version == self.version) {
            None => Ok(false),
            Some(done) if done.checksum == self.checksum() => Ok(true),
            Some(done) => Err(Error::conflict(
                "migration.changed",
                format!(
                    "migration {} ({}) is not the one that was applied on {}; restore it as it was released and put \
                     the change into a new one",
                    self.version, self.name, done.applied_at
                ),
            )),
        }
    }

    /// The error of an engine that could not apply it; nothing of it was kept.
    pub fn failed(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let detail = format!("migration {} ({}) failed; nothing of it was kept", self.version, self.name);
        Error::new(ErrorKind::Internal, "migration.failed", detail).with_source(cause)
    }
}

impl Index {
    /// What a duplicate in the index with this name is reported as: the part after the collection's name.
    pub fn short_name<'a>(collection: &str, name: &'a str) -> &'a str {
        name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name)
    }
}

/// A migration that a store says was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its version.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Its digest at that time.
    pub checksum: String,
    /// When it was applied.
    pub applied_at: Timestamp,
}

/// What a run of migrations did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationRun {
    /// The versions that it applied; none when another run had applied them or nothing was missing.
    pub applied: Vec<u32>,
}

/// An application's migrations, in order.
#[derive(Debug, Clone, Default)]
pub struct Migrations(pub Vec<Migration>);

impl Migrations {
    /// Refuses migrations that no store could apply: out of order, or with a name that is not allowed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`], naming the migration.
    pub fn validate(migrations: &[Migration]) -> Result<()> {
        for pair in migrations.windows(2) {
            if pair[0].version >= pair[1].version {
                return Err(pair[1].failed(format!("its version does not follow {}", pair[0].version)));
            }
        }
        migrations.iter().try_for_each(Migration::check)
    }

    /// What keeps this application from running on a store with those applied; `command` applies the rest.
    ///
    /// A store that is ahead is no fault: the next release has begun to roll out, and migrations only add.
    pub fn check(&self, applied: &[AppliedMigration], command: &str) -> Faults {
        let mut faults = Faults::default();
        let missing: Vec<_> = self
            .0
            .iter()
            .filter(|migration| !applied.iter().any(|done| done.version == migration.version))
            .map(|migration| format!("{} {}", migration.version, migration.name))
            .collect();
        if !missing.is_empty() {
            faults.push(Fault {
                area: Area::Schema,
                code: "behind",
                what: format!("the store's schema lacks {}", missing.join(", ")),
                at: "DATABASE_URL".to_owned(),
                fix: format!("run `{command}` with this release and the same settings"),
            });
        }
        for migration in &self.0 {
            let changed = applied
                .iter()
                .find(|done| done.version == migration.version && done.checksum != migration.checksum());
            if let Some(done) = changed {
                faults.push(Fault {
                    area: Area::Schema,
                    code: "changed",
                    what: format!(
                        "migration {} ({}) is not the one that was applied on {}",
                        migration.version, migration.name, done.applied_at
                    ),
                    at: "DATABASE_URL".to_owned(),
                    fix: "restore the migration as it was released and put the change into a new one"
                        .to_owned(),
                });
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrations() -> Migrations {
        Migrations(vec![
            Migration { version: 1, name: "orders", steps: vec![Step::CreateCollection("orders")] },
            Migration { version: 2, name: "pizzas", steps: vec![Step::CreateCollection("pizzas")] },
        ])
    }

    fn applied(migration: &Migration) -> AppliedMigration {
        AppliedMigration {
            version: migration.version,
            name: migration.name.to_owned(),
            checksum: migration.checksum(),
            applied_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_store_that_is_behind_is_told_the_command() {
        let migrations = migrations();
        let faults = migrations.check(&[applied(&migrations.0[0])], "shop admin migrate");
        let fault = faults.iter().next().expect("one fault");
        assert_eq!(fault.code, "behind");
        assert!(fault.what.contains("2 pizzas") && fault.fix.contains("shop admin migrate"), "{fault:?}");
    }

    #[test]
    fn an_edited_migration_is_found() {
        let mut migrations = migrations();
        let done: Vec<_> = migrations.0.iter().map(applied).collect();
        assert!(migrations.check(&done, "").is_empty());
        migrations.0[0].steps.push(Step::CreateCollection("more"));
        assert_eq!(migrations.check(&done, "").iter().next().map(|fault| fault.code), Some("changed"));
    }
}
