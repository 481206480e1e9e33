//! From the command line to the exit code: the environment is judged, services start, a process runs, all ends.
//!
//! The order of a boot is: argv → settings (all faults at once) → telemetry → services (the whole graph at
//! once) → attached resources → schema → ports → ready. Nothing is opened before it was judged, and a failed
//! boot binds no port. The order of an end is that of [`process::web`](crate::process).

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use neuroglia_core::cache;
use neuroglia_core::cluster::{self, NodeName};
use neuroglia_core::data::{History, Migrations, Store};
use neuroglia_core::di::{ServiceCollection, Services};
use neuroglia_core::error::{Error, Result, chain};
use neuroglia_core::fault::{Area, Fault, Faults};
use neuroglia_core::hosting::Stopping;
use neuroglia_core::messaging;
use neuroglia_core::settings::{Deploy, Environment, Loaded, Report, Schema, Settings};
use neuroglia_core::work::{self, WorkPlan};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::argv::{self, ConfigTask, Task};
use crate::auth::COOKIE_NAME;
use crate::boot;
use crate::describe::Description;
use crate::health;
use crate::parity;
use crate::process::Role;
use crate::process::admin::{AdminContext, Room, SHELL};
use crate::process::backlog::Depths;
use crate::process::hosted::Hosted;
use crate::process::role::Assignment;
use crate::process::starting::Starting;
use crate::process::web::{self, Ended, Site, WebHost};
use crate::shutdown::{EXIT_ABANDONED, EXIT_FAULTS, EXIT_USAGE, LAST_TASKS, Signals};
use crate::telemetry::{LogFormat, Telemetry, TelemetryGuard, TelemetryOptions};
use crate::web::Web;
use crate::web::openapi;
use crate::web::server::Drained;

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
    let admin = app.admin_table();
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if app.is_alone && arguments.len() < 2 {
        arguments.push(Role::All.name().into());
    }
    let matches = match argv::command(app.name, app.version, &admin).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(answer) => {
            // Help and version are answers, not mistakes.
            let code = if answer.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = answer.print();
            return ExitCode::from(code);
        }
    };
    let Some(task) = argv::task(&matches, &admin) else { return ExitCode::from(EXIT_USAGE) };
    match task {
        Task::Config(task) => config(&app, environment, task),
        Task::Describe { json } => describe(&app, environment, json),
        Task::OpenApi => print(&pretty(&openapi_document(&app))),
        Task::Health { path, admin } => ask_for_health(&app, environment, path, admin),
        Task::Admin(position, matches) => run_admin(app, environment, &admin.commands[position], matches),
        Task::Run(assignment) => run_process(app, environment, &assignment),
    }
}

/// The one place that reads the process' environment, once.
#[expect(clippy::disallowed_methods, reason = "this is the host: everything else gets settings")]
fn environment_of_process() -> Environment {
    Environment::from_pairs(std::env::vars_os())
}

fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|problem| format!("{{\"error\": \"{problem}\"}}"))
}

fn config<S: Settings>(app: &App<S>, environment: &Environment, task: ConfigTask) -> ExitCode {
    if task == ConfigTask::Template {
        return print(Schema::of::<(HostSettings, S)>().template().trim_end());
    }
    if let ConfigTask::Parity { deploys, json } = task {
        return compare_deploys(app, &deploys, json);
    }
    let report = load(app, environment).report;
    let shown = match task {
        ConfigTask::Json => print(&pretty(&report)),
        ConfigTask::Table => print(report.table().trim_end()),
        _ => ExitCode::SUCCESS,
    };
    if report.faults().is_empty() {
        for warning in report.warnings() {
            let _ = writeln!(io::stderr(), "warning: {} ({}); {}", warning.what, warning.at, warning.fix);
        }
        return shown;
    }
    boot::report(app.name, report.faults(), report.warnings());
    ExitCode::from(EXIT_FAULTS)
}

/// Loads the settings, and judges the deploy that they are of.
fn load<S: Settings>(app: &App<S>, environment: &Environment) -> Loaded<(HostSettings, S)> {
    let mut loaded = environment.load::<(HostSettings, S)>(&app.prefixes);
    let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
    loaded.report.warn(app.validator().validate(&deploy));
    loaded
}

fn compare_deploys<S: Settings>(app: &App<S>, paths: &[PathBuf], json: bool) -> ExitCode {
    let schema = Schema::of::<(HostSettings, S)>();
    let (mut deploys, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match parity::read_deploy(&schema, path) {
            Ok(deploy) => deploys.push((path.display().to_string(), deploy)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        let _ = writeln!(io::stderr(), "{}", problems.join("\n"));
        return ExitCode::from(EXIT_USAGE);
    }
    let comparison = app.validator().compare(&deploys);
    let shown = print(&if json { pretty(&comparison) } else { comparison.to_string().trim_end().to_owned() });
    if comparison.matters() { ExitCode::FAILURE } else { shown }
}

fn describe<S: Settings>(app: &App<S>, environment: &Environment, json: bool) -> ExitCode {
    let services = environment.load::<(HostSettings, S)>(&app.prefixes).settings.map(|(host, settings)| {
        collect(app, &Assignment::of(Role::All), &host, &settings).services.describe()
    });
    if services.is_none() {
        let _ = writeln!(io::stderr(), "note: the settings are not complete, so the services are left out");
    }
    let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
    let description = Description::of(app, &deploy, services);
    print(&if json { pretty(&description) } else { description.to_string().trim_end().to_owned() })
}

/// Asks the process that has these settings; says nothing when all is well.
fn ask_for_health<S: Settings>(app: &App<S>, environment: &Environment, path: &str, admin: bool) -> ExitCode {
    // What only the application needs does not matter here.
    let loaded = environment.load::<HostSettings>(&app.prefixes);
    let Some(host) = loaded.settings else {
        boot::report(app.name, loaded.report.faults(), loaded.report.warnings());
        return ExitCode::from(EXIT_FAULTS);
    };
    let answered = if admin {
        host.admin
            .address()
            .ok_or_else(|| "ADMIN_PORT is not set, so nobody answers there".to_owned())
            .and_then(|address| health::ask(address, path, host.admin.token.as_ref()))
    } else {
        health::ask(host.server.address(), path, None)
    };
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{path}: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn openapi_document<S: Settings>(app: &App<S>) -> serde_json::Value {
    let web = app.web_table();
    let info = openapi::Info {
        title: app.title.unwrap_or(app.name).to_owned(),
        version: app.version.to_owned(),
        session_cookie: web.takes_session_cookies().then_some(COOKIE_NAME),
    };
    openapi::document(&info, web.routes())
}

/// An application's parts, unchecked.
pub(crate) struct Collected {
    pub(crate) services: ServiceCollection,
    web: Web,
    hosted: Vec<Hosted>,
}

/// Gathers what the application is made of as this process.
pub(crate) fn collect<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    settings: &S,
) -> Collected {
    let mut services = ServiceCollection::new();
    services.add_instance(app.migration_list());
    services.add_instance(Stopping::default());
    services.add_instance(Depths::default());
    app.message_table().register(&mut services);
    let web = app.web_table();
    web.register(&mut services);
    services.enter_root::<WebHost>();
    for register in &app.services {
        register(&mut services, settings);
    }
    let worker = app.worker_table();
    messaging::register(&mut services, app.name, worker.subscriptions().to_vec());
    work::register(&mut services);
    cluster::register(&mut services, node_name(app, assignment.role));
    cache::register(&mut services, app.name);
    let doers = {
        let of_worker = worker.register(&mut services);
        let of_scheduler = app.scheduler_table().register(&mut services);
        assignment.role.doers(of_worker, of_scheduler)
    };
    let plan = assignment.plan(doers, host.worker.concurrency.get()).unwrap_or_else(|what| {
        services.fault(Fault {
            area: Area::Services,
            code: "queue",
            what,
            at: "--queues".to_owned(),
            fix: "name queues of this process, or none for all".to_owned(),
        });
        WorkPlan::default()
    });
    services.add_instance(plan);
    neuroglia_core::data::register(&mut services);
    let (mut hosted, after) = assignment.role.parts(&services);
    hosted.extend(app.hosted.iter().copied());
    hosted.extend(after);
    for part in &hosted {
        part.declare(&mut services);
    }
    Collected { services, web, hosted }
}

fn node_name<S>(app: &App<S>, role: Role) -> NodeName {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    NodeName { role: role.name().to_owned(), host, version: app.version.to_owned() }
}

/// Why an application did not start.
#[derive(Debug)]
pub enum StartError {
    /// Something must be mended first.
    Faults(Faults),
    /// A resource, a port or a hosted service failed.
    Failed(Error),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => write!(f, "{faults}"),
            Self::Failed(error) => f.write_str(&chain(error)),
        }
    }
}

impl std::error::Error for StartError {}

/// The settings, or the report of what is wrong with them and with what can be judged without them.
pub(crate) fn settle<S: Settings>(
    app: &App<S>,
    environment: &Environment,
) -> Result<(HostSettings, S, Report), (Faults, Report)> {
    let loaded = load(app, environment);
    match loaded.settings {
        Some((host, settings)) => Ok((host, settings, loaded.report)),
        None => {
            let mut faults = loaded.report.faults().clone();
            faults.extend(app.web_table().check());
            faults.extend(app.migration_list().faults());
            Err((faults, loaded.report))
        }
    }
}

/// An application whose services have started.
pub(crate) struct Started {
    pub(crate) services: Services,
    web: Web,
    hosted: Vec<Hosted>,
}

/// Checks the graph and the routes, starts the services, and checks the schema.
pub(crate) async fn start_services<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    starting: &Starting,
    settings: &S,
    check_schema: bool,
) -> Result<Started, StartError> {
    let Collected { services: collection, web, hosted } = collect(app, assignment, host, settings);
    let mut faults = web.check();
    faults.extend(app.migration_list().faults());
    let graph = match collection.build() {
        Ok(graph) if faults.is_empty() => graph,
        Ok(_) => return Err(StartError::Faults(faults)),
        Err(others) => {
            faults.extend(others);
            return Err(StartError::Faults(faults));
        }
    };
    let services = starting.bound("attached resources", graph.start()).await?;
    let judged = starting.bound("the store", prepare_store(app.name, &services, check_schema)).await;
    let failed = match judged {
        Ok(faults) if faults.is_empty() => return Ok(Started { services, web, hosted }),
        Ok(faults) => StartError::Faults(faults),
        Err(error) => StartError::Failed(error),
    };
    starting.clean_up().bound(end_services(&services)).await;
    Err(failed)
}

/// Migrates a store that began with the process; tells what is wrong with the schema of another.
async fn prepare_store(name: &str, services: &Services, check_schema: bool) -> Result<Faults> {
    let Some(store) = services.scope().find::<dyn Store>()? else { return Ok(Faults::default()) };
    let migrations = services.get::<Migrations>()?;
    if store.is_ephemeral() {
        let now = services.get::<neuroglia_core::clock::Clock>()?.now();
        store.migrate(&migrations.0, now).await?;
    } else if check_schema {
        let applied = store.applied_migrations().await?;
        let histories = [store.own_history().await?, History { expected: migrations.0.clone(), applied }];
        return Ok(History::check(&histories, &format!("{name} admin migrate")));
    }
    Ok(Faults::default())
}

/// Disposes of the services; the store goes last, because others may still need it.
pub(crate) async fn end_services(services: &Services) {
    services.dispose().await;
    if let Ok(Some(store)) = services.scope().find::<dyn Store>() {
        store.close().await;
    }
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

fn run_admin<S: Settings>(
    app: App<S>,
    environment: &Environment,
    command: &crate::process::admin::Listed,
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
    let _telemetry = match Telemetry::queued(&options, io::stderr()) {
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
        let starting = Starting::new(&host, CancellationToken::new());
        // A command works on all that there is, and runs nothing beside it.
        let assignment = Assignment::of(Role::All);
        let started = start_services(&app, &assignment, &host, &starting, &settings, !command.any_schema);
        let Started { services, .. } = match started.await {
            Ok(started) => started,
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
        let outcome = tokio::select! {
            outcome = (command.run)(matches, &context) => outcome,
            signal = interrupted() => {
                tracing::warn!(signal, "the admin command was interrupted");
                Err(Error::new(neuroglia_core::error::ErrorKind::Unavailable, "interrupted", "interrupted"))
            }
        };
        context.tell_others().await;
        drop(context);
        scope.close().await;
        end_services(&services).await;
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{}: {}", command.name, chain(&error));
                for violation in error.violation_list() {
                    let _ = writeln!(io::stderr(), "  {}: {}", violation.pointer, violation.detail);
                }
                ExitCode::from(error.kind().exit_code())
            }
        }
    });
    // A thread that waits for standard input does not hold the exit.
    runtime.shutdown_timeout(LAST_TASKS);
    code
}

async fn interrupted() -> &'static str {
    match Signals::install() {
        Ok(mut signals) => signals.next().await,
        Err(_) => std::future::pending().await,
    }
}

fn failed_early(name: &str, problem: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "{name} did not start: {problem}");
    ExitCode::FAILURE
}

fn run_process<S: Settings>(app: App<S>, environment: &Environment, assignment: &Assignment) -> ExitCode {
    let (host, settings, report) = match settle(&app, environment) {
        Ok(settled) => settled,
        Err((faults, report)) => {
            boot::report(app.name, &faults, report.warnings());
            return ExitCode::from(EXIT_FAULTS);
        }
    };
    let telemetry = match Telemetry::init(telemetry_options(&app, &host)) {
        Ok(guard) => guard,
        Err(problem) => return failed_early(app.name, &problem),
    };
    for warning in report.warnings() {
        tracing::warn!(setting = %warning.at, fix = %warning.fix, "{}", warning.what);
    }
    let runtime = match runtime(&host) {
        Ok(runtime) => runtime,
        Err(problem) => return failed_early(app.name, &problem),
    };
    let code = runtime.block_on(serve_until_signal(&app, assignment, &host, &settings, &telemetry));
    // A task that blocks its thread does not hold the exit.
    runtime.shutdown_timeout(LAST_TASKS);
    drop(telemetry);
    code
}

async fn serve_until_signal<S: Settings>(
    app: &App<S>,
    assignment: &Assignment,
    host: &HostSettings,
    settings: &S,
    telemetry: &TelemetryGuard,
) -> ExitCode {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(problem) => return failed_early(app.name, &problem),
    };
    let interrupt = CancellationToken::new();
    let mut starting = std::pin::pin!(open_site(app, assignment, host, settings, interrupt.clone()));
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
    settings: &S,
    interrupt: CancellationToken,
) -> Result<Site, StartError> {
    let starting = Starting::new(host, interrupt);
    let Started { services, web, hosted } =
        start_services(app, assignment, host, &starting, settings, true).await?;
    let web = assignment.role.answers_http().then_some(web);
    let document = (web.is_some() && host.http.docs).then(|| openapi_document(app));
    let about = web::About { name: app.name, version: app.version, role: assignment.role };
    match Site::open(&starting, about, host, services.clone(), web, document, &hosted).await {
        Ok(site) => Ok(site),
        Err(error) => {
            starting.clean_up().bound(end_services(&services)).await;
            Err(error.into())
        }
    }
}
