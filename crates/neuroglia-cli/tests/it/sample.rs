//! `neuroglia dev` with the sample of this repository: the first command of the README.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use neuroglia_testing::services::Database;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::terminal::{Session, Workshop, free_port, typed};

const PACKAGE: [&str; 3] = ["dev", "--package", "marios-pizzeria"];
const ROLES: [&str; 5] = ["customer", "chef", "driver", "manager", "admin"];

/// Starts the pizzeria, and waits until the last row of the table is printed.
fn open(workshop: &Workshop, port: u16) -> Session {
    let mut session = workshop.neuroglia(&[&PACKAGE[..], &["--port", &port.to_string()]].concat());
    session.wait_for("marios-pizzeria is ready");
    session.row("admin@example.com");
    session
}

/// One request over a bare socket; the answer's status and body.
pub(crate) fn ask(port: u16, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization =
        if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{authorization}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn log_in(port: u16, username: &str, password: &str) -> (u16, Value) {
    let credentials = json!({ "username": username, "password": password });
    ask(port, "POST", "/api/v1/auth/token", "", &credentials)
}

/// Logs in with the password that was printed for each account; gives the manager's token.
fn log_everybody_in(session: &mut Session, port: u16) -> String {
    let mut manager = String::new();
    for role in ROLES {
        let username = format!("{role}@example.com");
        let (status, answer) = log_in(port, &username, &session.row(&username));
        assert_eq!(status, 200, "{username}: {answer}");
        if role == "manager" {
            manager = answer["access_token"].as_str().expect("a token").to_owned();
        }
    }
    manager
}

/// Waits for the one order in the statistics. Who counts it is the worker in the same process, to whom the event bus
/// brings it.
fn wait_until_counted(port: u16, manager: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let counted = || ask(port, "GET", "/api/v1/statistics/overview", manager, &Value::Null).1;
    while counted()["orders"]["total"] != 1 {
        assert!(Instant::now() < deadline, "nobody has counted it: {}", counted());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn order() -> Value {
    json!({
        "customer": {"name": "Ada", "phone": "+1 555 0100", "address": "1 Main St"},
        "lines": [{"pizza_id": "margherita", "size": "medium", "quantity": 1}],
        "payment_method": "cash",
    })
}

fn close(session: Session) -> String {
    session.signal(Signal::INT);
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("marios-pizzeria has stopped"), "{output}");
    output
}

#[test]
fn the_pizzeria_opens_keeps_its_data_and_closes() {
    let workshop = Workshop::of_the_sample();
    let port = free_port();
    let mut session = open(&workshop, port);
    assert_eq!(session.row("API"), format!("http://127.0.0.1:{port}/api/v1"));
    log_everybody_in(&mut session, port);
    for path in ["/api/v1/pizzas", "/docs", "/health"] {
        assert_eq!(ask(port, "GET", path, "", &Value::Null).0, 200, "{path}");
    }
    let (status, placed) = ask(port, "POST", "/api/v1/orders", "", &order());
    assert_eq!(status, 201, "{placed}");

    // Nobody sweeps the floor while guests are in.
    let other = free_port().to_string();
    let (output, status) = workshop.neuroglia(&[&PACKAGE[..], &["--fresh", "--port", &other]].concat()).end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("a running application uses"), "{output}");
    let output = close(session);
    assert!(output.contains("settings from") && output.contains("deployment/dev/app.env"), "{output}");

    // The passwords are lost; what is printed for the accounts that are there is true all the same.
    std::fs::remove_dir_all(workshop.path(".neuroglia/marios-pizzeria/accounts")).expect("it was made");
    let mut session = open(&workshop, port);
    let manager = log_everybody_in(&mut session, port);
    let (status, orders) = ask(port, "GET", "/api/v1/orders", &manager, &Value::Null);
    assert_eq!((status, &orders["items"][0]["id"]), (200, &placed["id"]), "{orders}");
    close(session);

    let port = free_port();
    let mut session = workshop.neuroglia(&[&PACKAGE[..], &["--fresh", "--port", &port.to_string()]].concat());
    session.row("admin@example.com");
    let manager = log_everybody_in(&mut session, port);
    let (_, orders) = ask(port, "GET", "/api/v1/orders", &manager, &Value::Null);
    assert_eq!(orders["items"], json!([]));
    close(session);
}

#[test]
fn on_postgres_the_pizzeria_is_the_same() {
    let database = Database::create();
    let workshop = Workshop::of_the_sample().export("DATABASE_URL", &database.url());
    let port = free_port();
    let mut session = open(&workshop, port);
    let manager = log_everybody_in(&mut session, port);
    let (status, placed) = ask(port, "POST", "/api/v1/orders", "", &order());
    assert_eq!(status, 201, "{placed}");
    wait_until_counted(port, &manager);
    let output = close(session);
    assert!(output.contains("DATABASE_URL comes from your shell"), "{output}");

    // It is the database that has kept it.
    let mut session = open(&workshop, port);
    let manager = log_everybody_in(&mut session, port);
    let (status, orders) = ask(port, "GET", "/api/v1/orders", &manager, &Value::Null);
    assert_eq!((status, &orders["items"][0]["id"]), (200, &placed["id"]), "{orders}");
    close(session);
}

#[test]
fn the_alias_of_the_workspace_explains_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let help = typed(env!("CARGO"))
        .args(["neuroglia", "dev", "--help"])
        .current_dir(root)
        .output()
        .expect("cargo is there");
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success(), "{}", String::from_utf8_lossy(&help.stderr));
    for word in ["--package", "--port", "--fresh", "deployment/dev"] {
        assert!(text.contains(word), "no {word} in {text}");
    }
}

#[test]
fn servers_are_attached_by_url_and_gone_at_the_end() {
    let workshop = Workshop::of_the_sample();
    let port = free_port();
    let address = port.to_string();
    let arguments = [&PACKAGE[..], &["--port", &address, "--with", "postgres,redis,rabbitmq,smtp"]].concat();
    let mut session = workshop.neuroglia(&arguments);
    session.wait_for("marios-pizzeria is ready");
    let attached =
        ["DATABASE_URL", "CACHE_URL", "EVENT_BUS_URL", "SMTP_URL"].map(|variable| session.row(variable));
    let letters = session.row("Mail");
    let manager = log_everybody_in(&mut session, port);
    for (url, scheme) in attached.iter().zip(["postgres://", "redis://", "amqp://", "smtp://"]) {
        assert!(url.starts_with(scheme), "{url}");
    }
    assert!(Path::new(&letters).exists(), "mail can be read at {letters}");
    assert_eq!(ask(port, "POST", "/api/v1/orders", "", &order()).0, 201);
    wait_until_counted(port, &manager);
    close(session);
    assert!(!Path::new(&letters).exists(), "what they held is gone with them");
    for url in &attached {
        let address = url.rsplit_once("127.0.0.1:").map(|(_, rest)| rest.trim_end_matches("/postgres"));
        let port: u16 = address.and_then(|port| port.parse().ok()).expect("a port");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{url} still answers");
    }
}

#[test]
fn a_card_is_charged_by_the_sandbox_that_is_attached() {
    let workshop = Workshop::of_the_sample();
    let port = free_port();
    let address = port.to_string();
    let arguments = [&PACKAGE[..], &["--port", &address, "--with", "payment,mongodb,nats"]].concat();
    let mut session = workshop.neuroglia(&arguments);
    session.wait_for("marios-pizzeria is ready");
    assert!(session.row("DATABASE_URL").starts_with("mongodb://"));
    assert!(session.row("PAYMENT_URL").starts_with("http://"));
    assert!(session.row("EVENT_BUS_URL").starts_with("nats://"));
    let manager = log_everybody_in(&mut session, port);
    let mut by_card = order();
    by_card["payment_method"] = json!("credit_card");
    by_card["payment_source"] = json!("tok_visa");
    let (status, placed) = ask(port, "POST", "/api/v1/orders", "", &by_card);
    assert_eq!(status, 201, "{placed}");
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().expect("an id"));
    let began = Instant::now();
    let payment = || ask(port, "GET", &path, &manager, &Value::Null).1["payment"]["status"].clone();
    while payment() != "authorized" {
        assert!(began.elapsed() < Duration::from_secs(60), "the order is still {}", payment());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    wait_until_counted(port, &manager);
    close(session);
}

#[test]
fn one_resource_is_not_attached_twice() {
    let workshop = Workshop::of_the_sample();
    let session = workshop.neuroglia(&[&PACKAGE[..], &["--with", "nats,rabbitmq"]].concat());
    let (output, status) = session.end();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("would both be EVENT_BUS_URL"), "{output}");
    let session = workshop.neuroglia(&[&PACKAGE[..], &["--with", "mongodb,postgres"]].concat());
    assert!(session.end().0.contains("would both be DATABASE_URL"));
}
