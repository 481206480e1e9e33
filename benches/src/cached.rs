//! What a read of a cached value costs on Redis: through the port, and by the bare client.
//!
//! It starts a server of its own. Both read the same value, sixteen at once, and parse it; each runs several times, in turn
//! with the other. The figures are CPU time of this process, printed as one JSON object.

use std::time::Duration;

use neuroglia::cache::Cache;
use neuroglia::clock::Clock;
use neuroglia::id::Ids;
use neuroglia_backing::cache::connect;
use neuroglia_core as neuroglia;
use neuroglia_testing::services::Redis;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const ROUNDS: usize = 7;
const READERS: usize = 16;
const READS: usize = 2_500;

/// Longer than it all takes.
const TTL: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Pizza {
    id: String,
    name: String,
    price_cents: u32,
}

/// The CPU time that the one thread of this process has used, in nanoseconds.
fn cpu_ns() -> f64 {
    let used = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells what a thread has used");
    used.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of nanoseconds")
}

/// CPU microseconds of one read by the port.
async fn by_port(cache: &Cache) -> f64 {
    let before = cpu_ns();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let cache = cache.clone();
        readers.spawn(async move {
            for _ in 0..READS {
                let pizza: Pizza = cache.get("pizza").await.expect("it is cached");
                assert_eq!(pizza.price_cents, 1299);
            }
        });
    }
    readers.join_all().await;
    (cpu_ns() - before) / 1e3 / (READERS * READS) as f64
}

/// CPU microseconds of one read by the bare client.
async fn by_client(connection: &MultiplexedConnection) -> f64 {
    let before = cpu_ns();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut connection = connection.clone();
        readers.spawn(async move {
            for _ in 0..READS {
                let found: Option<Vec<u8>> = connection.get("bench:pizza").await.expect("it answers");
                let pizza: Pizza = serde_json::from_slice(&found.expect("it is there")).expect("it is one");
                assert_eq!(pizza.price_cents, 1299);
            }
        });
    }
    readers.join_all().await;
    (cpu_ns() - before) / 1e3 / (READERS * READS) as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "a measurement is its own host")]
async fn main() {
    let server = Redis::start();
    let url = server.url().parse().expect("a URL");
    let engine = connect(&url, Default::default(), Clock::system()).await.expect("a sound URL");
    let cache = Cache::new(engine, "bench", Ids::random());
    let pizza = Pizza { id: "margherita".to_owned(), name: "Margherita".to_owned(), price_cents: 1299 };
    cache.set("pizza", &pizza, TTL).await;
    let client = redis::Client::open(server.url()).expect("a sound URL");
    let connection = client.get_multiplexed_async_connection().await.expect("it answers");
    by_port(&cache).await;
    by_client(&connection).await;

    let (mut ports, mut clients, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (client, port) = (by_client(&connection).await, by_port(&cache).await);
        ratios.push(port / client);
        clients.push(client);
        ports.push(port);
    }
    let figures = serde_json::json!({
        "port_us": median(ports),
        "client_us": median(clients),
        "ratio": median(ratios),
    });
    println!("{figures}");
}
