//! What has arrived is begun, whether or not the relay can forget it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Clock;
use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Batch, Store};
use neuroglia::di::{Service, ServiceCollection};
use neuroglia::error::{Error, Result};
use neuroglia::hosting::HostedService;
use neuroglia::id::Ids;
use neuroglia::messaging::{self, Inbox, Parcel, Relay, Subscription, Wake};
use neuroglia_testing::workbench::message;
use neuroglia_testing::{Layered, StoreLayer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A store in which nothing is ever confirmed.
struct Mindful(MemoryStore);

#[async_trait]
impl StoreLayer for Mindful {
    fn behind(&self) -> &dyn Store {
        &self.0
    }

    async fn confirm_outbox(&self, _: Uuid, _: &[Uuid]) -> Result<()> {
        Err(Error::unavailable("not now"))
    }
}

#[tokio::test(start_paused = true)]
async fn workers_are_woken_for_what_has_arrived_also_when_it_cannot_be_confirmed() {
    let store: Arc<dyn Store> = Arc::new(Layered(Mindful(MemoryStore::new())));
    store
        .commit(Batch { outbox: vec![message("letter", "s")], ..Batch::default() })
        .await
        .expect("it is stored");
    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(store));
    services.add_instance(Ids::random());
    services.add_instance(Clock::system());
    let reader = Subscription {
        consumer: "reader".to_owned(),
        event: "letter".to_owned(),
        queue: "default".to_owned(),
        is_ordered: false,
        attempts_max: 3,
    };
    messaging::register(&mut services, "post-office", vec![reader]);
    services.enter_root::<Relay>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let relay: Relay = services.scope().inject().expect("it was entered");
    relay.start().await.expect("the store knows who reads");
    tokio::spawn(async move { relay.run(CancellationToken::new()).await });
    let wake = services.get::<Wake>().expect("it is registered");
    timeout(Duration::from_secs(1), wake.work_rung()).await.expect("they would look for it later");
}

/// A store that stores deliveries, and whose answer is lost.
struct Mute(MemoryStore);

#[async_trait]
impl StoreLayer for Mute {
    fn behind(&self) -> &dyn Store {
        &self.0
    }

    async fn fan_out(&self, parcels: &[Parcel]) -> Result<u64> {
        self.behind().fan_out(parcels).await?;
        Err(Error::unavailable("the connection is lost"))
    }
}

#[tokio::test(start_paused = true)]
async fn workers_are_woken_for_what_may_have_been_stored() {
    let mut services = ServiceCollection::new();
    services.add(Service::shared::<dyn Store>(Arc::new(Layered(Mute(MemoryStore::new())))));
    messaging::register(&mut services, "post-office", Vec::new());
    services.enter_root::<Inbox>();
    let services = services.build().expect("a sound graph").start().await.expect("it starts");
    let inbox: Inbox = services.scope().inject().expect("it was entered");
    let letter = Parcel {
        key: "k".to_owned(),
        name: "letter".to_owned(),
        subject: None,
        envelope: "{}".to_owned(),
        consumer: None,
        correlation_id: None,
        traceparent: None,
    };
    inbox.put(&[letter]).await.expect_err("nobody knows");
    let wake = services.get::<Wake>().expect("it is registered");
    timeout(Duration::from_secs(1), wake.work_rung()).await.expect("they would look for it later");
}
