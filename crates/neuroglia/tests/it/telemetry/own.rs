//! Layers of an application's own, in a process of their own, because what hears its events is the process'.
//!
//! The example `own_telemetry` plays the process.

use std::env;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let deps = env::current_exe().expect("this executable");
    let profile = deps.ancestors().nth(2).expect("a test executable lies in deps of its profile");
    let mut command = Command::new(profile.join("examples/own_telemetry"));
    command.args(arguments).env_clear();
    command.envs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]).envs(variables.iter().copied());
    command.output().expect("cargo builds the examples with the tests")
}

/// What was heard, in order.
fn heard(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().filter(|line| line.starts_with("heard ")).map(str::to_owned).collect()
}

/// The messages of the log of a command, which is on standard error.
fn logged(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_layer_hears_what_the_log_leaves_out() {
    let quiet = run(&["admin", "look"], &[("LOG_LEVEL", "off")]);
    assert!(quiet.status.success(), "{quiet:?}");
    assert_eq!(heard(&quiet), ["heard span message", "heard event the oven is warm", "heard the end"]);
    assert_eq!(logged(&quiet), [""; 0], "the log is off");

    for level in ["info", "own_telemetry=info,hyper=warn", "info,[message]=info"] {
        let loud = run(&["admin", "look"], &[("LOG_LEVEL", level)]);
        assert_eq!(heard(&loud), heard(&quiet), "{level}");
        assert_eq!(logged(&loud), ["the oven is warm"], "{level} lets no more through");
    }
}

#[test]
fn a_layer_that_hears_everything_or_speaks_changes_nothing_in_the_log() {
    let open = run(&["admin", "look"], &[("EAR", "open")]);
    assert!(heard(&open).contains(&"heard event looking at the oven".to_owned()), "{open:?}");
    assert_eq!(logged(&open), ["the oven is warm"]);
    let chatty = run(&["admin", "look"], &[("EAR", "chatty")]);
    let logged = logged(&chatty);
    assert!(logged.contains(&"somebody whispers".to_owned()), "{logged:?}");
    assert_eq!(
        logged.iter().filter(|line| *line != "somebody whispers").collect::<Vec<_>>(),
        ["the oven is warm"]
    );
}

#[test]
fn a_panic_is_not_silent_because_a_layer_hears_it() {
    for ear in ["keen", "open"] {
        let falls = |level| run(&["web"], &[("FALLS", "true"), ("EAR", ear), ("LOG_LEVEL", level)]);
        let loud = falls("info");
        let log = String::from_utf8_lossy(&loud.stdout);
        assert!(log.contains("\"panic.message\":\"the oven falls over\""), "{ear}: {log}");
        for level in ["off", "info,panic=off", "off,[order]=trace"] {
            let quiet = falls(level);
            let said = String::from_utf8_lossy(&quiet.stderr);
            assert!(said.contains("panicked at") && said.contains("the oven falls over"), "{ear}: {said}");
        }
    }
}

#[test]
fn a_process_that_serves_has_it_too() {
    let ended = run(&["web"], &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let heard = heard(&ended);
    assert!(heard.contains(&"heard event the oven is cold".to_owned()), "{ended:?}");
    assert_eq!(heard.last().map(String::as_str), Some("heard the end"), "also when the start failed");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("the oven is cold"), "{ended:?}");
}

#[test]
fn a_layer_that_comes_to_no_end_holds_nobody_up() {
    let ended = run(&["admin", "look"], &[("EAR", "slow")]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(heard(&ended).last().map(String::as_str), Some("heard the end"));
}

#[test]
fn one_that_cannot_be_made_ends_the_start() {
    for arguments in [&["web"][..], &["admin", "look"]] {
        let ended = run(arguments, &[("EAR", "deaf")]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("nobody can listen") && !said.contains("the oven"), "{said}");
    }
}
