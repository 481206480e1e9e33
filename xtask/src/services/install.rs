//! Services from the system's packages.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::services::postgres::script;
use crate::tools;
use crate::workspace::{Result, read, run};

const MONGO: &str = concat!(
    include_str!("../../../crates/neuroglia-testing/src/services/program.sh"),
    include_str!("../../../crates/neuroglia-testing/src/services/mongo.sh"),
    include_str!("../../../crates/neuroglia-testing/src/services/watch.sh"),
);

/// Debian asks this file whether a package may start its service, and 101 says no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs PostgreSQL where it is missing.
///
/// # Errors
/// When it cannot be installed; the sentence says what to do instead.
pub(crate) fn postgres() -> Result<()> {
    let Err(missing) = read(&mut script("find")) else { return Ok(()) };
    let Some(by_root) = root() else {
        return Err(format!(
            "{missing}\nit takes root, or sudo without a password, to install it; as root: \
             apt-get install --no-install-recommends postgresql"
        ));
    };
    if !answers(Command::new("apt-get").arg("--version")) {
        return Err(format!(
            "{missing}\nthis system has no apt-get: install PostgreSQL 13 or newer by its own means"
        ));
    }
    // What is printed is for the shell that evaluates it.
    eprintln!("installing PostgreSQL");
    // Only root can write the file; another user's installation starts the system's own server, which is no harm.
    let asked = Policy::refuse();
    let apt = |arguments: &[&str]| {
        let mut words = by_root.iter().copied().chain(["apt-get", "-q", "-y"]);
        let mut command = Command::new(words.next().unwrap_or("apt-get"));
        command.args(words).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        run(&mut command)
    };
    let install = ["install", "--no-install-recommends", "postgresql"];
    let installed = apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)));
    drop(asked);
    installed?;
    read(&mut script("find")).map(|_| ())
}

/// Installs what stands in for MongoDB where it is missing, into the user's cache; its own script knows how.
///
/// # Errors
/// When it cannot be installed; the sentence says what to do instead.
pub(crate) fn mongo() -> Result<()> {
    tools::provide(&[tools::PYTHON])?;
    let mut command = Command::new("sh");
    read(command.args(["-c", MONGO, "mongo.sh", "find"])).map(drop)
}

/// What stands before a command that takes root.
fn root() -> Option<&'static [&'static str]> {
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    answers(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

/// The refusal to start services, as long as this lives.
pub(crate) struct Policy;

impl Policy {
    /// Leaves a policy that is there as it is.
    pub(crate) fn refuse() -> Option<Self> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o755).open(Path::new(POLICY)).ok()?;
        std::io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n").ok()?;
        Some(Self)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("cannot delete {POLICY}: {error}; delete it, or no package will start its service");
        }
    }
}

fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
