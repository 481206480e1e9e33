//! A disk that takes no more: who orders is told "later", and everything goes on once there is room.

use std::time::Instant;

use neuroglia_testing::services::Postgres;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

use super::{Customers, Engine, RECOVERY_MAX, Town, report};
use crate::process::{Process, eventually};

/// How often somebody is told "later" until there is room.
const REFUSALS: usize = 20;

/// Every write of a process fails whose files may have no more than a byte; a limit of its own does that to it and to
/// nobody beside it. The signal that comes with such a limit, and with no full disk, is ignored.
#[test]
fn a_full_disk_refuses_orders_and_loses_none() {
    let town = Town::found(Engine::Sqlite);
    let mut all = town.premises.spawn(&mut town.premises.command_after("trap '' XFSZ", &["all"]));
    all.wait_until_ready();
    let roomy = getrlimit(Resource::Fsize);
    let pid = all.pid();
    let fill = |is_full| {
        let limit = if is_full { Rlimit { current: Some(1), ..roomy } } else { roomy };
        prlimit(Some(pid), Resource::Fsize, limit).expect("a process of our own");
    };
    assert_none_is_lost("Sqlite: a disk", &town, all, fill);
}

/// Has each row of each table take a page, so that tables are large soon.
const ONE_ROW_A_PAGE: &str = "DO $$ DECLARE name regclass; BEGIN \
    FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP \
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 10, autovacuum_enabled = off)', name); \
    END LOOP; END $$";

#[test]
fn tables_of_postgres_without_room_refuse_orders_and_lose_none() {
    let server = Postgres::start_small();
    let town = Town::found_on(&server.url());
    town.execute(ONE_ROW_A_PAGE);
    let all = town.open("all");
    assert_none_is_lost("Postgres: tables", &town, all, |is_full| server.fill_disk(is_full));
}

/// Has customers order before, while and after there is no room.
#[track_caller]
fn assert_none_is_lost(what: &str, town: &Town, all: Process, fill: impl Fn(bool)) {
    let customers = Customers::come(&[all.address()]);
    customers.wait_for_more(10);

    fill(true);
    let refused = customers.refused();
    for so_many in [1, REFUSALS] {
        eventually("orders are refused", || (customers.refused() >= refused + so_many).then_some(()));
    }
    assert_eq!(all.get("/health/live").status, 200);
    assert_eq!(all.get("/api/v1/pizzas").status, 200);

    fill(false);
    let room = Instant::now();
    customers.wait_for_more(10);
    let accepted = customers.leave();
    let took = town.books.wait_for_effects(&accepted, room, RECOVERY_MAX);
    let orders = town.books.assert_exactly_once(&accepted);
    report(&format!(
        "{what} without room for {REFUSALS} refusals: {orders} orders, none lost, no effect doubled, all done {took:.1?} \
         after there was room, the last of them placed since"
    ));
    all.close().assert_code(0);
}
