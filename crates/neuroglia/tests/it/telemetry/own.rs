//! Layers of an application's own, in a process of their own, because what hears its events is the process'.
//!
//! The example `own_telemetry` plays the process.

use std::env;
use std::process::{Command, Output};

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

#[test]
fn a_layer_hears_what_the_log_leaves_out() {
    let quiet = run(&["admin", "look"], &[("LOG_LEVEL", "off")]);
    assert!(quiet.status.success(), "{quiet:?}");
    assert_eq!(heard(&quiet), ["heard span message", "heard event the oven is warm"]);
    let said = String::from_utf8_lossy(&quiet.stderr);
    assert!(!said.contains("\"message\""), "the log is off: {said}");

    for level in ["info", "own_telemetry=info,hyper=warn", "info,[message]=trace"] {
        let loud = run(&["admin", "look"], &[("LOG_LEVEL", level)]);
        assert_eq!(heard(&loud), heard(&quiet), "{level}");
        let said = String::from_utf8_lossy(&loud.stderr);
        assert!(said.contains("\"message\":\"the oven is warm\""), "{level}: {said}");
        assert!(!said.contains("\"level\":\"DEBUG\""), "{level} lets no more through: {said}");
    }
}

#[test]
fn a_process_that_serves_has_it_too() {
    let ended = run(&["web"], &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(heard(&ended).contains(&"heard event the oven is cold".to_owned()), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("the oven is cold"), "{ended:?}");
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
