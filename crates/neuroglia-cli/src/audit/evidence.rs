//! What an audit looks at, gathered once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::application::Application;
use crate::environment::Environment;
use crate::procfile::{self, Procfile};
use crate::project::{Project, cargo};
use crate::release::Judgement;
use crate::{Result, git};

/// The deploys of a developer's own machine, with secrets that are made there: what `neuroglia dev` runs, and releases to
/// try the three stages with.
const OWN: [&str; 2] = ["dev", "local"];
/// The largest file that is looked into.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything that a check may look at.
pub(super) struct Evidence {
    /// The application's folder, as the findings show it.
    pub(super) shown: String,
    /// The files under version control below the workspace's folder; `None` without.
    pub(super) tracked: Option<Vec<String>>,
    /// The files of the application's folder that say how it is deployed, by path and text.
    pub(super) files: Vec<(String, String)>,
    /// What cargo says of the workspace with the lock that there is, or why it does not.
    pub(super) metadata: Result<Value>,
    pub(super) procfile: Result<Procfile>,
    pub(super) description: Value,
    pub(super) deploys: Vec<Deploy>,
    /// Each deploy compared with the one before it, as `config --parity` tells it; development comes first.
    pub(super) comparisons: Vec<Comparison>,
}

/// In what two deploys differ.
pub(super) struct Comparison {
    pub(super) shown: String,
    /// Whether one of them is a developer's.
    pub(super) with_development: bool,
    pub(super) differences: Vec<Value>,
}

/// One deploy, and what the application says of it.
pub(super) struct Deploy {
    pub(super) name: String,
    /// Its folder, as the findings show it.
    pub(super) shown: String,
    pub(super) environment: Environment,
    pub(super) judgement: Judgement,
    /// The settings under this deploy, as `config --json` tells them.
    pub(super) settings: Vec<Value>,
}

impl Evidence {
    /// Gathers it.
    ///
    /// # Errors
    /// When the application cannot be asked, or a deploy cannot be read.
    pub(super) fn gather(project: &Project, executable: &Path) -> Result<Self> {
        let shown_of = |path: &Path| {
            let path = path.strip_prefix(&project.root).unwrap_or(path);
            if path.as_os_str().is_empty() { ".".to_owned() } else { path.display().to_string() }
        };
        let nothing = Environment::default();
        let description = Application::in_workspace(project, executable.to_owned(), &nothing).describe()?;
        let mut deploys = Vec::new();
        for folder in folders_in(&project.folder.join("deployment")) {
            if crate::environment::env_files_in(&folder).is_empty() {
                continue;
            }
            let environment = Environment::of_deploy(&folder)?;
            let report = Application::in_workspace(project, executable.to_owned(), &environment).config()?;
            deploys.push(Deploy {
                name: crate::release::name_of(&folder)?,
                shown: shown_of(&folder),
                judgement: Judgement::of(&report),
                settings: report["variables"].as_array().cloned().unwrap_or_default(),
                environment,
            });
        }
        // The developer's own first, so that what is compared with them is one deploy and not each.
        deploys.sort_by_key(|deploy: &Deploy| !deploy.is_own());
        let mut comparisons = Vec::new();
        for pair in deploys.windows(2) {
            let folder = |deploy: &Deploy| project.root.join(&deploy.shown).display().to_string();
            let asked = ["config", "--parity", &folder(&pair[0]), &folder(&pair[1]), "--json"];
            let told = Application::in_workspace(project, executable.to_owned(), &nothing).told(&asked)?;
            comparisons.push(Comparison {
                shown: format!("{} and {}", pair[0].shown, pair[1].shown),
                with_development: pair[0].is_own(),
                differences: told["differences"].as_array().cloned().unwrap_or_default(),
            });
        }
        let mut files = Vec::new();
        for folder in [project.folder.clone(), project.folder.join("deployment")]
            .into_iter()
            .chain(folders_in(&project.folder.join("deployment")))
        {
            files.extend(texts_in(&folder).map(|(path, text)| (shown_of(&path), text)));
        }
        Ok(Self {
            shown: shown_of(&project.folder),
            tracked: git::tracked(&project.root),
            files,
            metadata: metadata(&project.root),
            procfile: Procfile::read(&project.folder, &project.package),
            description,
            deploys,
            comparisons,
        })
    }

    /// The deploys that others than the developer use.
    pub(super) fn real_deploys(&self) -> impl Iterator<Item = &Deploy> {
        self.deploys.iter().filter(|deploy| !deploy.is_own())
    }

    /// Whether the application says that it has any of these.
    pub(super) fn has(&self, list: &str) -> bool {
        self.description[list].as_array().is_some_and(|list| !list.is_empty())
    }

    pub(super) fn procfile_shown(&self) -> String {
        format!("{}/{}", self.shown, procfile::FILE)
    }
}

impl Deploy {
    fn is_own(&self) -> bool {
        OWN.contains(&self.name.as_str())
    }

    /// The addresses of attached resources that stand in the configuration itself: name and value.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        let urls = self.settings.iter().filter(|setting| setting["type"] == "URL");
        urls.filter_map(|setting| Some((setting["name"].as_str()?, setting["value"].as_str()?)))
    }
}

fn metadata(root: &Path) -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("`cargo metadata` wrote no JSON: {error}"))
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn texts_in(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_small = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= FILE_BYTES_MAX)
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(is_small).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| std::fs::read_to_string(&path).ok().map(|text| (path, text)))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A project in which nothing is wrong.
    pub(in crate::audit) fn sound() -> Evidence {
        let text =
            "release: shop admin migrate\nweb: shop web\nworker: shop worker\nscheduler: shop scheduler\n";
        Evidence {
            shown: "shop".to_owned(),
            tracked: Some(vec!["Cargo.lock".to_owned(), "shop/src/main.rs".to_owned()]),
            files: vec![
                (
                    "shop/deployment/Dockerfile".to_owned(),
                    "FROM rust:1.95 AS build\nRUN cargo build --locked\nFROM scratch\nFROM build AS again\n"
                        .to_owned(),
                ),
                (
                    "shop/deployment/kubernetes/production.yaml".to_owned(),
                    "image: shop:1.0\nterminationGracePeriodSeconds: 35\n".to_owned(),
                ),
            ],
            metadata: Ok(json!({"packages": [
                {"name": "shop", "source": null, "rust_version": "1.95", "dependencies": [{"name": "a", "req": "^1"}]},
            ]})),
            procfile: Procfile::parse("Procfile", text, "shop"),
            description: json!({
                "processes": ["web", "worker", "scheduler", "all", "admin"],
                "routes": [{}], "migrations": ["1"], "admin_commands": [{"name": "migrate"}],
                "work": [{"kind": "consumer"}, {"kind": "schedule"}],
                "settings": [{"name": "PORT"}],
            }),
            deploys: vec![deploy("dev", &[("DATABASE_URL", "sqlite://dev.db")]), deploy("production", &[])],
            comparisons: Vec::new(),
        }
    }

    /// A deploy with a database whose address is a secret, and with more.
    pub(in crate::audit) fn deploy(name: &str, more: &[(&str, &str)]) -> Deploy {
        let mut environment = Environment::default();
        if more.iter().all(|(name, _)| *name != "DATABASE_URL") {
            environment.set("DATABASE_URL_FILE", "/run/secrets/database_url");
        }
        for (name, value) in more {
            environment.set(name, *value);
        }
        let setting = |name: &str, kind: &str, default: Option<&str>| json!({"name": name, "type": kind, "value": environment.get(name).or(default)});
        let settings = vec![
            setting("DATABASE_URL", "URL", None),
            setting("CACHE_URL", "URL", Some("memory:")),
            setting("SHUTDOWN_TIMEOUT", "duration", Some("30s")),
        ];
        let shown = format!("shop/deployment/{name}");
        Deploy { name: name.to_owned(), shown, environment, judgement: Judgement::default(), settings }
    }

    /// A change to a sound project.
    pub(in crate::audit) fn with(change: impl FnOnce(&mut Evidence)) -> Evidence {
        let mut evidence = sound();
        change(&mut evidence);
        evidence
    }
}
