//! Commands that tell: `config`, `describe`, `openapi`; and deploys that are compared.

use serde_json::Value;

use super::{Premises, SIGNING_KEY};

#[test]
fn config_shows_every_setting_with_its_source_and_no_secret() {
    let premises = Premises::new().set("KITCHEN_CAPACITY", "7");
    let shown = premises.run(&["config"]);
    shown.assert_code(0);
    let row = |name: &str| {
        let is_row = |line: &&str| line.split_whitespace().next() == Some(name);
        let row = shown.stdout.lines().find(is_row).unwrap_or_else(|| panic!("no {name}: {}", shown.stdout));
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("KITCHEN_CAPACITY")[1..3], ["7", "environment"]);
    assert_eq!(row("SHUTDOWN_TIMEOUT")[1..3], ["30s", "default"]);
    assert_eq!(row("JWT_SECRET_KEY")[1..3], ["<redacted>", "environment"]);
    assert_eq!(row("ADMIN_PORT")[1..4], ["-", "not", "set"]);

    let json = premises.run(&["config", "--json"]);
    json.assert_code(0);
    json.json();
    let checked = premises.run(&["config", "--check"]);
    assert_eq!(checked.assert_code(0).stdout, "");
    for finished in [&shown, &json, &checked] {
        assert!(!format!("{}{}", finished.stdout, finished.stderr).contains(SIGNING_KEY));
    }
}

#[test]
fn config_shows_what_there_is_also_when_something_is_wrong() {
    let premises = Premises::new().unset("DATABASE_URL").set("KITCHEN_CAPACITY", "7");
    for arguments in [&["config"][..], &["config", "--json"]] {
        let shown = premises.run(arguments);
        shown.assert_code(78);
        assert!(shown.stdout.contains("KITCHEN_CAPACITY"), "{}", shown.stdout);
        assert!(shown.stderr.contains("DATABASE_URL"), "{}", shown.stderr);
    }
}

#[test]
fn a_password_in_an_address_is_not_shown() {
    let premises = Premises::new().set("DATABASE_URL", "sqlite://mario:Gorgonzola7@/tmp/pizzeria.db");
    for arguments in [&["config"][..], &["config", "--json"], &["config", "--check"], &["describe"], &["web"]]
    {
        let finished = premises.run(arguments);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!said.contains("Gorgonzola7"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_template_needs_no_environment_and_can_be_filled_in() {
    let bare =
        Premises::new().unset("DATABASE_URL").unset("JWT_SECRET_KEY").unset("PORT").unset("SERVER_HOST");
    let template = bare.run(&["config", "--template"]);
    template.assert_code(0);
    assert_eq!(template.stdout, Premises::new().run(&["config", "--template"]).stdout, "always the same");
    let required: Vec<_> =
        template.stdout.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(required, ["DATABASE_URL=sqlite://app.db", "JWT_SECRET_KEY="]);
    assert!(template.stdout.contains("#SHUTDOWN_TIMEOUT=30s"), "{}", template.stdout);
    assert!(!template.stdout.contains('<'), "an example is a value that can be used: {}", template.stdout);
}

#[test]
fn describe_and_openapi_need_no_environment() {
    let bare =
        Premises::new().unset("DATABASE_URL").unset("JWT_SECRET_KEY").unset("PORT").unset("SERVER_HOST");
    for premises in [&bare, &Premises::new()] {
        let text = premises.run(&["describe"]);
        text.assert_code(0);
        for part in ["messages", "routes", "admin commands", "migrations", "settings", "PlaceOrderHandler"] {
            assert!(text.stdout.contains(part), "no {part}: {}", text.stdout);
        }
        let described = premises.run(&["describe", "--json"]);
        let described = described.assert_code(0).json();
        let routes = described["routes"].as_array().expect("a list");
        let has_policy = |route: &Value| route["policy"].as_str().is_some_and(|policy| !policy.is_empty());
        assert!(routes.len() > 20 && routes.iter().all(has_policy), "{routes:?}");

        let document = premises.run(&["openapi"]);
        let document = document.assert_code(0).json();
        assert!(
            document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")),
            "{document}"
        );
        assert!(document["paths"]["/api/v1/orders"]["post"].is_object());
    }
    let services = Premises::new().run(&["describe", "--json"]).json()["services"].clone();
    assert!(services.as_array().is_some_and(|services| services.len() > 10), "{services}");
}

#[test]
fn what_is_described_is_what_is_served() {
    let premises = Premises::furnished();
    let printed = premises.run(&["openapi"]).json();
    let process = premises.open();
    assert_eq!(process.get("/openapi.json").json(), printed);
    process.close().assert_code(0);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let premises = Premises::new();
    let mut command = premises.command(&["config", "--template"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let finished = super::Process::spawn(command.stdout(writer)).end_within(super::PATIENCE);
    finished.assert_code(1);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn the_name_of_the_environment_switches_nothing() {
    let told = |name: &str, arguments: &[&str]| {
        let premises =
            Premises::new().set("ENVIRONMENT", name).set("DATABASE_URL", "memory:").set("ADMIN_PORT", "0");
        let finished = premises.run(arguments);
        finished.assert_code(0);
        finished.stdout.replace(name, "NAME")
    };
    for arguments in [&["config", "--json"][..], &["describe", "--json"], &["openapi"]] {
        assert_eq!(told("local-1", arguments), told("a-prod1", arguments), "{arguments:?}");
    }
}

#[test]
fn a_file_of_variables_in_the_folder_is_not_read() {
    let premises = Premises::new().unset("JWT_SECRET_KEY");
    let variables = format!("JWT_SECRET_KEY={SIGNING_KEY}\nKITCHEN_CAPACITY=987654321\n");
    std::fs::write(premises.path(".env"), variables).expect("the folder is ours");
    let shown = premises.run(&["config", "--json"]);
    shown.assert_code(78);
    assert!(shown.stderr.contains("JWT_SECRET_KEY"), "{}", shown.stderr);
    assert!(!shown.stdout.contains("987654321"), "{}", shown.stdout);
}

/// Writes down what a deploy sets.
fn deploy(premises: &Premises, name: &str, text: &str) {
    let folder = premises.path(name);
    std::fs::create_dir(&folder).expect("the folder is ours");
    std::fs::write(folder.join("app.env"), text).expect("the folder is ours");
}

#[test]
fn deploys_that_attach_something_else_are_told_apart_by_the_exit_code() {
    let premises = Premises::new();
    deploy(&premises, "dev", "DATABASE_URL=sqlite://dev.db\nPORT=8000\n");
    deploy(&premises, "test", "DATABASE_URL=sqlite:///srv/pizzeria.db\nPORT=80\n");
    deploy(&premises, "production", "DATABASE_URL=postgres://mario@db/pizzeria\n");
    let alike = premises.run(&["config", "--parity", "dev", "test"]);
    assert!(alike.assert_code(0).stdout.contains("nothing that matters differs"), "{}", alike.stdout);
    let other = premises.run(&["config", "--json", "--parity", "dev", "test", "production"]);
    let told: serde_json::Value = serde_json::from_str(&other.assert_code(1).stdout).expect("JSON");
    let first = &told["differences"][0];
    assert_eq!((&first["at"], &first["code"]), (&"DATABASE_URL".into(), &"parity.kind".into()));
    assert_eq!(first["values"], serde_json::json!(["sqlite", "sqlite", "postgres"]));
    let missing = premises.run(&["config", "--parity", "dev", "staging"]);
    assert!(missing.assert_code(64).stderr.contains("there is no staging"), "{}", missing.stderr);
}

#[test]
fn a_gateway_that_nobody_listens_to_is_a_warning_at_the_check_and_at_the_start() {
    let nobody = Premises::furnished();
    let deaf = nobody.clone().set("PAYMENT_URL", "https://127.0.0.1:9");
    let deaf = deaf.set("PAYMENT_API_KEY", "Wx7pQ2vT9mLk");
    let heard = deaf.clone().set("PAYMENT_WEBHOOK_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let what = "the gateway's webhooks are refused";
    for (premises, warns) in [(&nobody, false), (&deaf, true), (&heard, false)] {
        let checked = premises.run(&["config", "--check"]);
        assert_eq!(checked.assert_code(0).stderr.contains(what), warns, "{}", checked.stderr);
    }
    let process = deaf.open();
    let is_of_it = |line: &Value| line.to_string().contains(what);
    let warning = process.wait_for_line("warning", is_of_it);
    assert_eq!(warning["level"], "WARN", "{warning}");
    process.close().assert_code(0);
}

#[test]
fn what_weakens_a_deploy_is_a_warning_at_its_check_and_at_its_start() {
    let premises = Premises::furnished().set("REPLICAS", "3");
    let checked = premises.run(&["config", "--check"]);
    assert!(checked.assert_code(0).stderr.contains("not shared by 3 processes"), "{}", checked.stderr);
    let process = premises.open();
    let warning = process.wait_for_line("warning", |line| line["level"] == "WARN");
    assert!(warning.to_string().contains("not shared by 3 processes"), "{warning}");
    process.close().assert_code(0);
}
