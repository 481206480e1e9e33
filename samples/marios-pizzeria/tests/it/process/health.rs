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
