//! Hosted services: started one after another, supervised while they run, stopped in the reverse order.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use neuroglia_core::di::{Scope, ServiceCollection};
use neuroglia_core::error::{Error, Result, chain};
use neuroglia_core::hosting::{HostedService, Stopping};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::starting::Starting;
use crate::metrics::Metrics;
use crate::shutdown::Deadline;

/// The pause before the second run; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two runs.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A run that lasted so long was healthy: the next pause is the shortest again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// What each service gets to end in, however long those before it took.
const SHARE_MIN: Duration = Duration::from_millis(100);

/// A hosted service by its type, not built yet.
#[derive(Clone, Copy)]
pub(crate) struct Hosted {
    pub(crate) name: &'static str,
    declare: fn(&mut ServiceCollection),
    build: fn(&Scope) -> Result<Arc<dyn Supervised>>,
}

impl Hosted {
    pub(crate) fn of<H: HostedService>() -> Self {
        Self {
            name: H::NAME,
            declare: |services| {
                services.enter_root::<H>();
            },
            build: |scope| Ok(Arc::new(Part::<H>(scope.inject()?, PhantomData))),
        }
    }

    pub(crate) fn declare(&self, services: &mut ServiceCollection) {
        (self.declare)(services);
    }
}

/// A hosted service behind one pointer.
trait Supervised: Send + Sync {
    fn name(&self) -> &'static str;
    fn start(&self) -> BoxFuture<'_, Result<()>>;
    fn run(&self, stop: CancellationToken) -> BoxFuture<'_, Result<()>>;
    fn stop(&self) -> BoxFuture<'_, ()>;
}

struct Part<H>(H, PhantomData<fn() -> H>);

impl<H: HostedService> Supervised for Part<H> {
    fn name(&self) -> &'static str {
        H::NAME
    }

    fn start(&self) -> BoxFuture<'_, Result<()>> {
        self.0.start().boxed()
    }

    fn run(&self, stop: CancellationToken) -> BoxFuture<'_, Result<()>> {
        self.0.run(stop).boxed()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.0.stop().boxed()
    }
}

/// The hosted services that run.
#[derive(Default)]
pub(crate) struct Supervisor {
    running: Vec<Running>,
}

struct Running {
    service: Arc<dyn Supervised>,
    stop: CancellationToken,
    restarts: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts all, in order, and runs each from its start on. When one fails to start, or the boot ends, those before
    /// it are stopped.
    ///
    /// # Errors
    /// The error of the one that failed, or of the end of the boot.
    pub(crate) async fn start(hosted: &[Hosted], scope: &Scope, starting: &Starting) -> Result<Self> {
        let mut supervisor = Self::default();
        let stopping = scope.find::<Stopping>()?.as_deref().cloned().unwrap_or_default();
        for part in hosted {
            let outcome = match (part.build)(scope) {
                Ok(service) => starting
                    .bound(format_args!("the start of `{}`", part.name), start_one(&service))
                    .await
                    .map(|()| service),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(service) => {
                    let (stop, restarts) = (CancellationToken::new(), Arc::<AtomicU64>::default());
                    let told = Told { stop: stop.clone(), stopping: stopping.clone() };
                    let task = tokio::spawn(supervise(Arc::clone(&service), told, Arc::clone(&restarts)));
                    supervisor.running.push(Running { service, stop, restarts, task });
                }
                Err(error) => {
                    tracing::error!(service.name = part.name, error = %chain(&error), "hosted service failed to start");
                    supervisor.stop(starting.clean_up()).await;
                    return Err(error);
                }
            }
        }
        Ok(supervisor)
    }

    /// Shows how often each was started again.
    pub(crate) fn show(&self, metrics: &Metrics) {
        let all = self.running.iter().map(|running| (running.service.name(), Arc::clone(&running.restarts)));
        let all: Vec<_> = all.collect();
        let read = move || {
            let mut by_name = BTreeMap::new();
            for (name, restarts) in &all {
                *by_name.entry(*name).or_default() += restarts.load(Relaxed);
            }
            by_name.into_iter().map(|(name, restarts)| (name.to_owned(), restarts)).collect()
        };
        metrics.counters(
            "hosted_service_restarts",
            "How often a hosted service ran again after it had failed",
            "service",
            read,
        );
    }

    /// By when the first to stop has to have ended; those who begin to end earlier must not count on more.
    pub(crate) fn first_ends_by(&self, deadline: Deadline) -> Deadline {
        share(deadline, self.running.len().saturating_sub(1))
    }

    /// Stops all, in the reverse order; gives the names of those that did not end well and in time.
    ///
    /// Each gets the time that is left, but for a small share of those that come after it.
    pub(crate) async fn stop(mut self, deadline: Deadline) -> Vec<&'static str> {
        let mut late = Vec::new();
        while let Some(Running { service, stop, mut task, .. }) = self.running.pop() {
            stop.cancel();
            let own = share(deadline, self.running.len());
            let in_time = own.bound(async { _ = (&mut task).await }).await;
            let mut has_ended = in_time;
            if !in_time {
                task.abort();
                // One that blocks its thread is not ended by that, and still uses what `stop` would give back.
                has_ended = Deadline::after(SHARE_MIN).bound(async { _ = task.await }).await;
            }
            let is_stopped = has_ended && stop_one(&service, own.at_least(SHARE_MIN)).await;
            if !(in_time && is_stopped) {
                late.push(service.name());
            }
        }
        late
    }
}

/// The deadline of the next one to stop, when so many come after it.
fn share(deadline: Deadline, others: usize) -> Deadline {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    deadline.less(SHARE_MIN.saturating_mul(others)).at_least(SHARE_MIN)
}

/// Has a service give back what its start took; whether it did.
async fn stop_one(service: &Arc<dyn Supervised>, deadline: Deadline) -> bool {
    let mut has_panicked = false;
    let stop = async { has_panicked = AssertUnwindSafe(service.stop()).catch_unwind().await.is_err() };
    let in_time = deadline.bound(stop).await;
    if has_panicked {
        tracing::error!(service.name = service.name(), "the stop of a hosted service panicked");
    }
    in_time && !has_panicked
}

async fn start_one(service: &Arc<dyn Supervised>) -> Result<()> {
    match AssertUnwindSafe(service.start()).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal(format!("the start of `{}` panicked", service.name()))),
    }
}

/// What tells a service to end.
struct Told {
    stop: CancellationToken,
    /// Some end as soon as the process begins to.
    stopping: Stopping,
}

async fn supervise(service: Arc<dyn Supervised>, told: Told, restarts: Arc<AtomicU64>) {
    let stop = &told.stop;
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        let outcome = AssertUnwindSafe(service.run(stop.clone())).catch_unwind().await;
        let problem = match outcome {
            Ok(Ok(())) => {
                if !stop.is_cancelled() && !told.stopping.has_begun() {
                    tracing::info!(
                        service.name = service.name(),
                        "hosted service ended by itself; it does not run again"
                    );
                }
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => "it panicked".to_owned(),
        };
        if stop.is_cancelled() {
            return;
        }
        if began.elapsed() >= HEALTHY_AFTER {
            pause = PAUSE_MIN;
        }
        tracing::error!(
            service.name = service.name(),
            error = problem,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "hosted service failed; it runs again after a pause"
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
        restarts.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Capture, Telemetry, TelemetryOptions};
    use neuroglia_core::di::{Inject, Service};
    use serde_json::Value;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[derive(Default)]
    struct Log(Mutex<Vec<&'static str>>);

    impl Log {
        fn note(&self, what: &'static str) {
            self.0.lock().expect("no panic while held").push(what);
        }
    }

    macro_rules! hosted {
        ($name:ident, $text:literal, $start:expr) => {
            #[derive(Inject)]
            struct $name {
                log: Arc<Log>,
            }

            impl HostedService for $name {
                const NAME: &'static str = $text;

                async fn start(&self) -> Result<()> {
                    self.log.note(concat!($text, " start"));
                    $start
                }

                async fn run(&self, stop: CancellationToken) -> Result<()> {
                    stop.cancelled().await;
                    self.log.note(concat!($text, " end"));
                    Ok(())
                }

                async fn stop(&self) {
                    self.log.note(concat!($text, " stop"));
                }
            }
        };
    }

    hosted!(First, "first", Ok(()));
    hosted!(Second, "second", Ok(()));
    hosted!(Broken, "broken", Err(Error::internal("no luck")));

    fn starting(seconds: u64) -> Starting {
        let span = Duration::from_secs(seconds);
        Starting::within(span, span, CancellationToken::new())
    }

    async fn scope_with(service: Service) -> Scope {
        let mut services = ServiceCollection::new();
        services.add(service);
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        services.scope()
    }

    #[tokio::test]
    async fn they_start_in_order_and_stop_in_the_reverse() {
        let scope = scope_with(Service::instance(Log::default())).await;
        let hosted = [Hosted::of::<First>(), Hosted::of::<Second>()];
        let supervisor = Supervisor::start(&hosted, &scope, &starting(5)).await.expect("all start");
        assert!(supervisor.stop(Deadline::after(Duration::from_secs(5))).await.is_empty());
        let log = scope.get::<Log>().expect("registered");
        assert_eq!(
            *log.0.lock().expect("no panic while held"),
            ["first start", "second start", "second end", "second stop", "first end", "first stop"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_to_stop_is_told_its_own_deadline() {
        let scope = scope_with(Service::instance(Log::default())).await;
        let hosted = [Hosted::of::<First>(), Hosted::of::<Second>(), Hosted::of::<First>()];
        let supervisor = Supervisor::start(&hosted, &scope, &starting(5)).await.expect("all start");
        let deadline = Deadline::after(Duration::from_secs(5));
        let first = supervisor.first_ends_by(deadline).instant();
        assert_eq!(deadline.instant() - first, SHARE_MIN * 2, "the others have their share behind it");
    }

    #[tokio::test]
    async fn when_one_fails_to_start_those_before_it_are_stopped() {
        let scope = scope_with(Service::instance(Log::default())).await;
        let hosted = [Hosted::of::<First>(), Hosted::of::<Broken>(), Hosted::of::<Second>()];
        let outcome = Supervisor::start(&hosted, &scope, &starting(5)).await;
        assert!(outcome.is_err());
        let log = scope.get::<Log>().expect("registered");
        assert_eq!(
            *log.0.lock().expect("no panic while held"),
            ["first start", "broken start", "first end", "first stop"]
        );
    }

    #[derive(Inject)]
    struct Beating {
        beats: Arc<Notify>,
    }

    impl HostedService for Beating {
        const NAME: &'static str = "beating";

        async fn run(&self, stop: CancellationToken) -> Result<()> {
            self.beats.notify_one();
            stop.cancelled().await;
            Ok(())
        }
    }

    #[derive(Inject)]
    struct Slow {
        beats: Arc<Notify>,
    }

    impl HostedService for Slow {
        const NAME: &'static str = "slow";

        async fn start(&self) -> Result<()> {
            self.beats.notified().await;
            Ok(())
        }

        async fn run(&self, _: CancellationToken) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_started_runs_while_the_next_one_starts() {
        let scope = scope_with(Service::instance(Notify::new())).await;
        let hosted = [Hosted::of::<Beating>(), Hosted::of::<Slow>()];
        let supervisor = Supervisor::start(&hosted, &scope, &starting(5)).await.expect("all start");
        assert!(supervisor.stop(Deadline::after(Duration::from_secs(5))).await.is_empty());
    }

    #[derive(Inject)]
    struct Flaky {
        runs: Arc<AtomicUsize>,
    }

    impl HostedService for Flaky {
        const NAME: &'static str = "flaky";

        async fn run(&self, stop: CancellationToken) -> Result<()> {
            match self.runs.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::unavailable("not yet")),
                1 => panic!("on the second run"),
                _ => {
                    stop.cancelled().await;
                    Ok(())
                }
            }
        }
    }

    /// Lets everybody else do what can be done at this moment.
    async fn meanwhile() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_or_panics_runs_again_after_a_growing_pause() {
        let lines = Capture::default();
        let dispatch =
            Telemetry::subscriber(&TelemetryOptions::default(), lines.clone()).expect("directives");
        let listening = tracing::dispatcher::set_default(&dispatch);
        let scope = scope_with(Service::instance(AtomicUsize::new(0))).await;
        let supervisor =
            Supervisor::start(&[Hosted::of::<Flaky>()], &scope, &starting(600)).await.expect("it starts");
        let metrics = Metrics::new("pizzeria", "1.0.0", None);
        supervisor.show(&metrics);
        let shown =
            |restarts: u32| format!("hosted_service_restarts_total{{service=\"flaky\"}} {restarts}\n");
        assert!(metrics.expose().contains(&shown(0)), "{}", metrics.expose());
        let runs = scope.get::<AtomicUsize>().expect("registered");
        meanwhile().await;
        for (run, pause) in [(1, PAUSE_MIN), (2, PAUSE_MIN * 2)] {
            assert_eq!(runs.load(Ordering::SeqCst), run);
            tokio::time::advance(pause - Duration::from_millis(1)).await;
            meanwhile().await;
            assert_eq!(runs.load(Ordering::SeqCst), run, "the pause is {pause:?}");
            // The clock's ticks are milliseconds.
            tokio::time::advance(Duration::from_millis(2)).await;
            meanwhile().await;
        }
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert!(metrics.expose().contains(&shown(2)), "{}", metrics.expose());
        assert!(supervisor.stop(Deadline::after(Duration::from_secs(600))).await.is_empty());
        drop(listening);
        let lines: Vec<Value> =
            lines.lines().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let failures: Vec<_> = lines.iter().filter(|line| line["service.name"] == "flaky").collect();
        let told: Vec<_> =
            failures.iter().map(|line| (line["error"].as_str(), line["pause_ms"].as_u64())).collect();
        let expected = [("service temporarily unavailable: not yet", 100), ("it panicked", 200)];
        assert_eq!(told, expected.map(|(error, pause)| (Some(error), Some(pause))), "{lines:?}");
        assert_eq!(failures[0]["message"], "hosted service failed; it runs again after a pause");
    }

    #[derive(Inject)]
    struct Brief {
        is_over: Arc<Notify>,
        stopping: Arc<Stopping>,
    }

    impl HostedService for Brief {
        const NAME: &'static str = "brief";

        async fn run(&self, _: CancellationToken) -> Result<()> {
            tokio::select! {
                () = self.is_over.notified() => {}
                () = self.stopping.begun() => {}
            }
            Ok(())
        }
    }

    /// What is logged of a service that ends after `what` has happened.
    async fn logged_when_it_ends(what: impl FnOnce(&Scope)) -> Vec<String> {
        let capture = Capture::default();
        let dispatch =
            Telemetry::subscriber(&TelemetryOptions::default(), capture.clone()).expect("directives");
        let _guard = tracing::dispatcher::set_default(&dispatch);
        let mut services = ServiceCollection::new();
        services.add(Service::instance(Notify::new())).add(Service::instance(Stopping::default()));
        let services = services.build().expect("a sound graph").start().await.expect("it starts");
        let scope = services.scope();
        let hosted = [Hosted::of::<Brief>()];
        let supervisor = Supervisor::start(&hosted, &scope, &starting(5)).await.expect("it starts");
        what(&scope);
        while !supervisor.running[0].task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(supervisor.stop(Deadline::after(Duration::from_secs(5))).await.is_empty());
        capture.lines()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_by_itself_is_logged_once_and_one_that_ends_with_the_process_is_not() {
        let lines =
            logged_when_it_ends(|scope| scope.get::<Notify>().expect("registered").notify_one()).await;
        let ended: Vec<_> = lines.iter().filter(|line| line.contains("ended by itself")).collect();
        assert_eq!(ended.len(), 1, "{lines:?}");
        assert!(ended[0].contains("\"brief\""), "{ended:?}");
        let lines = logged_when_it_ends(|scope| scope.get::<Stopping>().expect("registered").begin()).await;
        assert_eq!(lines, Vec::<String>::new());
    }
}
