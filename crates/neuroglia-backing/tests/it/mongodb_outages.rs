//! MongoDB made ill: gone, silent, restarted, crashed, standing alone, with other credentials, not who it should be, and
//! failing in the middle of a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use neuroglia::clock::Timestamp;
use neuroglia::cluster::{ClusterStore, NODE_TTL, Node};
use neuroglia::data::{Batch, Change, NativeStep, Store, Write};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::id::Ids;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::{
    Claim, Claimed, Due, Finish, NewWork, OnCrash, QueueRoom, Revision, Settlement, WorkClass, WorkFilter,
    WorkState, WorkStore,
};
use neuroglia_backing::mongodb::driver::bson::{Document, doc};
use neuroglia_backing::mongodb::{self, MongoOptions, MongoStore, driver};
use neuroglia_testing::services::{Mongo, MongoCommand};
use neuroglia_testing::{Strait, Weather};

use crate::support::{batch, history, order};

/// What somebody waits for, who is impatient.
fn impatient() -> MongoOptions {
    MongoOptions {
        acquire_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(500),
        selection_timeout: Duration::from_millis(500),
        operation_timeout: Duration::from_secs(2),
        ping_timeout: Duration::from_millis(500),
        startup_patience: Duration::from_secs(1),
        ..MongoOptions::default()
    }
}

async fn open(url: &str, options: MongoOptions) -> Result<Arc<MongoStore>> {
    MongoStore::open(&url.parse().expect("a URL"), options).await
}

/// A store with a collection `orders`, at the far side of a strait or at once.
async fn orders_at(port: u16, options: MongoOptions) -> Arc<MongoStore> {
    let url = format!("mongodb://127.0.0.1:{port}/shop?directConnection=true");
    let store = open(&url, options).await.expect("the server is there");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store
}

/// Asks until the store answers.
async fn answers_again(store: &MongoStore) {
    let began = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not answer again: {error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_that_stands_alone_is_refused_with_what_to_do() {
    let server = Mongo::start_alone();
    let error =
        open(&format!("{}shop", server.url()), impatient()).await.expect_err("it has no transactions");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "store.no_replica_set"));
    assert!(error.detail().contains("--replSet"), "{error:?}");
}

#[tokio::test]
async fn nobody_at_the_port_is_said_without_the_password() {
    let url = "mongodb://mario:Gorgonzola7@127.0.0.1:1/shop";
    let error = open(url, impatient()).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store.open"));
    assert!(error.detail().contains("shop at 127.0.0.1:1"), "{error:?}");
    let all = format!("{error:?} {}", neuroglia::error::chain(&error));
    assert!(!all.contains("Gorgonzola7"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn how_long_a_deployment_is_waited_for_is_for_the_caller_to_say() {
    let url = "mongodb://mario@127.0.0.1:1/shop".parse().expect("a URL");
    let waited =
        tokio::time::timeout(Duration::from_secs(600), neuroglia_backing::store::connect(&url)).await;
    assert!(waited.is_err(), "it gave up before: {:?}", waited.map(|outcome| outcome.err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_told_without_them_and_end_when_they_are_right() {
    let server = Mongo::start_for("mario", "right1");
    let strait = Strait::to(server.port());
    let url = |password: &str| {
        format!(
            "mongodb://mario:{password}@127.0.0.1:{}/shop?directConnection=true&authSource=admin",
            strait.port()
        )
    };
    let shown = |error: &Error| format!("{error:?} {}", neuroglia::error::chain(error));
    // To prove who one is takes its time without optimisation.
    let options = || MongoOptions { startup_patience: Duration::from_secs(1), ..MongoOptions::default() };
    let refused = open(&url("wrong1"), options()).await.expect_err("nobody is let in");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unavailable, "store.open"));
    assert!(refused.detail().contains("refuses the user or the password"), "{refused:?}");
    assert!(!shown(&refused).contains("wrong1"), "{refused:?}");

    let store = open(&url("right1"), options()).await.expect("he is let in");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch([order("before", "new")])).await.expect("he may write");
    server.change_password("mario", "right1", "right2");
    // Whoever is in stays in, until he has to come in again.
    strait.cut();
    let began = Instant::now();
    let refused = loop {
        if let Err(error) = store.load("orders", "before").await
            && shown(&error).to_lowercase().contains("auth")
        {
            break error;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "he is let in with the old password");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    assert!(!shown(&refused).contains("right1"), "{refused:?}");
    server.change_password("mario", "right2", "right1");
    answers_again(&store).await;
    assert!(store.load("orders", "before").await.expect("it answers").is_some());
}

#[tokio::test]
async fn a_certificate_is_verified_up_to_the_name_of_the_host() {
    let server = Mongo::start_certified("localhost");
    let by = |host: &str, more: &str| {
        format!("mongodb://{host}:{}/shop?directConnection=true&tls=true{more}", server.port())
    };
    let authority = format!("&tlsCAFile={}", server.authority().display());
    let store = open(&by("localhost", &authority), MongoOptions::default()).await.expect("it is who it says");
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch([order("one", "new"), order("other", "new")])).await.expect("it is kept");
    store.close().await;

    // The same server by another name, and by an authority that nobody knows here.
    let options = || MongoOptions { startup_patience: Duration::from_secs(1), ..MongoOptions::default() };
    for url in [by("127.0.0.1", &authority), by("localhost", "")] {
        let refused = open(&url, options()).await.expect_err("nobody is talked to");
        assert_eq!(refused.code(), "store.open", "{refused:?}");
        assert!(refused.detail().to_lowercase().contains("certificate"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_answer_is_unavailable_in_time_and_found_again() {
    let server = Mongo::start();
    let strait = Strait::to(server.port());
    let store = orders_at(strait.port(), impatient()).await;
    store.commit(batch([order("before", "new")])).await.expect("the weather is fair");
    for weather in [Weather::Silent, Weather::HalfOpen, Weather::Closed] {
        strait.turn(weather);
        let began = Instant::now();
        let read = store.load("orders", "before").await.expect_err("nothing passes");
        let both = batch([order("x", "new"), order("y", "new")]);
        let written = store.commit(both).await.expect_err("nothing passes");
        assert_eq!((read.kind(), written.kind()), (ErrorKind::Unavailable, ErrorKind::Unavailable));
        assert!(began.elapsed() < Duration::from_secs(15), "{weather:?}: {:?}", began.elapsed());
        strait.turn(Weather::Fair);
        answers_again(&store).await;
        assert!(store.load("orders", "before").await.expect("it answers").is_some());
        let found = [
            store.load("orders", "x").await.expect("it answers").is_some(),
            store.load("orders", "y").await.expect("it answers").is_some(),
        ];
        assert!(found[0] == found[1], "{weather:?}: half of a batch is there");
        assert!(!found[0] || weather == Weather::HalfOpen, "what never left is not there");
        if found[0] {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_outlives_a_crash_of_the_server() {
    let mut server = Mongo::start();
    let store = orders_at(server.port(), MongoOptions::default()).await;
    let both = |one: &str, other: &str| batch([order(one, "new"), order(other, "new")]);
    for (round, end) in [Mongo::crash as fn(&mut Mongo), Mongo::stop].into_iter().enumerate() {
        for place in 0..10 {
            let (one, other) = (format!("a-{round}-{place}"), format!("b-{round}-{place}"));
            store.commit(both(&one, &other)).await.expect("the server is there");
        }
        end(&mut server);
        server.start_again();
        answers_again(&store).await;
        for place in 0..10 {
            for id in [format!("a-{round}-{place}"), format!("b-{round}-{place}")] {
                assert!(store.load("orders", &id).await.expect("it answers").is_some(), "{id} is lost");
            }
        }
    }
}

#[tokio::test]
async fn a_transaction_is_begun_again_and_a_commit_sent_again() {
    let server = Mongo::start();
    let store = orders_at(server.port(), MongoOptions::default()).await;
    let two = |place: u32| batch([order(&format!("a-{place}"), "new"), order(&format!("b-{place}"), "new")]);

    let conflict = MongoCommand::new().texts("failCommands", &["insert"]).whole("errorCode", 112);
    server.fail(3, conflict.texts("errorLabels", &["TransientTransactionError"]));
    store.commit(two(0)).await.expect("the fourth attempt meets nobody");

    let lost = MongoCommand::new().texts("failCommands", &["commitTransaction"]);
    server.fail(1, lost.truth("closeConnection", true));
    store.commit(two(1)).await.expect("the commit is sent again");

    for place in 0..2 {
        for id in [format!("a-{place}"), format!("b-{place}")] {
            let found = store.load("orders", &id).await.expect("it answers").expect("it is there");
            assert_eq!(found.version, 0, "{id} is there once");
        }
    }

    let always = MongoCommand::new().texts("failCommands", &["insert"]).whole("errorCode", 112);
    server.fail(1_000, always.texts("errorLabels", &["TransientTransactionError"]));
    let error = store.commit(two(2)).await.expect_err("somebody is always in the way");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    server.heal();
    store.commit(two(2)).await.expect("nobody is in the way any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_has_locked_is_free_when_it_is_buried() {
    let (store, database) = crate::support::mongodb().await;
    store.migrate(&history(), Timestamp::UNIX_EPOCH).await.expect("sound migrations are applied");
    store.commit(batch([order("o-1", "new")])).await.expect("an order");
    let moved = || {
        let body = r#"{"status":"moved"}"#.to_owned();
        let change = Change::Update { expected: 0, body };
        batch([Write { collection: "orders", id: "o-1".to_owned(), change }, order("beside", "new")])
    };

    let dead = crate::support::connect_mongodb(&database.url()).await;
    let (is_at_it, at_it) = tokio::sync::oneshot::channel();
    let parts = std::sync::Mutex::new(Some(is_at_it));
    let stuck = mongodb::step(move |_, _| {
        Box::pin(async move {
            let tell = parts.into_inner().ok().flatten();
            tell.and_then(|tell| tell.send(()).ok()).ok_or_else(|| Error::internal("a step runs once"))?;
            std::future::pending().await
        })
    });
    dead.beat(&node("worker")).await.expect("a node lives");
    let mut whole = moved();
    whole.native.push(NativeStep { engine: mongodb::ENGINE, step: Box::new(stuck) });
    let stuck = tokio::spawn(async move { dead.commit(whole).await });
    at_it.await.expect("its transaction is open");

    let refused = store.commit(moved()).await.expect_err("it is locked");
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    for _ in 0..2 {
        store.bury(Duration::ZERO, Duration::ZERO, 10).await.expect("the dead are buried");
    }
    store.commit(moved()).await.expect("it is free");
    stuck.abort();
}

fn node(role: &str) -> Node {
    Node {
        id: Ids::random().next_uuid(),
        role: role.to_owned(),
        host: "oven-1".to_owned(),
        version: "1".to_owned(),
        is_draining: false,
    }
}

fn job() -> NewWork {
    NewWork {
        id: Ids::random().next_uuid(),
        class: WorkClass::Job,
        queue: "default".to_owned(),
        kind: "kind".to_owned(),
        lane: None,
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

/// A claim of so much at most.
fn claim_by(node: &Node, limit: u32) -> Claim {
    Claim {
        owner: node.id,
        token: Ids::random().next_uuid(),
        rooms: vec![QueueRoom { queue: "default".to_owned(), limit }],
        kinds: vec!["kind".to_owned()],
    }
}

/// Asks for a job, which this node claims.
async fn claim_a_job(store: &MongoStore, node: &Node) -> Claimed {
    let asking = Batch { work: vec![job()], ..batch([]) };
    store.commit(asking).await.expect("a job is asked for");
    let mut claimed = store.claim(&claim_by(node, 1)).await.expect("work is claimed");
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

/// Where MongoDB's stand-in is, whoever writes a document of an open transaction keeps its collection from that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_to_what_ends_does_not_keep_it_from_ending() {
    const ROUNDS: usize = 20;
    let (store, database) = crate::support::mongodb().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own collections are made");
    let worker = node("worker");
    store.beat(&worker).await.expect("a node lives");
    let client = driver::Client::with_uri_str(database.url()).await.expect("a URI");
    let work = client.default_database().expect("it is named").collection::<Document>("ng_work");
    for _ in 0..ROUNDS {
        let ended = claim_a_job(&store, &worker).await;
        let finish = Finish { ticket: ended.ticket, result: None, keep: Duration::ZERO };
        let asked_for = NewWork { kind: "other".to_owned(), ..job() };
        let whole = Batch { finish: Some(finish), work: vec![asked_for], ..batch([]) };
        let commit = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.commit(whole).await }
        });
        let began = Instant::now();
        while !commit.is_finished() {
            assert!(began.elapsed() < Duration::from_secs(10), "neither goes on");
            let touch = work.update_many(doc! { "state": "running" }, doc! { "$inc": { "touched": 1 } });
            tokio::time::timeout(Duration::from_secs(10), touch.into_future())
                .await
                .expect("neither goes on")
                .expect("it is written");
            // Ever less often: whoever is collided with at each of its attempts gives up.
            tokio::time::sleep(Duration::from_millis(10) + began.elapsed() / 2).await;
        }
        commit.await.expect("no panic").expect("it ends");
    }
}

#[tokio::test]
async fn work_of_an_owner_that_is_no_node_is_noticed_and_given_back() {
    let (store, database) = crate::support::mongodb().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own collections are made");
    let (claimer, witness) = (node("worker"), node("web"));
    store.beat(&claimer).await.expect("a node lives");
    claim_a_job(&store, &claimer).await;
    // As it is when a claim arrives after the burial of its node, and its process is dead.
    let client = driver::Client::with_uri_str(database.url()).await.expect("a URI");
    let nodes = client.default_database().expect("it is named").collection::<Document>("ng_node");
    nodes.delete_many(doc! {}).await.expect("nobody is a node");
    let said = store.beat(&witness).await.expect("a node lives");
    assert!(said.longest_silence >= NODE_TTL, "{said:?}");
    let burials = store.bury(Duration::from_secs(60), Duration::ZERO, 10).await.expect("the dead are buried");
    assert_eq!((burials.len(), burials[0].node, burials[0].released), (1, claimer.id, 1), "{burials:?}");
    assert_eq!(store.beat(&witness).await.expect("a node lives").longest_silence, Duration::ZERO);
}

/// Events of these subjects for a consumer that wants them in turn.
async fn events(store: &MongoStore, subjects: &[&str]) {
    let consumer = Subscription {
        consumer: "kind".to_owned(),
        event: "event".to_owned(),
        queue: "default".to_owned(),
        is_ordered: true,
        attempts_max: 10,
    };
    store.subscribe(&[consumer]).await.expect("it is noted");
    let parcel = |subject: &&str| Parcel {
        name: "event".to_owned(),
        subject: Some((*subject).to_owned()),
        key: Ids::random().next_uuid().to_string(),
        envelope: format!("\"{subject}\""),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    let parcels: Vec<_> = subjects.iter().map(parcel).collect();
    assert_eq!(store.fan_out(&parcels).await.expect("it is stored"), subjects.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_somebody_has_locked_holds_up_no_other() {
    let (store, database) = crate::support::mongodb().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own collections are made");
    let worker = node("worker");
    store.beat(&worker).await.expect("a node lives");
    let claim = async || {
        let claim = claim_by(&worker, 10);
        let claimed = tokio::time::timeout(Duration::from_secs(8), store.claim(&claim)).await;
        let claimed = claimed.expect("it is not held up").expect("work is claimed");
        let mut subjects: Vec<_> = claimed.into_iter().map(|claimed| claimed.payload).collect();
        subjects.sort();
        subjects.join(" ")
    };
    // One is at work, and another has not been looked at, when a worker stops that has written to both.
    events(&store, &["at work"]).await;
    assert_eq!(claim().await, "\"at work\"");
    events(&store, &["new"]).await;
    let client = driver::Client::with_uri_str(database.url()).await.expect("a URI");
    let work = client.default_database().expect("it is named").collection::<Document>("ng_work");
    // Whoever claims may be quicker than another who has read the note of the same piece.
    let note = doc! { "$set": { "look": "a token" } };
    work.update_one(doc! { "payload": "\"at work\"" }, note).await.expect("it has its note still");
    let mut stopped = client.start_session().await.expect("a session");
    stopped.start_transaction().await.expect("a transaction");
    for subject in ["at work", "new"] {
        let touch = doc! { "$set": { "touched": true } };
        let touched = work.update_one(doc! { "payload": format!("\"{subject}\"") }, touch);
        assert_eq!(touched.session(&mut stopped).await.expect("it is written").matched_count, 1);
    }

    events(&store, &["at work", "other"]).await;
    assert_eq!(claim().await, "\"other\"");
    stopped.abort_transaction().await.expect("it is taken back");
    assert_eq!(claim().await, "\"new\"", "its note has stayed");
}

#[tokio::test]
async fn a_note_that_was_left_on_work_in_hand_goes_when_that_ends() {
    let (store, database) = crate::support::mongodb().await;
    store.migrate(&[], Timestamp::UNIX_EPOCH).await.expect("the store's own collections are made");
    let worker = node("worker");
    store.beat(&worker).await.expect("a node lives");
    events(&store, &["same", "same"]).await;
    let client = driver::Client::with_uri_str(database.url()).await.expect("a URI");
    let work = client.default_database().expect("it is named").collection::<Document>("ng_work");
    for is_last_try in [false, true] {
        let claimed = store.claim(&claim_by(&worker, 10)).await.expect("work is claimed");
        assert_eq!((claimed.len(), claimed[0].attempt), (1, 1 + u32::from(is_last_try)));
        let note = doc! { "$set": { "look": "a token" } };
        work.update_one(doc! { "state": "running" }, note).await.expect("it has its note still");
        let failure = "no use".to_owned();
        let end = if is_last_try {
            Settlement::Dead { failure }
        } else {
            Settlement::Retry { after: Duration::ZERO, failure }
        };
        assert_eq!(store.settle(&[(claimed[0].ticket, end)]).await.expect("it is settled"), [true]);
    }
    let next = store.claim(&claim_by(&worker, 10)).await.expect("work is claimed");
    assert_eq!((next.len(), next[0].attempt), (1, 1), "the next of the lane is free");
    let dead = WorkFilter { states: vec![WorkState::Dead], limit: 10, ..WorkFilter::default() };
    let dead = store.list_work(&dead).await.expect("it is listed");
    assert!(store.revise(dead[0].id, &Revision::Delete).await.expect("it may be deleted"));
    let noted = work.count_documents(doc! { "look": "a token" }).await.expect("it counts");
    assert_eq!(noted, 0);
}

#[tokio::test]
async fn a_name_whose_records_tell_the_hosts_is_asked_for() {
    let error =
        open("mongodb+srv://mario@nobody.invalid/shop", impatient()).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "store.open"));
    // Nobody answers, or somebody that there is no such name; either way the driver has asked.
    assert!(!error.detail().contains("feature"), "{error:?}");
}
