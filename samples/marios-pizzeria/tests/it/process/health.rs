//! `health`: the executable asks a process beside it, in images that have no other program.

use super::Premises;

#[test]
fn a_process_is_asked_by_its_own_executable() {
    let premises = Premises::furnished().set("ADMIN_PORT", "0").set("ADMIN_TOKEN", "s3same-open-4711-x");
    let mut process = premises.start(&["web"]);
    process.wait_until_ready();
    let premises = premises
        .set("PORT", process.address().port().to_string())
        .set("ADMIN_PORT", process.admin_address().port().to_string());
    for question in
        [&["health"][..], &["health", "live"], &["health", "startup"], &["health", "ready", "--admin"]]
    {
        let finished = premises.run(question);
        finished.assert_code(0);
        assert_eq!(finished.stdout + &finished.stderr, "", "{question:?}");
    }
    // What only other processes need is not asked for.
    premises.run(&["health", "well"]).assert_code(64);
    let premises = premises.unset("DATABASE_URL");
    premises.run(&["health"]).assert_code(0);
    process.close().assert_code(0);
    let finished = premises.run(&["health"]);
    finished.assert_code(1);
    assert!(finished.stderr.contains("does not answer"), "{}", finished.stderr);
    let finished = premises.unset("ADMIN_PORT").run(&["health", "--admin"]);
    finished.assert_code(1);
    assert!(finished.stderr.contains("ADMIN_PORT is not set"), "{}", finished.stderr);
}

/// What the health check of the image asks, whatever the image runs as.
#[test]
fn any_process_is_asked_where_it_answers() {
    let premises = Premises::furnished().set("ADMIN_PORT", "0").set("ADMIN_TOKEN", "s3same-open-4711-x");
    let web = premises.open();
    let port = web.address().port().to_string();
    // One that takes requests is not asked elsewhere.
    let asking = premises.set("PORT", port).set("ADMIN_PORT", "1");
    asking.run(&["health", "--any"]).assert_code(0);
    web.close().assert_code(0);

    let premises = asking.set("ADMIN_PORT", "0");
    let worker = premises.open_as("worker");
    let asking = premises.set("ADMIN_PORT", worker.admin_address().port().to_string());
    for question in ["ready", "live", "startup"] {
        let finished = asking.run(&["health", question, "--any"]);
        finished.assert_code(0);
        assert_eq!(finished.stdout + &finished.stderr, "", "{question}");
    }
    asking.run(&["health"]).assert_code(1);
    worker.close().assert_code(0);
    let finished = asking.run(&["health", "--any"]);
    finished.assert_code(1);
    assert_eq!(finished.stderr.matches("does not answer").count(), 2, "{}", finished.stderr);
    asking.run(&["health", "--any", "--admin"]).assert_code(64);
}
