//! An application with a store, consumers, and a bus: what the rules are written in.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{OutboxMessage, Store};
use neuroglia::di::{Service, ServiceCollection, Services};
use neuroglia::error::Result;
use neuroglia::hosting::HostedService;
use neuroglia::id::Ids;
use neuroglia::messaging::{
    self, CloudEvent, EventSource, Inbox, Intake, Origin, Subscription, Subscriptions,
};
use neuroglia::work::{WorkFilter, WorkRecord};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::bench::{Attached, Bench};
use crate::workbench::message;
use crate::{StoreControl, UnsteadyStore};

/// How long an intake may take to end.
const END_MAX: Duration = Duration::from_secs(30);

/// An application's processes and what they share.
pub(super) struct Office {
    pub(super) bench: Arc<dyn Bench>,
    pub(super) control: StoreControl,
    pub(super) attached: Attached,
    memory: Arc<dyn Store>,
    store: Arc<dyn Store>,
    services: Services,
    origin: Arc<Origin>,
}

impl Office {
    /// One whose consumers want these events: `(consumer, event)`.
    pub(super) async fn open(bench: Arc<dyn Bench>, wants: &[(&str, &str)]) -> Self {
        let subscriptions: Vec<_> = wants
            .iter()
            .map(|(consumer, event)| Subscription {
                consumer: (*consumer).to_owned(),
                event: (*event).to_owned(),
                queue: "default".to_owned(),
                is_ordered: true,
                attempts_max: 3,
            })
            .collect();
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
        memory.subscribe(&subscriptions).await.expect("a new store takes subscriptions");
        let (unsteady, control) = UnsteadyStore::around(Arc::clone(&memory));
        let store: Arc<dyn Store> = Arc::new(unsteady);
        let mut services = ServiceCollection::new();
        services.add(Service::shared(Arc::clone(&store)));
        services.add_instance(Ids::random());
        messaging::register(&mut services, bench.application(), subscriptions);
        services.enter_root::<Inbox>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let get = services.scope();
        let (origin, wanted) = (get.get::<Origin>(), get.get::<Subscriptions>());
        let (origin, wanted) = (origin.expect("registered"), wanted.expect("registered"));
        let inbox = get.inject::<Inbox>().expect("registered");
        let attached = bench.attach(inbox, Arc::clone(&origin), wanted).await;
        Self { bench, control, attached, memory, store, services, origin }
    }

    /// An event of this name.
    pub(super) fn event(&self, name: &str, subject: &str, data: &str) -> CloudEvent {
        let message = OutboxMessage { data: data.to_owned(), ..message(name, subject) };
        CloudEvent::of(message, &self.origin).expect("its data is JSON")
    }

    pub(super) fn event_type(&self, name: &str) -> String {
        self.origin.event_type(name, 1)
    }

    /// Publishes, and gives the outcomes.
    pub(super) async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<()>> {
        let outcomes = self.attached.bus.publish(events).await;
        assert_eq!(outcomes.len(), events.len(), "each event has an outcome");
        outcomes
    }

    /// Publishes as a relay does: until all are confirmed, each subject's in order.
    pub(super) async fn send(&self, events: &[CloudEvent]) {
        let mut last = None;
        let sending = async {
            for (place, event) in events.iter().enumerate() {
                let mut outcome = self.publish(&events[place..=place]).await.remove(0);
                while let Err(error) = outcome {
                    assert!(error.kind().is_transient(), "{} was refused: {error:?}", event.id);
                    last = Some(error);
                    sleep(Duration::from_millis(50)).await;
                    outcome = self.publish(&events[place..=place]).await.remove(0);
                }
            }
        };
        let sent = timeout(self.bench.patience(), sending).await;
        sent.unwrap_or_else(|_| panic!("what is sent is not confirmed in time: {last:?}"));
    }

    /// Publishes events of which no two have the same subject, together, until all are confirmed.
    pub(super) async fn send_together(&self, events: &[CloudEvent]) {
        let mut left: Vec<CloudEvent> = events.to_vec();
        let mut last = None;
        let sending = async {
            while !left.is_empty() {
                let outcomes = self.publish(&left).await;
                let mut outcomes = outcomes.into_iter();
                left.retain(|_| match outcomes.next() {
                    Some(Err(error)) => {
                        last = Some(error);
                        true
                    }
                    _ => false,
                });
            }
        };
        let sent = timeout(self.bench.patience(), sending).await;
        sent.unwrap_or_else(|_| panic!("what is sent is not confirmed in time: {last:?}"));
    }

    /// Begins to take in, as a worker does.
    pub(super) async fn begin(&self) -> Worker {
        let stop = CancellationToken::new();
        let Some(source) = &self.attached.source else { return Worker { stop, task: None } };
        let intake = self.intake(Arc::clone(source), Arc::clone(&self.store)).await;
        let running = stop.clone();
        Worker { stop, task: Some(tokio::spawn(async move { intake.run(running).await })) }
    }

    /// The same, in a process that has a bus and a way to the store of its own.
    pub(super) async fn begin_apart(&self) -> (Worker, StoreControl) {
        let (unsteady, control) = UnsteadyStore::around(Arc::clone(&self.memory));
        let get = self.services.scope();
        let inbox = get.inject::<Inbox>().expect("registered");
        let wanted = get.get::<Subscriptions>().expect("registered");
        let attached = self.bench.attach(inbox, Arc::clone(&self.origin), wanted).await;
        let source = attached.source.expect("a bus whose events are taken from it");
        let (intake, stop) = (self.intake(source, Arc::new(unsteady)).await, CancellationToken::new());
        let running = stop.clone();
        (Worker { stop, task: Some(tokio::spawn(async move { intake.run(running).await })) }, control)
    }

    async fn intake(&self, source: Arc<dyn EventSource>, store: Arc<dyn Store>) -> Intake {
        let mut services = ServiceCollection::new();
        services.add(Service::shared(store));
        services.add(Service::shared(source));
        services.add_instance(Ids::random());
        let wanted = self.services.scope().get::<Subscriptions>().expect("registered");
        messaging::register(&mut services, self.bench.application(), wanted.0.clone());
        services.enter_root::<Intake>();
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        services.scope().inject().expect("registered")
    }

    /// What was delivered to a consumer, in order.
    pub(super) async fn delivered(&self, consumer: &str) -> Vec<WorkRecord> {
        let filter = WorkFilter { kind: Some(consumer.to_owned()), limit: 10_000, ..WorkFilter::default() };
        self.store.list_work(&filter).await.expect("work is listed")
    }

    /// The data of what was delivered to a consumer.
    pub(super) async fn data(&self, consumer: &str) -> Vec<String> {
        let data = |record: WorkRecord| {
            let event: CloudEvent = serde_json::from_str(&record.payload).expect("a delivery holds an event");
            event.data.get().to_owned()
        };
        self.delivered(consumer).await.into_iter().map(data).collect()
    }

    /// Waits until so many deliveries are there.
    pub(super) async fn await_delivered(&self, consumer: &str, count: usize) {
        let arriving = async {
            while self.delivered(consumer).await.len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(self.bench.patience(), arriving).await.is_err() {
            let there = self.delivered(consumer).await.len();
            panic!("{consumer} was given {there} of {count} events in time");
        }
    }
}

/// A process that takes in.
pub(super) struct Worker {
    stop: CancellationToken,
    task: Option<JoinHandle<Result<()>>>,
}

impl Worker {
    /// Ends in order.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let ended = timeout(END_MAX, task).await.expect("an intake ends when it is told to");
            ended.expect("it does not panic").expect("it ends well");
        }
    }

    /// Ends as by a crash: whatever it is at is not finished.
    pub(super) async fn crash(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            drop(task.await);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Waits until something is so.
pub(super) async fn eventually<F: Future<Output = bool>>(
    bench: &dyn Bench,
    what: &str,
    mut is_so: impl FnMut() -> F,
) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(bench.patience(), waiting).await.unwrap_or_else(|_| panic!("{what}, but not in time"));
}
