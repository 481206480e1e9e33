//! The scope of an attempt: its own, and over with it, however it ends.

use std::sync::OnceLock;

use neuroglia::di::Dispose;
use neuroglia::domain::DomainEvent;
use neuroglia::mediation::EventHandler;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::Consumer;
use serde_json::json;

use super::*;

/// Longer than a waiter may take.
const LATER: Duration = Duration::from_secs(3);

/// All trays of a bakery.
#[derive(Default)]
struct Trays {
    taken: AtomicU32,
    /// How each serving ends, with the tray of its scope.
    used: Mutex<Vec<(Ending, u32)>>,
    returned: Mutex<Vec<u32>>,
}

impl Trays {
    fn used(&self) -> Vec<(Ending, u32)> {
        self.used.lock().expect("no panic while held").clone()
    }

    fn returned(&self) -> Vec<u32> {
        self.returned.lock().expect("no panic while held").clone()
    }
}

/// One for each scope, with a number of its own.
#[derive(Inject)]
#[inject(dispose)]
struct Tray {
    trays: Arc<Trays>,
    #[inject(default)]
    number: OnceLock<u32>,
}

impl Tray {
    fn number(&self) -> u32 {
        *self.number.get_or_init(|| self.trays.taken.fetch_add(1, Ordering::SeqCst))
    }
}

impl Dispose for Tray {
    async fn dispose(&self) {
        self.trays.returned.lock().expect("no panic while held").push(self.number());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    /// When the test says so.
    Well,
    Badly,
    InPanic,
    Never,
}

#[derive(Serialize, Deserialize)]
struct CakeServed {
    ending: Ending,
}

impl DomainEvent for CakeServed {
    const NAME: &'static str = "cake.served";
}

#[derive(Inject)]
struct Waiter {
    tray: Arc<Tray>,
    trays: Arc<Trays>,
    bakery: Arc<Bakery>,
}

impl EventHandler<CakeServed> for Waiter {
    async fn handle(&self, event: &CakeServed) -> Result<()> {
        self.trays.used.lock().expect("no panic while held").push((event.ending, self.tray.number()));
        match event.ending {
            Ending::Well => self.bakery.is_done.notified().await,
            Ending::Badly => return Err(Error::unavailable("the cake fell").with_retry(Retry::Never)),
            Ending::InPanic => panic!("the waiter fell"),
            Ending::Never => std::future::pending().await,
        }
        Ok(())
    }
}

/// A bakery whose waiters serve two cakes at once, each with one attempt.
async fn open() -> (App, Arc<Trays>) {
    let waiters = Consumer::new("waiters").on::<CakeServed, Waiter>();
    let waiters = waiters.unordered().attempts_max(1).timeout(LATER / 2);
    let trays = Arc::new(Trays::default());
    let app = App::with(Worker::new().consumer(waiters), 2, |services| {
        services.add(Service::shared(Arc::clone(&trays)));
        services.add_scoped::<Tray, Tray>();
    })
    .await;
    let wanted = Subscription {
        consumer: "waiters".to_owned(),
        event: CakeServed::NAME.to_owned(),
        queue: "default".to_owned(),
        is_ordered: false,
        attempts_max: 1,
    };
    app.store.subscribe(&[wanted]).await.expect("it answers");
    (app, trays)
}

async fn serve(app: &App, id: &str, ending: Ending) {
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/bakery", "type": "io.bakery.cake.served.v1",
        "data": CakeServed { ending },
    });
    let parcel = Parcel {
        key: id.to_owned(),
        name: CakeServed::NAME.to_owned(),
        subject: None,
        envelope: event.to_string(),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    assert_eq!(app.store.fan_out(&[parcel]).await.expect("it answers"), 1);
    app.services.get::<Wake>().expect("it is registered").work();
}

#[tokio::test(start_paused = true)]
async fn two_deliveries_at_once_have_scopes_of_their_own() {
    let (app, trays) = open().await;
    serve(&app, "one", Ending::Well).await;
    serve(&app, "other", Ending::Well).await;
    app.until("both are served", SOON, async |_| trays.used().len() == 2).await;
    let (one, other) = (trays.used()[0].1, trays.used()[1].1);
    assert_ne!(one, other, "they share what belongs to one");
    assert_eq!(trays.returned(), Vec::<u32>::new(), "neither has ended");
    app.bakery.is_done.notify_one();
    app.until("one ends", SOON, async |_| trays.returned().len() == 1).await;
    app.bakery.is_done.notify_one();
    app.until("the other ends", SOON, async |_| trays.returned().len() == 2).await;
    assert_eq!(app.work(WorkState::Done).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_scope_of_an_attempt_ends_with_it_however_it_ends() {
    let (app, trays) = open().await;
    app.bakery.is_done.notify_one();
    let endings = [Ending::Well, Ending::Badly, Ending::InPanic, Ending::Never];
    for (place, ending) in endings.into_iter().enumerate() {
        serve(&app, &format!("{ending:?}"), ending).await;
        app.until("its scope ends", LATER, async |_| trays.returned().len() > place).await;
        app.until("it ends", LATER, async |app| app.work(WorkState::Running).await.is_empty()).await;
    }
    assert_eq!(trays.used(), endings.into_iter().zip(0..).collect::<Vec<_>>(), "each once");
    assert_eq!(trays.returned(), [0, 1, 2, 3], "each once, none before the next begins");
    assert_eq!(app.work(WorkState::Done).await.len(), 1);
    let dead = app.work(WorkState::Dead).await;
    let whys: Vec<_> = dead.iter().map(|record| record.failures[0].error.as_str()).collect();
    for (why, part) in whys.iter().zip(["the cake fell", "the waiter fell", "longer than"]) {
        assert!(why.contains(part), "{whys:?}");
    }
    assert_eq!(whys.len(), 3, "{whys:?}");
}
