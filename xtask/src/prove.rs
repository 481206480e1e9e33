//! The proof in full: processes of the sample killed, stopped and cut off, and the books checked afterwards.
//!
//! The proofs are tests of the sample (`samples/marios-pizzeria/tests/it/prove`); their short form runs with all others.
//! Here they repeat more, one after another so that they do not slow each other down, and what they report goes into
//! the page.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::bench::Machine;
use crate::page::Page;
use crate::tools::{FAKETIME, NGINX};
use crate::workspace::{Result, Workspace, run as execute, show};
use crate::{services, tools};

const PAGE: Page = Page { path: "docs/proof.md", command: "cargo xtask prove" };

/// What the lines of a proof's report begin with.
const MARK: &str = "proof: ";

/// The sample, and what proves it.
const SAMPLE: [&str; 2] = ["--package", "marios-pizzeria"];

/// Runs all proofs in full, and writes what they report into the page.
///
/// # Errors
/// When one fails, or the page cannot be written; then the page stays as it was.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tools::provide(&[NGINX, FAKETIME])?;
    services::mongo()?;
    let machine = Machine::describe()?;
    execute(workspace.cargo().args(["build", "--locked"]).args(SAMPLE).args(["--bins", "--examples"]))?;
    let server = services::Postgres::for_run()?;
    let mut proofs = workspace.cargo();
    proofs.args(["test", "--locked"]).args(SAMPLE).args([
        "--test",
        "it",
        "prove::",
        "--",
        "--nocapture",
        "--test-threads=1",
    ]);
    proofs.env("NEUROGLIA_PROVE", "full").stdout(Stdio::piped());
    if let Some(server) = &server {
        proofs.env(services::VARIABLE, &server.url);
    }
    let shown = show(&proofs);
    println!("{shown}");
    let mut running = proofs.spawn().map_err(|error| format!("`{shown}` did not start: {error}"))?;
    let output = running.stdout.take().ok_or("the output of the proofs is not there")?;
    let mut figures = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("the output of the proofs cannot be read: {error}"))?;
        println!("{line}");
        figures.extend(figure_of(&line).map(str::to_owned));
    }
    let status = running.wait().map_err(|error| format!("`{shown}` was lost: {error}"))?;
    if !status.success() {
        return Err(format!("`{shown}` failed ({status}); {} is as it was", PAGE.path));
    }
    PAGE.write(workspace, &report(&machine.summary(), &figures))
}

/// What a line of the output reports, if it does. The first one of a test follows the test's name.
fn figure_of(line: &str) -> Option<&str> {
    line.split_once(MARK).map(|(_, figure)| figure)
}

fn report(summary: &str, figures: &[String]) -> String {
    let lines: String = figures.iter().map(|figure| format!("- {figure}\n")).collect();
    format!("`cargo xtask prove`: {summary}.\n\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proof_reports_is_found_and_listed() {
        assert_eq!(figure_of("proof: 3 kills"), Some("3 kills"));
        assert_eq!(figure_of("test prove::kills ... proof: 3 kills"), Some("3 kills"));
        assert_eq!(figure_of("test result: ok"), None);
        let page = report("today", &["3 kills".to_owned(), "2 naps".to_owned()]);
        assert_eq!(page, "`cargo xtask prove`: today.\n\n- 3 kills\n- 2 naps\n");
    }
}
