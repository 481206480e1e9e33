//! From a command to its effects elsewhere: outbox, relay, delivery, handler, and jobs, in one process.

mod lineage;
mod post_office;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::data;
use neuroglia::di::ScopeFactory;
use neuroglia::messaging;
use neuroglia::schedule::Planner;
use neuroglia::work::{JobOptions, Jobs, Revision, WorkFilter, WorkState};
use tokio::time::timeout;
use uuid::Uuid;

use self::post_office::{App, Frank, PATIENCE, TOO_HEAVY, Weigh};

#[tokio::test]
async fn an_event_reaches_every_consumer_once_and_a_job_is_done() {
    let app = App::start().await;
    app.send("a").await;
    app.until("the work", async |app| {
        app.tally("announced").await == 1 && app.tally("booked").await == 1 && app.tally("weighed").await == 1
    })
    .await;
    let done = app.work(&[WorkState::Done]).await;
    assert_eq!(done.len(), 3, "{done:#?}");
    let weighed = done.iter().find(|record| record.kind == "weigh").expect("it is kept");
    assert_eq!(
        (weighed.result.as_deref(), weighed.progress.as_deref()),
        (Some("1"), Some("\"on the scales\""))
    );
    assert_eq!(app.store.outbox(10).await.expect("it answers"), []);
    assert_eq!(app.end(Duration::from_secs(5)).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_no_aggregate_raised_reaches_every_consumer_once() {
    let app = App::start().await;
    app.pass_on("wet", true).await.expect_err("nothing is kept of it");
    app.pass_on("dry", false).await.expect("it is raised");
    app.until("both consumers", async |app| app.work(&[WorkState::Done]).await.len() == 2).await;
    let (announced, booked) = (app.tally("announced").await, app.tally("booked").await);
    assert_eq!((announced, booked, app.tally("dry").await, app.tally("wet").await), (1, 1, 1, 0));
    assert_eq!((app.tally("witnessed dry").await, app.tally("witnessed wet").await), (1, 0));
    assert_eq!((app.work(&[]).await.len(), app.store.outbox(10).await.expect("it answers").len()), (2, 0));
}

#[tokio::test]
async fn a_failing_handler_is_tried_again_and_keeps_nobody_else_from_the_event() {
    let app = App::start().await;
    app.world.failures.store(2, Ordering::SeqCst);
    app.send("a").await;
    app.until("the announcement", async |app| app.tally("announced").await == 1).await;
    app.until("the booking", async |app| app.tally("booked").await == 1).await;
    assert_eq!(app.world.attempts.load(Ordering::SeqCst), 3, "two failed, and left nothing behind");
}

#[tokio::test]
async fn after_the_last_attempt_there_is_a_dead_letter_that_can_be_replayed() {
    let app = App::start().await;
    app.world.failures.store(2, Ordering::SeqCst);
    app.world.panics.store(1, Ordering::SeqCst);
    app.send("a").await;
    app.until("the dead letter", async |app| app.work(&[WorkState::Dead]).await.len() == 1).await;
    let dead = app.work(&[WorkState::Dead]).await.remove(0);
    assert_eq!(dead.failures.len(), 3);
    assert!(dead.failures[0].error.contains("the loudspeaker is off"), "{dead:?}");
    assert!(dead.failures[2].error.contains("the loudspeaker burns"), "{dead:?}");
    assert_eq!(app.tally("announced").await, 0);
    // The next of its subject is not held up by the dead.
    app.send("a").await;
    app.until("the next", async |app| app.tally("announced").await == 1).await;
    assert!(app.store.revise(dead.id, &Revision::Replay).await.expect("it answers"));
    app.until("the replay", async |app| app.tally("announced").await == 2).await;
}

#[tokio::test]
async fn events_of_one_subject_are_handled_in_order_while_others_go_on() {
    let app = App::start().await;
    for _ in 0..20 {
        app.send("a").await;
        app.send("b").await;
    }
    app.until("all of them", async |app| {
        app.tally("a").await == 20 && app.tally("b").await == 20 && app.tally("booked").await == 40
    })
    .await;
    assert_eq!(app.tally("announced").await, 40);
}

#[tokio::test]
async fn unfinished_work_is_handed_back_at_the_end_without_counting() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    app.send("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    let store = Arc::clone(&app.store);
    // It hears that the process is about to end, and stops.
    assert_eq!(app.end(Duration::from_secs(10)).await, Vec::<String>::new());
    let filter = WorkFilter { kind: Some("weigh".into()), limit: 10, ..WorkFilter::default() };
    let back = store.list_work(&filter).await.expect("it answers").remove(0);
    assert_eq!((back.state, back.attempt), (WorkState::Waiting, 0));
    assert_eq!(store.nodes().await.expect("it answers"), []);
    let next = App::on(store).await;
    next.until("the job", async |app| app.tally("weighed").await == 1).await;
}

#[tokio::test]
async fn a_running_job_can_be_called_off() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    let id = app.weigh("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    let running = app.job(id).await;
    assert_eq!((running.state, running.attempt, running.kind.as_str()), (WorkState::Running, 1, "weigh"));
    assert_eq!(running.progress::<String>().expect("a text").as_deref(), Some("on the scales"));
    assert_eq!((running.result::<usize>().expect("none yet"), running.failure()), (None, None));
    assert!(app.cancel(id).await);
    app.until("the end", async |app| app.job(id).await.state == WorkState::Cancelled).await;
    assert!(app.cancel(id).await, "it is called off");
    assert_eq!(app.tally("weighed").await, 0);
}

#[tokio::test]
async fn a_job_that_is_called_off_before_it_begins_never_begins() {
    let app = App::start().await;
    let scope = app.services.scope();
    let jobs: Jobs = scope.inject().expect("it is registered");
    let later = JobOptions::default().after(Duration::from_secs(24 * 60 * 60));
    let id = jobs.enqueue_with(&Weigh { parcel: "a".into() }, later).expect("it is JSON");
    assert!(!jobs.cancel::<Weigh>(id).await.expect("it answers"), "before the commit there is none");
    scope.get::<data::UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
    assert_eq!(app.job(id).await.state, WorkState::Scheduled);
    for time in ["at first", "again, as after a conflict"] {
        assert!(jobs.cancel::<Weigh>(id).await.expect("it answers"), "{time}");
    }
    assert_eq!(jobs.find::<Frank>(id).await.expect("it answers"), None, "it is of another kind");
    assert!(!jobs.cancel::<Frank>(id).await.expect("it answers"));
    let record = app.job(id).await;
    assert_eq!((record.state, record.attempt), (WorkState::Cancelled, 0));
}

#[tokio::test]
async fn a_job_tells_what_came_of_it_and_why_it_failed() {
    let app = App::start().await;
    let (light, heavy) = (app.weigh("feather").await, app.weigh(TOO_HEAVY).await);
    app.until("the light one", async |app| app.job(light).await.state == WorkState::Done).await;
    let done = app.job(light).await;
    assert_eq!((done.result::<usize>().expect("a number"), done.failure()), (Some(7), None));
    assert!(!app.cancel(light).await, "it has ended");
    done.result::<bool>().expect_err("it is no such thing");
    app.until("the heavy one", async |app| app.job(heavy).await.state == WorkState::Dead).await;
    let dead = app.job(heavy).await;
    assert_eq!(dead.result::<usize>().expect("there is none"), None);
    let failure = dead.failure().expect("it failed for good");
    assert!(failure.attempt == 1 && failure.error.contains("the scales broke"), "{failure:?}");
}

#[tokio::test]
async fn a_delivery_is_no_job() {
    let app = App::start().await;
    // Of a consumer that this process does not have, so that it stays where it is.
    let elsewhere = messaging::Subscription {
        consumer: "elsewhere".into(),
        event: "parcel.sent".into(),
        queue: "default".into(),
        is_ordered: true,
        attempts_max: 3,
    };
    app.store.subscribe(&[elsewhere]).await.expect("it answers");
    app.send("a").await;
    let of_elsewhere = async |app: &App| {
        let waiting = app.work(&[WorkState::Waiting]).await;
        waiting.into_iter().find(|record| record.kind == "elsewhere").map(|record| record.id)
    };
    app.until("the delivery", async |app| of_elsewhere(app).await.is_some()).await;
    let delivery = of_elsewhere(&app).await.expect("it waits");
    let jobs: Jobs = app.services.scope().inject().expect("it is registered");
    assert_eq!(jobs.find::<Weigh>(delivery).await.expect("it answers"), None);
    assert!(!app.cancel(delivery).await);
    assert_eq!(of_elsewhere(&app).await, Some(delivery), "it waits on");
}

#[tokio::test]
async fn a_job_that_nobody_does_is_refused_when_it_is_asked_for() {
    let app = App::start().await;
    let scope = app.services.scope();
    let jobs: Jobs = scope.inject().expect("it is registered");
    let refused = jobs.enqueue(&Frank {}).expect_err("nobody would ever do it");
    let cause = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("`frank`") && cause.contains("Worker::job"), "{cause}");
    assert_eq!(app.work(&[]).await, []);
}

#[tokio::test]
async fn a_unique_job_waits_once() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let scopes: ScopeFactory = app.services.scope().inject().expect("always there");
    for _ in 0..3 {
        let scope = scopes.scope().expect("it runs");
        let jobs: Jobs = scope.inject().expect("it is registered");
        let options = JobOptions::default().unique("one").after(Duration::from_millis(10));
        jobs.enqueue_with(&Weigh { parcel: "x".into() }, options).expect("it is JSON");
        scope.get::<data::UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
    }
    assert_eq!(app.work(&[]).await.len(), 1);
}

#[tokio::test]
async fn each_time_of_a_schedule_happens_once_however_many_plan_it() {
    let mut app = App::start().await;
    for _ in 0..3 {
        app.host::<Planner>().await;
    }
    app.until("ten ticks", async |app| app.tally("swept").await >= 10).await;
    let all = app.work(&[]).await;
    let mut keys: Vec<_> = all.iter().map(|record| record.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all.len(), "no time was planned twice");
    for record in app.work(&[WorkState::Done]).await {
        let due: String = serde_json::from_str(&record.payload).expect("a time");
        assert_eq!(app.tally(&format!("swept {due}")).await, 1);
        let due: Timestamp = due.parse().expect("a time");
        assert!(record.created_at >= due, "never early");
    }
}

#[tokio::test]
async fn a_node_that_was_taken_for_dead_finishes_nothing() {
    let app = App::start().await;
    app.world.holds.store(1, Ordering::SeqCst);
    let held = app.world.entered.notified();
    app.send("a").await;
    timeout(PATIENCE, held).await.expect("the job begins");
    // Others find it silent, and do not look again.
    app.store.bury(Duration::ZERO, Duration::ZERO, 100).await.expect("it answers");
    app.world.release.notify_one();
    app.until("the second run", async |app| app.tally("weighed").await == 1).await;
    let record = app.work(&[WorkState::Done]).await;
    let weighed = record.iter().find(|record| record.kind == "weigh").expect("it was done");
    assert_eq!((weighed.attempt, weighed.crashes), (2, 1));
    assert_eq!(app.tally("weighed").await, 1, "the first run changed nothing");
}

#[tokio::test]
async fn an_unknown_event_is_parked_and_not_lost() {
    let app = App::start().await;
    let stranger = messaging::Parcel {
        key: Uuid::nil().to_string(),
        name: "parcel.sent".into(),
        subject: Some("a".into()),
        envelope: r#"{"specversion":"1.0","id":"1","source":"/post-office",
            "type":"io.post-office.parcel.sent.v7","data":{}}"#
            .into(),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    app.store.fan_out(&[stranger]).await.expect("it answers");
    app.until("both are parked", async |app| app.work(&[WorkState::Parked]).await.len() == 2).await;
    let parked = app.work(&[WorkState::Parked]).await;
    assert!(parked[0].failures[0].error.contains("version 7"), "{parked:?}");
}

#[tokio::test]
async fn what_waits_behind_long_work_goes_to_another_worker() {
    let busy = App::start().await;
    busy.world.holds.store(100, Ordering::SeqCst);
    for parcel in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        busy.send(parcel).await;
    }
    let running = async |app: &App| {
        let weighing = app.work(&[WorkState::Running]).await.into_iter();
        weighing.filter(|record| record.progress.is_some()).count()
    };
    busy.until("every place is taken for long", async |app| running(app).await == 4).await;
    let idle = App::on(Arc::clone(&busy.store)).await;
    idle.until("the rest", async |app| {
        app.tally("weighed").await == 4 && app.tally("announced").await == 8 && app.tally("booked").await == 8
    })
    .await;
    assert_eq!(running(&busy).await, 4, "what began goes on");
    let done = busy.work(&[WorkState::Done]).await;
    assert!(done.iter().all(|record| record.attempt == 1), "to wait is no attempt: {done:#?}");
}
