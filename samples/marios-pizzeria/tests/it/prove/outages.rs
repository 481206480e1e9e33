//! The database goes away under load, in every way there is, and comes back.

use std::time::{Duration, Instant};

use neuroglia_testing::services::Postgres;
use neuroglia_testing::{Strait, Weather};

use super::{Customers, RECOVERY_MAX, Town, report};
use crate::process::{Client, Process, eventually, guest_order};

/// How long anybody waits for an answer while the database is away.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// How long the port says nothing.
const SILENCE: Duration = Duration::from_secs(10);

#[test]
fn the_database_goes_away_under_load_and_the_processes_stay() {
    let mut server = Postgres::start();
    let mut town = Town::found_on(&server.url());
    let direct: url::Url = town.premises.setting("DATABASE_URL").parse().expect("a URL");
    let strait = Strait::to(direct.port().expect("it names a port"));
    let mut through = direct;
    through.set_port(Some(strait.port())).expect("it has a host");
    through.set_query(Some("sslmode=disable"));
    town.premises = town.premises.set("DATABASE_URL", through).set("ADMIN_PORT", "0");

    let staff = ["web", "worker", "scheduler"].map(|role| town.open(role));
    let customers = Customers::come(&[staff[0].address()]);
    customers.wait_for_more(10);

    let mut cut = 0;
    for _ in 0..3 {
        cut += strait.cut();
        customers.wait_for_more(5);
    }
    assert!(cut > 0, "there were connections");
    assert_back("its connections cut three times", &town, &staff, &customers, Instant::now());

    let mut ended = 0;
    for _ in 0..3 {
        ended += town.end_connections();
        customers.wait_for_more(5);
    }
    assert!(ended > 0, "there were connections");
    assert_back(
        "all connections ended by the server, three times",
        &town,
        &staff,
        &customers,
        Instant::now(),
    );

    server.stop();
    assert_away(&staff);
    server.start_again();
    assert_back("restarted", &town, &staff, &customers, Instant::now());

    server.crash();
    assert_away(&staff);
    server.start_again();
    assert_back("crashed and started again", &town, &staff, &customers, Instant::now());

    let since = Instant::now();
    strait.turn(Weather::Silent);
    assert_away(&staff);
    eventually("it was silent for long enough", || (since.elapsed() >= SILENCE).then_some(()));
    strait.turn(Weather::Fair);
    assert_back("silent for 10 s", &town, &staff, &customers, Instant::now());

    let refused = customers.refused();
    let orders = town.books.assert_exactly_once(&customers.leave());
    report(&format!(
        "Postgres: after all outages: {orders} orders, {refused} requests refused, none lost or doubled"
    ));
    for process in staff {
        process.close().assert_code(0);
    }
}

/// What a process answers at the port for operators, which every role has.
fn health(process: &Process, path: &str) -> u16 {
    let mut client = Client::connect(process.admin_address()).expect("it listens");
    client.request("GET", path, &[], b"").expect("an answer").status
}

/// Checks what processes say while their database is away: they live, they are not ready, and nobody waits for ever.
fn assert_away(staff: &[Process]) {
    for process in staff {
        eventually("it says that it is not ready", || {
            (health(process, "/health/ready") == 503).then_some(())
        });
        assert_eq!(health(process, "/health/live"), 200);
    }
    let web = &staff[0];
    let asked = Instant::now();
    let answer = web.post("/api/v1/orders", &[], &guest_order("+1 555 0000", "away"));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(asked.elapsed() < ANSWER_MAX, "an answer took {:?}", asked.elapsed());
    for process in staff {
        assert_eq!(health(process, "/health/live"), 200);
    }
}

/// Waits until everything goes on, in the same processes.
fn assert_back(what: &str, town: &Town, staff: &[Process], customers: &Customers, since: Instant) {
    for process in staff {
        eventually("it is ready", || (health(process, "/health/ready") == 200).then_some(()));
    }
    customers.wait_for_more(5);
    let took = town.books.wait_for_effects(&customers.accepted(), since, RECOVERY_MAX);
    assert!(staff.iter().all(Process::is_running), "none has ended");
    report(&format!("Postgres: {what}: all processes went on, recovered in {took:.1?}"));
}
