//! Claims work, has it done, and settles what did not succeed.
//!
//! A piece of work is claimed by one node at a time, with a ticket. Its handler runs in a scope of its own; what it
//! saves, the jobs it asks for, the events it raises and the end of the work leave in one batch, which is refused
//! when the ticket was lost. So effects in the store happen once, however often an attempt begins.
//!
//! How much is claimed ahead is the [`places`](super::places)' business.
//!
//! At the end of the process nothing new is claimed; what was claimed and not begun is given back without counting
//! an attempt; what runs may finish until shortly before the deadline, and is then broken off: given back as well, or
//! ended as its kind says. It is broken off also when this service is ended from outside, because nothing would count what
//! runs on.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::consumer::UNKNOWN;
use super::doer::{Doer, Doers};
use super::item::{Claim, Claimed, Finish, QueueRoom, Settlement, Ticket, WorkClass};
use super::places::Places;
use super::retry::after_failure;
use super::run::{LOST, Run};
use crate::cluster::Membership;
use crate::data::Store;
use crate::di::{Inject, ScopeFactory, Service, ServiceCollection};
use crate::error::{Error, ErrorKind, Result, chain};
use crate::hosting::{HostedService, Stopping};
use crate::id::Ids;
use crate::identity::Correlation;
use crate::mediation::as_command;
use crate::messaging::Wake;

/// How often work is looked for that nobody woke.
const POLL: Duration = Duration::from_secs(1);

/// The same in a process that hears of work, from others and when its time comes.
const POLL_HEARING: Duration = Duration::from_secs(5);

/// How long the store may take to answer a claim.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an attempt that met a conflict begins again at once, before it is put back.
const INLINE_RETRIES_MAX: u32 = 2;

/// What running work that was called off gets to end by itself.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

/// The pause before the store is told again how an attempt ended, and the longest one.
const TELL_PAUSE_MIN: Duration = Duration::from_millis(100);
const TELL_PAUSE_MAX: Duration = Duration::from_secs(5);

/// What is left of this service's time when running work is cut, to give it back.
const HAND_BACK: Duration = Duration::from_secs(1);

/// Which work this process does, and how much at once; a service of the application.
#[derive(Debug, Default)]
pub struct WorkPlan {
    /// Everybody who does something.
    pub doers: Doers,
    /// The queues that work is taken from, each with how much of it may run at once.
    pub queues: BTreeMap<String, usize>,
    /// How much may run at once in all.
    pub concurrency: usize,
}

/// What a process counts of its work.
#[derive(Debug, Default)]
pub struct WorkMeter {
    /// Attempts that succeeded.
    pub done: AtomicU64,
    /// Attempts that failed and are repeated.
    pub retried: AtomicU64,
    /// Attempts that failed for good, or were parked.
    pub dead: AtomicU64,
    /// Pieces of work that were given back, or had been called off.
    pub released: AtomicU64,
    /// Attempts that came to nothing, because they had ended already or the node had lost them.
    pub lost: AtomicU64,
    /// Pieces of work that run.
    pub running: AtomicUsize,
}

/// What a process had to break off at its end; the host names it and ends with another exit code.
#[derive(Debug, Default)]
pub struct BrokenOff(Mutex<Vec<String>>);

impl BrokenOff {
    fn note(&self, work: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Takes back what had ended after all.
    fn withdraw(&self, work: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|noted| noted != work);
    }

    /// What was broken off so far.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Claims work and has it done, for as long as the process runs.
#[derive(Inject)]
pub struct Claimer {
    bench: Bench,
    stopping: Arc<Stopping>,
}

/// What every attempt needs.
#[derive(Clone, Inject)]
struct Bench {
    store: Arc<dyn Store>,
    scopes: ScopeFactory,
    plan: Arc<WorkPlan>,
    membership: Arc<Membership>,
    meter: Arc<WorkMeter>,
    broken_off: Arc<BrokenOff>,
    wake: Arc<Wake>,
    ids: Ids,
}

impl HostedService for Claimer {
    const NAME: &'static str = "worker";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let places = Arc::new(Places::new(&self.bench.plan));
        let _cut = places.cut.clone().drop_guard();
        let working = async {
            self.claim_until_ending(&places).await;
            places.tasks.close();
            places.tasks.wait().await;
        };
        // At once, also while a claim is under way: what it brings is given back.
        let ending = async {
            tokio::select! {
                () = self.stopping.begun() => {}
                () = stop.cancelled() => {}
            }
            places.ending.cancel();
            self.stopping.nearly_over(HAND_BACK).await;
            places.cut.cancel();
            std::future::pending().await
        };
        tokio::select! {
            () = working => Ok(()),
            never = ending => match never {},
        }
    }
}

/// What came of a look for work.
enum Look {
    Found,
    Nothing,
    /// The store was not asked, or did not answer.
    InVain,
}

impl Claimer {
    async fn claim_until_ending(&self, places: &Arc<Places>) {
        let bench = Arc::new(self.bench.clone());
        let kinds = bench.plan.doers.kinds();
        while !places.ending.is_cancelled() {
            let poll = match claim(places, &bench, &kinds).await {
                Look::Found => continue,
                Look::Nothing if bench.wake.is_hearing() => POLL_HEARING,
                // Whoever rang for it does not ring again.
                Look::Nothing | Look::InVain => POLL,
            };
            tokio::select! {
                () = places.ending.cancelled() => {}
                // What ends may let its successor in the lane begin.
                () = places.changed() => {}
                () = bench.wake.work_rung() => {}
                () = tokio::time::sleep(poll + bench.ids.jitter(poll / 4)) => {}
            }
        }
    }
}

/// Claims as much as there is room for, and has it begun.
async fn claim(places: &Arc<Places>, bench: &Arc<Bench>, kinds: &[String]) -> Look {
    // With little room a claim asks some of the queues only: the next one asks the others.
    let mut asked = Vec::new();
    loop {
        let rooms = places.rooms();
        if rooms.iter().all(|room| asked.contains(&room.queue)) {
            return Look::Nothing;
        }
        asked.extend(rooms.iter().map(|room| room.queue.clone()));
        match claim_of(rooms, places, bench, kinds).await {
            Look::Nothing => {}
            look => return look,
        }
    }
}

async fn claim_of(rooms: Vec<QueueRoom>, places: &Arc<Places>, bench: &Arc<Bench>, kinds: &[String]) -> Look {
    let Some((owner, lost)) = bench.membership.current() else { return Look::InVain };
    let claim = Claim { owner, token: bench.ids.next_uuid(), rooms, kinds: kinds.to_vec() };
    let answer = timeout(CLAIM_TIMEOUT, bench.store.claim(&claim));
    // What the store gives after the cut is given back by the farewell of this node.
    let claimed = match places.cut.run_until_cancelled(answer).await {
        Some(Ok(claimed)) => claimed,
        Some(Err(late)) => Err(Error::unavailable(late)),
        None => return Look::InVain,
    };
    match claimed {
        Ok(claimed) if claimed.is_empty() => Look::Nothing,
        Ok(claimed) => {
            for claimed in claimed {
                begin(places, bench, claimed, lost.clone());
            }
            Look::Found
        }
        Err(error) => {
            // What runs goes on; what the store may have given all the same is found by the next heartbeats.
            tracing::warn!(error = chain(&error), "work could not be claimed; it is tried again");
            Look::InVain
        }
    }
}

/// Has a piece of work attended to as soon as there is a place for it.
fn begin(places: &Arc<Places>, bench: &Arc<Bench>, claimed: Claimed, lost: CancellationToken) {
    let called_off = CancellationToken::new();
    bench.membership.hold(claimed.ticket, called_off.clone());
    let held = places.hold(claimed.ticket, &claimed.queue, &bench.membership);
    let (on, bench) = (Arc::clone(places), Arc::clone(bench));
    places.tasks.spawn(async move {
        let _held = held;
        bench.attend(&on, claimed, &lost, &called_off).await;
    });
}

/// How an attempt ended.
enum Ended {
    Done,
    Failed(Error),
    /// It took longer than it may.
    TimedOut(Duration),
    /// The deadline of the process came first.
    BrokenOff,
    /// It heard that the process is about to end, and stopped.
    HandedBack,
    /// Somebody called it off.
    Cancelled,
    /// The node was taken for dead: whatever is said now is not heard.
    Lost,
}

/// What the store said of how an attempt ended.
#[derive(PartialEq)]
enum Told {
    /// It is so.
    Agreed,
    /// The work had ended already, or is no longer this node's.
    NotHeld,
    /// It did not answer; the heartbeats tell it.
    Unheard,
}

/// Why work was broken off at the end of its process.
const CUT: &str = "its process ended before it did";

/// Why work was broken off in the middle of it.
const LET_GO: &str = "its process could not say that it lives, and let go of it";

impl Bench {
    /// Has one piece of work done, and settles it.
    async fn attend(
        &self,
        places: &Places,
        claimed: Claimed,
        lost: &CancellationToken,
        called_off: &CancellationToken,
    ) {
        let Some(_place) = places.place(claimed.ticket, &claimed.queue, lost).await else {
            if !lost.is_cancelled() {
                self.settle(&claimed, Settlement::Release).await;
            }
            return;
        };
        if called_off.is_cancelled() {
            self.settle(&claimed, Settlement::Cancelled).await;
            return;
        }
        let Some(doer) = self.plan.doers.get(&claimed.kind) else {
            let failure = format!("the store gave `{}` to a process that did not ask for it", claimed.kind);
            self.settle(&claimed, Settlement::Park { failure }).await;
            return;
        };
        if let Some(end) = claimed.on_crash.broken_off(LET_GO) {
            self.membership.will_end(claimed.ticket, end);
        }
        self.meter.running.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!(
            "work",
            work.kind = claimed.kind,
            work.id = %claimed.ticket.id,
            request.id = claimed.correlation_id,
        );
        let began = Instant::now();
        let ended = self.attempt(places, doer, &claimed, lost, called_off).instrument(span.clone()).await;
        self.meter.running.fetch_sub(1, Ordering::Relaxed);
        self.conclude(&claimed, ended, began.elapsed()).instrument(span).await;
    }

    async fn attempt(
        &self,
        places: &Places,
        doer: &Doer,
        claimed: &Claimed,
        lost: &CancellationToken,
        called_off: &CancellationToken,
    ) -> Ended {
        let cancelled = lost.child_token();
        tokio::select! {
            biased;
            () = lost.cancelled() => Ended::Lost,
            () = places.cut.cancelled() => Ended::BrokenOff,
            () = called_off_for_long(called_off, &cancelled) => Ended::Cancelled,
            never = warn_of_end(&places.ending, &cancelled) => match never {},
            outcome = timeout(doer.timeout, self.execute(doer, claimed, &cancelled)) => match outcome {
                Ok(Ok(())) => Ended::Done,
                Ok(Err(error)) if error.code() == LOST => Ended::Lost,
                Ok(Err(_)) if called_off.is_cancelled() => Ended::Cancelled,
                Ok(Err(error)) if places.ending.is_cancelled() && may_be_of_the_end(&error) => Ended::HandedBack,
                Ok(Err(error)) => Ended::Failed(error),
                Err(_) => Ended::TimedOut(doer.timeout),
            },
        }
    }

    /// Runs the handler, again at once when it met a conflict, each time in a new scope.
    async fn execute(&self, doer: &Doer, claimed: &Claimed, cancelled: &CancellationToken) -> Result<()> {
        let mut retries = 0;
        loop {
            // Whatever the handler leaves behind hears that this is over, however it ends: another may begin beside it.
            let cancelled = cancelled.child_token();
            let _over = cancelled.clone().drop_guard();
            let scope = self.scopes.scope()?;
            scope.provide(Run::new(Arc::clone(&self.store), claimed.clone(), cancelled))?;
            scope.provide(Correlation {
                request_id: claimed.correlation_id.clone(),
                traceparent: claimed.traceparent.clone(),
                idempotency: None,
            })?;
            let finish = Finish { ticket: claimed.ticket, result: None, keep: doer.keep };
            let doing = as_command(&scope, finish, doer.doing.run(&scope, &claimed.payload));
            let outcome = match AssertUnwindSafe(doing).catch_unwind().await {
                Ok(outcome) => outcome,
                Err(panic) => Err(Error::internal(format!("the handler panicked: {}", panic_text(&*panic)))),
            };
            scope.close().await;
            match outcome {
                Err(error)
                    if (error.as_version_conflict().is_some() || error.is_duplicate())
                        && retries < INLINE_RETRIES_MAX =>
                {
                    retries += 1;
                    tracing::debug!(retries, "met a conflict; begins again");
                }
                outcome => return outcome,
            }
        }
    }

    async fn conclude(&self, claimed: &Claimed, ended: Ended, took: Duration) {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let settlement = match ended {
            Ended::Done => {
                self.membership.has_ended(claimed.ticket);
                self.meter.done.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(work.attempt = claimed.attempt, duration_ms, "work done");
                return;
            }
            Ended::Lost => {
                self.meter.lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("the work is no longer this node's; nothing was changed");
                return;
            }
            Ended::BrokenOff => {
                // Also when the store does not hear of it: then nobody knows how far it got.
                let work = format!("{} {}", claimed.kind, claimed.ticket.id);
                self.broken_off.note(work.clone());
                let end = claimed.on_crash.broken_off(CUT).unwrap_or(Settlement::Release);
                if self.settle(claimed, end).await == Told::NotHeld {
                    self.broken_off.withdraw(&work);
                }
                return;
            }
            Ended::HandedBack => Settlement::Release,
            Ended::Cancelled => Settlement::Cancelled,
            Ended::TimedOut(limit) => {
                let failure = format!("it took longer than {limit:?}");
                claimed.on_crash.broken_off(&failure).unwrap_or_else(|| {
                    let error = Error::unavailable(failure);
                    after_failure(&error, claimed.attempt, claimed.attempts_max, &self.ids)
                })
            }
            Ended::Failed(error) if error.code() == UNKNOWN => Settlement::Park { failure: chain(&error) },
            Ended::Failed(error) => after_failure(&error, claimed.attempt, claimed.attempts_max, &self.ids),
        };
        self.settle(claimed, settlement).await;
    }

    /// Tells the store how an attempt ended, and the log and the meter once it is so.
    async fn settle(&self, claimed: &Claimed, settlement: Settlement) -> Told {
        self.membership.will_end(claimed.ticket, settlement.clone());
        let told = self.tell(claimed.ticket, &settlement).await;
        if told != Told::Unheard {
            self.membership.has_ended(claimed.ticket);
        }
        if told == Told::NotHeld {
            self.meter.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                work.id = %claimed.ticket.id,
                "the work had already ended, or is no longer this node's; nothing was changed"
            );
            return told;
        }
        let class = match claimed.class {
            WorkClass::Delivery => "delivery",
            WorkClass::Job => "job",
        };
        let meter = &self.meter;
        match &settlement {
            Settlement::Retry { after, failure } => {
                meter.retried.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    work.class = class,
                    work.kind = claimed.kind,
                    work.attempt = claimed.attempt,
                    retry_after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
                    error = shorten(failure),
                    "work failed; it is tried again"
                );
            }
            Settlement::Dead { failure } | Settlement::Park { failure } => {
                meter.dead.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    work.class = class,
                    work.kind = claimed.kind,
                    work.id = %claimed.ticket.id,
                    work.attempt = claimed.attempt,
                    error = shorten(failure),
                    "work failed for good; see admin dead-letters"
                );
            }
            Settlement::Release | Settlement::Cancelled => {
                meter.released.fetch_add(1, Ordering::Relaxed);
            }
        }
        if settlement == Settlement::Release {
            self.wake.work();
        }
        told
    }

    /// Tells the store, again when it does not answer, for a while. Once it has not, what it does not know any more is what
    /// it heard the time before.
    async fn tell(&self, ticket: Ticket, settlement: &Settlement) -> Told {
        let settlements = [(ticket, settlement.clone())];
        let (mut pause, mut was_unheard) = (TELL_PAUSE_MIN, false);
        loop {
            let error = match self.store.settle(&settlements).await {
                Ok(held) if held == [true] || was_unheard => return Told::Agreed,
                Ok(_) => return Told::NotHeld,
                Err(error) => error,
            };
            let is_over = error.kind() != ErrorKind::Unavailable || pause > TELL_PAUSE_MAX;
            tracing::warn!(work.id = %ticket.id, error = chain(&error), is_over, "work could not be settled");
            if is_over {
                return Told::Unheard;
            }
            was_unheard = true;
            tokio::time::sleep(self.ids.jitter(pause)).await;
            pause *= 2;
        }
    }
}

/// Ready when work that was called off has had its time to end by itself.
async fn called_off_for_long(called_off: &CancellationToken, cancelled: &CancellationToken) {
    called_off.cancelled().await;
    cancelled.cancel();
    tokio::time::sleep(CANCEL_GRACE).await;
}

/// Whether a handler may have failed because it was told to end, and not by itself.
fn may_be_of_the_end(error: &Error) -> bool {
    error.retry().is_none() && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}

/// Tells running work when the process is about to end. It may finish all the same.
async fn warn_of_end(ending: &CancellationToken, cancelled: &CancellationToken) -> Infallible {
    ending.cancelled().await;
    cancelled.cancel();
    std::future::pending().await
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

/// As much of a text as a log line should have.
fn shorten(text: &str) -> &str {
    match text.char_indices().nth(500) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

impl std::fmt::Debug for Claimer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claimer").field("plan", &self.bench.plan).finish_non_exhaustive()
    }
}

/// Gives an application what those who do its work are told and count.
pub fn register(services: &mut ServiceCollection) {
    services.try_add(Service::instance(WorkMeter::default()));
    services.try_add(Service::instance(BrokenOff::default()));
    services.try_add(Service::per_scope::<Run>());
}
