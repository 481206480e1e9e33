//! The end of a process: SIGTERM and SIGINT alike, one deadline, and nothing that was accepted is lost.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::ledger::Ledger;
use super::running::is_refused;
use super::{Answer, Client, Finished, PATIENCE, Premises, Process, eventually, guest_order};

/// What an end may take beyond its deadline on a machine with other work.
const SLACK: Duration = Duration::from_secs(3);

/// Every process that answers, with every signal that ends it.
const EVERY: [(&str, Signal); 4] =
    [("web", Signal::TERM), ("web", Signal::INT), ("all", Signal::TERM), ("all", Signal::INT)];

/// A request of which half of the body has arrived.
struct Held {
    client: Client,
    rest: Vec<u8>,
}

impl Held {
    fn hold(process: &Process) -> Self {
        let mut client = process.connect();
        let rest =
            client.post_half("/api/v1/orders", &guest_order("+1 555 0100", "held")).expect("half is sent");
        Self::wait_until_read(process);
        Self { client, rest }
    }

    /// The server has begun with the request when the log says so.
    fn wait_until_read(process: &Process) {
        process.wait_for_line("started", |line| {
            line["message"] == "request started" && line["http.method"] == "POST"
        });
    }

    fn finish(mut self) -> Answer {
        self.client.send(&self.rest).expect("the other half is sent");
        self.client.answer().expect("an answer")
    }
}

/// Sends the signal, and waits until the process has begun to end.
fn begin_end(process: &Process, signal: Signal) -> Instant {
    let sent = Instant::now();
    process.signal(signal);
    process.wait_for_line("shutdown.begin", |line| line["message"] == "shutdown.begin");
    sent
}

/// With a log from which tests learn what has begun.
fn premises() -> Premises {
    Premises::furnished().set("LOG_LEVEL", "debug")
}

#[track_caller]
fn assert_within(finished: &Finished, begun: Instant, span: Duration) {
    let took = finished.at - begun;
    assert!(took < span + SLACK, "took {took:?} instead of {span:?}\n{}", finished.stdout);
}

#[test]
fn an_idle_process_ends_at_once_with_0() {
    for (name, signal) in EVERY {
        let process = premises().open_as(name);
        let begun = begin_end(&process, signal);
        let finished = process.end_within(PATIENCE);
        finished.assert_code(0);
        assert_within(&finished, begun, Duration::ZERO);
        let messages = finished.messages();
        assert_eq!(messages.last().map(String::as_str), Some("shutdown.complete"), "{messages:?}");
        let began = finished.json_lines().into_iter().find(|line| line["message"] == "shutdown.begin");
        let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGINT" };
        assert_eq!(began.expect("it was waited for")["signal"], name);
    }
}

#[test]
fn a_request_in_flight_finishes_while_nobody_else_gets_in() {
    for (name, signal) in EVERY {
        let process = premises().open_as(name);
        let mut kept = process.connect();
        assert_eq!(kept.request("GET", "/api/v1/pizzas", &[], b"").expect("an answer").status, 200);
        let held = Held::hold(&process);
        begin_end(&process, signal);
        let address = process.address();
        eventually("the door is closed", || Client::connect(address).err().filter(is_refused));
        assert!(process.is_running(), "a request is in flight");

        let answer = held.finish();
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert!(answer.closes(), "{answer:?}");
        process.end_within(PATIENCE).assert_code(0);
        // An idle connection ends in order, without a reset.
        assert_eq!(kept.until_end().expect("no reset"), b"");
    }
}

#[test]
fn readiness_ends_at_once_and_the_door_after_the_delay() {
    const DELAY: Duration = Duration::from_secs(3);
    let process = premises().set("SHUTDOWN_DELAY", "3s").open();
    let mut kept = process.connect();
    assert_eq!(kept.request("GET", "/health/ready", &[], b"").expect("an answer").status, 200);
    let begun = begin_end(&process, Signal::TERM);

    let ready = process.get("/health/ready");
    ready.assert_problem(503, "health.draining");
    assert!(ready.closes());
    let live = process.get("/health/live");
    assert_eq!(live.status, 200);
    assert!(live.closes());
    assert_eq!(process.get("/health/startup").status, 200);
    assert_eq!(process.get("/health").status, 503);
    let late = process.post("/api/v1/orders", &[], &guest_order("+1 555 0100", "late"));
    assert_eq!(late.status, 201, "still served: {}", late.text());
    let on_kept = kept.request("GET", "/api/v1/pizzas", &[], b"").expect("an answer");
    assert!(on_kept.status == 200 && on_kept.closes(), "{on_kept:?}");
    let asked_for = begun.elapsed();
    assert!(asked_for < DELAY, "the machine is too busy to tell: {asked_for:?}");

    let address = process.address();
    eventually("the door is closed", || Client::connect(address).err().filter(is_refused));
    assert!(begun.elapsed() >= DELAY, "closed after {:?}", begun.elapsed());
    process.end_within(PATIENCE).assert_code(0);
}

#[test]
fn who_says_nothing_or_half_a_head_holds_nothing() {
    let timeout = Duration::from_secs(2);
    let process = premises().set("SHUTDOWN_TIMEOUT", "2s").open();
    let _silent = process.connect();
    let mut idle = process.connect();
    assert_eq!(idle.request("GET", "/health/live", &[], b"").expect("an answer").status, 200);
    let mut half = process.connect();
    half.send(b"GET /api/v1/pizzas HTTP/1.1\r\nhost: 127").expect("sent");
    let mut second_half = process.connect();
    assert_eq!(second_half.request("GET", "/health/live", &[], b"").expect("an answer").status, 200);
    second_half.send(b"GET /").expect("sent");
    let begun = begin_end(&process, Signal::TERM);
    let finished = process.end_within(PATIENCE);
    finished.assert_code(0);
    assert_within(&finished, begun, timeout);
}

#[test]
fn a_reader_that_stalls_is_cut_at_the_deadline() {
    let process = premises().set("SHUTDOWN_TIMEOUT", "1s").open();
    let stalled = process.connect();
    stalled.stream().set_write_timeout(Some(Duration::from_secs(1))).expect("a time-out");
    // More answers than the kernel keeps for somebody who takes none: then nobody reads requests either, and they
    // fill the kernel's buffers in the other direction.
    let requests = super::client::head("GET", "/openapi.json", &[], 0).repeat(1000);
    let mut sent = 0_usize;
    while let Ok(count) = stalled.stream().write(&requests) {
        sent += count;
        assert!(sent < 1 << 27, "somebody still reads requests");
    }
    let begun = begin_end(&process, Signal::TERM);
    let finished = process.end_within(PATIENCE);
    assert_within(&finished, begun, Duration::from_secs(1));
    finished.assert_code(75);
    assert_eq!(last_line(&finished)["answers.unsent"], 1, "{}", finished.stdout);
}

/// What is said last, which for a code of 75 is what was left undone.
fn last_line(finished: &Finished) -> Value {
    finished.json_lines().pop().expect("it says how it ended")
}

#[test]
fn work_that_is_left_at_the_deadline_is_75_and_named() {
    for (name, signal) in EVERY {
        let process = premises().set("SHUTDOWN_TIMEOUT", "500ms").open_as(name);
        let held = Held::hold(&process);
        let begun = begin_end(&process, signal);
        let finished = process.end_within(PATIENCE);
        finished.assert_code(75);
        assert_within(&finished, begun, Duration::from_millis(500));
        let lines = finished.json_lines();
        let Some(named) = lines.iter().find(|line| line["url.path"] == "/api/v1/orders") else {
            panic!("the request is not named\n{}", finished.stdout);
        };
        assert_eq!((named["level"].as_str(), named["http.method"].as_str()), (Some("WARN"), Some("POST")));
        let last = last_line(&finished);
        assert!(last["message"].to_string().contains("shutdown.incomplete"), "{last}");
        assert_eq!((&last["requests.abandoned"], &last["answers.unsent"]), (&1.into(), &0.into()), "{last}");
        drop(held);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::TERM)] {
        let process = premises().open();
        let held = Held::hold(&process);
        begin_end(&process, first);
        let begun = Instant::now();
        process.signal(second);
        let finished = process.end_within(PATIENCE);
        finished.assert_code(75);
        assert_within(&finished, begun, Duration::ZERO);
        drop(held);
    }
}

#[test]
fn a_signal_while_the_port_is_not_open_yet_ends_it_too() {
    for (name, signal) in EVERY {
        let process = premises().start(&[name]);
        process.wait_until_it_catches(signal);
        process.signal(signal);
        process.end_within(PATIENCE).assert_code(0);
    }
}

/// What a client of the load saw.
#[derive(Default)]
struct Load {
    /// The keys of orders that were acknowledged.
    placed: BTreeSet<String>,
    /// The keys of orders on new connections that were cut before a single byte of an answer.
    unheard: BTreeSet<String>,
    answers: usize,
}

impl Load {
    /// Asks as fast as it can, on a kept connection, until nobody listens any more.
    fn run(process: &Process, client: usize, answered: &AtomicUsize) -> Self {
        let mut load = Self::default();
        let mut connection = process.connect();
        let mut is_fresh = true;
        for round in 0.. {
            let key = format!("load-{client}-{round}");
            let outcome = if round % 2 == 0 {
                connection.request("GET", "/api/v1/pizzas/margherita", &[], b"")
            } else {
                let order = guest_order(&format!("+1 555 02{client:02}"), &key);
                connection.post("/api/v1/orders", &[("idempotency-key", &key)], &order)
            };
            let closes = match outcome {
                Ok(answer) => {
                    let expected = if round % 2 == 0 { 200 } else { 201 };
                    assert_eq!(answer.status, expected, "{key}: {}", answer.text());
                    if round % 2 == 1 {
                        load.placed.insert(key);
                    }
                    load.answers += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                    answer.closes()
                }
                Err(cause) => {
                    // A connection that nobody took before the door closed is the kernel's to end, not ours.
                    let is_cut = matches!(
                        cause.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
                    );
                    assert!(is_fresh && is_cut, "{key} on a kept connection: {cause}");
                    load.unheard.insert(key);
                    true
                }
            };
            is_fresh = closes;
            if closes {
                match Client::connect(process.address()) {
                    Ok(next) => connection = next,
                    Err(cause) if is_refused(&cause) || cause.kind() == ErrorKind::ConnectionReset => break,
                    Err(cause) => panic!("{cause}"),
                }
            }
        }
        load
    }
}

#[test]
fn under_load_no_request_that_was_accepted_is_lost() {
    for (signal, delay) in [(Signal::TERM, "300ms"), (Signal::INT, "0s")] {
        let premises = Premises::furnished().set("SHUTDOWN_DELAY", delay);
        let process = premises.open();
        let answered = AtomicUsize::new(0);
        let loads: Vec<Load> = std::thread::scope(|scope| {
            let (process, answered) = (&process, &answered);
            let clients: Vec<_> =
                (0..8).map(|client| scope.spawn(move || Load::run(process, client, answered))).collect();
            eventually("the load is on", || (answered.load(Ordering::Relaxed) > 400).then_some(()));
            process.signal(signal);
            clients.into_iter().map(|client| client.join().expect("nothing was lost")).collect()
        });
        process.end_within(PATIENCE).assert_code(0);

        let ledger = Ledger::read(&premises);
        ledger.assert_sound();
        let mut placed = BTreeSet::new();
        for load in &loads {
            placed.extend(load.placed.iter().cloned());
        }
        let kept: BTreeSet<String> = ledger.notes().collect();
        assert_eq!(kept, placed, "what is kept is what was acknowledged, after {signal:?}");
        let unheard = loads.iter().map(|load| load.unheard.len()).sum::<usize>();
        let answers = loads.iter().map(|load| load.answers).sum::<usize>();
        assert!(answers > 400 && unheard <= 8, "{answers} answers, {unheard} connections that nobody took");
    }
}

#[test]
fn an_admin_command_that_waits_for_its_store_can_be_interrupted() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let place = nobody.local_addr().expect("it is bound");
    let premises = Premises::furnished()
        .set("DATABASE_URL", format!("postgres://mario:secret@{place}/pizzeria"))
        .set("STARTUP_TIMEOUT", "10m");
    let process = Process::spawn(&mut premises.command(&["admin", "export-orders"]));
    process.wait_until_it_catches(Signal::INT);
    process.signal(Signal::INT);
    let finished = process.end_within(PATIENCE);
    finished.assert_code(75);
    assert!(finished.stderr.contains("export-orders: interrupted"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
}

#[test]
fn an_admin_command_that_is_interrupted_says_so() {
    use std::process::Stdio;
    let premises = Premises::furnished();
    let arguments = [
        "admin",
        "create-user",
        "--username",
        "x@example.com",
        "--name",
        "X",
        "--role",
        "chef",
        "--password-stdin",
    ];
    let mut process = Process::spawn(premises.command(&arguments).stdin(Stdio::piped()));
    let stdin = process.stdin();
    // It waits for the password, which does not come.
    process.wait_until_it_catches(Signal::INT);
    process.signal(Signal::INT);
    let finished = process.end_within(PATIENCE);
    finished.assert_code(75);
    assert!(finished.stderr.contains("create-user: interrupted"), "{}", finished.stderr);
    drop(stdin);
    assert_eq!(finished.stdout, "");
}
