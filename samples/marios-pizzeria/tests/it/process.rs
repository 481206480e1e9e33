//! The executable itself, as an operating system meets it: arguments, environment, pipes, signals, exit codes.
//!
//! [`Premises`] is a folder with a pizzeria's settings and database in it. It runs commands to their end, and opens
//! the doors: a [`Process`] that answers on a free port. Everything a process writes is read as it comes, and
//! every wait is for a condition, with a deadline.

mod accounts;
mod boot;
mod brokers;
mod client;
mod commands;
mod crash;
mod health;
mod hostile;
mod ledger;
mod limits;
mod logs;
mod operators;
mod pid1;
mod roles;
mod running;
mod secrets;
mod shell;
mod signals;
mod streams;
mod upkeep;
mod work;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use client::{Answer, Client};
pub(crate) use running::{Finished, Process};

/// How long anything may take before a test gives up on it. Machines that test are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What signs access tokens when a test does not care.
pub(crate) const SIGNING_KEY: &str = "tX8vQ2mK5wR9zB4nL7cJ1hG6fD3sP0yA";

/// A folder, and the settings of a pizzeria whose database is in it.
#[derive(Clone)]
pub(crate) struct Premises {
    executable: PathBuf,
    folder: Arc<TempDir>,
    environment: BTreeMap<&'static str, String>,
}

impl Premises {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let database = format!("sqlite://{}", folder.path().join("pizzeria.db").display());
        let environment = BTreeMap::from([
            ("DATABASE_URL", database),
            ("JWT_SECRET_KEY", SIGNING_KEY.to_owned()),
            ("SERVER_HOST", "127.0.0.1".to_owned()),
            ("PORT", "0".to_owned()),
        ]);
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_marios-pizzeria"));
        Self { executable, folder, environment }
    }

    /// With a schema and a menu.
    pub(crate) fn furnished() -> Self {
        let premises = Self::new();
        premises.run(&["admin", "migrate"]).assert_code(0);
        premises.run(&["admin", "seed"]).assert_code(0);
        premises
    }

    /// With another executable than the pizzeria's.
    pub(crate) fn of_executable(self, executable: PathBuf) -> Self {
        Self { executable, ..self }
    }

    /// With one more setting.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Without a setting.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// What a setting is.
    pub(crate) fn setting(&self, name: &str) -> &str {
        &self.environment[name]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the application, in the folder, with its settings and nothing else in the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.spawn(&mut self.command(arguments))
    }

    /// Starts a command of [`Premises::command`], to which something was added.
    pub(crate) fn spawn(&self, command: &mut Command) -> Process {
        Process::spawn(command).keeping(&self.folder)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).end_within(PATIENCE)
    }

    /// Runs a command that reads a line.
    pub(crate) fn run_with_line(&self, arguments: &[&str], line: &str) -> Finished {
        let mut process = Process::spawn(self.command(arguments).stdin(Stdio::piped()));
        // One that ends without reading says why by its exit code.
        let _ = writeln!(process.stdin().expect("it is a pipe"), "{line}");
        process.end_within(PATIENCE)
    }

    /// Opens an account.
    pub(crate) fn hire(&self, username: &str, role: &str, password: &str) {
        let arguments =
            ["admin", "create-user", "--username", username, "--name", "Somebody", "--role", role];
        let arguments = [&arguments[..], &["--password-stdin"]].concat();
        self.run_with_line(&arguments, password).assert_code(0);
    }

    /// Starts `web`, and waits until it is ready.
    pub(crate) fn open(&self) -> Process {
        self.open_as("web")
    }

    /// Starts a process that answers, and waits until it is ready.
    pub(crate) fn open_as(&self, name: &str) -> Process {
        let mut process = self.start(&[name]);
        process.wait_until_ready();
        process
    }

    /// A command of the application that a shell becomes after it has done this: what a process inherits, such as a
    /// limit.
    pub(crate) fn command_after(&self, prelude: &str, arguments: &[&str]) -> Command {
        let inner = self.command(arguments);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{prelude}; exec \"$0\" \"$@\""));
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(&self.environment).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// An order that anybody may place. The phone says who it is.
pub(crate) fn guest_order(phone: &str, notes: &str) -> Value {
    serde_json::json!({
        "customer": {"name": "Ada", "phone": phone, "address": "1 Main St"},
        "lines": [{"pizza_id": "margherita", "size": "medium", "toppings": ["olives"], "quantity": 2}],
        "payment_method": "cash",
        "notes": notes,
    })
}
