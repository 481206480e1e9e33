//! What the repository says about the source.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::manifest::Source;

/// The commit of a folder's repository, and whether something is not committed.
///
/// # Errors
/// When the folder is in a repository and git cannot tell.
pub(crate) fn source(folder: &Path) -> Result<Source> {
    let Some(commit) = ask(folder, &["rev-parse", "--verify", "--quiet", "HEAD"]) else {
        return Ok(Source { commit: None, is_dirty: true });
    };
    let changes = ask(folder, &["status", "--porcelain"])
        .ok_or_else(|| format!("`git status` fails in {}", folder.display()))?;
    Ok(Source { commit: Some(commit), is_dirty: !changes.is_empty() })
}

/// The files below a folder that are under version control; `None` outside of a repository.
pub(crate) fn tracked(folder: &Path) -> Option<Vec<String>> {
    let listed = ask(folder, &["ls-files"])?;
    Some(listed.lines().map(str::to_owned).collect())
}

fn ask(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
