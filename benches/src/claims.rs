//! What a claim costs when little waits, and when a million pieces of work do: in no order, behind one head, and of a
//! kind that is not known to who claims.
//!
//! `DATABASE_URL` names an empty database; the figures are printed as one JSON object.

use std::time::Instant;

use neuroglia::clock::Clock;
use neuroglia::cluster::Node;
use neuroglia::data::{Batch, Store};
use neuroglia::id::Ids;
use neuroglia::work::{Claim, Due, NewWork, OnCrash, QueueRoom, WorkClass};
use neuroglia_backing::store::connect;
use neuroglia_core as neuroglia;
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const BATCH: usize = 5_000;

/// Some of the kinds that a worker knows of.
const KINDS: [&str; 3] = ["nothing", "something", "anything"];

/// How often it is claimed, and how much at once: less than the few in all.
const CLAIMS: usize = 200;
const TAKEN: u32 = 4;

fn work(ids: &Ids, queue: &str, kind: &str, lane: Option<&str>) -> NewWork {
    NewWork {
        id: ids.next_uuid(),
        class: WorkClass::Job,
        queue: queue.to_owned(),
        kind: kind.to_owned(),
        lane: lane.map(str::to_owned),
        key: None,
        payload: "{}".to_owned(),
        priority: 0,
        due: Due::Now,
        attempts_max: 10,
        on_crash: OnCrash::Retry,
        correlation_id: None,
        traceparent: None,
    }
}

async fn add(store: &dyn Store, ids: &Ids, [queue, kind]: [&str; 2], lane: Option<&str>, count: usize) {
    for begin in (0..count).step_by(BATCH) {
        let work = (begin..count.min(begin + BATCH)).map(|_| work(ids, queue, kind, lane)).collect();
        let batch = Batch { at: Clock::system().now(), work, ..Batch::default() };
        store.commit(batch).await.expect("it is stored");
    }
}

/// The median time of a claim, in microseconds, when the server has done with what was added: a claim waits for its own
/// commit, and not for the sweeping and writing that a million others leave behind.
async fn claim(url: &str, store: &dyn Store, ids: &Ids, owner: Uuid, queue: &str) -> f64 {
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.expect("the database answers");
        connection.execute("VACUUM ANALYZE ng_work").await.expect("the table is swept");
        connection.execute("CHECKPOINT").await.expect("the database writes what it has");
        connection.close().await.expect("it was open");
    }
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let rooms = vec![QueueRoom { queue: queue.to_owned(), limit: TAKEN }];
        let claim = Claim { owner, token: ids.next_uuid(), rooms, kinds: KINDS.map(str::to_owned).into() };
        let began = Instant::now();
        let claimed = store.claim(&claim).await.expect("work is claimed");
        times.push(began.elapsed().as_secs_f64() * 1e6);
        assert_eq!(claimed.len(), TAKEN as usize, "as much as was asked for");
    }
    times.sort_by(f64::total_cmp);
    times[CLAIMS / 2].round()
}

#[tokio::main]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement is its own host")]
async fn main() {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names an empty database");
    let store = connect(&url.parse().expect("a URL")).await.expect("the database answers");
    store.migrate(&[], Clock::system().now()).await.expect("the store's own tables are made");
    let ids = Ids::random();
    let node = Node {
        id: ids.next_uuid(),
        role: "bench".into(),
        host: "here".into(),
        version: "0".into(),
        is_draining: false,
    };
    store.beat(&node).await.expect("a node says that it lives");

    let mut figures = serde_json::Map::new();
    figures.insert("engine".into(), store.engine().into());
    let known = KINDS[0];
    add(&*store, &ids, ["few", known], None, FEW).await;
    figures.insert("few_us".into(), claim(&url, &*store, &ids, node.id, "few").await.into());
    add(&*store, &ids, ["many", known], None, MANY).await;
    figures.insert("many_us".into(), claim(&url, &*store, &ids, node.id, "many").await.into());
    add(&*store, &ids, ["behind", known], Some("lane"), MANY).await;
    add(&*store, &ids, ["behind", known], None, FEW).await;
    figures.insert("behind_us".into(), claim(&url, &*store, &ids, node.id, "behind").await.into());
    add(&*store, &ids, ["unknown", "unheard of"], None, MANY).await;
    add(&*store, &ids, ["unknown", known], None, FEW).await;
    figures.insert("unknown_us".into(), claim(&url, &*store, &ids, node.id, "unknown").await.into());
    println!("{}", serde_json::Value::Object(figures));
    store.close().await;
}
