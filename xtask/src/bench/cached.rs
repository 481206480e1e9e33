//! A cached read on Redis, through the port and by the bare client.
//!
//! The program (`benches/src/cached.rs`) starts a server of its own and measures both by its own CPU time.

use std::process::Command;

use serde_json::Value;

use crate::bench::report::{Figures, What};
use crate::workspace::{Result, Workspace, read, show};

const PACKAGE: &str = "neuroglia-benches";
const PROGRAM: &str = "cached";

/// Runs the program and reads what it prints.
///
/// # Errors
/// When it cannot be built, or does not print its figures.
pub(super) fn measure(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    let mut benches = workspace.build(&["--release", "--package", PACKAGE, "--bins"])?;
    let program =
        benches.remove(PROGRAM).ok_or_else(|| format!("{PACKAGE} has no executable `{PROGRAM}`"))?;
    let mut command = Command::new(program);
    let text = read(&mut command)?;
    let printed: Value = serde_json::from_str(&text)
        .map_err(|error| format!("`{}` printed `{text}`: {error}", show(&command)))?;
    let number =
        |name: &str| printed[name].as_f64().ok_or_else(|| format!("`{name}` is missing in {printed}"));
    figures.record(What::Cached, number("ratio")?);
    let row =
        format!("| {:.2} | {:.2} | {:.3} |", number("client_us")?, number("port_us")?, number("ratio")?);
    let table = ["| bare client | through the port | ratio |", "|---|---|---|", &row].join("\n");
    let title = "A cached read on Redis, sixteen at once, CPU µs a read".to_owned();
    println!("\n{title}\n\n{table}");
    figures.detail(title, table);
    Ok(())
}
