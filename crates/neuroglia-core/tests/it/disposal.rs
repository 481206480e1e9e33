//! How services end: in reverse order, whatever happened to the work.

use std::sync::{Arc, Mutex};

use neuroglia::di::{Dispose, Inject, Lifetime, Service, ServiceCollection, Services};
use neuroglia::error::{Error, ErrorKind};
use tokio::sync::{Notify, oneshot};

/// What was disposed of, in order.
#[derive(Default)]
struct Log(Mutex<Vec<&'static str>>);

impl Log {
    fn note(&self, name: &'static str) {
        self.0.lock().expect("no panic").push(name);
    }

    fn read(&self) -> Vec<&'static str> {
        self.0.lock().expect("no panic").clone()
    }
}

macro_rules! disposables {
    ($($name:ident { $($field:ident: $ty:ty),* })*) => {$(
        #[derive(Inject)]
        #[inject(dispose)]
        struct $name {
            log: Arc<Log>,
            $($field: Arc<$ty>,)*
        }

        impl Dispose for $name {
            async fn dispose(&self) {
                tokio::task::yield_now().await;
                $(let _ = &self.$field;)*
                self.log.note(stringify!($name));
            }
        }
    )*};
}

disposables! {
    Connection {}
    Session { connection: Connection }
    Transaction { session: Session }
    Tool {}
    Workshop { tool: Tool }
}

struct Fixture {
    services: Services,
    log: Arc<Log>,
}

async fn fixture() -> Fixture {
    let log = Arc::new(Log::default());
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&log)));
    services.add_singleton::<Connection, Connection>();
    services.add_scoped::<Session, Session>();
    services.add_transient::<Transaction, Transaction>();
    let services = services.build().expect("it holds").start().await.expect("it starts");
    Fixture { services, log }
}

#[tokio::test]
async fn a_closed_scope_disposes_of_its_own_in_reverse_order_and_leaves_singletons() {
    let Fixture { services, log } = fixture().await;
    let scope = services.scope();
    scope.get::<Transaction>().expect("all is there");
    scope.get::<Transaction>().expect("a second one");
    scope.close().await;
    assert_eq!(log.read(), ["Transaction", "Transaction", "Session"]);
    services.dispose().await;
    assert_eq!(log.read(), ["Transaction", "Transaction", "Session", "Connection"]);
}

#[tokio::test]
async fn a_scope_disposes_after_an_error() {
    let Fixture { services, log } = fixture().await;
    let work = async |services: &Services| -> neuroglia::error::Result<()> {
        let scope = services.scope();
        scope.get::<Session>()?;
        Err(Error::conflict("x", "the work fails"))
    };
    assert!(work(&services).await.is_err());
    services.dispose().await;
    assert_eq!(log.read(), ["Session", "Connection"]);
}

#[tokio::test]
async fn a_scope_disposes_after_a_panic() {
    let Fixture { services, log } = fixture().await;
    let task = tokio::spawn({
        let services = services.clone();
        async move {
            let scope = services.scope();
            scope.get::<Session>().expect("all is there");
            panic!("the work panics");
        }
    });
    assert!(task.await.expect_err("it panics").is_panic());
    services.dispose().await;
    assert_eq!(log.read(), ["Session", "Connection"]);
}

#[tokio::test]
async fn a_scope_disposes_when_its_work_is_cancelled() {
    let Fixture { services, log } = fixture().await;
    let (began, begun) = oneshot::channel();
    let task = tokio::spawn({
        let services = services.clone();
        async move {
            let scope = services.scope();
            scope.get::<Transaction>().expect("all is there");
            began.send(()).expect("the test waits");
            std::future::pending::<()>().await;
        }
    });
    begun.await.expect("the work has begun");
    task.abort();
    assert!(task.await.expect_err("it is cancelled").is_cancelled());
    services.dispose().await;
    assert_eq!(log.read(), ["Transaction", "Session", "Connection"]);
}

/// Is not done before it is told to be.
#[derive(Inject)]
#[inject(dispose)]
struct Slow {
    log: Arc<Log>,
    gate: Arc<Notify>,
}

impl Dispose for Slow {
    async fn dispose(&self) {
        self.gate.notified().await;
        self.log.note("Slow");
    }
}

async fn with_slow(lifetime: Lifetime) -> (Services, Arc<Log>, Arc<Notify>) {
    let (log, gate) = (Arc::new(Log::default()), Arc::new(Notify::new()));
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&log))).add(Service::shared(Arc::clone(&gate)));
    services.add_singleton::<Connection, Connection>();
    services.add(match lifetime {
        Lifetime::Singleton => Service::singleton::<Slow, Slow>(),
        _ => Service::scoped::<Slow, Slow>(),
    });
    (services.build().expect("it holds").start().await.expect("it starts"), log, gate)
}

#[tokio::test]
async fn a_disposal_completes_when_nobody_waits_for_it_and_the_root_waits() {
    let (services, log, gate) = with_slow(Lifetime::Scoped).await;
    let scope = services.scope();
    scope.get::<Slow>().expect("all is there");
    // The future that waits is dropped at its first wait.
    assert!(futures_util::FutureExt::now_or_never(scope.close()).is_none());

    let end = tokio::spawn(async move { services.dispose().await });
    tokio::task::yield_now().await;
    assert!(!end.is_finished() && log.read().is_empty());
    gate.notify_one();
    end.await.expect("it ends");
    assert_eq!(log.read(), ["Slow", "Connection"]);
}

#[tokio::test]
async fn the_end_of_the_application_completes_when_it_is_cancelled_and_a_second_call_waits_for_it() {
    let (services, log, gate) = with_slow(Lifetime::Singleton).await;
    assert!(futures_util::FutureExt::now_or_never(services.dispose()).is_none());
    let again = tokio::spawn({
        let services = services.clone();
        async move { services.dispose().await }
    });
    tokio::task::yield_now().await;
    assert!(!again.is_finished());
    gate.notify_one();
    again.await.expect("it ends");
    assert_eq!(log.read(), ["Slow", "Connection"]);
    services.dispose().await;
    assert_eq!(log.read(), ["Slow", "Connection"]);
}

#[tokio::test]
async fn a_factory_that_fails_at_start_ends_what_was_started() {
    struct Broken;
    let log = Arc::new(Log::default());
    let mut services = ServiceCollection::new();
    services.add(Service::connected::<Broken, (Arc<Connection>,), _, _>(|_| async {
        Err(Error::unavailable("the broker is away"))
    }));
    services.add(Service::shared(Arc::clone(&log)));
    services.add_singleton::<Connection, Connection>();
    let error = services.build().expect("it holds").start().await.expect_err("a factory fails");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(log.read(), ["Connection"]);
}

#[tokio::test]
async fn a_start_that_is_cancelled_ends_what_was_started() {
    #[derive(Inject)]
    #[inject(dispose)]
    struct Signal {
        ended: Arc<Notify>,
    }
    impl Dispose for Signal {
        async fn dispose(&self) {
            self.ended.notify_one();
        }
    }
    struct Never;
    let ended = Arc::new(Notify::new());
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&ended))).add_singleton::<Signal, Signal>();
    services.add(Service::connected::<Never, (Arc<Signal>,), _, _>(|_| std::future::pending()));
    let start = services.build().expect("it holds").start();
    assert!(futures_util::FutureExt::now_or_never(start).is_none());
    ended.notified().await;
}

#[tokio::test]
async fn the_parts_of_a_singleton_live_as_long_as_it_does() {
    let log = Arc::new(Log::default());
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&log)));
    services.add_singleton::<Workshop, Workshop>().add_transient::<Tool, Tool>();
    let services = services.build().expect("it holds").start().await.expect("it starts");
    services.get::<Tool>().expect("a transient made of singletons");
    tokio::task::yield_now().await;
    assert!(log.read().is_empty());
    services.dispose().await;
    assert_eq!(log.read(), ["Tool", "Workshop", "Tool"]);
}

#[tokio::test]
async fn a_service_that_panics_while_it_is_disposed_of_keeps_no_other_from_it() {
    #[derive(Inject)]
    #[inject(dispose)]
    struct Faulty {
        _connection: Arc<Connection>,
    }
    impl Dispose for Faulty {
        async fn dispose(&self) {
            panic!("it cannot be given back");
        }
    }
    let log = Arc::new(Log::default());
    let mut services = ServiceCollection::new();
    services.add(Service::shared(Arc::clone(&log)));
    services.add_singleton::<Connection, Connection>().add_singleton::<Faulty, Faulty>();
    let services = services.build().expect("it holds").start().await.expect("it starts");
    services.dispose().await;
    assert_eq!(log.read(), ["Connection"]);
}

#[derive(Default)]
struct Upload(Option<Arc<Log>>);

impl Dispose for Upload {
    async fn dispose(&self) {
        if let Some(log) = &self.0 {
            log.note("Upload");
        }
    }
}

#[tokio::test]
async fn given_instances_made_objects_and_values_of_a_scope_are_disposed_of_when_told_so() {
    struct Made(Arc<Log>);
    impl Dispose for Made {
        async fn dispose(&self) {
            self.0.note("Made");
        }
    }
    let log = Arc::new(Log::default());
    let mut services = ServiceCollection::new();
    services.add(Service::per_scope::<Upload>().disposed::<Upload>());
    services.add(Service::instance(Made(Arc::clone(&log))).disposed::<Made>());
    let services = services.build().expect("it holds").start().await.expect("it starts");
    let scope = services.scope();
    scope.provide(Upload(Some(Arc::clone(&log)))).expect("it has none");
    scope.close().await;
    assert_eq!(log.read(), ["Upload"]);
    services.dispose().await;
    assert_eq!(log.read(), ["Upload", "Made"]);
}
