//! `neuroglia export`, and the files of the sample's deploys: what platforms read of them.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use yaml_rust2::{Yaml, YamlLoader};

use crate::terminal::{Workshop, free_port};

fn documents(text: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(text).unwrap_or_else(|fault| panic!("{fault}:\n{text}"))
}

fn text(yaml: &Yaml) -> &str {
    yaml.as_str().unwrap_or_default()
}

fn words(yaml: &Yaml) -> Vec<&str> {
    yaml.as_vec().into_iter().flatten().map(text).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every pod, whatever makes it, is closed as far as one can be.
fn assert_closed(spec: &Yaml, grace_s: i64) {
    let pod = &spec["securityContext"];
    assert_eq!((&pod["runAsNonRoot"], &pod["runAsUser"]), (&Yaml::Boolean(true), &Yaml::Integer(65_532)));
    assert_eq!(text(&pod["seccompProfile"]["type"]), "RuntimeDefault");
    assert_eq!(spec["automountServiceAccountToken"], Yaml::Boolean(false));
    assert_eq!(spec["terminationGracePeriodSeconds"], Yaml::Integer(grace_s));
    let container = &spec["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], Yaml::Boolean(false));
    assert_eq!(security["readOnlyRootFilesystem"], Yaml::Boolean(true));
    assert_eq!(words(&security["capabilities"]["drop"]), ["ALL"]);
    for (kind, resource) in
        [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")]
    {
        assert!(!text(&container["resources"][kind][resource]).is_empty(), "{kind} {resource}");
    }
    // Nothing of a pod outlives it, and nothing is shared: the one volume is that of the secrets.
    let [volumes, mounts] = [&spec["volumes"], &container["volumeMounts"]].map(|list| list.as_vec());
    assert_eq!((volumes.map(Vec::len), mounts.map(Vec::len)), (Some(1), Some(1)));
    assert_eq!(text(&spec["volumes"][0]["secret"]["secretName"]).rsplit('-').next(), Some("secrets"));
    assert_eq!(container["volumeMounts"][0]["readOnly"], Yaml::Boolean(true));
}

#[test]
fn kubernetes_gets_closed_pods_with_probes_and_one_job_before_them() {
    let workshop = Workshop::new();
    let stream = workshop.done(&[
        "export",
        "kubernetes",
        "--image",
        "registry/app@sha256:0123456789abcdef",
        "--replicas",
        "web=2",
    ]);
    let stream = &stream[stream.find('#').expect("what cargo says is no part of it")..];
    let documents = documents(stream);
    let kinds: Vec<_> = documents.iter().map(|document| text(&document["kind"])).collect();
    let expected = [
        "ConfigMap",
        "ServiceAccount",
        "Job",
        "Job",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "Deployment",
    ];
    assert_eq!(kinds, expected);
    let config = &documents[0];
    assert_eq!(text(&config["data"]["KEY_FILE"]), "/run/secrets/fixture_key");
    let name_of_config = text(&config["metadata"]["name"]);
    assert!(name_of_config.starts_with("fixture-app-config-"), "{name_of_config}");
    for pod in documents.iter().map(|document| &document["spec"]["template"]["spec"]) {
        let container = &pod["containers"][0];
        let refers = container.is_badvalue()
            || text(&container["envFrom"][0]["configMapRef"]["name"]) == name_of_config;
        assert!(refers, "{container:?}");
    }

    for (job, arguments) in [(&documents[2], ["admin", "migrate"]), (&documents[3], ["admin", "seed"])] {
        let spec = &job["spec"]["template"]["spec"];
        assert_closed(spec, 6);
        assert_eq!(text(&spec["restartPolicy"]), "OnFailure");
        assert_eq!(words(&spec["containers"][0]["args"]), arguments);
        assert!(spec["containers"][0]["livenessProbe"].is_badvalue(), "a job ends by itself");
    }
    let web = &documents[4]["spec"];
    assert_eq!(web["replicas"], Yaml::Integer(2));
    assert_eq!(web["selector"]["matchLabels"]["app.kubernetes.io/component"], Yaml::String("web".into()));
    assert_closed(&web["template"]["spec"], 6);
    let container = &web["template"]["spec"]["containers"][0];
    for (probe, path) in [("startupProbe", "startup"), ("livenessProbe", "live"), ("readinessProbe", "ready")]
    {
        assert_eq!(text(&container[probe]["httpGet"]["path"]), format!("/health/{path}"));
    }
    let told: Vec<_> = container["env"]
        .as_vec()
        .expect("a list")
        .iter()
        .map(|entry| (text(&entry["name"]), text(&entry["value"])))
        .collect();
    assert_eq!(told, [("RELEASE_ID", "0123456789ab"), ("TERMINATION_GRACE", "6s")]);
    assert_eq!(documents[5]["spec"]["selector"], web["selector"]["matchLabels"]);
    let worker = &documents[7]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        words(&worker["livenessProbe"]["exec"]["command"]),
        ["/fixture-app", "health", "live", "--admin"]
    );
    assert!(worker["ports"].is_badvalue());
}

#[test]
fn one_admin_command_is_a_job_of_the_same_release() {
    let workshop = Workshop::new();
    let image = ["--image", "registry/app@sha256:0123456789abcdef"];
    let made = |arguments: &[&str]| {
        let stream = workshop.done(&[&["export"][..], arguments].concat());
        documents(&stream[stream.find('#').expect("what cargo says is no part of it")..])
    };
    let deployed = made(&[&["kubernetes"][..], &image].concat());
    let web = deployed.iter().find(|document| text(&document["kind"]) == "Deployment").expect("it is there");
    let pod_of = |document: &Yaml| document["spec"]["template"]["spec"].clone();
    let web = pod_of(web);

    let jobs = made(&[&["job"][..], &image, &["--", "admin", "seed", "--what", "a b"]].concat());
    assert_eq!(jobs.len(), 1);
    let job = &jobs[0];
    assert_eq!((text(&job["kind"]), text(&job["metadata"]["generateName"])), ("Job", "fixture-app-admin-"));
    assert!(job["metadata"]["name"].is_badvalue(), "it can be created again");
    let pod = pod_of(job);
    assert_closed(&pod, 6);
    let container = &pod["containers"][0];
    assert_eq!(words(&container["args"]), ["admin", "seed", "--what", "a b"]);
    for part in ["image", "envFrom", "volumeMounts"] {
        assert_eq!(container[part], web["containers"][0][part], "{part}");
    }
    for part in ["serviceAccountName", "volumes"] {
        assert_eq!(pod[part], web[part], "{part}");
    }
    // What a person runs once is not done again because it failed.
    assert_eq!((text(&pod["restartPolicy"]), &job["spec"]["backoffLimit"]), ("Never", &Yaml::Integer(0)));

    assert!(workshop.refused(&["export", "job"]).contains("export job -- admin"));
    assert!(workshop.refused(&["export", "job", "--", "web", "now"]).contains("`web` is none"));
    let refused = workshop.refused(&["export", "job", "--", "admin", "sow"]);
    assert!(refused.contains("no admin command sow: there are migrate, seed"), "{refused}");
    assert!(workshop.refused(&["export", "compose", "--", "admin", "seed"]).contains("only a job"));
}

#[test]
fn compose_and_systemd_and_a_procfile_say_the_same_of_the_processes() {
    let workshop = Workshop::new();
    let into = workshop.path("out").display().to_string();
    workshop.done(&["export", "compose", "--into", &into, "--replicas", "web=4"]);
    let compose = &documents(&workshop.read("out/compose.yaml"))[0];
    let web = &compose["services"]["web"];
    assert_eq!((text(&web["ports"][0]), text(&web["stop_grace_period"])), ("127.0.0.1:8000-8003:8000", "6s"));
    assert_eq!(words(&web["healthcheck"]["test"]), ["CMD", "/fixture-app", "health", "ready"]);
    assert_eq!((&web["read_only"], text(&web["user"])), (&Yaml::Boolean(true), "65532:65532"));
    assert_eq!(words(&compose["services"]["migrate"]["command"]), ["admin", "migrate"]);
    assert_eq!(text(&compose["secrets"]["database_url"]["file"]), "./secrets/database_url");

    workshop.done(&["export", "systemd", "--into", &into]);
    let unit = workshop.read("out/fixture-app-web@.service");
    for line in [
        "Environment=PORT=%i",
        "ExecStart=/usr/local/bin/neuroglia run --depot /srv/fixture-app web",
        "RestartPreventExitStatus=64 78",
        "TimeoutStopSec=6",
        "Requires=fixture-app-release.service",
        "BindReadOnlyPaths=/etc/fixture-app/secrets:/run/secrets",
        "NoNewPrivileges=yes",
        "WantedBy=fixture-app.target",
    ] {
        assert!(unit.lines().any(|found| found == line), "no {line}: {unit}");
    }
    assert!(workshop.read("out/fixture-app-worker@.service").contains("Environment=ADMIN_PORT=%i\n"));
    assert!(workshop.read("out/fixture-app-release.service").contains("Type=oneshot\n"));
    assert!(workshop.read("out/fixture-app.target").contains("WantedBy=multi-user.target\n"));

    workshop.done(&["export", "procfile", "--into", &into]);
    let lines = workshop.read("out/Procfile");
    let lines: Vec<_> = lines.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["release: fixture-app admin migrate", "web: fixture-app web", "worker: fixture-app worker"]
    );
}

#[test]
fn what_does_not_fit_together_is_not_exported() {
    let workshop = Workshop::new();
    assert!(workshop.refused(&["export", "kubernetes", "--replicas", "mail=2"]).contains("no process mail"));
    assert!(
        workshop.refused(&["export", "kubernetes", "--env", "deployment/moon"]).contains("deployment/moon")
    );
    workshop.write("Procfile", "web: fixture-app web\nmail: fixture-app mailer\n");
    assert!(workshop.refused(&["export", "kubernetes"]).contains("no process `mailer`"));
}

#[test]
fn every_yaml_of_the_repository_is_yaml() {
    let folders = [
        ".github/workflows",
        "samples/marios-pizzeria/deployment",
        "samples/marios-pizzeria/deployment/kubernetes",
    ];
    let mut count = 0;
    for folder in folders {
        for entry in std::fs::read_dir(repository().join(folder)).expect("it is there") {
            let path = entry.expect("it is readable").path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).expect("it is text");
                assert!(!documents(&text).is_empty(), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn the_files_of_the_samples_deploys_fit_each_other() {
    let folder = "samples/marios-pizzeria/deployment";
    let compose = &documents(&read(&format!("{folder}/compose.yaml")))[0];
    let resources = &documents(&read(&format!("{folder}/compose.resources.yaml")))[0];
    let keys = |yaml: &Yaml| -> BTreeSet<String> {
        yaml.as_hash().into_iter().flatten().map(|(key, _)| text(key).to_owned()).collect()
    };
    let services: BTreeSet<_> =
        keys(&compose["services"]).union(&keys(&resources["services"])).cloned().collect();
    let secrets: BTreeSet<_> =
        keys(&compose["secrets"]).union(&keys(&resources["secrets"])).cloned().collect();
    for file in [compose, resources] {
        for (name, service) in file["services"].as_hash().expect("a map") {
            let name = text(name);
            for secret in service["secrets"].as_vec().into_iter().flatten() {
                let secret = secret.as_str().unwrap_or_else(|| text(&secret["source"]));
                assert!(secrets.contains(secret), "{name} has no secret {secret}");
            }
            let after: BTreeSet<_> = match &service["depends_on"] {
                Yaml::Array(_) => words(&service["depends_on"]).into_iter().map(str::to_owned).collect(),
                map => keys(map),
            };
            assert!(after.is_subset(&services), "{name} comes after {after:?}");
            let image = text(&service["image"]);
            assert!(
                image.is_empty() || (image.contains(':') && !image.ends_with(":latest")),
                "{name}: {image}"
            );
        }
    }
    // Only the gateway is there for others: it says for whom it asks.
    for file in [compose, resources] {
        for (name, service) in file["services"].as_hash().expect("a map") {
            for port in words(&service["ports"]) {
                assert!(text(name) == "gateway" || port.starts_with("127.0.0.1:"), "{}: {port}", text(name));
            }
        }
    }
    let dockerfile = read(&format!("{folder}/Dockerfile"));
    for line in ["FROM scratch", "USER 65532:65532", "EXPOSE 8000", "ENTRYPOINT [\"/marios-pizzeria\"]"] {
        assert!(dockerfile.lines().any(|found| found == line), "no {line}");
    }
    // The numbers are those of compose, and the question fits every process of the image.
    let check = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK ")).expect("it has one");
    let health = &compose["services"]["web"]["healthcheck"];
    let [interval, timeout, start] = ["interval", "timeout", "start_period"].map(|name| text(&health[name]));
    let retries = health["retries"].as_i64().expect("a number");
    assert_eq!((interval, timeout, start, retries), ("30s", "3s", "5s", 3));
    let expected = format!(
        "HEALTHCHECK --interval={interval} --timeout={timeout} --start-period={start} --retries={retries} \
         CMD [\"/marios-pizzeria\", \"health\", \"--any\"]"
    );
    assert_eq!(check, expected);
    assert!(dockerfile.contains("--locked") && dockerfile.contains("+crt-static"), "{dockerfile}");
}

#[test]
fn what_is_open_to_the_world_shows_no_documentation() {
    let deploy = "samples/marios-pizzeria/deployment";
    for name in ["staging", "production"] {
        let settings = read(&format!("{deploy}/{name}/app.env"));
        assert!(settings.lines().any(|line| line == "HTTP_DOCS=off"), "{name}");
        let manifests = documents(&read(&format!("{deploy}/kubernetes/{name}.yaml")));
        let config = manifests.iter().find(|document| text(&document["kind"]) == "ConfigMap");
        assert_eq!(config.map(|config| text(&config["data"]["HTTP_DOCS"])), Some("off"), "{name}");
    }
    let compose = &documents(&read(&format!("{deploy}/compose.yaml")))[0];
    assert_eq!(text(&compose["services"]["web"]["environment"]["HTTP_DOCS"]), "off");
}

#[test]
fn the_gateway_says_for_whom_it_asks_and_believes_nobody() {
    let deploy = "samples/marios-pizzeria/deployment";
    let (behind, door) = (TcpListener::bind("127.0.0.1:0").expect("a free port"), free_port());
    let place = |listener: &TcpListener| listener.local_addr().expect("it is bound").to_string();
    let mut configuration = read(&format!("{deploy}/gateway.conf"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind}; "))
        .concat();
    for (shipped, here) in [
        ("http://web:8000", format!("http://{}", place(&behind))),
        ("listen 8080;", format!("listen 127.0.0.1:{door};")),
        (
            "events {}",
            "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}".to_owned(),
        ),
        ("http {\n", format!("http {{\n access_log off; {temporary}\n")),
    ] {
        assert!(configuration.contains(shipped), "no {shipped} in {configuration}");
        configuration = configuration.replace(shipped, &here);
    }
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, configuration).expect("the folder is ours");
    let mut nginx = Command::new("/usr/sbin/nginx");
    let mut nginx = nginx.arg("-p").arg(folder.path()).arg("-c").arg(&file).spawn().expect("nginx is there");

    let answered = std::thread::spawn(move || {
        let (mut stream, _) = behind.accept().expect("it is asked");
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).expect("a request");
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it listens");
        String::from_utf8_lossy(&head[..length]).to_lowercase()
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", door)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "nginx does not listen: {error}"),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    };
    let request = "GET / HTTP/1.1\r\nHost: pizzeria.example\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.7\r\n\
                   X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.7;proto=https\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    nginx.kill().expect("it runs");
    nginx.wait().expect("it is our child");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let passed_on = answered.join().expect("it was asked");
    for line in ["host: pizzeria.example", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"] {
        assert!(passed_on.lines().any(|found| found == line), "no {line}: {passed_on}");
    }
    assert!(!passed_on.contains("203.0.113.7"), "what the client claims is passed on: {passed_on}");

    for name in ["staging", "production"] {
        let settings = read(&format!("{deploy}/{name}/app.env"));
        assert!(settings.contains("\nHTTP_TRUSTED_PROXIES=10.0.0.0/8"), "{name} believes no gateway");
    }
}

#[test]
fn configurations_that_something_refers_to_outlive_a_roll_out() {
    let workflow = &documents(&read(".github/workflows/rollout.yaml"))[0];
    let steps = workflow["jobs"]["rollout"]["steps"].as_vec().expect("a list");
    let name = "Delete configurations that nothing refers to";
    let step = steps.iter().find(|step| text(&step["name"]) == name).expect("it is there");
    assert!(step["if"].is_badvalue(), "only after a good roll-out");
    assert_eq!(step["continue-on-error"].as_bool(), Some(true), "which stays good without it");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The cluster, as far as it is asked.
    let cluster = "#!/bin/sh\necho \"$*\" >> \"$LOG\"\ncase \"$2\" in\n\
        replicasets,jobs) printf 'pizzeria-config-b pizzeria-config-c pizzeria-config-b' ;;\n\
        configmaps) printf 'configmap/pizzeria-config-%s\\n' a b c bc ;;\nesac\n";
    let kubectl = folder.path().join("kubectl");
    std::fs::write(&kubectl, cluster).expect("the folder is ours");
    std::fs::set_permissions(&kubectl, Permissions::from_mode(0o700)).expect("the folder is ours");
    let log = folder.path().join("log");
    let script = format!("PATH='{}':$PATH\n{}", folder.path().display(), text(&step["run"]));
    let mut bash = Command::new("bash");
    bash.args(["-e", "-c", &script]).env("LOG", &log);
    assert!(bash.status().expect("bash is there").success());
    let log = std::fs::read_to_string(log).expect("it was asked");
    let deleted: Vec<_> = log.lines().filter(|line| line.starts_with("delete")).collect();
    let delete = |name: &str| format!("delete --ignore-not-found configmap/pizzeria-config-{name}");
    assert_eq!(deleted, [delete("a"), delete("bc")], "{log}");
}

#[test]
fn the_workflow_takes_one_image_through_staging_to_production() {
    let jobs = &documents(&read(".github/workflows/deploy.yaml"))[0]["jobs"];
    assert_eq!(text(&jobs["test"]["uses"]), "./.github/workflows/ci.yaml");
    let needs = |job: &str| match &jobs[job]["needs"] {
        Yaml::Array(_) => words(&jobs[job]["needs"]),
        one => vec![text(one)],
    };
    assert_eq!(needs("image"), ["test"]);
    assert_eq!(needs("staging"), ["image"]);
    assert_eq!(needs("production"), ["image", "staging"]);
    // What was pushed, by its digest.
    let name = text(&jobs["image"]["outputs"]["name"]);
    assert!(name.ends_with("@${{ steps.push.outputs.digest }}"), "{name}");
    let steps = jobs["image"]["steps"].as_vec().expect("a list");
    let push = steps.iter().find(|step| text(&step["id"]) == "push").expect("a step pushes");
    assert_eq!(push["with"]["push"], Yaml::Boolean(true));
    assert_eq!(text(&push["with"]["file"]), "samples/marios-pizzeria/deployment/Dockerfile");
    for deploy in ["staging", "production"] {
        let job = &jobs[deploy];
        assert_eq!(text(&job["uses"]), "./.github/workflows/rollout.yaml");
        assert_eq!(text(&job["with"]["environment"]), deploy);
        assert_eq!(text(&job["with"]["image"]), "${{ needs.image.outputs.name }}", "{deploy}");
    }
}

#[test]
fn a_roll_out_chooses_what_is_exported() {
    let rollout = &documents(&read(".github/workflows/rollout.yaml"))[0]["jobs"]["rollout"];
    let steps: String = words_of_runs(rollout);
    let told = |words: &str| assert!(steps.contains(words), "no {words} in {steps}");
    for deploy in ["staging", "production"] {
        let path = format!("samples/marios-pizzeria/deployment/kubernetes/{deploy}.yaml");
        let manifests = documents(&read(&path));
        let component =
            |document: &Yaml| text(&document["metadata"]["labels"]["app.kubernetes.io/component"]).to_owned();
        let of_kind = |kind: &str| -> Vec<&Yaml> {
            manifests.iter().filter(|document| text(&document["kind"]) == kind).collect()
        };
        let processes: Vec<_> = of_kind("Deployment").into_iter().map(component).collect();
        // What runs is applied by its component, and waited for and taken back by its name.
        told(&format!("--selector 'app.kubernetes.io/component in ({})'", processes.join(",")));
        assert_eq!(steps.matches(&format!("for process in {};", processes.join(" "))).count(), 2, "{steps}");
        for deployment in of_kind("Deployment") {
            let name = text(&deployment["metadata"]["name"]);
            assert_eq!(name, format!("marios-pizzeria-{}", component(deployment)));
        }
        // Before it, the configuration and the account, and then one job.
        told("--selector app.kubernetes.io/component=config\n");
        told("--selector app.kubernetes.io/component=migrate\n");
        for kind in ["ConfigMap", "ServiceAccount"] {
            assert_eq!(of_kind(kind).into_iter().map(component).collect::<Vec<_>>(), ["config"], "{kind}");
        }
        let jobs: Vec<_> = of_kind("Job").into_iter().map(component).collect();
        assert_eq!(jobs, ["migrate", "seed"]);
        told(&format!("job/{} --for=condition=complete", text(&of_kind("Job")[0]["metadata"]["name"])));
        for document in &manifests {
            let component = component(document);
            let is_applied =
                ["config", "migrate"].contains(&component.as_str()) || processes.contains(&component);
            assert!(is_applied || component == "seed", "{component} is never applied");
        }

        let pods: Vec<_> = [of_kind("Job"), of_kind("Deployment")]
            .concat()
            .into_iter()
            .map(|document| &document["spec"]["template"]["spec"])
            .collect();
        let images: BTreeSet<_> = pods.iter().map(|pod| text(&pod["containers"][0]["image"])).collect();
        assert_eq!(images.len(), 1, "one image for jobs and processes: {images:?}");
        for pod in pods {
            assert_closed(pod, 35);
        }
        assert_eq!(text(&of_kind("ConfigMap")[0]["data"]["LOG_LEVEL"]), "info");
    }
}

/// What all steps of a job run, one after another.
fn words_of_runs(job: &Yaml) -> String {
    let steps = job["steps"].as_vec().into_iter().flatten();
    steps.map(|step| text(&step["run"]).replace("\\\n", "")).map(|run| run + "\n").collect()
}

#[test]
fn what_compose_attaches_has_the_versions_of_production() {
    let folder = "samples/marios-pizzeria/deployment";
    let resources = &documents(&read(&format!("{folder}/compose.resources.yaml")))[0];
    for deploy in ["staging", "production"] {
        let settings = read(&format!("{folder}/{deploy}/app.env"));
        for (service, variable) in
            [("database", "DATABASE_VERSION"), ("events", "EVENT_BUS_VERSION"), ("cache", "CACHE_VERSION")]
        {
            let image = text(&resources["services"][service]["image"]).replacen(':', " ", 1);
            let line = format!("{variable}=\"{image}\"");
            assert!(settings.lines().any(|found| found == line), "{deploy} has no {line}");
        }
    }
}

#[test]
fn actions_of_workflows_are_pinned_to_a_commit() {
    for workflow in ["ci", "deploy", "rollout"] {
        let text = read(&format!(".github/workflows/{workflow}.yaml"));
        let uses: Vec<_> =
            text.lines().filter_map(|line| line.split_once("uses: ").map(|(_, action)| action)).collect();
        assert!(!uses.is_empty(), "{workflow}");
        // A workflow of the repository itself is of the same commit.
        for action in uses.into_iter().filter(|action| !action.starts_with("./")) {
            let commit = action
                .split_once('@')
                .map_or("", |(_, version)| version.split(' ').next().unwrap_or_default());
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && action.contains(" # v"), "{workflow}: {action}");
        }
    }
}
