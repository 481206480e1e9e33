//! The port to the queues that a broker keeps, one for each consumer.

use async_trait::async_trait;

use crate::error::Result;

/// A broker that keeps events for each consumer until somebody has taken them in.
///
/// An application without one gets its events from the store that is its bus.
#[async_trait]
pub trait EventSource: Send + Sync + 'static {
    /// The broker's name, such as `rabbitmq`.
    fn name(&self) -> &'static str;

    /// Whether the broker itself lets only one process at a time take a consumer's messages, and gives the next one first
    /// what that had in hand. Otherwise processes take turns by a lease in the store.
    fn keeps_turns(&self) -> bool;

    /// Opens the queue of a consumer, with all that leads into it, whether or not it is there already.
    ///
    /// # Errors
    /// `Unavailable` when the broker is away, or does not let this happen.
    async fn open(&self, consumer: &str) -> Result<Box<dyn EventQueue>>;
}

/// What waits for one consumer, in the order in which it was sent, as long as nobody else takes from it.
///
/// What was taken belongs to the taker until it is settled, and comes again to whoever takes next when the queue was
/// dropped before that. Any error ends a queue: open it again.
#[async_trait]
pub trait EventQueue: Send {
    /// Waits until there is something, and takes it: at most so many, the oldest first. Nothing is lost when this is
    /// dropped while it waits.
    ///
    /// What was taken before must have been settled.
    async fn take(&mut self, most: usize) -> Result<Vec<Arrival>>;

    /// Tells the broker that what was taken is still at work. To be said more often than every few seconds.
    async fn hold(&mut self) -> Result<()>;

    /// Says what became of everything that was taken last, one outcome for each. A dead letter has been kept by the broker
    /// when this returns.
    async fn settle(&mut self, outcomes: &[Outcome]) -> Result<()>;

    /// Asks for no more: [`EventQueue::take`] gives what is on its way to this process, and then nothing, without waiting.
    async fn finish(&mut self) -> Result<()>;
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What it carries.
    pub body: Vec<u8>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Stored,
    /// It cannot be understood, for this reason: it goes to the consumer's dead letters.
    Dead(String),
}
