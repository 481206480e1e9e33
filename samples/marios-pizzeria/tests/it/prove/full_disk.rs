//! A disk that takes no more: who orders is told "later", and everything goes on once there is room.
//!
//! Every write of a process fails whose files may have no more than a byte; a limit of its own does that to it and to
//! nobody beside it. The signal that comes with such a limit, and with no full disk, is ignored.

use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

use super::{Customers, Engine, RECOVERY_MAX, Town, report};
use crate::process::{Process, eventually};

/// How often somebody is told "later" until there is room.
const REFUSALS: usize = 20;

#[test]
fn a_full_disk_refuses_orders_and_loses_none() {
    let town = Town::found(Engine::Sqlite);
    let mut all = town.premises.spawn(&mut town.premises.command_after("trap '' XFSZ", &["all"]));
    all.wait_until_ready();
    let customers = Customers::come(&[all.address()]);
    customers.wait_for_more(10);

    let roomy = getrlimit(Resource::Fsize);
    limit(&all, Rlimit { current: Some(1), ..roomy });
    let refused = customers.refused();
    eventually("orders are refused", || (customers.refused() >= refused + REFUSALS).then_some(()));
    assert_eq!(all.get("/health/live").status, 200);
    assert_eq!(all.get("/api/v1/pizzas").status, 200);

    limit(&all, roomy);
    let room = Instant::now();
    customers.wait_for_more(10);
    let accepted = customers.leave();
    let took = town.books.wait_for_effects(&accepted, room, RECOVERY_MAX);
    let orders = town.books.assert_exactly_once(&accepted);
    report(&format!(
        "Sqlite: a disk without room for {REFUSALS} refusals: {orders} orders, none lost, no effect doubled, all done \
         {took:.1?} after there was room, the last of them placed since"
    ));
    all.close().assert_code(0);
}

fn limit(process: &Process, limit: Rlimit) {
    prlimit(Some(process.pid()), Resource::Fsize, limit).expect("a process of our own");
}
