//! PostgreSQL for the length of a test run.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::services::install;
use crate::workspace::{Result, read};

/// What names a server for the tests; `neuroglia_testing::services` reads it.
pub(crate) const VARIABLE: &str = "NEUROGLIA_TEST_POSTGRES";

const SCRIPT: &str = concat!(
    "set -eu\n",
    include_str!("../../../crates/neuroglia-testing/src/services/certify.sh"),
    include_str!("../../../crates/neuroglia-testing/src/services/postgres.sh"),
    include_str!("../../../crates/neuroglia-testing/src/services/watch.sh"),
);

/// A server that ends with this process.
pub(crate) struct Postgres {
    /// Its URL.
    pub(crate) url: String,
    port: u16,
    watch: Child,
    open: Option<ChildStdin>,
}

impl Postgres {
    /// Starts one, unless the environment names one; installs PostgreSQL where it is missing.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    #[expect(
        clippy::disallowed_methods,
        reason = "a chore has no settings; the variables are those of its caller"
    )]
    pub(crate) fn for_run() -> Result<Option<Self>> {
        if std::env::var(VARIABLE).is_ok() { Ok(None) } else { Self::start("").map(Some) }
    }

    /// Starts one that waits for the disk, to be measured.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub(crate) fn durable() -> Result<Self> {
        Self::start("durable")
    }

    /// Makes a database of this name; gives its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        Self::sql(&self.url, &format!("CREATE DATABASE {name}"))?;
        let (server, _) = self.url.rsplit_once('/').ok_or("a server's URL ends with a database")?;
        Ok(format!("{server}/{name}"))
    }

    /// Runs a statement in the database with this URL; gives what it prints.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn sql(url: &str, sql: &str) -> Result<String> {
        read(script("sql").args([url, sql]))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn start(durability: &str) -> Result<Self> {
        install::postgres()?;
        let port = free_port()?;
        let mut watch = script("watch")
            .arg(new_folder())
            .args([&port.to_string(), durability])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the run; the script notices its end by itself.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("there is no shell: {error}"))?;
        let (open, answer) = (watch.stdin.take(), watch.stdout.take());
        let server = Self { url: url(port), port, watch, open };
        let mut line = String::new();
        let read = answer.map(|answer| BufReader::new(answer).read_line(&mut line));
        match read {
            Some(Ok(_)) if line.trim() == "done" => Ok(server),
            _ => Err("PostgreSQL did not start; it said why above".to_owned()),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.open = None;
        if let Err(error) = self.watch.wait() {
            println!("PostgreSQL may still be running: {error}");
        }
    }
}

pub(super) fn script(order: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "postgres.sh", order]);
    command
}

pub(super) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// A folder that the server's own user can enter, which is not sure of the target folder.
pub(super) fn new_folder() -> PathBuf {
    std::env::temp_dir().join(format!("neuroglia-postgres-{}", std::process::id()))
}

pub(super) fn free_port() -> Result<u16> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_gone_with_its_last_holder() {
        let server = Postgres::start("").expect("PostgreSQL starts");
        let sql = |url: &str| Postgres::sql(url, "SELECT 1");
        sql(&server.url).expect("it answers");
        let url = server.url.clone();
        drop(server);
        sql(&url).expect_err("nobody answers");
        assert!(!new_folder().exists(), "its folder is deleted");
    }
}
