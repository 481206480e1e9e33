//! Which of its processes an application is: what it answers, and what it works at.

use std::collections::BTreeMap;
use std::fmt;

use neuroglia_core::cluster::{Ear, Heart, Voice};
use neuroglia_core::data::Store;
use neuroglia_core::di::ServiceCollection;
use neuroglia_core::messaging::{EventSource, Intake, Relay};
use neuroglia_core::schedule::Planner;
use neuroglia_core::work::{Claimer, Doers, WorkPlan};

use super::Retention;
use super::backlog::Backlog;
use super::hosted::Hosted;

/// A kind of long-running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It answers HTTP.
    Web,
    /// It does what consumers and jobs ask for.
    Worker,
    /// It plans what is due, and does it.
    Scheduler,
    /// It is everything, for a small machine.
    All,
}

impl Role {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::All => "all",
        }
    }

    pub(crate) const fn answers_http(self) -> bool {
        matches!(self, Self::Web | Self::All)
    }

    const fn works(self) -> bool {
        matches!(self, Self::Worker | Self::All)
    }

    const fn schedules(self) -> bool {
        matches!(self, Self::Scheduler | Self::All)
    }

    /// Its part of the work.
    pub(crate) fn doers(self, of_worker: Doers, of_scheduler: Doers) -> Doers {
        match (self.works(), self.schedules()) {
            (true, true) => of_worker.and(of_scheduler),
            (true, false) => of_worker,
            (false, true) => of_scheduler,
            (false, false) => Doers::default(),
        }
    }

    /// What runs in it beside the application's own hosted services: before those, and after them. They start in
    /// this order and stop in the reverse: whoever claims work ends first, the node's life after all who work in its name,
    /// and last who tells other processes what they gave back.
    pub(crate) fn parts(self, services: &ServiceCollection) -> (Vec<Hosted>, Vec<Hosted>) {
        if !services.has::<dyn Store>() {
            return (Vec::new(), Vec::new());
        }
        let mut before = vec![Hosted::of::<Voice>()];
        let mut after = vec![Hosted::of::<Retention>(), Hosted::of::<Backlog>()];
        if self.works() || self.schedules() {
            before.push(Hosted::of::<Heart>());
            before.push(Hosted::of::<Ear>());
        }
        before.push(Hosted::of::<Relay>());
        if self.schedules() {
            after.push(Hosted::of::<Planner>());
        }
        if self.works() && services.has::<dyn EventSource>() {
            after.push(Hosted::of::<Intake>());
        }
        if self.works() || self.schedules() {
            after.push(Hosted::of::<Claimer>());
        }
        (before, after)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One queue on the command line: `mail`, or `mail:2` for at most two pieces of its work at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueChoice {
    name: String,
    limit: Option<usize>,
}

impl std::str::FromStr for QueueChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, limit) = match text.split_once(':') {
            Some((name, limit)) => {
                let limit: usize = limit.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                    format!("`{limit}` is not how much of a queue may run at once, such as mail:2")
                })?;
                (name, Some(limit))
            }
            None => (text, None),
        };
        if name.is_empty() {
            return Err("a queue has a name, such as mail or mail:2".to_owned());
        }
        Ok(Self { name: name.to_owned(), limit })
    }
}

/// A role, and how much of its work it takes.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) role: Role,
    /// The queues that were named; all when none were.
    pub(crate) queues: Vec<QueueChoice>,
}

impl Assignment {
    /// All of a role's work.
    pub(crate) const fn of(role: Role) -> Self {
        Self { role, queues: Vec::new() }
    }

    /// The plan of its work.
    ///
    /// # Errors
    /// The queues that were named and are none of its own, in a sentence.
    pub(crate) fn plan(&self, doers: Doers, concurrency: usize) -> Result<WorkPlan, String> {
        let known = doers.queues();
        let queues: BTreeMap<_, _> = if self.queues.is_empty() {
            known.iter().map(|queue| ((*queue).to_owned(), concurrency)).collect()
        } else {
            self.queues
                .iter()
                .map(|choice| (choice.name.clone(), choice.limit.unwrap_or(concurrency)))
                .collect()
        };
        let unknown: Vec<_> =
            queues.keys().filter(|queue| !known.contains(&queue.as_str())).cloned().collect();
        if unknown.is_empty() {
            return Ok(WorkPlan { doers, queues, concurrency });
        }
        Err(format!("there is no queue {}; this process has {}", unknown.join(", "), known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use neuroglia_core::data::memory::MemoryStore;
    use neuroglia_core::di::Service;
    use neuroglia_core::work::Worker;

    use super::*;

    #[test]
    fn what_ends_last_is_what_all_others_need() {
        let mut services = ServiceCollection::new();
        services.add(Service::shared::<dyn Store>(Arc::new(MemoryStore::new())));
        let names = |parts: Vec<Hosted>| parts.iter().map(|part| part.name).collect::<Vec<_>>();
        let (before, after) = Role::All.parts(&services);
        assert_eq!(names(before), ["voice", "heart", "ear", "relay"], "ends in the reverse");
        assert_eq!(names(after).last(), Some(&"worker"), "who claims work ends first");
        let (before, after) = Role::Web.parts(&services);
        assert_eq!(names(before), ["voice", "relay"]);
        assert!(!names(after).contains(&"worker"));
    }

    #[test]
    fn a_queue_is_named_with_or_without_a_limit() {
        let choice = |text: &str| text.parse::<QueueChoice>();
        assert_eq!(choice("mail"), Ok(QueueChoice { name: "mail".into(), limit: None }));
        assert_eq!(choice("mail:2"), Ok(QueueChoice { name: "mail".into(), limit: Some(2) }));
        for wrong in ["mail:0", "mail:x", ":2", ""] {
            assert!(choice(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_former_queue_is_one_of_the_process_and_may_have_a_limit() {
        let queues = |queues: &[&str]| {
            let queues: Vec<QueueChoice> =
                queues.iter().map(|choice| choice.parse().expect("a choice")).collect();
            let doers = Worker::new().queue("kitchen").register(&mut ServiceCollection::new());
            let doers = Role::All.doers(doers, Doers::default());
            Assignment { role: Role::All, queues }.plan(doers, 4).expect("it is known").queues
        };
        assert_eq!(queues(&[]), BTreeMap::from([("kitchen".to_owned(), 4)]));
        assert_eq!(queues(&["kitchen:2"]), BTreeMap::from([("kitchen".to_owned(), 2)]));
    }

    #[test]
    fn a_queue_that_nobody_has_is_named() {
        let assignment = Assignment { role: Role::Worker, queues: vec!["mial".parse().expect("a name")] };
        let problem = assignment.plan(Doers::default(), 4).expect_err("it is unknown");
        assert!(problem.contains("no queue mial"), "{problem}");
    }
}
