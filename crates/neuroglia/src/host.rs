//! From the command line to the exit code: the environment is judged, services start, a process runs, all ends.
//!
//! The order of a boot is: argv → settings (all faults at once) → telemetry → services (the whole graph at
//! once) → attached resources → schema → ports → ready. Nothing is opened before it was judged, and a failed
//! boot binds no port. The order of an end is that of [`process::web`](crate::process).

mod admin;
mod inspect;
mod serve;
mod start;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use neuroglia_core::error::{Error, chain};
use neuroglia_core::settings::{Environment, Settings};
use tokio::runtime::Runtime;

use crate::app::App;
use crate::argv::{self, Task};
use crate::boot;
use crate::process::Role;
use crate::shutdown::{EXIT_FAULTS, EXIT_USAGE};
use crate::telemetry::{LogFormat, TelemetryOptions};

pub(crate) use self::serve::open_site;
pub use self::start::StartError;
pub(crate) use self::start::{Started, collect, end_services, settle, start_services};
pub use crate::host_settings::HostSettings;

/// Does what the command line says.
pub(crate) fn run<S: Settings>(app: App<S>) -> ExitCode {
    run_as(app, std::env::args_os(), &environment_of_process())
}

/// Does what this command line says.
pub(crate) fn run_as<S: Settings>(
    app: App<S>,
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    environment: &Environment,
) -> ExitCode {
    let table = app.admin_table();
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if app.is_alone && arguments.len() < 2 {
        arguments.push(Role::All.name().into());
    }
    let matches = match argv::command(app.name, app.version, &table).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(answer) => {
            // Help and version are answers, not mistakes.
            let code = if answer.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = answer.print();
            return ExitCode::from(code);
        }
    };
    let Some(task) = argv::task(&matches, &table) else { return ExitCode::from(EXIT_USAGE) };
    match task {
        Task::Config(task) => inspect::config(&app, environment, task),
        Task::Describe { json } => inspect::describe(&app, environment, json),
        Task::OpenApi => inspect::print(&inspect::pretty(&inspect::openapi_maker(&app)())),
        Task::Health { path, door } => inspect::ask_for_health(&app, environment, path, door),
        Task::Admin(position, matches) => admin::run(app, environment, &table.commands[position], matches),
        Task::Run(assignment) => serve::run(app, environment, &assignment),
    }
}

/// The one place that reads the process' environment, once.
#[expect(clippy::disallowed_methods, reason = "this is the host: everything else gets settings")]
fn environment_of_process() -> Environment {
    Environment::from_pairs(std::env::vars_os())
}

fn runtime(host: &HostSettings) -> io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = host.server.server_workers {
        builder.worker_threads(workers.get());
    }
    builder.enable_all().build()
}

fn telemetry_options<S>(app: &App<S>, host: &HostSettings) -> TelemetryOptions {
    TelemetryOptions {
        format: host.log.format.unwrap_or_else(LogFormat::for_stdout),
        directives: host.log.level.clone(),
        service: Some(app.name.to_owned()),
        release: host.release_id.clone(),
        colour: true,
        ..TelemetryOptions::default()
    }
}

fn start_failed(name: &str, error: &StartError) -> ExitCode {
    match error {
        StartError::Faults(faults) => {
            boot::report(name, faults, &[]);
            ExitCode::from(EXIT_FAULTS)
        }
        StartError::Failed(error) => {
            tracing::error!(error = %chain(error), "the application did not start");
            let _ = writeln!(io::stderr(), "{name} did not start: {}", chain(error));
            ExitCode::FAILURE
        }
    }
}

fn failed_early(name: &str, problem: &(dyn std::error::Error + 'static)) -> ExitCode {
    let _ = writeln!(io::stderr(), "{name} did not start: {}", chain(problem));
    ExitCode::FAILURE
}

/// As [`failed_early`], for each of several reasons.
fn failed_for(name: &str, problems: &[Error]) -> ExitCode {
    for problem in problems {
        failed_early(name, problem);
    }
    ExitCode::FAILURE
}
