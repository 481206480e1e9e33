//! The first process of a container: no default handlers, nobody to reap for it, and yet it ends when told to.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Premises, Process, eventually};

/// How this machine lets us have a process namespace of our own, if it does.
fn unshare() -> Option<Vec<&'static str>> {
    let own = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let ways = [own.to_vec(), [&["--user", "--map-root-user"], &own[..]].concat()];
    ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(way).arg("true").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

/// To the first process of a namespace, the kernel delivers exactly those signals that it has handlers for.
fn assert_handlers(premises: &Premises) {
    let process = premises.open();
    for signal in [Signal::TERM, Signal::INT] {
        assert!(process.catches(signal), "{signal:?} would be lost");
    }
    process.close().assert_code(0);
}

#[test]
fn the_handlers_that_the_first_process_needs_are_there() {
    assert_handlers(&Premises::furnished());
}

#[test]
fn it_follows_signals_as_pid_1() {
    let premises = Premises::furnished();
    let Some(way) = unshare() else {
        eprintln!("this machine does not permit `unshare --pid`, so the handlers themselves are looked at");
        return assert_handlers(&premises);
    };
    for signal in [Signal::TERM, Signal::INT] {
        let inner = premises.command(&["web"]);
        let mut command = Command::new("unshare");
        command.args(&way).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().current_dir(premises.path("."));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        process.wait_until_ready();
        assert_eq!(process.get("/health/ready").status, 200);

        let outer = process.pid().as_raw_nonzero();
        let child = eventually("it has a child", || {
            let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        });
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).expect("it runs");
        let pids = status.lines().find(|line| line.starts_with("NSpid:")).expect("namespaces are shown");
        assert!(pids.ends_with("\t1"), "it is the first of its namespace: {pids}");
        kill_process(Pid::from_raw(child).expect("a process"), signal).expect("it is ours");
        let finished = process.end_within(PATIENCE);
        finished.assert_code(0);
        assert_eq!(finished.messages().last().map(String::as_str), Some("shutdown.complete"));
    }
}
