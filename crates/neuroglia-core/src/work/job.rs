//! Jobs: typed work that is asked for inside a unit of work, done later, and can be looked at and called off meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::item::{Due, Failure, NewWork, OnCrash, Revision, WorkClass, WorkFilter, WorkRecord, WorkState};
use super::retry::ATTEMPTS_DEFAULT;
use crate::clock::Timestamp;
use crate::data::UnitOfWork;
use crate::di::{Dependencies, Inject, Scope};
use crate::error::{Error, Result};
use crate::id::Ids;
use crate::identity::Correlation;

/// Something that is done later, at least once, with effects in the store exactly once.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::error::Result;
/// use neuroglia::work::{Job, JobHandler};
/// use serde::{Deserialize, Serialize};
///
/// /// Bake a cake.
/// #[derive(Serialize, Deserialize)]
/// struct Bake { flavour: String }
///
/// impl Job for Bake {
///     const KIND: &'static str = "bake";
///     type Output = u32;
///     type Handler = Baker;
/// }
///
/// #[derive(Inject)]
/// struct Baker {}
///
/// impl JobHandler<Bake> for Baker {
///     async fn run(&self, job: Bake) -> Result<u32> {
///         Ok(job.flavour.len() as u32)
///     }
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stable name; it stays in stores, so it does not follow the type's name.
    const KIND: &'static str;
    /// The queue that it waits in. What is stored stays where it was put: a release that has it wait elsewhere names the
    /// former queue by [`Worker::queue`](super::Worker::queue), or nobody does what is left there.
    const QUEUE: &'static str = "default";
    /// How often it is tried in all.
    const ATTEMPTS_MAX: u32 = ATTEMPTS_DEFAULT;
    /// How long an attempt may take. Then it is broken off where it awaits, and
    /// [`Run::cancelled`](super::Run::cancelled) tells what it left behind.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// What it means when it is broken off, such as by the death of its process. A process that does any kind which is not
    /// tried again claims nothing ahead of time, so that only what has begun can have been half done.
    const ON_CRASH: OnCrash = OnCrash::Retry;
    /// How long its result is kept.
    const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
    /// What comes of it.
    type Output: Serialize + Send;
    /// Who does it.
    type Handler: JobHandler<Self>;
}

/// Does a job. What it saves is committed together with the job's end.
///
/// It awaits whatever takes long: one that blocks its thread cannot be timed out or called off, and keeps its place until it
/// returns. Blocking work goes to `tokio::task::spawn_blocking`, with [`Run::cancelled`](super::Run::cancelled), so that it
/// hears when its attempt is over.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not do the job `{J}`",
    note = "write `impl JobHandler<{J}> for {Self}`, or name another type as `type Handler` of `{J}`"
)]
pub trait JobHandler<J: Job>: Inject {
    /// Does it.
    fn run(&self, job: J) -> impl Future<Output = Result<J::Output>> + Send;
}

/// How a job is to be done, where its kind does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "options do nothing until a job is enqueued with them"]
pub struct JobOptions {
    due: Due,
    priority: i16,
    unique: Option<String>,
}

impl JobOptions {
    /// Not before this moment.
    pub fn at(self, moment: Timestamp) -> Self {
        Self { due: Due::At(moment), ..self }
    }

    /// Not before so long has passed.
    pub fn after(self, span: Duration) -> Self {
        Self { due: Due::After(span), ..self }
    }

    /// Before jobs with a smaller number; 0 when not set.
    pub fn priority(self, priority: i16) -> Self {
        Self { priority, ..self }
    }

    /// Not as long as a job of its kind with this key has not ended: then enqueueing does nothing. That shows with the
    /// commit only, so the id that was given is then one of no job.
    pub fn unique(self, key: impl Into<String>) -> Self {
        Self { unique: Some(key.into()), ..self }
    }
}

/// Asks for jobs, as part of the running unit of work: a job is there if and only if the change is. Also finds jobs by
/// their ids, and calls them off.
///
/// ```
/// # extern crate neuroglia_core as neuroglia;
/// use neuroglia::di::Inject;
/// use neuroglia::error::{Error, Result};
/// use neuroglia::mediation::{Query, QueryHandler};
/// use neuroglia::work::{Job, JobHandler, Jobs};
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// /// Bake so many cakes.
/// #[derive(Serialize, Deserialize)]
/// struct Bake { cakes: u32 }
///
/// impl Job for Bake {
///     const KIND: &'static str = "bake";
///     type Output = u32;
///     type Handler = Baker;
/// }
/// #
/// # #[derive(Inject)]
/// # struct Baker {}
/// #
/// # impl JobHandler<Bake> for Baker {
/// #     async fn run(&self, job: Bake) -> Result<u32> { Ok(job.cakes) }
/// # }
///
/// /// How many cakes of a baking have come out of the oven.
/// struct Baked { job: Uuid }
///
/// impl Query for Baked {
///     type Response = u32;
///     type Handler = BakedHandler;
/// }
///
/// #[derive(Inject)]
/// struct BakedHandler {
///     jobs: Jobs,
/// }
///
/// impl QueryHandler<Baked> for BakedHandler {
///     async fn handle(&self, Baked { job }: Baked) -> Result<u32> {
///         let record = self.jobs.find::<Bake>(job).await?.ok_or_else(|| Error::not_found("baking", job))?;
///         let done = record.result()?;
///         Ok(match done {
///             Some(all) => all,
///             None => record.progress()?.unwrap_or(0),
///         })
///     }
/// }
/// ```
pub struct Jobs {
    work: Arc<UnitOfWork>,
    ids: Ids,
    correlation: Arc<Correlation>,
    listed: Arc<ListedJobs>,
}

/// The kinds of jobs that somebody does; a service of the application.
#[derive(Debug, Default)]
pub struct ListedJobs(pub(super) BTreeSet<&'static str>);

impl Jobs {
    /// Asks for a job, to be done as soon as possible; gives its id.
    ///
    /// # Errors
    /// When the job cannot be written as JSON, in a query, and for a kind that the worker does not list: nobody would
    /// ever do it.
    pub fn enqueue<J: Job>(&self, job: &J) -> Result<Uuid> {
        self.enqueue_with(job, JobOptions::default())
    }

    /// Asks for a job; gives its id, by which there is no job when [`JobOptions::unique`] keeps it out.
    ///
    /// # Errors
    /// Those of [`Jobs::enqueue`].
    pub fn enqueue_with<J: Job>(&self, job: &J, options: JobOptions) -> Result<Uuid> {
        if !self.listed.0.contains(J::KIND) {
            return Err(Error::internal(format!(
                "nobody does the job `{}`; list it with `Worker::job`",
                J::KIND
            )));
        }
        let id = self.ids.next_uuid();
        self.work.enqueue(NewWork {
            id,
            class: WorkClass::Job,
            queue: J::QUEUE.to_owned(),
            kind: J::KIND.to_owned(),
            lane: None,
            key: options.unique,
            payload: serde_json::to_string(job).map_err(Error::internal)?,
            priority: options.priority,
            due: options.due,
            attempts_max: J::ATTEMPTS_MAX,
            on_crash: J::ON_CRASH,
            correlation_id: self.correlation.request_id.clone(),
            traceparent: self.correlation.traceparent.clone(),
        })?;
        Ok(id)
    }

    /// How a job of this kind stands in the store; none when it has no such job. It does not have what this unit of work
    /// asks for before the commit, nor what has ended and is over: [`Job::KEEP`] after a success, and
    /// [`DEAD_KEEP`](super::DEAD_KEEP) otherwise. Whether the caller may know is for whoever asks: an id is no secret.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn find<J: Job>(&self, id: Uuid) -> Result<Option<JobRecord>> {
        let filter = WorkFilter {
            id: Some(id),
            class: Some(WorkClass::Job),
            kind: Some(J::KIND.to_owned()),
            limit: 1,
            ..WorkFilter::default()
        };
        Ok(self.work.store().list_work(&filter).await?.pop().map(JobRecord::of))
    }

    /// Calls a job of this kind off; gives whether it is called off, now or before: false when the store does not have it,
    /// or it has ended in another way. One that has not begun never begins. One that runs is told by
    /// [`Run::cancelled`](super::Run::cancelled), within seconds, and may succeed all the same.
    ///
    /// That is done at once, and not with the commit: it stands although the command fails.
    ///
    /// # Errors
    /// In a query, and when the store cannot be reached.
    pub async fn cancel<J: Job>(&self, id: Uuid) -> Result<bool> {
        self.work.permit_change()?;
        let Some(record) = self.find::<J>(id).await? else { return Ok(false) };
        // A command that runs again after a conflict finds what it has done the first time.
        let is_off = record.state == WorkState::Cancelled;
        Ok(is_off || self.work.store().revise(id, &Revision::Cancel).await?)
    }
}

/// A job as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Where it stands.
    pub state: WorkState,
    /// How often it was tried.
    pub attempt: u32,
    /// How often it is tried in all.
    pub attempts_max: u32,
    /// Why it failed, oldest first; the last [`FAILURES_MAX`](super::FAILURES_MAX). Attempts may fail and the job succeed.
    pub failures: Vec<Failure>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it may begin, or could.
    pub run_at: Timestamp,
    progress: Option<String>,
    result: Option<String>,
}

impl JobRecord {
    fn of(record: WorkRecord) -> Self {
        Self {
            id: record.id,
            kind: record.kind,
            state: record.state,
            attempt: record.attempt,
            attempts_max: record.attempts_max,
            failures: record.failures,
            created_at: record.created_at,
            run_at: record.run_at,
            progress: record.progress,
            result: record.result,
        }
    }

    /// How far it says it is, by [`Run::note_progress`](super::Run::note_progress); none when it has said nothing.
    ///
    /// # Errors
    /// When what it said is no `P`.
    pub fn progress<P: DeserializeOwned>(&self) -> Result<Option<P>> {
        self.progress.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)
    }

    /// What came of it, such as its [`Job::Output`]; none before it has succeeded.
    ///
    /// # Errors
    /// When what came of it is no `R`.
    pub fn result<R: DeserializeOwned>(&self) -> Result<Option<R>> {
        self.result.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)
    }

    /// Why nobody tries it any more; none when it has not failed for good.
    pub fn failure(&self) -> Option<&Failure> {
        let is_over = matches!(self.state, WorkState::Dead | WorkState::Parked);
        self.failures.last().filter(|_| is_over)
    }
}

impl Inject for Jobs {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<UnitOfWork>();
        needs.one::<Ids>();
        needs.one::<Correlation>();
        needs.one::<ListedJobs>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self { work: scope.get()?, ids: scope.inject()?, correlation: scope.get()?, listed: scope.get()? })
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("work", &self.work).finish_non_exhaustive()
    }
}
