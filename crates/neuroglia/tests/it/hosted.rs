//! Hosted services in a process of their own, because signals and exit codes are the process's.
//!
//! The example `hosted_roles` plays the process; its second service does what its role says.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

struct Process {
    child: Child,
    messages: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// The example, which cargo builds with the tests.
    fn example() -> Command {
        let deps = env::current_exe().expect("this executable");
        let profile = deps.ancestors().nth(2).expect("a test executable lies in deps of its profile");
        Command::new(profile.join("examples/hosted_roles"))
    }

    fn start(role: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Self::example()
            .arg("web")
            .env_clear()
            .envs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), ("ROLE", role)])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo builds the examples with the tests");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (sender, messages) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("JSON");
                let _ = sender.send(line["message"].as_str().unwrap_or_default().to_owned());
            }
        });
        Self { child, messages, seen: Vec::new() }
    }

    fn wait_for(&mut self, what: &str) {
        while self.seen.last().is_none_or(|last| last != what) {
            let message = self.messages.recv_timeout(PATIENCE);
            self.seen.push(message.unwrap_or_else(|_| panic!("no `{what}` after {:?}", self.seen)));
        }
    }

    fn signal(&self) {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).expect("it runs");
    }

    /// Its exit code, and what its services said in order.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        // The pipe is closed when the process has ended.
        while let Ok(message) = self.messages.recv_timeout(PATIENCE) {
            self.seen.push(message);
        }
        let code = self.child.wait().expect("it has ended").code();
        let said = |message: &String| {
            ["first ", "second ", "ready", "the oven"].iter().any(|start| message.starts_with(start))
        };
        (code, self.seen.iter().filter(|message| said(message)).cloned().collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

const STARTS: [&str; 3] = ["first starts", "second starts", "ready"];
const ENDS: [&str; 5] = ["second ends", "second stops", "first ends", "first stops", "the oven is cold"];

#[test]
fn they_start_before_ready_and_end_in_the_reverse_order_with_what_they_hold() {
    let mut process = Process::start("orderly", &[]);
    process.wait_for("ready");
    process.signal();
    assert_eq!(
        process.end(),
        (Some(0), [&STARTS[..], &ENDS].concat().iter().map(ToString::to_string).collect())
    );
}

#[test]
fn one_that_fails_to_start_ends_the_process_and_those_before_it() {
    let (code, said) = Process::start("fails", &[]).end();
    assert_eq!(code, Some(1));
    assert_eq!(said, ["first starts", "second starts", "first ends", "first stops", "the oven is cold"]);
}

#[test]
fn one_that_does_not_start_in_time_ends_the_process_and_those_before_it() {
    let (code, said) = Process::start("hangs", &[("STARTUP_TIMEOUT", "200ms")]).end();
    assert_eq!(code, Some(1));
    assert_eq!(said, ["first starts", "second starts", "first ends", "first stops", "the oven is cold"]);
}

#[test]
fn a_signal_while_starting_ends_what_has_been_started() {
    let mut process = Process::start("hangs", &[]);
    process.wait_for("second starts");
    process.signal();
    let (code, said) = process.end();
    assert_eq!(code, Some(0));
    assert_eq!(said, ["first starts", "second starts", "first ends", "first stops", "the oven is cold"]);
}

#[test]
fn one_that_is_late_is_cut_and_the_others_end_in_order() {
    let mut process = Process::start("is late", &[("SHUTDOWN_TIMEOUT", "500ms")]);
    process.wait_for("ready");
    process.signal();
    let (code, said) = process.end();
    assert_eq!(code, Some(75));
    assert_eq!(said[3..], ENDS);
}

#[test]
fn one_whose_stop_panics_keeps_no_other_from_ending() {
    let mut process = Process::start("panics", &[]);
    process.wait_for("ready");
    process.signal();
    let (code, said) = process.end();
    assert_eq!(code, Some(75), "what its start took was not given back");
    assert_eq!(said[3..], ENDS);
}

#[test]
fn a_description_says_where_a_service_runs() {
    let described = |arguments: &[&str]| {
        let output = Process::example().arg("describe").args(arguments).output().expect("it ends by itself");
        String::from_utf8(output.stdout).expect("text")
    };
    let text = described(&[]);
    let lines: Vec<_> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["first web, worker, scheduler, all", "second web, all"] {
        assert!(lines.iter().any(|other| other == line), "{text}");
    }
    let json: Value = serde_json::from_str(&described(&["--json"])).expect("JSON");
    assert_eq!(json["hosted_services"][1]["processes"], serde_json::json!(["web", "all"]));
}
