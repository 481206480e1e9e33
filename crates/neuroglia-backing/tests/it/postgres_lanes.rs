//! The mark of the first in a lane, and of the first message of a subject, when two transactions meet.
//!
//! Each test has one transaction stay open at its end and begins another that has to do with it. Who comes is done
//! meanwhile, because it waits for nobody; for who ends, both go on when the second waits or is done.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data::{Batch, NativeStep, OutboxMessage, Store};
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::{OutboxStore, Parcel, Subscription};
use neuroglia::work::{Claimed, NewWork, Settlement, Ticket, WorkStore};
use neuroglia_backing::postgres::{self, PostgresStore, sqlx};
use neuroglia_testing::services::Database;
use neuroglia_testing::workbench::{asking, message, named};
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
    NewWork { lane: Some("lane".to_owned()), ..named("kind", name) }
}

fn adding(names: &[&str]) -> Batch {
    Batch { work: names.iter().copied().map(work).collect(), ..batch([]) }
}

fn sending(names: &[&str]) -> Batch {
    Batch { outbox: names.iter().map(|name| message(name, "subject")).collect(), ..batch([]) }
}

async fn claim(store: &PostgresStore) -> Vec<Claimed> {
    store.claim(&asking(store, &["kind"], 10).await).await.expect("work is claimed")
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
        self.end().await;
        second.await.expect("the second is done");
    }

    /// Commits when what has to do with it is done.
    async fn after(self, second: impl Future<Output = ()>) {
        timeout(LEASE, second).await.expect("the second does not wait");
        self.end().await;
    }

    async fn end(self) {
        self.go_on.send(()).expect("the first is open");
        self.commit.await.expect("no panic").expect("the first is committed");
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
    let (store, _database) = store().await;
    store.commit(adding(&["first"])).await.expect("a batch that breaks no rule is committed");
    let ends = Open::begin(&store, batch([]), "UPDATE ng_work SET state = 'cancelled'").await;
    ends.after(async {
        store.commit(adding(&["second"])).await.expect("a batch that breaks no rule is committed");
        assert!(claimed_work(&store).await.is_empty(), "the mark to spare leads to nobody's work");
    })
    .await;
    assert_eq!(claimed_work(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_behind_the_last_that_ends_is_not_lost() {
    let (store, _database) = store().await;
    store.commit(adding(&["first", "last"])).await.expect("a batch that breaks no rule is committed");
    let head = claim(&store).await.remove(0);
    let last = "UPDATE ng_work SET state = 'cancelled' WHERE payload = '\"last\"'";
    let ends = Open::begin(&store, batch([]), last).await;
    ends.after(async {
        store.commit(adding(&["new"])).await.expect("a batch that breaks no rule is committed");
    })
    .await;
    assert!(claimed_work(&store).await.is_empty(), "the first has not ended");
    end(&store, head.ticket).await;
    assert_eq!(claimed_work(&store).await, ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_lower_number_and_comes_later_waits_for_the_head() {
    let (store, _database) = store().await;
    let comes = Open::begin(&store, adding(&["lower"]), "SELECT 1").await;
    store.commit(adding(&["higher"])).await.expect("a batch that breaks no rule is committed");
    let head = claim(&store).await.remove(0);
    assert_eq!(head.payload, "\"higher\"");
    comes.end().await;
    assert!(claimed_work(&store).await.is_empty(), "two of a lane at once");
    end(&store, head.ticket).await;
    assert_eq!(claimed_work(&store).await, ["lower"]);
}

/// Each fan-out locks in the order of its messages, each batch ends in the order of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_outs_and_ends_do_not_lock_each_other_out() {
    let (store, database) = store().await;
    let both = ["a", "b"];
    let subscription = Subscription {
        consumer: "kind".to_owned(),
        event: "event".to_owned(),
        queue: "default".to_owned(),
        is_ordered: true,
        attempts_max: 10,
    };
    store.subscribe(&[subscription]).await.expect("a consumer subscribes");
    let fan_out = async |subjects: &[&str]| {
        let parcel = |subject: &&str| Parcel {
            name: "event".to_owned(),
            subject: Some((*subject).to_owned()),
            key: Ids::random().next_uuid().to_string(),
            envelope: "{}".to_owned(),
            consumer: None,
            correlation_id: None,
            traceparent: None,
        };
        let parcels: Vec<_> = subjects.iter().map(parcel).collect();
        store.fan_out(&parcels).await.expect("events are fanned out")
    };
    assert_eq!(fan_out(&both).await, 2);
    let b = "UPDATE ng_work SET state = 'cancelled' WHERE lane = 'b'";
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let mut ending = connection.begin().await.expect("a transaction");
    sqlx::query(b).execute(&mut *ending).await.expect("it ends");
    assert_eq!(timeout(LEASE, fan_out(&both)).await.expect("it does not wait"), 2);
    let a = "UPDATE ng_work SET state = 'cancelled' WHERE lane = 'a'";
    sqlx::query(a).execute(&mut *ending).await.expect("nobody who waits for it is in its way");
    ending.commit().await.expect("both end");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM ng_work WHERE is_head AND state = 'waiting'")
        .fetch_one(&mut connection)
        .await
        .expect("the server counts");
    assert_eq!(left, 1, "of b; what had come to a by then ended with it");
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
    let (store, _database) = store().await;
    store.commit(sending(&["first"])).await.expect("a batch that breaks no rule is committed");
    let goes = Open::begin(&store, batch([]), "DELETE FROM ng_outbox").await;
    goes.after(async {
        store.commit(sending(&["second"])).await.expect("a batch that breaks no rule is committed");
        assert!(claimed_names(&store).await.is_empty(), "the mark to spare leads to no message");
    })
    .await;
    assert_eq!(claimed_names(&store).await, ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_open_holds_up_its_own_subject_only() {
    let (store, database) = store().await;
    let subjects = ["held", "other"];
    let sending = |place: &str| {
        let messages = subjects.map(|subject| message(&format!("{subject} {place}"), subject));
        Batch { outbox: messages.into(), ..batch([]) }
    };
    store.commit(sending("first")).await.expect("a batch that breaks no rule is committed");
    store.commit(sending("second")).await.expect("a batch that breaks no rule is committed");
    let token = Ids::random().next_uuid();
    let heads = store.claim_outbox(token, 10, LEASE).await.expect("messages are claimed");
    let heads: Vec<_> = heads.into_iter().map(|message| message.id).collect();
    assert_eq!(heads.len(), 2);
    let mut connection = PgConnection::connect(&database.url()).await.expect("the database is there");
    let mut comes = connection.begin().await.expect("a transaction");
    let lock = "SELECT 1 FROM ng_outbox WHERE name = 'held first' FOR KEY SHARE";
    sqlx::query(lock).execute(&mut *comes).await.expect("it is locked");
    let behind = Arc::clone(&store);
    let confirms = tokio::spawn(async move { behind.confirm_outbox(token, &heads).await });
    let next = async {
        loop {
            let claimed = claimed_names(&store).await;
            if !claimed.is_empty() {
                return claimed;
            }
        }
    };
    assert_eq!(timeout(LEASE, next).await.expect("the other subject goes on"), ["other second"]);
    assert!(!confirms.is_finished(), "who comes has not come yet");
    comes.rollback().await.expect("it is free");
    confirms.await.expect("no panic").expect("both are confirmed");
    assert_eq!(claimed_names(&store).await, ["held second"]);
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
    let (store, _database) = store().await;
    store.commit(sending(&["first"])).await.expect("a batch that breaks no rule is committed");
    let comes = Open::begin(&store, sending(&["second"]), "SELECT 1").await;
    let token = Ids::random().next_uuid();
    let head = store.claim_outbox(token, 10, LEASE).await.expect("messages are claimed");
    assert_eq!(head.len(), 1, "who comes hides nobody");
    store.return_outbox(token, &[head[0].id], Duration::ZERO).await.expect("a message is returned");
    comes.end().await;
    assert_eq!(claimed_names(&store).await, ["first"]);
}
