//! Canaries in every secret, and a search of everything that the process says or leaves behind.

use serde_json::Value;

use super::{Answer, Client, Premises, eventually, guest_order};

const ADMIN_TOKEN: &str = "CANARYadmintokenC3g8Pz6Ry";
const PASSWORD: &str = "CANARYpasswordD5-horse-battery";
const WRONG_PASSWORD: &str = "CANARYwrongE2-horse-battery";
const BEARER: &str = "CANARYbearerF1.eyJhbGciOiJub25lIn0.x";
const TRACKING: &str = "CANARYtrackingG4";
const COOKIE: &str = "CANARYcookieH6";

/// What strangers show.
const SHOWN: [&str; 5] = [PASSWORD, WRONG_PASSWORD, BEARER, TRACKING, COOKIE];

/// Every secret setting, and what it is in this test; a webhook key is searched for by what follows `whsec_`.
const SECRETS: [(&str, &str, &str); 8] = [
    ("JWT_SECRET_KEY", "JWT_SECRET_KEY_FILE", "CANARYjwtkeyA9f2Lx7QpW4vZ8mK3tR6yN1cB5"),
    ("JWT_PREVIOUS_SECRET_KEY", "JWT_PREVIOUS_SECRET_KEY_FILE", "CANARYjwtprevB7d1Hs5GjU2eX9oI4aT8wM6kV"),
    ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE", ADMIN_TOKEN),
    ("PAYMENT_API_KEY", "PAYMENT_API_KEY_FILE", "CANARYpaymentapiI2s7Vk4"),
    ("PAYMENT_WEBHOOK_KEY", "PAYMENT_WEBHOOK_KEY_FILE", "whsec_CANARYpaymentwebhookJ5q8Zt3L"),
    ("EVENT_BUS_SIGNING_KEY", "EVENT_BUS_SIGNING_KEY_FILE", "whsec_CANARYeventbussigningK7w2Rpx"),
    ("EVENT_INGEST_KEY", "EVENT_INGEST_KEY_FILE", "whsec_CANARYeventingestkeyL4n9XcAb"),
    ("EVENT_INGEST_PREVIOUS_KEY", "EVENT_INGEST_PREVIOUS_KEY_FILE", "whsec_CANARYingestpreviousM8h1BdQz"),
];

/// Addresses with a password in them, at a port where nobody answers.
const ADDRESSES: [(&str, &str); 5] = [
    ("DATABASE_URL", "postgres://mario:CANARYpostgresN3@127.0.0.1:9/shop"),
    ("DATABASE_URL", "mongodb://mario:CANARYmongodbO6@127.0.0.1:9/shop"),
    ("CACHE_URL", "redis://mario:CANARYcacheP2@127.0.0.1:9"),
    ("EVENT_BUS_URL", "amqp://mario:CANARYbusQ5@127.0.0.1:9"),
    ("SMTP_URL", "smtp://mario:CANARYmailR1@127.0.0.1:9"),
];

/// Addresses that may have no password.
const OPEN_ADDRESSES: [&str; 3] = ["PAYMENT_URL", "AUTH_ISSUER", "AUTH_JWKS_URL"];

/// The password in an address.
fn password_in(address: &str) -> &str {
    let after = address.split_once("mario:").expect("a user").1;
    after.split_once('@').expect("a host").0
}

/// All that nobody may say.
fn canaries() -> Vec<String> {
    let keys = SECRETS.iter().map(|(.., key)| key.strip_prefix("whsec_").unwrap_or(key));
    let passwords = ADDRESSES.iter().map(|(_, address)| password_in(address));
    keys.chain(passwords).chain(SHOWN).map(str::to_owned).collect()
}

/// Checks that there is a canary in every setting that is secret, or an address that may have a password.
#[track_caller]
fn assert_all_are_planted(config: &Value) {
    let variables = config["variables"].as_array().expect("a list");
    let names = |wanted: &dyn Fn(&Value) -> bool| -> Vec<&str> {
        let found = variables.iter().filter(|variable| wanted(variable));
        found.filter_map(|variable| variable["name"].as_str()).collect()
    };
    let secret = names(&|variable| variable["secret"] == true);
    let unplanted: Vec<_> =
        secret.iter().filter(|name| !SECRETS.iter().any(|(known, ..)| known == *name)).collect();
    assert!(!secret.is_empty() && unplanted.is_empty(), "secret settings without a canary: {unplanted:?}");
    let addresses = names(&|variable| variable["type"].as_str().is_some_and(|known| known.contains("URL")));
    let is_planted =
        |name: &&str| ADDRESSES.iter().any(|(known, _)| known == name) || OPEN_ADDRESSES.contains(name);
    let unplanted: Vec<_> = addresses.iter().filter(|name| !is_planted(name)).collect();
    assert!(!addresses.is_empty() && unplanted.is_empty(), "addresses without a canary: {unplanted:?}");
}

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
fn use_everything(premises: &Premises, has_sessions: bool, said: &mut Said) -> Vec<String> {
    let mut found_out = Vec::new();
    let process = premises.open_as("all");
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
    let body = serde_json::json!({"username": "chef@example.com", "password": PASSWORD});
    let session = process.post("/api/v1/auth/session", &[], &body);
    let session = if has_sessions {
        assert_eq!(session.status, 204, "{}", session.text());
        let cookie = session.header("set-cookie").expect("a cookie");
        cookie.split(['=', ';']).nth(1).expect("its value").to_owned()
    } else {
        assert_eq!(session.status, 503, "{}", session.text());
        hear("a session that cannot be kept", session);
        COOKIE.to_owned()
    };
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
    let mut by_card = guest_order("+1 555 0101", "");
    by_card["payment_method"] = "credit_card".into();
    by_card["payment_source"] = "tok_visa".into();
    let placed = process.post("/api/v1/orders", &[], &by_card);
    assert_eq!(placed.status, 201, "{}", placed.text());
    let tracking_of_card = placed.json()["tracking_token"].as_str().expect("a guest's token").to_owned();
    let bearer = format!("Bearer {token}");
    let bad_bearer = format!("Bearer {BEARER}");
    let basic = format!("Basic {PASSWORD}");
    let cookie = format!("__Host-session={COOKIE}");
    let own_cookie = format!("__Host-session={session}");
    for headers in [
        [("x-tracking-token", tracking.as_str())],
        [("x-tracking-token", TRACKING)],
        [("authorization", &bearer)],
        [("authorization", &bad_bearer)],
        [("authorization", &basic)],
        [("cookie", &cookie)],
        [("cookie", &own_cookie)],
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
    // Everything that the settings name was asked for, in vain.
    eventually("the gateway is called", || {
        let metrics = admin("/metrics", ADMIN_TOKEN).text();
        metrics.lines().find(|line| line.starts_with("service_calls") && line.contains("failed")).map(drop)
    });
    process.wait_for_line("the bus is away", |line| {
        line["message"] == "messages did not arrive; they are sent again"
    });
    for path in ["/events/ingest", "/api/v1/payments/webhook"] {
        let headers = [("webhook-id", "m-1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")];
        let answer = process.post(path, &headers, &serde_json::json!({}));
        assert_eq!(answer.status, 401, "{}", answer.text());
        hear(path, answer);
    }
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
    found_out.extend([token, session, tracking, tracking_of_card]);
    found_out
}

#[test]
fn secrets_are_in_no_output_no_answer_and_no_file() {
    for is_in_files in [false, true] {
        let mut premises = Premises::furnished().set("LOG_LEVEL", "trace").set("ADMIN_PORT", "0");
        premises = premises.set("PAYMENT_URL", "http://127.0.0.1:9");
        let secrets = tempfile::tempdir().expect("a temporary folder");
        for (name, name_of_file, secret) in SECRETS {
            if is_in_files {
                let path = secrets.path().join(name);
                std::fs::write(&path, secret).expect("the folder is ours");
                premises = premises.unset(name).set(name_of_file, path.display().to_string());
            } else {
                premises = premises.set(name, secret);
            }
        }
        for (name, address) in ADDRESSES.into_iter().filter(|(name, _)| *name != "DATABASE_URL") {
            premises = premises.set(name, address);
        }
        // Once with a cache that is away, and once with sessions in the store and a sink that is signed for.
        if is_in_files {
            premises = premises.unset("CACHE_URL").set("EVENT_BUS_URL", "http://127.0.0.1:9/events");
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
        let found_out = use_everything(&premises, is_in_files, &mut said);
        assert_all_are_planted(&premises.run(&["config", "--json"]).json());
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
        let mut broken = premises.clone().set("PORT", "no port");
        for (name, address) in ADDRESSES {
            broken = broken.set(name, address.replace(":9", ":none"));
        }
        let finished = broken.run(&["web"]);
        finished.assert_code(78);
        said.hear("the boot report", format!("{}{}", finished.stdout, finished.stderr));
        for (_, address) in ADDRESSES.into_iter().filter(|(name, _)| *name == "DATABASE_URL") {
            let away = premises.clone().set("DATABASE_URL", address).set("STARTUP_TIMEOUT", "2s");
            for arguments in
                [&["config"][..], &["config", "--json"], &["describe"], &["all"], &["admin", "migrate"]]
            {
                let finished = away.run(arguments);
                said.hear(
                    &format!("{arguments:?} at {address}"),
                    format!("{}{}", finished.stdout, finished.stderr),
                );
            }
        }
        for entry in std::fs::read_dir(broken.path(".")).expect("the folder is ours") {
            let path = entry.expect("an entry").path();
            let content = std::fs::read(&path).expect("the file is ours");
            let mut content = String::from_utf8_lossy(&content).into_owned();
            if path.to_string_lossy().contains("pizzeria.db") {
                // The answer of an idempotency key is kept whole for a day, and a guest's token is part of it.
                content = content.replace(&found_out[2], "");
            }
            said.hear(&path.display().to_string(), content);
        }
        let mut searched = canaries();
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
