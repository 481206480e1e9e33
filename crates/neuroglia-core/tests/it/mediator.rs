//! How a message reaches its handler, and what stands around it.

use std::sync::{Arc, Mutex};

use neuroglia::di::{Dispose, Inject, Lifetime, Service, ServiceCollection, Services};
use neuroglia::error::{Error, ErrorKind, Result};
use neuroglia::identity::{Correlation, Identity};
use neuroglia::mediation::{
    Behaviour, Call, Checks, Command, CommandHandler, Guard, Kind, Mediator, Messages, Next, Pipeline, Query,
    QueryHandler,
};
use serde::{Deserialize, Serialize};

/// What happened, in order.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic").push(what.into());
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// One for each scope.
#[derive(Inject)]
struct Session {
    #[inject(default)]
    identity: Box<u8>,
}

impl Session {
    fn address(&self) -> String {
        format!("{:p}", &raw const *self.identity)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Command for Greet {
    type Response = String;
    type Handler = GreetHandler;

    fn validate(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.length("/name", &self.name, 1..=10);
        checks.into_result()
    }

    fn authorise(&self, caller: &Identity) -> Result<()> {
        if self.name == "Mario" && !caller.has_role("manager") { Err(Error::forbidden()) } else { Ok(()) }
    }
}

#[derive(Inject)]
struct GreetHandler {
    log: Arc<Log>,
    _session: Arc<Session>,
}

impl CommandHandler<Greet> for GreetHandler {
    async fn handle(&self, greet: Greet) -> Result<String> {
        tokio::task::yield_now().await;
        self.log.note("handler");
        match greet.name.as_str() {
            "nobody" => Err(Error::not_found("person", "nobody")),
            "panic" => panic!("the handler panics"),
            name => Ok(format!("hello, {name}")),
        }
    }
}

struct Where;

impl Query for Where {
    type Response = String;
    type Handler = WhereHandler;
}

#[derive(Inject)]
struct WhereHandler {
    session: Arc<Session>,
}

impl QueryHandler<Where> for WhereHandler {
    async fn handle(&self, _: Where) -> Result<String> {
        Ok(self.session.address())
    }
}

macro_rules! noting {
    ($($name:ident)*) => {$(
        #[derive(Inject)]
        struct $name {
            log: Arc<Log>,
        }

        impl Behaviour for $name {
            async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
                self.log.note(concat!(stringify!($name), " in"));
                let outcome = next.run(call).await;
                self.log.note(concat!(stringify!($name), " out"));
                outcome
            }
        }
    )*};
}

noting!(Outer Inner);

struct App {
    services: Services,
    log: Arc<Log>,
}

impl App {
    async fn with(pipeline: Pipeline) -> Self {
        Self::with_services(pipeline, |_| ()).await
    }

    async fn with_services(pipeline: Pipeline, register: impl FnOnce(&mut ServiceCollection)) -> Self {
        let log = Arc::new(Log::default());
        let mut services = ServiceCollection::new();
        services.add(Service::shared(Arc::clone(&log))).add_scoped::<Session, Session>();
        Messages::new(pipeline).command::<Greet>().query::<Where>().register(&mut services);
        register(&mut services);
        let services = services.build().expect("it holds").start().await.expect("it starts");
        Self { services, log }
    }

    async fn greet(&self, name: &str) -> Result<String> {
        let scope = self.services.scope();
        scope.inject::<Mediator>()?.send(Greet { name: name.to_owned() }).await
    }
}

#[tokio::test]
async fn a_message_is_answered_by_its_handler() {
    let app = App::with(Pipeline::empty()).await;
    assert_eq!(app.greet("Ada").await.expect("an answer"), "hello, Ada");
    let app = App::with(Pipeline::standard()).await;
    assert_eq!(app.greet("Ada").await.expect("an answer"), "hello, Ada");
}

#[tokio::test]
async fn a_command_has_its_effect_each_time() {
    let app = App::with(Pipeline::standard()).await;
    app.greet("Ada").await.expect("an answer");
    app.greet("Ada").await.expect("an answer");
    assert_eq!(app.log.read(), ["handler", "handler"]);
}

#[tokio::test]
async fn behaviours_stand_around_the_handler_in_their_order() {
    let app = App::with(Pipeline::empty().then::<Outer>().then::<Inner>()).await;
    app.greet("Ada").await.expect("an answer");
    assert_eq!(app.log.read(), ["Outer in", "Inner in", "handler", "Inner out", "Outer out"]);
}

#[tokio::test]
async fn a_behaviour_is_put_around_another() {
    let pipeline = Pipeline::empty().then::<Inner>().around::<Inner, Outer>();
    assert_eq!(pipeline.names(), ["Outer", "Inner"]);
    assert_eq!(
        Pipeline::standard().names(),
        ["Trace", "Validate", "Authorise", "Idempotency", "RetryOnConflict", "Commit"]
    );
}

#[derive(Inject)]
struct Cached {}

impl Behaviour for Cached {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        match call.message::<Greet>().map(|greet| greet.name.as_str()) {
            Some("cached") => call.respond("from the cache".to_owned()),
            Some("wrong") => call.respond(7_u8),
            Some("silent") => Ok(()),
            _ => next.run(call).await,
        }
    }
}

#[tokio::test]
async fn a_behaviour_answers_without_the_handler() {
    let app = App::with(Pipeline::empty().then::<Outer>().then::<Cached>()).await;
    assert_eq!(app.greet("cached").await.expect("an answer"), "from the cache");
    assert_eq!(app.log.read(), ["Outer in", "Outer out"]);
    assert_eq!(app.greet("Ada").await.expect("an answer"), "hello, Ada");
}

#[tokio::test]
async fn an_answer_of_another_type_and_no_answer_are_errors() {
    let app = App::with(Pipeline::empty().then::<Cached>()).await;
    for name in ["wrong", "silent"] {
        assert_eq!(app.greet(name).await.expect_err("no answer").kind(), ErrorKind::Internal);
    }
    assert!(app.log.read().is_empty());
}

#[tokio::test]
async fn a_behaviour_changes_the_answer_for_the_sender() {
    #[derive(Inject)]
    struct Louder {}
    impl Behaviour for Louder {
        async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
            next.run(call).await?;
            if let Some(answer) = call.response::<String>() {
                answer.make_ascii_uppercase();
            }
            Ok(())
        }
    }
    let app = App::with(Pipeline::empty().then::<Louder>()).await;
    assert_eq!(app.greet("Ada").await.expect("an answer"), "HELLO, ADA");
}

#[tokio::test]
async fn an_error_passes_through_the_behaviours_to_the_sender() {
    let app = App::with(Pipeline::standard().then::<Outer>()).await;
    let error = app.greet("nobody").await.expect_err("the handler fails");
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "person.not_found"));
    assert_eq!(app.log.read(), ["Outer in", "handler", "Outer out"]);
}

#[tokio::test]
async fn content_and_rights_are_checked_before_the_handler() {
    let app = App::with(Pipeline::standard()).await;
    let error = app.greet("").await.expect_err("the name is too short");
    assert_eq!(error.violation_list()[0].pointer, "/name");
    let error = app.greet("Mario").await.expect_err("nobody in particular is no manager");
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(app.log.read().is_empty());

    let scope = app.services.scope();
    scope.provide(Identity::known("u-1", "Ada", ["manager"])).expect("it has none");
    let mediator: Mediator = scope.inject().expect("it is there");
    mediator.send(Greet { name: "Mario".to_owned() }).await.expect("a manager may");
}

#[derive(Inject)]
struct Doorman {
    log: Arc<Log>,
}

impl Guard for Doorman {
    fn check(&self, call: &Call<'_>) -> Result<()> {
        self.log.note("Doorman");
        match call.message::<Greet>() {
            Some(greet) if greet.name == "Bob" => {
                Err(Error::conflict("person.banned", "Bob may not come in"))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_guard_lets_pass_or_refuses_at_its_place() {
    let app = App::with(Pipeline::empty().then::<Outer>().guard::<Doorman>().then::<Inner>()).await;
    app.greet("Ada").await.expect("she may");
    assert_eq!(app.log.read(), ["Outer in", "Doorman", "Inner in", "handler", "Inner out", "Outer out"]);
    let app = App::with(Pipeline::empty().then::<Outer>().guard::<Doorman>().then::<Inner>()).await;
    assert_eq!(app.greet("Bob").await.expect_err("he may not").code(), "person.banned");
    assert_eq!(app.log.read(), ["Outer in", "Doorman", "Outer out"]);
    let app = App::with(Pipeline::empty().guard::<Doorman>()).await;
    assert_eq!(app.greet("Bob").await.expect_err("he may not").code(), "person.banned");
    assert_eq!(app.log.read(), ["Doorman"]);
}

#[tokio::test]
async fn a_behaviour_is_asked_whether_the_message_concerns_it_and_not_built_otherwise() {
    #[derive(Inject)]
    struct ForQueries {
        log: Arc<Log>,
    }
    impl Behaviour for ForQueries {
        fn concerns(call: &Call<'_>) -> bool {
            call.kind() == Kind::Query
        }
        async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
            self.log.note("ForQueries");
            next.run(call).await
        }
    }
    let app = App::with(Pipeline::empty().then::<Outer>().then::<ForQueries>().then::<Inner>()).await;
    app.greet("Ada").await.expect("an answer");
    assert_eq!(app.log.read(), ["Outer in", "Inner in", "handler", "Inner out", "Outer out"]);
    let app = App::with(Pipeline::empty().then::<ForQueries>()).await;
    let scope = app.services.scope();
    scope.inject::<Mediator>().expect("it is there").send(Where).await.expect("an answer");
    assert_eq!(app.log.read(), ["ForQueries"]);
}

#[derive(Inject)]
struct Guarded {
    session: Arc<Session>,
    log: Arc<Log>,
}

impl Behaviour for Guarded {
    async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
        next.run(call).await?;
        let address = self.session.address();
        if let Some(answer) = call.response::<String>() {
            self.log.note(if *answer == address { "the same" } else { "another" });
        }
        Ok(())
    }
}

#[tokio::test]
async fn behaviour_and_handler_share_the_scope_of_their_message_and_two_messages_do_not() {
    let app = App::with(Pipeline::empty().then::<Guarded>()).await;
    let (one, other) = (app.services.scope(), app.services.scope());
    let first = one.inject::<Mediator>().expect("it is there").send(Where).await.expect("an answer");
    let second = other.inject::<Mediator>().expect("it is there").send(Where).await.expect("an answer");
    assert_ne!(first, second);
    assert_eq!(app.log.read(), ["the same", "the same"]);
}

#[tokio::test]
async fn a_behaviour_that_cannot_be_built_fails_the_message() {
    #[derive(Inject)]
    struct Broken {
        _part: Arc<Part>,
    }
    struct Part;
    impl Behaviour for Broken {
        async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
            next.run(call).await
        }
    }
    let app = App::with_services(Pipeline::empty().then::<Broken>(), |services| {
        services.add(Service::factory::<Part, (), _>(Lifetime::Scoped, |()| {
            Err(Error::unavailable("the part is out of stock"))
        }));
    })
    .await;
    assert_eq!(app.greet("Ada").await.expect_err("it is not skipped").kind(), ErrorKind::Unavailable);
    assert!(app.log.read().is_empty());
}

#[tokio::test]
async fn a_request_whose_key_cannot_be_found_out_fails() {
    let app = App::with_services(Pipeline::standard(), |services| {
        services.replace(Service::factory::<Correlation, (), _>(Lifetime::Scoped, |()| {
            Err(Error::unavailable("nobody knows the key"))
        }));
    })
    .await;
    assert_eq!(app.greet("Ada").await.expect_err("it is not skipped").kind(), ErrorKind::Unavailable);
    assert!(app.log.read().is_empty());
}

#[tokio::test]
async fn who_is_asking_does_not_change_after_somebody_looked() {
    let app = App::with(Pipeline::standard()).await;
    let scope = app.services.scope();
    assert!(!scope.inject::<Identity>().expect("it is there").is_known());
    assert!(scope.provide(Identity::known("u-1", "Ada", ["manager"])).is_err());
    let other = app.services.scope();
    other.provide(Identity::known("u-1", "Ada", ["manager"])).expect("it has none");
    assert!(other.inject::<Identity>().expect("it is there").is_known());
}

#[tokio::test]
async fn a_behaviour_that_lacks_something_is_reported_at_boot() {
    #[derive(Inject)]
    struct Lacking {
        _session: Arc<Session>,
    }
    impl Behaviour for Lacking {
        async fn handle(&self, call: &mut Call<'_>, next: Next<'_>) -> Result<()> {
            next.run(call).await
        }
    }
    let mut services = ServiceCollection::new();
    Messages::new(Pipeline::empty().then::<Lacking>()).command::<Greet>().register(&mut services);
    let faults = services.build().expect_err("three things are missing");
    let what: Vec<_> = faults.iter().map(|fault| fault.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "`GreetHandler` needs `Log`, which is not registered",
            "`GreetHandler` needs `Session`, which is not registered",
            "`Lacking` needs `Session`, which is not registered",
        ]
    );
}

#[test]
fn a_message_is_listed_once() {
    let mut services = ServiceCollection::new();
    services.add_instance(Log::default()).add_scoped::<Session, Session>();
    Messages::new(Pipeline::empty()).query::<Where>().query::<Where>().register(&mut services);
    let faults = services.build().expect_err("it is listed twice");
    assert_eq!(faults.iter().next().expect("one").what, "the query `Where` is listed twice");
}

#[derive(Clone, Serialize, Deserialize)]
struct Unlisted;

impl Command for Unlisted {
    type Response = ();
    type Handler = UnlistedHandler;
}

#[derive(Inject)]
struct UnlistedHandler {}

impl CommandHandler<Unlisted> for UnlistedHandler {
    async fn handle(&self, _: Unlisted) -> Result<()> {
        Ok(())
    }
}

#[cfg(debug_assertions)]
#[tokio::test]
#[should_panic(expected = "`Unlisted` was sent and is not listed; add `messages.command::<Unlisted>()`")]
async fn a_message_that_is_not_listed_panics_in_debug_builds() {
    let app = App::with(Pipeline::empty()).await;
    let scope = app.services.scope();
    let _ = scope.inject::<Mediator>().expect("it is there").send(Unlisted).await;
}

/// Keeps a mediator, and is kept by the scope.
#[derive(Inject)]
#[inject(dispose)]
struct Keeper {
    mediator: Mediator,
    log: Arc<Log>,
}

impl Dispose for Keeper {
    async fn dispose(&self) {
        self.log.note("disposed");
    }
}

#[tokio::test]
async fn a_service_that_holds_a_mediator_does_not_hold_its_scope() {
    let app = App::with_services(Pipeline::empty(), |services| {
        services.add_scoped::<Keeper, Keeper>();
    })
    .await;
    let scope = app.services.scope();
    let keeper = scope.get::<Keeper>().expect("it is there");
    keeper.mediator.send(Where).await.expect("the scope lasts");
    drop(scope);
    app.services.dispose().await;
    assert_eq!(app.log.read(), ["disposed"]);
    let error = keeper.mediator.send(Where).await.expect_err("the scope has ended");
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_panics_hurts_its_own_scope_only() {
    let app = Arc::new(App::with(Pipeline::standard()).await);
    let tasks: Vec<_> = (0..100)
        .map(|index| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { app.greet(if index % 2 == 0 { "Ada" } else { "panic" }).await })
        })
        .collect();
    for (index, task) in tasks.into_iter().enumerate() {
        let outcome = task.await;
        assert_eq!(outcome.is_ok(), index % 2 == 0, "{index}");
    }
    assert_eq!(app.greet("Ada").await.expect("an answer"), "hello, Ada");
}
