//! Dispatch, behaviours and scopes in nanoseconds.
//!
//! criterion measures them (`benches/benches/dispatch.rs`); its estimates are read from a folder of
//! our own, emptied before, so that none of an older run is taken for new and a developer's
//! baselines stay.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::report::{Figures, What};
use crate::workspace::{Result, Workspace, empty, run, show};

const PACKAGE: &str = "neuroglia-benches";
const BENCH: &str = "dispatch";

/// The names that the figures have in the bench: a query through the mediator with no behaviour and with five that
/// pass it on, and a scope out of which a chain of three is resolved.
const WITHOUT_BEHAVIOURS: &str = "dispatch/0 behaviours";
const WITH_BEHAVIOURS: (&str, f64) = ("dispatch/5 behaviours", 5.0);
const SCOPE: &str = "container/new scope, three scoped services deep";

/// A number out of the cache in memory.
const CACHE_HIT: &str = "cache/hit in memory, a number";

/// Runs the bench and reads its estimates.
///
/// # Errors
/// When it does not run, or measures nothing of that name.
pub(super) fn measure(workspace: &Workspace, figures: &mut Figures) -> Result<()> {
    let folder = workspace.target.join("bench/criterion");
    empty(&folder)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "--locked", "--package", PACKAGE, "--bench", BENCH]).env("CRITERION_HOME", &folder);
    println!("\n{}", show(&cargo));
    run(&mut cargo)?;

    let estimates = estimates(&folder)?;
    let title = format!("`cargo bench --bench {BENCH}`, medians of criterion");
    let mut table = vec!["| bench | ns |".to_owned(), "|---|---|".to_owned()];
    table.extend(estimates.iter().map(|(name, nanoseconds)| format!("| {name} | {nanoseconds:.1} |")));
    println!("\n{}", table.join("\n"));
    figures.detail(title, table.join("\n"));

    let estimate = |name: &str| {
        estimates.get(name).copied().ok_or_else(|| format!("the bench measures nothing called `{name}`"))
    };
    let without = estimate(WITHOUT_BEHAVIOURS)?;
    let (with, behaviours) = (estimate(WITH_BEHAVIOURS.0)?, WITH_BEHAVIOURS.1);
    figures.record(What::Dispatch, without);
    figures.record(What::Behaviour, (with - without) / behaviours);
    figures.record(What::Scope, estimate(SCOPE)?);
    figures.record(What::CacheHit, estimate(CACHE_HIT)?);
    Ok(())
}

/// The median of each bench below the folder, in nanoseconds, by its name.
fn estimates(folder: &Path) -> Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let cannot = |error| format!("cannot read {}: {error}", next.display());
        for entry in fs::read_dir(&next).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        let path = next.join("estimates.json");
        let name = next.parent().and_then(|bench| bench.strip_prefix(folder).ok());
        if let Some(name) = name.filter(|_| next.ends_with("new") && path.is_file()) {
            let text = fs::read_to_string(&path).map_err(cannot)?;
            let median = median_of(&text).ok_or_else(|| format!("{} has no median", path.display()))?;
            found.insert(name.display().to_string(), median);
        }
    }
    Ok(found)
}

/// The median out of criterion's `estimates.json`.
fn median_of(text: &str) -> Option<f64> {
    serde_json::from_str::<Value>(text).ok()?["median"]["point_estimate"].as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATES: &str = r#"{"mean":{"point_estimate":70.5},"median":{"confidence_interval":
        {"confidence_level":0.95,"lower_bound":60.0,"upper_bound":62.0},"point_estimate":61.25}}"#;

    #[test]
    fn the_median_is_taken_and_not_the_mean() {
        assert_eq!(median_of(ESTIMATES), Some(61.25));
        assert_eq!(median_of("{}"), None);
        assert_eq!(median_of("no JSON"), None);
    }

    #[test]
    fn estimates_are_named_by_their_folders() {
        let folder = std::env::temp_dir().join(format!("estimates-{}", std::process::id()));
        for kept in ["send/plain/new", "send/plain/base", "scope/new", "report"] {
            fs::create_dir_all(folder.join(kept)).expect("a writable folder");
            fs::write(folder.join(kept).join("estimates.json"), ESTIMATES).expect("a writable folder");
        }
        let found = estimates(&folder).expect("what was written is right");
        fs::remove_dir_all(&folder).expect("what was written");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["scope", "send/plain"]);
    }
}
