//! What jobs and consumers say of their work: what is done first, from when on, and how long it is remembered.

use neuroglia::domain::DomainEvent;
use neuroglia::mediation::EventHandler;
use neuroglia::messaging::{Parcel, Subscription};
use neuroglia::work::Consumer;
use serde_json::json;

use super::*;

impl App {
    /// Asks for cakes, all in one commit.
    async fn order<const N: usize>(&self, cakes: [(&str, JobOptions); N]) {
        let scope = self.services.scope();
        let jobs: Jobs = scope.inject().expect("it is registered");
        for (cake, options) in cakes {
            jobs.enqueue_with(&Bake { cake: cake.to_owned() }, options).expect("it is JSON");
        }
        scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
        scope.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_job_of_the_highest_priority_begins_first_and_equal_ones_in_their_order() {
    let app = App::start(Worker::new().job::<Bake>(), 1).await;
    let priority = |priority| JobOptions::default().priority(priority);
    let bread = ("bread", JobOptions::default());
    app.order([("rusk", priority(-1)), bread, ("pie", priority(2)), ("tart", priority(2))]).await;
    for begun in 1..=4 {
        app.until("the next", SOON, async |app| app.bakery.begun().len() == begun).await;
        app.bakery.is_done.notify_one();
    }
    assert_eq!(app.bakery.begun(), ["pie", "tart", "bread", "rusk"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_its_moment_by_the_stores_clock() {
    let app = App::start(Worker::new().job::<Bake>(), 2).await;
    let past = Timestamp::UNIX_EPOCH + Duration::from_secs(1);
    let future: Timestamp = "2999-12-31T18:00:00Z".parse().expect("a moment");
    let at = |moment| JobOptions::default().at(moment);
    app.order([("wedding cake", at(future)), ("roll", at(past))]).await;
    app.until("what is due", SOON, async |app| !app.bakery.begun().is_empty()).await;
    sleep(HEARTBEAT).await;
    assert_eq!(app.bakery.begun(), ["roll"]);
    let run_at = async |state| app.work(state).await.iter().map(|record| record.run_at).collect::<Vec<_>>();
    assert_eq!(run_at(WorkState::Running).await, [past]);
    assert_eq!(run_at(WorkState::Scheduled).await, [future]);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is read for days.
#[derive(Serialize, Deserialize)]
struct Weigh {}

impl Job for Weigh {
    const KIND: &'static str = "weigh";
    const KEEP: Duration = DAY.saturating_mul(3);
    type Output = u32;
    type Handler = Scales;
}

#[derive(Inject)]
struct Scales {}

impl JobHandler<Weigh> for Scales {
    async fn run(&self, _: Weigh) -> Result<u32> {
        Ok(750)
    }
}

#[derive(Serialize, Deserialize)]
struct CakeSold {}

impl DomainEvent for CakeSold {
    const NAME: &'static str = "cake.sold";
}

#[derive(Inject)]
struct Cashier {
    bakery: Arc<Bakery>,
}

impl EventHandler<CakeSold> for Cashier {
    async fn handle(&self, _: &CakeSold) -> Result<()> {
        self.bakery.begin("the bill");
        Ok(())
    }
}

impl App {
    /// Has the store given the event that a cake was sold; whether it did not know it.
    async fn sell(&self, id: &str) -> bool {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/bakery", "type": "io.bakery.cake.sold.v1", "data": {},
        });
        let parcel = Parcel {
            key: id.to_owned(),
            name: CakeSold::NAME.to_owned(),
            subject: None,
            envelope: event.to_string(),
            consumer: None,
            correlation_id: None,
            traceparent: None,
        };
        let stored = self.store.fan_out(&[parcel]).await.expect("it answers");
        self.services.get::<Wake>().expect("it is registered").work();
        stored == 1
    }

    /// How long what succeeded is kept, each time.
    fn kept(&self) -> Vec<Duration> {
        self.whims.kept.lock().expect("no panic while held").clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_kept_for_as_long_as_its_kind_says() {
    let app = App::start(Worker::new().job::<Weigh>(), 1).await;
    app.ask(&Weigh {}).await;
    app.until("the weight", SOON, async |app| app.work(WorkState::Done).await.len() == 1).await;
    assert_eq!(app.kept(), [DAY * 3]);
    assert_eq!(app.store.purge_work(100).await.expect("it answers"), 0, "its time has not come");
    assert_eq!(app.work(WorkState::Done).await[0].result.as_deref(), Some("750"));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_known_again_for_seven_days() {
    let cashier = Consumer::new("cashier").on::<CakeSold, Cashier>().unordered();
    let wanted = Subscription {
        consumer: "cashier".to_owned(),
        event: CakeSold::NAME.to_owned(),
        queue: "default".to_owned(),
        is_ordered: false,
        attempts_max: 10,
    };
    let app = App::start(Worker::new().consumer(cashier), 1).await;
    app.store.subscribe(&[wanted]).await.expect("it answers");
    assert!(app.sell("one").await);
    app.until("the bill", SOON, async |app| app.work(WorkState::Done).await.len() == 1).await;
    assert_eq!(app.kept(), [DAY * 7]);
    assert_eq!(app.store.purge_work(100).await.expect("it answers"), 0, "its time has not come");
    assert!(!app.sell("one").await, "it was given to the cashier before");
    assert!(app.sell("other").await);
    app.until("the other bill", SOON, async |app| app.work(WorkState::Done).await.len() == 2).await;
    assert_eq!(app.bakery.begun(), ["the bill"; 2]);
}
