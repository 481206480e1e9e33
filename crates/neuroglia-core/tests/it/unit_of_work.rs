//! What a command changes: all of it or nothing, once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use neuroglia::data::{Query, Repository, UnitOfWork, together};
use neuroglia::error::ErrorKind;
use neuroglia::mediation::{Mediator, Messages};
use neuroglia::messaging::EVENT_DATA_BYTES_MAX;
use neuroglia::work::{Jobs, Retry};

use crate::lines::Lines;
use crate::script::Do::*;
use crate::script::{App, Audit, Read, Sum, Tally, cause, play, send};

#[tokio::test]
async fn a_command_commits_when_it_has_succeeded() {
    let app = App::start().await;
    app.play([Count("a"), Count("b"), Count("a")]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.count("b").await, app.outbox().await), (2, 1, 3));
}

#[tokio::test]
async fn a_failed_command_commits_nothing_and_the_next_in_its_scope_starts_clean() {
    let app = App::start().await;
    let scope = app.services.scope();
    let error = send(&scope, [Count("a"), Fail]).await.expect_err("the script fails");
    assert_eq!(error.code(), "script.fails");
    send(&scope, [Count("b")]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.count("b").await, app.outbox().await), (0, 1, 1));
}

#[tokio::test]
async fn a_command_that_panics_or_is_cancelled_leaves_nothing_to_the_next_in_its_scope() {
    let app = App::start().await;
    let scope = app.services.scope();
    let panics = std::panic::AssertUnwindSafe(send(&scope, [Count("a"), Panic])).catch_unwind();
    assert!(panics.await.is_err());
    assert!(send(&scope, [Count("a"), Send(vec![Count("a"), Wait])]).now_or_never().is_none());
    send(&scope, [Count("b")]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.count("b").await, app.outbox().await), (0, 1, 1));
}

#[tokio::test]
async fn commands_one_after_another_commit_one_after_another() {
    let app = App::start().await;
    let scope = app.services.scope();
    send(&scope, [Count("a")]).await.expect("it succeeds");
    assert_eq!(app.count("a").await, 1);
    send(&scope, [Count("a")]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.outbox().await), (2, 2));
}

#[tokio::test]
async fn a_command_inside_another_joins_it_and_the_outermost_commits() {
    let app = App::start().await;
    app.play([Count("a"), Send(vec![Count("a"), Send(vec![Count("a")])]), Count("a")])
        .await
        .expect("it succeeds");
    let document = app.store.load("tallies", "a").await.expect("it answers").expect("it is there");
    assert_eq!((app.count("a").await, document.version, app.outbox().await), (4, 0, 4));

    // The inner one has succeeded, and is not committed before the outer one has.
    let error = app.play([Send(vec![Count("b")]), Fail]).await.expect_err("the outer one fails");
    assert_eq!((error.code(), app.count("b").await), ("script.fails", 0));
}

#[tokio::test]
async fn two_commands_at_once_inside_another_join_it_both() {
    let app = App::start().await;
    app.play([Both(vec![Count("a"), Count("c")], vec![Count("b")])]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.count("b").await), (1, 1));
}

#[tokio::test]
async fn a_failed_command_inside_another_that_goes_on_dooms_it_when_it_had_changed_something() {
    let app = App::start().await;
    app.play([Count("a"), Try(vec![Fail])]).await.expect("the inner one had changed nothing");
    assert_eq!(app.count("a").await, 1);

    let scope = app.services.scope();
    for script in [vec![Count("b"), Fail], vec![Count("b"), Send(vec![Count("c")]), Fail]] {
        let error =
            send(&scope, [Count("a"), Try(script)]).await.expect_err("half of the inner one is there");
        assert_eq!(
            cause(&error),
            "`Play` failed inside `Play` after it had changed something: nothing is committed"
        );
    }
    let error =
        send(&scope, [Count("a"), Cancel(vec![Count("b"), Wait])]).await.expect_err("it was cancelled");
    assert_eq!(error.kind(), ErrorKind::Internal);
    send(&scope, [Count("a")]).await.expect("the next starts clean");
    assert_eq!((app.count("a").await, app.count("b").await), (2, 0));
}

#[tokio::test]
async fn a_command_beside_another_in_one_scope_is_refused_before_it_runs() {
    let app = App::start().await;
    let scope = app.services.scope();
    let (first, second) = (send(&scope, [Count("a"), Wait]), send(&scope, [Count("b")]));
    let open = async {
        let _reached = app.gate.reached.acquire().await;
        app.gate.open.add_permits(1);
    };
    let (first, second, ()) = futures_util::join!(first, second, open);
    first.expect("it was first");
    assert_eq!(
        cause(&second.expect_err("both would be committed, or lost, together")),
        "`Play` was sent beside another command of its scope; send one after the other, or open a scope for each"
    );
    assert_eq!((app.count("a").await, app.count("b").await, app.stage.runs()), (1, 0, 1));

    let error = app.play([Spawn(vec![Count("b")])]).await.expect_err("a task of its own is beside");
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_query_that_writes_is_an_error_and_changes_nothing() {
    let app = App::start().await;
    app.play([Count("a")]).await.expect("it succeeds");
    let scope = app.services.scope();
    let mediator: Mediator = scope.inject().expect("it is there");
    for (script, what) in [
        (vec![Count("a")], "the query `Read` tried to change something"),
        (vec![Remove("a")], "the query `Read` tried to change something"),
        (vec![Tell("a")], "the query `Read` tried to change something"),
        (vec![CallOff], "the query `Read` tried to change something"),
        (vec![Native], "the query `Read` tried to change something"),
        (vec![Try(vec![]), Send(vec![Count("a")])], "the query `Read` sent the command `Play`"),
    ] {
        let error = mediator.send(Read(script)).await.expect_err("it would change something");
        assert_eq!(cause(&error), what);
    }
    send(&scope, [Count("b")]).await.expect("the next command starts clean");
    assert_eq!((app.count("a").await, app.count("b").await), (1, 1));
    let error = app.play([Count("a"), Ask(vec![Count("a")])]).await.expect_err("inside a command too");
    assert_eq!(cause(&error), "the query `Read` tried to change something");
    app.play([Count("a"), Ask(vec![]), Count("a")]).await.expect("a query that only reads is no harm");
    assert_eq!(app.count("a").await, 3);
}

#[tokio::test]
async fn a_conflict_runs_the_handler_again_on_what_is_there_now() {
    let app = App::start().await;
    app.play([Count("a")]).await.expect("it succeeds");
    let command = play([Count("b"), Contested("a", 2)]);
    let clones = command.clones();
    let mediator: Mediator = app.services.scope().inject().expect("it is there");
    assert!(mediator.send(command).await.is_err(), "its scope has ended");

    let scope = app.services.scope();
    let mediator: Mediator = scope.inject().expect("it is there");
    let command = play([Count("b"), Contested("a", 2)]);
    let copies = command.clones();
    let run = mediator.send(command).await.expect("the third run succeeds");
    assert_eq!((run, app.stage.runs()), (4, 4));
    // One, two rivals of ten each, one; nothing of the failed runs.
    assert_eq!((app.count("a").await, app.count("b").await, app.outbox().await), (22, 1, 3));
    assert_eq!((clones.load(Ordering::SeqCst), copies.load(Ordering::SeqCst)), (0, 3));
}

#[tokio::test]
async fn a_conflict_is_the_callers_after_a_bounded_number_of_runs() {
    let app = App::start().await;
    let error = app.play([Contested("a", u32::MAX)]).await.expect_err("somebody is always first");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "version.conflict"));
    let runs = app.stage.runs();
    assert!((2..100).contains(&runs), "{runs}");
    assert_eq!(app.count("a").await, runs * 10);
}

#[tokio::test]
async fn a_failed_command_takes_back_only_what_it_added() {
    let app = App::start().await;
    let scope = app.services.scope();
    let tallies: Repository<Tally> = scope.inject().expect("it is there");
    let mut before = Tally::new("before");
    before.add(1);
    tallies.save(&mut before).expect("it is new");

    send(&scope, [Count("before"), Count("a"), Fail]).await.expect_err("the script fails");
    assert_eq!((app.count("before").await, app.outbox().await), (0, 0));
    assert_eq!(
        tallies.get(&"before".to_owned()).await.expect("it answers").map(|tally| tally.count),
        Some(1)
    );

    // Two runs meet a conflict on another tally; the third commits what was there before with its own.
    send(&scope, [Contested("a", 2)]).await.expect("the third run succeeds");
    assert_eq!((app.count("before").await, app.count("a").await, app.outbox().await), (1, 21, 2));
}

#[tokio::test]
async fn a_failed_command_takes_back_no_job_that_was_asked_for_before_it() {
    let app = App::start().await;
    let scope = app.services.scope();
    let jobs: Jobs = scope.inject().expect("it is there");
    jobs.enqueue(&Sum {}).expect("it is JSON");
    send(&scope, [Count("a"), Fail]).await.expect_err("the script fails");
    assert_eq!(app.jobs().await, 0, "what was asked for waits for the next commit");
    send(&scope, [Contested("a", 2)]).await.expect("the third run succeeds");
    assert_eq!((app.count("a").await, app.jobs().await), (21, 1));
}

#[tokio::test]
async fn a_command_does_not_begin_over_statements_that_it_could_not_give_back() {
    let app = App::start().await;
    let scope = app.services.scope();
    scope.get::<UnitOfWork>().expect("it is there").native("none", ()).expect("no query runs");
    let error = send(&scope, [Count("a")]).await.expect_err("a retry would lose them");
    assert!(cause(&error).starts_with("own statements wait for their commit, and `Play`"), "{error:?}");
    assert_eq!(app.stage.runs(), 0);
}

#[tokio::test]
async fn other_errors_are_not_tried_again() {
    let app = App::start().await;
    app.play([Fail]).await.expect_err("the script fails");
    assert_eq!(app.stage.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_commands_on_one_aggregate_all_succeed_and_none_is_lost() {
    let app = Arc::new(App::start().await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { app.play([Count("a"), Yield, Yield, Yield]).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic").expect("its turn comes");
    }
    assert_eq!((app.count("a").await, app.outbox().await), (100, 100));
}

#[tokio::test]
async fn event_handlers_run_inside_the_unit_each_once() {
    let app = App::start().await;
    app.play([Count("a")]).await.expect("it succeeds");
    assert_eq!(app.stage.reactions(), ["reaction a", "audit a"]);
}

#[tokio::test]
async fn events_of_event_handlers_are_handled_in_the_same_unit() {
    let app = App::start().await;
    app.play([Count("echoing")]).await.expect("it succeeds");
    assert_eq!(app.stage.reactions(), ["reaction echoing", "audit echoing", "reaction echo", "audit echo"]);
    assert_eq!((app.count("echoing").await, app.count("echo").await, app.outbox().await), (1, 1, 2));
}

#[tokio::test]
async fn an_event_that_no_aggregate_raised_is_handled_and_leaves_like_the_others() {
    let app = App::start().await;
    app.play([Count("a"), Tell("b"), Count("c")]).await.expect("it succeeds");
    let handled = ["reaction a", "audit a", "reaction b", "audit b", "reaction c", "audit c"];
    assert_eq!(app.stage.reactions(), handled);
    let outbox = app.store.outbox(10).await.expect("it answers");
    let left: Vec<_> =
        outbox.iter().map(|message| (&*message.name, &*message.subject, &*message.data)).collect();
    assert_eq!(left[1], ("tally.counted", "b", r#"{"name":"b"}"#));
    assert_eq!((left.len(), app.count("b").await), (3, 0));

    // What its handlers do belongs to the unit of work, whether or not it had changed anything else.
    app.play([Tell("echoing")]).await.expect("it succeeds");
    assert_eq!((app.count("echo").await, app.outbox().await), (1, 5));
    let error = app.play([Count("d"), Tell("failing")]).await.expect_err("a reaction fails");
    assert_eq!((error.code(), app.count("d").await, app.outbox().await), ("reaction.fails", 0, 5));
}

#[tokio::test]
async fn an_event_of_a_command_that_fails_was_not_raised() {
    let app = App::start().await;
    app.play([Tell("a"), Fail]).await.expect_err("the script fails");
    assert_eq!((app.stage.reactions(), app.outbox().await), (Vec::new(), 0));
    app.play([Try(vec![Tell("a"), Fail])]).await.expect_err("half of the inner one is there");
    assert_eq!(app.outbox().await, 0);
}

#[tokio::test]
async fn an_event_has_a_subject_that_its_envelope_can_carry() {
    let app = App::start().await;
    for subject in ["", "a\u{0}b", Box::leak("s".repeat(1025).into_boxed_str())] {
        let error = app.play([Tell(subject)]).await.expect_err("it could not leave");
        assert!(cause(&error).contains("the subject of an event `tally.counted`"), "{error:?}");
    }
    app.play([Tell(Box::leak("s".repeat(1024).into_boxed_str()))]).await.expect("the longest one");
    assert_eq!(app.outbox().await, 1);
}

#[tokio::test]
async fn an_event_that_no_broker_takes_is_refused_with_everything_else() {
    let app = App::start().await;
    let scope = app.services.scope();
    let error =
        send(&scope, [Count("a"), TellAtLength(EVENT_DATA_BYTES_MAX + 1)]).await.expect_err("too long");
    let what = format!("the event `tally.counted` has {} bytes of data", EVENT_DATA_BYTES_MAX + 1);
    assert!(cause(&error).starts_with(&what), "{error:?}");
    assert_eq!(error.retry(), Some(Retry::Never), "it would be as long the next time");
    assert_eq!((app.stage.reactions(), app.count("a").await, app.outbox().await), (Vec::new(), 0, 0));
    send(&scope, [TellAtLength(EVENT_DATA_BYTES_MAX)]).await.expect("the longest one");
    assert_eq!(app.outbox().await, 1);
}

#[tokio::test]
async fn a_failing_event_handler_fails_the_command_and_keeps_no_other_from_running() {
    let app = App::start().await;
    let error = app.play([Count("failing"), Count("a")]).await.expect_err("a reaction fails");
    assert_eq!(error.code(), "reaction.fails");
    assert_eq!(app.stage.reactions(), ["reaction failing", "audit failing", "reaction a", "audit a"]);
    assert_eq!((app.count("failing").await, app.count("a").await, app.outbox().await), (0, 0, 0));
}

#[tokio::test]
async fn when_two_event_handlers_fail_the_command_tells_the_first_cause_and_the_log_the_other() {
    let app = App::start().await;
    let lines = Lines::default();
    let guard = lines.listen();
    let error = app.play([Count("failing twice")]).await.expect_err("both handlers fail");
    drop(guard);
    assert_eq!(cause(&error), "the oven is cold");
    assert_eq!(app.stage.reactions(), ["reaction failing twice", "audit failing twice"]);
    let lines = lines.read();
    let further: Vec<_> =
        lines.iter().filter(|line| line.contains("a further event handler failed")).collect();
    assert_eq!(further.len(), 1, "{lines:#?}");
    assert!(further[0].contains("tally.counted") && further[0].contains("the book is closed"), "{further:?}");
    assert_eq!((app.count("failing twice").await, app.outbox().await), (0, 0));
}

#[tokio::test]
async fn an_event_that_no_handler_here_wants_leaves_all_the_same() {
    let app = App::hearing(Messages::default()).await;
    app.play([Count("a")]).await.expect("nobody has to listen");
    let heard = app.stage.reactions();
    assert_eq!((app.count("a").await, app.outbox().await, heard.len()), (1, 1, 0), "{heard:?}");
}

#[tokio::test]
async fn an_event_can_be_handled_by_one_who_hears_every_event_alone() {
    let app = App::hearing(Messages::default().every_event::<Audit>()).await;
    app.play([Count("a")]).await.expect("it succeeds");
    assert_eq!((app.stage.reactions(), app.outbox().await), (vec!["audit a".to_owned()], 1));
    let error = app.play([Count("failing twice")]).await.expect_err("it is no lesser handler");
    assert_eq!((cause(&error).as_str(), app.outbox().await), ("the book is closed", 1));
}

#[tokio::test]
async fn an_event_handler_that_fails_fails_the_outermost_command_whatever_it_tolerates() {
    let app = App::start().await;
    for script in [
        // An inner command that changes nothing does not handle, and lose, what the outer one raised.
        vec![Count("failing"), Try(vec![])],
        vec![Count("a"), Try(vec![Count("failing")])],
    ] {
        let error = app.play(script).await.expect_err("a reaction fails");
        assert_eq!(error.code(), "reaction.fails");
    }
    assert_eq!((app.count("failing").await, app.count("a").await, app.outbox().await), (0, 0, 0));
}

#[tokio::test]
async fn events_of_commands_inside_another_are_handled_when_it_ends_each_once() {
    let app = App::start().await;
    app.play([Count("a"), Send(vec![Count("b")]), Count("c")]).await.expect("it succeeds");
    let handled =
        ["reaction a", "audit a", "reaction b", "audit b", "reaction c", "audit c"].map(str::to_owned);
    assert_eq!((app.stage.reactions(), app.outbox().await), (handled.to_vec(), 3));
}

#[tokio::test]
async fn events_and_commands_without_end_are_ended() {
    let app = App::start().await;
    for script in [Count("circling"), Count("sending")] {
        let error = app.play([script]).await.expect_err("it would never end");
        assert_eq!(cause(&error), "the events of `Play` raise each other without end");
    }
    let error = app.play([Circle]).await.expect_err("it would never end");
    assert_eq!(cause(&error), "commands send each other without end, at last `Play`");
    assert_eq!((app.count("circling").await, app.count("sending").await), (0, 0));
}

#[tokio::test]
async fn a_repository_reads_what_its_unit_has_written() {
    let app = App::start().await;
    app.play([Count("a")]).await.expect("it succeeds");
    let scope = app.services.scope();
    let tallies: Repository<Tally> = scope.inject().expect("it is there");
    let name = "a".to_owned();

    let mut first = tallies.get(&name).await.expect("it answers").expect("it is there");
    let mut second = tallies.get(&name).await.expect("it answers").expect("it is there");
    first.add(1);
    tallies.save(&mut first).expect("it is the newest");
    assert_eq!(tallies.get(&name).await.expect("it answers").expect("it is there").count, 2);
    second.add(1);
    let error = tallies.save(&mut second).expect_err("it is older");
    assert_eq!(cause(&error), "tallies/a was saved twice from two copies in one unit of work; load it once");

    tallies.remove(&mut first).expect("it is the newest");
    assert!(tallies.get(&name).await.expect("it answers").is_none());
    tallies.save(&mut second).expect_err("an old copy does not bring it back");
    let mut reborn = Tally::new("a");
    reborn.count = 7;
    tallies.save(&mut reborn).expect("a new one takes its place");

    scope.get::<UnitOfWork>().expect("it is there").commit().await.expect("nobody else has changed it");
    assert_eq!(app.count("a").await, 7);
    assert_eq!(tallies.remove(&mut Tally::new("b")).expect_err("never saved").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_a_query_has_read_is_not_read_again_by_its_id() {
    let app = App::start().await;
    app.play([Count("a")]).await.expect("it succeeds");
    let scope = app.services.scope();
    let tallies: Repository<Tally> = scope.inject().expect("it is there");
    let first = async || tallies.first(Query::all()).await.expect("it answers").expect("it is there").count;
    assert_eq!(first().await, 1);

    // Somebody else changes it: a query sees that, and what was read once by this unit stays what it was.
    app.play([Count("a")]).await.expect("it succeeds");
    let mut same = tallies.get(&"a".to_owned()).await.expect("it answers").expect("it is there");
    assert_eq!((same.count, first().await), (1, 2));
    let newer = tallies.get(&"a".to_owned()).await.expect("it answers").expect("it is there");
    assert_eq!(newer.count, 2, "what was read last counts");
    same.add(5);
    tallies.save(&mut same).expect("it is the only copy");
    assert_eq!(first().await, 2, "queries see what is committed");
    assert_eq!(tallies.get(&"a".to_owned()).await.expect("it answers").expect("it is there").count, 6);
    let error =
        scope.get::<UnitOfWork>().expect("it is there").commit().await.expect_err("it is an older one");
    assert_eq!((error.kind(), app.count("a").await), (ErrorKind::Conflict, 2));

    assert!(
        tallies.first(Query::filter(Tally::NAME.eq("b".to_owned()))).await.expect("it answers").is_none()
    );
}

#[tokio::test]
async fn several_are_read_at_once_each_as_the_unit_has_it() {
    let app = App::start().await;
    app.play([Count("a"), Count("b"), Count("c")]).await.expect("it succeeds");
    let scope = app.services.scope();
    let tallies: Repository<Tally> = scope.inject().expect("it is there");
    let names = ["c", "nobody", "a", "c"].map(str::to_owned);
    let mut changed = tallies.get(&names[0]).await.expect("it answers").expect("it is there");
    changed.add(5);
    tallies.save(&mut changed).expect("it is the only copy");

    let counted = |found: Vec<Tally>| found.into_iter().map(|tally| tally.count).collect::<Vec<_>>();
    assert_eq!(counted(tallies.get_all(&names).await.expect("it answers")), [6, 1, 6], "in the order of ids");
    assert!(tallies.get_all([]).await.expect("nobody is asked").is_empty());

    let b = Query::filter(Tally::NAME.eq("b".to_owned()));
    let nobody = Query::filter(Tally::NAME.eq("nobody".to_owned()));
    let (found, none) =
        together(tallies.first(b.clone()), tallies.first(nobody)).await.expect("both are answered");
    assert_eq!((found.map(|tally| tally.count), none.is_none()), (Some(1), true));
    let (all, first) = together(tallies.get_all(&names), tallies.first(b)).await.expect("both are answered");
    assert_eq!((counted(all), first.map(|tally| tally.count)), (vec![6, 1, 6], Some(1)));

    // What was read together is not read again by its id.
    app.play([Count("b")]).await.expect("it succeeds");
    assert_eq!(tallies.get(&"b".to_owned()).await.expect("it answers").expect("it is there").count, 1);
}

#[tokio::test]
async fn what_is_born_and_removed_in_one_unit_never_was() {
    let app = App::start().await;
    app.play([Count("a"), Remove("a")]).await.expect("it succeeds");
    assert_eq!((app.count("a").await, app.outbox().await), (0, 1));
}
