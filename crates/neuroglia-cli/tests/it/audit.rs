//! `neuroglia audit`: what is found of a project that is wrong in many ways, and of the sample.

use crate::terminal::Workshop;

#[test]
fn findings_say_which_factor_where_and_what_to_do() {
    let workshop = Workshop::new();
    workshop
        .write("deployment/production/app.env", "KEY=hunter2\nLOG_FORMAT=text\nPORT=80\nADMIN_PORT=8001\n");
    workshop.write("deployment/Dockerfile", "FROM rust\nRUN cargo build --release\n");
    workshop.write("deployment/kubernetes.yaml", "terminationGracePeriodSeconds: 5\n");
    workshop.write("Procfile", "web: fixture-app web\n");
    workshop.write(".env", "KEY=hunter2\n");
    let workshop = workshop.commit();
    let found = workshop.refused(&["audit"]);
    for line in [
        "II. Dependencies\n  at  deployment/Dockerfile",
        "III. Config\n  at  .env",
        "  do  write KEY_FILE=/run/secrets/key, and change the secret",
        "V. Build, release, run\n  at  deployment/Dockerfile\n      the image rust is another one tomorrow",
        "VII. Port binding\n  at  deployment/production",
        "VIII. Concurrency\n  at  ./Procfile\n      there are consumers or jobs",
        "IX. Disposability\n  at  deployment/kubernetes.yaml",
        "XI. Logs\n  at  deployment/production",
        "XII. Admin processes\n  at  ./Procfile",
    ] {
        assert!(found.contains(line), "no {line:?} in {found}");
    }
    assert!(!found.contains("hunter2"), "{found}");
    let json = workshop.refused(&["audit", "--json"]);
    let json = &json[json.find("[\n").expect("a list")..];
    let findings: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    assert!(findings.as_array().is_some_and(|findings| findings.len() >= 9), "{findings}");
    assert_eq!(findings[0]["factor"], "dependencies");
}

#[test]
fn the_sample_is_what_the_factors_ask_for() {
    let workshop = Workshop::in_the_repository();
    let found = workshop.done(&["audit", "--package", "marios-pizzeria"]);
    let holds =
        found.contains("marios-pizzeria: nothing to mend") || found.contains("all twelve factors hold");
    assert!(holds, "{found}");
}
