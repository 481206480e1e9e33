//! The command line of an audit, and the list of its checks.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::audit::evidence::Evidence;
use crate::audit::finding::{Finding, Weight};
use crate::audit::{
    admin_processes, backing_services, build_release_run, codebase, concurrency, config, dependencies,
    disposability, logs, parity, port_binding, processes,
};
use crate::project::Project;

/// What holds for each factor, in their order.
const CHECKS: [fn(&Evidence) -> Vec<Finding>; 12] = [
    codebase::check,
    dependencies::check,
    config::check,
    backing_services::check,
    build_release_run::check,
    processes::check,
    port_binding::check,
    concurrency::check,
    disposability::check,
    parity::check,
    logs::check,
    admin_processes::check,
];

/// What `neuroglia audit` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The package of the workspace; otherwise the one around, or the only one with a Procfile
    #[arg(long)]
    package: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Notes fail as well
    #[arg(long)]
    strict: bool,
    /// Ask this executable what the application is, instead of building one
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
}

/// Audits.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let project = Project::locate(arguments.package.as_deref())?;
    let executable = match &arguments.executable {
        Some(file) => {
            file.canonicalize().map_err(|error| format!("cannot run {}: {error}", file.display()))?
        }
        None => project.build()?,
    };
    let evidence = Evidence::gather(&project, &executable)?;
    let findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&evidence)).collect();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings).expect("a finding is plain data"));
    } else {
        for finding in &findings {
            println!("{finding}\n");
        }
        println!("{}", summary(&project.package, &findings));
    }
    let fails = |finding: &Finding| finding.weight == Weight::Fault || arguments.strict;
    Ok(if findings.iter().any(fails) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn summary(package: &str, findings: &[Finding]) -> String {
    let notes = findings.iter().filter(|finding| finding.weight == Weight::Note).count();
    match (findings.len() - notes, notes) {
        (0, 0) => format!("{package}: all twelve factors hold, as far as this can be seen"),
        (0, notes) => format!("{package}: nothing to mend, {notes} to consider"),
        (faults, 0) => format!("{package}: {faults} to mend"),
        (faults, notes) => format!("{package}: {faults} to mend, {notes} to consider"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::sound;

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        let evidence = sound();
        let faults: Vec<_> = CHECKS
            .iter()
            .flat_map(|check| check(&evidence))
            .filter(|finding| finding.weight == Weight::Fault)
            .collect();
        assert_eq!(faults, []);
    }
}
