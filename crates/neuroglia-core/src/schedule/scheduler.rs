//! The table of an application's scheduled tasks.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::task::{Missed, Schedule, ScheduledTask, Tick, Times, Zone};
use crate::di::{Lifetime, Scope, Service, ServiceCollection};
use crate::error::{Error, Result};
use crate::fault::{Area, Fault, Faults};
use crate::work::{Doer, Doers, Doing, OnCrash, WorkDescription};

/// How long the record of a run is kept.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The scheduled tasks of an application; listed once, they feed the check at boot.
#[derive(Default)]
#[must_use = "a table does nothing until an application takes it"]
pub struct Scheduler {
    tasks: Vec<Listed>,
    doers: Doers,
    declared: ServiceCollection,
    names: HashSet<&'static str>,
    faults: Faults,
    descriptions: Vec<WorkDescription>,
}

struct Listed {
    name: &'static str,
    kind: String,
    schedule: Schedule,
    missed: Missed,
}

impl Scheduler {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists a task.
    pub fn task<T: ScheduledTask>(mut self) -> Self {
        self.declared.enter::<T>();
        if !self.names.insert(T::NAME) {
            self.fault(
                "duplicate",
                T::NAME,
                format!("the task `{}` is listed twice", T::NAME),
                "list each task once",
            );
        }
        if let Err(problem) = T::SCHEDULE.prepare(&Zone::default()) {
            self.fault(
                "schedule",
                T::NAME,
                format!("the schedule of `{}` is wrong: {problem}", T::NAME),
                "write an interval, or a cron pattern such as `0 4 * * *`",
            );
        }
        self.descriptions.push(WorkDescription {
            name: T::NAME.to_owned(),
            kind: "schedule".to_owned(),
            handlers: vec![T::SCHEDULE.to_string()],
            queue: super::QUEUE.to_owned(),
        });
        self.tasks.push(Listed {
            name: T::NAME,
            kind: format!("schedule:{}", T::NAME),
            schedule: T::SCHEDULE,
            missed: T::MISSED,
        });
        let doer = Doer {
            queue: super::QUEUE,
            timeout: T::TIMEOUT,
            keep: KEEP,
            on_crash: OnCrash::Retry,
            doing: Box::new(OfTask::<T>(PhantomData)),
        };
        self.doers.insert(format!("schedule:{}", T::NAME), doer);
        self
    }

    /// What is listed, in order.
    pub fn descriptions(&self) -> &[WorkDescription] {
        &self.descriptions
    }

    /// Adds what the tasks need to an application's services, and gives those who do the work. The times are those
    /// of the application's [`Zone`].
    pub fn register(self, services: &mut ServiceCollection) -> Doers {
        services.take_entries(self.declared);
        for fault in self.faults.iter() {
            services.fault(fault.clone());
        }
        services.try_add(Service::instance(Zone::default()));
        let listed = self.tasks;
        services.add(Service::factory::<ScheduleTable, (Arc<Zone>,), _>(
            Lifetime::Singleton,
            move |(home,)| {
                let prepare = |task: &Listed| {
                    let times = task.schedule.prepare(&home).map_err(Error::internal)?;
                    Ok(Scheduled { name: task.name, kind: task.kind.clone(), times, missed: task.missed })
                };
                let tasks = listed.iter().map(prepare).collect::<Result<_>>()?;
                Ok(Arc::new(ScheduleTable { tasks }))
            },
        ));
        self.doers
    }

    fn fault(&mut self, code: &'static str, at: &str, what: String, fix: &str) {
        self.faults.push(Fault { area: Area::Services, code, what, at: at.to_owned(), fix: fix.to_owned() });
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.descriptions).finish()
    }
}

/// The scheduled tasks with their times; a service of the application.
#[derive(Debug)]
pub struct ScheduleTable {
    pub(super) tasks: Vec<Scheduled>,
}

/// One task with its times.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) name: &'static str,
    pub(super) kind: String,
    pub(super) times: Times,
    pub(super) missed: Missed,
}

struct OfTask<T>(PhantomData<fn() -> T>);

impl<T: ScheduledTask> Doing for OfTask<T> {
    fn run<'a>(&'a self, scope: &'a Scope, payload: &'a str) -> BoxFuture<'a, Result<Option<String>>> {
        async move {
            let due = serde_json::from_str(payload).map_err(Error::internal)?;
            T::inject(scope)?.run(Tick { due }).await.map(|()| None)
        }
        .boxed()
    }
}
