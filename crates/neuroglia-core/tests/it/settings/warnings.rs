//! What is probably a mistake of the operator's.

use neuroglia::settings::Environment;

use super::pizzeria::*;

#[test]
fn an_unknown_variable_is_a_warning_with_a_suggestion() {
    let loaded = load_with(&[
        ("PIZZERIA_PORT", "1"),
        ("PIZZERIA_COLOUR", "red"),
        ("PAYMENT_APIKEY", "x"),
        ("PAYMENT_TIMEOUT_FIEL", "x"),
        ("KITCHEN_CAPACTIY", "4"),
        ("CORS_ORIGIN", "x"),
        ("PAYMENT_SERVICE_HOST", "10.0.0.1"),
        ("PAYMENT_PORT", "tcp://10.0.0.1:80"),
        ("DATABASE_URI", "memory:"),
        ("HOME", "/root"),
        ("PATH", "/bin"),
        ("HOSTNAME", "web-1"),
    ]);
    let said: Vec<_> = loaded.report.warnings().iter().map(ToString::to_string).collect();
    let unset = |name: &str| format!("`{name}` is set, and no setting has this name: ");
    assert_eq!(
        said,
        [
            unset("CORS_ORIGIN") + "did you mean `CORS_ORIGINS`?",
            unset("KITCHEN_CAPACTIY") + "did you mean `KITCHEN_CAPACITY`?",
            unset("PAYMENT_APIKEY") + "did you mean `PAYMENT_API_KEY`?",
            unset("PAYMENT_TIMEOUT_FIEL") + "did you mean `PAYMENT_TIMEOUT_FILE`?",
            unset("PIZZERIA_COLOUR") + "remove it; `config` prints all settings",
            unset("PIZZERIA_PORT") + "did you mean `PORT`?",
        ]
    );
    settings_of(loaded);

    let loaded = Environment::from_pairs([("DATABSE_URL", "memory:")]).load::<DatabaseSettings>(&[]);
    assert_eq!(loaded.report.warnings()[0].fix, "did you mean `DATABASE_URL`?");
}

#[test]
fn white_space_around_a_value_is_pointed_out() {
    let loaded = load_with(&[("PORT", "8000\r"), ("TYPE", " thin")]);
    let faults: Vec<_> = loaded.report.faults().iter().map(|fault| fault.what.clone()).collect();
    assert_eq!(
        faults,
        [
            "`PORT` is not valid: `8000\\r` is no whole number from 0 to 65535: invalid digit found in string; it begins or ends with white space"
        ]
    );
    assert_eq!(loaded.report.warnings()[0].code, "white_space");
}

#[test]
fn an_address_that_a_platform_injects_is_explained() {
    let report = load_with(&[("SERVER_PORT", "tcp://10.0.0.1:80")]).report;
    let fault = report.faults().iter().next().expect("there is a fault");
    assert!(
        fault.what.ends_with("; a container platform sets it for a service of that name"),
        "{}",
        fault.what
    );
}
