//! The kinds of process, each by itself on one database.

use super::{Premises, eventually, guest_order};

#[test]
fn web_alone_takes_orders_and_worker_does_what_follows() {
    let premises = Premises::furnished();
    premises.hire("peach@example.com", "manager", "a long password");
    let web = premises.open();
    let bearer = format!("Bearer {}", web.log_in("peach@example.com", "a long password"));
    let counted = || {
        let headers = [("authorization", &*bearer)];
        let path = "/api/v1/statistics/overview";
        let answer = web.connect().request("GET", path, &headers, b"").expect("an answer");
        answer.json()["orders"]["total"].as_u64()
    };
    assert_eq!(web.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "")).status, 201);
    assert_eq!(counted(), Some(0), "nobody has counted it");

    let worker = premises.start(&["worker"]);
    eventually("the worker counts it", || (counted() == Some(1)).then_some(()));
    worker.close().assert_code(0);
    assert_eq!(web.post("/api/v1/orders", &[], &guest_order("+1 555 0101", "")).status, 201);
    web.close().assert_code(0);

    // What nobody was there for is done by the next.
    let all = premises.open_as("all");
    let answer = || {
        let headers = [("authorization", &*bearer)];
        all.connect().request("GET", "/api/v1/statistics/overview", &headers, b"").expect("an answer")
    };
    eventually("the rest is counted", || (answer().json()["orders"]["total"] == 2).then_some(()));
    all.close().assert_code(0);
}

#[test]
fn a_scheduler_runs_by_itself() {
    let premises = Premises::furnished();
    let scheduler = premises.start(&["scheduler"]);
    eventually("it says that it lives", || {
        let nodes = premises.run(&["admin", "nodes"]);
        nodes.assert_code(0).stdout.contains("scheduler").then_some(())
    });
    scheduler.close().assert_code(0);
}
