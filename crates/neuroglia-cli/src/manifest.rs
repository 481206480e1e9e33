//! What is known of a build and of a release, as JSON beside them.
//!
//! A manifest says what went in, so that the same can be made again, and by which digest one can tell that nothing has
//! changed since. It holds names of variables, never a value.

use std::path::Path;

use neuroglia_core::clock::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The form of the manifests; one that is newer is not read.
pub(crate) const FORMAT: u32 = 1;

/// What a build was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) application: String,
    pub(crate) version: String,
    pub(crate) built_at: Timestamp,
    pub(crate) source: Source,
    /// The digest of `Cargo.lock`.
    pub(crate) cargo_lock: String,
    /// What `rustc --version` says.
    pub(crate) rustc: String,
    pub(crate) target: String,
    /// Whether it needs nothing of the system that it runs on.
    pub(crate) is_static: bool,
    pub(crate) executable: Executable,
}

/// Where the code came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The commit; `None` outside of a repository.
    pub(crate) commit: Option<String>,
    /// Whether something was not committed.
    pub(crate) is_dirty: bool,
}

/// A file that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Executable {
    pub(crate) file: String,
    pub(crate) digest: String,
    pub(crate) bytes: u64,
}

/// A build with the configuration of one deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) format: u32,
    pub(crate) id: String,
    pub(crate) application: String,
    /// The name of the deploy, such as `production`.
    pub(crate) deploy: String,
    pub(crate) released_at: Timestamp,
    pub(crate) build: Build,
    pub(crate) config: Config,
}

/// The configuration of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The digest of all variables, sorted, and of the files that are read for something else.
    pub(crate) digest: String,
    /// The names of the variables.
    pub(crate) variables: Vec<String>,
    /// The names of its files; a release that is older than this does not say.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    /// The names of all settings that the application has; a release that is older than this does not say.
    #[serde(default)]
    pub(crate) settings: Vec<String>,
    /// The variables whose files were not there when the release was made.
    pub(crate) unjudged: Vec<String>,
}

/// A manifest that can be told to be too new.
pub(crate) trait Manifest: DeserializeOwned {
    const FILE: &'static str;

    fn format(&self) -> u32;

    fn id(&self) -> &str;
}

impl Manifest for Build {
    const FILE: &'static str = "build.json";

    fn format(&self) -> u32 {
        self.format
    }

    fn id(&self) -> &str {
        &self.id
    }
}

impl Manifest for Release {
    const FILE: &'static str = "release.json";

    fn format(&self) -> u32 {
        self.format
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// Reads the manifest in a folder.
///
/// # Errors
/// When there is none, or none that this program understands.
pub(crate) fn read<M: Manifest>(folder: &Path) -> Result<M> {
    let path = folder.join(M::FILE);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let manifest: M = serde_json::from_str(&text)
        .map_err(|error| format!("{} is not understood ({error}): make it again", path.display()))?;
    if manifest.format() > FORMAT {
        return Err(format!("{} was made by a newer `neuroglia`: update this one", path.display()));
    }
    Ok(manifest)
}

/// The manifest as it is kept.
pub(crate) fn text<M: Manifest + Serialize>(manifest: &M) -> String {
    let mut text = serde_json::to_string_pretty(manifest).expect("a manifest is plain data");
    text.push('\n');
    text
}
