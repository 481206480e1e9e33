//! The admin surface and the probes of the real process.

use rustix::process::Signal;

use super::{Client, Premises};

#[test]
fn it_is_off_unless_asked_for_and_the_log_says_so() {
    let process = Premises::furnished().open();
    let line = process.wait_for_line("off", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("ADMIN_PORT"))
    });
    assert_eq!(line["level"], "INFO");
    process.get("/metrics").assert_problem(404, "route.not_found");
    let health = process.get("/health");
    assert_eq!(health.status, 200);
    assert!(health.json().get("checks").is_none(), "strangers get no detail: {}", health.text());
    process.close().assert_code(0);
}

#[test]
fn on_loopback_operators_see_metrics_and_every_check() {
    let process = Premises::furnished().set("ADMIN_PORT", "0").open();
    assert!(process.admin_address().ip().is_loopback());
    let ask = |path: &str| {
        let mut client = Client::connect(process.admin_address()).expect("it listens");
        client.request("GET", path, &[], b"").expect("an answer")
    };
    let health = ask("/health").json();
    assert_eq!(health["checks"][0]["kind"], "sqlite", "{health}");
    assert_eq!(health["checks"][0]["up"], true);

    assert_eq!(process.get("/api/v1/pizzas/margherita").status, 200);
    process.get("/api/v1/pizzas/calzone?secret=1").assert_problem(404, "pizza.not_found");
    let metrics = ask("/metrics");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for (status, count) in [("2xx", 1), ("4xx", 1)] {
        let counted = text.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_count")
                && line.contains(r#"route="/api/v1/pizzas/{id}""#)
                && line.contains(&format!(r#"status="{status}""#))
                && line.ends_with(&format!(" {count}"))
        });
        assert!(counted, "no {status}: {text}");
    }
    assert!(text.contains("http_server_active_requests 0"), "{text}");
    assert!(text.contains("log_lines_lost_total 0"), "{text}");
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    assert!(!text.contains("calzone") && !text.contains("secret"), "what strangers send is no label: {text}");
    process.close().assert_code(0);
}

#[test]
fn an_operator_finds_an_answer_again_by_its_trace() {
    let premises = Premises::furnished().set("ADMIN_PORT", "0").set("SHUTDOWN_DELAY", "5s");
    let process = premises.set("LOG_LEVEL", "debug").open();
    let mut client = Client::connect(process.admin_address()).expect("it listens");
    process.signal(Signal::TERM);
    process.wait_for_line("shutdown.begin", |line| line["message"] == "shutdown.begin");
    for (path, status, code) in
        [("/health/ready", 503, "health.draining"), ("/nothing", 404, "route.not_found")]
    {
        let answer = client.request("GET", path, &[], b"").expect("an answer");
        answer.assert_problem(status, code);
        let (trace, problem) = (answer.header("traceparent").expect("a trace"), answer.json());
        assert_eq!((&problem["trace_id"], &problem["instance"]), (&trace[3..35].into(), &path.into()));
        process.wait_for_line("completed", |line| {
            line["message"] == "request completed"
                && line["trace.id"] == trace[3..35]
                && line["level"] == "DEBUG"
        });
    }
}

#[test]
fn with_a_token_nobody_gets_in_without_it() {
    let token = "vK3nR8xW2qL6mT0z";
    let process = Premises::furnished().set("ADMIN_PORT", "0").set("ADMIN_TOKEN", token).open();
    let ask = |headers: &[(&str, &str)]| {
        let mut client = Client::connect(process.admin_address()).expect("it listens");
        client.request("GET", "/metrics", headers, b"").expect("an answer").status
    };
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&[("authorization", "Bearer vK3nR8xW2qL6mT0y")]), 401);
    assert_eq!(ask(&[("authorization", &format!("Bearer {token}"))]), 200);
    process.close().assert_code(0);
}

/// How many threads of the runtime a process has, which may be a few more than its workers.
#[cfg(target_os = "linux")]
fn runtime_threads(workers: &str) -> usize {
    let process = Premises::furnished().set("SERVER_WORKERS", workers).open();
    let tasks = format!("/proc/{}/task", process.pid().as_raw_nonzero());
    let tasks = std::fs::read_dir(tasks).expect("a process has threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    let count = names.filter(|name| name.starts_with("tokio-")).count();
    process.close().assert_code(0);
    count
}

#[test]
#[cfg(target_os = "linux")]
fn the_workers_are_as_many_as_they_are_set_to() {
    let (few, many) = (runtime_threads("1"), runtime_threads("24"));
    assert!(few < 24 && many >= 24, "{few} and {many}");
    let none = Premises::new().set("SERVER_WORKERS", "0").run(&["config", "--check"]);
    assert!(none.assert_code(78).stderr.contains("SERVER_WORKERS"), "{}", none.stderr);
}
