//! A process that serves until a signal, and its end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use neuroglia_core::settings::{Environment, Settings};
use tokio_util::sync::CancellationToken;

use super::inspect::openapi_maker;
use super::start::{StartError, Started, end_services, settle, start_services};
use super::{HostSettings, failed_early, failed_for, runtime, start_failed, telemetry_options};
use crate::app::App;
use crate::boot;
use crate::process::role::Assignment;
use crate::process::starting::Starting;
use crate::process::web::{About, Ended, Site};
use crate::shutdown::{EXIT_ABANDONED, EXIT_FAULTS, LAST_TASKS, Signals};
use crate::telemetry::{Telemetry, TelemetryGuard};
use crate::web::server::Drained;

pub(super) fn run<S: Settings>(app: App<S>, environment: &Environment, assignment: &Assignment) -> ExitCode {
    let (host, settings, report) = match settle(&app, environment) {
        Ok(settled) => settled,
        Err((faults, report)) => {
            boot::report(app.name, &faults, report.warnings());
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    let layers = match app.telemetry_layers(&settings) {
        Ok(layers) => layers,
        Err(problems) => return failed_for(app.name, &problems),
    };
    let telemetry = match Telemetry::init_beside(layers, telemetry_options(&app, &host)) {
        Ok(guard) => guard,
        Err(problem) => return failed_early(app.name, &problem),
    };
    for warning in report.warnings() {
        tracing::warn!(code = warning.code, setting = %warning.at, fix = %warning.fix, "{}", warning.what);
    }
    let runtime = match runtime(&host) {
        Ok(runtime) => runtime,
        Err(problem) => return failed_early(app.name, &problem),
    };
    let code =
        runtime.block_on(serve_until_signal(&app, assignment, &host, &settings, environment, &telemetry));
    // A task that blocks its thread does not hold the exit.
    runtime.shutdown_timeout(LAST_TASKS);
    drop(telemetry);
    code
}

async fn serve_until_signal<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    settings: &Arc<S>,
    environment: &Environment,
    telemetry: &TelemetryGuard,
) -> ExitCode {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(problem) => return failed_early(app.name, &problem),
    };
    let interrupt = CancellationToken::new();
    let opening = open_site(app, assignment, host, settings, environment, interrupt.clone());
    let mut starting = std::pin::pin!(opening);
    let mut interrupted = None;
    let opened = loop {
        tokio::select! {
            outcome = starting.as_mut() => break outcome,
            signal = signals.next() => match interrupted.replace(signal) {
                None => {
                    // What has been started is ended before the process is.
                    tracing::info!(signal, "stopped while starting");
                    interrupt.cancel();
                }
                Some(_) => return killed(signal, telemetry),
            }
        }
    };
    let site = match opened {
        Ok(site) => site,
        Err(_) if interrupted.is_some() => return ExitCode::SUCCESS,
        Err(error) => return start_failed(app.name, &error),
    };
    site.metrics().counter(
        "log_lines_lost",
        "Lines that were dropped because nobody read the log fast enough",
        telemetry.loss_reader(),
    );
    let mut serving = std::pin::pin!(site.serve());
    let signal = match interrupted {
        Some(signal) => signal,
        None => tokio::select! {
            _ = &mut serving => return ExitCode::FAILURE,
            signal = signals.next() => signal,
        },
    };
    tracing::info!(
        signal,
        timeout_ms = u64::try_from(host.lifecycle.shutdown_timeout.as_millis()).unwrap_or(u64::MAX),
        "shutdown.begin"
    );
    let ended = tokio::select! {
        ended = site.end(&mut serving, host.lifecycle.shutdown_delay, host.lifecycle.shutdown_timeout) => ended,
        signal = signals.next() => return killed(signal, telemetry),
    };
    exit_code(&ended)
}

fn killed(signal: &'static str, telemetry: &TelemetryGuard) -> ExitCode {
    tracing::warn!(signal, "a second signal ends the process at once");
    telemetry.flush(Duration::from_millis(200));
    ExitCode::from(EXIT_ABANDONED)
}

fn exit_code(ended: &Ended) -> ExitCode {
    let Drained { abandoned, unsent, stuck } = &ended.drained;
    for request in abandoned {
        tracing::warn!(http.method = %request.method, url.path = %request.path, "abandoned a request at the deadline");
    }
    for work in &ended.broken_off {
        tracing::warn!(work, "work was broken off at the deadline and given back");
    }
    for service in &ended.late {
        tracing::warn!(service.name = service, "a hosted service did not end well and in time");
    }
    if ended.is_clean() {
        tracing::info!("shutdown.complete");
        ExitCode::SUCCESS
    } else {
        tracing::warn!(
            requests.abandoned = abandoned.len(),
            answers.unsent = unsent,
            tasks.stuck = stuck,
            services.late = ended.late.len(),
            work.broken_off = ended.broken_off.len(),
            services.disposed = ended.disposed,
            "shutdown.incomplete: work was left undone"
        );
        ExitCode::from(EXIT_ABANDONED)
    }
}

pub(crate) async fn open_site<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    settings: &Arc<S>,
    environment: &Environment,
    interrupt: CancellationToken,
) -> Result<Site, StartError> {
    let starting = Starting::new(host, interrupt);
    let Started { services, web, hosted } =
        start_services(app, assignment, host, &starting, settings, environment, true).await?;
    let web = assignment.role.answers_http().then_some(web);
    let document = (web.is_some() && host.http.docs).then(|| openapi_maker(app));
    let about = About { name: app.name, version: app.version, role: assignment.role };
    match Site::open(&starting, about, host, services.clone(), web, document, &hosted).await {
        Ok(site) => Ok(site),
        Err(error) => {
            starting.clean_up().bound(end_services(&services)).await;
            Err(error.into())
        }
    }
}
