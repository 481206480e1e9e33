//! Kubernetes: the configuration, one job for the release and one to seed, a deployment for each kind of process.
//!
//! Everything is one stream, in the order in which it must be there; the label `app.kubernetes.io/component` chooses a part
//! of it. Pods run as nobody, without any capability, on a file system that cannot be written. Secrets are one `Secret`
//! of the cluster, mounted as files; nothing here knows a value.
//!
//! The configuration's name has its digest, and it is never written again: each ReplicaSet keeps the one that it was made
//! with, so that a roll-out which is taken back takes its configuration along.

use crate::export::command::File;
use crate::export::deployment::{Deployment, Kind};
use crate::export::yaml::{Yaml, document, list, map};
use crate::procfile::Process;

/// What one admin command is, as a component.
const ONE_OFF: &str = "admin";

/// How many digits of a configuration's digest tell it from others.
const DIGITS_OF_CONFIG: usize = 12;

/// Nobody, as distroless images number it.
const NOBODY: u64 = 65_532;

/// The manifests of a deploy.
pub(super) fn export(deployment: &Deployment) -> File {
    let mut documents = vec![config(deployment), account(deployment)];
    if let Some(release) = &deployment.release {
        documents.push(job(deployment, "migrate", release));
    }
    if deployment.seeds {
        let arguments = ["admin", "seed"].map(str::to_owned).to_vec();
        documents.push(job(deployment, "seed", &Process { name: "seed".to_owned(), arguments }));
    }
    for kind in &deployment.kinds {
        documents.push(workload(deployment, kind));
        if kind.process.answers_http() {
            documents.push(service(deployment, &kind.process));
        }
        if kind.replicas > 1 {
            documents.push(disruption_budget(deployment, &kind.process));
        }
    }
    let origin = deployment.origin("kubernetes");
    let texts: Vec<String> = documents.iter().map(|root| document(&origin, root)).collect();
    File { name: format!("{}.yaml", deployment.deploy), text: texts.join("---\n") }
}

/// A job for one admin command, beside what is there: of the same image, configuration and secrets. It has another name
/// each time that it is created, and nobody repeats it but whoever asked for it.
pub(super) fn one_off(deployment: &Deployment, arguments: &[String]) -> File {
    let process = Process { name: ONE_OFF.to_owned(), arguments: arguments.to_vec() };
    let metadata = map([
        ("generateName", Some(format!("{}-", name(deployment, ONE_OFF)).into())),
        ("labels", Some(labels(deployment, ONE_OFF))),
    ]);
    let root = job_of(deployment, metadata, &process, Attempts::One);
    File { name: "job.yaml".to_owned(), text: document(&deployment.origin("job"), &root) }
}

fn config(deployment: &Deployment) -> Yaml {
    let data = deployment.variables.iter().map(|(name, value)| (name.as_str(), Some(value.as_str().into())));
    map([
        ("apiVersion", Some("v1".into())),
        ("kind", Some("ConfigMap".into())),
        ("metadata", Some(metadata(deployment, &config_name(deployment), "config"))),
        ("immutable", Some(true.into())),
        ("data", Some(map(data))),
    ])
}

/// An account that may do nothing: no process of the application speaks with the cluster.
fn account(deployment: &Deployment) -> Yaml {
    map([
        ("apiVersion", Some("v1".into())),
        ("kind", Some("ServiceAccount".into())),
        ("metadata", Some(metadata(deployment, &deployment.application, "config"))),
        ("automountServiceAccountToken", Some(false.into())),
    ])
}

/// What a pod is for.
#[derive(Clone, Copy)]
enum Attempts<'a> {
    /// To run for long, as this kind of process.
    Forever(&'a Kind),
    /// To do something that may be tried again.
    Several,
    /// To do something once.
    One,
}

fn job(deployment: &Deployment, component: &str, process: &Process) -> Yaml {
    let metadata = metadata(deployment, &name(deployment, component), component);
    let process = Process { name: component.to_owned(), arguments: process.arguments.clone() };
    job_of(deployment, metadata, &process, Attempts::Several)
}

fn job_of(deployment: &Deployment, metadata: Yaml, process: &Process, attempts: Attempts<'_>) -> Yaml {
    let is_once = matches!(attempts, Attempts::One);
    let repetitions: u64 = if is_once { 0 } else { 6 };
    // What runs at each release is stuck when it takes so long; what an operator asks for may take its time.
    let deadline = (!is_once).then(|| 600_u64.into());
    let template = map([
        ("metadata", Some(map([("labels", Some(labels(deployment, &process.name)))]))),
        ("spec", Some(pod(deployment, &process.name, process, attempts))),
    ]);
    map([
        ("apiVersion", Some("batch/v1".into())),
        ("kind", Some("Job".into())),
        ("metadata", Some(metadata)),
        (
            "spec",
            Some(map([
                ("backoffLimit", Some(repetitions.into())),
                ("activeDeadlineSeconds", deadline),
                ("ttlSecondsAfterFinished", Some(86_400_u64.into())),
                ("template", Some(template)),
            ])),
        ),
    ])
}

fn workload(deployment: &Deployment, kind: &Kind) -> Yaml {
    let component = kind.process.name.as_str();
    let template = map([
        ("metadata", Some(map([("labels", Some(labels(deployment, component)))]))),
        ("spec", Some(pod(deployment, component, &kind.process, Attempts::Forever(kind)))),
    ]);
    let rolling = map([("maxUnavailable", Some(0_u64.into())), ("maxSurge", Some(1_u64.into()))]);
    map([
        ("apiVersion", Some("apps/v1".into())),
        ("kind", Some("Deployment".into())),
        ("metadata", Some(metadata(deployment, &name(deployment, component), component))),
        (
            "spec",
            Some(map([
                ("replicas", Some(kind.replicas.into())),
                ("revisionHistoryLimit", Some(10_u64.into())),
                (
                    "strategy",
                    Some(map([("type", Some("RollingUpdate".into())), ("rollingUpdate", Some(rolling))])),
                ),
                ("selector", Some(map([("matchLabels", Some(selector(deployment, component)))]))),
                ("template", Some(template)),
            ])),
        ),
    ])
}

/// A pod of one container. One that runs for long has probes; a job ends by itself.
fn pod(deployment: &Deployment, component: &str, process: &Process, attempts: Attempts<'_>) -> Yaml {
    let (kind, restart) = match attempts {
        Attempts::Forever(kind) => (Some(kind), None),
        Attempts::Several => (None, Some("OnFailure")),
        Attempts::One => (None, Some("Never")),
    };
    let security = map([
        ("runAsNonRoot", Some(true.into())),
        ("runAsUser", Some(NOBODY.into())),
        ("runAsGroup", Some(NOBODY.into())),
        // The group may read the files of secrets.
        ("fsGroup", Some(NOBODY.into())),
        ("seccompProfile", Some(map([("type", Some("RuntimeDefault".into()))]))),
    ]);
    let spread = kind.filter(|kind| kind.replicas > 1).map(|_| {
        list([map([
            ("maxSkew", Some(1_u64.into())),
            ("topologyKey", Some("kubernetes.io/hostname".into())),
            ("whenUnsatisfiable", Some("ScheduleAnyway".into())),
            ("labelSelector", Some(map([("matchLabels", Some(selector(deployment, component)))]))),
        ])])
    });
    let volumes = deployment.secrets_folder.as_ref().map(|_| {
        let secret = map([
            ("secretName", Some(format!("{}-secrets", deployment.application).into())),
            ("defaultMode", Some(0o440_u64.into())),
        ]);
        list([map([("name", Some("secrets".into())), ("secret", Some(secret))])])
    });
    map([
        ("serviceAccountName", Some(deployment.application.as_str().into())),
        ("automountServiceAccountToken", Some(false.into())),
        ("enableServiceLinks", Some(false.into())),
        ("restartPolicy", restart.map(Into::into)),
        ("terminationGracePeriodSeconds", Some(deployment.grace.as_secs().into())),
        ("securityContext", Some(security)),
        ("topologySpreadConstraints", spread),
        ("containers", Some(list([container(deployment, component, process, kind.is_some())]))),
        ("volumes", volumes),
    ])
}

fn container(deployment: &Deployment, component: &str, process: &Process, has_probes: bool) -> Yaml {
    let security = map([
        ("allowPrivilegeEscalation", Some(false.into())),
        ("readOnlyRootFilesystem", Some(true.into())),
        ("capabilities", Some(map([("drop", Some(list(["ALL"])))]))),
    ]);
    let resources = map([
        ("requests", Some(map([("cpu", Some("100m".into())), ("memory", Some("128Mi".into()))]))),
        ("limits", Some(map([("cpu", Some("1".into())), ("memory", Some("256Mi".into()))]))),
    ]);
    let variable =
        |(name, value): (&str, String)| map([("name", Some(name.into())), ("value", Some(value.into()))]);
    let reference = map([("name", Some(config_name(deployment).into()))]);
    let mounts = deployment.secrets_folder.as_ref().map(|folder| {
        list([map([
            ("name", Some("secrets".into())),
            ("mountPath", Some(folder.as_str().into())),
            ("readOnly", Some(true.into())),
        ])])
    });
    let port =
        |name: &str, port: u16| map([("name", Some(name.into())), ("containerPort", Some(port.into()))]);
    let ports = (has_probes && process.answers_http()).then(|| list([port("http", deployment.port)]));
    let probe = |question: &str, period: u64, failures: u64| {
        let ask = if process.answers_http() {
            let get =
                map([("path", Some(format!("/health/{question}").into())), ("port", Some("http".into()))]);
            ("httpGet", Some(get))
        } else {
            let command = list(deployment.health_command(process, question));
            ("exec", Some(map([("command", Some(command))])))
        };
        has_probes.then(|| {
            map([
                ask,
                ("periodSeconds", Some(period.into())),
                ("timeoutSeconds", Some(3_u64.into())),
                ("failureThreshold", Some(failures.into())),
            ])
        })
    };
    map([
        ("name", Some(component.into())),
        ("image", Some(deployment.image.as_str().into())),
        ("args", Some(list(process.arguments.iter().map(String::as_str)))),
        ("envFrom", Some(list([map([("configMapRef", Some(reference))])]))),
        ("env", Some(list(deployment.of_platform(process).into_iter().map(variable)))),
        ("ports", ports),
        // Longer than STARTUP_TIMEOUT, which names what it waited for.
        ("startupProbe", probe("startup", 2, 30)),
        ("livenessProbe", probe("live", 10, 3)),
        ("readinessProbe", probe("ready", 5, 2)),
        ("resources", Some(resources)),
        ("securityContext", Some(security)),
        ("volumeMounts", mounts),
    ])
}

fn service(deployment: &Deployment, process: &Process) -> Yaml {
    let port = map([
        ("name", Some("http".into())),
        ("port", Some(80_u64.into())),
        ("targetPort", Some("http".into())),
    ]);
    map([
        ("apiVersion", Some("v1".into())),
        ("kind", Some("Service".into())),
        ("metadata", Some(metadata(deployment, &name(deployment, &process.name), &process.name))),
        (
            "spec",
            Some(map([
                // Any process can answer any request.
                ("sessionAffinity", Some("None".into())),
                ("selector", Some(selector(deployment, &process.name))),
                ("ports", Some(list([port]))),
            ])),
        ),
    ])
}

fn disruption_budget(deployment: &Deployment, process: &Process) -> Yaml {
    map([
        ("apiVersion", Some("policy/v1".into())),
        ("kind", Some("PodDisruptionBudget".into())),
        ("metadata", Some(metadata(deployment, &name(deployment, &process.name), &process.name))),
        (
            "spec",
            Some(map([
                ("maxUnavailable", Some(1_u64.into())),
                ("selector", Some(map([("matchLabels", Some(selector(deployment, &process.name)))]))),
            ])),
        ),
    ])
}

fn name(deployment: &Deployment, component: &str) -> String {
    format!("{}-{component}", deployment.application)
}

/// Another configuration has another name, and so is another pod.
fn config_name(deployment: &Deployment) -> String {
    let digest = deployment.config_digest();
    let digits: String = digest.trim_start_matches("sha256:").chars().take(DIGITS_OF_CONFIG).collect();
    format!("{}-config-{digits}", deployment.application)
}

fn metadata(deployment: &Deployment, name: &str, component: &str) -> Yaml {
    map([("name", Some(name.into())), ("labels", Some(labels(deployment, component)))])
}

fn selector(deployment: &Deployment, component: &str) -> Yaml {
    map([
        ("app.kubernetes.io/name", Some(deployment.application.as_str().into())),
        ("app.kubernetes.io/component", Some(component.into())),
    ])
}

fn labels(deployment: &Deployment, component: &str) -> Yaml {
    map([
        ("app.kubernetes.io/name", Some(deployment.application.as_str().into())),
        ("app.kubernetes.io/component", Some(component.into())),
        ("app.kubernetes.io/version", Some(deployment.release_id().into())),
    ])
}

#[cfg(test)]
mod tests {
    use yaml_rust2::YamlLoader;

    use super::*;
    use crate::export::deployment::tests::shop;

    #[test]
    fn each_configuration_has_a_name_and_all_pods_refer_to_it() {
        let name = |deployment: &Deployment| {
            let text = export(deployment).text;
            let documents = YamlLoader::load_from_str(&text).expect("it is YAML");
            let config = &documents[0];
            assert_eq!(
                (config["kind"].as_str(), config["immutable"].as_bool()),
                (Some("ConfigMap"), Some(true))
            );
            let name = config["metadata"]["name"].as_str().expect("a name").to_owned();
            let pods: Vec<_> = documents
                .iter()
                .map(|document| &document["spec"]["template"]["spec"]["containers"][0])
                .filter(|container| !container.is_badvalue())
                .map(|container| {
                    container["envFrom"][0]["configMapRef"]["name"].as_str().expect("a name").to_owned()
                })
                .collect();
            // Two jobs and two kinds of process.
            assert_eq!(pods, vec![name.clone(); 4]);
            name
        };
        let (before, mut after) = (shop(), shop());
        assert_eq!(name(&before), name(&after), "the same is called the same");
        after.variables.insert("GREETING".to_owned(), "salve".to_owned());
        assert_ne!(name(&before), name(&after));
        assert!(name(&after).starts_with("shop-config-"), "{}", name(&after));
    }
}
