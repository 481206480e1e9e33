//! What goes through a port, beside the bare client of the same server.
//!
//! Each program (`benches/src/cached.rs`, `benches/src/commits.rs`) starts a server of its own, and measures both by its own
//! CPU time.

use std::process::Command;

use serde_json::Value;

use crate::bench::report::{Figures, What};
use crate::workspace::{Result, Workspace, read, show};

const PACKAGE: &str = "neuroglia-benches";

/// A cached read on Redis.
///
/// # Errors
/// When the program cannot be built, or does not print its figures.
pub(super) fn measure_cached(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    let title = "A cached read on Redis, sixteen at once, CPU µs a read";
    measure(workspace, figures, "cached", What::Cached, title)
}

/// The commit of a unit of work on MongoDB.
///
/// # Errors
/// When its stand-in cannot be installed, or the program cannot be built or does not print its figures.
pub(super) fn measure_commits(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    crate::services::mongo()?;
    let title = "A commit of an order, its customer and its event on MongoDB's stand-in, eight at once, CPU µs a commit";
    measure(workspace, figures, "commits", What::MongoCommit, title)
}

fn measure(
    workspace: &Workspace,
    figures: &mut Figures,
    program: &str,
    what: What,
    title: &str,
) -> Result<()> {
    let mut benches = workspace.build(&["--release", "--package", PACKAGE, "--bins"])?;
    let program =
        benches.remove(program).ok_or_else(|| format!("{PACKAGE} has no executable `{program}`"))?;
    let mut command = Command::new(program);
    let text = read(&mut command)?;
    let printed: Value = serde_json::from_str(&text)
        .map_err(|error| format!("`{}` printed `{text}`: {error}", show(&command)))?;
    let number =
        |name: &str| printed[name].as_f64().ok_or_else(|| format!("`{name}` is missing in {printed}"));
    figures.record(what, number("ratio")?);
    let row =
        format!("| {:.2} | {:.2} | {:.3} |", number("client_us")?, number("port_us")?, number("ratio")?);
    let table = ["| bare client | through the port | ratio |", "|---|---|---|", &row].join("\n");
    println!("\n{title}\n\n{table}");
    figures.detail(title.to_owned(), table);
    Ok(())
}
