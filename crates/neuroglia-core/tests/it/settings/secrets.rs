//! Secrets are in no fault, no table, no template and no `Debug` text.

use std::str::FromStr;

use neuroglia::settings::{Environment, Report, Schema, Secret, Settings};
use proptest::prelude::*;
use url::Url;

use super::pizzeria::*;

/// A key whose parser quotes what it was given.
struct Key;

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("{text} is not a key, nor is {text:?}"))
    }
}

#[derive(Settings)]
#[expect(dead_code, reason = "only its report is looked at")]
struct Canaries {
    key: Secret<Key>,
    #[setting(min_bytes = 64)]
    short: Secret<String>,
    #[setting(check = quoting)]
    checked: Secret<String>,
    #[setting(check = quoting)]
    tiny: Secret<String>,
    keys: Vec<Secret<Key>>,
    fine: Secret<String>,
    from_file: Secret<String>,
    misplaced: Secret<String>,
    weak: Secret<String>,
    #[setting(check = no_url)]
    url: Url,
    broken_url: Url,
    dsn: Oven,
    fine_dsn: String,
    fine_url: Url,
    fine_urls: Vec<Url>,
}

fn quoting(secret: &Secret<String>) -> Result<(), String> {
    Err(format!("{} and {:?} will not do", secret.expose(), secret.expose()))
}

fn no_url(url: &Url) -> Result<(), String> {
    Err(format!("{url} will not do, because of {}", url.password().unwrap_or_default()))
}

#[test]
fn no_secret_is_in_any_text() {
    let pairs = [
        ("KEY", "canary-01"),
        ("SHORT", "canary-02"),
        ("CHECKED", "canary-03\"\\"),
        ("TINY", "c04\n"),
        ("KEYS", "canary-05,canary-06"),
        ("FINE", "canary-07"),
        ("FROM_FILE_FILE", "/run/secrets/file"),
        ("MISPLACED_FILE", "canary-09"),
        ("WEAK", "canary-canary-canary-"),
        ("URL", "https://canary-11:canary-12@host/"),
        ("BROKEN_URL", "postgres//canary-13:canary-14@host"),
        ("DSN", "mysql://u:canary-15@host"),
        ("FINE_DSN", "host=db password=canary-16"),
        ("FINE_URL", "https://canary-17:canary-18@host/?token=canary-19"),
        ("FINE_URLS", "https://canary-20@host/,https://canary-21:@host/"),
        ("KEYY", "canary-22"),
    ];
    let environment =
        Environment::from_pairs(pairs).with_files(files(&[("/run/secrets/file", b"canary-08\n")]));
    let loaded = environment.load::<Canaries>(&["KEY"]);
    let report = &loaded.report;
    let texts = [
        report.table(),
        format!("{report:?}"),
        format!("{}", report.faults()),
        report.warnings().iter().map(ToString::to_string).collect(),
        serde_json::to_string(report).expect("a report is plain data"),
        Schema::of::<Canaries>().template(),
    ];
    for text in texts {
        assert!(!text.contains("canary") && !text.contains("c04"), "{text}");
    }
    let codes: Vec<_> = report.faults().iter().map(|fault| fault.code).collect();
    assert_eq!(
        codes,
        [
            "invalid",
            "too_short",
            "check",
            "check",
            "invalid",
            "unreadable_file",
            "weak_secret",
            "check",
            "invalid",
            "invalid"
        ]
    );
    assert!(report.table().contains("https://<redacted>@host/?token=<redacted>"), "{}", report.table());
    assert!(report.table().contains("host=db password=<redacted>"), "{}", report.table());
}

#[derive(Settings)]
#[expect(dead_code, reason = "only its report is looked at")]
struct Misdirected {
    port: u16,
    ports: Vec<u16>,
    host: String,
    #[setting(check = unwanted)]
    name: String,
    link: Url,
    oven: Oven,
}

fn unwanted(name: &String) -> Result<(), String> {
    Err(format!("{name} and {name:?} will not do"))
}

#[test]
fn what_a_file_holds_is_in_no_text_whatever_setting_names_it() {
    let names = ["PORT", "PORTS", "HOST", "NAME", "LINK", "OVEN"];
    let pairs = names.map(|name| (format!("{name}_FILE"), "/run/secrets/jwt"));
    let environment =
        Environment::from_pairs(pairs).with_files(files(&[("/run/secrets/jwt", b"canary-of-\"another\n")]));
    let report = environment.load::<Misdirected>(&[]).report;
    let faults: Vec<_> = report.faults().iter().map(|fault| fault.code).collect();
    assert_eq!(faults, ["invalid", "invalid", "check", "invalid", "invalid"]);
    let texts = [
        report.table(),
        format!("{report:?}"),
        format!("{}", report.faults()),
        report.warnings().iter().map(ToString::to_string).collect(),
        serde_json::to_string(&report).expect("a report is plain data"),
    ];
    for text in texts {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn a_secret_has_no_default() {
    type Hidden = Secret<String>;
    #[derive(Settings)]
    struct Careless {
        #[setting(default = "canary-strong-enough")]
        _key: Hidden,
        #[setting(default = "amqp://guest:canary@localhost")]
        _broker: Url,
    }
    // Nor one that it is given from outside, where the compiler does not see that it is secret.
    #[derive(Settings)]
    #[expect(dead_code, reason = "only its report is looked at")]
    struct Given {
        #[setting(section, defaults(key = "canary-strong-enough", broker = "amqp://guest:canary@localhost"))]
        inner: Inner,
        #[setting(section, defaults(key = "canary-strong-enough"))]
        maybe: Option<Inner>,
    }
    #[derive(Settings)]
    #[expect(dead_code, reason = "only its report is looked at")]
    struct Inner {
        key: Secret<String>,
        broker: Option<Url>,
    }
    let environment = Environment::from_pairs([("A", "b"), ("INNER_BROKER", "no URL")]);
    let careless = environment.load::<Careless>(&[]).report;
    let given = environment.load::<Given>(&[]).report;
    let codes = |report: &Report| report.faults().iter().map(|fault| fault.code).collect::<Vec<_>>();
    assert_eq!(codes(&careless), ["secret_default"; 2]);
    assert_eq!(codes(&given), ["secret_default", "secret_default", "invalid", "secret_default"]);
    for report in [careless, given] {
        let said = serde_json::to_string(&report).expect("JSON");
        assert!(!format!("{said} {report:?} {}", report.faults()).contains("canary"), "{said}");
    }
    for schema in [Schema::of::<Careless>(), Schema::of::<Given>()] {
        let said = serde_json::to_string(&schema).expect("JSON");
        assert!(!format!("{said} {}", schema.template()).contains("canary"), "{said}");
    }
}

proptest! {
    #[test]
    fn a_generated_secret_is_never_echoed(key in "[A-Za-z0-9+/]{7,40}={0,2}") {
        let environment = Environment::from_pairs([("KEY", &key), ("SHORT", &key), ("CHECKED", &key), ("WEAK", &key)]);
        let report = environment.load::<Canaries>(&[]).report;
        let texts = [format!("{report:?}"), report.table()];
        prop_assert!(texts.iter().all(|text| !text.contains(&key)));
    }
}
