//! Canaries in every secret, and a search of everything that the process says or leaves behind.

use super::{Answer, Client, Premises, guest_order};

const KEY: &str = "CANARYjwtkeyA9f2Lx7QpW4vZ8mK3tR6yN1cB5";
const PREVIOUS_KEY: &str = "CANARYjwtprevB7d1Hs5GjU2eX9oI4aT8wM6kV";
const ADMIN_TOKEN: &str = "CANARYadmintokenC3g8Pz6Ry";
const PASSWORD: &str = "CANARYpasswordD5-horse-battery";
const WRONG_PASSWORD: &str = "CANARYwrongE2-horse-battery";
const BEARER: &str = "CANARYbearerF1.eyJhbGciOiJub25lIn0.x";
const TRACKING: &str = "CANARYtrackingG4";
const COOKIE: &str = "CANARYcookieH6";

const CANARIES: [&str; 8] =
    [KEY, PREVIOUS_KEY, ADMIN_TOKEN, PASSWORD, WRONG_PASSWORD, BEARER, TRACKING, COOKIE];

/// Everything that was said, with the name of who said it.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn hear(&mut self, who: &str, what: String) {
        self.0.push((who.to_owned(), what));
    }

    #[track_caller]
    fn assert_without(&self, secrets: &[String]) {
        assert!(!self.0.is_empty());
        for (who, what) in &self.0 {
            for secret in secrets {
                let found = what.find(secret.as_str());
                let around =
                    found.map(|at| &what.as_bytes()[at.saturating_sub(200)..what.len().min(at + 100)]);
                assert!(
                    found.is_none(),
                    "{who} says {secret}: {}",
                    String::from_utf8_lossy(around.unwrap_or_default())
                );
            }
        }
    }
}

/// Uses every secret there is, in each of the ways that go right and wrong.
fn use_everything(premises: &Premises, said: &mut Said) -> Vec<String> {
    let mut found_out = Vec::new();
    let process = premises.open();
    let mut hear =
        |what: &str, answer: Answer| said.hear(&format!("the answer to {what}"), answer.everything());
    let log_in = |password: &str| {
        let body = serde_json::json!({"username": "chef@example.com", "password": password});
        process.post("/api/v1/auth/token", &[], &body)
    };
    let token = log_in(PASSWORD);
    assert_eq!(token.status, 200, "{}", token.text());
    let token = token.json()["access_token"].as_str().expect("a token").to_owned();
    hear("a wrong password", log_in(WRONG_PASSWORD));
    let unknown =
        serde_json::json!({"username": "nobody@example.com", "password": WRONG_PASSWORD, "otp": PASSWORD});
    hear("an unknown user", process.post("/api/v1/auth/token", &[], &unknown));
    let broken = serde_json::json!({"username": ["chef"], "password": {"is": PASSWORD}});
    hear("a broken log-in", process.post("/api/v1/auth/token", &[], &broken));
    let broken = format!("{{\"password\": \"{PASSWORD}\", ").into_bytes();
    let headers = [("content-type", "application/json")];
    hear(
        "half a log-in",
        process.connect().request("POST", "/api/v1/auth/token", &headers, &broken).expect("an answer"),
    );

    let placed =
        process.post("/api/v1/orders", &[("idempotency-key", "canary-1")], &guest_order("+1 555 0100", ""));
    assert_eq!(placed.status, 201, "{}", placed.text());
    let order = placed.json();
    let tracking = order["tracking_token"].as_str().expect("a guest's token").to_owned();
    let path = format!("/api/v1/orders/{}", order["id"].as_str().expect("an id"));
    let bearer = format!("Bearer {token}");
    let bad_bearer = format!("Bearer {BEARER}");
    let basic = format!("Basic {PASSWORD}");
    let cookie = format!("session={COOKIE}");
    for headers in [
        [("x-tracking-token", tracking.as_str())],
        [("x-tracking-token", TRACKING)],
        [("authorization", &bearer)],
        [("authorization", &bad_bearer)],
        [("authorization", &basic)],
        [("cookie", &cookie)],
    ] {
        for path in [&*path, "/api/v1/kitchen", "/api/v1/nothing", "/health"] {
            hear(path, process.connect().request("GET", path, &headers, b"").expect("an answer"));
        }
    }
    let cancel = serde_json::json!({"reason": "changed my mind"});
    let headers = [("x-tracking-token", tracking.as_str())];
    hear("a cancellation", process.post(&format!("{path}/cancel"), &headers, &cancel));
    hear("the document", process.get("/openapi.json"));
    let admin = |path: &str, token: &str| {
        let mut client = Client::connect(process.admin_address()).expect("it listens");
        client.request("GET", path, &[("authorization", &format!("Bearer {token}"))], b"").expect("an answer")
    };
    assert_eq!(admin("/metrics", ADMIN_TOKEN).status, 200);
    for path in ["/metrics", "/health"] {
        hear(path, admin(path, ADMIN_TOKEN));
        hear(path, admin(path, BEARER));
    }
    let command_line =
        std::fs::read(format!("/proc/{}/cmdline", process.pid().as_raw_nonzero())).expect("it runs");
    said.hear("the command line", String::from_utf8_lossy(&command_line).into_owned());
    let finished = process.close();
    finished.assert_code(0);
    said.hear("standard output", finished.stdout);
    said.hear("standard error", finished.stderr);
    found_out.extend([token, tracking]);
    found_out
}

#[test]
fn secrets_are_in_no_output_no_answer_and_no_file() {
    for is_in_files in [false, true] {
        let mut premises = Premises::furnished().set("LOG_LEVEL", "trace").set("ADMIN_PORT", "0");
        let secrets = tempfile::tempdir().expect("a temporary folder");
        let settings = [
            ("JWT_SECRET_KEY", "JWT_SECRET_KEY_FILE", KEY),
            ("JWT_PREVIOUS_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEY_FILE", PREVIOUS_KEY),
            ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE", ADMIN_TOKEN),
        ];
        for (name, name_of_file, secret) in settings {
            if is_in_files {
                let path = secrets.path().join(name);
                std::fs::write(&path, secret).expect("the folder is ours");
                premises = premises.unset(name).set(name_of_file, path.display().to_string());
            } else {
                premises = premises.set(name, secret);
            }
        }
        let mut said = Said::default();
        let hire = [
            "admin",
            "create-user",
            "--username",
            "chef@example.com",
            "--name",
            "Luigi",
            "--role",
            "chef",
            "--password-stdin",
        ];
        for _ in 0..2 {
            let hired = premises.run_with_line(&hire, PASSWORD);
            said.hear("create-user", format!("{}{}", hired.stdout, hired.stderr));
        }
        let found_out = use_everything(&premises, &mut said);
        for arguments in [
            &["config"][..],
            &["config", "--json"],
            &["config", "--check"],
            &["config", "--template"],
            &["describe"],
            &["describe", "--json"],
            &["openapi"],
            &["admin", "migrate"],
        ] {
            let finished = premises.run(arguments);
            said.hear(&arguments.join(" "), format!("{}{}", finished.stdout, finished.stderr));
        }
        let broken = premises.set("PORT", "no port");
        let finished = broken.run(&["web"]);
        finished.assert_code(78);
        said.hear("the boot report", format!("{}{}", finished.stdout, finished.stderr));
        for entry in std::fs::read_dir(broken.path(".")).expect("the folder is ours") {
            let path = entry.expect("an entry").path();
            let content = std::fs::read(&path).expect("the file is ours");
            let mut content = String::from_utf8_lossy(&content).into_owned();
            if path.to_string_lossy().contains("pizzeria.db") {
                // The answer of an idempotency key is kept whole for a day, and a guest's token is part of it.
                content = content.replace(found_out.last().expect("the guest's token"), "");
            }
            said.hear(&path.display().to_string(), content);
        }
        let mut searched = CANARIES.map(str::to_owned).to_vec();
        searched.extend(found_out);
        said.assert_without(&searched);
    }
}

/// A generated password is shown once, on standard output, and nowhere else.
#[test]
fn a_generated_password_is_printed_once() {
    let premises = Premises::furnished().set("LOG_LEVEL", "trace");
    let hired = premises.run(&[
        "admin",
        "create-user",
        "--username",
        "chef@example.com",
        "--name",
        "Luigi",
        "--role",
        "chef",
    ]);
    hired.assert_code(0);
    let password =
        hired.stdout.lines().find_map(|line| line.strip_prefix("password: ")).expect("a password").to_owned();
    assert_eq!(hired.stdout.matches(&password).count(), 1);
    assert!(!hired.stderr.contains(&password));
    let process = premises.open();
    process.log_in("chef@example.com", &password);
    assert!(!process.close().stdout.contains(&password));
}
