//! Files that are printed by the sample's executable and kept in the repository.
//!
//! A reader of the repository, a client's generator and a reviewer see them without building
//! anything; `--check` makes sure that they say what the code says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::{Result, Workspace, read};

const EXECUTABLE: &str = "marios-pizzeria";

/// What is printed by which arguments, and where it is kept.
const GENERATED: [(&[&str], &str); 3] = [
    (&["config", "--template"], "samples/marios-pizzeria/.env.example"),
    (&["openapi"], "samples/marios-pizzeria/openapi.json"),
    (&["describe"], "samples/marios-pizzeria/describe.txt"),
];

/// The required settings, with values that attach nothing and sign nothing that anybody accepts.
const COMPLETE: [(&str, &str); 2] =
    [("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", "signs-nothing-while-files-are-printed-7391")];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a file is not what the executable prints
    #[arg(long)]
    pub(crate) check: bool,
}

/// Writes the generated files, or with `--check` compares them.
///
/// # Errors
/// When the executable cannot be built or run, and with `--check` when a file differs.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let executable = build(workspace)?;
    let mut failures = Vec::new();
    for (printed_by, path) in GENERATED {
        // They describe the code, not the machine, so they get the least environment that is complete:
        // without it the services, which settings decide on, would be missing from the description.
        let mut command = Command::new(&executable);
        command.args(printed_by).current_dir(&workspace.root).env_clear().envs(COMPLETE).stdin(Stdio::null());
        match read(&mut command) {
            Err(failure) => failures.push(failure),
            Ok(printed) => {
                let file = workspace.root.join(path);
                let kept = std::fs::read_to_string(&file).ok();
                if kept.as_deref() == Some(printed.as_str()) {
                    println!("{path} is current");
                } else if arguments.check {
                    failures.push(stale(path, kept.as_deref(), &printed));
                } else {
                    write(&file, &printed)?;
                    println!("{path} written");
                }
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Builds the executables as `cargo test --workspace` does, so that nothing is built twice.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut built = workspace.build(&["--workspace", "--bins"])?;
    built.remove(EXECUTABLE).ok_or_else(|| format!("the workspace has no executable `{EXECUTABLE}`"))
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Why the kept file is not the printed one, in one or two lines, and what to do.
fn stale(path: &str, kept: Option<&str>, printed: &str) -> String {
    let Some(kept) = kept else {
        return format!("{path} is missing: run `cargo xtask codegen` and commit it");
    };
    let (mut old, mut new) = (kept.lines(), printed.lines());
    let mut line = 1;
    let difference = loop {
        match (old.next(), new.next()) {
            (None, None) => break "the line endings differ".to_owned(),
            (old, new) if old == new => line += 1,
            (old, new) => {
                let (old, new) = (old.unwrap_or("(end of file)"), new.unwrap_or("(end of file)"));
                break format!("line {line}\n  - {old}\n  + {new}");
            }
        }
    };
    format!(
        "{path} is not what `{EXECUTABLE}` prints ({} lines kept, {} printed): first difference at {difference}\n  \
         run `cargo xtask codegen` and commit the result",
        kept.lines().count(),
        printed.lines().count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_told_with_its_first_difference_and_the_remedy() {
        let told = stale("openapi.json", Some("{\n  \"a\": 1\n}\n"), "{\n  \"a\": 2\n}\n");
        assert!(told.contains("line 2\n  -   \"a\": 1\n  +   \"a\": 2"), "{told}");
        assert!(told.contains("cargo xtask codegen"), "{told}");
    }

    #[test]
    fn a_shorter_and_a_missing_file_are_told() {
        assert!(stale("f", Some("a\n"), "a\nb\n").contains("  - (end of file)\n  + b"));
        assert!(stale("f", None, "a\n").contains("missing"));
        assert!(stale("f", Some("a"), "a\n").contains("line endings"));
    }
}
