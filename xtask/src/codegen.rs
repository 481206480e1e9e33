//! Files that are printed by the sample's executable, or of it by the command line, and kept in the repository.
//!
//! A reader of the repository, a client's generator and a reviewer see them without building
//! anything; `--check` makes sure that they say what the code says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workspace::{Result, Workspace, read};

const EXECUTABLE: &str = "marios-pizzeria";
const COMMAND_LINE: &str = "neuroglia";

/// What the sample prints by which arguments, and where it is kept.
const GENERATED: [(&[&str], &str); 3] = [
    (&["config", "--template"], "samples/marios-pizzeria/.env.example"),
    (&["openapi"], "samples/marios-pizzeria/openapi.json"),
    (&["describe"], "samples/marios-pizzeria/describe.txt"),
];

/// What `neuroglia export` prints of the sample: the platform, the deploy, the replicas, and where it is kept.
const EXPORTED: [(&str, &str, &str, &str); 3] = [
    ("kubernetes", "production", REPLICAS, "samples/marios-pizzeria/deployment/kubernetes/production.yaml"),
    ("kubernetes", "staging", "web=2,worker=1", "samples/marios-pizzeria/deployment/kubernetes/staging.yaml"),
    ("compose", "staging", REPLICAS, "samples/marios-pizzeria/deployment/compose.yaml"),
];

/// The formation of the reference.
const REPLICAS: &str = "web=4,worker=2,scheduler=1";

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
    let built = Built::make(workspace)?;
    let of_sample = GENERATED.map(|(arguments, path)| {
        // They describe the code, not the machine, so they get the least environment that is complete:
        // without it the services, which settings decide on, would be missing from the description.
        let mut command = Command::new(&built.sample);
        command.args(arguments).env_clear().envs(COMPLETE);
        (command, path)
    });
    let of_command_line = EXPORTED.map(|(platform, deploy, replicas, path)| {
        let mut command = Command::new(&built.command_line);
        let deploy = format!("samples/marios-pizzeria/deployment/{deploy}");
        command.args(["export", platform, "--package", EXECUTABLE, "--env", &deploy, "--replicas", replicas]);
        command.arg("--executable").arg(&built.sample);
        (command, path)
    });
    let mut failures = Vec::new();
    for (mut command, path) in of_sample.into_iter().chain(of_command_line) {
        match read(command.current_dir(&workspace.root).stdin(Stdio::null())) {
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

/// The executables that print.
struct Built {
    sample: PathBuf,
    command_line: PathBuf,
}

impl Built {
    /// Builds the executables as the step before the tests does, with the features of the examples, so that nothing is
    /// built twice.
    fn make(workspace: &Workspace) -> Result<Self> {
        let mut built = workspace.build(&["--workspace", "--bins", "--examples"])?;
        let mut take = |name: &str| {
            built.remove(name).ok_or_else(|| format!("the workspace has no executable `{name}`"))
        };
        Ok(Self { sample: take(EXECUTABLE)?, command_line: take(COMMAND_LINE)? })
    }
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
        "{path} is not what is printed ({} lines kept, {} printed): first difference at {difference}\n  \
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
