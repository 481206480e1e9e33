//! `neuroglia new`: what it makes goes the way that its README tells, and is what the audit asks for.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::readiness::is_ready;
use crate::sample::ask;
use crate::terminal::{Session, Workshop, free_port};

/// How long processes may take to be ready, and to do what they are asked for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_new_application_goes_the_way_that_its_readme_tells() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there");
    // What was built for it is kept between runs; only the first one waits for the framework.
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/new");
    let workshop = Workshop::empty().export("CARGO_TARGET_DIR", target);
    let framework = repository.display().to_string();
    workshop.done(&["new", "trattoria", "--path", &framework, "--into", "."]);
    // The versions that the framework was tested with, and no network.
    std::fs::copy(repository.join("Cargo.lock"), workshop.path("Cargo.lock")).expect("the folder is ours");
    let port = free_port();
    let workshop = workshop
        .building_for_development()
        .export("CARGO_NET_OFFLINE", "true")
        .export("PORT", &port.to_string());

    let readme = workshop.read("README.md");
    let steps = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let steps: Vec<&str> = steps.map(|step| step.split(" #").next().unwrap_or_default().trim()).collect();
    let install = format!("cargo install --locked --path {framework}/crates/neuroglia-cli");
    assert_eq!(steps.first(), Some(&install.as_str()), "this executable, built for release");
    for step in &steps[1..] {
        match step.split_whitespace().collect::<Vec<_>>()[..] {
            ["neuroglia", "dev"] => {
                let mut session = workshop.neuroglia(&["dev"]);
                session.wait_for("trattoria is ready");
                let output = serve(session, port);
                assert!(output.contains("migrating"), "{output}");
            }
            ["neuroglia", "start"] => {
                serve(workshop.neuroglia(&["start"]), port);
            }
            // What it asks is asked of each of them by `serve`.
            ["curl", ..] => {}
            ["neuroglia", ref words @ ..] => {
                let said = workshop.done(words);
                assert!(words != ["audit"] || said.contains("all twelve factors hold"), "{said}");
            }
            _ => workshop.shell(step),
        }
    }
    for step in ["neuroglia dev", "cargo test", "neuroglia build", "neuroglia start"] {
        assert!(steps.contains(&step), "no {step} in {steps:?}");
    }
    workshop.done(&["audit", "--strict"]);
}

/// Signs the guest book, waits for the greeting, and stops everything as a reader does; what was written.
fn serve(session: Session, port: u16) -> String {
    wait_until("somebody is ready", || is_ready(port));
    let (status, guest) = ask(port, "POST", "/guests", "", &json!({"name": "Ada"}));
    assert_eq!((status, &guest["greeting"]), (201, &Value::Null));
    let place = format!("/guests/{}", guest["id"].as_str().expect("an id"));
    let is_greeted = || ask(port, "GET", &place, "", &Value::Null).1["greeting"] == "Buongiorno, Ada!";
    wait_until("a worker has greeted the guest", is_greeted);
    session.signal(Signal::INT);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
    output
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn what_is_there_is_not_written_over() {
    let workshop = Workshop::new();
    let refused =
        workshop.refused(&["new", "trattoria", "--git", "https://example.com/n.git", "--into", "."]);
    assert!(refused.contains("already"), "{refused}");
    let (output, status) = workshop.neuroglia(&["new", "trattoria"]).end();
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(output.contains("--path") && output.contains("--git"), "{output}");
}
