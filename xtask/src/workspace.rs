//! Where the workspace is, and how cargo is called from inside cargo.
//!
//! `cargo xtask` runs under `cargo run`, which describes *this* package in variables such as
//! `CARGO_PKG_NAME`. Build scripts of dependencies watch some of them, so a nested cargo that
//! inherited them would rebuild what an ordinary `cargo test` has built, and the other way round.
//! [`Workspace::cargo`] and [`typed`] take them out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a chore can fail with: a sentence for the terminal.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// The workspace on this machine.
pub(crate) struct Workspace {
    /// The folder of the workspace manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds, which may be outside `root`.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo where the workspace around the current folder is.
    pub(crate) fn locate() -> Result<Self> {
        let metadata =
            read_json(cargo_in(Path::new(".")).args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let folder = |name: &str| {
            metadata[name]
                .as_str()
                .map(PathBuf::from)
                .ok_or_else(|| format!("`cargo metadata` did not answer with `{name}`"))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// A cargo command in the root, without standard input.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// Builds with these arguments of `cargo build` and answers with the executables by name.
    pub(crate) fn build(&self, arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--locked"]).args(arguments);
        let shown = show(&cargo);
        println!("{shown}");
        let output = cargo
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("`{shown}` did not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("`{shown}` failed ({})", output.status));
        }
        Ok(executables_in(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The resolved dependency graph as `cargo metadata` prints it.
    pub(crate) fn metadata(&self) -> Result<Value> {
        read_json(self.cargo().args(["metadata", "--locked", "--all-features", "--format-version", "1"]))
    }

    /// Files below the root whose name ends in `.extension`, as sorted paths relative to it.
    ///
    /// Hidden folders and build output are left out.
    pub(crate) fn files(&self, extension: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|error| cannot_read(&folder, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| cannot_read(&folder, &error))?;
                let path = entry.path();
                let kind = entry.file_type().map_err(|error| cannot_read(&path, &error))?;
                if kind.is_dir() {
                    let hidden = entry.file_name().to_string_lossy().starts_with('.');
                    if !hidden && entry.file_name() != "target" && path != self.target {
                        folders.push(path);
                    }
                } else if kind.is_file() && path.extension().is_some_and(|found| found == extension) {
                    found.push(self.relative(&path));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The text of a file, named relative to the root.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).map_err(|error| cannot_read(&path, &error))
    }

    /// A path as it should be shown: relative to the root where it is below it.
    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_path_buf()
    }
}

/// Makes a folder that is there with nothing in it.
///
/// # Errors
/// When what is there cannot be deleted, or nothing can be made.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    let cannot = |error: std::io::Error| format!("cannot empty {}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(cannot)?;
    }
    fs::create_dir_all(folder).map_err(cannot)
}

/// Runs a command whose output the user watches.
///
/// # Errors
/// A sentence with the command line and how it ended.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().map_err(|error| format!("`{shown}` did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

/// Runs a command for its standard output.
///
/// # Errors
/// A sentence with the command line, how it ended and what it wrote to standard error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("`{shown}` did not start: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{shown}` failed ({})\n{}", output.status, stderr.trim_end()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` wrote something that is not UTF-8"))
}

/// The command line as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The executables that cargo's messages speak of, one JSON object a line.
fn executables_in(messages: &str) -> BTreeMap<String, PathBuf> {
    let named = |message: Value| {
        Some((message["target"]["name"].as_str()?.to_owned(), message["executable"].as_str()?.into()))
    };
    messages.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(named).collect()
}

fn read_json(command: &mut Command) -> Result<Value> {
    let text = read(command)?;
    serde_json::from_str(&text).map_err(|error| format!("`{}` wrote no JSON: {error}", show(command)))
}

fn cargo_in(folder: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = typed(cargo);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// A command as it is when somebody types it, and no `cargo run` is around.
#[expect(
    clippy::disallowed_methods,
    reason = "a chore has no settings; the variables are those of its caller"
)]
pub(crate) fn typed(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_a_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether `cargo run` sets the variable to describe the package it runs.
fn describes_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || matches!(
            variable,
            "CARGO_MANIFEST_DIR"
                | "CARGO_MANIFEST_PATH"
                | "CARGO_CRATE_NAME"
                | "CARGO_BIN_NAME"
                | "CARGO_PRIMARY_PACKAGE"
                | "OUT_DIR"
        )
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_variables_of_cargo_run_are_taken_out() {
        assert!(describes_a_package("CARGO_PKG_VERSION"));
        assert!(describes_a_package("CARGO_MANIFEST_DIR"));
        assert!(!describes_a_package("CARGO_TARGET_DIR"));
        assert!(!describes_a_package("CARGO_HOME"));
    }

    #[test]
    fn executables_are_found_among_other_messages() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"floor"},"executable":"/t/release/floor"}
            {"reason":"build-finished","success":true}"#;
        let found = executables_in(messages);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("floor".to_owned(), "/t/release/floor".into())]);
    }

    #[test]
    fn a_failed_command_is_told_with_its_line_and_what_it_said() {
        let failure = read(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]))
            .expect_err("the command ends with 3");
        assert!(failure.contains("sh -c"), "{failure}");
        assert!(failure.contains("exit status: 3"), "{failure}");
        assert!(failure.contains("no such thing"), "{failure}");
    }
}
