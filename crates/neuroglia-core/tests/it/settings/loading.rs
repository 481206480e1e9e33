//! Values, defaults, names, files, and all faults at once.

use std::time::Duration;

use neuroglia::fault::{Area, Fault};
use neuroglia::settings::{ByteSize, Environment, Settings, Source};
use proptest::prelude::*;

use super::pizzeria::*;

#[test]
fn defaults_count_where_nothing_is_set() {
    let settings = settings_of(load_with(&[]));
    assert_eq!(settings.kitchen_capacity.get(), 3);
    assert_eq!(settings.payment.timeout, Duration::from_secs(5));
    assert!(settings.payment.api_key.is_none());
    assert_eq!(settings.database.database_url.as_str(), "memory:");
    assert_eq!(settings.jwt_secret_key.expose(), STRONG);
    assert_eq!(settings.port, 8000);
    assert_eq!(settings.body_size, ByteSize::from_bytes(2 * 1024 * 1024));
    assert!(settings.cors_origins.is_empty());
    assert_eq!(settings.oven, None);
    assert!(settings.delivery);
    assert!(settings.smtp.is_none());
    assert_eq!(settings.r#type, None);
}

#[test]
fn every_type_is_read_from_its_variable() {
    let settings = settings_of(load_with(&[
        ("KITCHEN_CAPACITY", "12"),
        ("PAYMENT_API_KEY", "sk_live_51H8xq2eZvKYlo2C"),
        ("PAYMENT_TIMEOUT", "250ms"),
        ("PORT", "9000"),
        ("BODY_SIZE", "10kB"),
        ("CORS_ORIGINS", "https://a.example, https://b.example"),
        ("OVEN", "wood"),
        ("DELIVERY", "No"),
        ("SMTP_HOST", "mail.example"),
        ("TYPE", "napoletana"),
    ]));
    assert_eq!(settings.kitchen_capacity.get(), 12);
    assert_eq!(settings.payment.timeout, Duration::from_millis(250));
    assert!(settings.payment.api_key.is_some());
    assert_eq!(settings.port, 9000);
    assert_eq!(settings.body_size.bytes(), 10_000);
    assert_eq!(settings.cors_origins.len(), 2);
    assert_eq!(settings.oven, Some(Oven::Wood));
    assert!(!settings.delivery);
    assert_eq!(settings.smtp.map(|smtp| (smtp.host, smtp.port)), Some((String::from("mail.example"), 587)));
    assert_eq!(settings.r#type.as_deref(), Some("napoletana"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let loaded = load_with(&[("PORT", ""), ("PORT_FILE", ""), ("OVEN", ""), ("SMTP_HOST", "")]);
    assert_eq!(source_of(&loaded.report, "PORT"), &Source::Default);
    assert_eq!(source_of(&loaded.report, "OVEN"), &Source::NotSet);
    let settings = settings_of(loaded);
    assert_eq!(settings.port, 8000);
    assert!(settings.smtp.is_none());
}

#[test]
fn all_faults_come_in_one_report() {
    let environment = Environment::from_pairs([
        ("KITCHEN_CAPACITY", "0"),
        ("PAYMENT_API_KEY", "test_key_123"),
        ("PAYMENT_TIMEOUT", "5"),
        ("JWT_SECRET_KEY", "kurz-aber-geheim"),
        ("PORT", "8000"),
        ("SERVER_PORT", "9000"),
        ("BODY_SIZE", "2XB"),
        ("CORS_ORIGINS", "https://a.example,nonsense"),
        ("OVEN", "coal"),
        ("DELIVERY", "maybe"),
        ("OPENS", "25"),
        ("CLOSES", "x"),
        ("SMTP_PORT", "25"),
    ]);
    let loaded = environment.load::<PizzeriaSettings>(&["PIZZERIA_"]);
    assert!(loaded.settings.is_none());
    let faults = loaded.report.faults();
    let found: Vec<_> = faults.iter().map(|fault| (fault.code, fault.what.as_str())).collect();
    let expected = [
        (
            "invalid",
            "`KITCHEN_CAPACITY` is not valid: `0` is no whole number from 1 to 4294967295: number would be zero for non-zero type",
        ),
        ("weak_secret", "`PAYMENT_API_KEY` is a well-known value; anybody can guess it"),
        (
            "invalid",
            "`PAYMENT_TIMEOUT` is not valid: `5` has no unit; write it with one of ms, s, m, h, d, such as `30s`",
        ),
        ("missing", "`DATABASE_URL` is not set"),
        ("too_short", "`JWT_SECRET_KEY` is too short: it must have at least 32 bytes"),
        ("conflict", "`PORT` and `SERVER_PORT` differ, and are the same setting"),
        (
            "invalid",
            "`BODY_SIZE` is not valid: `2XB` has no known unit; the units are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB, such as `2MiB`",
        ),
        ("invalid", "`CORS_ORIGINS` is not valid: item 2 is no URL: relative URL without a base"),
        ("invalid", "`OVEN` is not valid: `coal` is no Oven: there is no oven called coal"),
        ("invalid", "`DELIVERY` is not valid: `maybe` is none of true, false, on, off, yes, no, 1, 0"),
        ("check", "`OPENS` is not valid: 25 is not an hour of the day"),
        (
            "invalid",
            "`CLOSES` is not valid: `x` is no whole number from 0 to 255: invalid digit found in string",
        ),
        ("missing", "`SMTP_HOST` is not set; it is required because other variables of SMTP_… are set"),
    ];
    assert_eq!(found, expected);
    for fault in faults.iter() {
        assert_eq!(fault.area, Area::Settings);
        assert!(!fault.at.is_empty() && !fault.fix.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_fault_says_where_and_what_to_write() {
    let faults = faults_of::<DatabaseSettings>(&Environment::from_pairs([("PORT", "1")]));
    assert_eq!(
        faults,
        [Fault {
            area: Area::Settings,
            code: "missing",
            what: String::from("`DATABASE_URL` is not set"),
            at: String::from("environment variable DATABASE_URL, or DATABASE_URL_FILE"),
            fix: String::from("set DATABASE_URL=sqlite:///var/lib/pizzeria/pizzeria.db"),
        }]
    );

    let report = load_with(&[("SERVER_PORT", "http")]).report;
    let fault = report.faults().iter().next().expect("there is a fault");
    assert_eq!(
        fault.what,
        "`SERVER_PORT` is not valid: `http` is no whole number from 0 to 65535: invalid digit found in string"
    );
    assert_eq!(fault.at, "environment variable SERVER_PORT");
    assert_eq!(fault.fix, "set PORT=8000, or leave it unset for the default 8000");
}

#[test]
fn names_that_agree_are_one_setting() {
    let loaded = load_with(&[("PORT", "9000"), ("SERVER_PORT", "9000")]);
    assert_eq!(settings_of(loaded).port, 9000);
    let loaded = load_with(&[("SERVER_PORT", "9001")]);
    assert_eq!(
        source_of(&loaded.report, "PORT"),
        &Source::Environment { variable: String::from("SERVER_PORT") }
    );
    assert_eq!(settings_of(loaded).port, 9001);
}

#[test]
fn a_value_can_stand_in_a_file() {
    let table: [(&[u8], &str); 4] = [
        (b"mail.example", "mail.example"),
        (b"mail.example\n", "mail.example"),
        (b"mail.example\r\n", "mail.example"),
        (b"mail.example\n\n", "mail.example\n"),
    ];
    for (content, host) in table {
        let environment = Environment::from_pairs([("HOST_FILE", "/run/host")])
            .with_files(files(&[("/run/host", content)]));
        let loaded = environment.load::<SmtpSettings>(&[]);
        let source = Source::File { variable: String::from("HOST_FILE"), path: String::from("/run/host") };
        assert_eq!(source_of(&loaded.report, "HOST"), &source);
        assert_eq!(settings_of(loaded).host, host);
    }
}

#[test]
fn a_file_on_disk_is_read() {
    let folder = std::env::temp_dir().join(format!("neuroglia-settings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let path = folder.join("host");
    std::fs::write(&path, "mail.example\n").expect("a file can be written");
    let environment = Environment::from_pairs([("HOST_FILE", path.as_os_str())]);
    assert_eq!(settings_of(environment.load::<SmtpSettings>(&[])).host, "mail.example");

    std::fs::write(&path, vec![b'x'; 64 * 1024 + 1]).expect("a file can be written");
    let faults = faults_of::<SmtpSettings>(&environment);
    assert_eq!(faults[0].what, "the file for `HOST` is too large");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");

    let faults = faults_of::<SmtpSettings>(&environment);
    assert_eq!(faults[0].code, "unreadable_file");
    assert!(faults[0].at.ends_with(&format!("{}, named by HOST_FILE", path.display())), "{}", faults[0].at);
}

#[test]
fn a_file_that_gives_no_value_is_a_fault() {
    let environment = |pairs: &[(&str, &str)]| {
        Environment::from_pairs(pairs.iter().copied()).with_files(files(&[
            ("/empty", b"\n"),
            ("/binary", b"\xff\xfe"),
            ("/ok", b"h"),
        ]))
    };
    let table = [
        (vec![("HOST_FILE", "/none")], "unreadable_file", "file /none, named by HOST_FILE"),
        (vec![("HOST_FILE", "/empty")], "missing", "file /empty, named by HOST_FILE"),
        (vec![("HOST_FILE", "/binary")], "not_unicode", "file /binary, named by HOST_FILE"),
        (vec![("HOST_FILE", "/ok"), ("HOST", "h")], "ambiguous", "environment variables HOST and HOST_FILE"),
    ];
    for (pairs, code, at) in table {
        let faults = faults_of::<SmtpSettings>(&environment(&pairs));
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].code, faults[0].at.as_str()), (code, at));
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_a_fault() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let environment = Environment::from_pairs([("HOST", OsString::from_vec(vec![0xff]))]);
    let faults = faults_of::<SmtpSettings>(&environment);
    assert_eq!((faults.len(), faults[0].code), (1, "not_unicode"));
}

#[test]
fn a_struct_is_judged_as_a_whole() {
    let report = load_with(&[("OPENS", "12"), ("CLOSES", "12")]).report;
    let faults: Vec<_> = report.faults().iter().collect();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].what, "`CLOSES` must be after OPENS, which is 12");
    assert_eq!(faults[0].at, "environment variable CLOSES");
}

#[test]
fn a_struct_may_have_fields_of_any_name() {
    #[derive(Settings)]
    struct Awkward {
        loader: Option<String>,
        value: Option<String>,
        field_0: Option<String>,
        settings: Option<String>,
    }
    let settings =
        settings_of(Environment::from_pairs([("LOADER", "a"), ("FIELD_0", "b")]).load::<Awkward>(&[]));
    assert_eq!(settings.loader.as_deref(), Some("a"));
    assert_eq!(settings.field_0.as_deref(), Some("b"));
    assert_eq!((settings.value, settings.settings), (None, None));
}

proptest! {
    #[test]
    fn no_environment_is_too_much(port: String, url: String, key: String, host: String) {
        let pairs = [("PORT", &port), ("DATABASE_URL", &url), ("JWT_SECRET_KEY", &key), ("SMTP_HOST_FILE", &host)];
        let pairs = pairs.map(|(name, value)| (name, value.replace('\0', "")));
        let environment = Environment::from_pairs(pairs).with_files(files(&[]));
        let loaded = environment.load::<PizzeriaSettings>(&["PIZZERIA_"]);
        prop_assert_eq!(loaded.settings.is_some(), loaded.report.faults().is_empty());
        let table = loaded.report.table();
        prop_assert_eq!(table.lines().count(), loaded.report.entries().len() + 1);
    }
}
