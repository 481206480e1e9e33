//! PostgreSQL: one server for many tests, one database for each.
//!
//! The server is a child of a small script (`postgres.sh`) that waits at the other end of a pipe. However this
//! process ends, the pipe closes, and the script stops the server and deletes its folder.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use neuroglia::id::Ids;

/// The environment variable that names a server for the tests, such as `postgres://postgres@127.0.0.1:5433/postgres`.
///
/// Its user must be allowed to create databases.
pub const POSTGRES_VARIABLE: &str = "NEUROGLIA_TEST_POSTGRES";

const SCRIPT: &str = include_str!("postgres.sh");

/// A private server, for tests that stop it.
pub struct Postgres {
    watch: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or the server does not start.
    pub fn start() -> Self {
        Self::start_as(&[])
    }

    /// Starts one that speaks TLS, with a certificate for this name of its host and no other.
    ///
    /// # Panics
    /// When PostgreSQL or openssl is not installed, or the server does not start.
    pub fn start_certified(host: &str) -> Self {
        Self::start_as(&[&format!("tls={host}")])
    }

    fn start_as(more: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("neuroglia-postgres-").tempdir().expect("a folder").keep();
        let port = free_port();
        let mut command = script("watch");
        command.arg(&folder).arg(port.to_string()).args(more).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the tests; the script notices their end by itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut watch = command.spawn().expect("a shell");
        let orders = watch.stdin.take();
        let answers = BufReader::new(watch.stdout.take().expect("the script's output is piped"));
        let mut server = Self { watch, orders, answers, folder, port };
        server.answer("start");
        server
    }

    /// The certificate of the authority that certified it.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Where it answers, as its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server: connections are cut, what is running is rolled back.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn stop(&mut self) {
        self.order("stop");
    }

    /// Ends the server as a crash would.
    ///
    /// # Panics
    /// When the script that watches it is gone.
    pub fn crash(&mut self) {
        self.order("crash");
    }

    /// Starts the server again, on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("the pipe is open as long as the server lives");
        writeln!(orders, "{order}").expect("the script reads");
        self.answer(order);
    }

    fn answer(&mut self, order: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script's answer is read");
        assert_eq!(line.trim(), "done", "PostgreSQL did not {order}; its log is above");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The script sees the end of its input, and what it cannot clean up is not worth a second panic.
        self.orders = None;
        drop(self.watch.wait());
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.url())
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
    let output = script("sql").args([url, sql]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("there is no shell: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

fn script(order: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "postgres.sh", order]);
    command
}
