//! The environment of the application, gathered from files and passed on explicitly.
//!
//! The application must not see what happens to be set in the developer's shell, or it would work
//! on one machine only. It gets what `deployment/dev/*.env` says, then what a `.env` says, each
//! later file over the earlier ones; a variable that one of the files names may be overridden by
//! exporting it. Beside that it gets only what a terminal program needs ([`PASSED_ON`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use neuroglia_core::settings::read_env_file;

use crate::Result;
use crate::project::Project;

/// Variables of the shell that belong to the machine or the terminal, not to the application.
const PASSED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TMPDIR",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];

/// Variables by name, with the notes that the developer should read.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    notes: Vec<String>,
}

impl Environment {
    /// Reads the project's files and what the shell overrides in them.
    ///
    /// # Errors
    /// When the project has no `deployment/dev/*.env`, or a file has faulty lines.
    pub(crate) fn gather(project: &Project) -> Result<Self> {
        let folder = project.folder.join("deployment/dev");
        let mut files = env_files_in(&folder);
        if files.is_empty() {
            return Err(format!(
                "there is no .env file in {}: create app.env there, with lines such as DATABASE_URL=sqlite://…",
                folder.display()
            ));
        }
        files.push(project.folder.join(".env"));
        if let Ok(current) = std::env::current_dir() {
            files.push(current.join(".env"));
        }
        files.dedup();
        Self::from_files(&files, &project.root, |name| std::env::var_os(name))
    }

    /// Reads what a deploy sets from its folder, and nothing of the shell.
    ///
    /// # Errors
    /// When the folder has no `*.env`, or a file has faulty lines.
    pub(crate) fn of_deploy(folder: &Path) -> Result<Self> {
        let files = env_files_in(folder);
        if files.is_empty() {
            return Err(format!(
                "there is no .env file in {}: create app.env there, with lines such as DATABASE_URL_FILE=/run/secrets/…",
                folder.display()
            ));
        }
        Self::from_files(&files, folder, |_| None)
    }

    /// Takes these variables from the shell where it has them.
    ///
    /// # Errors
    /// When one is not UTF-8.
    pub(crate) fn take_exported(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            let Some(value) = std::env::var_os(name) else { continue };
            let value =
                value.into_string().map_err(|_| format!("{name} is not UTF-8: unset it or correct it"))?;
            self.set(name, value);
        }
        Ok(())
    }

    fn from_files(
        files: &[PathBuf],
        root: &Path,
        exported: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let mut environment = Self::default();
        let mut faults = Vec::new();
        for file in files {
            let shown = file.strip_prefix(root).unwrap_or(file).display();
            match read_env_file(file) {
                Ok(None) => {}
                Ok(Some(variables)) => {
                    environment.notes.push(format!("settings from {shown}"));
                    environment.variables.extend(variables);
                }
                Err(fault) => faults.push(fault),
            }
        }
        for (name, value) in &mut environment.variables {
            let Some(exported) = exported(name) else { continue };
            match exported.into_string() {
                Ok(exported) => {
                    if exported != *value {
                        environment.notes.push(format!("{name} comes from your shell, not from a file"));
                    }
                    *value = exported;
                }
                Err(_) => faults.push(format!("{name} in your shell is not UTF-8: unset it or correct it")),
            }
        }
        if faults.is_empty() { Ok(environment) } else { Err(faults.join("\n")) }
    }

    /// Every variable with its value, by name.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Where the values come from, one sentence each; never a value.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// The variable as a port, when it is set.
    ///
    /// # Errors
    /// When it is set to something that is no port.
    pub(crate) fn port(&self, name: &str) -> Result<Option<u16>> {
        let parse = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(format!("{name} is `{text}`: write a port from 1 to 65535")),
            Ok(port) => Ok(port),
        };
        self.get(name).map(parse).transpose()
    }

    /// Gives the command this environment and nothing else of ours.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env_clear();
        let machine = PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(machine).envs(&self.variables);
    }
}

/// The `*.env` files of a folder, by name, without those that are hidden: a release does not take them along.
pub(crate) fn env_files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "env"))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn files(contents: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |(index, text): (usize, &&str)| {
            let path = folder.path().join(format!("{index}.env"));
            std::fs::write(&path, text).expect("the folder is ours");
            path
        };
        let files = contents.iter().enumerate().map(write).collect();
        (folder, files)
    }

    #[test]
    fn a_hidden_file_is_none_of_the_deploy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["app.env", ".local.env", "notes.txt"] {
            std::fs::write(folder.path().join(name), "A=1\n").expect("the folder is ours");
        }
        assert_eq!(env_files_in(folder.path()), [folder.path().join("app.env")]);
    }

    #[test]
    fn later_files_win_and_the_shell_overrides_only_what_they_name() {
        let (folder, files) = files(&["A=1\nB=1\nC=1\n", "B=2\n"]);
        let shell = |name: &str| ["C", "D"].contains(&name).then(|| OsString::from("shell"));
        let environment = Environment::from_files(&files, folder.path(), shell).expect("the files are right");
        assert_eq!(environment.get("A"), Some("1"));
        assert_eq!(environment.get("B"), Some("2"));
        assert_eq!(environment.get("C"), Some("shell"));
        assert_eq!(environment.get("D"), None);
        assert!(environment.notes().iter().any(|note| note == "C comes from your shell, not from a file"));
        assert!(!environment.notes().iter().any(|note| note.contains("D comes")));
    }

    #[test]
    fn faults_of_all_files_are_told_at_once() {
        let (folder, files) = files(&["nonsense\n", "also nonsense\n"]);
        let faults = Environment::from_files(&files, folder.path(), |_| None).err().expect("both are wrong");
        assert_eq!(faults.lines().count(), 2, "{faults}");
    }

    #[test]
    fn a_command_gets_nothing_of_our_own_environment_but_the_machine() {
        let mut environment = Environment::default();
        environment.set("DATABASE_URL", "sqlite://x.db");
        let mut command = Command::new("env");
        environment.apply(&mut command);
        let output = command.output().expect("`env` is everywhere");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("DATABASE_URL=sqlite://x.db"), "{printed}");
        // Cargo sets this one for every test.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        assert!(!printed.contains("CARGO_MANIFEST_DIR"), "{printed}");
        assert!(command.get_envs().any(|(name, _)| name == OsStr::new("PATH")));
    }
}
