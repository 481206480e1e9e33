//! The command line of an export, and where its files go.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::Value;

use crate::Result;
use crate::application::Application;
use crate::build::write;
use crate::environment::Environment;
use crate::export::deployment::{Deployment, Source};
use crate::export::{compose, kubernetes, procfile, systemd};
use crate::formation::Count;
use crate::project::Project;
use crate::release::{deploy_folder, name_of};

/// The process of one-off commands.
const ADMIN: &str = "admin";

/// What `neuroglia export` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For whom
    #[arg(value_enum)]
    platform: Platform,
    /// The package of the workspace; otherwise the one around, or the only one with a Procfile
    #[arg(long)]
    package: Option<String>,
    /// The folder of the deploy
    #[arg(long, value_name = "FOLDER", default_value = "deployment/production")]
    env: PathBuf,
    /// The image, best by its digest; otherwise the application's name and version
    #[arg(long)]
    image: Option<String>,
    /// How many of which process, such as web=4,worker=2; otherwise one of each
    #[arg(long, value_name = "PROCESS=NUMBER", value_delimiter = ',')]
    replicas: Vec<Count>,
    /// Write files into this folder instead of standard output
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Ask this executable what the application is, instead of building one
    #[arg(long, value_name = "FILE")]
    executable: Option<PathBuf>,
    /// What a job runs, such as `-- admin rebuild-statistics`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// Deployments, jobs, a service and the configuration, in one stream
    Kubernetes,
    /// A job that runs one admin command once, for `kubectl create`
    Job,
    /// A compose file for one machine
    Compose,
    /// Units that run releases of a depot
    Systemd,
    /// A Procfile for an application that has none
    Procfile,
}

/// A file of an export.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Exports.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.platform != Platform::Job && !arguments.command.is_empty() {
        return Err("only a job is told what to run: neuroglia export job -- admin …".to_owned());
    }
    let project = Project::locate(arguments.package.as_deref())?;
    let executable = match &arguments.executable {
        Some(file) => {
            file.canonicalize().map_err(|error| format!("cannot run {}: {error}", file.display()))?
        }
        None => project.build()?,
    };
    let files = if arguments.platform == Platform::Procfile {
        let environment = Environment::default();
        let application = Application::in_workspace(&project, executable, &environment);
        vec![procfile::export(&project.package, &application.describe()?)]
    } else {
        let folder = deploy_folder(&arguments.env, &project.package)?;
        let environment = Environment::of_deploy(&folder)?;
        let application = Application::in_workspace(&project, executable, &environment);
        let description = application.describe()?;
        let deployment = Deployment::gather(&Source {
            project: &project,
            deploy: &name_of(&folder)?,
            environment: &environment,
            description: &description,
            image: arguments.image.as_deref(),
            replicas: &arguments.replicas,
        })?;
        match arguments.platform {
            Platform::Kubernetes => vec![kubernetes::export(&deployment)],
            Platform::Job => {
                let command = admin_command(&arguments.command, &description)?;
                vec![kubernetes::one_off(&deployment, command)]
            }
            Platform::Compose => vec![compose::export(&deployment)],
            _ => systemd::export(&deployment),
        }
    };
    match &arguments.into {
        None => print!("{}", stream(&files)),
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
            for File { name, text } in &files {
                write(&folder.join(name), text)?;
                println!("{}", folder.join(name).display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command line of a one-off process, when the application has the command.
fn admin_command<'a>(words: &'a [String], description: &Value) -> Result<&'a [String]> {
    let [role, name, ..] = words else {
        return Err("say what the job runs: neuroglia export job -- admin …".to_owned());
    };
    if role != ADMIN {
        return Err(format!("a job runs an admin command, and `{role}` is none: write admin before it"));
    }
    let commands = description["admin_commands"].as_array().into_iter().flatten();
    let names: Vec<_> = commands.filter_map(|command| command["name"].as_str()).collect();
    if names.contains(&name.as_str()) {
        return Ok(words);
    }
    Err(format!("there is no admin command {name}: there are {}", names.join(", ")))
}

/// One file as it is, several behind their names.
fn stream(files: &[File]) -> String {
    match files {
        [file] => file.text.clone(),
        files => files.iter().map(|File { name, text }| format!("### {name}\n{text}\n")).collect(),
    }
}
