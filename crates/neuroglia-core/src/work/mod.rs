//! Durable work: deliveries of events and jobs, under one mechanism.
//!
//! A piece of work is a row of the store, written in the transaction of the change that asks for it. Workers claim
//! rows with tickets, run the handler in a scope of its own, and commit its effects together with the end of the
//! work. Whoever lost the ticket meanwhile changes nothing. So an accepted piece of work is begun at least once, and
//! has its effects in the store exactly once; what goes to the outside is at least once.
//!
//! Two things make work: an event that a [`Consumer`] wants, and a [`Job`] that a handler asked for by [`Jobs`].
//! Both are retried with growing pauses, end as dead letters, and are listed, edited and replayed the same way.

mod claimer;
mod consumer;
mod doer;
mod item;
mod job;
mod places;
mod retry;
mod run;
mod store;
mod worker;

pub use claimer::{BrokenOff, Claimer, WorkMeter, WorkPlan, register};
pub use consumer::Consumer;
pub use doer::Doers;
pub(crate) use doer::{Doer, Doing};
pub use item::{
    CRASHES_MAX, Claim, Claimed, DEAD_KEEP, DEPTH_MAX, Depth, Due, FAILURES_MAX, Failure, Finish, Inquest,
    NewWork, OnCrash, QueueRoom, Revision, Settlement, Ticket, Verdict, WorkClass, WorkFilter, WorkRecord,
    WorkState,
};
pub use job::{Job, JobHandler, JobOptions, JobRecord, Jobs, ListedJobs};
pub use retry::{ATTEMPTS_DEFAULT, Retry, after_failure};
pub use run::{LOST, Run, lost};
pub use store::WorkStore;
pub use worker::{WorkDescription, Worker};
