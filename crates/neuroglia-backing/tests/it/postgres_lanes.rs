//! The mark of the first in a lane, and of the first message of a subject, when two transactions meet.
//!
//! Each test has one transaction stay open at its end, begins another that has to do with it, and lets both go on when
//! the second waits, or has not waited and is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{ClusterStore, Node};
use neuroglia::data::{Batch, NativeStep, OutboxMessage, Store};
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::OutboxStore;
use neuroglia::work::{
    Claim, Claimed, Due, NewWork, OnCrash, QueueRoom, Settlement, Ticket, WorkClass, WorkStore,
};
use neuroglia_backing::postgres::{self, PostgresStore, sqlx};
use neuroglia_testing::services::Database;
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{batch, postgres as new_store};

const LEASE: Duration = Duration::from_secs(60);

async fn store() -> (Arc<PostgresStore>, Database) {
    let (store, database) = new_store().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own tables are made");
    (store, database)
}

fn work(name: &str) -> NewWork {
    NewWork {
        id: Ids::random().next_uuid(),
        class: WorkClass::Job,
        queue: "default".to_owned(),
        kind: "kind".to_owned(),
        lane: Some("lane".to_owned()),
        key: None,
        payload: format!("\"{name}\""),
        priority: 0,
        due: Due::Now,
        attempts_max: 10,
        on_crash: OnCrash::Retry,
        correlation_id: None,
        traceparent: None,
    }
}

fn adding(names: &[&str]) -> Batch {
    Batch { work: names.iter().copied().map(work).collect(), ..batch([]) }
}

fn sending(names: &[&str]) -> Batch {
    let message = |name: &&str| OutboxMessage {
        id: Ids::random().next_uuid(),
        name: (*name).to_owned(),
        version: 1,
        subject: "subject".to_owned(),
        data: "{}".to_owned(),
        correlation_id: None,
        traceparent: None,
        at: Timestamp::UNIX_EPOCH,
    };
    Batch { outbox: names.iter().map(message).collect(), ..batch([]) }
}

async fn claim(store: &PostgresStore) -> Vec<Claimed> {
    let node = Node {
        id: Ids::random().next_uuid(),
        role: "worker".to_owned(),
        host: "oven-1".to_owned(),
        version: "1".to_owned(),
        is_draining: false,
    };
    store.beat(&node).await.expect("a node says that it lives");
    let claim = Claim {
        owner: node.id,
        token: Ids::random().next_uuid(),
        rooms: vec![QueueRoom { queue: "default".to_owned(), limit: 10 }],
        kinds: vec!["kind".to_owned()],
    };
    store.claim(&claim).await.expect("work is claimed")
}

async fn claimed_work(store: &PostgresStore) -> Vec<String> {
    claim(store).await.into_iter().map(|claimed| claimed.payload.trim_matches('"').to_owned()).collect()
}

async fn end(store: &PostgresStore, ticket: Ticket) {
    let dead = Settlement::Dead { failure: "no use".to_owned() };
    assert_eq!(store.settle(&[(ticket, dead)]).await.expect("an attempt is settled"), [true]);
}

async fn claimed_messages(store: &PostgresStore) -> Vec<OutboxMessage> {
    store.claim_outbox(Ids::random().next_uuid(), 10, LEASE).await.expect("messages are claimed")
}

async fn claimed_names(store: &PostgresStore) -> Vec<String> {
    claimed_messages(store).await.into_iter().map(|message| message.name).collect()
}

/// A batch that is carried out, runs the statement, and is not committed until it is told to go on.
struct Open {
    commit: tokio::task::JoinHandle<Result<()>>,
    go_on: oneshot::Sender<()>,
}

impl Open {
    async fn begin(store: &Arc<PostgresStore>, mut batch: Batch, statement: &'static str) -> Self {
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (ran, has_run) = oneshot::channel::<()>();
        let parts = Mutex::new(Some((ran, may_go_on)));
        let step = postgres::statement(move |connection| {
            Box::pin(async move {
                let parts = parts.into_inner().ok().flatten();
                let (ran, may_go_on) = parts.ok_or_else(|| Error::internal("a step runs once"))?;
                sqlx::raw_sql(statement).execute(connection).await.map_err(postgres::error)?;
                ran.send(()).map_err(|()| Error::internal("nobody listens"))?;
                may_go_on.await.map_err(Error::internal)
            })
        });
        batch.native.push(NativeStep { engine: postgres::ENGINE, step: Box::new(step) });
        let store = Arc::clone(store);
        let commit = tokio::spawn(async move { store.commit(batch).await });
        has_run.await.expect("the statement is run");
        Self { commit, go_on }
    }

    /// Begins what has to do with it, and commits when that waits or is done.
    async fn while_begins(self, database: &Database, second: impl Future<Output = ()> + Send + 'static) {
        let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
        let second = tokio::spawn(second);
        let waits = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity \
                     WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let meet = async {
            while !second.is_finished() {
                let waits = sqlx::query_scalar(waits).fetch_one(&mut connection).await;
                if waits.expect("the server tells who waits") {
                    break;
                }
            }
        };
        timeout(LEASE, meet).await.expect("the second waits or is done");
        self.go_on.send(()).expect("the first is open");
        self.commit.await.expect("no panic").expect("the first is committed");
        second.await.expect("the second is done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_that_ends_sees_who_comes() {
    let (store, database) = store().await;
    store.commit(adding(&["first"])).await.expect("a batch that breaks no rule is committed");
    let head = claim(&store).await.remove(0);
    let comes = Open::begin(&store, adding(&["second"]), "SELECT 1").await;
    let behind = Arc::clone(&store);
    comes.while_begins(&database, async move { end(&behind, head.ticket).await }).await;
    assert_eq!(claimed_work(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_sees_that_the_head_ends() {
    let (store, database) = store().await;
    store.commit(adding(&["first"])).await.expect("a batch that breaks no rule is committed");
    let ends = Open::begin(&store, batch([]), "UPDATE ng_work SET state = 'cancelled'").await;
    let behind = Arc::clone(&store);
    let comes = async move {
        behind.commit(adding(&["second"])).await.expect("a batch that breaks no rule is committed");
    };
    ends.while_begins(&database, comes).await;
    assert_eq!(claimed_work(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_neighbours_that_end_at_once_the_next_is_the_head() {
    let (store, database) = store().await;
    let names = ["first", "second", "third"];
    store.commit(adding(&names)).await.expect("a batch that breaks no rule is committed");
    let head = claim(&store).await.remove(0);
    let second = "UPDATE ng_work SET state = 'cancelled' WHERE payload = '\"second\"'";
    let ends = Open::begin(&store, batch([]), second).await;
    let behind = Arc::clone(&store);
    ends.while_begins(&database, async move { end(&behind, head.ticket).await }).await;
    assert_eq!(claimed_work(&store).await, ["third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_confirmed_sees_who_comes() {
    let (store, database) = store().await;
    store.commit(sending(&["first"])).await.expect("a batch that breaks no rule is committed");
    let token = Ids::random().next_uuid();
    let head = store.claim_outbox(token, 10, LEASE).await.expect("messages are claimed").remove(0);
    let comes = Open::begin(&store, sending(&["second"]), "SELECT 1").await;
    let behind = Arc::clone(&store);
    let confirms = async move {
        behind.confirm_outbox(token, &[head.id]).await.expect("a message is confirmed");
    };
    comes.while_begins(&database, confirms).await;
    assert_eq!(claimed_names(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_sees_that_the_first_is_confirmed() {
    let (store, database) = store().await;
    store.commit(sending(&["first"])).await.expect("a batch that breaks no rule is committed");
    let goes = Open::begin(&store, batch([]), "DELETE FROM ng_outbox").await;
    let behind = Arc::clone(&store);
    let comes = async move {
        behind.commit(sending(&["second"])).await.expect("a batch that breaks no rule is committed");
    };
    goes.while_begins(&database, comes).await;
    assert_eq!(claimed_names(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_messages_that_go_at_once_the_next_is_the_first() {
    let (store, database) = store().await;
    let names = ["first", "second", "third"];
    store.commit(sending(&names)).await.expect("a batch that breaks no rule is committed");
    let token = Ids::random().next_uuid();
    let head = store.claim_outbox(token, 10, LEASE).await.expect("messages are claimed").remove(0);
    let goes = Open::begin(&store, batch([]), "DELETE FROM ng_outbox WHERE name = 'second'").await;
    let behind = Arc::clone(&store);
    let confirms = async move {
        behind.confirm_outbox(token, &[head.id]).await.expect("a message is confirmed");
    };
    goes.while_begins(&database, confirms).await;
    assert_eq!(claimed_names(&store).await, ["third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_claim_nor_a_return_waits_for_who_comes() {
    let (store, database) = store().await;
    store.commit(sending(&["first"])).await.expect("a batch that breaks no rule is committed");
    let comes = Open::begin(&store, sending(&["second"]), "SELECT 1").await;
    let token = Ids::random().next_uuid();
    let head = store.claim_outbox(token, 10, LEASE).await.expect("messages are claimed");
    assert_eq!(head.len(), 1, "who comes hides nobody");
    store.return_outbox(token, &[head[0].id], Duration::ZERO).await.expect("a message is returned");
    comes.while_begins(&database, async {}).await;
    assert_eq!(claimed_names(&store).await, ["first"]);
}
