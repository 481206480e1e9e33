//! The application's executable, called with its environment.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::environment::Environment;
use crate::project::Project;

/// An executable with everything it needs to run.
pub(crate) struct Application<'a> {
    name: &'a str,
    executable: PathBuf,
    folder: &'a Path,
    environment: &'a Environment,
}

impl<'a> Application<'a> {
    /// The application in the root of its workspace, where the relative paths of `deployment/dev` start.
    pub(crate) fn in_workspace(
        project: &'a Project,
        executable: PathBuf,
        environment: &'a Environment,
    ) -> Self {
        Self { name: &project.package, executable, folder: &project.root, environment }
    }

    /// The application in the current folder.
    pub(crate) fn here(name: &'a str, executable: PathBuf, environment: &'a Environment) -> Self {
        Self { name, executable, folder: Path::new("."), environment }
    }

    /// A command of the application.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null());
        self.environment.apply(&mut command);
        command
    }

    /// What the application is made of, as it describes itself.
    ///
    /// # Errors
    /// When it does not, or not as JSON.
    pub(crate) fn describe(&self) -> Result<Value> {
        self.told(&["describe", "--json"])
    }

    /// Its effective settings, with warnings and faults; it tells them also when something is wrong.
    ///
    /// # Errors
    /// When it does not tell, or not as JSON.
    pub(crate) fn config(&self) -> Result<Value> {
        self.told(&["config", "--json"])
    }

    /// What a command that tells prints as JSON.
    ///
    /// # Errors
    /// When it prints none.
    pub(crate) fn told(&self, arguments: &[&str]) -> Result<Value> {
        let shown = format!("{} {}", self.name, arguments.join(" "));
        let output =
            self.command(arguments).output().map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
        // When something is wrong, the report of a failed boot follows.
        let told = serde_json::Deserializer::from_slice(&output.stdout).into_iter().next();
        told.unwrap_or_else(|| Err(serde::de::Error::custom("nothing"))).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("`{shown}` tells no JSON ({error}; {})\n{}", output.status, said.trim_end())
        })
    }

    /// Runs an admin command to its end; its output is shown only when it fails.
    ///
    /// # Errors
    /// When the command fails: with its arguments, its exit code and what it wrote.
    pub(crate) fn admin(&self, progress: &str, arguments: &[&str], secret: Option<&str>) -> Result<()> {
        println!("{progress}");
        let shown = format!("{} admin {}", self.name, arguments.join(" "));
        let failed = |error: std::io::Error| format!("`{shown}` cannot be run: {error}");

        let mut command = self.command(&["admin"]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        if secret.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().map_err(failed)?;
        if let (Some(secret), Some(mut stdin)) = (secret, child.stdin.take()) {
            // One that ends without reading says why by its exit code.
            let _ = writeln!(stdin, "{secret}");
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("`{shown}` failed ({})\n{}", output.status, format!("{stdout}{stderr}").trim_end()))
    }
}

/// The path under which most routes of a description are; empty when most have none in common.
pub(crate) fn api_base(description: &Value) -> String {
    let routes = description["routes"].as_array().into_iter().flatten();
    let paths: Vec<&str> = routes.filter_map(|route| route["path"].as_str()).collect();
    let beside = |path: &&str| {
        let room = first_segment(path);
        paths.iter().copied().filter(|other| first_segment(other) == room).collect::<Vec<_>>()
    };
    // One that is for other machines may stand aside.
    let most = paths.iter().map(beside).find(|together| together.len() * 2 > paths.len());
    most.and_then(|together| common_base(together.into_iter())).unwrap_or_default()
}

fn first_segment(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

/// The whole segments with which every path begins.
fn common_base<'a>(mut paths: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut base: Vec<&str> = paths.next()?.split('/').collect();
    for path in paths {
        let same = base.iter().zip(path.split('/')).take_while(|(known, segment)| *known == segment).count();
        base.truncate(same);
    }
    Some(base.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_what_all_paths_begin_with() {
        let base = |paths: &[&str]| common_base(paths.iter().copied());
        assert_eq!(
            base(&["/api/v1/orders/{id}", "/api/v1/pizzas", "/api/v1/me"]).as_deref(),
            Some("/api/v1")
        );
        assert_eq!(base(&["/orders", "/pizzas"]).as_deref(), Some(""));
        assert_eq!(base(&[]), None);
    }

    #[test]
    fn most_routes_say_where_the_api_is() {
        let base = |paths: &[&str]| {
            let routes: Vec<_> = paths.iter().map(|path| serde_json::json!({ "path": path })).collect();
            api_base(&serde_json::json!({ "routes": routes }))
        };
        assert_eq!(base(&["/api/v1/orders", "/api/v1/pizzas", "/events/ingest"]), "/api/v1");
        assert_eq!(base(&["/orders", "/pizzas"]), "");
        assert_eq!(base(&[]), "");
    }
}
