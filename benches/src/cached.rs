//! What a read of a cached value costs on Redis: through the port, and by the bare client.
//!
//! It starts a server of its own. Both read the same value, sixteen at once, and parse it.

mod turns;

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

async fn by_port(cache: &Cache) {
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
}

async fn by_client(connection: &MultiplexedConnection) {
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

    let figures = turns::compare(
        READERS * READS,
        async || by_client(&connection).await,
        async || by_port(&cache).await,
    );
    println!("{}", figures.await);
}
