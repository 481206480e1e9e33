//! An admin command: the services of all roles, one command in a scope of theirs, and an end.

use std::io::{self, Write};
use std::process::ExitCode;

use neuroglia_core::error::{Error, ErrorKind, chain};
use neuroglia_core::settings::{Deploy, Environment, Schema, Settings};
use tokio_util::sync::CancellationToken;

use super::start::{Started, collect, end_services, settle, start_services};
use super::{HostSettings, failed_early, failed_for, runtime, start_failed, telemetry_options};
use crate::app::App;
use crate::boot;
use crate::describe::Description;
use crate::process::Role;
use crate::process::admin::{AdminContext, Listed, Room, SHELL};
use crate::process::role::Assignment;
use crate::process::starting::Starting;
use crate::shutdown::{Deadline, EXIT_ABANDONED, EXIT_FAULTS, LAST_TASKS, Signals};
use crate::telemetry::{Telemetry, TelemetryOptions};

pub(super) fn run<S: Settings>(
    app: App<S>,
    environment: &Environment,
    command: &Listed,
    matches: clap::ArgMatches,
) -> ExitCode {
    let (host, settings, report) = match settle(&app, environment) {
        Ok(settled) => settled,
        Err((faults, report)) => {
            boot::report(app.name, &faults, report.warnings());
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    // Standard output belongs to the command's result, so its log goes to standard error.
    let options = TelemetryOptions { colour: false, ..telemetry_options(&app, &host) };
    let layers = match app.telemetry_layers(&settings) {
        Ok(layers) => layers,
        Err(problems) => return failed_for(app.name, &problems),
    };
    let _telemetry = match Telemetry::queued_beside(layers, &options, io::stderr()) {
        Ok((dispatch, guard)) => {
            // A second application in one process logs as the first does.
            let _ = tracing::dispatcher::set_global_default(dispatch);
            guard
        }
        Err(problem) => return failed_early(app.name, &problem),
    };
    let runtime = match runtime(&host) {
        Ok(runtime) => runtime,
        Err(problem) => return failed_early(app.name, &problem),
    };
    let code = runtime.block_on(async {
        let mut signals = match Signals::install() {
            Ok(signals) => signals,
            Err(problem) => return failed_early(app.name, &problem),
        };
        let interrupt = CancellationToken::new();
        let starting = Starting::new(&host, interrupt.clone());
        // A command works on all that there is, and runs nothing beside it.
        let assignment = Assignment::of(Role::All);
        let check_schema = !command.any_schema;
        let started =
            start_services(&app, &assignment, &host, &starting, &settings, environment, check_schema);
        let mut started = std::pin::pin!(started);
        let started = loop {
            tokio::select! {
                outcome = started.as_mut() => break outcome,
                signal = signals.next() => {
                    if interrupt.is_cancelled() {
                        return failed(command, &interrupted());
                    }
                    tracing::warn!(signal, "the admin command was interrupted while it started");
                    interrupt.cancel();
                }
            }
        };
        let Started { services, .. } = match started {
            Ok(started) if !interrupt.is_cancelled() => started,
            Ok(Started { services, .. }) => {
                end_services(&services).await;
                return failed(command, &interrupted());
            }
            Err(_) if interrupt.is_cancelled() => return failed(command, &interrupted()),
            Err(error) => return start_failed(app.name, &error),
        };
        let scope = services.scope();
        let mut context = AdminContext::new(scope.clone(), app.name);
        if command.name == SHELL {
            let described = collect(&app, &assignment, &host, &settings).services.describe();
            let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
            context = context.within(Room {
                admin: app.admin_table(),
                services: services.clone(),
                config: report.table(),
                describe: Description::of(&app, &deploy, Some(described)).to_string(),
            });
        }
        let (outcome, more_signals) = tokio::select! {
            outcome = (command.run)(matches, &context) => (outcome, 2),
            signal = signals.next() => {
                tracing::warn!(signal, "the admin command was interrupted");
                (Err(interrupted()), 1)
            }
        };
        let end = async {
            context.tell_others().await;
            drop(context);
            scope.close().await;
            end_services(&services).await;
        };
        let impatience = async {
            for _ in 0..more_signals {
                signals.next().await;
            }
        };
        let has_ended = tokio::select! {
            has_ended = Deadline::after(host.lifecycle.shutdown_timeout).bound(end) => has_ended,
            () = impatience => false,
        };
        if !has_ended {
            tracing::warn!("the process ends before its services have");
        }
        match outcome {
            Ok(()) if has_ended => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(EXIT_ABANDONED),
            Err(error) => failed(command, &error),
        }
    });
    // A thread that waits for standard input does not hold the exit.
    runtime.shutdown_timeout(LAST_TASKS);
    code
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Unavailable, "interrupted", "interrupted")
}

/// Says why a command failed.
fn failed(command: &Listed, error: &Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}: {}", command.name, chain(error));
    for violation in error.violation_list() {
        let _ = writeln!(io::stderr(), "  {}: {}", violation.pointer, violation.detail);
    }
    ExitCode::from(error.exit_code().get())
}
