//! PostgreSQL for the length of a test run.

use std::path::PathBuf;
use std::process::Command;

use crate::services::install;
use crate::services::watched::{Watched, free_port, order};
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
    _server: Watched,
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
        let server = Watched::start("PostgreSQL", SCRIPT, folder(port), port, durability)?;
        Ok(Self { url: url(port), port, _server: server })
    }
}

pub(super) fn script(name: &str) -> Command {
    order(SCRIPT, name)
}

pub(super) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// A folder for the server at this port that its own user can enter, which is not sure of the target folder.
pub(super) fn folder(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("neuroglia-postgres-{}-{port}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn the_server_is_gone_with_its_last_holder() {
        let server = Postgres::start("").expect("PostgreSQL starts");
        let sql = |url: &str| Postgres::sql(url, "SELECT 1");
        sql(&server.url).expect("it answers");
        let (url, folder) = (server.url.clone(), folder(server.port));
        drop(server);
        sql(&url).expect_err("nobody answers");
        assert!(!folder.exists(), "its folder is deleted");
    }

    #[test]
    fn a_run_that_is_interrupted_or_killed_leaves_no_server() {
        let port = free_port().expect("a port is free");
        let (its_end, held_open) = std::io::pipe().expect("a pipe");
        // What holds the server is the run; it is another process here, so that it can be killed.
        let mut run = Command::new("sleep").arg("600").stdout(held_open).spawn().expect("it sleeps");
        let mut watch = script("watch")
            .arg(folder(port))
            .arg(port.to_string())
            .stdin(its_end)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let mut line = String::new();
        let answer = watch.stdout.take().expect("it is piped");
        BufReader::new(answer).read_line(&mut line).expect("it answers");
        assert_eq!(line.trim(), "done");
        let sql = || Postgres::sql(&url(port), "SELECT 1");
        for signal in ["INT", "TERM", "HUP"] {
            let mut kill = Command::new("kill");
            kill.args(["-s", signal, &watch.id().to_string()]);
            assert!(kill.status().expect("there is a kill").success());
            sql().expect("what stops the run alone stops the server");
        }
        run.kill().expect("it is killed");
        run.wait().expect("it has ended");
        watch.wait().expect("it notices that nobody holds it");
        sql().expect_err("nobody answers");
        assert!(!folder(port).exists(), "its folder is deleted");
    }
}
