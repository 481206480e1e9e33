//! Worker and scheduler as processes, and what operators do with durable work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::Store;
use neuroglia::work::{Due, NewWork, Revision, Settlement};
use neuroglia_backing::store::connect;
use neuroglia_testing::workbench::{asking, enqueue, job, new_id};
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Client, PATIENCE, Premises, Process, eventually, guest_order};

/// The database behind the application's back.
pub(super) fn with_store<T>(premises: &Premises, work: impl AsyncFnOnce(Arc<dyn Store>) -> T) -> T {
    let (runtime, store) = open_store(premises);
    let outcome = runtime.block_on(work(Arc::clone(&store)));
    runtime.block_on(store.close());
    outcome
}

/// The store, for who stays beside the processes.
fn open_store(premises: &Premises) -> (Runtime, Arc<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = premises.setting("DATABASE_URL").parse().expect("a URL");
    let store = runtime.block_on(connect(&url)).expect("the database opens");
    (runtime, store)
}

/// Stores work that nobody does, and calls it off: it stays until an operator does something.
fn leave_something(premises: &Premises) -> String {
    let work = NewWork {
        payload: r#"{"pizza":"margherita"}"#.into(),
        correlation_id: Some("request-7".into()),
        ..job("nobodys")
    };
    let id = work.id;
    with_store(premises, async |store| {
        enqueue(&*store, [work]).await;
        assert!(store.revise(id, &Revision::Cancel).await.expect("it answers"));
    });
    id.to_string()
}

fn operators(premises: Premises) -> Premises {
    premises.set("ADMIN_PORT", "0")
}

/// Asks the admin surface once.
fn ask(process: &Process, path: &str) -> super::Answer {
    let mut client = Client::connect(process.admin_address()).expect("it listens");
    client.request("GET", path, &[], b"").expect("an answer")
}

#[test]
fn worker_and_scheduler_answer_operators_and_end_in_order() {
    let premises = operators(Premises::furnished());
    for role in ["worker", "scheduler"] {
        let process = premises.open_as(role);
        for path in ["/health/live", "/health/ready", "/health/startup"] {
            assert_eq!(ask(&process, path).status, 200, "{role} {path}");
        }
        eventually("the metrics", || {
            let metrics = ask(&process, "/metrics").text();
            let has = |name: &str| metrics.contains(name);
            (has("outbox_messages") && has("work_running") && has("relay_sent")).then_some(())
        });
        let nodes = premises.run(&["admin", "nodes"]);
        nodes.assert_code(0);
        assert!(nodes.stdout.contains(role) && nodes.stdout.contains("alive"), "{}", nodes.stdout);
        process.signal(Signal::TERM);
        process.end_within(PATIENCE).assert_code(0);
        let nodes = premises.run(&["admin", "nodes"]);
        assert_eq!(nodes.stdout, "", "who ends in order says so");
    }
}

#[test]
fn a_queue_that_nobody_has_is_a_fault_of_the_command_line() {
    let premises = Premises::furnished();
    let finished = premises.run(&["worker", "--queues", "mial:2"]);
    finished.assert_code(78);
    assert!(finished.stderr.contains("no queue mial"), "{}", finished.stderr);
    assert!(finished.stderr.contains("one thing to mend"), "{}", finished.stderr);
    premises.run(&["worker", "--queues", "default:none"]).assert_code(64);
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// What the metrics say of one family, labels and all.
fn metric(metrics: &str, name: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Leaves work behind in each state that a metric is about.
async fn leave_much(store: &dyn Store) {
    let long_ago = store.now().await.expect("it tells its time") - HOUR;
    let waiting = [Due::At(long_ago), Due::Now, Due::Now].map(|due| NewWork { due, ..job("nobodys") });
    let later = NewWork { due: Due::After(HOUR), ..job("nobodys") };
    let lanes = ["a", "b"].map(|lane| NewWork { lane: Some(lane.into()), ..job("lanes") });
    enqueue(store, waiting.into_iter().chain([later]).chain(lanes).chain([job("dies"), job("stops")])).await;
    let claim = asking(store, &["lanes", "dies", "stops"], 10).await;
    let settlements: Vec<_> = store
        .claim(&claim)
        .await
        .expect("it answers")
        .into_iter()
        .map(|claimed| {
            let failure = "no use".to_owned();
            let settlement = match &*claimed.kind {
                "dies" => Settlement::Dead { failure },
                "stops" => Settlement::Park { failure },
                _ => Settlement::Retry { after: HOUR, failure },
            };
            (claimed.ticket, settlement)
        })
        .collect();
    assert_eq!(store.settle(&settlements).await.expect("it answers"), [true; 4]);
    store.leave(claim.owner).await.expect("it answers");
}

#[test]
fn metrics_show_what_waits_and_since_when() {
    let premises = operators(Premises::furnished());
    with_store(&premises, async |store| leave_much(&*store).await);
    let web = premises.open();
    let metrics = eventually("it was looked up", || {
        let metrics = ask(&web, "/metrics").text();
        (metric(&metrics, "work_waiting") == Some(3)).then_some(metrics)
    });
    for (name, value) in
        [("work_scheduled", 3), ("work_lanes_held", 2), ("dead_letters", 2), ("work_running", 0)]
    {
        assert_eq!(metric(&metrics, name), Some(value), "{name}: {metrics}");
    }
    let oldest = metric(&metrics, r#"work_waiting_oldest_milliseconds{queue="default"}"#);
    let oldest = oldest.map(Duration::from_millis);
    assert!(oldest.is_some_and(|oldest| (HOUR..2 * HOUR).contains(&oldest)), "{oldest:?}: {metrics}");
    web.close().assert_code(0);
}

#[test]
fn metrics_show_what_was_sent_and_done_and_that_nothing_waits_any_more() {
    const ORDERS: u64 = 3;
    let premises = operators(Premises::furnished());
    let metrics = |process: &Process| ask(process, "/metrics").text();

    // What is committed while the bus is away stays in the outbox.
    let web = premises.clone().set("EVENT_BUS_URL", "amqp://mario:hunter2@127.0.0.1:9").open();
    for number in 0..ORDERS {
        let placed = web.post("/api/v1/orders", &[], &guest_order(&format!("+1 555 {number:04}"), ""));
        assert_eq!(placed.status, 201, "{}", placed.text());
    }
    eventually("the bus takes nothing", || {
        (metric(&metrics(&web), "relay_returned_total") > Some(0)).then_some(())
    });
    assert_eq!(metric(&metrics(&web), "relay_sent_total"), Some(0));
    web.close().assert_code(0);

    // The first of each subject is held here, as by a relay that takes its time: nothing passes it. Who holds it lives.
    let (runtime, store) = open_store(&premises);
    let token = new_id();
    let mut held = Vec::new();
    let waiting = eventually("all of it is held", || {
        let taken = runtime.block_on(store.claim_outbox(token, 100, HOUR)).expect("it answers");
        let waiting = runtime.block_on(store.outbox(1000)).expect("it answers");
        held.extend(taken.iter().map(|message| message.id));
        let subjects: BTreeSet<_> = waiting.iter().map(|message| &message.subject).collect();
        (held.len() == subjects.len()).then_some(waiting.len() as u64)
    });
    assert!(waiting >= ORDERS, "{waiting} wait");
    let all = premises.open_as("all");
    let depth = |metrics: &str| {
        Some((metric(metrics, "outbox_messages")?, metric(metrics, "outbox_oldest_milliseconds")?))
    };
    let before = eventually("what waits was looked up", || {
        let metrics = metrics(&all);
        let (messages, oldest) = depth(&metrics)?;
        (messages == waiting && oldest > 0).then_some(metrics)
    });
    assert_eq!(metric(&before, "relay_sent_total"), Some(0), "{before}");
    let done_before = metric(&before, "work_done_total").expect("it is shown");

    runtime.block_on(store.return_outbox(token, &held, Duration::ZERO)).expect("it answers");
    eventually("all of it is handled", || {
        // The statistics and the live feed each hear of every order.
        (metric(&metrics(&all), "work_done_total") >= Some(done_before + 2 * ORDERS)).then_some(())
    });
    let after = eventually("what waits was looked up again", || {
        let metrics = metrics(&all);
        let is_idle = ["work_waiting", "work_running"].iter().all(|name| metric(&metrics, name) == Some(0));
        (is_idle && depth(&metrics) == Some((0, 0))).then_some(metrics)
    });
    assert_eq!(metric(&after, "relay_sent_total"), Some(waiting), "each once: {after}");
    assert_eq!(metric(&after, "relay_lag_seconds_count"), Some(waiting), "{after}");
    for name in ["relay_returned_total", "work_dead_total", "work_lost_total", "dead_letters"] {
        assert_eq!(metric(&after, name), Some(0), "{name}: {after}");
    }
    runtime.block_on(store.close());
    all.close().assert_code(0);
}

#[test]
fn operators_list_show_edit_replay_and_delete_what_is_left() {
    let premises = Premises::furnished();
    let id = leave_something(&premises);
    let listed = premises.run(&["admin", "work", "list", "--state", "cancelled", "--json"]);
    listed.assert_code(0);
    let record: Value = serde_json::from_str(listed.stdout.trim()).expect("one object a line");
    assert_eq!((record["id"].as_str(), record["kind"].as_str()), (Some(id.as_str()), Some("nobodys")));
    let shown = premises.run(&["admin", "work", "show", &id]).json();
    assert_eq!(shown["payload"]["pizza"], "margherita");
    assert_eq!(shown["correlation_id"], "request-7");

    // It is no dead letter as long as it was only called off.
    assert_eq!(premises.run(&["admin", "dead-letters", "list"]).stdout, "");
    let edit = premises.run_with_line(&["admin", "dead-letters", "edit", &id], "{}");
    edit.assert_code(1);
    assert!(edit.stderr.contains("dead or parked"), "{}", edit.stderr);
    premises.run_with_line(&["admin", "dead-letters", "edit", &id], "{not json").assert_code(65);

    premises.run(&["admin", "dead-letters", "replay", &id]).assert_code(0);
    let waiting = premises.run(&["admin", "work", "list", "--state", "waiting"]);
    assert!(waiting.stdout.contains(&id), "{}", waiting.stdout);
    premises.run(&["admin", "work", "cancel", &id]).assert_code(0);
    premises.run(&["admin", "dead-letters", "delete", &id]).assert_code(0);
    premises.run(&["admin", "work", "show", &id]).assert_code(1);
    premises.run(&["admin", "dead-letters", "replay", "--all"]).assert_code(0);
    premises.run(&["admin", "dead-letters", "replay"]).assert_code(64);
}

#[test]
fn a_consumer_that_is_no_more_can_be_taken_off_the_list() {
    let premises = Premises::furnished();
    let refused = premises.run(&["admin", "subscriptions", "remove", "nobody"]);
    refused.assert_code(1);
    assert!(refused.stderr.contains("no consumer nobody"), "{}", refused.stderr);
    premises.run(&["admin", "subscriptions", "list"]).assert_code(0);
}
