//! A Redis that is ill: requests do without the cache within a bounded time, sessions are refused, and all is well again
//! without a restart.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use neuroglia::cache::{Cache, CacheEngine, Keyspace, SessionSettings, Sessions};
use neuroglia::clock::Clock;
use neuroglia::error::{ErrorKind, chain};
use neuroglia::id::Ids;
use neuroglia::identity::Identity;
use neuroglia_backing::cache::connect;
use neuroglia_backing::redis::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use neuroglia_testing::services::Redis;
use neuroglia_testing::{Strait, Weather};
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(600);

/// What a machine that has other work too may take longer.
const SLACK: Duration = Duration::from_millis(500);

/// After what time at the latest everything must be well again: it is tried every second, and given one to answer.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// A part of an application that relies on a cache.
struct Patient {
    engine: Arc<dyn CacheEngine>,
    cache: Cache,
    sessions: Sessions,
}

impl Patient {
    async fn at(url: &str) -> Self {
        let url = url.parse().expect("a URL");
        let engine = connect(&url, Default::default(), Clock::system()).await.expect("a sound URL");
        let settings = SessionSettings { idle_timeout: LONG, lifetime: LONG };
        let (keyspace, clock, ids) = (Keyspace::of("clinic"), Clock::system(), Ids::random());
        let sessions = Sessions::new(Arc::clone(&engine), &keyspace, settings, clock, ids.clone());
        Self { cache: Cache::new(Arc::clone(&engine), "clinic", ids), engine, sessions }
    }

    async fn through(strait: &Strait) -> Self {
        Self::at(&format!("redis://127.0.0.1:{}", strait.port())).await
    }

    /// Waits until the cache answers; gives how long that took.
    async fn recovers(&self) -> Duration {
        let began = Instant::now();
        while self.engine.check().await.is_err() {
            assert!(began.elapsed() < RECOVERY_MAX, "it does not recover: {:?}", self.engine.check().await);
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// Asks as requests do that come one after another; gives how long the slowest and how long all waited.
    async fn suffers(&self, session: &str) -> (Duration, Duration) {
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(self.cache.get::<String>("menu").await, None, "an ill cache has nothing");
            slowest = slowest.max(asked.elapsed());
        }
        let computed = self.cache.get_or_compute("menu", LONG, || async { Ok("computed".to_owned()) }).await;
        assert_eq!(computed.expect("no request fails for a cache"), "computed");
        self.cache.set("menu", "new", LONG).await;
        self.cache.remove("menu").await.expect_err("whoever forgets relies on it");

        let refused = self.sessions.find(session).await.map(drop).expect_err("nobody can be told apart");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        let login = self.sessions.begin(&Identity::known("u-1", "Ada", ["chef"]), None).await;
        assert_eq!(login.map(drop).expect_err("nothing can be kept").kind(), ErrorKind::Unavailable);
        let limits = Arc::clone(&self.engine).limits().expect("redis counts for all");
        let counted = limits.take("clinic:login", LONG, LONG).await;
        assert_eq!(counted.expect_err("nothing can be counted").kind(), ErrorKind::Unavailable);
        (slowest, began.elapsed())
    }
}

/// Whether what was kept in good days is there, and new things are kept.
async fn is_well(patient: &Patient, session: &str) {
    assert_eq!(patient.cache.get::<String>("kept").await.as_deref(), Some("before"));
    patient.cache.set("after", "it", LONG).await;
    assert_eq!(patient.cache.get::<String>("after").await.as_deref(), Some("it"));
    assert!(patient.sessions.find(session).await.expect("it can be told").is_some(), "the session goes on");
}

async fn admitted(patient: &Patient) -> String {
    patient.cache.set("kept", "before", LONG).await;
    let session = patient.sessions.begin(&Identity::known("u-1", "Ada", ["chef"]), None).await;
    let session = session.expect("it can be kept").expose().clone();
    is_well(patient, &session).await;
    session
}

#[tokio::test]
async fn a_cache_that_is_cut_off_is_a_miss_in_bounded_time_and_comes_back() {
    for weather in [
        Weather::Closed,
        Weather::Silent,
        Weather::HalfOpen,
        Weather::Slow(RESPONSE_TIMEOUT + Duration::from_millis(50)),
    ] {
        let server = Redis::start();
        let strait = Strait::to(server.port());
        let patient = Patient::through(&strait).await;
        let session = admitted(&patient).await;

        strait.turn(weather);
        let (slowest, all) = patient.suffers(&session).await;
        assert!(slowest <= RESPONSE_TIMEOUT + SLACK, "{weather:?}: a request waited {slowest:?}");
        assert!(all <= RESPONSE_TIMEOUT * 2 + SLACK, "{weather:?}: 25 askers waited {all:?} together");

        strait.turn(Weather::Fair);
        let recovery = patient.recovers().await;
        is_well(&patient, &session).await;
        println!("{weather:?}: the slowest waited {slowest:?}, 25 together {all:?}; well after {recovery:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_reset_is_made_again() {
    let server = Redis::start();
    let strait = Strait::to(server.port());
    let patient = Patient::through(&strait).await;
    let session = admitted(&patient).await;
    for _ in 0..3 {
        assert!(strait.cut() > 0, "there was a connection");
        let recovery = patient.recovers().await;
        is_well(&patient, &session).await;
        println!("reset: well after {recovery:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_restarted_or_crashes_is_found_again() {
    let mut server = Redis::start();
    let patient = Patient::at(&server.url()).await;
    let session = admitted(&patient).await;
    for end in [Redis::stop as fn(&mut Redis), Redis::crash] {
        end(&mut server);
        let (slowest, all) = patient.suffers(&session).await;
        assert!(all <= RESPONSE_TIMEOUT + SLACK, "{slowest:?}, all {all:?}");
        server.start_again();
        let recovery = patient.recovers().await;
        is_well(&patient, &session).await;
        println!("restarted: the slowest waited {slowest:?}; well after {recovery:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_holds_nothing_up_and_is_found_when_it_comes() {
    let mut server = Redis::start();
    server.stop();
    let began = Instant::now();
    let patient = Patient::at(&server.url()).await;
    assert!(began.elapsed() < CONNECT_TIMEOUT + SLACK, "the start waited {:?}", began.elapsed());
    patient.suffers("nobody").await;
    server.start_again();
    patient.recovers().await;
    admitted(&patient).await;
}

/// What the server answers to a command of its inline form, from somebody with a password.
fn order(port: u16, password: &str, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it is there");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    stream.write_all(format!("AUTH {password}\r\n{command}\r\nQUIT\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    answer
}

#[tokio::test]
async fn wrong_credentials_are_an_illness_that_is_told_without_them_and_ends_when_they_are_right() {
    let server = Redis::start_guarded("right1");
    let patient = Patient::at(&format!("redis://:wrong1@127.0.0.1:{}", server.port())).await;
    patient.suffers("nobody").await;
    let error = patient.engine.check().await.expect_err("it refuses");
    let told = format!("{error:?}");
    assert!(told.contains("WRONGPASS") || told.contains("uthentication"), "{told}");
    assert!(!told.contains("wrong1") && !format!("{:?}", patient.engine.engine()).contains("wrong1"));

    let done = order(server.port(), "right1", "CONFIG SET requirepass wrong1");
    assert!(done.ends_with("+OK\r\n"), "{done}");
    let recovery = patient.recovers().await;
    let session = admitted(&patient).await;
    println!("credentials: well after {recovery:?}");

    // Who is connected stays so, as the server has it; whoever connects from now on is refused.
    order(server.port(), "wrong1", "CONFIG SET requirepass right2");
    order(server.port(), "right2", "CLIENT KILL TYPE normal SKIPME yes");
    let began = Instant::now();
    while patient.engine.check().await.is_ok() {
        assert!(began.elapsed() < RECOVERY_MAX, "it is still let in");
        sleep(Duration::from_millis(5)).await;
    }
    patient.suffers(&session).await;
}

#[tokio::test]
async fn a_node_of_a_cluster_and_a_replica_are_no_cache_and_say_why() {
    let node = Redis::start_clustered();
    let patient = Patient::at(&node.url()).await;
    patient.suffers("nobody").await;
    let told = chain(&patient.engine.check().await.expect_err("it is refused"));
    assert!(told.contains("a node of a cluster"), "{told}");

    let (primary, server) = (Redis::start(), Redis::start());
    let patient = Patient::at(&server.url()).await;
    let session = admitted(&patient).await;
    order(server.port(), "", &format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let began = Instant::now();
    let told = loop {
        // What it is asked to keep it refuses, and says from then on what it is.
        patient.cache.set("after", "it", LONG).await;
        match patient.engine.check().await.map(drop).map_err(|error| chain(&error)) {
            Err(told) if told.contains("replica") => break told,
            _ => assert!(began.elapsed() < RECOVERY_MAX, "a replica is no cache"),
        }
        sleep(Duration::from_millis(5)).await;
    };
    assert!(told.contains("must lead to the primary"), "{told}");
    patient.suffers(&session).await;
    order(server.port(), "", "REPLICAOF NO ONE");
    patient.recovers().await;
    admitted(&patient).await;
}

#[tokio::test]
async fn a_server_without_room_keeps_nothing_new_and_answers_all_the_same() {
    let server = Redis::start();
    let patient = Patient::at(&server.url()).await;
    let session = admitted(&patient).await;
    order(server.port(), "", "CONFIG SET maxmemory 1");
    patient.cache.set("large", &"x".repeat(1000), LONG).await;
    assert_eq!(patient.cache.get::<String>("large").await, None);
    is_kept(&patient, &session).await;
    order(server.port(), "", "CONFIG SET maxmemory 0");
    is_well(&patient, &session).await;
}

/// Whether what is read is answered, on the connection that was there.
async fn is_kept(patient: &Patient, session: &str) {
    assert_eq!(patient.cache.get::<String>("kept").await.as_deref(), Some("before"));
    assert!(patient.sessions.find(session).await.is_ok(), "a session is read");
    assert!(patient.sessions.begin(&Identity::known("u-2", "Bo", ["chef"]), None).await.is_err());
}
