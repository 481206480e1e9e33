//! PostgreSQL: one server for many tests, one database for each.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;

use neuroglia::id::Ids;

use super::private::{Private, script};

/// The environment variable that names a server for the tests, such as `postgres://postgres@127.0.0.1:5433/postgres`.
///
/// Its user must be allowed to create databases.
pub const POSTGRES_VARIABLE: &str = "NEUROGLIA_TEST_POSTGRES";

const SCRIPT: &str =
    concat!("set -eu\n", include_str!("certify.sh"), include_str!("postgres.sh"), include_str!("watch.sh"));

/// A private server, for tests that stop it.
#[derive(Debug)]
pub struct Postgres(Private);

impl Postgres {
    /// Starts one.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or the server does not start.
    pub fn start() -> Self {
        Self(Private::start(SCRIPT, "postgres", None, |_| true))
    }

    /// Starts one that speaks TLS, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When PostgreSQL or openssl is not installed, or the server does not start.
    pub fn start_certified(host: &str) -> Self {
        Self(Private::start(SCRIPT, "postgres", Some(&format!("tls={host}")), |_| true))
    }

    /// Starts one whose tables can be [kept from growing](Self::fill_disk).
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or the server does not start.
    pub fn start_small() -> Self {
        Self(Private::start(SCRIPT, "postgres", Some("small"), |_| true))
    }

    /// Has no table or index of a [small](Self::start_small) server grow beyond 1 MiB, as if the disk were full, or lets
    /// them grow again.
    ///
    /// It is a limit on the files of the server's processes, and like a full disk to PostgreSQL, which ignores the signal
    /// that comes with it.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn fill_disk(&self, is_full: bool) {
        let most = if is_full { "1048576" } else { "unlimited" };
        let done = script(SCRIPT, "limit").arg(self.0.folder()).arg(most).stdin(Stdio::null()).status();
        assert!(done.is_ok_and(|status| status.success()), "the server's processes are limited");
    }

    /// Has the server know one more user, who may do everything and is let in by a password alone.
    ///
    /// # Panics
    /// When the server refuses, or its folder cannot be written to.
    pub fn add_user(&self, name: &str, password: &str) {
        self.tell(&format!("CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'"));
        let path = self.0.folder().join("data/pg_hba.conf");
        let rules = fs::read_to_string(&path).expect("the server's folder is ours");
        // The first rule that fits is the one that counts.
        fs::write(&path, format!("host all {name} all password\n{rules}"))
            .expect("the server's folder is ours");
        self.tell("SELECT pg_reload_conf()");
    }

    /// Gives a user another password; who is in stays in.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn change_password(&self, name: &str, password: &str) {
        self.tell(&format!("ALTER ROLE {name} PASSWORD '{password}'"));
    }

    fn tell(&self, sql: &str) {
        psql(&self.url(), sql).expect("the server obeys its superuser");
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.0.folder().join("ca.crt")
    }

    /// Where it answers, as its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.0.port())
    }

    /// Stops the server: connections are cut, what is running is rolled back.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Ends the server as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.0.crash();
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.0.start_again();
    }
}

/// A database of one test, deleted when this is dropped.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one on the server of this test run.
    ///
    /// # Panics
    /// When there is no server and none can be started, or the server refuses.
    pub fn create() -> Self {
        Self::create_on(server())
    }

    /// Makes one on the server with this URL.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_on(server: &str) -> Self {
        let name = format!("t_{}", Ids::random().next_uuid().simple());
        let database = Self { server: server.to_owned(), name };
        psql(&database.server, &format!("CREATE DATABASE {}", database.name))
            .expect("a database for the test");
        database
    }

    /// Its URL.
    ///
    /// # Panics
    /// When the server's URL names no database in whose place this one could stand.
    pub fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').expect("a server's URL ends with a database");
        format!("{before}/{}", self.name)
    }

    /// Runs statements on it.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn execute(&self, sql: &str) {
        psql(&self.url(), sql).expect("sound statements");
    }

    /// Ends every connection to it, as an operator does; gives how many there were.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn end_connections(&self) -> usize {
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let ended = psql(&self.url(), &format!("SELECT count(pg_terminate_backend(pid)) {others}"));
        ended.expect("a superuser may end connections").trim().parse().expect("a number")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that a test has stopped takes its databases with it.
        drop(psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)));
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.name)
    }
}

/// The server of this test run: the one that the environment names, or one of this process.
#[expect(clippy::disallowed_methods, reason = "a test run is told about its services by the environment")]
fn server() -> &'static str {
    // The process's end closes the pipe of the server's script; a static is never dropped, and need not be.
    static OWN: OnceLock<(String, Option<Postgres>)> = OnceLock::new();
    let (url, _) = OWN.get_or_init(|| match std::env::var(POSTGRES_VARIABLE) {
        Ok(url) => (url, None),
        Err(_) => {
            let server = Postgres::start();
            (server.url(), Some(server))
        }
    });
    url
}

/// What the server answers to a statement.
fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = script(SCRIPT, "sql").args([url, sql]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("there is no shell: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
