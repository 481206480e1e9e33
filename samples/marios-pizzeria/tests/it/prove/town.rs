//! A database, and the processes that share it.

use std::path::PathBuf;
use std::time::Duration;

use neuroglia_testing::services::{Database, MongoDatabase};

use super::Books;
use crate::process::{Finished, PATIENCE, Premises, Process};

/// What keeps the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    /// Or what stands in for it.
    Mongo,
}

/// A database with a schema and a menu, on which processes of the `perilous` example are opened.
pub(crate) struct Town {
    pub(crate) books: Books,
    pub(crate) premises: Premises,
    /// Deleted when nobody uses it any more.
    ground: Ground,
}

/// What there is beside a file, for as long as this lives.
pub(crate) enum Ground {
    Bare,
    Postgres(Database),
    Mongo { _database: MongoDatabase },
}

impl Engine {
    /// Premises on an empty database of this engine.
    pub(crate) fn attach(self, premises: Premises) -> (Premises, Ground) {
        match self {
            Self::Sqlite => (premises, Ground::Bare),
            Self::Postgres => {
                let database = Database::create();
                (premises.set("DATABASE_URL", database.url()), Ground::Postgres(database))
            }
            Self::Mongo => {
                let database = MongoDatabase::create_apart();
                (premises.set("DATABASE_URL", database.url()), Ground::Mongo { _database: database })
            }
        }
    }
}

impl Town {
    pub(crate) fn found(engine: Engine) -> Self {
        let (premises, ground) = ground(engine);
        Self::furnish(premises, ground)
    }

    /// In which a task of the scheduler ticks ten times a second.
    pub(crate) fn ticking(engine: Engine) -> Self {
        let mut town = Self::found(engine);
        town.premises = town.premises.set("TICKS", "on");
        town
    }

    /// On a PostgreSQL server of the test's own.
    pub(crate) fn found_on(server: &str) -> Self {
        let database = Database::create_on(server);
        let premises = vacant().set("DATABASE_URL", database.url());
        Self::furnish(premises, Ground::Postgres(database))
    }

    fn furnish(premises: Premises, ground: Ground) -> Self {
        premises.run(&["admin", "migrate"]).assert_code(0);
        premises.run(&["admin", "seed"]).assert_code(0);
        let books = Books::open(premises.setting("DATABASE_URL"));
        Self { books, premises, ground }
    }

    /// Has the server end every connection to the database; gives how many there were.
    pub(crate) fn end_connections(&self) -> usize {
        self.postgres().end_connections()
    }

    /// Runs statements on the database.
    pub(crate) fn execute(&self, sql: &str) {
        self.postgres().execute(sql);
    }

    fn postgres(&self) -> &Database {
        match &self.ground {
            Ground::Postgres(database) => database,
            Ground::Bare | Ground::Mongo { .. } => panic!("only PostgreSQL is asked to"),
        }
    }

    /// Opens a process, and waits until it is ready.
    pub(crate) fn open(&self, role: &str) -> Process {
        self.premises.open_as(role)
    }

    /// Opens a process that comes to grief at this point.
    pub(crate) fn open_perilous(&self, role: &str, point: &str) -> Process {
        let mut process = perilous(&self.premises, &[role], point);
        process.wait_until_ready();
        process
    }
}

/// Premises of the example, on an empty database.
pub(crate) fn ground(engine: Engine) -> (Premises, Ground) {
    engine.attach(vacant())
}

fn vacant() -> Premises {
    Premises::new().of_executable(executable())
}

/// Starts a command that comes to grief at this point.
pub(crate) fn perilous(premises: &Premises, arguments: &[&str], point: &str) -> Process {
    premises.spawn(premises.command(arguments).env("FAILPOINT", point))
}

/// How long customers may take until a process is where it dies; where the store is slow, they take their time.
const DEATH_PATIENCE: Duration = PATIENCE.saturating_mul(3);

/// Waits for the end of a process that was killed.
#[track_caller]
pub(crate) fn killed(process: Process) -> Finished {
    let finished = process.end_within(DEATH_PATIENCE);
    assert_eq!(finished.signal(), Some(9), "it was not killed:\n{}\n{}", finished.stdout, finished.stderr);
    finished
}

/// The example's executable.
fn executable() -> PathBuf {
    built("examples/perilous")
}

/// An executable that `cargo test` builds beside this one.
pub(super) fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test has an executable");
    let profile = own.parent().and_then(|folder| folder.parent()).expect("it is in `deps`");
    let executable = profile.join(name);
    assert!(executable.exists(), "run `cargo build -p marios-pizzeria --examples` first");
    executable
}
