//! A release under load: every process is replaced by another one, and nobody notices.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::{Customers, Engine, RECOVERY_MAX, Town, report, times};
use crate::process::{Client, Process, eventually, guest_order};

const REPLICAS: usize = 4;

/// How many use the kept connections, and how many a fresh one each time.
const CLIENTS: usize = 2;

#[test]
fn four_replicas_behind_nginx_are_restarted_and_no_request_fails() {
    let town = Town::found(Engine::Postgres);
    let ports: Vec<u16> = free_ports(REPLICAS + 1);
    let (door, ports) = ports.split_first().expect("there is one more");
    let open = |port: u16| {
        let mut command = town.premises.command(&["web"]);
        // While nginx may still choose it, it answers; and it says on each connection that it goes.
        command.env("PORT", port.to_string()).env("SHUTDOWN_DELAY", "1s");
        let mut web = town.premises.spawn(&mut command);
        web.wait_until_ready();
        web
    };
    let mut replicas: Vec<_> = ports.iter().map(|port| Some(open(*port))).collect();
    let nginx = nginx(&town, *door, ports);
    let door = SocketAddr::from(([127, 0, 0, 1], *door));
    eventually("nginx listens", || Client::connect(door).ok());

    let restarts = times(REPLICAS, 20);
    let (answered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..2 * CLIENTS {
            let (answered, is_over) = (&answered, &is_over);
            scope.spawn(move || ask_on(door, client, answered, is_over));
        }
        for number in 0..restarts {
            let place = &mut replicas[number % REPLICAS];
            place.take().expect("it runs").close().assert_code(0);
            *place = Some(open(ports[number % REPLICAS]));
            let enough = answered.load(Ordering::Acquire) + 20;
            eventually("requests are answered", || {
                (answered.load(Ordering::Acquire) >= enough).then_some(())
            });
        }
        is_over.store(true, Ordering::Release);
    });
    report(&format!(
        "Postgres: {REPLICAS} replicas behind nginx, {restarts} restarts: {} requests on kept and fresh connections, \
         0 failed",
        answered.into_inner()
    ));
    for replica in replicas.into_iter().flatten() {
        replica.close().assert_code(0);
    }
    nginx.close().assert_code(0);
}

/// Asks until it is over; each request must be answered well.
fn ask_on(door: SocketAddr, client: usize, answered: &AtomicUsize, is_over: &AtomicBool) {
    let keeps = client < CLIENTS;
    let mut kept: Option<Client> = None;
    for number in 0_usize.. {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let mut connection = kept.take().unwrap_or_else(|| Client::connect(door).expect("nginx listens"));
        let answer = if number.is_multiple_of(3) {
            let order = guest_order(&format!("+1 555 {client:03} {number:05}"), "rolling");
            connection.post("/api/v1/orders", &[], &order)
        } else {
            connection.request("GET", "/api/v1/pizzas/margherita", &[], b"")
        };
        let answer = answer.unwrap_or_else(|cause| panic!("request {number} of client {client}: {cause}"));
        assert!((200..300).contains(&answer.status), "request {number}: {} {}", answer.status, answer.text());
        answered.fetch_add(1, Ordering::AcqRel);
        kept = (keeps && !answer.closes()).then_some(connection);
    }
}

#[test]
fn workers_are_restarted_under_load_and_no_attempt_is_counted() {
    let town = Town::found(Engine::Postgres);
    let web = town.open("web");
    let mut workers = vec![town.open("worker"), town.open("worker")];
    let customers = Customers::come(&[web.address()]);
    let restarts = times(6, 30);
    for _ in 0..restarts {
        town.books.wait_for_running("proof", 1);
        workers.remove(0).close().assert_code(0);
        workers.push(town.open("worker"));
    }
    town.books.wait_for_effects(&customers.accepted(), Instant::now(), RECOVERY_MAX);
    let orders = town.books.assert_exactly_once(&customers.leave());
    for kind in ["ledger", "mishaps", "proof"] {
        for work in town.books.work_of(kind, &[]) {
            assert_eq!(work.attempt, 1, "what was handed back was no attempt: {work:?}");
            assert_eq!((work.crashes, work.failures.len()), (0, 0), "{work:?}");
        }
    }
    report(&format!(
        "Postgres: {restarts} restarts of workers: {orders} orders, no attempt counted for what was handed back"
    ));
    for process in workers.into_iter().chain([web]) {
        process.close().assert_code(0);
    }
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it has an address").port()).collect()
}

/// nginx in front of the replicas. It is one process, so that it ends with its test.
fn nginx(town: &Town, door: u16, ports: &[u16]) -> Process {
    let folder = town.premises.path("nginx");
    std::fs::create_dir_all(&folder).expect("a folder");
    let servers = ports.iter().fold(String::new(), |mut servers, port| {
        write!(servers, "server 127.0.0.1:{port} max_fails=0; ").expect("a text grows");
        servers
    });
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};"));
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
         events {{}}\n\
         http {{\n\
           access_log off; {}\n\
           upstream pizzeria {{ {servers} keepalive 8; }}\n\
           server {{\n\
             listen 127.0.0.1:{door};\n\
             location / {{ proxy_pass http://pizzeria; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
           }}\n\
         }}\n",
        temporary.join(" ")
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).expect("the folder is the test's own");
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Process::spawn(&mut command)
}
