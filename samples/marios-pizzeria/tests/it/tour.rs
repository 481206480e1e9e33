//! The README's tour, from the README's text, against a pizzeria as `neuroglia dev` leaves it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{PATIENCE, Premises, Process};

/// Where the README's reader finds the pizzeria.
const ADDRESS: &str = "http://127.0.0.1:8000";

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))
        .expect("there is a README")
}

/// The blocks of the tour, as one script.
fn tour(readme: &str) -> (usize, String) {
    let blocks: Vec<&str> = readme
        .split("```bash tour\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("every block has an end").0)
        .collect();
    (blocks.len(), blocks.join("\n"))
}

#[test]
fn the_tour_of_the_readme_works_as_it_is_written() {
    let premises = Premises::furnished();
    let accounts = premises.path(".neuroglia/marios-pizzeria/accounts");
    fs::create_dir_all(&accounts).expect("the folder is ours");
    for role in ["customer", "chef", "driver", "manager", "admin"] {
        let username = format!("{role}@example.com");
        let password = format!("{role}-abcd-efgh-jkmn");
        premises.hire(&username, role, &password);
        // As `neuroglia dev` keeps it: without a line end.
        fs::write(accounts.join(&username), &password).expect("the folder is ours");
    }
    let process = premises.open();
    let (count, script) = tour(&readme());
    assert!(count >= 6 && script.matches(ADDRESS).count() == 1, "{count} blocks:\n{script}");
    let script = script.replace(ADDRESS, &format!("http://{}", process.address()));

    let mut bash = Command::new("bash");
    // Twice in one terminal, as a reader does who has lost the thread.
    bash.args(["-c", &format!("set -euo pipefail\n{script}\n{script}")]).current_dir(premises.path("."));
    bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let walked = Process::spawn(&mut bash).end_within(PATIENCE);
    walked.assert_code(0);
    assert_eq!(walked.stderr, "");
    for word in ["margherita", "\"status\":\"pending\"", "\"status\":\"delivered\"", "order.wrong_state"] {
        assert!(walked.stdout.matches(word).count() >= 2, "no {word} in {}", walked.stdout);
    }
    let bearer = format!("Bearer {}", process.log_in("manager@example.com", "manager-abcd-efgh-jkmn"));
    let orders = process.connect().request("GET", "/api/v1/orders", &[("authorization", &bearer)], b"");
    let orders = orders.expect("an answer").json();
    assert_eq!(orders["items"].as_array().map(Vec::len), Some(2), "each walk has its order: {orders}");
    process.close().assert_code(0);
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let help = Premises::new().run(&["--help"]).stdout;
    let readme = readme();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let codes: Vec<&str> =
        rows.map(|(code, _)| code).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())).collect();
    assert_eq!(codes, ["0", "1", "64", "65", "75", "78"]);
    for code in codes {
        assert!(help.contains(&format!("{code} ")), "no {code} in {help}");
    }
}
