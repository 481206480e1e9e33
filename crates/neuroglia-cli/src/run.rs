//! `neuroglia run`: the run stage, one process of the current release.
//!
//! It becomes the process: the pid, the terminal and the signals are the application's own, and so is the exit code. Its
//! environment is that of the release; of the platform's it takes only where to listen and how long it waits. What else
//! is exported for the application is left out, and a note says so.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use crate::Result;
use crate::application::Application;
use crate::depot::{Depot, Kept};
use crate::environment::Environment;
use crate::manifest::Release;
use crate::procfile::Procfile;
use crate::release::RELEASE_ID;

/// What belongs to the place where a process runs, and not to the release.
const OF_PLATFORM: [&str; 4] = ["PORT", "ADMIN_PORT", "SERVER_HOST", "TERMINATION_GRACE"];
/// By which one-off processes are run, whether the Procfile names them or not.
const ADMIN: &str = "admin";

/// What `neuroglia run` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The depot, when it is not in a `.neuroglia` here or above
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
    /// The release; otherwise the current one
    #[arg(long, value_name = "ID")]
    release: Option<String>,
    /// A process of the Procfile, or `admin` for a one-off one
    process: String,
    /// What the process is told beside what the Procfile says
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Becomes the process.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let release = released(arguments.depot.as_deref(), arguments.release.as_deref())?;
    let procfile = Procfile::read(&release.folder, &release.manifest.application)?;
    let mut words = match procfile.get(&arguments.process) {
        Some(process) => process.arguments.clone(),
        None if arguments.process == ADMIN => vec![ADMIN.to_owned()],
        None => {
            return Err(format!(
                "there is no process {} in the release: there are {}, and admin",
                arguments.process,
                procfile.names()
            ));
        }
    };
    words.extend(arguments.rest.iter().cloned());
    let mut environment = release.environment()?;
    take_from_platform(&mut environment)?;
    note_what_is_left_out(&release, &environment);
    let application = Application::here(&release.manifest.application, release.executable(), &environment);
    let failure = application.command(&words).stdin(Stdio::inherit()).exec();
    Err(format!("{} does not start: {failure}", release.executable().display()))
}

/// The release that was asked for, or the current one.
pub(crate) fn released(depot: Option<&std::path::Path>, id: Option<&str>) -> Result<Kept<Release>> {
    let depot = Depot::find(depot)?;
    match id {
        Some(id) => depot.get(Some(id)),
        None => depot.current(),
    }
}

/// Gives a process of a release what its platform says.
pub(crate) fn take_from_platform(environment: &mut Environment) -> Result<()> {
    environment.take_exported(&OF_PLATFORM)?;
    if environment.get("PORT").is_some() {
        // The other name of the same setting; two that differ would be refused.
        environment.remove("SERVER_PORT");
    }
    Ok(())
}

/// Says which exported variables of the application do not reach it. A release has its own, and somebody who exports one
/// would else believe that it holds.
pub(crate) fn note_what_is_left_out(release: &Kept<Release>, environment: &Environment) {
    let names = left_out(&release.manifest.config.settings, environment, |name| std::env::var_os(name));
    if !names.is_empty() {
        eprintln!(
            "note: exported and left out: {}; a release has its own configuration: set them in deployment/{}, and release again",
            names.join(", "),
            release.manifest.deploy
        );
    }
}

/// The settings, and the variables that name their files, which are exported and do not say what the release says.
fn left_out(
    settings: &[String],
    environment: &Environment,
    exported: impl Fn(&str) -> Option<OsString>,
) -> Vec<String> {
    // The id of a release is its own, whatever is exported.
    let settings = settings.iter().filter(|name| *name != RELEASE_ID);
    let names = settings.flat_map(|name| [name.clone(), format!("{name}_FILE")]);
    names
        .filter(|name| {
            exported(name).is_some_and(|value| environment.get(name).is_none_or(|own| value != own))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_and_has_no_effect_is_left_out() {
        let mut environment = Environment::default();
        for (name, value) in [("PORT", "8000"), ("LOG_LEVEL", "info"), ("KEY_FILE", "/run/secrets/key")] {
            environment.set(name, value);
        }
        let settings = ["PORT", "LOG_LEVEL", "KEY", "QUIET", "RELEASE_ID"].map(str::to_owned);
        let names = left_out(&settings, &environment, |name| match name {
            "PORT" => Some("8000".into()),
            "LOG_LEVEL" | "KEY_FILE" | "UNRELATED" | "RELEASE_ID" => Some("other".into()),
            _ => None,
        });
        assert_eq!(names, ["LOG_LEVEL", "KEY_FILE"]);
    }
}
