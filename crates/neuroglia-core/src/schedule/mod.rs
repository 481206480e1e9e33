//! What is done again and again: tasks with an interval or a cron pattern, each time once.
//!
//! Any number of schedulers may run. A time becomes a row with a unique key and, in the same step, a piece of
//! durable [`work`](crate::work); so it happens once, whoever leads. A run is never early by the store's clock.

mod planner;
mod scheduler;
mod task;
mod wall_clock;

pub use planner::Planner;
pub use scheduler::{ScheduleTable, Scheduler};
pub use task::{Missed, Schedule, ScheduledTask, Tick, Times, Zone};

/// The queue of scheduled runs; schedulers do what is in it.
pub const QUEUE: &str = "schedule";
