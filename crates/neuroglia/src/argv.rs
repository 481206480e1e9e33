//! The command line of an application: which of its processes this one is.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::process::Role;
use crate::process::admin::Admin;
use crate::process::role::{Assignment, QueueChoice};

/// What this process is to do.
pub(crate) enum Task {
    /// Be a long-running process.
    Run(Assignment),
    /// One admin command, by its place in the table.
    Admin(usize, ArgMatches),
    /// Tell about the settings.
    Config(ConfigTask),
    /// Tell about the application.
    Describe {
        /// As JSON.
        json: bool,
    },
    /// Print the API's description.
    OpenApi,
    /// Ask a process that runs beside this one how it is.
    Health {
        /// What is asked, as a path.
        path: &'static str,
        door: Door,
    },
}

/// Where a process is asked for its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Where requests come in.
    Public,
    /// At the surface for operators.
    Admin,
    /// Where requests come in, or at the surface for operators of a process that takes none.
    Any,
}

/// What is told about the settings.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ConfigTask {
    /// The effective table.
    Table,
    /// The effective table as JSON.
    Json,
    /// Only whether they are right.
    Check,
    /// A file to fill in.
    Template,
    /// In what deploys differ.
    Parity {
        /// Their folders or files.
        deploys: Vec<PathBuf>,
        /// As JSON.
        json: bool,
    },
}

pub(crate) fn command(name: &'static str, version: &'static str, admin: &Admin) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new(name)
        .version(version)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "Settings come from the environment; `config --template` lists them.\n\
             Exit codes: 0 done; 1 failed; 64 the command line is wrong; 65 the input is wrong; \
             75 work was left undone, or try again later; 78 the settings, services, routes or schema are at fault.",
        )
        .subcommand(Command::new("web").about("Answer HTTP requests"))
        .subcommand(
            Command::new("worker").about("Do what consumers and jobs ask for").arg(
                Arg::new("queues")
                    .long("queues")
                    .help("Only these queues, such as mail,default; mail:2 for at most two pieces of its work at once")
                    .value_name("QUEUE,…")
                    .value_delimiter(',')
                    .value_parser(clap::value_parser!(QueueChoice)),
            ),
        )
        .subcommand(Command::new("scheduler").about("Plan what is due, and do it; any number may run"))
        .subcommand(Command::new("all").about("Run every kind of process in one, for a small machine"))
        .subcommand(admin_command(admin))
        .subcommand(
            Command::new("config")
                .about("Show the effective settings, without secrets, and where each came from")
                .arg(flag("check", "Only judge them: exit code 0 or 78").conflicts_with_all(["template", "json"]))
                .arg(flag("template", "Print an .env.example instead").conflicts_with("json"))
                .arg(
                    Arg::new("parity")
                        .long("parity")
                        .help("Compare deploys, such as deployment/dev deployment/production: exit code 1 when it matters")
                        .value_name("DEPLOY")
                        .num_args(2..)
                        .value_parser(clap::value_parser!(PathBuf))
                        .conflicts_with_all(["check", "template"]),
                )
                .arg(flag("json", "Print JSON")),
        )
        .subcommand(
            Command::new("describe")
                .about("Show what the application is made of")
                .arg(flag("json", "Print JSON")),
        )
        .subcommand(Command::new("openapi").about("Print the API's OpenAPI 3.1 document"))
        .subcommand(
            Command::new("health")
                .about("Ask the process beside this one how it is, for images without any other program: exit code 0 or 1")
                .arg(
                    Arg::new("question")
                        .value_parser(QUESTIONS.map(|(question, _)| question))
                        .default_value("ready"),
                )
                .arg(flag("admin", "Ask on ADMIN_PORT, where worker and scheduler answer"))
                .arg(
                    flag("any", "Ask on PORT, or on ADMIN_PORT where nobody listens on PORT").conflicts_with("admin"),
                ),
        )
}

/// What can be asked of a process' health, and where.
const QUESTIONS: [(&str, &str); 4] = [
    ("ready", "/health/ready"),
    ("live", "/health/live"),
    ("startup", "/health/startup"),
    ("overall", "/health"),
];

/// `admin` with each listed command.
pub(crate) fn admin_command(admin: &Admin) -> Command {
    let command = Command::new("admin")
        .about("Run one admin command")
        .subcommand_required(true)
        .arg_required_else_help(true);
    admin.commands.iter().fold(command, |command, listed| command.subcommand((listed.command)()))
}

pub(crate) fn task(matches: &ArgMatches, admin: &Admin) -> Option<Task> {
    let (name, matches) = matches.subcommand()?;
    Some(match name {
        "web" => Task::Run(Assignment::of(Role::Web)),
        "worker" => Task::Run(Assignment {
            role: Role::Worker,
            queues: matches.get_many("queues").unwrap_or_default().cloned().collect(),
        }),
        "scheduler" => Task::Run(Assignment::of(Role::Scheduler)),
        "all" => Task::Run(Assignment::of(Role::All)),
        "admin" => {
            let (name, matches) = matches.subcommand()?;
            let position = admin.commands.iter().position(|listed| listed.name == name)?;
            Task::Admin(position, matches.clone())
        }
        "config" if matches.contains_id("parity") => Task::Config(ConfigTask::Parity {
            deploys: matches.get_many("parity").unwrap_or_default().cloned().collect(),
            json: matches.get_flag("json"),
        }),
        "config" if matches.get_flag("check") => Task::Config(ConfigTask::Check),
        "config" if matches.get_flag("template") => Task::Config(ConfigTask::Template),
        "config" if matches.get_flag("json") => Task::Config(ConfigTask::Json),
        "config" => Task::Config(ConfigTask::Table),
        "describe" => Task::Describe { json: matches.get_flag("json") },
        "openapi" => Task::OpenApi,
        "health" => {
            let asked: &String = matches.get_one("question")?;
            let (_, path) = QUESTIONS.into_iter().find(|(question, _)| question == asked)?;
            let door = match (matches.get_flag("admin"), matches.get_flag("any")) {
                (true, _) => Door::Admin,
                (false, true) => Door::Any,
                (false, false) => Door::Public,
            };
            Task::Health { path, door }
        }
        _ => return None,
    })
}
