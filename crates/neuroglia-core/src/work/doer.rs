//! Whoever does a kind of work, behind one pointer.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::item::OnCrash;
use super::job::{Job, JobHandler};
use crate::di::{Inject, Scope};
use crate::error::{Error, ErrorKind, Result};

/// Does one kind of work.
pub(crate) trait Doing: Send + Sync {
    /// Does it; gives its result as JSON text, when it has one.
    fn run<'a>(&'a self, scope: &'a Scope, payload: &'a str) -> BoxFuture<'a, Result<Option<String>>>;
}

/// How one kind of work is done.
pub(crate) struct Doer {
    pub(crate) queue: &'static str,
    pub(crate) timeout: Duration,
    pub(crate) keep: Duration,
    pub(crate) on_crash: OnCrash,
    pub(crate) doing: Box<dyn Doing>,
}

impl Doer {
    pub(super) fn of_job<J: Job>() -> Self {
        Self {
            queue: J::QUEUE,
            timeout: J::TIMEOUT,
            keep: J::KEEP,
            on_crash: J::ON_CRASH,
            doing: Box::new(OfJob::<J>(PhantomData)),
        }
    }
}

struct OfJob<J>(PhantomData<fn() -> J>);

impl<J: Job> Doing for OfJob<J> {
    fn run<'a>(&'a self, scope: &'a Scope, payload: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let job: J = serde_json::from_str(payload).map_err(|cause| {
                let detail =
                    format!("the arguments of the job `{}` are not what this release expects", J::KIND);
                Error::new(ErrorKind::Invalid, super::consumer::UNKNOWN, detail).with_source(cause)
            })?;
            let output = J::Handler::inject(scope)?.run(job).await?;
            serde_json::to_string(&output).map(Some).map_err(Error::internal)
        }
        .boxed()
    }
}

/// Everybody who does something in this process.
#[derive(Default)]
pub struct Doers {
    by_kind: HashMap<String, Doer>,
    /// Where their work may wait although none is put there any more.
    former_queues: BTreeSet<&'static str>,
}

impl Doers {
    /// The kinds of work that are done.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.by_kind.keys().cloned().collect();
        kinds.sort();
        kinds
    }

    /// The queues that their work waits in, each once.
    pub fn queues(&self) -> Vec<&'static str> {
        let of_doers = self.by_kind.values().map(|doer| doer.queue);
        let mut queues: Vec<_> = of_doers.chain(self.former_queues.iter().copied()).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// Whether any of it is not tried again when its process dies.
    pub(crate) fn any_ends_with_its_process(&self) -> bool {
        self.by_kind.values().any(|doer| doer.on_crash != OnCrash::Retry)
    }

    /// Adds who does a kind of work; gives whether nobody did it before.
    pub(crate) fn insert(&mut self, kind: impl Into<String>, doer: Doer) -> bool {
        self.by_kind.insert(kind.into(), doer).is_none()
    }

    /// Adds a queue in which work may wait although none is put there any more.
    pub(crate) fn insert_former_queue(&mut self, queue: &'static str) {
        self.former_queues.insert(queue);
    }

    /// Who does a kind of work.
    pub(crate) fn get(&self, kind: &str) -> Option<&Doer> {
        self.by_kind.get(kind)
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.by_kind.extend(others.by_kind);
        self.former_queues.extend(others.former_queues);
        self
    }
}

impl fmt::Debug for Doers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}
