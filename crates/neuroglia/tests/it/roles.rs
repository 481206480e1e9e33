//! Which hosted services run in which process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuroglia::di::{Inject, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::hosting::{CancellationToken, HostedService};
use neuroglia::settings::Environment;
use neuroglia::{App, Role, StartError};
use tokio::sync::Notify;

use super::wire::soon;

/// What has been seen of the services.
#[derive(Default)]
struct Seen {
    everywhere: AtomicUsize,
    baking: AtomicUsize,
    loops_ended: AtomicUsize,
    going: Notify,
}

/// Runs wherever something does.
#[derive(Inject)]
struct Everywhere {
    seen: Arc<Seen>,
}

impl HostedService for Everywhere {
    const NAME: &'static str = "everywhere";

    async fn start(&self) -> Result<()> {
        self.seen.everywhere.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        stop.cancelled().await;
        Ok(())
    }
}

/// Three loops that are one service.
#[derive(Inject)]
struct Baking {
    seen: Arc<Seen>,
}

impl HostedService for Baking {
    const NAME: &'static str = "baking";

    async fn start(&self) -> Result<()> {
        self.seen.baking.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let turns = async || {
            while !stop.is_cancelled() {
                self.seen.going.notify_one();
                tokio::task::yield_now().await;
            }
            self.seen.loops_ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        tokio::try_join!(turns(), turns(), turns()).map(|_| ())
    }
}

fn environment() -> Environment {
    Environment::from_pairs([("PORT", "0"), ("SERVER_HOST", "127.0.0.1")])
}

fn bakery(seen: &Arc<Seen>) -> App {
    let seen = Arc::clone(seen);
    App::new("bakery")
        .services(move |services: &mut ServiceCollection, &()| {
            services.add(neuroglia::di::Service::shared(Arc::clone(&seen)));
        })
        .hosted::<Everywhere>()
        .hosted_in::<Baking>([Role::Worker])
}

#[tokio::test]
async fn a_hosted_service_runs_in_its_roles_and_in_all() {
    for (role, bakes) in [(Role::Web, 0), (Role::Worker, 1), (Role::Scheduler, 0), (Role::All, 1)] {
        let seen = Arc::<Seen>::default();
        let running = bakery(&seen).start_as(role, &environment()).await.expect("it starts");
        assert!(running.stop().await, "{role}");
        let started = [&seen.everywhere, &seen.baking].map(|count| count.load(Ordering::SeqCst));
        assert_eq!(started, [1, bakes], "{role}");
    }
}

#[tokio::test]
async fn loops_that_a_service_joins_end_together() {
    let seen = Arc::<Seen>::default();
    let running = bakery(&seen).start_as(Role::Worker, &environment()).await.expect("it starts");
    soon("the loops", seen.going.notified()).await;
    assert_eq!(seen.loops_ended.load(Ordering::SeqCst), 0);
    assert!(soon("the end", running.stop()).await);
    assert_eq!(seen.loops_ended.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_a_service_of_another_process_needs_is_checked_as_well() {
    let app = App::<()>::new("bakery").hosted_in::<Baking>([Role::Worker]);
    match app.start_as(Role::Web, &environment()).await {
        Err(StartError::Faults(faults)) => assert!(faults.to_string().contains("`Seen`"), "{faults}"),
        other => panic!("it was not judged: {other:?}"),
    }
}
