//! Deploys that are judged, and deploys that are compared.

use std::env;
use std::process::{Command, Output};

use neuroglia::auth::IssuerSettings;
use neuroglia::parity::{Comparison, EnvironmentValidator};
use neuroglia::settings::{Deploy, Environment, Schema, Secret, Settings, Warning};
use serde_json::Value;
use url::Url;

#[derive(Settings)]
#[expect(dead_code, reason = "only their declarations are of interest")]
struct ShopSettings {
    /// Where orders are kept.
    database_url: Url,
    /// Where copies are kept.
    #[setting(default = "memory:")]
    cache_url: Url,
    /// Who sends mail.
    smtp_url: Option<Url>,
    /// What tokens are signed with.
    signing_key: Secret<String>,
    /// How many ovens there are.
    #[setting(default = "3")]
    ovens: u32,
    /// How many processes there are.
    replicas: Option<u32>,
}

fn deploy(pairs: &[(&str, &str)]) -> Deploy {
    Deploy::of(&Schema::of::<ShopSettings>(), &Environment::from_pairs(pairs.iter().copied()))
}

fn codes(pairs: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let warnings = EnvironmentValidator::default().validate(&deploy(pairs));
    warnings.into_iter().map(|warning| (warning.code, warning.at)).collect()
}

#[test]
fn what_weakens_a_deploy_is_found() {
    assert_eq!(codes(&[("DATABASE_URL", "memory:")]), [("parity.forgotten", "DATABASE_URL".to_owned())]);
    let alone = codes(&[("DATABASE_URL", "sqlite://shop.db"), ("REPLICAS", "2")]);
    let at = |name: &str| ("parity.alone", format!("{name} and REPLICAS"));
    assert_eq!(alone, [at("DATABASE_URL"), at("CACHE_URL")]);
    assert_eq!(codes(&[("DATABASE_URL", "sqlite://shop.db"), ("REPLICAS", "1")]), []);
}

#[test]
fn what_runs_on_another_kind_elsewhere_is_found_where_that_is_said() {
    let found = |url: (&str, &str)| {
        let parity = EnvironmentValidator::default().expects("DATABASE_URL", "postgres");
        let warnings = parity.validate(&deploy(&[url]));
        warnings.into_iter().map(|warning| warning.what).collect::<Vec<_>>()
    };
    let what = "`DATABASE_URL` is sqlite here and postgres where it counts";
    assert_eq!(found(("DATABASE_URL", "sqlite://shop.db")), [what]);
    assert_eq!(found(("DATABASE_URL", "postgresql://mario@localhost/shop")), [""; 0]);
    assert_eq!(found(("DATABASE_URL_FILE", "/run/secrets/database_url")), [""; 0]);
    assert_eq!(
        found(("SMTP_URL", "smtp://localhost")),
        ["`DATABASE_URL` is not set here and postgres where it counts"]
    );
}

#[test]
fn what_is_in_a_file_elsewhere_is_not_the_default() {
    let deploy =
        deploy(&[("CACHE_URL_FILE", "/run/secrets/cache_url"), ("CACHE_URL_VERSION", "redis 7.0.15")]);
    let cache = deploy.setting("CACHE_URL").expect("it is declared");
    assert_eq!((cache.is_set(), cache.text()), (true, None));
}

#[derive(Settings)]
#[expect(dead_code, reason = "only their declarations are of interest")]
struct HostSettings {
    /// Who is believed for whom they ask.
    #[setting(default = "")]
    http_trusted_proxies: Vec<String>,
    /// How many processes there are.
    replicas: Option<u32>,
}

#[test]
fn a_gateway_that_nobody_believes_is_found_where_there_must_be_one() {
    let codes = |pairs: &[(&str, &str)]| -> Vec<&str> {
        let pairs = pairs.iter().copied();
        let deploy = Deploy::of(&Schema::of::<HostSettings>(), &Environment::from_pairs(pairs));
        let warnings = EnvironmentValidator::default().validate(&deploy);
        warnings.into_iter().map(|warning| warning.code).collect()
    };
    let proxies = |networks| ("HTTP_TRUSTED_PROXIES", networks);
    assert_eq!(codes(&[("REPLICAS", "2")]), ["parity.one_face"]);
    assert_eq!(codes(&[("REPLICAS", "2"), proxies("")]), ["parity.one_face"]);
    assert_eq!(codes(&[("REPLICAS", "2"), proxies("10.0.0.0/8")]), [""; 0]);
    assert_eq!(codes(&[("REPLICAS", "2"), ("HTTP_TRUSTED_PROXIES_FILE", "/run/proxies")]), [""; 0]);
    assert_eq!(codes(&[]), [""; 0]);
}

#[test]
fn what_others_can_read_is_found_unless_it_stays_on_the_machine() {
    let plain =
        |url: &str| codes(&[("DATABASE_URL", url)]) == [("parity.plain_text", "DATABASE_URL".to_owned())];
    for url in [
        "postgres://mario@db/shop",
        "postgres://mario@db/shop?sslmode=prefer",
        "mongodb://db/shop",
        "redis://10.0.0.7",
        "amqp://bus",
        "smtp://mail",
        "smtp://mail?tls=opportunistic",
        "http://pay.example",
    ] {
        assert!(plain(url), "{url}");
    }
    for url in [
        "postgres://mario@db/shop?sslmode=verify-full",
        "postgres://mario@127.0.0.1/shop",
        "postgres://mario@[::1]/shop",
        "redis://localhost",
        "rediss://cache",
        "mongodb://db/shop?tls=true",
        "smtp://mail?tls=required",
        "smtp://pizzeria:k7Pq2mWx9T@mail",
        "smtps://mail",
        "https://pay.example",
        "sqlite:///srv/shop.db",
    ] {
        assert!(!plain(url), "{url}");
    }
}

#[derive(Settings)]
#[expect(dead_code, reason = "only their declarations are of interest")]
struct OutsideSettings {
    /// Whose tokens are accepted.
    #[setting(section)]
    auth: Option<IssuerSettings>,
    /// The host of a server that sends mail.
    email_smtp_host: Option<String>,
}

fn outside(pairs: &[(&str, &str)]) -> Deploy {
    Deploy::of(&Schema::of::<OutsideSettings>(), &Environment::from_pairs(pairs.iter().copied()))
}

#[test]
fn what_is_attached_by_another_text_than_a_plain_url_is_judged_like_one() {
    let plain = |pairs: &[(&str, &str)]| -> Vec<String> {
        let warnings = EnvironmentValidator::default().validate(&outside(pairs));
        assert!(warnings.iter().all(|warning| warning.code == "parity.plain_text"), "{warnings:?}");
        warnings.into_iter().map(|warning| warning.at).collect()
    };
    assert_eq!(plain(&[("AUTH_ISSUER", "http://id.example")]), ["AUTH_ISSUER"]);
    assert_eq!(plain(&[("EMAIL_SMTP_HOST", "mail.example")]), ["EMAIL_SMTP_HOST"]);
    for local in ["localhost", "127.0.0.1", "[::1]"] {
        let issuer = format!("http://{local}:8080");
        assert_eq!(plain(&[("AUTH_ISSUER", &issuer), ("EMAIL_SMTP_HOST", local)]), [""; 0], "{local}");
    }
    assert_eq!(plain(&[("AUTH_ISSUER", "https://id.example")]), [""; 0]);
}

#[test]
fn what_is_attached_by_another_text_than_a_plain_url_is_compared_like_one() {
    let compared = |one: &[(&str, &str)], other: &[(&str, &str)]| {
        let deploys = [("dev".to_owned(), outside(one)), ("production".to_owned(), outside(other))];
        EnvironmentValidator::default().compare(&deploys)
    };
    let (issuer, host) = (("AUTH_ISSUER", "http://localhost:8080"), ("EMAIL_SMTP_HOST", "localhost"));
    let comparison = compared(&[issuer, host], &[]);
    let expected = [("parity.kind", "AUTH_ISSUER", true), ("parity.kind", "EMAIL_SMTP_HOST", true)];
    assert_eq!(found(&comparison), expected);
    assert_eq!(comparison.differences[0].values, ["http", "not set"]);
    assert_eq!(comparison.differences[1].values, ["smtp", "not set"]);
    let elsewhere = [("AUTH_ISSUER", "https://id.example"), ("EMAIL_SMTP_HOST", "mail.example")];
    assert_eq!(found(&compared(&[issuer, host], &elsewhere)), []);
}

#[test]
fn a_password_that_everybody_knows_is_found_and_not_shown() {
    for url in ["amqps://guest:guest@bus", "rediss://cache:cache@cache", "rediss://:changeme@cache"] {
        let warnings = EnvironmentValidator::default().validate(&deploy(&[("CACHE_URL", url)]));
        assert_eq!(
            warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(),
            ["parity.default_credentials"]
        );
        assert!(!format!("{warnings:?}").contains("changeme"), "{warnings:?}");
    }
    assert_eq!(codes(&[("CACHE_URL", "rediss://:tX8vQ2mK5wR9zB4nL7cJ@cache")]), []);
}

fn compared(validator: &EnvironmentValidator, deploys: &[&[(&str, &str)]]) -> Comparison {
    let names = ["dev", "staging", "production"];
    let deploys: Vec<_> =
        names.iter().zip(deploys).map(|(name, pairs)| ((*name).to_owned(), deploy(pairs))).collect();
    validator.compare(&deploys)
}

fn found(comparison: &Comparison) -> Vec<(&str, &str, bool)> {
    let differences = comparison.differences.iter();
    differences.map(|of| (of.code, of.at.as_str(), of.matters)).collect()
}

#[test]
fn another_kind_or_version_of_a_server_matters_and_a_number_does_not() {
    let comparison = compared(
        &EnvironmentValidator::default(),
        &[
            &[("DATABASE_URL", "sqlite://shop.db"), ("OVENS", "1")],
            &[("DATABASE_URL", "postgres://db/shop"), ("CACHE_URL", "rediss://cache")],
        ],
    );
    let expected = [
        ("parity.kind", "DATABASE_URL", true),
        ("parity.kind", "CACHE_URL", true),
        ("parity.value", "OVENS", false),
    ];
    assert_eq!(found(&comparison), expected);
    assert!(comparison.matters());
    assert_eq!(comparison.differences[0].values, ["sqlite", "postgres"]);

    let old = ("DATABASE_VERSION", "postgres 14");
    let versions = compared(
        &EnvironmentValidator::default(),
        &[
            &[("DATABASE_URL", "postgres://one/shop"), old],
            &[("DATABASE_URL", "postgresql://two/shop?sslmode=require"), old],
            &[("DATABASE_URL_FILE", "/nowhere/url"), ("DATABASE_VERSION", "postgres 15")],
        ],
    );
    assert_eq!(found(&versions), [("parity.version", "DATABASE_URL", true)]);
    assert_eq!(versions.differences[0].values, ["14", "14", "15"]);

    let same = &[("DATABASE_URL", "postgres://one/shop")][..];
    assert!(!compared(&EnvironmentValidator::default(), &[same, same]).matters());
    let hidden = &[("DATABASE_URL_FILE", "/nowhere/url")][..];
    assert_eq!(
        found(&compared(&EnvironmentValidator::default(), &[same, hidden])),
        [("parity.unknown", "DATABASE_URL", true)]
    );
    let one_sided =
        compared(&EnvironmentValidator::default(), &[same, &[same[0], ("SMTP_URL", "smtps://mail")]]);
    assert_eq!(found(&one_sided), [("parity.kind", "SMTP_URL", true)]);
}

#[test]
fn a_secret_has_no_place_in_a_deploy_and_is_not_shown() {
    let key = "tX8vQ2mK5wR9zB4nL7cJ1hG6fD3sP0yA";
    let url = format!("postgres://mario:{key}@db/shop");
    let accepting = EnvironmentValidator::default().accept("DATABASE_URL", "each has a server of its own");
    for validator in [EnvironmentValidator::default(), accepting] {
        let open = [("DATABASE_URL", "postgres://mario@db/shop"), ("SIGNING_KEY", key)];
        let comparison = compared(&validator, &[&[("DATABASE_URL", &url)], &open]);
        assert_eq!(
            found(&comparison),
            [("parity.secret", "DATABASE_URL", true), ("parity.secret", "SIGNING_KEY", true)]
        );
        assert!(!comparison.to_string().contains(key), "{comparison}");
    }
}

#[test]
fn an_application_adds_rules_and_says_what_it_accepts() {
    let few_ovens = |deploy: &Deploy| -> Vec<Warning> {
        let ovens = deploy.text("OVENS").and_then(|text| text.parse::<u32>().ok());
        let warning = Warning {
            code: "ovens.few",
            what: "there are few ovens".to_owned(),
            at: "OVENS".to_owned(),
            fix: "build another".to_owned(),
        };
        if ovens < Some(2) { vec![warning] } else { Vec::new() }
    };
    let validator = EnvironmentValidator::default()
        .rule(few_ovens)
        .accept("CACHE_URL", "a laptop needs no server for it");
    let dev = &[("DATABASE_URL", "postgres://127.0.0.1/shop"), ("OVENS", "1")][..];
    assert_eq!(validator.validate(&deploy(dev)).len(), 1);
    let production =
        &[("DATABASE_URL", "postgres://db/shop"), ("CACHE_URL", "rediss://cache"), ("OVENS", "1")][..];
    let comparison = compared(&validator, &[dev, production]);
    assert_eq!(found(&comparison), [("parity.kind", "CACHE_URL", false)]);
    assert!(
        !comparison.matters() && comparison.to_string().contains("a laptop needs no server"),
        "{comparison}"
    );
}

/// Runs the example `hosted_roles`, whose application has a rule, to its end.
fn on_stage(role: &str, arguments: &[&str]) -> Output {
    let deps = env::current_exe().expect("this executable");
    let profile = deps.ancestors().nth(2).expect("a test executable lies in deps of its profile");
    let mut command = Command::new(profile.join("examples/hosted_roles"));
    command.args(arguments).env_clear();
    command.envs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1"), ("ROLE", role)]);
    command.output().expect("cargo builds the examples with the tests")
}

#[test]
fn the_rules_of_an_application_judge_its_deploy_when_it_is_checked() {
    let judged = |role: &str| {
        let checked = on_stage(role, &["config", "--check"]);
        assert_eq!(checked.status.code(), Some(0), "a warning keeps nobody from starting");
        String::from_utf8(checked.stderr).expect("text")
    };
    let told = "warning: the second service does not play an orderly role (ROLE); leave it at its default";
    assert!(judged("fails").contains(told), "{}", judged("fails"));
    assert_eq!(judged("orderly"), "");
}

#[test]
fn the_rules_of_an_application_judge_its_deploy_at_the_start() {
    let started = on_stage("fails", &["web"]);
    assert_eq!(started.status.code(), Some(1), "the second service has failed");
    let log = String::from_utf8(started.stdout).expect("text");
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let warning = lines.find(|line| line["level"] == "WARN").expect("a warning");
    assert_eq!(warning["message"], "the second service does not play an orderly role");
    assert_eq!((&warning["code"], &warning["setting"]), (&"stage.disorder".into(), &"ROLE".into()));
}
