//! What the README has its reader type, as far as it is about the command line.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::readiness::is_ready;
use crate::sample::ask;
use crate::terminal::{Workshop, free_ports};

/// How long a formation of four may take to be ready on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of the README's blocks that begin like this, without what is said beside them.
fn commands(opening: &str) -> Vec<String> {
    let readme = read("README.md");
    let blocks = readme.split(opening).skip(1);
    let lines = blocks.flat_map(|rest| rest.split("```").next().unwrap_or_default().lines());
    let commands = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    commands.filter(|command| !command.is_empty()).collect()
}

#[test]
fn the_three_stages_work_on_a_newcomers_machine() {
    // Two that answer and two that do not: each has a port for operators as well.
    let port = free_ports(6);
    let workshop = Workshop::of_the_sample_to_release()
        .export("PORT", &port.to_string())
        .export("ADMIN_PORT", &(port + 1).to_string());
    let commands = commands("```bash stages\n");
    let mut done = Vec::new();
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["cargo", "neuroglia", "start", ref formation @ ..] => start(&workshop, port, formation),
            ["cargo", "neuroglia", ref words @ ..] => done.push((words.to_vec(), workshop.done(words))),
            _ => workshop.shell(command),
        }
    }
    assert!(commands.iter().any(|command| command.contains(" start web=2")), "{commands:?}");
    let releases = |output: &str| output.lines().filter(|line| line.contains("  local  ")).count();
    let listed = done.iter().find(|(words, _)| words[..] == ["releases"]).expect("they are listed");
    assert_eq!(releases(&listed.1), 2, "{}", listed.1);
    assert_eq!(done.last().map(|(words, _)| words[0]), Some("rollback"), "{commands:?}");
    let listed = workshop.done(&["releases"]);
    let first = listed.lines().find(|line| line.contains("  local  "));
    assert!(first.is_some_and(|line| line.starts_with('*')), "the first is the current one again: {listed}");
}

/// Starts the formation, asks both that answer for the menu, and stops it as a reader does.
fn start(workshop: &Workshop, port: u16, formation: &[&str]) {
    let mut session = workshop.neuroglia(&[&["start"], formation].concat());
    for label in ["web.1", "web.2", "worker.1", "scheduler.1"] {
        session.wait_for(&format!("{label} started"));
    }
    let deadline = Instant::now() + READY_WITHIN;
    for port in [port, port + 2] {
        while !is_ready(port) {
            assert!(Instant::now() < deadline, "nobody is ready on {port}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let (status, menu) = ask(port, "GET", "/api/v1/pizzas", "", &Value::Null);
        assert_eq!(status, 200, "{menu}");
        assert!(menu.to_string().contains("margherita"), "{menu}");
    }
    session.signal(Signal::INT);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
}

#[test]
fn what_runs_beside_the_pizzeria_has_a_port_of_its_own() {
    let taken = read("samples/marios-pizzeria/deployment/dev/app.env");
    let taken: Vec<&str> = taken.lines().filter_map(|line| Some(line.split_once("PORT=")?.1)).collect();
    assert_eq!(taken, ["8000", "8001"]);
    let beside = commands("```bash unrun");
    let ports: Vec<&str> = beside
        .iter()
        .flat_map(|command| command.split_whitespace())
        .filter_map(|word| word.strip_prefix("PORT="))
        .collect();
    assert!(!ports.is_empty(), "the menu board is shown: {beside:?}");
    assert!(ports.iter().all(|port| !taken.contains(port)), "{beside:?}");
}
