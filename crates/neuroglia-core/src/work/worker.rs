//! The table of an application's consumers and jobs.

use std::fmt;

use serde::Serialize;

use super::consumer::Consumer;
use super::doer::{Doer, Doers};
use super::job::{Job, ListedJobs};
use crate::di::ServiceCollection;
use crate::fault::{Area, Fault, Faults};
use crate::messaging::Subscription;

/// What [`Worker`] tells of a consumer or a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkDescription {
    /// The consumer's name, or the job's kind.
    pub name: String,
    /// `consumer`, `job` or `schedule`.
    pub kind: String,
    /// What is handled, and by whom.
    pub handlers: Vec<String>,
    /// The queue.
    pub queue: String,
}

/// The consumers and jobs of an application; listed once, they feed the check of the graph at boot.
#[derive(Default)]
#[must_use = "a table does nothing until an application takes it"]
pub struct Worker {
    doers: Doers,
    subscriptions: Vec<Subscription>,
    jobs: ListedJobs,
    declared: ServiceCollection,
    faults: Faults,
    descriptions: Vec<WorkDescription>,
}

impl Worker {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists a consumer of events.
    pub fn consumer(mut self, mut consumer: Consumer) -> Self {
        for event in &consumer.twice {
            let what = format!("the consumer `{}` handles `{event}` twice", consumer.name);
            self.fault(consumer.name, what, "one handler an event; use another consumer for another handler");
        }
        self.declared.take_entries(std::mem::take(&mut consumer.declared));
        self.descriptions.push(WorkDescription {
            name: consumer.name.to_owned(),
            kind: "consumer".to_owned(),
            handlers: consumer
                .handlers
                .iter()
                .map(|(event, handler)| format!("{event} → {}", last_part(handler)))
                .collect(),
            queue: consumer.queue.to_owned(),
        });
        self.subscriptions.extend(consumer.subscriptions());
        self.add(consumer.name, consumer.into_doer())
    }

    /// Lists a kind of job.
    pub fn job<J: Job>(mut self) -> Self {
        self.declared.enter::<J::Handler>();
        self.jobs.0.insert(J::KIND);
        self.descriptions.push(WorkDescription {
            name: J::KIND.to_owned(),
            kind: "job".to_owned(),
            handlers: vec![last_part(std::any::type_name::<J::Handler>()).to_owned()],
            queue: J::QUEUE.to_owned(),
        });
        self.add(J::KIND, Doer::of_job::<J>())
    }

    /// Goes on taking work from a queue in which nothing is put any more.
    ///
    /// What is stored stays in the queue in which it was put. When a consumer or a kind of job moves to another, name the
    /// one that it leaves until nothing is left there, dead letters included, which are replayed where they were: without
    /// that nobody would ever do what waits there, and the events of its subjects would wait behind it.
    ///
    /// ```
    /// # extern crate neuroglia_core as neuroglia;
    /// # use neuroglia::di::Inject;
    /// # use neuroglia::error::Result;
    /// # use neuroglia::work::JobHandler;
    /// # use serde::{Deserialize, Serialize};
    /// use neuroglia::work::{Job, Worker};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Bake {}
    ///
    /// impl Job for Bake {
    ///     const KIND: &'static str = "bake";
    ///     /// `kitchen`, before the second oven came.
    ///     const QUEUE: &'static str = "ovens";
    ///     type Output = ();
    ///     type Handler = Baker;
    /// }
    /// #
    /// # #[derive(Inject)]
    /// # struct Baker {}
    /// #
    /// # impl JobHandler<Bake> for Baker {
    /// #     async fn run(&self, _: Bake) -> Result<()> { Ok(()) }
    /// # }
    ///
    /// fn worker(worker: Worker) -> Worker {
    ///     worker.job::<Bake>().queue("kitchen")
    /// }
    /// # let _ = worker;
    /// ```
    pub fn queue(mut self, name: &'static str) -> Self {
        self.doers.insert_former_queue(name);
        self
    }

    /// What is listed, in order.
    pub fn descriptions(&self) -> &[WorkDescription] {
        &self.descriptions
    }

    /// Who wants which events.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Adds what the handlers need to an application's services, and gives those who do the work.
    pub fn register(self, services: &mut ServiceCollection) -> Doers {
        services.take_entries(self.declared);
        services.add_instance(self.jobs);
        for fault in self.faults.iter() {
            services.fault(fault.clone());
        }
        self.doers
    }

    fn add(mut self, name: &'static str, doer: Doer) -> Self {
        if !self.doers.insert(name, doer) {
            self.fault(
                name,
                format!("`{name}` is listed twice in the worker"),
                "give each consumer and job a name",
            );
        }
        self
    }

    fn fault(&mut self, at: &str, what: String, fix: &str) {
        self.faults.push(Fault {
            area: Area::Services,
            code: "duplicate",
            what,
            at: at.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.descriptions).finish()
    }
}
