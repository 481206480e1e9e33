//! `neuroglia start`: several processes, kept running and stopped together.

use rustix::process::Signal;

use crate::readiness::is_ready;
use crate::terminal::{Session, Workshop, free_port};

/// A workshop with a release in which the processes behave like this.
fn released(behaviour: &str) -> Workshop {
    let workshop = Workshop::new().commit();
    workshop.done(&["build"]);
    let text = format!("SHUTDOWN_TIMEOUT=1s\nBEHAVIOUR={behaviour}\n");
    workshop.write("deployment/production/app.env", &text);
    workshop.done(&["release", "--env", "deployment/production"]);
    workshop
}

fn start(workshop: &Workshop, port: u16, formation: &str) -> Session {
    workshop.neuroglia(&["start", formation, "--port", &port.to_string()])
}

#[test]
fn processes_run_side_by_side_and_drain_together() {
    let workshop = released("serve");
    let port = free_port();
    let mut session = start(&workshop, port, "web=2,worker=1");
    for line in [
        &format!("web.1    | listening on {port}"),
        &format!("web.2    | listening on {}", port + 1),
        "worker.1 | working",
    ] {
        session.wait_for(line);
    }
    for port in [port, port + 1] {
        assert!(is_ready(port), "{port}");
    }
    session.signal(Signal::TERM);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
    for line in ["stopping all, within 4 s", "web.1    | drained after 1 signal(s)", "worker.1 | worked"] {
        assert!(output.contains(line), "no {line}: {output}");
    }
    assert!(workshop.read("calls.log").contains("env RELEASE_ID=20"), "they know their release");
}

#[test]
fn one_that_dies_is_started_again() {
    let workshop = released("die-once");
    let port = free_port();
    let mut session = start(&workshop, port, "web=1");
    session.wait_for("web.1 | alas");
    session.wait_for("web.1 ended by itself (exit status: 1); it is started again in 1 s");
    session.wait_for(&format!("web.1 | listening on {port}"));
    session.signal(Signal::INT);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn what_a_new_start_would_not_mend_ends_the_formation() {
    let workshop = released("hopeless");
    let (output, status) = start(&workshop, free_port(), "web=1,worker=1").end();
    assert_eq!(status.code(), Some(78), "{output}");
    assert!(output.contains("worker.1 ended (exit status: 78)"), "{output}");
    assert!(output.contains("web.1 has stopped"), "{output}");
}

#[test]
fn who_does_not_stop_is_killed_at_the_deadline() {
    let workshop = released("stubborn");
    let port = free_port();
    let mut session = start(&workshop, port, "web=1,worker=1");
    session.wait_for("worker.1 | working");
    session.wait_for(&format!("web.1    | listening on {port}"));
    session.signal(Signal::TERM);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(75), "{output}");
    assert!(output.contains("the deadline is over"), "{output}");
    assert!(output.contains("web.1 has stopped (exit status: 0)"), "{output}");
}

#[test]
fn a_formation_that_cannot_be_is_refused_before_anything_starts() {
    let workshop = released("serve");
    assert!(workshop.refused(&["start", "wbe=1"]).contains("there are release, web, worker"));
    let port = free_port();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", port + 1)).expect("it was free");
    let (output, status) = start(&workshop, port, "web=2").end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&format!("port {} is taken", port + 1)), "{output}");
    assert!(!output.contains("started"), "{output}");
}
