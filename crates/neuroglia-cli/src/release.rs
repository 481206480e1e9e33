//! `neuroglia release`: the release stage, a build and the configuration of one deploy.
//!
//! The configuration is judged by the executable that will run with it, before there is a release; what would not start
//! is not released. A release holds no secret: a deploy names the files of its secrets by `NAME_FILE`, and they stay where
//! they are. Every other file of the deploy is taken along, so that a release does not need the source. A change of
//! configuration is a new release, as a change of code is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use neuroglia_core::clock::Clock;
use serde_json::Value;

use crate::application::Application;
use crate::build::{copy, write};
use crate::deploy_files::{self, DeployFile};
use crate::depot::{Depot, Kept};
use crate::environment::Environment;
use crate::manifest::{self, Build, Config, FORMAT, Manifest, Release};
use crate::procfile;
use crate::project::Project;
use crate::{Result, digest, stamp};

/// The folder of the configuration in a release.
const CONFIG: &str = "config";
/// By which the application says on every log line which release it is.
pub(crate) const RELEASE_ID: &str = "RELEASE_ID";

/// What `neuroglia release` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the deploy, such as deployment/production; its files are the configuration
    #[arg(long, value_name = "FOLDER")]
    env: PathBuf,
    /// The build; otherwise the newest
    #[arg(long, value_name = "ID")]
    build: Option<String>,
    /// The depot, when it is not in a `.neuroglia` here or above
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
    /// The files of secrets are on the machines of the deploy and not here: judge everything else
    #[arg(long)]
    secrets_elsewhere: bool,
}

/// Makes a release, and makes it the current one.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let depot = Depot::find(arguments.depot.as_deref())?;
    let build: Kept<Build> = depot.get(arguments.build.as_deref())?;
    let executable = build.executable()?;
    let folder = deploy_folder(&arguments.env, &build.manifest.application)?;
    let deploy = name_of(&folder)?;
    let environment = Environment::of_deploy(&folder)?;
    if environment.get(RELEASE_ID).is_some() {
        return Err(format!("{RELEASE_ID} is set in {}: remove it, a release has its own", folder.display()));
    }
    let files = deploy_files::of_folder(&folder)?;
    let application = Application::here(&build.manifest.application, executable.clone(), &environment);
    let report = application.config()?;
    let unjudged = Judgement::of(&report).settle(&deploy, arguments.secrets_elsewhere)?;

    let now = Clock::system().now();
    let latest = depot.all::<Release>()?.pop();
    let id = stamp::next(now, latest.as_ref().map(|kept| kept.manifest.id.as_str()));
    depot.add::<Release>(&id, |draft| {
        let file = draft.join(&build.manifest.executable.file);
        // One file under two names costs nothing; on another disk it is copied.
        std::fs::hard_link(&executable, &file).or_else(|_| copy(&executable, &file))?;
        copy(&build.folder.join(procfile::FILE), &draft.join(procfile::FILE))?;
        let config = draft.join(CONFIG);
        for file in &files {
            let kept = config.join(&file.name);
            let room = kept.parent().unwrap_or(&config);
            std::fs::create_dir_all(room)
                .map_err(|error| format!("cannot create {}: {error}", room.display()))?;
            copy(&file.path, &kept)?;
        }
        // What was copied counts, should the source have changed meanwhile.
        let files = deploy_files::of_folder(&config)?;
        let manifest = Release {
            format: FORMAT,
            id: id.clone(),
            application: build.manifest.application.clone(),
            deploy: deploy.clone(),
            released_at: now,
            build: build.manifest.clone(),
            config: Config {
                digest: config_digest(&environment, &files)?,
                variables: environment.variables().map(|(name, _)| name.to_owned()).collect(),
                files: files.iter().map(|file| file.name.clone()).collect(),
                settings: names_in(&report),
                unjudged: unjudged.clone(),
            },
        };
        write(&draft.join(Release::FILE), &manifest::text(&manifest))
    })?;
    depot.switch_to(&id)?;
    for variable in unjudged {
        println!("not judged here: {variable}");
    }
    println!("release {id} of build {} for {deploy} is the current one", build.manifest.id);
    Ok(ExitCode::SUCCESS)
}

impl Kept<Release> {
    pub(crate) fn executable(&self) -> PathBuf {
        self.folder.join(&self.manifest.build.executable.file)
    }

    /// The environment of its processes.
    ///
    /// # Errors
    /// When its configuration cannot be read.
    pub(crate) fn environment(&self) -> Result<Environment> {
        let mut environment = Environment::of_deploy(&self.folder.join(CONFIG))?;
        environment.set(RELEASE_ID, &self.manifest.id);
        Ok(environment)
    }

    /// Sees that nothing was changed since it was made.
    ///
    /// # Errors
    /// What was.
    pub(crate) fn verify(&self) -> Result<()> {
        let Release { id, build, config, .. } = &self.manifest;
        if digest::of_file(&self.executable())? != build.executable.digest {
            return Err(format!("the executable of release {id} is not the one of its build: release again"));
        }
        let folder = self.folder.join(CONFIG);
        let (environment, files) = (Environment::of_deploy(&folder)?, deploy_files::of_folder(&folder)?);
        if config_digest(&environment, &files)? != config.digest {
            return Err(format!("the configuration of release {id} was changed: release again"));
        }
        Ok(())
    }
}

/// The settings that an application's report speaks of, set or not.
fn names_in(report: &Value) -> Vec<String> {
    let variables = report["variables"].as_array().into_iter().flatten();
    variables.filter_map(|variable| Some(variable["name"].as_str()?.to_owned())).collect()
}

/// The folder as it was named, or below the application's own.
pub(crate) fn deploy_folder(named: &Path, application: &str) -> Result<PathBuf> {
    if named.is_dir() {
        return Ok(named.to_owned());
    }
    let project = Project::locate(Some(application)).ok();
    project
        .map(|project| project.folder.join(named))
        .filter(|folder| folder.is_dir())
        .ok_or_else(|| format!("there is no folder {}: name the one of the deploy", named.display()))
}

/// The name of a deploy is that of its folder.
pub(crate) fn name_of(folder: &Path) -> Result<String> {
    let folder =
        folder.canonicalize().map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let name = folder.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| format!("{} has no name that a deploy can have", folder.display()))
}

/// What is said, by files of variables and by all others; comments say nothing.
fn config_digest(environment: &Environment, files: &[DeployFile]) -> Result<String> {
    let mut lines: String =
        environment.variables().map(|(name, value)| format!("{name}={value}\n")).collect();
    for file in files.iter().filter(|file| !file.has_variables()) {
        lines.push_str(&file.digest_line()?);
    }
    Ok(digest::of_bytes(lines.as_bytes()))
}

/// What an application says of a deploy's configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Faults that a deploy cannot have, each in one line.
    pub(crate) faults: Vec<String>,
    /// Secrets that stand in the configuration itself.
    pub(crate) secrets: Vec<String>,
    /// Files of secrets that are not on this machine.
    pub(crate) elsewhere: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Judgement {
    /// Reads the report of `config --json`.
    pub(crate) fn of(report: &Value) -> Self {
        let mut judgement = Self::default();
        let list = |name: &str| report[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        for fault in list("faults") {
            let (what, at, fix) = (text(fault, "what"), text(fault, "at"), text(fault, "fix"));
            if fault["code"] == "unreadable_file" {
                judgement.elsewhere.push(at);
            } else {
                judgement.faults.push(format!("{what} ({at}): {fix}"));
            }
        }
        for warning in list("warnings") {
            let (what, at, fix) = (text(warning, "what"), text(warning, "at"), text(warning, "fix"));
            judgement.warnings.push(format!("{what} ({at}): {fix}"));
        }
        for variable in list("variables") {
            let stands_here = variable["source"]["kind"] == "environment";
            let holds_password = variable["value"].as_str().is_some_and(|value| value.contains("redacted"));
            if stands_here && (variable["secret"] == true || holds_password) {
                judgement.secrets.push(text(variable, "name"));
            }
        }
        judgement
    }

    /// What is not judged, when the rest is right.
    fn settle(self, deploy: &str, secrets_elsewhere: bool) -> Result<Vec<String>> {
        let mut faults = self.faults;
        faults.extend(self.secrets.iter().map(|name| {
            format!(
                "{name} is a secret and stands in the configuration: write {name}_FILE=/run/secrets/{}",
                name.to_lowercase()
            )
        }));
        if !secrets_elsewhere {
            faults.extend(self.elsewhere.iter().map(|file| {
                format!("a secret cannot be read ({file}): put it there, or release with --secrets-elsewhere")
            }));
        }
        if faults.is_empty() {
            return Ok(self.elsewhere);
        }
        Err(format!("the configuration of {deploy} is refused\n  {}", faults.join("\n  ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "variables": [
                {"name": "PORT", "secret": false, "value": "8000", "source": {"kind": "environment"}},
                {"name": "KEY", "secret": true, "value": null, "source": {"kind": "not_set"}},
            ],
            "warnings": [],
            "faults": [{"code": "unreadable_file", "what": "no file", "at": "file /k, named by KEY_FILE", "fix": "make it"}],
        })
    }

    #[test]
    fn files_of_secrets_may_be_elsewhere_when_that_is_said() {
        let judgement = || Judgement::of(&report());
        assert_eq!(judgement().settle("production", true), Ok(vec!["file /k, named by KEY_FILE".to_owned()]));
        let refused = judgement().settle("production", false).expect_err("the file is not here");
        assert!(refused.contains("--secrets-elsewhere"), "{refused}");
    }

    #[test]
    fn a_secret_in_the_configuration_is_refused_in_either_form() {
        for variable in [
            json!({"name": "KEY", "secret": true, "value": "<redacted>", "source": {"kind": "environment"}}),
            json!({"name": "KEY", "secret": false, "value": "postgres://u:<redacted>@h/d", "source": {"kind": "environment"}}),
        ] {
            let report = json!({"variables": [variable], "warnings": [], "faults": []});
            let refused = Judgement::of(&report).settle("production", true).expect_err("it is a secret");
            assert!(refused.contains("KEY_FILE=/run/secrets/key"), "{refused}");
        }
    }
}
