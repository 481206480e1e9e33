//! One piece of durable work: the delivery of an event to one consumer, or a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// How many characters of a failure are kept; a handler may fail with a text of any size.
const FAILURE_CHARS_MAX: usize = 2_000;

/// What a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkClass {
    /// An event on its way to a consumer. Its key keeps a second delivery of the same event out for as long as
    /// the row is kept.
    Delivery,
    /// A job. Its key keeps an equal job out for as long as this one is not finished.
    Job,
}

/// Where a piece of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It may be claimed.
    Waiting,
    /// Its time has not come.
    Scheduled,
    /// A node is at it.
    Running,
    /// It succeeded.
    Done,
    /// It failed for good: a dead letter.
    Dead,
    /// Somebody called it off.
    Cancelled,
    /// Nobody tries it until an operator has looked: its type is unknown, or it ended its process too often.
    Parked,
}

impl WorkState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Scheduled,
        Self::Running,
        Self::Done,
        Self::Dead,
        Self::Cancelled,
        Self::Parked,
    ];

    /// Its stable name, as stores and operators write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }

    /// Whether it has still to be done.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Scheduled | Self::Running)
    }
}

impl std::str::FromStr for WorkState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|state| state.name()).collect();
            format!("there is no state {text}: use one of {}", names.join(", "))
        })
    }
}

impl std::str::FromStr for WorkClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = [Self::Delivery, Self::Job].into_iter().find(|class| class.name() == text);
        found.ok_or_else(|| format!("there is no class {text}"))
    }
}

impl WorkClass {
    /// Its stable name, as stores write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Job => "job",
        }
    }
}

/// What it means that a piece of work had begun and was broken off from outside: its process died or was taken for dead,
/// let go of it because it could not reach the store, or cut it at the end of its time; or it took longer than it may.
///
/// An error is no crash, and neither is a panic: the handler has ended by itself, and its error says whether it is tried
/// again. What is called off by an operator ends as that, however far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCrash {
    /// It is tried again, and parked after the third process that it took along. What a living process breaks off does not
    /// count as an attempt, unless it took too long.
    #[default]
    Retry,
    /// It has failed for good.
    Fail,
    /// It is parked at once: somebody must find out how far it got.
    Quarantine,
}

impl OnCrash {
    /// What a store's row says; one that says nothing known is tried again.
    pub fn named(name: &str) -> Self {
        [Self::Fail, Self::Quarantine].into_iter().find(|known| known.name() == name).unwrap_or_default()
    }

    /// How a piece of work ends that had begun and was broken off by a process that lives; none when it is tried again.
    pub fn broken_off(self, failure: &str) -> Option<Settlement> {
        let failure = failure.to_owned();
        match self {
            Self::Retry => None,
            Self::Fail => Some(Settlement::Dead { failure }),
            Self::Quarantine => Some(Settlement::Park { failure }),
        }
    }

    /// Its stable name, as stores write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
        }
    }
}

/// Finds what becomes of what a dead process had in its hands, one piece after another.
///
/// Of all of it one piece may have caused the death. Claimed together again, all would share its next death too, and
/// be taken for what causes them. So what two processes died of is given back apart: its next process tells.
///
/// It is given back apart in time, and claimed by whoever looks then. Where all other workers are gone, or one piece runs for
/// longer than the next is due after, one process may have several again; the innocent among them is parked with the
/// culprit after that, and waits for an operator to replay it. One look at the dead is one inquest, whatever number of
/// nodes it buries; another look begins another.
#[derive(Debug, Default)]
pub struct Inquest {
    suspects: u32,
}

/// What becomes of a piece of work whose process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Where it goes.
    pub state: WorkState,
    /// After how long somebody may claim it.
    pub pause: Duration,
    /// Why, when nobody tries it again.
    pub reason: Option<&'static str>,
}

/// How far apart suspects are given back, so that no two of them are claimed together: longer than it takes until somebody
/// looks who does not hear of work. Who hears looks less often, and is told by the store when each of them is due.
const SUSPECT_PAUSE: Duration = Duration::from_millis(1_500);

impl Inquest {
    /// Where the next piece goes, after so many deaths and attempts.
    pub fn verdict(&mut self, on_crash: OnCrash, crashes: u32, attempt: u32, attempts_max: u32) -> Verdict {
        let over = |state, reason| Verdict { state, pause: Duration::ZERO, reason: Some(reason) };
        match on_crash {
            OnCrash::Fail => over(WorkState::Dead, "the process that was at it died"),
            OnCrash::Quarantine => over(WorkState::Parked, "the process that was at it died"),
            OnCrash::Retry if crashes >= CRASHES_MAX => {
                over(WorkState::Parked, "it took too many processes along")
            }
            OnCrash::Retry if attempt >= attempts_max => {
                over(WorkState::Dead, "its last attempt ended with its process")
            }
            OnCrash::Retry => {
                let pause = if crashes > 1 { SUSPECT_PAUSE * self.suspects } else { Duration::ZERO };
                self.suspects += u32::from(crashes > 1);
                let state = if pause.is_zero() { WorkState::Waiting } else { WorkState::Scheduled };
                Verdict { state, pause, reason: None }
            }
        }
    }
}

/// After so many crashes a piece of work is taken for what causes them: a poison pill, as Sidekiq Pro and Solid
/// Queue call it, both of which stop at three.
pub const CRASHES_MAX: u32 = 3;

/// When a piece of work may begin, by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// So long after it is stored.
    After(Duration),
    /// Not before this moment.
    At(Timestamp),
}

impl Due {
    /// The moment, given that of the store.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::After(span) => now + span,
            Self::At(moment) => moment,
        }
    }
}

/// A piece of work that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWork {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub class: WorkClass,
    /// The queue that it waits in; workers can limit themselves to some.
    pub queue: String,
    /// Who does it: the name of a consumer, or of a kind of job.
    pub kind: String,
    /// Pieces of one lane are done one after another, in the order in which they were stored.
    pub lane: Option<String>,
    /// What must not be there twice for one kind.
    pub key: Option<String>,
    /// What is to be done, as JSON text.
    pub payload: String,
    /// The larger, the earlier.
    pub priority: i16,
    /// When it may begin.
    pub due: Due,
    /// How often it is tried in all.
    pub attempts_max: u32,
    /// What the death of its process means.
    pub on_crash: OnCrash,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// The W3C `traceparent` of the span that asked for it.
    pub traceparent: Option<String>,
}

/// The right to finish a piece of work: whoever lost it finishes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The piece of work.
    pub id: Uuid,
    /// That of the claim.
    pub token: Uuid,
}

/// How much of a queue is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRoom {
    /// The queue.
    pub queue: String,
    /// At most so many.
    pub limit: u32,
}

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The node that asks.
    pub owner: Uuid,
    /// New for each claim; tickets show it.
    pub token: Uuid,
    /// From where, and how much of each.
    pub rooms: Vec<QueueRoom>,
    /// The kinds that the worker knows; others wait for somebody who does.
    pub kinds: Vec<String>,
}

/// A piece of work that this node is at. The attempt is counted by the claim, so that a process which dies of it
/// does not try for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// What to show when it is finished.
    pub ticket: Ticket,
    /// What it is.
    pub class: WorkClass,
    /// The queue that it waited in.
    pub queue: String,
    /// Who does it.
    pub kind: String,
    /// What must not be there twice: for a delivery, the id of its event.
    pub key: Option<String>,
    /// What is to be done, as JSON text.
    pub payload: String,
    /// Which attempt this is; 1 for the first.
    pub attempt: u32,
    /// How often it is tried in all.
    pub attempts_max: u32,
    /// What it means when it is broken off.
    pub on_crash: OnCrash,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// The W3C `traceparent` of the span that asked for it.
    pub traceparent: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The success of a piece of work, committed with its effects: a batch whose ticket was lost changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The right to finish it.
    pub ticket: Ticket,
    /// What came of it, as JSON text.
    pub result: Option<String>,
    /// How long the row is kept: as long as that, a second delivery is recognised and a result can be read.
    pub keep: Duration,
}

/// How an attempt ended that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It is tried again after the pause.
    Retry {
        /// How long nobody tries.
        after: Duration,
        /// Why it failed.
        failure: String,
    },
    /// Nobody tries again, unless an operator has it replayed.
    Dead {
        /// Why it failed.
        failure: String,
    },
    /// Nobody tries until an operator has looked.
    Park {
        /// What there is to look at.
        failure: String,
    },
    /// It is given back as if it had not been claimed: the attempt does not count.
    Release,
    /// It was called off, and has ended.
    Cancelled,
}

impl Settlement {
    /// The state that it leads to.
    pub const fn state(&self) -> WorkState {
        match self {
            Self::Retry { .. } => WorkState::Scheduled,
            Self::Dead { .. } => WorkState::Dead,
            Self::Park { .. } => WorkState::Parked,
            Self::Release => WorkState::Waiting,
            Self::Cancelled => WorkState::Cancelled,
        }
    }

    /// Why it failed, in a bounded text.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Retry { failure, .. } | Self::Dead { failure } | Self::Park { failure } => {
                Some(failure.chars().take(FAILURE_CHARS_MAX).collect())
            }
            Self::Release | Self::Cancelled => None,
        }
    }
}

/// One failure in a piece of work's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which attempt it was.
    pub attempt: u32,
    /// When it was noted.
    pub at: Timestamp,
    /// Why, with its causes.
    pub error: String,
}

/// A piece of work as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkRecord {
    /// Its id.
    pub id: Uuid,
    /// Its place in the order in which pieces were stored.
    pub seq: i64,
    /// What it is.
    pub class: WorkClass,
    /// Where it stands.
    pub state: WorkState,
    /// Its queue.
    pub queue: String,
    /// Who does it.
    pub kind: String,
    /// What must not be there twice.
    pub key: Option<String>,
    /// What is to be done, as JSON text.
    pub payload: String,
    /// How often it was tried.
    pub attempt: u32,
    /// How often it is tried in all.
    pub attempts_max: u32,
    /// How many processes died at it.
    pub crashes: u32,
    /// How far it says it is, as JSON text.
    pub progress: Option<String>,
    /// What came of it, as JSON text.
    pub result: Option<String>,
    /// Why it failed, oldest first; the last [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
    /// The request or message that began it.
    pub correlation_id: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it may be claimed, or could.
    pub run_at: Timestamp,
    /// The node that is at it.
    pub owner: Option<Uuid>,
}

/// How many failures of a piece of work are kept.
pub const FAILURES_MAX: usize = 10;

/// How long dead, parked and cancelled pieces of work are kept for an operator: 30 days.
pub const DEAD_KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Which pieces of work an operator asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkFilter {
    /// This one.
    pub id: Option<Uuid>,
    /// Of this class.
    pub class: Option<WorkClass>,
    /// In one of these states; all when there are none.
    pub states: Vec<WorkState>,
    /// In this queue.
    pub queue: Option<String>,
    /// Done by this consumer, or of this kind of job.
    pub kind: Option<String>,
    /// After this place in the order.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
}

/// What an operator does with a piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// A dead, parked or cancelled one is tried again from the first attempt, and gets the last place in the order: those
    /// of its lane that came after it may be under way already.
    Replay,
    /// A dead or parked one gets another payload.
    Edit {
        /// The new payload, as JSON text.
        payload: String,
    },
    /// A dead, parked or cancelled one is forgotten.
    Delete,
    /// One that waits is called off at once; one that runs is told to end.
    Cancel,
}

impl Revision {
    /// The states in which it can be done.
    pub const fn from_states(&self) -> &'static [WorkState] {
        match self {
            Self::Replay | Self::Delete => &[WorkState::Dead, WorkState::Parked, WorkState::Cancelled],
            Self::Edit { .. } => &[WorkState::Dead, WorkState::Parked],
            Self::Cancel => &[WorkState::Waiting, WorkState::Scheduled, WorkState::Running],
        }
    }
}

/// How much of one kind of work is in one state. What is due counts as waiting, whether or not a claim has found it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The queue.
    pub queue: String,
    /// The consumer or kind of job.
    pub kind: String,
    /// The state.
    pub state: WorkState,
    /// How many pieces.
    pub count: u64,
    /// How long the first of them has been due; zero when its time has not come.
    pub oldest: Duration,
    /// How many of them have failed before and hold up the lane that they lead.
    pub lanes_held: u64,
}

/// Up to how many pieces are counted, of each queue or state: to know that there are more is worth no scan.
pub const DEPTH_MAX: u32 = 10_000;
