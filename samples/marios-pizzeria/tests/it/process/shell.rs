//! `admin shell`: commands line by line, from a pipe and at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::Signal;
use rustix::termios::{LocalModes, tcgetattr};

use super::logs::terminal;
use super::{Finished, PATIENCE, Premises, Process};

fn script(premises: &Premises, arguments: &[&str], lines: &str) -> Finished {
    let arguments = [&["admin", "shell"], arguments].concat();
    let mut process = Process::spawn(premises.command(&arguments).stdin(Stdio::piped()));
    process.stdin().expect("it is a pipe").write_all(lines.as_bytes()).expect("it reads");
    process.end_within(PATIENCE)
}

#[test]
fn a_script_runs_in_one_process_with_one_container() {
    let premises = Premises::furnished().set("RELEASE_ID", "42-1f3a9c");
    let lines = "# what an operator keeps in a file\n\
                 seed\n\
                 create-user --username toad@example.com --name 'Toad the Elder' --role chef --password-stdin\n\
                 first-abcd-efgh\n\
                 fix-corrupted-orders --dry-run\n\
                 messages\nservices\ndescribe routes\nconfig\nhelp\nhelp seed\nexit\nseed --nothing\n";
    let finished = script(&premises, &[], lines);
    finished.assert_code(0);
    let said = &finished.stdout;
    for part in [
        "created toad@example.com (chef)",
        "\nmessages\n  query    ListMenu",
        "\nservices\n  singleton",
        "\nroutes\n  POST",
        "42-1f3a9c",
        "Show what the container holds",
        "Fill the menu with the classics of the house; run again, it changes nothing",
    ] {
        assert!(said.contains(part), "no {part:?}: {said}\n{}", finished.stderr);
    }
    assert!(
        !said.contains(super::SIGNING_KEY) && !finished.stderr.contains("--nothing"),
        "{}",
        finished.stderr
    );
    let process = premises.open();
    process.log_in("toad@example.com", "first-abcd-efgh");
    process.close().assert_code(0);
}

#[test]
fn a_script_ends_with_the_code_of_what_failed() {
    let premises = Premises::furnished();
    let lines = "sead\ncreate-user --name x\n'\nshell\nseed\n";
    let finished = script(&premises, &[], lines);
    finished.assert_code(65);
    for part in ["'sead'", "--username", "the quote is not closed", "a shell runs in a process of its own"] {
        assert!(finished.stderr.contains(part), "no {part}: {}", finished.stderr);
    }
    assert!(finished.stdout.contains("6 were there"), "it goes on after a failure: {}", finished.stdout);
    let strict = script(&premises, &["--strict"], lines);
    strict.assert_code(65);
    assert_eq!(strict.stdout, "", "{}", strict.stderr);
    // Where an empty pipe is all there is, there is nothing to do.
    script(&premises, &["--strict"], "").assert_code(0);
}

/// A shell at a terminal, and what it has shown so far.
struct Seat {
    master: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
    process: Process,
}

impl Seat {
    fn take(premises: &Premises) -> Self {
        let (master, slave) = terminal();
        let end = || slave.try_clone().expect("a descriptor");
        let mut command = premises.command(&["admin", "shell"]);
        command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let process = premises.spawn(&mut command);
        let mut reader = master.try_clone().expect("a descriptor");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = reader.read(&mut buffer) {
                if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { master, shown, seen: String::new(), process }
    }

    fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Waits for words behind those that were waited for before.
    fn sees(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(words) {
                self.seen.drain(..at + words.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("no {words:?} ({error}) in {:?}", self.seen),
            }
        }
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.master).expect("it is a terminal").local_modes.contains(LocalModes::ECHO)
    }
}

#[test]
fn at_a_terminal_lines_are_prompted_for_completed_and_taken_back() {
    let mut seat = Seat::take(&Premises::furnished());
    seat.sees("`help` lists the commands");
    seat.sees("marios-pizzeria> ");
    seat.types("see\t\r");
    seat.sees("6 were there");
    seat.sees("marios-pizzeria> ");
    // Ctrl-C takes back what was typed, and the arrow calls back what was run.
    seat.types("nonsense\u{3}");
    seat.sees("marios-pizzeria> ");
    seat.types("\u{1b}[A\r");
    seat.sees("6 were there");
    seat.sees("marios-pizzeria> ");
    seat.types("sead\r");
    seat.sees("'sead'");
    // Before the prompt is there, the terminal itself would take the end of the input, and tell nobody.
    seat.sees("marios-pizzeria> ");
    seat.types("\u{4}");
    let Seat { process, .. } = seat;
    process.end_within(PATIENCE).assert_code(0);
}

#[test]
fn a_signal_ends_it_and_leaves_the_terminal_as_it_was() {
    let mut seat = Seat::take(&Premises::furnished());
    seat.sees("marios-pizzeria> ");
    let deadline = Instant::now() + PATIENCE;
    while seat.echoes() {
        assert!(Instant::now() < deadline, "the line is edited by the shell");
        std::thread::yield_now();
    }
    seat.process.signal(Signal::TERM);
    let Seat { process, master, .. } = seat;
    process.end_within(PATIENCE).assert_code(75);
    assert!(tcgetattr(&master).expect("it is a terminal").local_modes.contains(LocalModes::ECHO));
}
