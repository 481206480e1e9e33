//! `neuroglia new`: what it makes compiles, passes its own test, starts, and is what the audit asks for.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::readiness::is_ready;
use crate::terminal::{Workshop, free_port};

#[test]
fn a_new_application_tests_itself_is_audited_and_runs() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there");
    // What was built for it is kept between runs; only the first one waits for the framework.
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/new");
    let workshop = Workshop::empty().export("CARGO_TARGET_DIR", target);
    workshop.done(&["new", "trattoria", "--path", &repository.display().to_string(), "--into", "."]);
    // The versions that the framework was tested with, and no network.
    std::fs::copy(repository.join("Cargo.lock"), workshop.path("Cargo.lock")).expect("the folder is ours");
    let workshop = workshop.export("CARGO_NET_OFFLINE", "true");

    let tested = Command::new(env!("CARGO"))
        .args(["test", "--quiet"])
        .current_dir(workshop.path("."))
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .expect("cargo is there");
    let said =
        String::from_utf8_lossy(&tested.stdout).into_owned() + &String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success() && said.contains("1 passed"), "{said}");

    let workshop = workshop.commit();
    let audited = workshop.done(&["audit", "--strict"]);
    assert!(audited.contains("trattoria: all twelve factors hold"), "{audited}");

    let port = free_port();
    let mut session = workshop.neuroglia(&["dev", "--port", &port.to_string()]);
    session.wait_for("trattoria is ready");
    assert!(is_ready(port));
    session.signal(Signal::INT);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(!output.contains("migrating"), "it has no store: {output}");
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
