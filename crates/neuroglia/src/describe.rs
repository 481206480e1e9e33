//! What an application is made of, as text for review and as JSON for drift checks.

use std::fmt::{self, Write};

use neuroglia_core::data::Migration;
use neuroglia_core::di::ServiceDescription;
use neuroglia_core::mediation::MessageDescription;
use neuroglia_core::settings::{Deploy, Schema, Setting, Settings};
use neuroglia_core::work::WorkDescription;
use serde::Serialize;

use crate::app::App;
use crate::host::HostSettings;
use crate::parity;
use crate::process::Role;
use crate::web::RouteDescription;

/// Everything that the application declares.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    name: &'static str,
    version: &'static str,
    processes: Vec<&'static str>,
    pipeline: Vec<&'static str>,
    messages: Vec<MessageDescription>,
    work: Vec<WorkDescription>,
    routes: Vec<RouteDescription>,
    hosted_services: Vec<HostedDescription>,
    admin_commands: Vec<AdminDescription>,
    migrations: Vec<String>,
    settings: Vec<SettingDescription>,
    /// What this deploy attaches.
    resources: Vec<ResourceDescription>,
    /// `None` when the settings that decide on them are not there.
    services: Option<Vec<ServiceDescription>>,
}

#[derive(Debug, Serialize)]
struct HostedDescription {
    name: &'static str,
    /// The processes that it runs in.
    processes: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct AdminDescription {
    name: &'static str,
    about: &'static str,
}

#[derive(Debug, Serialize)]
struct SettingDescription {
    name: String,
    required: bool,
    default: Option<String>,
    help: String,
}

#[derive(Debug, Serialize)]
struct ResourceDescription {
    setting: String,
    kind: String,
    /// Host and port, where it has them; nothing else of its URL.
    address: Option<String>,
}

impl ResourceDescription {
    fn all(deploy: &Deploy) -> Vec<Self> {
        let resource = |setting: &Setting| {
            let address = parity::address(&parity::attached(setting)?);
            let (name, kind) = (setting.name().to_owned(), parity::kind(deploy, setting));
            Some(Self { setting: name, kind, address })
        };
        deploy.settings().filter_map(resource).collect()
    }
}

impl Description {
    pub(crate) fn of<S: Settings>(
        app: &App<S>,
        deploy: &Deploy,
        services: Option<Vec<ServiceDescription>>,
    ) -> Self {
        let messages = app.message_table();
        let schema = Schema::of::<(HostSettings, S)>();
        let settings = schema
            .variables()
            .map(|variable| SettingDescription {
                name: variable.name().to_owned(),
                required: variable.is_required(),
                default: variable.default_text().map(ToOwned::to_owned),
                help: variable.summary(),
            })
            .collect();
        let admin = app.admin_table();
        Self {
            name: app.name,
            version: app.version,
            processes: vec!["web", "worker", "scheduler", "all", "admin"],
            pipeline: messages.pipeline_names(),
            messages: messages.descriptions().to_vec(),
            work: {
                let (worker, scheduler) = (app.worker_table(), app.scheduler_table());
                [worker.descriptions(), scheduler.descriptions()].concat()
            },
            routes: app.web_table().describe(),
            hosted_services: app
                .hosted_roles()
                .map(|(hosted, roles)| HostedDescription {
                    name: hosted.name,
                    processes: roles.into_iter().map(Role::name).collect(),
                })
                .collect(),
            admin_commands: admin
                .commands
                .iter()
                .map(|listed| AdminDescription { name: listed.name, about: listed.about })
                .collect(),
            migrations: app.migration_list().0.iter().map(Migration::title).collect(),
            settings,
            resources: ResourceDescription::all(deploy),
            services,
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        writeln!(f, "processes: {}", self.processes.join(", "))?;
        writeln!(f, "pipeline: {}", self.pipeline.join(" → "))?;
        let messages = self
            .messages
            .iter()
            .map(|message| vec![message.kind.clone(), message.name.clone(), message.handler.clone()]);
        table(f, "messages", messages.collect())?;
        let work = self.work.iter().map(|work| {
            vec![work.kind.clone(), work.name.clone(), work.queue.clone(), work.handlers.join(", ")]
        });
        table(f, "work", work.collect())?;
        let routes = self.routes.iter().map(|route| {
            vec![route.method.clone(), route.path.clone(), route.policy.clone(), route.action.clone()]
        });
        table(f, "routes", routes.collect())?;
        let commands =
            self.admin_commands.iter().map(|command| vec![command.name.to_owned(), command.about.to_owned()]);
        table(f, "admin commands", commands.collect())?;
        let hosted = self
            .hosted_services
            .iter()
            .map(|hosted| vec![hosted.name.to_owned(), hosted.processes.join(", ")]);
        table(f, "hosted services", hosted.collect())?;
        table(f, "migrations", self.migrations.iter().map(|name| vec![name.clone()]).collect())?;
        let settings = self.settings.iter().map(|setting| {
            let default = match (&setting.default, setting.required) {
                (Some(default), _) => format!("default {default:?}"),
                (None, true) => "required".to_owned(),
                (None, false) => "optional".to_owned(),
            };
            vec![setting.name.clone(), default, setting.help.clone()]
        });
        table(f, "settings", settings.collect())?;
        let resources = self.resources.iter().map(|resource| {
            vec![
                resource.setting.clone(),
                resource.kind.clone(),
                resource.address.clone().unwrap_or_default(),
            ]
        });
        table(f, "attached resources", resources.collect())?;
        let services = self.services.iter().flatten().map(|service| {
            vec![service.lifetime.to_string(), service.service.clone(), service.implementation.clone()]
        });
        table(f, "services", services.collect())
    }
}

/// A titled table with aligned columns.
fn table(f: &mut fmt::Formatter<'_>, title: &str, rows: Vec<Vec<String>>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "  {cell:<width$}")?;
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
