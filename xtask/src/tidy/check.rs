//! All rules over the whole tree.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{documents, rules, source::Source, walls};
use crate::workspace::{Result, Workspace};

/// One violation: where it is and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) remedy: String,
}

/// Checks every rule and prints all violations.
///
/// # Errors
/// When there is a violation, or when the tree cannot be read.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut findings = Vec::new();

    let sources = workspace.files("rs")?;
    let mut compiled = BTreeSet::new();
    for path in &sources {
        let text = workspace.read(path)?;
        compiled.extend(documents::included(path, &text));
        findings.extend(rules::check(&Source::new(&path.to_string_lossy(), text)));
    }

    let mut pages = BTreeMap::new();
    for path in workspace.files("md")? {
        pages.insert(path.to_string_lossy().into_owned(), workspace.read(&path)?);
    }
    let exists = |path: &str| workspace.root.join(path).exists();
    findings.extend(documents::check(&pages, &compiled, &exists));

    findings.extend(walls::check_graph(&walls::graph(&workspace.metadata()?)));
    findings.extend(walls::check_lock_file(&workspace.read("Cargo.lock")?));

    findings.sort();
    for Finding { path, line, remedy } in &findings {
        println!("{path}:{line}: {remedy}");
    }
    let read = format!("{} sources, {} pages", sources.len(), pages.len());
    match findings.len() {
        0 => {
            println!("tidy: {read}, nothing to tidy");
            Ok(())
        }
        count => Err(format!("tidy: {count} violations in {read}")),
    }
}
