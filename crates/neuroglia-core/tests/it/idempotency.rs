//! A repeated command gets its first answer.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::di::Inject;
use neuroglia::error::{ErrorKind, Result};
use neuroglia::identity::{Correlation, IdempotencyKey, Replayed};
use neuroglia::mediation::{Behaviour, Call, Idempotency, Messages, Next, Pipeline};

use crate::script::Do::*;
use crate::script::{App, Do, send};

/// Plays a script as a request with an idempotency key.
async fn request(app: &App, key: &str, fingerprint: &str, scripts: &[&[Do]]) -> (Vec<Result<u32>>, bool) {
    let replayed = Replayed::default();
    let key = IdempotencyKey {
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
        replayed: replayed.clone(),
    };
    let scope = app.services.scope();
    scope.provide(Correlation { idempotency: Some(key), ..Correlation::default() }).expect("it has none");
    let mut answers = Vec::new();
    for script in scripts {
        answers.push(send(&scope, *script).await);
    }
    scope.close().await;
    (answers, replayed.get())
}

/// The answer to a request of one script.
async fn one(app: &App, fingerprint: &str, script: &[Do]) -> (Result<u32>, bool) {
    let (mut answers, replayed) = request(app, "k", fingerprint, &[script]).await;
    (answers.remove(0), replayed)
}

#[tokio::test]
async fn a_repeated_command_gets_the_first_answer_and_changes_nothing() {
    let app = App::start().await;
    let (first, replayed) = one(&app, "f", &[Count("a")]).await;
    assert_eq!((first.expect("it succeeds"), replayed), (1, false));
    let (second, replayed) = one(&app, "f", &[Count("a")]).await;
    assert_eq!((second.expect("the first answer"), replayed), (1, true));
    assert_eq!((app.count("a").await, app.stage.runs(), app.outbox().await), (1, 1, 1));

    // What changes nothing has an answer too.
    let (answers, _) = request(&app, "other", "f", &[&[]]).await;
    let (again, replayed) = request(&app, "other", "f", &[&[]]).await;
    assert_eq!(answers[0].as_ref().ok(), again[0].as_ref().ok());
    assert!(replayed);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let app = App::start().await;
    one(&app, "f", &[Count("a")]).await.0.expect("it succeeds");
    app.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert!(one(&app, "f", &[Count("a")]).await.1);
    app.clock.advance(Duration::from_secs(1));
    let (answer, replayed) = one(&app, "f", &[Count("a")]).await;
    assert_eq!((answer.expect("a new day"), replayed), (2, false));
}

#[tokio::test]
async fn a_key_is_not_used_for_another_request() {
    let app = App::start().await;
    one(&app, "f", &[Count("a")]).await.0.expect("it succeeds");
    let error = one(&app, "g", &[Count("b")]).await.0.expect_err("another request");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "idempotency.reused"));
    assert!(one(&app, "f", &[Count("a")]).await.1, "the first answer is still there");
}

#[tokio::test]
async fn a_request_that_still_runs_is_a_conflict() {
    let app = Arc::new(App::start().await);
    let running = tokio::spawn({
        let app = Arc::clone(&app);
        async move { one(&app, "f", &[Count("a"), Wait]).await }
    });
    let _ = app.gate.reached.acquire().await.expect("it is open");
    let error = one(&app, "f", &[Count("a")]).await.0.expect_err("the first still runs");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "idempotency.running"));
    assert_eq!(error.retry_after_s(), Some(1));
    let error = one(&app, "g", &[Count("a")]).await.0.expect_err("and another one too");
    assert_eq!(error.code(), "idempotency.reused");
    app.gate.open.add_permits(1);
    running.await.expect("it does not panic").0.expect("it succeeds");
    assert!(one(&app, "f", &[Count("a")]).await.1);
}

#[tokio::test]
async fn an_error_is_not_kept() {
    let app = App::start().await;
    for _ in 0..2 {
        let error = one(&app, "f", &[Count("a"), Fail]).await.0.expect_err("the script fails");
        assert_eq!(error.code(), "script.fails");
    }
    let (answer, replayed) = one(&app, "f", &[Count("a")]).await;
    assert_eq!((answer.expect("it succeeds"), replayed), (3, false));
    assert_eq!(app.count("a").await, 1);
}

#[tokio::test]
async fn a_cancelled_request_gives_its_key_back_and_the_end_waits_for_that() {
    let app = Arc::new(App::start().await);
    let running = tokio::spawn({
        let app = Arc::clone(&app);
        async move { one(&app, "f", &[Count("a"), Wait]).await }
    });
    let _ = app.gate.reached.acquire().await.expect("it is open");
    running.abort();
    assert!(running.await.expect_err("it is cancelled").is_cancelled());
    app.services.dispose().await;
    let (answer, replayed) = one(&app, "f", &[Count("a")]).await;
    assert_eq!((answer.expect("the key is free"), replayed, app.count("a").await), (2, false, 1));
}

#[tokio::test]
async fn a_panicking_request_gives_its_key_back() {
    let app = Arc::new(App::start().await);
    let running = tokio::spawn({
        let app = Arc::clone(&app);
        async move { one(&app, "f", &[Count("a"), Panic]).await }
    });
    assert!(running.await.expect_err("the script says so").is_panic());
    app.services.dispose().await;
    one(&app, "f", &[Count("a")]).await.0.expect("the key is free");
}

#[tokio::test]
async fn a_request_that_was_never_heard_of_again_loses_its_key_and_its_right_to_commit() {
    let app = Arc::new(App::start().await);
    let lost = tokio::spawn({
        let app = Arc::clone(&app);
        async move { one(&app, "f", &[Count("a"), Wait]).await }
    });
    let _ = app.gate.reached.acquire().await.expect("it is open");
    app.clock.advance(Duration::from_secs(5 * 60));
    let (answer, replayed) = one(&app, "f", &[Count("a"), Count("a")]).await;
    assert_eq!((answer.expect("it takes over"), replayed, app.count("a").await), (2, false, 2));

    app.gate.open.add_permits(10);
    let error = lost.await.expect("it does not panic").0.expect_err("another has answered");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(app.count("a").await, 2);
    assert_eq!(one(&app, "f", &[Count("a")]).await.0.expect("the kept answer"), 2);
}

#[tokio::test]
async fn each_command_of_a_request_has_an_answer_of_its_own() {
    let app = App::start().await;
    let scripts: &[&[Do]] = &[&[Count("a")], &[Send(vec![Count("a")])], &[Count("a"), Fail]];
    let (answers, replayed) = request(&app, "k", "f", scripts).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((replayed, app.count("a").await), (false, 2));

    let (again, replayed) = request(&app, "k", "f", scripts).await;
    assert!(replayed);
    assert_eq!(again[0].as_ref().ok(), answers[0].as_ref().ok());
    assert_eq!(again[1].as_ref().ok(), answers[1].as_ref().ok());
    assert_eq!(app.count("a").await, 2);
}

#[tokio::test]
async fn an_answer_survives_conflicts_on_the_way() {
    let app = App::start().await;
    let (answer, _) = one(&app, "f", &[Contested("a", 2)]).await;
    let answer = answer.expect("the third run succeeds");
    assert_eq!(one(&app, "f", &[Contested("a", 2)]).await.0.expect("it is kept"), answer);
    assert_eq!(app.count("a").await, 21);
}

#[tokio::test]
async fn an_answer_that_nobody_commits_does_not_hold_its_key() {
    #[derive(Inject)]
    struct Canned {}
    impl Behaviour for Canned {
        async fn handle(&self, call: &mut Call<'_>, _: Next<'_>) -> Result<()> {
            call.respond(7_u32)
        }
    }
    let pipeline = Pipeline::empty().then::<Idempotency>().then::<Canned>();
    let app = App::with(Messages::new(pipeline)).await;
    for _ in 0..2 {
        let (answer, replayed) = one(&app, "f", &[]).await;
        assert_eq!((answer.expect("canned"), replayed), (7, false));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_equal_requests_at_once_one_has_its_effect() {
    let app = Arc::new(App::start().await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { one(&app, "f", &[Yield, Count("a")]).await.0 })
        })
        .collect();
    for task in tasks {
        match task.await.expect("it does not panic") {
            Ok(answer) => assert_eq!(answer, 1),
            Err(error) => assert_eq!(error.code(), "idempotency.running"),
        }
    }
    assert_eq!(app.count("a").await, 1);
}
