//! A workspace with one application, and `neuroglia` running in it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Long enough to build an application on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Takes an option of cargo out of a shell's arguments.
const WITHOUT_RELEASE: &str =
    "for word; do shift; if [ \"$word\" != --release ]; then set -- \"$@\" \"$word\"; fi; done\n";

/// A copy of the fixture in a folder of its own.
pub(crate) struct Workshop {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let workshop = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/app"), workshop.folder.path());
        workshop
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), environment: Vec::new() }
    }

    /// The workspace of this repository itself, as cargo tells it, for what only looks.
    pub(crate) fn in_the_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there");
        let metadata = Self::metadata(&root);
        let target = metadata["target_directory"].as_str().expect("a folder").to_owned();
        let workshop = Self::empty().export("CARGO_TARGET_DIR", &target);
        let script = format!("#!/bin/sh\ncd '{}' && exec '{}' \"$@\"\n", root.display(), env!("CARGO"));
        workshop.with_cargo(&script)
    }

    fn metadata(root: &Path) -> Value {
        let metadata = typed(env!("CARGO"))
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(root)
            .output()
            .expect("cargo is there");
        serde_json::from_slice(&metadata.stdout).expect("it writes JSON")
    }

    /// With a cargo of its own.
    fn with_cargo(self, script: &str) -> Self {
        let cargo = self.path("cargo");
        std::fs::write(&cargo, script).expect("the folder is ours");
        std::fs::set_permissions(&cargo, Permissions::from_mode(0o700)).expect("the folder is ours");
        self.export("CARGO", &cargo.display().to_string())
    }

    /// The workspace of this repository with its sample, but with its development state in a folder of its own.
    ///
    /// Everything is real except that cargo tells another root: the package, its `deployment/dev` and its build are
    /// those of the repository.
    pub(crate) fn of_the_sample() -> Self {
        Self::of_the_sample_by("")
    }

    /// The same with its lock, under version control, and with builds as in [`Self::building_for_development`].
    pub(crate) fn of_the_sample_to_release() -> Self {
        let workshop = Self::of_the_sample_by(WITHOUT_RELEASE);
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        std::fs::copy(lock, workshop.path("Cargo.lock")).expect("the folder is ours");
        workshop.commit()
    }

    /// With a cargo whose release builds are those for development, which are there already: what a release is does not
    /// depend on how long its executable was thought about.
    pub(crate) fn building_for_development(self) -> Self {
        self.with_cargo(&format!("#!/bin/sh\n{WITHOUT_RELEASE}exec '{}' \"$@\"\n", env!("CARGO")))
    }

    /// Cargo does these lines of shell first.
    fn of_the_sample_by(lines: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there");
        let mut metadata = Self::metadata(&root);
        let target = metadata["target_directory"].as_str().expect("a folder").to_owned();
        let workshop = Self::empty().export("CARGO_TARGET_DIR", &target);
        metadata["workspace_root"] = Value::from(workshop.path("").display().to_string());
        workshop.write("metadata.json", &metadata.to_string());
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = metadata ]; then exec cat '{}'; fi\n{lines}cd '{}' && exec '{}' \"$@\"\n",
            workshop.path("metadata.json").display(),
            root.display(),
            env!("CARGO"),
        );
        workshop.with_cargo(&script)
    }

    /// Puts everything under version control.
    pub(crate) fn commit(self) -> Self {
        self.shell("git init --quiet && git add --all && git commit --quiet --message Begin");
        self
    }

    /// Runs a line of shell to its good end, with what is exported and as somebody who can commit.
    pub(crate) fn shell(&self, line: &str) {
        let mut bash = typed("bash");
        bash.args(["-euo", "pipefail", "-c", line]).current_dir(self.path("")).stdin(Stdio::null());
        bash.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for who in ["AUTHOR", "COMMITTER"] {
            bash.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.com");
        }
        let output = bash.output().expect("bash is there");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }

    /// Exports a variable in the developer's shell.
    pub(crate) fn export(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs `neuroglia dev` for the workspace's application.
    pub(crate) fn dev(&self, arguments: &[&str]) -> Session {
        self.neuroglia(&[&["dev", "--package", "fixture-app"], arguments].concat())
    }

    /// Writes a file of the workspace.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    }

    /// Runs a command of `neuroglia` to its end, which must be a good one; what it wrote.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let (output, status) = self.neuroglia(arguments).end();
        assert_eq!(status.code(), Some(0), "{arguments:?}: {output}");
        output
    }

    /// Runs a command of `neuroglia` that is refused; what it wrote.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let (output, status) = self.neuroglia(arguments).end();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {output}");
        output
    }

    pub(crate) fn neuroglia(&self, arguments: &[&str]) -> Session {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neuroglia"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What the person who runs the tests has exported is not part of them.
        for name in ["PORT", "SERVER_HOST", "ADMIN_PORT", "DATABASE_URL", "BEHAVIOUR", "TERMINATION_GRACE"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Session::start(command)
    }
}

/// A command as a developer types it: without what cargo tells a test about its own package, as `project.rs` leaves it
/// out. Build scripts watch some of that, and would run again, with all that depends on them, after each change of hands.
#[expect(clippy::disallowed_methods, reason = "what is exported to a test is what it takes out")]
pub(crate) fn typed(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let begins = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
        if begins("CARGO_PKG_") || begins("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is ours");
    for entry in std::fs::read_dir(from).expect("the fixture is there") {
        let entry = entry.expect("the fixture is readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the folder is ours");
        }
    }
}

/// A running `neuroglia`, with what it has written so far.
pub(crate) struct Session {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Session {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("cargo has built it");
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("it is piped")),
            Box::new(child.stderr.take().expect("it is piped")),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, seen: String::new() }
    }

    /// Waits for a line that contains `words`.
    pub(crate) fn wait_for(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(words) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.note(&line),
                Err(error) => panic!("no `{words}` ({error}) in:\n{}", self.seen),
            }
        }
    }

    /// What stands beside this name in the table.
    pub(crate) fn row(&mut self, name: &str) -> String {
        self.wait_for(&format!("  {name} "));
        let rows = self.seen.lines().filter_map(|line| line.trim_start().strip_prefix(name));
        rows.map(str::trim).next_back().unwrap_or_default().to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for the end; what was written altogether, and how it ended.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.note(&line);
        }
        assert!(Instant::now() < deadline, "it did not end:\n{}", self.seen);
        let status = self.child.wait().expect("it is our child");
        (std::mem::take(&mut self.seen), status)
    }

    fn note(&mut self, line: &str) {
        self.seen.push_str(line);
        self.seen.push('\n');
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Gracefully, so that it takes its own child along.
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// A port with a free one above it.
pub(crate) fn free_port() -> u16 {
    free_ports(2)
}

/// The first of so many free ports in a row.
pub(crate) fn free_ports(count: u16) -> u16 {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if port.checked_add(count).is_some_and(|end| (port + 1..end).all(is_free)) {
            return port;
        }
    }
    panic!("the machine has no {count} free ports in a row");
}
