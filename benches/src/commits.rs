//! What the commit of a unit of work costs on MongoDB: through the port, and as a transaction of the bare driver.
//!
//! Both keep an order, its customer and its event, in one transaction that a majority has in its journals, as many at
//! once as a busy process has. The server is the one that `MONGODB_TEST_URI` names, or what stands in for MongoDB,
//! whose time does not count: what is measured is the CPU time of the client.

mod turns;

use std::sync::Arc;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, Change, Migration, OutboxMessage, Step, Store, Write};
use neuroglia::id::Ids;
use neuroglia_backing::mongodb::driver::bson::{Document, doc};
use neuroglia_backing::mongodb::driver::options::{Acknowledgment, ReadConcern, WriteConcern};
use neuroglia_backing::mongodb::driver::{Client, Database};
use neuroglia_backing::mongodb::{MongoOptions, MongoStore};
use neuroglia_core as neuroglia;
use neuroglia_testing::services::MongoDatabase;
use tokio::task::JoinSet;

/// The title of the table says so many, too: `measure_commits` in `xtask/src/bench/clients.rs`.
const COMMITTERS: usize = 8;
const COMMITS: usize = 10;

const ORDER: &str = r#"{"customer":"c-1","status":"pending","total_cents":2598,
    "lines":[{"pizza":"margherita","size":"medium","toppings":["olives"],"quantity":2,"price_cents":1299}]}"#;
const CUSTOMER: &str = r#"{"name":"Ada","phone":"+1 555 0101","address":"1 Main St","orders":1}"#;
const EVENT: &str = r#"{"order_id":"o-1","customer_id":"c-1","total_cents":2598}"#;

/// Where the bare driver keeps it.
const COLLECTIONS: [&str; 3] = ["bare_orders", "bare_customers", "bare_events"];

async fn by_port(store: &Arc<MongoStore>) {
    let mut committers = JoinSet::new();
    for _ in 0..COMMITTERS {
        let store = Arc::clone(store);
        committers.spawn(async move {
            for _ in 0..COMMITS {
                store.commit(batch()).await.expect("it is kept");
            }
        });
    }
    committers.join_all().await;
}

fn batch() -> Batch {
    let id = Ids::random().next_uuid();
    let insert = |collection, body: &str| Write {
        collection,
        id: id.to_string(),
        change: Change::Insert { body: body.to_owned() },
    };
    let event = OutboxMessage {
        id,
        name: "order.created".to_owned(),
        version: 1,
        subject: id.to_string(),
        data: EVENT.to_owned(),
        correlation_id: None,
        traceparent: None,
        at: Timestamp::UNIX_EPOCH,
    };
    let writes = vec![insert("orders", ORDER), insert("customers", CUSTOMER)];
    Batch { writes, outbox: vec![event], ..Batch::default() }
}

async fn by_client(client: &Client, database: &Database) {
    let mut majority = WriteConcern::majority();
    majority.w = Some(Acknowledgment::Majority);
    majority.journal = Some(true);
    let mut committers = JoinSet::new();
    for _ in 0..COMMITTERS {
        let (client, database, majority) = (client.clone(), database.clone(), majority.clone());
        committers.spawn(async move {
            for _ in 0..COMMITS {
                commit(&client, &database, &majority).await;
            }
        });
    }
    committers.join_all().await;
}

async fn commit(client: &Client, database: &Database, majority: &WriteConcern) {
    let id = Ids::random().next_uuid().to_string();
    let mut session = client.start_session().await.expect("a session");
    let begin = session.start_transaction().read_concern(ReadConcern::snapshot());
    begin.write_concern(majority.clone()).await.expect("it begins");
    for (collection, body) in COLLECTIONS.into_iter().zip([ORDER, CUSTOMER, EVENT]) {
        let body: Document = serde_json::from_str(body).expect("a document");
        let document =
            doc! { "_id": &id, "version": 0, "created_at": 0_i64, "updated_at": 0_i64, "body": body };
        let collection = database.collection::<Document>(collection);
        collection.insert_one(document).session(&mut session).await.expect("it is written");
    }
    session.commit_transaction().await.expect("it is kept");
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "a measurement is its own host")]
async fn main() {
    let server = MongoDatabase::create_apart();
    let url = server.url().parse().expect("a URL");
    let store = MongoStore::open(&url, MongoOptions::default()).await.expect("it answers");
    let steps = vec![Step::CreateCollection("orders"), Step::CreateCollection("customers")];
    let migration = Migration { version: 1, name: "orders and customers", steps };
    store.migrate(&[migration], Timestamp::UNIX_EPOCH).await.expect("it is migrated");
    let client = Client::with_uri_str(server.url()).await.expect("it answers");
    let database = client.default_database().expect("the URL names one");
    for collection in COLLECTIONS {
        database.create_collection(collection).await.expect("it is made");
    }
    let figures = turns::compare(
        COMMITTERS * COMMITS,
        async || by_client(&client, &database).await,
        async || by_port(&store).await,
    );
    println!("{}", figures.await);
    store.close().await;
}
