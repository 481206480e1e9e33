//! `neuroglia run`: the run stage, one process of the current release.
//!
//! It becomes the process: the pid, the terminal and the signals are the application's own, and so is the exit code. Its
//! environment is that of the release; of the platform's it takes only where to listen and how long it waits.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use crate::Result;
use crate::application::Application;
use crate::depot::{Depot, Kept};
use crate::environment::Environment;
use crate::manifest::Release;
use crate::procfile::Procfile;

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
