//! `neuroglia dev`: what a newcomer does first.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::terminal::{Workshop, free_port};

#[test]
fn a_first_start_migrates_seeds_serves_and_tells_where() {
    let workshop = Workshop::new().export("UNRELATED", "must not leak");
    let port = free_port();
    let mut session = workshop.dev(&["--port", &port.to_string()]);
    session.wait_for("fixture-app is ready");
    session.wait_for("manager@example.com");
    session.signal(Signal::INT);
    let (output, status) = session.end();

    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("drained after 1 signal(s)"), "{output}");
    assert!(output.contains("fixture-app has stopped"), "{output}");
    for door in [
        format!("http://127.0.0.1:{port}\n"),
        format!("http://127.0.0.1:{port}/docs\n"),
        format!("http://127.0.0.1:{port}/health\n"),
        format!("http://127.0.0.1:{}/metrics\n", port + 1),
    ] {
        assert!(output.contains(&door), "no {door} in {output}");
    }

    let calls = workshop.read("calls.log");
    let password = workshop.read(".neuroglia/fixture-app/accounts/chef@example.com");
    assert!(output.contains(&format!("chef@example.com     {password}")), "{output}");
    let made: Vec<_> = calls.lines().filter(|line| line.starts_with("call admin")).take(4).collect();
    assert_eq!(made[..2], ["call admin migrate <>", "call admin seed <>"]);
    assert_eq!(
        made[2],
        format!(
            "call admin create-user --reset --username chef@example.com --name Luigi --role chef --password-stdin <{password}>"
        )
    );
    assert!(calls.contains("call all <>"));
    assert!(
        calls.contains(&format!("env PORT={port}\n"))
            && calls.contains(&format!("env ADMIN_PORT={}\n", port + 1))
    );

    // The key goes by its file; nothing of the developer's shell goes at all.
    let key_file =
        workshop.path(".neuroglia/fixture-app/JWT_SECRET_KEY").canonicalize().expect("it was made");
    assert!(calls.contains(&format!("env JWT_SECRET_KEY_FILE={}\n", key_file.display())), "{calls}");
    assert!(!calls.contains("UNRELATED") && !calls.contains("env CARGO"), "{calls}");
    let mode = std::fs::metadata(&key_file).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_start_keeps_the_data_and_a_fresh_one_does_not() {
    let workshop = Workshop::new();
    let start = |arguments: &[&str]| {
        let port = free_port().to_string();
        let mut session = workshop.dev(&[&["--port", &port], arguments].concat());
        session.wait_for("manager@example.com  ");
        session.signal(Signal::TERM);
        let (output, status) = session.end();
        assert_eq!(status.code(), Some(0), "{output}");
        output
    };
    let rows = || workshop.read(".neuroglia/fixture-app/dev.db").lines().count();
    let secrets = || {
        [".neuroglia/fixture-app/JWT_SECRET_KEY", ".neuroglia/fixture-app/accounts/chef@example.com"]
            .map(|name| workshop.read(name))
    };
    start(&[]);
    let first = (rows(), secrets());
    assert_eq!(first.0, 4, "two steps and two accounts");
    start(&[]);
    assert_eq!((rows(), secrets()), (8, first.1.clone()));
    let output = start(&["--fresh"]);
    assert_eq!((rows(), secrets()), first);
    assert!(output.contains("deleted .neuroglia/fixture-app/dev.db\n"), "{output}");
}

#[test]
fn a_taken_port_is_told_before_anything_is_built() {
    let workshop = Workshop::new();
    let port = free_port();
    let _holder = TcpListener::bind(("127.0.0.1", port)).expect("it was free");
    let (output, status) = workshop.dev(&["--port", &port.to_string()]).end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&format!("error: port {port} is taken by it-")), "{output}");
    assert!(output.contains(&format!("(process {})", std::process::id())), "{output}");
    assert!(!output.contains("building"), "{output}");
}

#[test]
fn an_application_that_dies_is_told_with_its_code_and_last_words() {
    let workshop = Workshop::new().export("BEHAVIOUR", "die");
    let (output, status) = workshop.dev(&["--port", &free_port().to_string()]).end();
    assert_eq!(status.code(), Some(78), "{output}");
    assert!(output.contains("BEHAVIOUR comes from your shell"), "{output}");
    assert!(output.contains("fixture-app ended by itself (exit status: 78)"), "{output}");
    assert!(output.contains("its last lines were:\n  PORT is not to my taste"), "{output}");
}

#[test]
fn a_failed_step_stops_the_start_and_shows_what_was_said() {
    let workshop = Workshop::new().export("BEHAVIOUR", "fail-migrate");
    let (output, status) = workshop.dev(&["--port", &free_port().to_string()]).end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("`fixture-app admin migrate` failed (exit status: 78)"), "{output}");
    assert!(output.contains("the schema is from the future"), "{output}");
    assert!(!workshop.read("calls.log").contains("call all"), "{output}");
}

#[test]
fn a_dot_env_is_read_and_faults_are_told_at_once() {
    let workshop = Workshop::new();
    std::fs::write(workshop.path(".env"), "BEHAVIOUR=die\n").expect("the folder is ours");
    let (output, status) = workshop.dev(&["--port", &free_port().to_string()]).end();
    assert_eq!(status.code(), Some(78), "{output}");

    std::fs::write(workshop.path(".env"), "nonsense\nmore nonsense\n").expect("the folder is ours");
    let (output, status) = workshop.dev(&["--port", &free_port().to_string()]).end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(".env:1: ") && output.contains(".env:2: "), "{output}");
}

#[test]
fn an_unknown_package_is_told_with_the_known_ones() {
    let (output, status) = Workshop::new().neuroglia(&["dev", "--package", "fixture-ape"]).end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert_eq!(
        output,
        "error: there is no package `fixture-ape` in this workspace; there are: fixture-app\n"
    );
}
