//! Private servers, and the strait before them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use neuroglia_testing::services::Redis;
use neuroglia_testing::{Strait, Weather};

/// What a server at this port answers to a command of Redis' inline form.
fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port is named")
}

#[test]
fn a_server_is_stopped_crashed_and_started_again_and_gone_with_its_holder() {
    let mut redis = Redis::start();
    let port = port(&redis.url());
    assert_eq!(ask(port, "SET pizza margherita").expect("it answers"), "+OK\r\n");
    for end in [Redis::stop as fn(&mut Redis), Redis::crash] {
        end(&mut redis);
        ask(port, "PING").expect_err("nobody answers");
        redis.start_again();
        assert_eq!(ask(port, "GET pizza").expect("it answers"), "$10\r\nmargherita\r\n");
    }
    drop(redis);
    ask(port, "PING").expect_err("nobody answers");
}

/// A port that gives back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut from, mut to) = stream.and_then(|s| Ok((s.try_clone()?, s))).expect("a connection");
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
    });
    port
}

fn over(strait: &Strait) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", strait.port())).expect("the near end is there");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
    stream
}

fn echoed(stream: &mut TcpStream) -> bool {
    stream.write_all(b"ahoy").is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
}

#[test]
fn what_waits_in_silence_passes_in_fair_weather() {
    for held in [Weather::Silent, Weather::HalfOpen] {
        let strait = Strait::to(echo());
        let mut stream = over(&strait);
        assert!(echoed(&mut stream));
        strait.turn(held);
        assert!(!echoed(&mut stream), "{held:?}");
        strait.turn(Weather::Fair);
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        stream.read_exact(&mut [0; 4]).expect("what waited comes");
    }
}

#[test]
fn slow_bytes_arrive_and_a_closed_strait_cuts_and_refuses() {
    let strait = Strait::to(echo());
    let mut stream = over(&strait);
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    strait.turn(Weather::Slow(Duration::from_millis(30)));
    let began = Instant::now();
    assert!(echoed(&mut stream));
    assert!(began.elapsed() >= Duration::from_millis(60), "there and back");
    strait.turn(Weather::Closed);
    assert!(!echoed(&mut stream));
    assert!(!echoed(&mut over(&strait)));
    strait.turn(Weather::Fair);
    let mut last = over(&strait);
    assert!(echoed(&mut last));
    assert_eq!(strait.cut(), 1, "the others have ended");
    assert!(!echoed(&mut last));
}
