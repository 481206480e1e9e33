//! The application's executable, called with its environment.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Result;
use crate::environment::Environment;
use crate::project::Project;

/// An executable with everything it needs to run.
pub(crate) struct Application<'a> {
    name: &'a str,
    executable: PathBuf,
    folder: &'a PathBuf,
    environment: &'a Environment,
}

impl<'a> Application<'a> {
    pub(crate) fn new(project: &'a Project, executable: PathBuf, environment: &'a Environment) -> Self {
        Self { name: &project.package, executable, folder: &project.root, environment }
    }

    /// A command of the application. It runs in the root of the workspace, where the relative paths
    /// of `deployment/dev` start.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null());
        self.environment.apply(&mut command);
        command
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
