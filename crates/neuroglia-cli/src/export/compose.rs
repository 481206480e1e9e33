//! Compose: the application on one machine, with a container for each process.
//!
//! What it attaches to is not here: a deploy names its resources by URL, and they are somebody else's. Secrets are files
//! of the machine, below `secrets/` beside the file, readable by the number that the containers run as.
//!
//! Ports are published to the machine itself and not to its network: a gateway in front says for whom it asks, and it is
//! believed by its private address, which a neighbour in the network has as well.

use crate::export::command::File;
use crate::export::deployment::{Deployment, Kind};
use crate::export::yaml::{Yaml, document, list, map};
use crate::procfile::Process;

/// The service that runs once before the others.
const RELEASE: &str = "migrate";

/// The compose file of a deploy.
pub(super) fn export(deployment: &Deployment) -> File {
    let mut services = Vec::new();
    if let Some(release) = &deployment.release {
        let entries =
            map(common(deployment, release).into_iter().chain([("restart", Some("on-failure:6".into()))]));
        services.push((RELEASE, Some(entries)));
    }
    for kind in &deployment.kinds {
        services.push((kind.process.name.as_str(), Some(service(deployment, kind))));
    }
    let secrets = deployment.secrets.iter().map(|secret| {
        let file = format!("./secrets/{}", secret.name);
        (secret.name.as_str(), Some(map([("file", Some(file.into()))])))
    });
    let secrets = (!deployment.secrets.is_empty()).then(|| map(secrets));
    let root = map([
        ("name", Some(deployment.application.as_str().into())),
        ("services", Some(map(services))),
        ("secrets", secrets),
    ]);
    File { name: "compose.yaml".to_owned(), text: document(&deployment.origin("compose"), &root) }
}

fn service(deployment: &Deployment, kind: &Kind) -> Yaml {
    let process = &kind.process;
    let limits = map([("cpus", Some("1.0".into())), ("memory", Some("256M".into()))]);
    let deploy =
        map([("replicas", Some(kind.replicas.into())), ("resources", Some(map([("limits", Some(limits))])))]);
    // One port of the machine for each replica, for the machine itself.
    let ports = process.answers_http().then(|| {
        let (first, last) =
            (deployment.port, deployment.port.saturating_add(kind.replicas.saturating_sub(1)));
        let outside = if first == last { first.to_string() } else { format!("{first}-{last}") };
        list([format!("127.0.0.1:{outside}:{first}")])
    });
    let test = [vec!["CMD".to_owned()], deployment.health_command(process, "ready")].concat();
    let healthcheck = map([
        ("test", Some(list(test))),
        ("interval", Some("30s".into())),
        ("timeout", Some("3s".into())),
        ("start_period", Some("5s".into())),
        ("retries", Some(3_u64.into())),
    ]);
    let after = deployment.release.as_ref().map(|_| {
        let condition = map([("condition", Some("service_completed_successfully".into()))]);
        map([(RELEASE, Some(condition))])
    });
    map(common(deployment, process).into_iter().chain([
        ("depends_on", after),
        ("ports", ports),
        ("deploy", Some(deploy)),
        ("restart", Some("unless-stopped".into())),
        ("stop_grace_period", Some(format!("{}s", deployment.grace.as_secs()).into())),
        ("healthcheck", Some(healthcheck)),
    ]))
}

fn common(deployment: &Deployment, process: &Process) -> Vec<(&'static str, Option<Yaml>)> {
    let variables = deployment.variables.iter().map(|(name, value)| (name.as_str(), value.clone()));
    // What looks like a variable of the shell would be filled in.
    let variables = variables
        .chain(deployment.of_platform(process))
        .map(|(name, value)| (name, Some(value.replace('$', "$$").into())));
    let names = deployment.secrets.iter().map(|secret| secret.name.as_str());
    vec![
        ("image", Some(deployment.image.as_str().into())),
        ("command", Some(list(process.arguments.iter().map(String::as_str)))),
        ("environment", Some(map(variables))),
        ("secrets", (!deployment.secrets.is_empty()).then(|| list(names))),
        ("user", Some("65532:65532".into())),
        ("read_only", Some(true.into())),
        ("cap_drop", Some(list(["ALL"]))),
        ("security_opt", Some(list(["no-new-privileges:true"]))),
    ]
}
