//! Workers that are told which queues to take from.

use std::time::Instant;

use neuroglia::work::WorkState;

use super::{Engine, RECOVERY_MAX, Town};
use crate::process::{Process, guest_order};

#[test]
fn a_worker_takes_from_the_queues_that_it_is_told_and_no_others() {
    let town = Town::found(Engine::Sqlite);
    let web = town.open("web");
    let worker = |queues: &str| -> Process {
        let mut worker = town.premises.start(&["worker", "--queues", queues]);
        worker.wait_until_ready();
        worker
    };
    let order = web.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "stay"));
    assert_eq!(order.status, 201, "{}", order.text());
    let order = order.json()["id"].as_str().expect("an id").to_owned();

    let of_default = worker("default");
    town.books.wait_for_effects(&[order], Instant::now(), RECOVERY_MAX);
    of_default.close().assert_code(0);
    let left = town.books.work_of("patience", &[WorkState::Waiting]);
    assert_eq!(left.len(), 1, "nobody was told to look into its queue: {left:?}");

    let _of_patience = worker("patience:1");
    town.books.wait_for_running("patience", 1);
    web.close().assert_code(0);
}
