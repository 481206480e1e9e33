//! The schema as a list of versioned steps: forward only, checksummed, applied once under a lock.

use sha2::{Digest, Sha256};

use super::kept::{KEPT_ENTRIES, KEPT_INDEX};
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
        let mut digest = Sha256::new();
        // Each part goes with its length, so that no two migrations have the same text.
        let mut part = |text: &str| digest.update(format!("{}:{text},", text.len()));
        part(&self.version.to_string());
        part(self.name);
        for step in &self.steps {
            step.parts(&mut part);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Refuses steps whose names no engine would take, or that belong to the framework.
    ///
    /// # Errors
    /// [`Migration::failed`] with the name as its cause.
    pub fn check(&self) -> Result<()> {
        let own = |name: &str| {
            let is_prefixed = ["ng_", "sqlite_", "pg_"].iter().any(|prefix| name.starts_with(prefix));
            if is_prefixed || [KEPT_ENTRIES, KEPT_INDEX].contains(&name) {
                return Err(Error::internal(format!("the name {name} is reserved")));
            }
            check_name(name)
        };
        self.steps
            .iter()
            .filter(|step| !step.may_be_done())
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
    /// [`ErrorKind::Conflict`] when another one of its version is, or when it is missing and a later one is
    /// applied: nobody has tried the two in that order.
    pub fn is_applied(&self, applied: &[AppliedMigration]) -> Result<bool> {
        match applied.iter().find(|done| done.version == self.version) {
            None => match self.overtaken_by(applied) {
                None => Ok(false),
                Some(newest) => Err(Error::conflict(
                    "migration.order",
                    format!(
                        "migration {} ({}) is not applied, and {newest} after it is; give it a version that \
                         follows {newest}",
                        self.version, self.name
                    ),
                )),
            },
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

    /// The newest applied version, when it is a later one.
    fn overtaken_by(&self, applied: &[AppliedMigration]) -> Option<u32> {
        applied.iter().map(|done| done.version).max().filter(|newest| *newest > self.version)
    }

    /// The error of an engine that could not apply it; nothing of it was kept.
    pub fn failed(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let detail = format!("migration {} ({}) failed; nothing of it was kept", self.version, self.name);
        Error::new(ErrorKind::Internal, "migration.failed", detail).with_source(cause)
    }
}

impl Step {
    /// Everything that it says, in a form that outlives renamed types: released checksums depend on it.
    fn parts(&self, part: &mut impl FnMut(&str)) {
        match self {
            Self::CreateCollection(name) => ["create_collection", name].into_iter().for_each(part),
            Self::CreateIndex(Index { collection, name, paths, unique }) => {
                part(if *unique { "create_unique_index" } else { "create_index" });
                [*collection, *name, &paths.len().to_string()].into_iter().for_each(&mut *part);
                paths.iter().for_each(|path| part(path));
            }
            Self::DropIndex(name) => ["drop_index", name].into_iter().for_each(part),
            Self::Sql { engine, statement } => ["sql", engine, statement].into_iter().for_each(part),
        }
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
        refusals(migrations).next().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// What is wrong with the list itself, whatever the store: what [`Migrations::validate`] refuses.
    pub fn faults(&self) -> Faults {
        let fault = |(migration, error): (&Migration, Error)| Fault {
            area: Area::Schema,
            code: "migration",
            what: root_cause(&error),
            at: format!("migration {}", migration.title()),
            fix: "mend the list of migrations; one that was released is never changed".to_owned(),
        };
        refusals(&self.0).map(fault).collect()
    }
}

/// What was to be applied, and what was: the application's history, or that of the engine's own tables.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What this release expects, in order.
    pub expected: Vec<Migration>,
    /// What the store says, oldest first.
    pub applied: Vec<AppliedMigration>,
}

impl History {
    /// What keeps this application from running on a store with these histories; `command` applies the rest.
    ///
    /// A store that is ahead is no fault: the next release has begun to roll out, and migrations only add. One
    /// that has a later migration and lacks an earlier one is: nobody has tried the two in that order.
    pub fn check(histories: &[Self], command: &str) -> Faults {
        let (mut missing, mut faults) = (Vec::new(), Vec::new());
        let at = || "DATABASE_URL".to_owned();
        for Self { expected, applied } in histories {
            for migration in expected {
                let title = migration.title();
                match applied.iter().find(|done| done.version == migration.version) {
                    Some(done) if done.checksum != migration.checksum() => faults.push(Fault {
                        area: Area::Schema,
                        code: "changed",
                        what: format!(
                            "migration {} ({}) is not the one that was applied on {}",
                            migration.version, migration.name, done.applied_at
                        ),
                        at: at(),
                        fix: "restore the migration as it was released and put the change into a new one"
                            .to_owned(),
                    }),
                    Some(_) => {}
                    None => match migration.overtaken_by(applied) {
                        None => missing.push(title),
                        Some(newest) => faults.push(Fault {
                            area: Area::Schema,
                            code: "order",
                            what: format!("the store's schema lacks {title}, and has {newest} after it"),
                            at: at(),
                            fix: format!("give it a version that follows {newest}"),
                        }),
                    },
                }
            }
        }
        if !missing.is_empty() {
            let behind = Fault {
                area: Area::Schema,
                code: "behind",
                what: format!("the store's schema lacks {}", missing.join(", ")),
                at: at(),
                fix: format!("run `{command}` with this release and the same settings"),
            };
            faults.insert(0, behind);
        }
        faults.into_iter().collect()
    }
}

fn refusals(migrations: &[Migration]) -> impl Iterator<Item = (&Migration, Error)> {
    let order = migrations
        .windows(2)
        .filter(|pair| pair[0].version >= pair[1].version)
        .map(|pair| (&pair[1], pair[1].failed(format!("its version does not follow {}", pair[0].version))));
    let steps = migrations.iter().filter_map(|migration| Some((migration, migration.check().err()?)));
    order.chain(steps)
}

fn root_cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
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

    fn check(migrations: &Migrations, applied: &[AppliedMigration]) -> Faults {
        let own = History::default();
        let history = History { expected: migrations.0.clone(), applied: applied.to_vec() };
        History::check(&[own, history], "shop admin migrate")
    }

    #[test]
    fn a_store_that_is_behind_is_told_the_command() {
        let migrations = migrations();
        let faults = check(&migrations, &[applied(&migrations.0[0])]);
        let fault = faults.iter().next().expect("one fault");
        assert_eq!(fault.code, "behind");
        assert!(fault.what.contains("2 pizzas") && fault.fix.contains("shop admin migrate"), "{fault:?}");
    }

    #[test]
    fn one_that_was_overtaken_is_not_to_be_applied() {
        let mut migrations = migrations();
        let done: Vec<_> = migrations.0.iter().map(applied).collect();
        let faults = check(&migrations, &done[1..]);
        let fault = faults.iter().next().expect("one fault");
        assert_eq!((faults.iter().count(), fault.code), (1, "order"));
        assert_eq!(fault.what, "the store's schema lacks 1 orders, and has 2 after it");
        migrations.0.remove(1);
        assert!(check(&migrations, &done).is_empty(), "a store that is ahead is no fault");
    }

    #[test]
    fn every_fault_of_the_list_is_told() {
        let mut migrations = migrations();
        assert!(migrations.faults().is_empty());
        migrations.0[1].version = 1;
        migrations.0[1].steps.push(Step::CreateCollection("ng_mine"));
        migrations.0[0].steps.push(Step::DropIndex("no good"));
        let faults = migrations.faults();
        let found: Vec<_> = faults.iter().map(|fault| (&*fault.at, &*fault.what)).collect();
        assert_eq!(found.len(), 3, "{faults}");
        assert_eq!(found[0], ("migration 1 pizzas", "its version does not follow 1"));
        assert_eq!(found[2], ("migration 1 pizzas", "the name ng_mine is reserved"));
    }

    #[test]
    fn checksums_are_those_of_earlier_releases() {
        let index = |unique| {
            Step::CreateIndex(Index {
                collection: "orders",
                name: "orders_number",
                paths: vec!["number", "customer.id"],
                unique,
            })
        };
        let sums = [
            vec![Step::CreateCollection("orders")],
            vec![index(true)],
            vec![index(false)],
            vec![Step::DropIndex("orders_number")],
            vec![Step::Sql { engine: "sqlite", statement: "CREATE TABLE sales (pizza TEXT)" }],
            vec![Step::CreateCollection("a"), Step::CreateCollection("b")],
        ]
        .map(|steps| Migration { version: 7, name: "seventh", steps }.checksum());
        // A store that was migrated by an earlier release holds these; they must never change.
        let expected = [
            "89db5b7640aeff6c7fe9e9c1e25afc2c",
            "658facef8af9c3e775b1c20ae5e39edc",
            "b509ba91a2854b1c5a5dcfc9fd085e2a",
            "2a4e3552a27776c4f9fbf01647db168b",
            "46ecf4c21bee42787727d9db462e1442",
            "0a9accd2c92a32a0aa6012297e261d9b",
        ];
        assert_eq!(sums, expected);
    }

    #[test]
    fn an_edited_migration_is_found() {
        let mut migrations = migrations();
        let done: Vec<_> = migrations.0.iter().map(applied).collect();
        assert!(check(&migrations, &done).is_empty());
        migrations.0[0].steps.push(Step::CreateCollection("more"));
        assert_eq!(check(&migrations, &done).iter().next().map(|fault| fault.code), Some("changed"));
    }

    #[test]
    fn the_frameworks_own_collection_is_nobody_elses() {
        let with = |steps| Migration { version: 1, name: "sessions", steps }.check();
        let index = |collection, name| {
            Step::CreateIndex(Index { collection, name, paths: vec!["until"], unique: false })
        };
        with(Step::of_kept_entries()).expect("released migrations have these steps");
        for own in [Step::CreateCollection("kept_entries_of_mine"), index("pizzas", "pizzas_until")] {
            with(vec![own]).expect("its name is another");
        }
        for taken in [Step::DropIndex("kept_entries_until"), index("pizzas", "kept_entries_until")] {
            with(vec![taken]).expect_err("its name is the framework's");
        }
    }
}
