//! `admin create-user`: what is printed of an account is true of it.

use serde_json::json;

use super::{Finished, Premises, Process};

const ACCOUNT: [&str; 6] = ["admin", "create-user", "--username", "toad@example.com", "--name", "Toad"];

fn create(premises: &Premises, options: &[&str], password: &str) -> Finished {
    let arguments = [&ACCOUNT[..], options, &["--password-stdin"]].concat();
    premises.run_with_line(&arguments, password)
}

fn log_in(process: &Process, password: &str) -> u16 {
    let credentials = json!({ "username": "toad@example.com", "password": password });
    process.post("/api/v1/auth/token", &[], &credentials).status
}

#[test]
fn an_account_that_is_there_is_refused_left_or_reset_as_it_was_asked() {
    let premises = Premises::furnished();
    create(&premises, &["--role", "driver"], "first-abcd-efgh").assert_code(0);
    create(&premises, &["--role", "driver"], "second-abcd-efgh").assert_code(1);
    let left = create(&premises, &["--role", "driver", "--if-absent"], "second-abcd-efgh");
    assert_eq!(left.assert_code(0).stdout, "toad@example.com is there already\n");
    let process = premises.open();
    assert_eq!([log_in(&process, "first-abcd-efgh"), log_in(&process, "second-abcd-efgh")], [200, 401]);

    for _ in 0..2 {
        let reset = create(&premises, &["--role", "manager", "--reset"], "second-abcd-efgh");
        assert_eq!(reset.assert_code(0).stdout, "reset toad@example.com (manager)\n");
    }
    assert_eq!([log_in(&process, "first-abcd-efgh"), log_in(&process, "second-abcd-efgh")], [401, 200]);
    let token = process.log_in("toad@example.com", "second-abcd-efgh");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer)];
    let overview = process.connect().request("GET", "/api/v1/statistics/overview", &headers, b"");
    assert_eq!(overview.expect("an answer").status, 200, "a manager now");
    process.close().assert_code(0);
}

#[test]
fn a_reset_opens_the_account_when_there_is_none() {
    let premises = Premises::furnished();
    let made = create(&premises, &["--role", "driver", "--reset"], "first-abcd-efgh");
    assert!(made.assert_code(0).stdout.starts_with("created toad@example.com (driver)"), "{}", made.stdout);
    let both = create(&premises, &["--role", "driver", "--reset", "--if-absent"], "first-abcd-efgh");
    both.assert_code(64);
}
