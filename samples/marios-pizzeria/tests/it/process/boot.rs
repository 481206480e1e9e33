//! Starts that fail: what is said, to whom, and by which exit code.

use std::net::TcpListener;

use serde_json::Value;

use super::{Finished, Premises};

/// A port that somebody else has, for as long as the listener lives.
fn taken_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port.to_string())
}

/// The faults of a boot report, after a look at its form: one line for machines, the same for people, code 78.
#[track_caller]
fn faults(finished: &Finished) -> Vec<Value> {
    finished.assert_code(78);
    let [line] = &finished.json_lines()[..] else { panic!("not one line: {}", finished.stdout) };
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "boot failed");
    assert_eq!(line["service"], "marios-pizzeria");
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    let faults = line["faults"].as_array().expect("a list").clone();
    assert!(!faults.is_empty());
    assert!(finished.stderr.starts_with("marios-pizzeria cannot start: "), "{}", finished.stderr);
    for fault in &faults {
        for member in ["area", "code", "what", "at", "fix"] {
            let text = fault[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no `{member}` in {fault}");
            let is_for_people = member != "code";
            assert!(
                !is_for_people || finished.stderr.contains(text),
                "`{text}` is not in {}",
                finished.stderr
            );
        }
    }
    faults
}

#[track_caller]
fn fault_at<'a>(faults: &'a [Value], variable: &str) -> &'a Value {
    let is_of = |fault: &&Value| fault["at"].as_str().is_some_and(|at| at.contains(variable));
    faults.iter().find(is_of).unwrap_or_else(|| panic!("no fault at {variable} in {faults:?}"))
}

#[test]
fn every_fault_of_the_settings_is_told_at_once_and_no_port_is_bound() {
    // Whoever tried to bind this port would end with code 1 instead.
    let (_holder, port) = taken_port();
    let premises = Premises::new()
        .set("PORT", port)
        .set("LOG_FORMAT", "xml")
        .set("LOG_LEVEL", "loud")
        .set("SHUTDOWN_TIMEOUT", "soon")
        .set("HTTP_BODY_MAX", "-1")
        .set("KITCHEN_CAPACITY", "0")
        .set("CURRENCY", "dollars")
        .set("JWT_SECRET_KEY", "hunter2-hunter2")
        .unset("DATABASE_URL");
    for arguments in [&["web"][..], &["all"], &["admin", "migrate"], &["config", "--check"]] {
        let finished = premises.run(arguments);
        let faults = faults(&finished);
        for variable in [
            "LOG_FORMAT",
            "LOG_LEVEL",
            "SHUTDOWN_TIMEOUT",
            "HTTP_BODY_MAX",
            "KITCHEN_CAPACITY",
            "CURRENCY",
            "JWT_SECRET_KEY",
            "DATABASE_URL",
        ] {
            let fault = fault_at(&faults, variable);
            assert_eq!(fault["area"], "settings");
            let fix = fault["fix"].as_str().expect("text");
            assert!(
                fix.contains(&format!("{variable}=")) || fix.contains(&format!("{variable}_FILE")),
                "{fault}"
            );
        }
        assert_eq!(faults.len(), 8, "{faults:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!said.contains("hunter2"), "a secret is not echoed, not even a bad one: {said}");
    }
}

#[test]
fn a_sink_that_does_not_know_its_sender_is_refused() {
    let premises = Premises::furnished().set("EVENT_BUS_URL", "http://127.0.0.1:9/events");
    for arguments in [&["web"][..], &["all"], &["config", "--check"]] {
        let faults = faults(&premises.run(arguments));
        assert_eq!(faults.len(), 1, "{faults:?}");
        let fault = fault_at(&faults, "EVENT_BUS_SIGNING_KEY");
        assert!(fault["what"].as_str().is_some_and(|what| what.contains("EVENT_BUS_URL")), "{fault}");
    }
}

#[test]
fn an_authority_is_named_only_where_a_certificate_is_asked_for() {
    let by = |scheme: &str| {
        let url = format!("{scheme}://elsewhere.example/?cacertfile=/ca.pem");
        let premises = Premises::new().set("PAYMENT_URL", &url).set("PAYMENT_API_KEY", "Wx7pQ2vT9mLk");
        let premises = premises.set("EVENT_BUS_URL", &url);
        let premises = premises.set("EVENT_BUS_SIGNING_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let premises = premises.set("AUTH_ISSUER", format!("{scheme}://id.example"));
        premises.set("AUTH_AUDIENCE", "pizza").set("AUTH_CACERTFILE", "/ca.pem").run(&["config", "--check"])
    };
    by("https").assert_code(0);
    let faults = faults(&by("http"));
    for variable in ["PAYMENT_URL", "EVENT_BUS_URL", "AUTH_CACERTFILE"] {
        let fault = fault_at(&faults, variable);
        assert!(fault["what"].as_str().is_some_and(|what| what.contains("https://")), "{fault}");
    }
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn a_secret_that_anybody_could_guess_is_refused() {
    for weak in ["", "secret", "changeme", "thirty-one bytes are not enough", &"a".repeat(32)] {
        let premises = Premises::new().set("JWT_SECRET_KEY", weak);
        let faults = faults(&premises.run(&["web"]));
        assert_eq!(faults.len(), 1, "`{weak}`: {faults:?}");
        fault_at(&faults, "JWT_SECRET_KEY");
    }
}

#[test]
fn two_spellings_of_one_setting_must_agree() {
    let (_holder, port) = taken_port();
    let premises = Premises::new().set("PORT", port).set("SERVER_PORT", "8000");
    let faults = faults(&premises.run(&["web"]));
    let text = fault_at(&faults, "PORT").to_string();
    assert!(text.contains("SERVER_PORT"), "{text}");

    let agreed = Premises::furnished().set("SERVER_PORT", "0").open();
    agreed.close().assert_code(0);
    let alias = Premises::furnished().unset("PORT").set("SERVER_PORT", "0").open();
    alias.close().assert_code(0);

    let both = Premises::new().set("JWT_SECRET_KEY_FILE", "/dev/null");
    fault_at(&self::faults(&both.run(&["web"])), "JWT_SECRET_KEY");
}

#[test]
fn a_secret_in_a_file_is_read_and_a_file_that_cannot_be_is_a_fault() {
    let premises = Premises::furnished().unset("JWT_SECRET_KEY");
    let key = premises.path("signing-key");
    let premises = premises.set("JWT_SECRET_KEY_FILE", key.display().to_string());
    let text = fault_at(&faults(&premises.run(&["web"])), "JWT_SECRET_KEY_FILE").to_string();
    assert!(text.contains("signing-key"), "{text}");
    std::fs::write(key, format!("{}\n", super::SIGNING_KEY)).expect("the folder is ours");
    premises.open().close().assert_code(0);
}

#[test]
fn an_end_that_is_too_short_is_refused() {
    for (delay, grace, wrong) in [
        ("5s", "", Some("SHUTDOWN_DELAY")),
        ("6s", "", Some("SHUTDOWN_DELAY")),
        ("4s", "6s", Some("TERMINATION_GRACE")),
        ("4s", "7s", None),
        ("4s", "", None),
    ] {
        let premises = Premises::new().set("SHUTDOWN_TIMEOUT", "5s").set("SHUTDOWN_DELAY", delay);
        let premises = if grace.is_empty() { premises } else { premises.set("TERMINATION_GRACE", grace) };
        let checked = premises.run(&["config", "--check"]);
        match wrong {
            Some(setting) => _ = fault_at(&faults(&checked), setting),
            None => _ = checked.assert_code(0),
        }
    }
}

#[test]
fn an_admin_surface_for_strangers_needs_a_token() {
    let premises = Premises::new().set("ADMIN_PORT", "0").set("ADMIN_HOST", "0.0.0.0");
    fault_at(&faults(&premises.run(&["web"])), "ADMIN_TOKEN");
    let premises = premises.set("ADMIN_TOKEN", "short");
    fault_at(&faults(&premises.run(&["web"])), "ADMIN_TOKEN");
}

#[test]
fn a_schema_that_is_behind_is_a_fault_with_the_command_to_run() {
    let (_holder, port) = taken_port();
    let premises = Premises::new().set("PORT", port);
    for process in ["web", "all"] {
        let faults = faults(&premises.run(&[process]));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0]["area"], "schema");
        assert_eq!(faults[0]["code"], "behind");
        let fix = faults[0]["fix"].as_str().expect("text");
        assert!(fix.contains("marios-pizzeria admin migrate"), "{fix}");
    }
    let status = premises.run(&["admin", "migrate", "--status"]);
    for name in ["framework: outbox and idempotency", "the pizzeria opens"] {
        let line = status.assert_code(0).stdout.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("pending")), "{}", status.stdout);
    }
}

#[test]
fn a_variable_that_looks_like_ours_but_is_not_is_a_warning() {
    let premises = Premises::furnished().set("PIZZERIA_KITCHEN_CAPACITY", "4");
    let checked = premises.run(&["config", "--check"]);
    assert!(checked.assert_code(0).stderr.contains("PIZZERIA_KITCHEN_CAPACITY"), "{}", checked.stderr);
    let process = premises.open();
    let warning = process.wait_for_line("warning", |line| line["level"] == "WARN");
    assert!(warning.to_string().contains("PIZZERIA_KITCHEN_CAPACITY"), "{warning}");
    process.close().assert_code(0);
}

#[test]
fn a_taken_port_is_a_failure_that_names_it() {
    let (_holder, port) = taken_port();
    for name in ["PORT", "ADMIN_PORT"] {
        let finished = Premises::furnished().set(name, port.clone()).run(&["web"]);
        finished.assert_code(1);
        let words = format!("127.0.0.1:{port} ({name})");
        assert!(finished.stderr.contains(&words), "no `{words}` in {}", finished.stderr);
        assert!(finished.stderr.contains("in use"), "{}", finished.stderr);
        assert!(!finished.messages().contains(&"ready".to_owned()), "{}", finished.stdout);
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_a_failure_that_says_why() {
    let (_holder, port) = taken_port();
    let premises = Premises::new().set("PORT", port);
    let nowhere = format!("sqlite://{}", premises.path("nowhere/pizzeria.db").display());
    std::fs::write(premises.path("letter.db"), "Dear Mario, this is no database. ".repeat(40)).expect("ours");
    let letter = format!("sqlite://{}", premises.path("letter.db").display());
    let premises = premises.set("DATABASE_URL", nowhere);
    for arguments in [&["web"][..], &["admin", "migrate"]] {
        let finished = premises.run(arguments);
        finished.assert_code(1);
        assert!(finished.stderr.contains("nowhere of the database does not exist"), "{}", finished.stderr);
    }
    let finished = premises.set("DATABASE_URL", letter).run(&["web"]);
    finished.assert_code(1);
    assert!(finished.stderr.contains("letter.db"), "{}", finished.stderr);
}

#[test]
fn a_command_line_that_is_wrong_is_64_and_help_is_0() {
    let premises = Premises::new();
    let table: [&[&str]; 7] = [
        &[],
        &["wbe"],
        &["web", "--port", "80"],
        &["admin"],
        &["admin", "migrat"],
        &["admin", "create-user", "--username", "x"],
        &["config", "--check", "--json"],
    ];
    for arguments in table {
        let finished = premises.run(arguments);
        finished.assert_code(64);
        assert!(
            finished.stderr.contains("Usage") || finished.stderr.contains("usage"),
            "{}",
            finished.stderr
        );
        assert_eq!(finished.stdout, "", "{arguments:?}");
    }
    for arguments in
        [&["--help"][..], &["--version"], &["help", "admin"], &["admin", "create-user", "--help"]]
    {
        let finished = premises.run(arguments);
        finished.assert_code(0);
        assert_ne!(finished.stdout, "", "{arguments:?}");
    }
}

#[test]
fn an_admin_command_that_refuses_its_input_is_65() {
    let premises = Premises::furnished();
    let arguments = ["admin", "create-user", "--username", "chef@example.com", "--name", "Luigi", "--role"];
    let hire =
        |role, line| premises.run_with_line(&[&arguments[..], &[role, "--password-stdin"]].concat(), line);
    let empty = hire("chef", "");
    assert!(empty.assert_code(65).stderr.contains("create-user: "), "{}", empty.stderr);
    hire("waiter", "correct horse battery").assert_code(64);
    hire("chef", "correct horse battery").assert_code(0);
    let again = hire("chef", "correct horse battery");
    assert_ne!(again.code(), Some(0), "{}", again.stderr);
    assert_eq!(again.stdout, "");
}

#[test]
fn everything_in_one_process_gets_ready() {
    let mut process = Premises::furnished().start(&["all"]);
    process.wait_until_ready();
    assert_eq!(process.get("/api/v1/pizzas/margherita").status, 200);
    let said = process.wait_for_line("the store answers", |line| {
        line["message"] == "an attached resource answers" && line["resource.kind"] == "sqlite"
    });
    let version = said["resource.version"].as_str().expect("a version");
    assert!(version.starts_with("3."), "{said}");
    process.close().assert_code(0);
}

#[test]
fn a_store_that_does_not_answer_is_waited_for_as_long_as_the_start_may_take() {
    let (silent, port) = taken_port();
    let premises = Premises::new()
        .set("DATABASE_URL", format!("postgres://mario:Gorgonzola7@127.0.0.1:{port}/pizzeria"))
        .set("STARTUP_TIMEOUT", "1s");
    for arguments in [&["web"][..], &["admin", "seed"]] {
        let finished = premises.run(arguments);
        finished.assert_code(1);
        let why =
            format!("the store (postgres at 127.0.0.1:{port}) did not answer within 1s (STARTUP_TIMEOUT)");
        assert!(finished.stderr.contains(&why), "{}", finished.stderr);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!said.contains("Gorgonzola7"), "{said}");
    }

    // Where nobody listens, the first try says so and to whom.
    drop(silent);
    let finished = premises.run(&["web"]);
    finished.assert_code(1);
    let warned: Vec<Value> =
        finished.json_lines().into_iter().filter(|line| line["level"] == "WARN").collect();
    let [line] = &warned[..] else { panic!("not one warning: {}", finished.stdout) };
    assert_eq!(line["message"], "the database is not there yet, and is waited for");
    assert_eq!(line["database"], format!("pizzeria at 127.0.0.1:{port}"));
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(!said.contains("Gorgonzola7"), "{said}");
}
