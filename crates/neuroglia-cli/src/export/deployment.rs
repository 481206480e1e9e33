//! What a platform must know of an application at one deploy.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use neuroglia_core::settings::Value as Setting;
use serde_json::Value;

use crate::environment::Environment;
use crate::formation::Count;
use crate::procfile::{Process, Procfile, RELEASE};
use crate::project::Project;
use crate::{Result, digest};

/// How much longer than the application's own deadline a platform waits before it kills.
const GRACE_MARGIN: Duration = Duration::from_secs(5);
/// The suffix by which a variable names the file of a value.
const FILE_SUFFIX: &str = "_FILE";

/// Where it is gathered from.
pub(crate) struct Source<'a> {
    pub(crate) project: &'a Project,
    pub(crate) deploy: &'a str,
    pub(crate) environment: &'a Environment,
    pub(crate) description: &'a Value,
    pub(crate) image: Option<&'a str>,
    pub(crate) replicas: &'a [Count],
}

/// An application at a deploy.
pub(crate) struct Deployment {
    pub(crate) application: String,
    pub(crate) deploy: String,
    pub(crate) image: String,
    /// What is set, without any secret.
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) secrets: Vec<Secret>,
    /// The folder in which the files of secrets are; none without secrets.
    pub(crate) secrets_folder: Option<String>,
    /// Those that run for long.
    pub(crate) kinds: Vec<Kind>,
    /// What runs once before them.
    pub(crate) release: Option<Process>,
    /// Whether there is an admin command that fills an empty store.
    pub(crate) seeds: bool,
    /// Whether the application wants to be told how many of a kind there are.
    knows_replicas: bool,
    pub(crate) port: u16,
    pub(crate) admin_port: Option<u16>,
    /// How long the platform waits between the signal to stop and the kill.
    pub(crate) grace: Duration,
}

/// A secret of a deploy: a name and a place, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// The name of its file.
    pub(crate) name: String,
}

/// A kind of process, and how many there are of it.
pub(crate) struct Kind {
    pub(crate) process: Process,
    pub(crate) replicas: u16,
}

impl Deployment {
    /// Gathers what is known.
    ///
    /// # Errors
    /// When the Procfile, the deploy and the application do not fit together.
    pub(crate) fn gather(source: &Source<'_>) -> Result<Self> {
        let project = source.project;
        let procfile = Procfile::read(&project.folder, &project.package)?;
        procfile.fits(source.description)?;
        for Count { process, .. } in source.replicas {
            if procfile.get(process).is_none() {
                return Err(format!("there is no process {process}: there are {}", procfile.names()));
            }
        }
        let settings = Settings { environment: source.environment, description: source.description };
        let port = settings.port("PORT")?.or(settings.port("SERVER_PORT")?).unwrap_or(8000);
        let admin_port = settings.port("ADMIN_PORT")?;
        let timeout = settings.get("SHUTDOWN_TIMEOUT").unwrap_or("30s");
        let grace = <Duration as Setting<_>>::parse(timeout)
            .map_err(|problem| format!("SHUTDOWN_TIMEOUT is `{timeout}` and {problem}"))?
            .saturating_add(GRACE_MARGIN);

        let replicas = |process: &Process| {
            let count = source.replicas.iter().rfind(|count| count.process == process.name);
            count.map_or(1, |count| count.number)
        };
        let kinds: Vec<Kind> = procfile
            .long_running()
            .map(|process| Kind { replicas: replicas(process), process: process.clone() })
            .collect();
        if let Some(silent) = kinds.iter().find(|kind| !kind.process.answers_http()) {
            admin_port.ok_or_else(|| {
                format!(
                    "{} tells its health on ADMIN_PORT only: set it for {}",
                    silent.process.name, source.deploy
                )
            })?;
        }

        let is_secret =
            |name: &str| name.strip_suffix(FILE_SUFFIX).is_some_and(|setting| settings.declares(setting));
        let mut secrets = Vec::new();
        let mut folders: Vec<String> = Vec::new();
        for (name, path) in source.environment.variables().filter(|(name, _)| is_secret(name)) {
            let path = Path::new(path);
            let (Some(file), Some(folder)) = (path.file_name(), path.parent().filter(|_| path.is_absolute()))
            else {
                return Err(format!(
                    "{name} names no absolute path of a file, such as /run/secrets/{}",
                    name.to_lowercase()
                ));
            };
            secrets.push(Secret { name: file.to_string_lossy().into_owned() });
            folders.push(folder.display().to_string());
        }
        secrets.sort_by(|one, other| one.name.cmp(&other.name));
        secrets.dedup();
        folders.sort();
        folders.dedup();
        if folders.len() > 1 {
            return Err(format!(
                "secrets are in several folders ({}): put them into one",
                folders.join(", ")
            ));
        }
        let commands = source.description["admin_commands"].as_array();
        Ok(Self {
            application: project.package.clone(),
            deploy: source.deploy.to_owned(),
            image: source
                .image
                .map_or_else(|| format!("{}:{}", project.package, project.version), str::to_owned),
            variables: source
                .environment
                .variables()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            secrets,
            secrets_folder: folders.pop(),
            kinds,
            release: procfile.get(RELEASE).cloned(),
            seeds: commands.into_iter().flatten().any(|command| command["name"] == "seed"),
            knows_replicas: settings.declares("REPLICAS"),
            port,
            admin_port,
            grace,
        })
    }

    /// Which release it is: the part of the image's name that tells it from others.
    pub(crate) fn release_id(&self) -> String {
        let name = self.image.rsplit('/').next().unwrap_or(&self.image);
        match (name.split_once("@sha256:"), name.split_once(':')) {
            (Some((_, digest)), _) => digest.chars().take(12).collect(),
            (None, Some((_, tag))) => tag.to_owned(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// By which one configuration is told from another.
    pub(crate) fn config_digest(&self) -> String {
        let lines: String = self.variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        digest::of_bytes(lines.as_bytes())
    }

    /// What the platform itself tells a process, beside the configuration.
    pub(crate) fn of_platform(&self, process: &Process) -> Vec<(&'static str, String)> {
        let kind = self.kinds.iter().find(|kind| kind.process.name == process.name);
        let replicas =
            kind.filter(|_| self.knows_replicas).map(|kind| ("REPLICAS", kind.replicas.to_string()));
        let grace = format!("{}s", self.grace.as_secs());
        [("RELEASE_ID", self.release_id()), ("TERMINATION_GRACE", grace)]
            .into_iter()
            .chain(replicas)
            .collect()
    }

    /// The command line of the executable in the image.
    pub(crate) fn executable(&self) -> String {
        format!("/{}", self.application)
    }

    /// How a process of this kind is asked from within for its health.
    pub(crate) fn health_command(&self, process: &Process, question: &str) -> Vec<String> {
        let mut words = vec![self.executable(), "health".to_owned(), question.to_owned()];
        if !process.answers_http() {
            words.push("--admin".to_owned());
        }
        words
    }

    /// Where the text came from, for its first line.
    pub(crate) fn origin(&self, platform: &str) -> String {
        format!(
            "Made by `neuroglia export {platform}` from the Procfile and deployment/{}; do not edit.",
            self.deploy
        )
    }
}

/// The settings of a deploy, with the defaults that the application declares.
struct Settings<'a> {
    environment: &'a Environment,
    description: &'a Value,
}

impl Settings<'_> {
    fn declared(&self, name: &str) -> Option<&Value> {
        self.description["settings"].as_array()?.iter().find(|setting| setting["name"] == name)
    }

    fn declares(&self, name: &str) -> bool {
        self.declared(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.declared(name)?["default"].as_str())
    }

    fn port(&self, name: &str) -> Result<Option<u16>> {
        match self.environment.port(name)? {
            Some(port) => Ok(Some(port)),
            None => Ok(self.get(name).and_then(|port| port.parse().ok())),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A shop with two kinds of process and two secrets.
    pub(in crate::export) fn shop() -> Deployment {
        gather("web: shop web\nworker: shop worker\nrelease: shop admin migrate\n", &[]).expect("all fits")
    }

    fn gather(procfile: &str, more: &[(&str, &str)]) -> Result<Deployment> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("Procfile"), procfile).expect("the folder is ours");
        let project = Project {
            package: "shop".to_owned(),
            folder: folder.path().to_owned(),
            root: folder.path().to_owned(),
            version: "1.2.3".to_owned(),
        };
        let mut environment = Environment::default();
        let variables = [
            ("ADMIN_PORT", "8001"),
            ("DATABASE_URL_FILE", "/run/secrets/database_url"),
            ("KEY_FILE", "/run/secrets/key"),
            ("GREETING", "ciao: \"bella\" # yes"),
        ];
        for (name, value) in variables.iter().chain(more) {
            environment.set(name, *value);
        }
        let setting = |name: &str, default: Option<&str>| json!({"name": name, "default": default});
        let description = json!({
            "processes": ["web", "worker", "scheduler", "all", "admin"],
            "admin_commands": [{"name": "migrate"}, {"name": "seed"}],
            "settings": [
                setting("PORT", Some("8000")), setting("SHUTDOWN_TIMEOUT", Some("30s")), setting("ADMIN_PORT", None),
                setting("DATABASE_URL", None), setting("KEY", None), setting("GREETING", None), setting("REPLICAS", None),
            ],
        });
        Deployment::gather(&Source {
            project: &project,
            deploy: "production",
            environment: &environment,
            description: &description,
            image: None,
            replicas: &["web=4".parse().expect("a count")],
        })
    }

    #[test]
    fn what_is_known_is_gathered() {
        let shop = shop();
        assert_eq!((shop.port, shop.admin_port, shop.grace.as_secs()), (8000, Some(8001), 35));
        assert_eq!(
            shop.secrets.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(),
            ["database_url", "key"]
        );
        assert_eq!(shop.secrets_folder.as_deref(), Some("/run/secrets"));
        let kinds: Vec<_> =
            shop.kinds.iter().map(|kind| (kind.process.name.as_str(), kind.replicas)).collect();
        assert_eq!(kinds, [("web", 4), ("worker", 1)]);
        assert!(shop.seeds && shop.release.is_some());
        let told = shop.of_platform(&shop.kinds[0].process);
        assert_eq!(told.last(), Some(&("REPLICAS", "4".to_owned())));
        assert_eq!((shop.image.as_str(), shop.release_id().as_str()), ("shop:1.2.3", "1.2.3"));
    }

    #[test]
    fn a_release_is_told_by_the_end_of_the_images_name() {
        let id = |image: &str| Deployment { image: image.to_owned(), ..shop() }.release_id();
        assert_eq!(id("registry:5000/shop"), "latest");
        assert_eq!(id("registry:5000/shop:1.0"), "1.0");
        assert_eq!(id("registry/shop@sha256:0123456789abcdef"), "0123456789ab");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused =
            |procfile: &str, more: &[(&str, &str)]| gather(procfile, more).err().expect("it does not fit");
        assert!(refused("web: shop wbe\n", &[]).contains("wbe"));
        assert!(refused("web: shop web\n", &[("KEY_FILE", "key")]).contains("KEY_FILE"));
        assert!(refused("web: shop web\n", &[("KEY_FILE", "/etc/key")]).contains("several folders"));
        assert!(refused("web: shop web\n", &[("SHUTDOWN_TIMEOUT", "soon")]).contains("SHUTDOWN_TIMEOUT"));
    }
}
