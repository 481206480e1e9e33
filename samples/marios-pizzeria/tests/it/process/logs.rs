//! The log as an event stream: one object a line, forged by nobody, and never in the way.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::{Client, PATIENCE, Premises, Process, eventually, guest_order};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn every_line_is_one_object_with_the_keys_that_readers_count_on() {
    let premises = Premises::furnished().set("RELEASE_ID", "42-1f3a9c").set("LOG_LEVEL", "debug");
    let process = premises.open();
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let mut client = process.connect();
    let headers =
        [("traceparent", traceparent.as_str()), ("x-request-id", "tour-1"), ("user-agent", "nosy/1.0")];
    let answer =
        client.request("GET", "/api/v1/pizzas/margherita?phone=5550100", &headers, b"").expect("an answer");
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("tour-1")));
    assert_eq!(process.get("/api/v1/nothing/here?phone=5550100").status, 404);
    assert_eq!(process.get("/health/live").status, 200);
    assert_eq!(process.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "ring twice")).status, 201);
    let finished = process.close();
    finished.assert_code(0);

    let lines = finished.json_lines();
    for line in &lines {
        for key in ["timestamp", "level", "message", "target", "service", "release"] {
            assert!(line[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {line}");
        }
        let timestamp = line["timestamp"].as_str().expect("text");
        assert!(
            timestamp.len() == 27 && timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T',
            "{line}"
        );
        assert_eq!((&line["service"], &line["release"]), (&"marios-pizzeria".into(), &"42-1f3a9c".into()));
        assert!(
            line.as_object().is_some_and(|fields| fields.values().all(|value| !value.is_object())),
            "{line}"
        );
    }
    let completed = |route: &Value, status: u16| {
        let is_it = |line: &&Value| {
            line["message"] == "request completed"
                && line["http.route"] == *route
                && line["http.status"] == status
        };
        lines.iter().find(is_it).unwrap_or_else(|| panic!("no {route} {status} in {}", finished.stdout))
    };
    let asked = completed(&"/api/v1/pizzas/{id}".into(), 200);
    assert_eq!((&asked["http.method"], &asked["level"]), (&"GET".into(), &"INFO".into()));
    assert_eq!((&asked["request.id"], &asked["trace.id"]), (&"tour-1".into(), &TRACE.into()));
    assert_eq!(asked["client.address"], "127.0.0.1");
    assert!(asked["duration_ms"].as_f64().is_some_and(|duration| duration > 0.0), "{asked}");
    assert_eq!(completed(&Value::Null, 404)["level"], "INFO");
    assert_eq!(completed(&"/health/live".into(), 200)["level"], "DEBUG", "probes are no news");
    assert!(lines.iter().any(|line| line["message"] == "request started"));
    for private in ["5550100", "555 0100", "nosy", "ring twice", "1 Main St"] {
        assert!(!finished.stdout.contains(private), "{private}: {}", finished.stdout);
    }
    assert_eq!(finished.stderr, "", "the log is standard output's alone");
}

#[test]
fn what_becomes_of_an_order_is_logged_once_it_is_certain_and_without_whose_it_is() {
    let process = Premises::furnished().open();
    let order = guest_order("+1 555 0100", "ring twice");
    let key = [("idempotency-key", "once")];
    let placed = process.post("/api/v1/orders", &key, &order);
    let again = process.post("/api/v1/orders", &key, &order);
    assert_eq!((placed.status, again.status), (201, 201));
    let placed = placed.json();
    assert_eq!(placed["id"], again.json()["id"], "a repetition gets the answer that was kept");
    let mut wrong = order.clone();
    wrong["lines"][0]["pizza_id"] = "calzone".into();
    assert_eq!(process.post("/api/v1/orders", &[], &wrong).status, 422);
    let id = placed["id"].as_str().expect("an id");
    let token = [("x-tracking-token", placed["tracking_token"].as_str().expect("a token"))];
    let reason = serde_json::json!({"reason": "not hungry"});
    for status in [200, 409] {
        let cancelled = process.post(&format!("/api/v1/orders/{id}/cancel"), &token, &reason);
        assert_eq!(cancelled.status, status, "{}", cancelled.text());
    }
    let finished = process.close();
    finished.assert_code(0);
    let lines = finished.json_lines();
    let of_orders: Vec<_> = lines.iter().filter(|line| !line["order.id"].is_null()).collect();
    let told: Vec<_> = of_orders.iter().map(|line| (&line["message"], &line["order.id"])).collect();
    let expected: [(Value, Value); 2] =
        [("order placed".into(), id.into()), ("order cancelled".into(), id.into())];
    assert_eq!(told, expected.iter().map(|(message, id)| (message, id)).collect::<Vec<_>>());
    let line = of_orders[0];
    assert_eq!((&line["order.pizzas"], &line["level"]), (&2.into(), &"INFO".into()));
    assert_eq!((&line["order.total"], &line["order.currency"]), (&"38.78".into(), &"USD".into()));
    assert_eq!(line["customer.id"], placed["customer"]["id"]);
    assert!(line["trace.id"].is_string(), "it belongs to its request: {line}");
    for private in ["Ada", "5550100", "555 0100", "ring twice", "Main St", "not hungry", token[0].1] {
        assert!(!finished.stdout.contains(private), "{private}: {}", finished.stdout);
    }
}

#[test]
fn query_and_user_agent_are_logged_when_asked_for() {
    let process = Premises::furnished().set("HTTP_LOG_QUERY", "on").set("HTTP_LOG_USER_AGENT", "on").open();
    let mut client = process.connect();
    client.request("GET", "/api/v1/pizzas?limit=3", &[("user-agent", "nosy/1.0")], b"").expect("an answer");
    let line = process.wait_for_line("completed", |line| line["message"] == "request completed");
    assert_eq!((&line["http.query"], &line["http.user_agent"]), (&"limit=3".into(), &"nosy/1.0".into()));
    process.close().assert_code(0);
}

#[test]
fn nobody_forges_a_line() {
    let forged = r#"%0A{"level":"ERROR","message":"forged"}%0D%0A%1B[31mred"#;
    for format in ["json", "text"] {
        let premises = Premises::furnished()
            .set("LOG_FORMAT", format)
            .set("LOG_LEVEL", "trace")
            .set("HTTP_LOG_QUERY", "on")
            .set("HTTP_LOG_USER_AGENT", "on")
            // Text has no object that says where it answers.
            .set("PORT", free_port());
        let mut process = premises.start(&["web"]);
        if format == "json" {
            process.wait_until_ready();
        }
        let address = premises_address(&premises);
        let mut client = eventually("it listens", || Client::connect(address).ok());
        let plain = forged.replace(' ', "%20").replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        let agent = "agent\t\u{9b}31m{\"message\":\"forged\"}\u{2028}";
        let headers =
            [("user-agent", agent), ("x-request-id", "a\u{1b}[31m"), ("traceparent", "00-\u{1b}[31m")];
        for path in [format!("/api/v1/pizzas/{plain}"), format!("/{plain}?q={plain}")] {
            // Some of it is refused, which is as good.
            let _ = client.request("GET", &path, &headers, b"");
            client = Client::connect(address).expect("it listens");
        }
        let order =
            guest_order("+1 555 0100\n{\"message\":\"forged\"}", "\u{1b}[31m\n{\"message\":\"forged\"}");
        client.post("/api/v1/orders", &[], &order).expect("an answer");
        let finished = process.close();
        finished.assert_code(0);
        let is_control = |symbol: char| symbol.is_control() && symbol != '\n';
        assert!(!finished.stdout.contains(is_control), "{format}: {:?}", finished.stdout);
        assert!(!finished.stdout.contains('\u{2028}'), "{format}: {:?}", finished.stdout);
        for line in finished.stdout.lines() {
            if format == "json" {
                let line: Value = serde_json::from_str(line).expect("JSON");
                assert_ne!(line["message"], "forged");
            } else {
                assert!(!line.starts_with('{'), "{line}");
            }
        }
    }
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port().to_string()
}

fn premises_address(premises: &Premises) -> std::net::SocketAddr {
    let port = premises.setting("PORT").parse().expect("a port");
    ([127, 0, 0, 1], port).into()
}

#[test]
fn text_into_a_pipe_has_no_colours() {
    let premises = Premises::furnished().set("LOG_FORMAT", "text").set("PORT", free_port());
    let process = premises.start(&["web"]);
    let address = premises_address(&premises);
    let mut client = eventually("it listens", || Client::connect(address).ok());
    assert_eq!(client.request("GET", "/api/v1/pizzas", &[], b"").expect("an answer").status, 200);
    let finished = process.close();
    finished.assert_code(0);
    assert!(finished.stdout.contains("request completed"), "{}", finished.stdout);
    assert!(!finished.stdout.contains('\u{1b}'), "{:?}", finished.stdout);
}

/// Both ends of a terminal.
pub(super) fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("ASCII");
    let slave = File::options().read(true).write(true).open(name).expect("the other end");
    (File::from(master), slave)
}

#[test]
fn a_terminal_gets_text_with_colours_and_a_pipe_gets_json() {
    let premises = Premises::furnished();
    let piped = premises.open().close();
    assert!(!piped.assert_code(0).json_lines().is_empty());

    let (mut screen, slave) = terminal();
    let process = Process::spawn(premises.command(&["web"]).stdout(slave));
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let has_ended = |seen: &[u8]| String::from_utf8_lossy(seen).contains("shutdown.complete");
    let mut is_told = false;
    while !has_ended(&seen) {
        let count = screen.read(&mut buffer).expect("the terminal is open");
        seen.extend_from_slice(&buffer[..count]);
        if !is_told && String::from_utf8_lossy(&seen).contains("ready") {
            process.signal(rustix::process::Signal::TERM);
            is_told = true;
        }
    }
    process.end_within(PATIENCE).assert_code(0);
    let text = String::from_utf8(seen).expect("text");
    assert!(text.contains("\u{1b}["), "{text:?}");
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_err()), "{text}");
}

#[test]
fn directives_say_what_is_logged() {
    let lines_with = |level: &str| {
        let process = Premises::furnished().set("LOG_LEVEL", level).set("PORT", free_port());
        let address = premises_address(&process);
        let running = process.start(&["web"]);
        let mut client = eventually("it listens", || Client::connect(address).ok());
        assert_eq!(client.request("GET", "/api/v1/pizzas", &[], b"").expect("an answer").status, 200);
        let finished = running.close();
        finished.assert_code(0);
        finished.json_lines()
    };
    assert_eq!(lines_with("off"), [] as [Value; 0]);
    assert!(lines_with("warn").iter().all(|line| line["level"] == "WARN"));
    let some = lines_with("warn,neuroglia::web=info");
    let targets: Vec<_> = some.iter().filter_map(|line| line["target"].as_str()).collect();
    assert!(
        !targets.is_empty() && targets.iter().all(|target| target.starts_with("neuroglia::web")),
        "{targets:?}"
    );
    assert!(lines_with("debug").iter().any(|line| line["level"] == "DEBUG"));
}

/// A process with its standard output in the test's hands, read up to the line that says where it answers.
fn open_with_own_reader(
    premises: &Premises,
) -> (Process, std::net::SocketAddr, Option<std::net::SocketAddr>, impl Sized) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let process = Process::spawn(premises.command(&["web"]).stdout(writer).stderr(Stdio::piped()));
    let mut lines = BufReader::new(reader);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["message"] == "ready" {
            let address = |name: &str| line[name].as_str().and_then(|text| text.parse().ok());
            return (
                process,
                address("server.address").expect("an address"),
                address("admin.address"),
                lines,
            );
        }
    }
}

#[test]
fn a_closed_stdout_stops_nothing() {
    let premises = Premises::furnished();
    let (process, address, _, reader) = open_with_own_reader(&premises);
    drop(reader);
    let mut client = Client::connect(address).expect("it listens");
    for _ in 0..50 {
        assert_eq!(client.request("GET", "/api/v1/pizzas", &[], b"").expect("an answer").status, 200);
    }
    process.signal(rustix::process::Signal::TERM);
    let finished = process.end_within(PATIENCE);
    finished.assert_code(0);
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_stdout_that_nobody_reads_stops_nothing_and_the_loss_is_counted() {
    let premises = Premises::furnished().set("LOG_LEVEL", "trace").set("ADMIN_PORT", "0");
    let (process, address, admin, _reader) = open_with_own_reader(&premises);
    let lost = || {
        let mut client = Client::connect(admin.expect("it is on")).expect("it listens");
        let metrics = client.request("GET", "/metrics", &[], b"").expect("an answer").text();
        let count = metrics.lines().find_map(|line| line.strip_prefix("log_lines_lost_total "));
        count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_else(|| panic!("no count in {metrics}"))
    };
    let mut client = Client::connect(address).expect("it listens");
    let long = "x".repeat(200);
    let headers = [("x-request-id", &long[..100])];
    eventually("more was logged than anybody keeps", || {
        for _ in 0..250 {
            assert_eq!(client.request("GET", "/nothing", &headers, b"").expect("an answer").status, 404);
        }
        (lost() > 0).then_some(())
    });
    process.signal(rustix::process::Signal::TERM);
    process.end_within(PATIENCE).assert_code(0);
}
