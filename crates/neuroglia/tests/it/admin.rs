//! What an admin command tells whoever runs it, as a process of its own.
//!
//! The example `admin_codes` plays the process.

use std::env;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let deps = env::current_exe().expect("this executable");
    let profile = deps.ancestors().nth(2).expect("a test executable lies in deps of its profile");
    let mut command = Command::new(profile.join("examples/admin_codes"));
    command.arg("admin").args(arguments).env_clear();
    command
}

#[track_caller]
fn assert_ends(output: &Output, code: i32) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("the books differ"), "{said}");
}

#[test]
fn a_command_ends_with_the_code_of_its_error() {
    for (arguments, code) in
        [(&["audit"][..], 1), (&["audit", "--code", "3"], 3), (&["audit", "--code", "255"], 255)]
    {
        assert_ends(&command(arguments).output().expect("it runs"), code);
    }
}

#[test]
fn a_script_in_the_shell_ends_with_it_too() {
    let mut shell =
        command(&["shell"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = shell.stdin.take().expect("piped");
    lines.write_all(b"audit --code 3\n").expect("it reads");
    drop(lines);
    assert_ends(&shell.wait_with_output().expect("it ends"), 3);
}
