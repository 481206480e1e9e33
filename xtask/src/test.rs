//! One command that proves the tree: every step that CI runs, in the order of what fails soonest.
//!
//! Steps do not stop one another: a person sees all that is wrong in one run, with what each cost.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::tools::{BASH, CURL, FAKETIME, NGINX, OPENSSL};
use crate::workspace::{Result, Workspace, run as execute, show};
use crate::{codegen, openapi, pages, services, tidy, tools};

/// How many tests a test run does at once, to libtest.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// The package in which each driver is a feature.
const DRIVERS: &str = "neuroglia-backing";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run these steps only, in the order below
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP,…")]
    only: Vec<Step>,
}

/// One thing that has to hold. The order of the variants is the order of the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The code is formatted
    Fmt,
    /// The invariants of ARCHITECTURE.md hold
    Tidy,
    /// Licences, bans and sources of the dependencies
    Deny,
    /// No warning from the compiler or from clippy
    Clippy,
    /// Each driver compiles without the others, and everything without any
    Drivers,
    /// The executables that tests drive
    Build,
    /// All tests, doc tests and the README's tour
    Test,
    /// What the pages tell a reader to type
    Pages,
    /// The documentation builds without a warning
    Doc,
    /// The generated files are current
    Codegen,
    /// The OpenAPI document is valid to an independent validator
    Openapi,
}

/// Runs the steps and prints a summary.
///
/// # Errors
/// When a step failed; the sentence names all that did.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut results = Vec::new();
    for step in Step::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(step) {
            println!("\n==> {}: {}", step.name(), step.idea());
            let started = Instant::now();
            let outcome = step.run(workspace);
            if let Err(failure) = &outcome {
                println!("{failure}");
            }
            results.push((*step, started.elapsed(), outcome));
        }
    }
    println!("\n{}", summary(&results));

    let failed: Vec<_> =
        results.iter().filter(|result| result.2.is_err()).map(|result| result.0.name()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let failed = failed.join(",");
    Err(format!("not all steps passed; to run the failed ones again: cargo xtask test --only {failed}"))
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn idea(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    /// What cargo is told, of a step that is one line of it.
    ///
    /// All are `--locked`, but for the one that resolves nothing: what is proved is what `Cargo.lock` says.
    fn line(self) -> &'static [&'static str] {
        match self {
            Self::Fmt => &["fmt", "--all", "--check"],
            Self::Clippy => &[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ],
            Self::Build => &["build", "--locked", "--workspace", "--bins", "--examples"],
            Self::Test => &["test", "--locked", "--workspace", "--no-fail-fast"],
            Self::Doc => &["doc", "--locked", "--workspace", "--no-deps"],
            Self::Tidy | Self::Deny | Self::Drivers | Self::Pages | Self::Codegen | Self::Openapi => &[],
        }
    }

    fn run(self, workspace: &Workspace) -> Result<()> {
        let cargo = || {
            let mut command = workspace.cargo();
            command.args(self.line());
            command
        };
        match self {
            Self::Fmt => tools::component(workspace, "fmt", "rustfmt").and_then(|()| watch(&mut cargo())),
            Self::Tidy => tidy::run(workspace),
            Self::Deny => {
                let mut deny = Command::new(tools::cargo_deny(workspace)?);
                deny.current_dir(&workspace.root);
                watch(deny.args(["--config", "deny.toml", "check", "licenses", "bans", "sources"]))
            }
            Self::Clippy => {
                tools::component(workspace, "clippy", "clippy")?;
                watch(&mut cargo())
            }
            Self::Drivers => {
                for line in driver_lines(&features(workspace, DRIVERS)?) {
                    watch(workspace.cargo().args(line))?;
                }
                Ok(())
            }
            Self::Build => watch(&mut cargo()),
            Self::Test => {
                tools::provide(&[BASH, CURL, NGINX, FAKETIME, OPENSSL])?;
                tools::provide_servers()?;
                services::mongo()?;
                let mut tests = cargo();
                crowd(&mut tests);
                let server = services::Postgres::for_run()?;
                if let Some(server) = &server {
                    tests.env(services::VARIABLE, &server.url);
                }
                watch(&mut tests)
            }
            Self::Doc => {
                // A module's page may lead its maintainers to rooms that are closed to users.
                watch(cargo().env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
            }
            Self::Pages => tools::provide(&[BASH]).and_then(|()| pages::run(workspace)),
            Self::Codegen => codegen::run(workspace, &codegen::Arguments { check: true }),
            Self::Openapi => openapi::run(workspace),
        }
    }
}

/// Three tests at once for two cores, unless the caller says how many: most wait for a process, a server or a dead node's
/// time to end.
#[expect(clippy::disallowed_methods, reason = "a chore has no settings; the variable is libtest's")]
fn crowd(tests: &mut Command) {
    if std::env::var(TEST_THREADS).is_err() {
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() * 3 / 2);
        println!("{TEST_THREADS}={threads}");
        tests.env(TEST_THREADS, threads.to_string());
    }
}

/// The features of a package of the workspace, by name.
fn features(workspace: &Workspace, package: &str) -> Result<Vec<String>> {
    let metadata = workspace.metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.into_iter().find(|found| found["name"] == package);
    let features = found.and_then(|found| found["features"].as_object());
    let features = features.ok_or_else(|| format!("the workspace has no package {package}"))?;
    Ok(features.keys().cloned().collect())
}

/// What cargo is told so that each driver is compiled by itself, and first none.
fn driver_lines(features: &[String]) -> Vec<Vec<&str>> {
    let common = ["check", "--locked", "--package", DRIVERS, "--no-default-features"];
    let alone = features.iter().map(|feature| [&common[..], &["--features", feature.as_str()]].concat());
    std::iter::once(common.to_vec()).chain(alone).collect()
}

/// Shows the command line, then runs it with its output on the terminal.
fn watch(command: &mut Command) -> Result<()> {
    println!("{}", show(command));
    execute(command)
}

fn summary(results: &[(Step, Duration, Result<()>)]) -> String {
    let mut lines = vec![format!("{:<10}{:>9}  result", "step", "seconds")];
    for (step, elapsed, outcome) in results {
        let result = match outcome {
            Ok(()) => "ok".to_owned(),
            Err(failure) => format!("FAILED: {}", failure.lines().next().unwrap_or_default()),
        };
        lines.push(format!("{:<10}{:>9.1}  {result}", step.name(), elapsed.as_secs_f64()));
    }
    let total: Duration = results.iter().map(|result| result.1).sum();
    lines.push(format!("{:<10}{:>9.1}", "total", total.as_secs_f64()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn steps_are_chosen_by_name() {
        let line = Line::try_parse_from(["test", "--only", "fmt,deny"]).expect("both are steps");
        assert!(line.arguments.only == [Step::Fmt, Step::Deny]);
        assert!(Line::try_parse_from(["test", "--only", "coffee"]).is_err());
    }

    #[test]
    fn no_step_writes_another_lock() {
        for step in Step::value_variants() {
            let line = step.line();
            let own = line.split(|word| *word == "--").next().unwrap_or_default();
            assert!(*step == Step::Fmt || line.is_empty() || own.contains(&"--locked"), "{line:?}");
        }
        let drivers = driver_lines(&["redis".to_owned(), "smtp".to_owned()])
            .iter()
            .map(|line| line.join(" "))
            .collect::<Vec<_>>();
        let none = "check --locked --package neuroglia-backing --no-default-features";
        assert_eq!(
            drivers,
            [none.to_owned(), format!("{none} --features redis"), format!("{none} --features smtp")]
        );
        // Whatever a step does, the chores themselves are run by one line before it, which would write one.
        let configuration = include_str!("../../.cargo/config.toml");
        let aliases =
            configuration.split("\n\n").find(|table| table.starts_with("[alias]")).expect("aliases");
        let lines: Vec<_> = aliases.lines().filter(|line| line.contains(" = ")).collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("\"run --locked ")), "{lines:?}");
    }

    #[test]
    fn the_summary_lists_every_step_and_every_failure() {
        let told = summary(&[
            (Step::Fmt, Duration::from_millis(1_250), Ok(())),
            (Step::Tidy, Duration::from_secs(1), Err("2 violations\nsrc/a.rs:1".to_owned())),
            (Step::Doc, Duration::from_secs(2), Err("`cargo doc` failed".to_owned())),
        ]);
        assert_eq!(
            told,
            "step        seconds  result\n\
             fmt             1.2  ok\n\
             tidy            1.0  FAILED: 2 violations\n\
             doc             2.0  FAILED: `cargo doc` failed\n\
             total           4.2"
        );
    }
}
