//! Which queues a worker takes its work from, when a kind of it has moved to another.

use std::sync::Arc;

use neuroglia::data::memory::MemoryStore;
use neuroglia::data::{Store, UnitOfWork};
use neuroglia::di::{Inject, Service, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::settings::Environment;
use neuroglia::work::{Job, JobHandler, Jobs, WorkFilter, WorkState, Worker};
use neuroglia::{App, Role, Running};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::wire::soon;

/// Tells that something was baked.
#[derive(Default)]
struct Oven {
    baked: Notify,
}

#[derive(Inject)]
struct Baker {
    oven: Arc<Oven>,
}

/// The job as a former release has it.
#[derive(Serialize, Deserialize)]
struct BakeInTheKitchen {}

impl Job for BakeInTheKitchen {
    const KIND: &'static str = "bake";
    const QUEUE: &'static str = "kitchen";
    type Output = ();
    type Handler = Baker;
}

impl JobHandler<BakeInTheKitchen> for Baker {
    async fn run(&self, _: BakeInTheKitchen) -> Result<()> {
        self.oven.baked.notify_one();
        Ok(())
    }
}

/// The same job, for which there are ovens now.
#[derive(Serialize, Deserialize)]
struct Bake {}

impl Job for Bake {
    const KIND: &'static str = "bake";
    const QUEUE: &'static str = "ovens";
    type Output = ();
    type Handler = Baker;
}

impl JobHandler<Bake> for Baker {
    async fn run(&self, _: Bake) -> Result<()> {
        self.oven.baked.notify_one();
        Ok(())
    }
}

/// Several processes of a bakery, of which each release lists its own work.
struct Bakery {
    store: Arc<dyn Store>,
    oven: Arc<Oven>,
}

impl Bakery {
    async fn start(&self, role: Role, work: fn(Worker) -> Worker) -> Running {
        let (store, oven) = (Arc::clone(&self.store), Arc::clone(&self.oven));
        let app = App::new("bakery")
            .services(move |services: &mut ServiceCollection, &()| {
                services.add(Service::shared::<dyn Store>(Arc::clone(&store)));
                services.add(Service::shared(Arc::clone(&oven)));
            })
            .worker(work);
        let environment = Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")]);
        app.start_as(role, &environment).await.expect("it starts")
    }

    /// The queues in which something waits.
    async fn waiting(&self) -> Vec<String> {
        let waiting = WorkFilter { states: vec![WorkState::Waiting], limit: 10, ..WorkFilter::default() };
        let found = self.store.list_work(&waiting).await.expect("it answers");
        found.into_iter().map(|record| record.queue).collect()
    }
}

async fn ask(process: &Running, job: &impl Job) {
    let scope = process.services().scope();
    let jobs: Jobs = scope.inject().expect("it is registered");
    jobs.enqueue(job).expect("it is JSON");
    scope.get::<UnitOfWork>().expect("it is registered").commit().await.expect("it commits");
    scope.close().await;
}

#[tokio::test]
async fn what_waits_in_a_former_queue_is_done_as_long_as_that_is_named() {
    let bakery = Bakery { store: Arc::new(MemoryStore::new()), oven: Arc::default() };
    let before = bakery.start(Role::Web, |worker| worker.job::<BakeInTheKitchen>()).await;
    ask(&before, &BakeInTheKitchen {}).await;
    let after = bakery.start(Role::Worker, |worker| worker.job::<Bake>()).await;
    ask(&after, &Bake {}).await;
    soon("what is baked in the ovens", bakery.oven.baked.notified()).await;
    assert_eq!(bakery.waiting().await, ["kitchen"], "this release does not know the kitchen");
    let _mended = bakery.start(Role::Worker, |worker| worker.job::<Bake>().queue("kitchen")).await;
    soon("what is left in the kitchen", bakery.oven.baked.notified()).await;
    assert_eq!(bakery.waiting().await, Vec::<String>::new());
}
