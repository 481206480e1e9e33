//! `neuroglia build`: the build stage, from a commit to an executable that is never changed again.
//!
//! A build knows nothing of a deploy. Everything that went into it is written beside it, and it is refused when that
//! cannot be said: a change that is not committed, or a `Cargo.lock` that does not fit, would make it a build of nothing
//! that anybody could find again.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use neuroglia_core::clock::Clock;

use crate::depot::{Depot, Kept};
use crate::manifest::{self, Build, Executable, FORMAT, Manifest};
use crate::procfile::{self, Procfile};
use crate::project::{Making, Project};
use crate::{Result, digest, git, secrets, stamp};

/// What `neuroglia build` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The package of the workspace to build; otherwise the one around, or the only one with a Procfile
    #[arg(long)]
    package: Option<String>,
    /// Keep the build in this depot instead of in `.neuroglia/<package>`
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
    /// Link everything in, so that the executable runs in an empty image
    #[arg(long = "static")]
    is_static: bool,
    /// Build although something is not committed; the build says so for ever
    #[arg(long)]
    allow_dirty: bool,
}

/// Makes a build.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let project = Project::locate(arguments.package.as_deref())?;
    Procfile::read(&project.folder, &project.package)?;
    let source = git::source(&project.root)?;
    if source.is_dirty && !arguments.allow_dirty {
        return Err(match source.commit {
            Some(_) => "there are changes that are not committed: commit them, or build with --allow-dirty",
            None => "this is no repository with a commit: make one, or build with --allow-dirty",
        }
        .to_owned());
    }
    let cargo_lock = digest::of_file(&project.root.join("Cargo.lock"))
        .map_err(|failure| format!("{failure}: run `cargo generate-lockfile` and commit the file"))?;
    let compiler = Compiler::ask(&project.root)?;

    let executable = make(&project, &compiler.host, arguments.is_static)?;
    if git::source(&project.root)? != source {
        return Err("the source changed while it was built: build again".to_owned());
    }

    let depot = match &arguments.depot {
        Some(folder) => Depot::new(folder.clone()),
        None => Depot::new(secrets::open_folder(&project)?),
    };
    let now = Clock::system().now();
    let latest = depot.all::<Build>()?.pop();
    let id = stamp::next(now, latest.as_ref().map(|kept| kept.manifest.id.as_str()));
    let folder = depot.add::<Build>(&id, |draft| {
        let file = draft.join(&project.package);
        copy(&executable, &file)?;
        copy(&project.folder.join(procfile::FILE), &draft.join(procfile::FILE))?;
        let manifest = Build {
            format: FORMAT,
            id: id.clone(),
            application: project.package.clone(),
            version: project.version.clone(),
            built_at: now,
            source,
            cargo_lock,
            rustc: compiler.version,
            target: compiler.host,
            is_static: arguments.is_static,
            executable: Executable {
                digest: digest::of_file(&file)?,
                bytes: std::fs::metadata(&file).map_err(|error| error.to_string())?.len(),
                file: project.package.clone(),
            },
        };
        write(&draft.join(Build::FILE), &manifest::text(&manifest))
    })?;
    println!("build {id}\n{}", folder.display());
    Ok(ExitCode::SUCCESS)
}

impl Kept<Build> {
    /// The executable, when it is still the one that was built.
    ///
    /// # Errors
    /// When it is another, or cannot be read.
    pub(crate) fn executable(&self) -> Result<PathBuf> {
        let path = self.folder.join(&self.manifest.executable.file);
        if digest::of_file(&path)? == self.manifest.executable.digest {
            return Ok(path);
        }
        Err(format!("{} is not what was built: build again", path.display()))
    }
}

/// Has everything linked in, also libc.
const STATIC: &str = "-Ctarget-feature=+crt-static";

#[expect(
    clippy::disallowed_methods,
    reason = "a command line has no settings; cargo's variables are its caller's"
)]
fn make(project: &Project, host: &str, is_static: bool) -> Result<PathBuf> {
    let release = ["--release", "--locked"];
    if !is_static {
        return project.make(&Making { arguments: &release, rustflags: None });
    }
    // With a target that is named, macros and build scripts are still built for a host that loads libraries. As a
    // configuration the flag stands beside those of the project's own; in the environment it would stand in their place.
    let flags = format!("target.{host}.rustflags=[\"{STATIC}\"]");
    let arguments = [&release[..], &["--target", host, "--config", &flags]].concat();
    let own = env::var("RUSTFLAGS").ok().map(|own| format!("{own} {STATIC}"));
    project.make(&Making { arguments: &arguments, rustflags: own.as_deref() })
}

/// The compiler that cargo uses in a folder.
struct Compiler {
    version: String,
    host: String,
}

impl Compiler {
    fn ask(folder: &Path) -> Result<Self> {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output =
            Command::new(program).arg("-vV").current_dir(folder).output().map_err(|error| {
                format!("rustc does not start ({error}): install Rust, or put it on PATH")
            })?;
        Self::in_answer(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| "`rustc -vV` names no host".to_owned())
    }

    fn in_answer(answer: &str) -> Option<Self> {
        let version = answer.lines().next()?.to_owned();
        let host = answer.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned();
        Some(Self { version, host })
    }
}

/// Copies a file with its mode.
///
/// # Errors
/// With both names.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// Writes a file.
///
/// # Errors
/// With its name.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_names_itself_and_its_host() {
        let answer =
            "rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        let compiler = Compiler::in_answer(answer).expect("it says both");
        assert_eq!(compiler.version, "rustc 1.95.0 (abc 2026-04-14)");
        assert_eq!(compiler.host, "x86_64-unknown-linux-gnu");
        assert!(Compiler::in_answer("").is_none());
    }
}
