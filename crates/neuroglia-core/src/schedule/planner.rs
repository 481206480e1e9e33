//! Plans the runs of scheduled tasks: one row for each time, however many schedulers run.
//!
//! The planner that holds the lease looks what is due by the store's clock and stores each run, with the work that
//! it is, under a key of schedule and time. That key is what makes a run happen once; the lease only spares the
//! others the look.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::scheduler::{ScheduleTable, Scheduled};
use crate::clock::Timestamp;
use crate::cluster::{Lease, Membership};
use crate::data::{Batch, Completion, Reservation, Reserve, Store};
use crate::di::Inject;
use crate::error::{Error, Result, chain};
use crate::hosting::{HostedService, Stopping};
use crate::id::Ids;
use crate::messaging::Wake;
use crate::work::{Due, NewWork, OnCrash, WorkClass};

/// The name of the lease.
const LEASE: &str = "scheduler";

/// How long the lease lasts, unless it is renewed.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// How often it is renewed, and how often the others look whether it is free.
const RENEW: Duration = Duration::from_secs(3);

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest a planner sleeps although a time may have come.
const LOOK: Duration = Duration::from_secs(1);

/// How often old runs are forgotten.
const PURGE: Duration = Duration::from_secs(60 * 60);

/// How long it is remembered since when a task is planned that has not run yet: longer than any is between two times.
const FIRST_LOOK_KEEP: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// How long it may take to have that remembered.
const FIRST_LOOK_HOLD: Duration = Duration::from_secs(60);

/// How long planned runs are remembered: longer than anybody may make up for.
const RUNS_KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Plans what is due, for as long as the process runs and holds the lease.
#[derive(Inject)]
pub struct Planner {
    store: Arc<dyn Store>,
    table: Arc<ScheduleTable>,
    membership: Arc<Membership>,
    stopping: Arc<Stopping>,
    wake: Arc<Wake>,
    ids: Ids,
}

impl HostedService for Planner {
    const NAME: &'static str = "scheduler";

    async fn run(&self, stop: CancellationToken) -> Result<()> {
        let holder = self.ids.next_uuid();
        let mut state = State::default();
        while !stop.is_cancelled() && !self.stopping.has_begun() {
            let looked = match timeout(PATIENCE, self.look(holder, &mut state)).await {
                Ok(looked) => looked,
                Err(late) => Err(Error::unavailable(late)),
            };
            let pause = looked.unwrap_or_else(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "the schedule could not be looked at; it is tried again"
                );
                LOOK
            });
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.stopping.begun() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if state.leads {
            self.store.resign(LEASE, holder).await?;
        }
        Ok(())
    }
}

/// What a planner remembers between two looks.
#[derive(Default)]
struct State {
    leads: bool,
    renewed: Option<tokio::time::Instant>,
    purged: Option<tokio::time::Instant>,
    /// The last run of each task that is known to be planned, in the order of the table.
    last: Vec<Option<Timestamp>>,
}

impl State {
    /// Notes whether this planner leads.
    fn lead(&mut self, lease: Option<Lease>) {
        let leads = lease.is_some();
        if leads != self.leads {
            let epoch = lease.map(|lease| lease.epoch);
            tracing::info!(leads, epoch, "leadership of the schedule changed");
            // Others may have planned meanwhile.
            self.last.clear();
        }
        self.leads = leads;
    }
}

impl Planner {
    /// Takes or renews the lease and plans what is due; gives how long nothing is to be done.
    async fn look(&self, holder: Uuid, state: &mut State) -> Result<Duration> {
        // A node that the store takes for dead, or may soon, does not lead.
        if self.membership.current().is_none() {
            state.lead(None);
            return Ok(LOOK);
        }
        if !state.leads || state.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW) {
            let asked = tokio::time::Instant::now();
            state.lead(self.store.lease(LEASE, holder, LEASE_TTL).await?);
            state.renewed = Some(asked);
        }
        if !state.leads {
            return Ok(RENEW - self.ids.jitter(LOOK));
        }
        let now = self.store.now().await?;
        state.last.resize(self.table.tasks.len(), None);
        let mut next: Option<Timestamp> = None;
        let mut planned = false;
        for (task, last) in self.table.tasks.iter().zip(&mut state.last) {
            planned |= self.plan(task, last, now).await?;
            let coming = task.times.next_after(last.map_or(now, |last| last.max(now)));
            next = [next, coming].into_iter().flatten().min();
        }
        if planned {
            self.wake.work();
        }
        if state.purged.is_none_or(|purged| purged.elapsed() >= PURGE) {
            self.store.purge_runs(now - RUNS_KEEP).await?;
            state.purged = Some(tokio::time::Instant::now());
        }
        // A little late is late enough: never early by the store's clock.
        let until = next.map_or(LOOK, |next| next.since(now) + Duration::from_millis(1));
        Ok(until.min(LOOK))
    }

    /// Stores the runs of one task that are due.
    async fn plan(&self, task: &Scheduled, last: &mut Option<Timestamp>, now: Timestamp) -> Result<bool> {
        let since = match *last {
            Some(last) => last,
            None => match self.store.last_run(task.name).await? {
                Some(last) => last,
                None => self.first_look(task.name, now).await?,
            },
        };
        let due = task.times.due(since, now, task.missed);
        let mut planned = false;
        for moment in due {
            planned |= self.store.plan(task.name, moment, &self.work(task, moment)).await?;
            *last = Some(moment);
        }
        if last.is_none() {
            *last = Some(since);
        }
        Ok(planned)
    }

    /// When somebody first planned a task that never ran: it begins with its next time after that, also when another
    /// process leads by then. An idempotency key remembers it, as whoever takes one first says what others read; its answer
    /// is kept at once, because keys without one are given back when a process is gone.
    async fn first_look(&self, task: &str, now: Timestamp) -> Result<Timestamp> {
        let (key, token) = (format!("first planned: {task}"), self.ids.next_uuid().to_string());
        let fingerprint = now.to_string();
        let first = Reserve { key: key.clone(), fingerprint, token: token.clone(), hold: FIRST_LOOK_HOLD };
        match self.store.reserve(&first).await? {
            Reservation::Taken => {
                let response = serde_json::Value::from(now.to_string()).to_string();
                let completion = Some(Completion { key, token, response, keep: FIRST_LOOK_KEEP });
                self.store.commit(Batch { at: now, completion, ..Batch::default() }).await?;
                Ok(now)
            }
            Reservation::Running { fingerprint } => Ok(fingerprint.parse().unwrap_or(now)),
            Reservation::Done { response, .. } => {
                let first: Option<String> = serde_json::from_str(&response).ok();
                Ok(first.and_then(|first| first.parse().ok()).unwrap_or(now))
            }
        }
    }

    fn work(&self, task: &Scheduled, due: Timestamp) -> NewWork {
        NewWork {
            id: self.ids.next_uuid(),
            class: WorkClass::Job,
            queue: super::QUEUE.to_owned(),
            kind: task.kind.clone(),
            lane: None,
            key: Some(due.to_string()),
            payload: format!("\"{due}\""),
            priority: 0,
            due: Due::Now,
            attempts_max: 3,
            on_crash: OnCrash::Retry,
            correlation_id: Some(format!("{}@{due}", task.name)),
            traceparent: None,
        }
    }
}
