//! A package of a cargo workspace: where it is, and its executable.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

/// The package that is run.
pub(crate) struct Project {
    /// Its name in the workspace.
    pub(crate) package: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    /// The folder of the workspace; the application runs here.
    pub(crate) root: PathBuf,
}

impl Project {
    /// Asks cargo for the package.
    ///
    /// # Errors
    /// When there is no workspace around the current folder, or no such package in it.
    pub(crate) fn locate(package: &str) -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .map_err(|error| format!("cargo does not start ({error}): install Rust, or put cargo on PATH"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "cargo finds no workspace here: {}",
                said.trim().trim_start_matches("error: ")
            ));
        }
        let metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`cargo metadata` wrote no JSON: {error}"))?;
        Self::in_metadata(package, &metadata)
    }

    fn in_metadata(package: &str, metadata: &Value) -> Result<Self> {
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let manifest = packages
            .iter()
            .find(|candidate| candidate["name"] == package)
            .and_then(|found| found["manifest_path"].as_str());
        let (Some(manifest), Some(root)) = (manifest, metadata["workspace_root"].as_str()) else {
            let names: Vec<_> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
            let names = names.join(", ");
            return Err(format!("there is no package `{package}` in this workspace; there are: {names}"));
        };
        let mut folder = PathBuf::from(manifest);
        folder.pop();
        Ok(Self { package: package.to_owned(), folder, root: PathBuf::from(root) })
    }

    /// Builds the package, with cargo's progress on the terminal, and gives its executable.
    ///
    /// # Errors
    /// When the build fails, or when it makes no executable.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        println!("building {}", self.package);
        let output = cargo()
            .args(["build", "--package", &self.package, "--message-format=json-render-diagnostics"])
            .current_dir(&self.root)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("{} does not build; cargo says why above", self.package));
        }
        executable_in(&String::from_utf8_lossy(&output.stdout), &self.package).ok_or_else(|| {
            format!("{0} has no executable: add a src/main.rs, or a [[bin]] named {0}", self.package)
        })
    }
}

/// The executable that cargo's messages name for the package's own binary.
fn executable_in(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// The cargo that runs us, or the one on `PATH`.
///
/// What `cargo run` says about our own package is taken out: build scripts watch some of it, and
/// would run again each time the application is built from here.
#[expect(
    clippy::disallowed_methods,
    reason = "a command line has no settings; cargo's variables are its caller's"
)]
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"]
                    .contains(&name)
        });
        if is_ours {
            cargo.env_remove(name);
        }
    }
    cargo
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_is_found_by_name() {
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [{"name": "a", "manifest_path": "/w/crates/a/Cargo.toml"}],
        });
        let project = Project::in_metadata("a", &metadata).expect("it is in the workspace");
        assert_eq!(project.folder, PathBuf::from("/w/crates/a"));
        let failure = Project::in_metadata("b", &metadata).err().expect("it is not in the workspace");
        assert_eq!(failure, "there is no package `b` in this workspace; there are: a");
    }

    #[test]
    fn the_executable_is_the_one_of_the_package() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/t/a"}"#,
        );
        assert_eq!(executable_in(messages, "a"), Some(PathBuf::from("/t/a")));
        assert_eq!(executable_in(messages, "b"), None);
    }
}
