//! Every limit is a setting, and whoever crosses it gets the answer that is documented.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::client::head;
use super::{Client, Premises, Process, eventually, guest_order};

/// The process is as well as before.
fn assert_well(process: Process) {
    assert_eq!(process.get("/api/v1/pizzas/margherita").status, 200);
    let finished = process.close();
    finished.assert_code(0);
    assert!(!finished.stdout.contains("\"level\":\"ERROR\""), "{}", finished.stdout);
}

#[test]
fn sizes() {
    let process = Premises::furnished()
        .set("HTTP_BODY_MAX", "1KiB")
        .set("HTTP_BODY_INFLATED_MAX", "2KiB")
        .set("HTTP_HEADER_MAX", "1KiB")
        .set("HTTP_HEADER_COUNT_MAX", "10")
        .set("HTTP_REQUEST_LINE_MAX", "256B")
        .set("HTTP_JSON_DEPTH_MAX", "5")
        .open();
    let order = guest_order("+1 555 0100", "small enough");
    assert_eq!(process.post("/api/v1/orders", &[], &order).status, 201, "everything fits");

    let large = guest_order("+1 555 0100", &"x".repeat(1024));
    process.post("/api/v1/orders", &[], &large).assert_problem(413, "request.body_too_large");
    // Nobody has to send what is refused by its announced length.
    let mut announced = process.connect();
    let json = [("content-type", "application/json")];
    announced.send(&head("POST", "/api/v1/orders", &json, 1 << 30)).expect("sent");
    announced.answer().expect("an answer").assert_problem(413, "request.body_too_large");
    let mut chunked = process.connect();
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    chunked.send(&head("POST", "/api/v1/orders", &headers, 0)).expect("sent");
    // The answer may come, and the connection end, before everything is sent.
    let _ = chunked.send(format!("800\r\n{}\r\n0\r\n\r\n", " ".repeat(0x800)).as_bytes());
    chunked.answer().expect("an answer").assert_problem(413, "request.body_too_large");

    let value = "v".repeat(1100);
    let mut client = process.connect();
    let answer = client.request("GET", "/api/v1/pizzas", &[("x-large", &value)], b"").expect("an answer");
    answer.assert_problem(431, "request.headers_too_large");
    let many: Vec<_> = (0..12).map(|_| ("x-many", "v")).collect();
    let answer = process.connect().request("GET", "/api/v1/pizzas", &many, b"").expect("an answer");
    answer.assert_problem(431, "request.headers_too_large");
    let answer = process.get(&format!("/api/v1/pizzas?{}", "q".repeat(300)));
    answer.assert_problem(414, "request.uri_too_long");

    let mut deep = json!("ring twice");
    for _ in 0..6 {
        deep = json!([deep]);
    }
    let answer = process.post("/api/v1/orders", &[], &json!({ "notes": deep }));
    assert_eq!(answer.status, 400, "{}", answer.text());
    let code = answer.json()["code"].as_str().expect("a code").to_owned();
    answer.assert_problem(400, &code);
    assert!(code.contains("deep") || code.contains("depth"), "{code}");

    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).expect("into memory");
        encoder.finish().expect("into memory")
    };
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let post =
        |body: &[u8]| process.connect().request("POST", "/api/v1/orders", &headers, body).expect("an answer");
    let spacious = |length: usize| {
        let order = order.to_string();
        gzip(&format!("{order}{}", " ".repeat(length - order.len())))
    };
    assert_eq!(post(&spacious(2048)).status, 201, "as large as it may be");
    assert!(spacious(2049).len() < 1024, "what is sent is small");
    post(&spacious(2049)).assert_problem(413, "request.body_too_large");
    post(&spacious(1 << 20)).assert_problem(413, "request.body_too_large");
    let whole = spacious(2048);
    post(&whole[..whole.len() / 2]).assert_problem(400, "encoding.malformed");
    assert_well(process);
}

#[test]
fn times() {
    let process = Premises::furnished()
        .set("HTTP_HEADER_TIMEOUT", "300ms")
        .set("HTTP_IDLE_TIMEOUT", "300ms")
        .set("HTTP_REQUEST_TIMEOUT", "400ms")
        .open();
    let begun = Instant::now();
    let mut half = process.connect();
    half.send(b"GET /api/v1/pizzas HTTP/1.1\r\nhost: 127").expect("sent");
    let silent = process.connect();
    let mut idle = process.connect();
    assert_eq!(idle.request("GET", "/health/live", &[], b"").expect("an answer").status, 200);
    let mut held = process.connect();
    let rest = held.post_half("/api/v1/orders", &guest_order("+1 555 0100", "")).expect("half is sent");

    half.answer().expect("an answer").assert_problem(408, "request.head_timeout");
    assert_eq!(half.until_end().expect("no reset"), b"");
    assert_eq!(silent.until_end().expect("no reset"), b"", "a silent connection is just closed");
    assert_eq!(idle.until_end().expect("no reset"), b"", "an idle connection is just closed");
    held.answer().expect("an answer").assert_problem(408, "request.body_timeout");
    drop(rest);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
    assert_well(process);
}

#[test]
fn a_body_that_trickles_is_refused() {
    let process =
        Premises::furnished().set("HTTP_BODY_RATE_MIN", "100000").set("HTTP_BODY_RATE_GRACE", "300ms").open();
    let mut client = process.connect();
    let rest = client.post_half("/api/v1/orders", &guest_order("+1 555 0100", "")).expect("half is sent");
    // Nothing more comes; the first moment is forgiven.
    client.answer().expect("an answer").assert_problem(408, "request.body_too_slow");
    drop(rest);
    assert_well(process);
}

#[test]
fn a_reader_that_takes_nothing_is_cut() {
    let process = Premises::furnished().set("HTTP_WRITE_TIMEOUT", "300ms").open();
    let mut client = process.connect();
    client.stream().set_write_timeout(Some(Duration::from_millis(300))).expect("a time-out");
    let request = head("GET", "/openapi.json", &[], 0);
    eventually("nothing more can be sent", || client.stream().write(&request).err());
    // What was on its way comes, then the end.
    client.stream().set_write_timeout(Some(super::PATIENCE)).expect("a time-out");
    eventually("the connection is cut", || client.send(&request).err());
    assert_well(process);
}

#[test]
fn connections_beyond_the_cap_wait_for_their_turn() {
    let process = Premises::furnished().set("HTTP_CONNECTIONS_MAX", "2").open();
    let mut first = process.connect();
    let mut second = process.connect();
    for client in [&mut first, &mut second] {
        assert_eq!(client.request("GET", "/health/live", &[], b"").expect("an answer").status, 200);
    }
    // The kernel takes the third one; nobody reads it.
    let mut third = process.connect();
    third.send(&head("GET", "/health/live", &[], 0)).expect("sent");
    third.stream().set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
    let waiting = third.answer().expect_err("no place is free");
    assert!(
        matches!(waiting.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        "{waiting}"
    );
    third.stream().set_read_timeout(Some(super::PATIENCE)).expect("a time-out");
    drop(first);
    assert_eq!(third.answer().expect("its turn has come").status, 200);
    drop((second, third));
    assert_well(process);
}

/// A process with so few files that a crowd of connections takes them all, and that crowd.
fn crowded(premises: &Premises) -> (Process, Vec<Client>) {
    let mut process = Process::spawn(&mut premises.command_after("ulimit -n 64", &["web"]));
    process.wait_until_ready();
    let crowd = (0..80).map(|_| process.connect()).collect();
    process.wait_for_line("no more files", |line| {
        line["level"] == "ERROR" && line["message"].to_string().contains("cannot be accepted")
    });
    (process, crowd)
}

#[test]
fn a_process_without_a_file_to_spare_serves_again_when_there_is_one() {
    let premises = Premises::furnished().set("HTTP_CONNECTIONS_MAX", "1000");
    let (process, mut crowd) = crowded(&premises);
    let mut kept = crowd.remove(0);
    assert_eq!(kept.request("GET", "/health/live", &[], b"").expect("an answer").status, 200);
    drop(crowd);
    assert_eq!(process.get("/health/live").status, 200);
    let finished = process.close();
    finished.assert_code(0);
    // The relay may have asked the store meanwhile, and is another story.
    let is_of_accept = |line: &&Value| {
        line["level"] == "ERROR" && line["target"].as_str().is_some_and(|target| target.ends_with("::accept"))
    };
    let errors = finished.json_lines().iter().filter(is_of_accept).count();
    assert_eq!(errors, 1, "a time of trouble is told once: {}", finished.stdout);
}

#[test]
fn those_who_wait_without_a_file_for_them_are_served_before_the_end() {
    let premises = Premises::furnished().set("HTTP_CONNECTIONS_MAX", "1000");
    let (process, mut crowd) = crowded(&premises);
    let mut last = crowd.split_off(70);
    for client in &mut last {
        client.send(&head("GET", "/health/live", &[], 0)).expect("the kernel takes it");
    }
    let finished = process.close();
    for mut client in last {
        assert_eq!(client.answer().expect("no reset").status, 200);
    }
    finished.assert_code(0);
}

#[test]
fn quotas() {
    let process =
        Premises::furnished().set("LOGIN_LIMIT_ACCOUNT", "2/60s").set("HTTP_RATE_LIMIT", "8/60s").open();
    let body = json!({"username": "chef@example.com", "password": "correct horse battery"});
    for _ in 0..2 {
        assert_eq!(process.post("/api/v1/auth/token", &[], &body).status, 401);
    }
    let refused = process.post("/api/v1/auth/token", &[], &body);
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").is_some() && refused.header("ratelimit").is_some(), "{refused:?}");
    let mut client: Client = process.connect();
    let refused = eventually("too many requests", || {
        let answer = client.request("GET", "/api/v1/pizzas", &[], b"").ok()?;
        (answer.status == 429).then_some(answer)
    });
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    // The platform must not take a busy process for a sick one.
    for probe in ["/health", "/health/live", "/health/ready", "/health/startup"] {
        assert_eq!(process.get(probe).status, 200, "{probe}");
    }
    process.close().assert_code(0);
}
