//! `neuroglia releases` and `neuroglia rollback`: which releases there are, and which of them runs.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Result;
use crate::depot::{Depot, Kept};
use crate::manifest::Release;

/// What `neuroglia releases` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The depot, when it is not in a `.neuroglia` here or above
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
    /// Also see that nothing was changed since each was made
    #[arg(long)]
    verify: bool,
}

/// What `neuroglia rollback` can be told.
#[derive(clap::Args)]
pub(crate) struct RollbackArguments {
    /// The release to go back to; otherwise the one before the current one of the same deploy
    id: Option<String>,
    /// The depot, when it is not in a `.neuroglia` here or above
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
}

/// Lists the releases, oldest first.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let depot = Depot::find(arguments.depot.as_deref())?;
    let releases: Vec<Kept<Release>> = depot.all()?;
    println!("{}", table(&releases, depot.current_id().as_deref()));
    if !arguments.verify {
        return Ok(ExitCode::SUCCESS);
    }
    let changed: Vec<String> = releases.iter().filter_map(|release| release.verify().err()).collect();
    if changed.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(changed.join("\n")) }
}

/// Makes an earlier release the current one.
pub(crate) fn rollback(arguments: &RollbackArguments) -> Result<ExitCode> {
    let depot = Depot::find(arguments.depot.as_deref())?;
    let chosen = match &arguments.id {
        Some(id) => depot.get::<Release>(Some(id))?,
        None => before(depot.all()?, &depot.current()?.manifest)?,
    };
    chosen.verify()?;
    let Release { id, deploy, build, .. } = &chosen.manifest;
    depot.switch_to(id)?;
    println!("release {id} of build {} for {deploy} is the current one; restart what runs", build.id);
    Ok(ExitCode::SUCCESS)
}

fn before(releases: Vec<Kept<Release>>, current: &Release) -> Result<Kept<Release>> {
    let is_before = |release: &Release| release.id < current.id && release.deploy == current.deploy;
    releases
        .into_iter()
        .rfind(|kept| is_before(&kept.manifest))
        .ok_or_else(|| format!("there is no release for {} before {}: name one", current.deploy, current.id))
}

fn table(releases: &[Kept<Release>], current: Option<&str>) -> String {
    let mut rows = vec![["", "release", "deploy", "version", "commit", "configuration"].map(str::to_owned)];
    rows.extend(releases.iter().map(|Kept { manifest, .. }| {
        let source = &manifest.build.source;
        let commit = source.commit.as_deref().map_or("none", |commit| &commit[..commit.len().min(12)]);
        let digest = manifest.config.digest.trim_start_matches("sha256:");
        [
            if current == Some(manifest.id.as_str()) { "*" } else { "" }.to_owned(),
            manifest.id.clone(),
            manifest.deploy.clone(),
            manifest.build.version.clone(),
            format!("{commit}{}", if source.is_dirty { ", changed" } else { "" }),
            digest[..digest.len().min(12)].to_owned(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
