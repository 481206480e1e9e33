//! Mail from a handler to the server, and what becomes of mail that the server does not take.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::cluster::{self, Heart, NodeName};
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{self, Migration, Repository, Step, Store, UnitOfWork};
use neuroglia::di::{Service, ServiceCollection, Services};
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::health::Details;
use neuroglia::hosting::{HostedService, Stopping};
use neuroglia::mail::{
    self, EmailAddress, ForgetSentMail, Letter, Mail, MailServer, MailState, Mailer, MemoryMailServer,
    Message, OutgoingMail, Refusal, refused,
};
use neuroglia::mediation::{Mediator, Messages};
use neuroglia::messaging;
use neuroglia::work::{self, Claimer, Revision, WorkFilter, WorkPlan, WorkRecord, WorkState, Worker};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// An application with a mail server and one who does its work.
struct App {
    services: Services,
    store: Arc<dyn Store>,
    server: Arc<MemoryMailServer>,
    clock: Clock,
}

impl App {
    async fn start() -> Self {
        let server = Arc::new(MemoryMailServer::new());
        Self::with(Arc::clone(&server), server).await
    }

    /// One that sends by the second of these, and in whose tests the first is asked what has arrived.
    async fn with(server: Arc<MemoryMailServer>, asked: Arc<dyn MailServer>) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let steps = vec![Step::CreateCollection(OutgoingMail::COLLECTION)];
        let history = Migration { version: 1, name: "mail", steps };
        store.migrate(&[history], Timestamp::UNIX_EPOCH).await.expect("a sound history");
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
        services.add(Service::shared::<dyn MailServer>(asked));
        services.add_instance(clock.clone());
        services.add_instance(Stopping::default());
        mail::register(&mut services, address("mario@pizza.example"));
        mail::messages(Messages::default()).register(&mut services);
        messaging::register(&mut services, "pizzeria", Vec::new());
        work::register(&mut services);
        cluster::register(
            &mut services,
            NodeName { role: "all".into(), host: "here".into(), version: "0".into() },
        );
        let doers = mail::worker(Worker::new()).register(&mut services);
        let queues = BTreeMap::from([("mail".to_owned(), 2)]);
        services.add_instance(WorkPlan { doers, queues, concurrency: 2 });
        data::register(&mut services);
        services.enter_root::<Heart>().enter_root::<Claimer>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let app = Self { services, store, server, clock };
        app.host::<Heart>().await;
        app.host::<Claimer>().await;
        app
    }

    async fn host<H: HostedService>(&self) {
        let service: H = self.services.scope().inject().expect("it was entered");
        service.start().await.expect("it starts");
        tokio::spawn(async move { service.run(CancellationToken::new()).await });
    }

    /// Writes to somebody, with this key.
    async fn write(&self, key: &str, to: &str) {
        let scope = self.services.scope();
        let mailer: Mailer = scope.inject().expect("it is registered");
        let letter = Letter::about("Your pizza").paragraph("It is ready.");
        mailer.send(Mail::new(key, address(to), letter).expect("a key")).await.expect("it is written");
        scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
        scope.close().await;
    }

    async fn state(&self, key: &str) -> Option<MailState> {
        let scope = self.services.scope();
        let outgoing: Repository<OutgoingMail> = scope.inject().expect("it is registered");
        let key = key.parse().expect("a key");
        outgoing.get(&key).await.expect("it answers").map(|mail| mail.state())
    }

    async fn dead(&self) -> Vec<WorkRecord> {
        let dead = WorkFilter { states: vec![WorkState::Dead], limit: 10, ..WorkFilter::default() };
        self.store.list_work(&dead).await.expect("it answers")
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let look = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{what} never happened"));
    }

    async fn forget(&self) -> usize {
        let scope = self.services.scope();
        let mediator: Mediator = scope.inject().expect("it is registered");
        mediator.send(ForgetSentMail {}).await.expect("it succeeds")
    }
}

/// Takes mail to everybody but nobody.
#[derive(Default)]
struct Clerk {
    server: Arc<MemoryMailServer>,
    /// Nobody's mail is refused for now, and not for good.
    is_mild: AtomicBool,
    /// Nobody's mail is looked at until the test says so.
    is_slow: AtomicBool,
    looks: Notify,
    decides: Notify,
}

#[async_trait]
impl MailServer for Clerk {
    fn kind(&self) -> &'static str {
        "clerk"
    }

    async fn deliver(&self, message: &Message) -> Result<()> {
        if message.to != address("nobody@example.com") {
            return self.server.deliver(message).await;
        }
        if self.is_slow.load(Ordering::SeqCst) {
            self.looks.notify_one();
            self.decides.notified().await;
        }
        if self.is_mild.load(Ordering::SeqCst) {
            Err(Error::unavailable("not now"))
        } else {
            Err(refused("550"))
        }
    }

    async fn check(&self) -> Result<Details> {
        self.server.check().await
    }
}

/// An application with such a server, whose mail to nobody has failed.
async fn failed_at_a_clerk() -> (App, Arc<Clerk>) {
    let clerk = Arc::new(Clerk::default());
    let app = App::with(Arc::clone(&clerk.server), Arc::clone(&clerk) as Arc<dyn MailServer>).await;
    app.write("o-1.ready", "nobody@example.com").await;
    app.until("its death", async |app| app.dead().await.len() == 1).await;
    (app, clerk)
}

fn address(text: &str) -> EmailAddress {
    text.parse().expect("an address")
}

#[tokio::test]
async fn mail_that_is_refused_for_good_has_failed_and_makes_room_for_another() {
    let app = App::start().await;
    app.server.refuse(address("nobody@example.com"), Refusal::Always);
    app.write("o-1.ready", "nobody@example.com").await;
    app.until("its death", async |app| app.dead().await.len() == 1).await;
    assert_eq!(app.state("o-1.ready").await, Some(MailState::Failed));

    app.write("o-1.ready", "ada@example.com").await;
    app.until("its arrival", async |app| app.state("o-1.ready").await == Some(MailState::Sent)).await;
    app.write("o-1.ready", "ada@example.com").await;
    // The dead letter finds that another was sent in its place.
    let dead = app.dead().await.remove(0);
    assert!(app.store.revise(dead.id, &Revision::Replay).await.expect("it answers"));
    app.until("the replay", async |app| app.dead().await.is_empty()).await;
    let arrived: Vec<_> = app.server.arrived().iter().map(|message| message.to.to_string()).collect();
    assert_eq!(arrived, ["ada@example.com"]);
}

#[tokio::test]
async fn mail_that_is_refused_for_now_is_on_its_way() {
    let app = App::start().await;
    app.server.refuse(address("ada@example.com"), Refusal::Once);
    app.write("o-1.ready", "ada@example.com").await;
    app.until("its arrival", async |app| {
        let state = app.state("o-1.ready").await;
        assert_ne!(state, Some(MailState::Failed));
        state == Some(MailState::Sent)
    })
    .await;
}

#[tokio::test]
async fn mail_that_has_failed_is_forgotten_with_its_dead_letter() {
    let app = App::start().await;
    app.server.refuse(address("nobody@example.com"), Refusal::Always);
    app.write("o-1.ready", "nobody@example.com").await;
    app.until("its death", async |app| app.dead().await.len() == 1).await;
    app.clock.advance(OutgoingMail::KEEP_FAILED - Duration::from_secs(1));
    assert_eq!(app.forget().await, 0);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!((app.forget().await, app.state("o-1.ready").await), (1, None));
}

#[tokio::test]
async fn mail_whose_dead_letter_is_replayed_is_on_its_way_and_not_forgotten() {
    let (app, clerk) = failed_at_a_clerk().await;
    clerk.is_mild.store(true, Ordering::SeqCst);
    let dead = app.dead().await.remove(0);
    assert!(app.store.revise(dead.id, &Revision::Replay).await.expect("it answers"));
    app.until("another try", async |app| app.state("o-1.ready").await == Some(MailState::Queued)).await;
    app.clock.advance(OutgoingMail::KEEP_FAILED * 2);
    assert_eq!((app.forget().await, app.state("o-1.ready").await), (0, Some(MailState::Queued)));
}

#[tokio::test]
async fn the_failure_of_a_mail_is_not_that_of_another_with_its_key() {
    let (app, clerk) = failed_at_a_clerk().await;
    clerk.is_slow.store(true, Ordering::SeqCst);
    let dead = app.dead().await.remove(0);
    assert!(app.store.revise(dead.id, &Revision::Replay).await.expect("it answers"));
    timeout(PATIENCE, clerk.looks.notified()).await.expect("it is tried again");
    app.write("o-1.ready", "ada@example.com").await;
    app.until("its arrival", async |app| app.state("o-1.ready").await == Some(MailState::Sent)).await;
    clerk.decides.notify_one();
    app.until("the other death", async |app| app.dead().await.len() == 1).await;
    assert_eq!(app.state("o-1.ready").await, Some(MailState::Sent));
}
