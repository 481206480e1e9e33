//! A package of a cargo workspace: where it is, and its executable.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Result, procfile};

/// The package that is run.
pub(crate) struct Project {
    /// Its name in the workspace.
    pub(crate) package: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    /// The folder of the workspace; the application runs here.
    pub(crate) root: PathBuf,
    /// The version in its manifest.
    pub(crate) version: String,
}

/// How a package is built.
#[derive(Default)]
pub(crate) struct Making<'a> {
    /// Arguments of `cargo build` beside the package.
    pub(crate) arguments: &'a [&'a str],
    /// What every call of the compiler is told in place of what the project's configuration has it told.
    pub(crate) rustflags: Option<&'a str>,
}

impl Project {
    /// Asks cargo for the package; without a name, for the one whose folder this is, or the only one with a Procfile.
    ///
    /// # Errors
    /// When there is no workspace around the current folder, or no such package in it.
    pub(crate) fn locate(package: Option<&str>) -> Result<Self> {
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
        let projects = Self::in_metadata(&metadata)?;
        match package {
            Some(package) => Self::named(package, projects),
            None => {
                let here = std::env::current_dir()
                    .map_err(|error| format!("there is no current folder: {error}"))?;
                Self::around(&here, projects)
            }
        }
    }

    fn in_metadata(metadata: &Value) -> Result<Vec<Self>> {
        let root = metadata["workspace_root"].as_str().ok_or("`cargo metadata` names no workspace")?;
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let project = |package: &Value| {
            Some(Self {
                package: package["name"].as_str()?.to_owned(),
                folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_owned(),
                root: PathBuf::from(root),
                version: package["version"].as_str()?.to_owned(),
            })
        };
        Ok(packages.iter().filter_map(project).collect())
    }

    fn named(package: &str, projects: Vec<Self>) -> Result<Self> {
        let names = names(&projects);
        projects
            .into_iter()
            .find(|project| project.package == package)
            .ok_or_else(|| format!("there is no package `{package}` in this workspace; there are: {names}"))
    }

    fn around(here: &Path, projects: Vec<Self>) -> Result<Self> {
        let mut applications: Vec<_> =
            projects.into_iter().filter(|project| project.folder.join(procfile::FILE).is_file()).collect();
        let is_around = |project: &Self| project.folder != project.root && here.starts_with(&project.folder);
        if let Some(position) = applications.iter().position(is_around) {
            return Ok(applications.swap_remove(position));
        }
        match applications.len() {
            0 => Err("no package of this workspace has a Procfile: name one with --package".to_owned()),
            1 => Ok(applications.remove(0)),
            _ => Err(format!(
                "this workspace has several applications: choose one with --package; there are: {}",
                names(&applications)
            )),
        }
    }

    /// Builds the package for development.
    ///
    /// # Errors
    /// When the build fails, or when it makes no executable.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        self.make(&Making::default())
    }

    /// Builds the package, with cargo's progress on the terminal, and gives its executable.
    ///
    /// # Errors
    /// When the build fails, or when it makes no executable.
    pub(crate) fn make(&self, making: &Making<'_>) -> Result<PathBuf> {
        eprintln!("building {}", self.package);
        let mut cargo = cargo();
        if let Some(rustflags) = making.rustflags {
            cargo.env("RUSTFLAGS", rustflags);
        }
        let output = cargo
            .args(["build", "--package", &self.package, "--message-format=json-render-diagnostics"])
            .args(making.arguments)
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

fn names(projects: &[Project]) -> String {
    let names: Vec<_> = projects.iter().map(|project| project.package.as_str()).collect();
    names.join(", ")
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
pub(crate) fn cargo() -> Command {
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
            "packages": [{"name": "a", "version": "1.2.3", "manifest_path": "/w/crates/a/Cargo.toml"}],
        });
        let projects = || Project::in_metadata(&metadata).expect("it names a workspace");
        let project = Project::named("a", projects()).expect("it is in the workspace");
        assert_eq!((project.folder.as_path(), project.version.as_str()), (Path::new("/w/crates/a"), "1.2.3"));
        let failure = Project::named("b", projects()).err().expect("it is not in the workspace");
        assert_eq!(failure, "there is no package `b` in this workspace; there are: a");
    }

    #[test]
    fn without_a_name_it_is_the_one_around_or_the_only_one_that_runs() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let project = |name: &str, has_procfile: bool| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(folder.join("src")).expect("the folder is ours");
            if has_procfile {
                std::fs::write(folder.join("Procfile"), "").expect("the folder is ours");
            }
            let (package, version) = (name.to_owned(), "1.0.0".to_owned());
            Project { package, folder, root: root.path().to_owned(), version }
        };
        let chosen = |here: &Path, projects| Project::around(here, projects).map(|project| project.package);
        let library = || project("library", false);
        assert!(chosen(root.path(), vec![library()]).is_err_and(|failure| failure.contains("Procfile")));
        assert_eq!(chosen(root.path(), vec![library(), project("a", true)]).as_deref(), Ok("a"));
        let two = || vec![project("a", true), project("b", true)];
        assert!(chosen(root.path(), two()).is_err_and(|failure| failure.ends_with("there are: a, b")));
        assert_eq!(chosen(&root.path().join("b/src"), two()).as_deref(), Ok("b"));
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
