//! What the application says about itself without running: its settings, its parts, its document, its health.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use neuroglia_core::settings::{Deploy, Environment, Schema, Settings};

use super::HostSettings;
use super::start::{collect, load};
use crate::app::App;
use crate::argv::{ConfigTask, Door};
use crate::auth::COOKIE_NAME;
use crate::boot;
use crate::describe::Description;
use crate::health::{self, Unwell};
use crate::parity;
use crate::process::Role;
use crate::process::role::Assignment;
use crate::shutdown::{EXIT_FAULTS, EXIT_USAGE};
use crate::web::openapi;

pub(super) fn config<S: Settings>(app: &App<S>, environment: &Environment, task: ConfigTask) -> ExitCode {
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

pub(super) fn describe<S: Settings>(app: &App<S>, environment: &Environment, json: bool) -> ExitCode {
    let services = environment.load::<(HostSettings, S)>(&app.prefixes).settings.map(|(host, settings)| {
        collect(app, &Assignment::of(Role::All), &host, &Arc::new(settings)).services.describe()
    });
    if services.is_none() {
        let _ = writeln!(io::stderr(), "note: the settings are not complete, so the services are left out");
    }
    let deploy = Deploy::of(&Schema::of::<(HostSettings, S)>(), environment);
    let description = Description::of(app, &deploy, services);
    print(&if json { pretty(&description) } else { description.to_string().trim_end().to_owned() })
}

/// Asks the process that has these settings; says nothing when all is well.
pub(super) fn ask_for_health<S: Settings>(
    app: &App<S>,
    environment: &Environment,
    path: &str,
    door: Door,
) -> ExitCode {
    // What only the application needs does not matter here.
    let loaded = environment.load::<HostSettings>(&app.prefixes);
    let Some(host) = loaded.settings else {
        boot::report(app.name, loaded.report.faults(), loaded.report.warnings());
        return ExitCode::from(EXIT_FAULTS);
    };
    let public = || health::ask(host.server.address(), path, None);
    let admin = || match host.admin.address() {
        Some(address) => health::ask(address, path, host.admin.token.as_ref()),
        None => Err(Unwell::Away("ADMIN_PORT is not set, so nobody answers there".to_owned())),
    };
    let answered = match door {
        Door::Public => public(),
        Door::Admin => admin(),
        // Only of a process that takes no requests is the other one asked: what answers badly has answered.
        Door::Any => match public() {
            Err(Unwell::Away(one)) => admin().map_err(|unwell| Unwell::Away(format!("{one}; {unwell}"))),
            answered => answered,
        },
    };
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{path}: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the document of the application's API.
pub(super) fn openapi_maker<S: Settings>(app: &App<S>) -> impl FnOnce() -> serde_json::Value + Send + use<S> {
    let (title, version, web) = (app.title.unwrap_or(app.name), app.version, app.web_maker());
    move || {
        let web = web();
        let info = openapi::Info {
            title: title.to_owned(),
            version: version.to_owned(),
            session_cookie: web.takes_session_cookies().then_some(COOKIE_NAME),
        };
        openapi::document(&info, web.routes())
    }
}

pub(super) fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

pub(super) fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|problem| format!("{{\"error\": \"{problem}\"}}"))
}
