//! A process of its own, because standard output, the panic hook and the global subscriber are the process's.
//!
//! The example `telemetry_roles` plays the child, in the role that its argument names.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

/// What the child exits with when its role is played to the end.
const PLAYED: i32 = 42;

/// The example `telemetry_roles`, which cargo builds with the tests of this crate.
fn example() -> PathBuf {
    let deps = env::current_exe().expect("this executable");
    let profile = deps.ancestors().nth(2).expect("a test executable lies in deps of its profile");
    profile.join("examples/telemetry_roles")
}

fn start(role: &str, stdout: Stdio) -> Child {
    Command::new(example())
        .arg(role)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test executable starts again")
}

/// Waits for the child's end; returns what it wrote to stderr.
fn finish(mut child: Child) -> (ExitStatus, String) {
    let mut stderr = child.stderr.take().expect("piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        // Stderr ends when the child does.
        let read = stderr.read_to_string(&mut text);
        sender.send(read.map(|_| text))
    });
    let Ok(text) = receiver.recv_timeout(DEADLINE) else {
        child.kill().expect("the child can be killed");
        panic!("the child did not end in time");
    };
    (child.wait().expect("the child ends"), text.expect("stderr is text"))
}

/// Runs a child to its end; returns its log and its stderr.
fn run(role: &str) -> (Vec<String>, String) {
    let mut child = start(role, Stdio::piped());
    let stdout = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || BufReader::new(stdout).lines().collect::<Result<Vec<_>, _>>());
    let (status, stderr) = finish(child);
    assert_eq!(status.code(), Some(PLAYED), "{stderr}");
    let lines = reader.join().expect("the reader does not panic").expect("stdout is text");
    (lines, stderr)
}

fn wait_until_ready(stdout: ChildStdout) -> BufReader<ChildStdout> {
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        let length = reader.read_line(&mut line).expect("stdout is text");
        assert_ne!(length, 0, "the child ended before it was ready");
    }
    reader
}

#[test]
fn a_panic_is_one_event_and_leaves_stderr_alone() {
    let (lines, stderr) = run("panic");
    assert_eq!(stderr, "");
    let [_, panic] = lines.as_slice() else { panic!("two lines, not {lines:?}") };
    let panic: Value = serde_json::from_str(panic).expect("JSON");
    assert_eq!(panic["level"], "ERROR");
    assert_eq!(panic["message"], "panic");
    assert_eq!(panic["target"], "panic");
    assert_eq!(panic["panic.message"], "the oven is\non \"fire\"");
    assert_eq!(panic["thread.name"], "worker");
    assert_eq!(panic["request.id"], "7b1e");
    assert_eq!(panic.get("panic.backtrace"), None);
    let location = panic["panic.location"].as_str().expect("text");
    assert!(location.contains("telemetry_roles.rs:"), "{location}");
}

#[test]
fn a_panic_carries_its_backtrace_when_asked() {
    let (lines, stderr) = run("backtrace");
    assert_eq!(stderr, "");
    let panic: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
    let backtrace = panic["panic.backtrace"].as_str().expect("text");
    assert!(backtrace.contains("panic_in_a_request"), "{backtrace}");
}

#[test]
fn a_panic_that_is_filtered_out_still_speaks_on_stderr() {
    let (lines, stderr) = run("off");
    assert_eq!(lines, [""; 0]);
    assert!(stderr.contains("the oven is"), "{stderr}");
}

#[test]
fn there_is_no_colour_in_a_pipe() {
    let (lines, stderr) = run("text");
    assert_eq!(stderr, "");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with("telemetry_roles: ready"), "{lines:?}");
    assert!(!lines[0].contains('\x1b'));
}

#[test]
fn a_second_start_in_one_process_is_refused() {
    let (lines, stderr) = run("again");
    assert_eq!((lines.len(), stderr.as_str()), (1, ""));
}

#[test]
fn what_was_logged_before_the_end_is_written_at_the_end() {
    let (lines, stderr) = run("flood");
    assert_eq!(stderr, "");
    let field = |line: &str, name: &str| {
        serde_json::from_str::<Value>(line).expect("every line is whole")[name].as_u64()
    };
    let written = lines.iter().filter(|line| field(line, "number").is_some()).count() as u64;
    let lost = lines.iter().filter_map(|line| field(line, "log.lines_lost")).sum::<u64>();
    assert_eq!(written + lost, 100_000);
}

#[test]
fn a_stdout_that_nobody_reads_does_not_hang_the_process() {
    let mut child = start("flood", Stdio::piped());
    let unread = wait_until_ready(child.stdout.take().expect("piped"));
    let (status, stderr) = finish(child);
    assert_eq!((status.code(), stderr.as_str()), (Some(PLAYED), ""));
    drop(unread);
}

#[test]
fn a_stdout_that_is_closed_ends_the_log_and_nothing_else() {
    let mut child = start("flood", Stdio::piped());
    drop(wait_until_ready(child.stdout.take().expect("piped")));
    let (status, stderr) = finish(child);
    assert_eq!((status.code(), stderr.as_str()), (Some(PLAYED), ""));
}
