//! The sample's OpenAPI document, judged by somebody else.
//!
//! What draws the document cannot be its judge. The Python package `openapi-spec-validator` holds it against the
//! schema that the OpenAPI Initiative publishes for 3.1, resolves every reference, and checks what no schema can:
//! that the parameters of a path are declared and that no two operations have one id. Like the other tools it is
//! installed below the target folder on first use, in a pinned version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::pip_install;
use crate::workspace::{Result, Workspace, run as execute, show};

const VALIDATOR: &str = "openapi-spec-validator";
const VALIDATOR_VERSION: &str = "0.9.0";

/// The document of the sample, as `cargo xtask codegen` keeps it.
const DOCUMENT: &str = "samples/marios-pizzeria/openapi.json";

/// Has the sample's document judged.
///
/// # Errors
/// When the validator cannot be installed, or finds fault with the document; it says so on the terminal.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let document = workspace.root.join(DOCUMENT);
    if !document.is_file() {
        return Err(format!("{DOCUMENT} is missing: run `cargo xtask codegen` and commit it"));
    }
    let packages = installed(workspace)?;
    let mut validator = validator(&packages);
    validator.args(["--schema", "3.1", "--validation-errors", "all"]);
    validator.arg(DOCUMENT).current_dir(&workspace.root);
    println!("{}", show(&validator));
    execute(&mut validator)
}

/// The folder with the validator's packages, installed when it is not there.
fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("tools").join(format!("{VALIDATOR}-{VALIDATOR_VERSION}"));
    if !answers(&folder) {
        println!("installing {VALIDATOR} {VALIDATOR_VERSION} into {}", folder.display());
        pip_install(&folder, &format!("{VALIDATOR}=={VALIDATOR_VERSION}"))?;
        if !answers(&folder) {
            return Err(format!("{VALIDATOR} is installed in {} but does not run", folder.display()));
        }
    }
    Ok(folder)
}

/// The validator as a command, from the packages in this folder.
fn validator(packages: &Path) -> Command {
    let mut python = Command::new("python3");
    python.args(["-m", "openapi_spec_validator"]).env("PYTHONPATH", packages).stdin(Stdio::null());
    python
}

fn answers(packages: &Path) -> bool {
    packages.is_dir()
        && validator(packages)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_not_there_do_not_answer() {
        assert!(!answers(Path::new("/nonexistent")));
    }
}
